// Data files as the world may hand them over: with a wrong bit anywhere, cut short, with bytes behind their
// end, with blocks of another file. Opening and verifying them ends in an error that is true, or nothing
// was wrong with what they hold; never in an assertion.
//
// What may change unnoticed is below in `carries_nothing`, and nothing else. (The copies of the superblock:
// src/storage/superblock_test.cpp and superblock_quorums_test.cpp.)
#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "grid/block.h"
#include "sim/decode/block_fault.h"
#include "sim/decode/image_decoder.h"
#include "sim/run/player.h"
#include "sim/run/shadow.h"
#include "sim/run/test_runs.h"
#include "sim/run/world_shape.h"

namespace tonearm::sim {

namespace {

constexpr u32 block_size = 1024;
constexpr u32 sector_size = 512;

// Bytes of the grid of a data file that no reader looks at, and why.
enum class Nothing : u8 { behind_the_block, not_reachable };
constexpr const char* carries_nothing[] = {
    "sectors behind the last one that a block was written with: neither written nor read",
    "blocks that the checkpoint does not reach: what they hold is over",
};

// A small data file of a run of trees, with blocks of every type.
struct DataFile {
  explicit DataFile(u64 seed_number) : seed(seed_number) {
    RunOptions& options = seed.config.options;
    options.format = {.sector_size = sector_size,
                      .block_size = block_size,
                      .levels = 3,
                      .growth = 3,
                      .beats = 2,
                      .checkpoint_interval = 4,
                      .batch_values_max = 6};
    options.runtime = {.blocks_count = 512, .cache_blocks = 16};
    options.disk = {.sector_size = sector_size, .block_size = block_size, .blocks_count = 512};
    options.vary = {};
    options.scrub = 0;
    options.ops = 1500;
    options.key_universe = 64;
    options.weight_put = options.weight_commit = 20;
    options.weight_remove = 5;
    options.weight_get = options.weight_scan = options.weight_scan_open = options.weight_scope = 0;
    options.weight_checkpoint = options.weight_crash = options.weight_reopen = 0;
    options.weight_kv = options.weight_index = options.weight_id = 1;
    seed.config.oracles.set(Oracle::verify, false);
    seed.config.record_image = true;
    seed.changed();
    check_passed(seed.play());
    std::optional<Image>& final_image = runner_memory().parts().final_image;
    REQUIRE(final_image.has_value());
    image = *final_image;
    final_image.reset();
    decoded = decode_image(*image, {.values = true});
    REQUIRE(decoded.outcome == DecodeOutcome::ok);
    REQUIRE(decoded.damaged.empty());
    for (const DecodedBlock& block : decoded.blocks) blocks[block.ref.address] = block;
    // In a file there is something everywhere.
    const std::vector<std::byte> zeros(sector_size);
    for (u64 at = 0; at < image->size(); at += sector_size) {
      if (image->written_any(at, sector_size)) {
        end = at + sector_size;
      } else {
        image->write(at, zeros);
      }
    }
    REQUIRE(end > offset(1));
  }

  u64 offset(u64 address) const { return superblock_zone_size + (address - 1) * block_size; }
  std::vector<std::byte> block(u64 address) const {
    std::vector<std::byte> bytes(block_size);
    image->read(offset(address), bytes);
    return bytes;
  }
  // One behind the greatest address that was ever written.
  u64 blocks_end() const { return (end - offset(1) + block_size - 1) / block_size + 1; }

