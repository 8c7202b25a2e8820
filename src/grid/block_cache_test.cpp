#include "grid/block_cache.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace tonearm {

namespace {

constexpr u32 block_size = 512;

struct Block {
  explicit Block(u64 address, u8 fill = 1, u32 size = 300) {
    block_init(bytes);
    std::memset(body_of(bytes), fill, size - block_header_size);
    reference.address = address;
    reference.checksum = block_seal(
        bytes, {.type = BlockType::value, .address = address, .snapshot = 0, .size = size, .cluster = 0},
        512);
  }
  alignas(4096) std::byte bytes[block_size];
  BlockReference reference;
};

class Cache {
 public:
  Cache(u32 blocks_count, u32 hash_bits) {
    const BlockCache::Options options{
        .blocks_count = blocks_count, .hash_bits = hash_bits, .block_size = block_size};
    Arena measure;
    BlockCache::Memory(measure, options);
    memory_.resize(measure.used() + Arena::align_max, std::byte{0xff});
    std::byte* base = memory_.data();
    base += Arena::align_max - reinterpret_cast<std::uintptr_t>(base) % Arena::align_max;
    Arena arena({base, measure.used()});
    cache_ = std::make_unique<BlockCache>(arena, options);
  }
  BlockCache* operator->() { return cache_.get(); }
  bool has(const Block& block) {
    const std::byte* data = cache_->get(block.reference);
    if (data == nullptr) return false;
    REQUIRE(std::memcmp(data, block.bytes, header_of(block.bytes).size) == 0);
    return true;
  }

 private:
  std::vector<std::byte> memory_;
  std::unique_ptr<BlockCache> cache_;
};

}  // namespace

TEST_CASE("only the exact reference hits", "[block_cache]") {
  Cache cache(64, 64);
  const Block block(5);
  REQUIRE_FALSE(cache.has(block));
  REQUIRE(cache->get({.address = 0, .checksum = 0}) == nullptr);
  cache->insert(block.bytes);
  REQUIRE(cache.has(block));
  REQUIRE(cache->contains(5));
  REQUIRE(cache->get({.address = 5, .checksum = block.reference.checksum + 1}) == nullptr);
  REQUIRE(cache->get({.address = 6, .checksum = block.reference.checksum}) == nullptr);

  const Block newer(5, 2);
  cache->insert(newer.bytes);
  REQUIRE(cache->count() == 1);
  REQUIRE(cache.has(newer));
  REQUIRE_FALSE(cache.has(block));
  cache->remove(5);
  REQUIRE_FALSE(cache.has(newer));
  REQUIRE_FALSE(cache->contains(5));
  REQUIRE(cache->count() == 0);
}

TEST_CASE("blocks that leave the cache have their header zeroed", "[block_cache]") {
  Cache cache(16, 0);
  const Block first(1);
  cache->insert(first.bytes);
  const std::byte* place = cache->get(first.reference);
  REQUIRE(header_of(place).address == 1);
  cache->remove(1);
  unpoison(place, block_header_size);  // What nobody else may look at.
  REQUIRE(header_of(place).address == 0);
  REQUIRE(header_of(place).checksum == 0);
}

TEST_CASE("one set with equal tags holds sixteen blocks", "[block_cache]") {
  Cache cache(16, 0);
  std::vector<Block> blocks;
  for (u64 address = 1; address <= 17; ++address) blocks.emplace_back(address);
  for (u32 i = 0; i < 16; ++i) cache->insert(blocks[i].bytes);
  REQUIRE(cache->count() == 16);
  for (u32 i = 0; i < 16; ++i) REQUIRE(cache.has(blocks[i]));

  SECTION("the block that was not used again goes") {
    for (u32 i = 0; i < 16; ++i) {
      if (i != 9) REQUIRE(cache.has(blocks[i]));  // Count 3, against 2.
    }
    cache->insert(blocks[16].bytes);
    REQUIRE(cache->count() == 16);
    for (u32 i = 0; i < 17; ++i) REQUIRE(cache.has(blocks[i]) == (i != 9));
  }
  SECTION("a demoted block goes first, and is there until then") {
    cache->demote(12);
    cache->demote(99);
    cache->insert(blocks[16].bytes);
    for (u32 i = 0; i < 17; ++i) REQUIRE(cache.has(blocks[i]) == (i != 11));
  }
  SECTION("a way that became empty is filled before anything is evicted") {
    cache->remove(4);
    cache->insert(blocks[16].bytes);
    for (u32 i = 0; i < 17; ++i) REQUIRE(cache.has(blocks[i]) == (i != 3));
  }
}

TEST_CASE("whatever the number of hash bits, a hit is the last block inserted", "[block_cache]") {
  for (u32 hash_bits : {0U, 1U, 2U, 5U, 8U, 12U, 63U, 64U}) {
    for (u32 blocks_count : {16U, 48U, 256U}) {
      std::mt19937_64 random(hash_bits * 1000 + blocks_count);
      Cache cache(blocks_count, hash_bits);
      std::map<u64, Block> inserted;
      u32 hits = 0;
      for (u32 i = 0; i < 3000; ++i) {
        const u64 address = 1 + random() % 400;
        const auto known = inserted.find(address);
        switch (random() % 8) {
          case 0:
            cache->remove(address);
            inserted.erase(address);
            break;
          case 1: cache->demote(address); break;
          case 2:
          case 3:
            if (known != inserted.end()) inserted.erase(known);
            cache->insert(inserted.emplace(address, Block(address, static_cast<u8>(i))).first->second.bytes);
            REQUIRE(cache->contains(address));
            break;
          default:
            if (known == inserted.end()) {
              REQUIRE_FALSE(cache->contains(address));
            } else {
              hits += cache.has(known->second) ? 1 : 0;
            }
        }
        REQUIRE(cache->count() <= blocks_count);
      }
      REQUIRE(hits > 0);
      if (hash_bits == 0) REQUIRE(cache->count() <= 16);
    }
  }
}

}  // namespace tonearm
