// Data files with right checksums whose manifest log says what no engine can have said: open must end in
// an error that names the table, not in an assertion.
#include <algorithm>
#include <functional>
#include <memory>

#include "sim/decode/manifest_chain.h"
#include "sim/decode/superblock_copies.h"
#include "sim/run/player.h"
#include "sim/run/test_host.h"
#include "sim/run/test_runs.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

BlockRef reference(f::Bytes state, u32 checksum, u32 address) {
  return {.address = f::load<u64>(state, address), .checksum = f::load<u128>(state, checksum)};
}

// The durable image of a run, and its manifest log.
struct DataFile {
  DataFile(const RunOptions& of_run, const Image& durable) : options(of_run), image(durable) {
    // A reopen may have let the disk grow.
    options.runtime.blocks_count = (image.size() - grid_offset()) / options.format.block_size;
    finish_options(&options);
    copy.resize(f::copy_size);
    image.read(0, copy);
    const f::Bytes state = f::Bytes(copy).subspan(f::copy_state, f::state_size);
    const ManifestEnds ends{
        .oldest = reference(state, f::state_manifest_oldest, f::state_manifest_oldest_address),
        .newest = reference(state, f::state_manifest_newest, f::state_manifest_newest_address),
        .count = f::load<u32>(state, f::state_manifest_blocks)};
    chain = read_manifest_chain(image,
                                {.grid_offset = grid_offset(),
                                 .block_size = options.format.block_size,
                                 .blocks_count = options.runtime.blocks_count},
                                ends);
    REQUIRE(chain.fault == "");
    REQUIRE(chain.blocks.size() == ends.count);
    decoded = std::make_shared<const DecodedImage>(decode_image(image, {}));
    REQUIRE(decoded->outcome == DecodeOutcome::ok);
  }

  u64 grid_offset() const {
    const u64 block_size = options.format.block_size;
    return (u64{f::copies} * f::copy_size + block_size - 1) / block_size * block_size;
  }

  // Changes the latest record of the table; everything above it refers to it again.
  void change(u64 address, const std::function<void(std::vector<std::byte>&, u64 offset)>& change) {
    std::size_t at = chain.blocks.size();
    u64 offset = 0;
    for (std::size_t i = 0; i < chain.blocks.size(); ++i) {
      for (std::size_t entry = 0; entry < chain.blocks[i].entries.size(); ++entry) {
        if (chain.blocks[i].entries[entry].address() != address) continue;
        at = i;
        offset = f::header_size + entry * f::entry_size;
      }
    }
    REQUIRE(at < chain.blocks.size());
    change(chain.blocks[at].bytes, offset);
    for (std::size_t i = at; i < chain.blocks.size(); ++i) {
      ManifestChain::Block& block = chain.blocks[i];
      if (i > at)
        store(block.bytes, f::header_metadata + f::chain_previous, chain.blocks[i - 1].ref.checksum);
      block.ref.checksum = seal_manifest_block(block.bytes);
      image.write(grid_offset() + (block.ref.address - 1) * block.bytes.size(), block.bytes);
    }
    store(copy, f::copy_state + f::state_manifest_newest, chain.blocks.back().ref.checksum);
    store(copy, f::copy_state + f::state_manifest_oldest, chain.blocks.front().ref.checksum);
    for (u32 slot = 0; slot < f::copies; ++slot) {
      store(copy, f::copy_number, static_cast<u16>(slot));
      seal_copy(copy, true);
      image.write(u64{slot} * f::copy_size, copy);
    }
  }

  Error open() const {
    StrictInterrupt quiet;
    EngineMemory memory;
    SimStorage disk(image, options.disk, nullptr);
    Error error;
    {
      EngineHost host(world_tree, disk, options, memory, quiet, 0);
      error = host.open();
    }
    disk.crash({});
    return error;
  }

  RunOptions options;
  Image image;
  CopyBytes copy;
  ManifestChain chain;
  std::shared_ptr<const DecodedImage> decoded;
};

// Two tables of one level of one tree.
struct Pair {
  const DecodedTable* a = nullptr;
  const DecodedTable* b = nullptr;
};
Pair neighbours(const DecodedImage& decoded) {
  for (const DecodedTable& a : decoded.tables) {
    for (const DecodedTable& b : decoded.tables) {
      if (&a != &b && a.tree == b.tree && a.level == b.level) return {&a, &b};
    }
  }
  return {};
}

std::string opened_as(const Error& error) {
  if (!error) return "opened";
  return std::string(error_name(error.kind)) + ": " + error.reason;
}

}  // namespace

TEST_CASE("authentic manifest entries that make no sense together end open in an error", "[hostile]") {
  u64 files = 0;
  for (u64 seed = 1; seed <= 4; ++seed) {
    INFO("seed " << seed);
    SeedRun run(seed);
    run.config.record_image = true;
    check_passed(run.play());
    const DataFile good(run.config.options, *runner_memory().parts().final_image);
    CHECK(opened_as(good.open()) == "opened");
    const Pair pair = neighbours(*good.decoded);
    if (pair.a == nullptr) continue;
    ++files;
    const u64 address = pair.a->index.address;
    const LiveTables live = replay_forward(good.chain);
    const ManifestEntry other = live.at(pair.b->index.address);
    const auto forged = [&](const std::function<void(std::vector<std::byte>&, u64)>& change) {
      DataFile file = good;
      file.change(address, change);
      return opened_as(file.open());
    };
    CHECK(forged([](auto&, u64) {}) == "opened");
    CHECK(forged([&](auto& bytes, u64 offset) {
            std::copy_n(other.bytes.begin(), 64, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
          }) == "block_damaged: two tables of a level overlap");
    CHECK(forged([](auto& bytes, u64 offset) { store(bytes, offset + f::entry_tree, u16{99}); }) ==
          "block_damaged: a table of no tree");
    CHECK(forged([](auto& bytes, u64 offset) { store(bytes, offset + f::entry_value_count, ~u32{0}); }) ==
          "block_damaged: a table has more values than it can hold");
    CHECK(forged([](auto& bytes, u64 offset) { store(bytes, offset + f::entry_key_max + 24, u64_max); }) ==
          "block_damaged: a table has a key that its tree cannot have");
  }
  CHECK(files > 0);
}

}  // namespace tonearm::sim