  SeedRun seed;
  std::optional<Image> image;
  DecodedImage decoded;
  std::map<u64, DecodedBlock> blocks;  // Reachable ones.
  u64 end = 0;                         // Nothing was ever written behind it.
};

struct Verdict {
  Error error;
  bool opened = false;
};

// Opens it and reads all that it reaches.
Verdict open_and_verify(const DataFile& file, const Image& image) {
  RunnerMemory::Parts& memory = runner_memory().parts();
  Shadow shadow(world_tree, image, file.seed.config.options, memory.shadow, false, 0);
  Verdict verdict;
  verdict.error = shadow.host().open();
  if (verdict.error) return verdict;
  verdict.opened = true;
  ForestVerify::Counts counts;
  verdict.error = shadow.host().verify(&counts);
  return verdict;
}

std::optional<Nothing> why_nothing(const DataFile& file, u64 address, u64 byte) {
  const auto found = file.blocks.find(address);
  if (found == file.blocks.end()) return Nothing::not_reachable;
  const std::vector<std::byte> bytes = file.block(address);
  const u64 written = (header_of(bytes.data()).size + sector_size - 1) / sector_size * sector_size;
  if (byte >= written) return Nothing::behind_the_block;
  return std::nullopt;
}

void zero(Image& image, u64 begin, u64 end) {
  const std::vector<std::byte> zeros(sector_size);
  for (u64 at = begin; at < end; at += sector_size) image.write(at, zeros);
}

const DataFile& data_file() {
  static const DataFile file(7);
  return file;
}

}  // namespace

// By the engine, and by the decoder that shares nothing with it.
TEST_CASE("every flipped bit of a block of each type is noticed", "[hostile]") {
  const DataFile& file = data_file();
  std::map<BlockUse, u64> of_use;
  for (const auto& [address, block] : file.blocks) of_use.try_emplace(block.use, address);
  REQUIRE(of_use.size() == 5);
  alignas(4096) std::array<std::byte, block_size> bytes;
  for (const auto& [use, address] : of_use) {
    INFO(block_use_name(use));
    const BlockRef& ref = file.blocks.at(address).ref;
    const Checksum checksum = ref.checksum;
    const auto decodes = [&] { return block_fault(bytes, ref, block_type(use), file.decoded).empty(); };
    file.image->read(file.offset(address), bytes);
    REQUIRE(block_verify(bytes.data(), block_size, sector_size, checksum) == BlockResult::valid);
    REQUIRE(decodes());
    u64 unnoticed = 0;
    for (u64 bit = 0; bit < u64{block_size} * 8; ++bit) {
      std::byte& byte = bytes[bit / 8];
      byte ^= std::byte{1} << (bit % 8);
      const bool valid = block_verify(bytes.data(), block_size, sector_size, checksum) == BlockResult::valid;
      const bool nothing = why_nothing(file, address, bit / 8).has_value();
      unnoticed += valid != nothing || decodes() != nothing ? 1 : 0;
      byte ^= std::byte{1} << (bit % 8);
    }
    CHECK(unnoticed == 0);
  }
}

TEST_CASE("a wrong bit in any byte of a database is noticed, or in a byte that carries nothing",
          "[hostile]") {
  const DataFile& file = data_file();
  std::array<u64, std::size(carries_nothing)> nothing{};
  u64 noticed = 0;
  alignas(4096) std::array<std::byte, sector_size> sector;
  const u64 stride = TONEARM_TEST_SLOW != 0 ? 13 : 1;
  for (u64 address = 1; address < file.blocks_end(); ++address) {
    for (u64 byte = address % stride; byte < block_size; byte += stride) {
      const u64 at = file.offset(address) + byte / sector_size * sector_size;
      const std::optional<Nothing> why = why_nothing(file, address, byte);
      Image image = *file.image;
      image.read(at, sector);
      sector[byte % sector_size] ^= std::byte{1} << ((byte * 5 + address) % 8);
      image.write(at, sector);
      const Verdict verdict = open_and_verify(file, image);
      if (why) {
        ++nothing[static_cast<u32>(*why)];
        INFO("block " << address << " byte " << byte << ": " << carries_nothing[static_cast<u32>(*why)]);
        if (verdict.error) CHECK(std::string(verdict.error.reason) == "");
        continue;
      }
      const bool true_error =
          verdict.error.kind == ErrorKind::block_damaged && verdict.error.address == address;
      if (!true_error) {
        INFO("block " << address << " byte " << byte << ": " << error_name(verdict.error.kind) << ", "
                      << verdict.error.reason);
        CHECK(true_error);
      }
      ++noticed;
    }
  }
  CHECK(noticed > 7'000 / stride);
  for (const u64 count : nothing) CHECK(count > 0);
  if (stride == 1) CHECK(noticed + nothing[0] + nothing[1] == (file.blocks_end() - 1) * block_size);
}

// Three copies are left, each time.
TEST_CASE("a wrong bit in any byte of the superblock of a database costs nothing", "[hostile]") {
  const DataFile& file = data_file();
  const u64 stride = TONEARM_TEST_SLOW != 0 ? 13 : 1;
  alignas(4096) std::array<std::byte, sector_size> sector;
  u64 wrong = 0;
  for (u64 byte = 0; byte < superblock_zone_size; byte += stride) {
    const u64 at = byte / sector_size * sector_size;
    Image image = *file.image;
    image.read(at, sector);
    sector[byte % sector_size] ^= std::byte{1} << (byte * 5 % 8);
    image.write(at, sector);
    const Verdict verdict = open_and_verify(file, image);
    wrong += !verdict.opened || verdict.error ? 1 : 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a data file that was cut short is refused, or a block of it", "[hostile]") {
  const DataFile& file = data_file();
  u64 refused = 0;
  u64 damaged = 0;
  u64 last = 0;
  for (const auto& [address, block] : file.blocks) last = std::max(last, file.offset(address));
  for (u64 end = 0; end < file.end; end += sector_size) {
    Image image = *file.image;
    zero(image, end, file.end);
    const Verdict verdict = open_and_verify(file, image);
    INFO("cut at " << end << ": " << error_name(verdict.error.kind) << ", " << verdict.error.reason);
    // Two copies of the superblock are enough.
    if (end < superblock_copy_size) {
      CHECK(verdict.error.kind == ErrorKind::not_found);
    } else if (end < 2 * superblock_copy_size) {
      CHECK(verdict.error.kind == ErrorKind::quorum_lost);
    } else if (end <= last) {
      CHECK(verdict.error.kind == ErrorKind::block_damaged);
      CHECK(file.blocks.contains(verdict.error.address));
      CHECK(file.offset(verdict.error.address) + block_size > end);
    }
    refused += verdict.error && !verdict.opened ? 1 : 0;
    damaged += verdict.error && verdict.opened ? 1 : 0;
  }
  CHECK(refused > 40);
  CHECK(damaged > 5);
}

TEST_CASE("what lies behind the end of a data file is not looked at", "[hostile]") {
  const DataFile& file = data_file();
  Image image = *file.image;
  const DataFile other(8);
  for (u64 address = file.blocks_end(); address <= 512; ++address) {
    image.write(file.offset(address), other.block(1 + address % 20));
  }
  const Verdict verdict = open_and_verify(file, image);
  CHECK(verdict.opened);
  CHECK_FALSE(verdict.error);
}

TEST_CASE("blocks of another data file are noticed", "[hostile]") {
  const DataFile& file = data_file();
  const DataFile other(8);
  u64 noticed = 0;
  for (const auto& [address, block] : file.blocks) {
    for (const auto& [from, foreign] : other.blocks) {
      if (foreign.use != block.use) continue;
      Image image = *file.image;
      image.write(file.offset(address), other.block(from));
      const Verdict verdict = open_and_verify(file, image);
      INFO("block " << address << ": " << error_name(verdict.error.kind) << ", " << verdict.error.reason);
      CHECK(verdict.error.kind == ErrorKind::block_damaged);
      CHECK(verdict.error.address == address);
      ++noticed;
      break;
    }
  }
  CHECK(noticed > 10);
}

// The copies of its superblock, of one file or the other: 0b0011 has the first two of the other one.
TEST_CASE("superblock copies of another data file are noticed", "[hostile]") {
  const DataFile& file = data_file();
  const DataFile other(8);
  std::map<ErrorKind, u64> outcomes;
  for (u32 foreign = 1; foreign < 16; ++foreign) {
    Image image = *file.image;
    std::vector<std::byte> copy(superblock_copy_size);
    for (u64 slot = 0; slot < superblock_copies; ++slot) {
      if ((foreign >> slot & 1) == 0) continue;
      other.image->read(slot * superblock_copy_size, copy);
      image.write(slot * superblock_copy_size, copy);
    }
    const Verdict verdict = open_and_verify(file, image);
    INFO(foreign << ": " << error_name(verdict.error.kind) << ", " << verdict.error.reason);
    ++outcomes[verdict.error.kind];
    // All of them: then it is the other file, of which the blocks are missing. Three of four: a fork,
    // or the remains of a file that was here before.
    if (foreign == 15) CHECK(verdict.error.kind == ErrorKind::block_damaged);
    if (verdict.opened && !verdict.error) CHECK(std::popcount(foreign) <= 2);
  }
  CHECK(outcomes[ErrorKind::none] < 15);
}

TEST_CASE("a data file of a newer release is refused", "[hostile]") {
  const DataFile& file = data_file();
  Image image = *file.image;
  for (u64 slot = 0; slot < superblock_copies; ++slot) {
    SuperblockHeader header;
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(&header, 1));
    image.read(slot * superblock_copy_size, bytes);
    header.state.release = superblock_release + 1;
    superblock_seal(header);
    image.write(slot * superblock_copy_size, bytes);
  }
  const Verdict verdict = open_and_verify(file, image);
  CHECK_FALSE(verdict.opened);
  CHECK(verdict.error.kind == ErrorKind::release_unknown);
  CHECK(std::string(verdict.error.reason) == "written by a newer release");
  CHECK(verdict.error.stored == superblock_release + 1);
}

}  // namespace tonearm::sim
