#include "grid/block.h"

#include <catch2/catch.hpp>
#include <vector>

namespace tonearm {

namespace {

constexpr u32 block_size = 4096;
constexpr u32 sector_size = 512;

struct Sealed {
  explicit Sealed(u32 size) {
    std::memset(block, 0xee, sizeof(block));  // Remains of an earlier use.
    block_init(block);
    std::memset(body_of(block), 0x11, size - block_header_size);
    checksum =
        block_seal(block, {.type = BlockType::value, .address = 7, .snapshot = 9, .size = size, .cluster = 3},
                   sector_size);
  }
  BlockResult verify() const { return block_verify(block, block_size, sector_size, checksum); }
  // Changes the header behind the checksum's back, then makes the checksum fit.
  void reseal_header() { header_of(block).checksum = checksum_of({block + 32, block_header_size - 32}); }

  alignas(4096) std::byte block[block_size];
  Checksum checksum;
};

}  // namespace

TEST_CASE("a sealed block verifies at any size", "[block]") {
  for (u32 size : {256U, 257U, 300U, 511U, 512U, 513U, 4000U, 4095U, 4096U}) {
    Sealed sealed(size);
    REQUIRE(sealed.verify() == BlockResult::valid);
    const BlockHeader& header = header_of(sealed.block);
    REQUIRE(header.checksum == sealed.checksum);
    REQUIRE(header.size == size);
    REQUIRE(header.address == 7);
    REQUIRE(header.snapshot == 9);
    REQUIRE(header.cluster == 3);
    REQUIRE(header.release == release_current);
    REQUIRE(header.nonce == 0);
  }
}

TEST_CASE("every flipped bit of what was written is noticed", "[block]") {
  Sealed sealed(700);  // Two sectors; the third and later ones are nobody's business.
  for (u32 bit = 0; bit < 1024 * 8; ++bit) {
    std::byte& byte = sealed.block[bit / 8];
    byte ^= std::byte{1} << (bit % 8);
    const BlockResult expected = bit / 8 < 256   ? BlockResult::invalid_checksum
                                 : bit / 8 < 700 ? BlockResult::invalid_checksum_body
                                                 : BlockResult::invalid_padding;
    if (sealed.verify() != expected) REQUIRE(sealed.verify() == expected);
    byte ^= std::byte{1} << (bit % 8);
  }
  REQUIRE(sealed.verify() == BlockResult::valid);
  sealed.block[1024] ^= std::byte{1};
  REQUIRE(sealed.verify() == BlockResult::valid);
}

TEST_CASE("blocks that are intact and yet wrong", "[block]") {
  Sealed sealed(700);
  SECTION("another block than the one referred to") {
    REQUIRE(block_verify(sealed.block, block_size, sector_size, sealed.checksum + 1) ==
            BlockResult::unexpected_checksum);
  }
  SECTION("not a grid block") {
    header_of(sealed.block).command = command_block + 1;
    sealed.reseal_header();
    REQUIRE(sealed.verify() == BlockResult::unexpected_command);
  }
  SECTION("of a release that is not known") {
    for (const u32 release : {0U, release_current + 1, ~0U}) {
      header_of(sealed.block).release = release;
      sealed.reseal_header();
      REQUIRE(sealed.verify() == BlockResult::unexpected_command);
    }
  }
  SECTION("a size that lies outside the block") {
    for (u32 size : {0U, 255U, block_size + 1, ~0U}) {
      header_of(sealed.block).size = size;
      sealed.reseal_header();
      REQUIRE(sealed.verify() == BlockResult::invalid_checksum_body);
    }
  }
  SECTION("a body of another header") {
    header_of(sealed.block).checksum_body += 1;
    sealed.reseal_header();
    REQUIRE(sealed.verify() == BlockResult::invalid_checksum_body);
  }
  SECTION("an authentic block from another address keeps its own checksum") {
    Sealed other(700);
    header_of(other.block).address = 8;
    other.reseal_header();
    REQUIRE(block_verify(other.block, block_size, sector_size, sealed.checksum) ==
            BlockResult::unexpected_checksum);
  }
}

TEST_CASE("zeros and poison are no blocks", "[block]") {
  alignas(4096) std::byte block[block_size] = {};
  REQUIRE(block_verify(block, block_size, sector_size, 0) == BlockResult::invalid_checksum);
  std::memset(block, 0xff, sizeof(block));
  REQUIRE(block_verify(block, block_size, sector_size, 0) == BlockResult::invalid_checksum);
}

TEST_CASE("every result has a name", "[block]") {
  for (u8 i = 0; i <= static_cast<u8>(BlockResult::read_failed); ++i) {
    REQUIRE(block_result_name(static_cast<BlockResult>(i))[0] != '\0');
  }
}

}  // namespace tonearm
