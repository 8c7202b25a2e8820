#include "grid/block_cache.h"

#include "base/mark.h"

namespace tonearm {

BlockCache::Memory::Memory(Arena& arena, const Options& options) {
  sets = arena.take<Set>(options.blocks_count / ways, 64);
  blocks = arena.take<std::byte>(u64{options.blocks_count} * (options.block_size + gap), Arena::align_max);
}

BlockCache::BlockCache(Arena& arena, const Options& options)
    : block_size_(options.block_size), hash_mask_(cache_hash_mask(options.hash_bits)) {
  ASSERT(options.blocks_count >= ways);
  ASSERT(options.blocks_count % ways == 0);
  ASSERT(options.hash_bits <= 64);
  const Memory memory(arena, options);
  sets_ = memory.sets;
  blocks_ = memory.blocks;
  for (Set& set : sets_) set = Set{};
  poison(blocks_.data(), blocks_.size());
}

bool BlockCache::contains(u64 address) const {
  const CachePlace place = place_of(address);
  return find(sets_[place.set], place.tag, address) != ways;
}

void BlockCache::insert(const std::byte* block) {
  const BlockHeader& header = header_of(block);
  ASSERT(header.address >= 1);
  ASSERT(header.size >= block_header_size);
  ASSERT(header.size <= block_size_);
  const CachePlace place = place_of(header.address);
  Set& set = sets_[place.set];

  u32 way = find(set, place.tag, header.address);
  if (way == ways) {
    const ClockWays::Vacated vacated = set.clock.vacate();
    way = vacated.way;
    if (vacated.evicted) mark(Mark::grid_cache_evicted);
    const u32 other = set.clock.find(place.tag, [&](u32 each) { return set.clock.tags[each] == place.tag; });
    if (other != ways) mark(Mark::grid_cache_tag_collision);
  }
  ASSERT(block_at(place.set, way) != block);
  poison(block_at(place.set, way), block_size_);
  unpoison(block_at(place.set, way), header.size);
  std::memcpy(block_at(place.set, way), block, header.size);
  set.clock.tags[way] = place.tag;
  set.clock.counts[way] = 1;
  set.addresses[way] = header.address;
  set.checksums[way] = header.checksum;
}

void BlockCache::empty_way(u64 set, u32 way) {
  sets_[set].clock.counts[way] = 0;
  sets_[set].addresses[way] = 0;
  sets_[set].checksums[way] = 0;
  std::memset(block_at(set, way), 0, block_header_size);
  poison(block_at(set, way), block_size_);
}

void BlockCache::demote(u64 address) {
  const CachePlace place = place_of(address);
  Set& set = sets_[place.set];
  const u32 way = find(set, place.tag, address);
  if (way == ways) return;
  set.clock.counts[way] = 1;
  mark(Mark::grid_cache_demoted);
}

void BlockCache::remove(u64 address) {
  const CachePlace place = place_of(address);
  const u32 way = find(sets_[place.set], place.tag, address);
  if (way != ways) empty_way(place.set, way);
}

u32 BlockCache::count() const {
  u32 total = 0;
  for (const Set& set : sets_) {
    for (u32 way = 0; way < ways; ++way) total += set.clock.counts[way] > 0 ? 1 : 0;
  }
  return total;
}

}  // namespace tonearm
