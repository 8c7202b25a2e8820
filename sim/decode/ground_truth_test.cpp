#include "sim/decode/ground_truth.h"

#include <catch2/catch.hpp>

#include "sim/decode/block_fault.h"
#include "sim/decode/image_writer.h"

namespace tonearm::sim {

namespace {

CopyBytes copy_of(const Image& image, u32 slot) {
  CopyBytes copy(disk_format::copy_size);
  image.read(u64{slot} * disk_format::copy_size, copy);
  return copy;
}

// A file of two tables; `delivered` are its copies as a reader was given them.
struct File : Writer {
  std::array<CopyBytes, disk_format::copies> delivered;

  File() {
    superblock(0, {0, 1, 2, 3});
    manifest({table(1, 0, {{{1, 10}, {2, 20}}})});
    manifest({table(1, 1, {{{3, 30}}})});
    checkpoint(8);
    for (u32 slot = 0; slot < disk_format::copies; ++slot) delivered[slot] = copy_of(image, slot);
  }

  OpenPrediction predict() const {
    CopiesAsRead copies;
    for (u32 slot = 0; slot < disk_format::copies; ++slot) copies[slot] = delivered[slot];
    return predict_open(image, copies, {});
  }
};

}  // namespace

TEST_CASE("opening is predicted from the copies as they were delivered", "[ground_truth]") {
  File file;
  const OpenPrediction whole = file.predict();
  REQUIRE(whole.copies.outcome == DecodeOutcome::ok);
  CHECK(whole.reached.op == 8);
  CHECK(whole.reached.damaged.empty());
  u64 read_by_open = 0;
  for (const DecodedBlock& block : whole.reached.blocks) {
    read_by_open += OpenPrediction::read_by_open(block.use) ? 1 : 0;
  }
  CHECK(read_by_open == 3);  // Two manifest blocks and a trailer.
  CHECK(whole.reached.blocks.size() == read_by_open + 4);

  // What was not delivered does not count, whatever the image holds.
  file.delivered[0].clear();
  file.delivered[1].clear();
  CHECK(file.predict().reached.op == 8);
  file.delivered[2].clear();
  CHECK(file.predict().copies.outcome == DecodeOutcome::quorum_lost);
  file.delivered[3].clear();
  CHECK(file.predict().copies.outcome == DecodeOutcome::not_found);
}

TEST_CASE("copies that were delivered stale lead to what they refer to", "[ground_truth]") {
  File file;
  const std::array<CopyBytes, disk_format::copies> before = file.delivered;
  file.superblock(16, {0, 1, 2, 3});
  for (u32 slot = 0; slot < disk_format::copies; ++slot) file.delivered[slot] = copy_of(file.image, slot);
  CHECK(file.predict().reached.op == 16);
  file.delivered[0] = before[0];
  file.delivered[3] = before[3];
  file.delivered[1].clear();
  const OpenPrediction older = file.predict();
  REQUIRE(older.copies.outcome == DecodeOutcome::ok);
  CHECK(older.reached.op == 8);
  CHECK(decode_image(file.image).op == 16);
}

TEST_CASE("the checkpoint that lies on a disk, whatever was delivered", "[ground_truth]") {
  File file;
  CHECK(demanded_op(file.image) == 8);
  file.superblock(16, {0, 2});
  CHECK(demanded_op(file.image) == 16);
  file.image.clear();
  CHECK(demanded_op(file.image) == std::nullopt);
}

TEST_CASE("a block that a fault delivered is read where the image's own is damaged", "[ground_truth]") {
  File file;
  const OpenPrediction whole = file.predict();
  const BlockRef newest = [&whole] {
    for (const DecodedBlock& block : whole.reached.blocks) {
      if (block.use == BlockUse::manifest) return block.ref;
    }
    return BlockRef{};
  }();
  REQUIRE(newest.address != 0);
  const u64 offset = grid_offset + (newest.address - 1) * block_size;
  std::vector<Brought> brought(2);
  brought[0] = {.address = newest.address, .bytes = std::vector<std::byte>(block_size)};
  brought[1] = {.address = newest.address, .bytes = std::vector<std::byte>(block_size)};
  file.image.read(offset, brought[1].bytes);
  file.image.write(offset, brought[0].bytes);  // Zeroes.
  const auto damaged = [&file](std::span<const Brought> blocks) {
    return decode_image(file.image, {.brought = blocks}).damaged.size();
  };
  CHECK(damaged({}) == 1);
  CHECK(damaged(std::span(brought).first(1)) == 1);
  CHECK(damaged(brought) == 0);
  brought[1].address = newest.address + 1;
  CHECK(damaged(brought) == 1);
}

TEST_CASE("a delivery is the block that was meant only with every byte of it", "[ground_truth]") {
  File file;
  const OpenPrediction whole = file.predict();
  u32 looked = 0;
  for (const DecodedBlock& block : whole.reached.blocks) {
    const u64 offset = grid_offset + (block.ref.address - 1) * block_size;
    const u64 written = block_truth(file.image, offset, block_size).written;
    std::vector<Brought> brought(1);
    brought[0] = {.address = block.ref.address, .bytes = std::vector<std::byte>(block_size)};
    file.image.read(offset, brought[0].bytes);
    const auto is_block = [&] {
      std::vector<std::byte> bytes;
      return brought_block(brought, block.ref, block_type(block.use), whole.reached, &bytes);
    };
    REQUIRE(is_block());
    for (u64 byte = 0; byte < written; byte += 7, ++looked) {
      brought[0].bytes[byte] ^= std::byte{4};
      REQUIRE_FALSE(is_block());
      brought[0].bytes[byte] ^= std::byte{4};
    }
    brought[0].bytes.resize(written);  // The rest of its place need not be read.
    REQUIRE(is_block());
    brought[0].address += 1;
    REQUIRE_FALSE(is_block());
  }
  REQUIRE(looked > 500);
}

TEST_CASE("the truth about one block", "[ground_truth]") {
  File file;
  const OpenPrediction whole = file.predict();
  const BlockRef& ref = whole.reached.blocks.front().ref;
  const u64 offset = grid_offset + (ref.address - 1) * block_size;
  const BlockTruth block = block_truth(file.image, offset, block_size);
  CHECK(block.intact);
  CHECK(block.checksum == ref.checksum);
  CHECK(block.written % 512 == 0);
  CHECK(block.written >= 512);
  CHECK(block.written <= block_size);

  for (const u64 byte : {u64{0}, u64{40}, u64{300}, block.written - 1}) {
    INFO(byte);
    Image damaged = file.image;
    std::vector<std::byte> bytes(block_size);
    damaged.read(offset, bytes);
    bytes[byte] ^= std::byte{4};
    damaged.write(offset, bytes);
    CHECK_FALSE(block_truth(damaged, offset, block_size).intact);
  }
  CHECK(block_truth(file.image, grid_offset + (blocks_count - 1) * block_size, block_size).written ==
        block_size);
}

}  // namespace tonearm::sim
