// Workload `cache`: the cache of blocks, alone, against its ways written down.
//
// The model is the contract in the words of grid/block_cache.h: which set an address belongs to, a
// count up to 3 a way, one hand a set that takes one off each count it passes and settles where none
// is left. So it predicts every hit, the place of every block, and what each insertion evicts. It has
// no tags: those must make no difference, however few bits of the hash they are made of. (The hash
// itself is the engine's: which function it is, is no promise.) Nothing can be pinned in this cache;
// what it owes a block just inserted is that it goes last of those not used again.
//
// The options that matter: cache_blocks, cache_hash_bits, block_size, key_universe (of
// addresses).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/sanitizer.h"
#include "grid/block_cache.h"
#include "sim/component/support.h"
#include "sim/component/tested.h"

namespace tonearm::sim {

namespace {

constexpr u32 ways = 16;
constexpr u32 count_max = 3;

struct Way {
  u64 address = 0;  // 0: empty.
  u64 version = 0;  // Of what the address holds.
  u32 count = 0;
};

struct Set {
  std::array<Way, ways> way;
  u32 hand = 0;
  std::vector<u64> members;  // All addresses that belong here.
  u64 crowd = 0;             // Of them, where the last crowd ended.
};

class CacheComponent final : public Component {
 public:
  explicit CacheComponent(Referee& referee)
      : referee_(&referee),
        addresses_(referee.options().key_universe),
        block_size_(referee.options().format.block_size),
        versions_(addresses_ + 1, 1),
        block_(div_ceil(block_size_, sizeof(Page))) {
    const BlockCache::Options options{.blocks_count = referee.options().runtime.cache_blocks,
                                      .hash_bits = referee.options().runtime.cache_hash_bits,
                                      .block_size = block_size_};
    Arena measure;
    const BlockCache::Memory measured(measure, options);
    const std::span<std::byte> buffer = poisoned_memory(referee, measure.used());
    // Where the ways lie, for they are all that tells one from another.
    Arena layout{buffer};
    places_ = BlockCache::Memory(layout, options).blocks.data();
    Arena arena{buffer};
    cache_.emplace(arena, options);

    sets_.resize(options.blocks_count / ways);
    const u32 bits = options.hash_bits;
    for (u64 one = 1; one <= addresses_; ++one) {
      const u64 hash = bits == 0 ? 0 : hash_of(one) >> (64 - bits) << (64 - bits);
      set_index_.push_back(static_cast<u64>(u128{hash} * sets_.size() >> 64));
      sets_[set_index_.back()].members.push_back(one);
    }
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    const u64 address = 1 + line.arguments[0] % addresses_;
    const u64 more = line.arguments[1];
    if (verb == "insert") {
      insert(address);
      use(address, more);
    } else if (verb == "get") {
      use(address, more + 1);
    } else if (verb == "read") {
      for (u64 i = 0; i <= more; ++i) read(1 + (address + i - 1) % addresses_);
    } else if (verb == "create") {
      create(address, more != 0);
    } else if (verb == "stale") {
      const u64 version = versions_[address];
      (void)get(address, more >= version ? version + 1 : version - more);
    } else if (verb == "demote") {
      for (u64 i = 0; i <= more; ++i) demote(1 + (address + i - 1) % addresses_);
    } else if (verb == "remove") {
      for (u64 i = 0; i <= more; ++i) remove(1 + (address + i - 1) % addresses_);
    } else if (verb == "crowd") {
      crowd(address, more);
    } else {
      ASSERT(verb == "compare");
      compare();
    }
    check(*referee_, cache_->count() == cached_, "another count",
          [&] { return fmt::format("{} blocks are cached, expected {}", cache_->count(), cached_); });
  }

  void finish() override {
    compare();
    for (u64 address = 1; address <= addresses_; ++address) use(address, 1);
    for (u64 address = 1; address <= addresses_; ++address) remove(address);
    check(*referee_, cache_->count() == 0, "blocks are left when all are removed",
          [&] { return fmt::format("{} blocks are left", cache_->count()); });
  }

 private:
  struct alignas(4096) Page {
    std::byte bytes[4096];
  };

  Set& set_of(u64 address) { return sets_[set_index_[address - 1]]; }
  Way* find(u64 address) {
    for (Way& way : set_of(address).way) {
      if (way.count > 0 && way.address == address) return &way;
    }
    return nullptr;
  }
  // From one block to the next.
  u64 stride() const { return block_size_ + BlockCache::gap; }
  const std::byte* place_of(u64 address, const Way& way) {
    const u64 index = static_cast<u64>(&way - set_of(address).way.data());
    return places_ + (set_index_[address - 1] * ways + index) * stride();
  }

  // --- blocks: any bytes that differ from those of other addresses and versions

  static u64 key(u64 address, u64 version) { return hash_of(address << 24 ^ version); }
  static Checksum checksum(u64 address, u64 version) {
    return Checksum{version} << 64 | key(address, version);
  }

  const std::byte* make(u64 address, u64 version) {
    std::byte* block = block_.data()->bytes;
    const u64 random = key(address, version);
    const u32 body = static_cast<u32>(below(random, block_size_ - block_header_size + 1));
    block_init(block);
    BlockHeader& header = header_of(block);
    header.checksum = checksum(address, version);
    header.address = address;
    header.size = block_header_size + body;
    std::memset(block + block_header_size, static_cast<int>(random >> 56 | 1), body);
    if (body >= sizeof(random)) std::memcpy(block + header.size - sizeof(random), &random, sizeof(random));
    return block;
  }

  // --- calls

  bool get(u64 address, u64 version) {
    Way* way = find(address);
    const bool expected = way != nullptr && way->version == version;
    const std::byte* data = cache_->get({.address = address, .checksum = checksum(address, version)});
    check(*referee_, (data != nullptr) == expected, "get: another answer", [&] {
      return fmt::format("version {} of block {} is {}, expected {}", version, address,
                         data == nullptr ? "missing" : "found", expected ? "found" : "missing");
    });
    referee_->answer(address, data == nullptr ? 0 : 1 + static_cast<u64>(data - places_) / stride());
    if (!expected) return false;
    way->count = std::min(way->count + 1, count_max);
    check(*referee_, data == place_of(address, *way), "get: another way", [&] {
      return fmt::format("block {} is at place {}, expected {}", address,
                         static_cast<u64>(data - places_) / stride(),
                         static_cast<u64>(place_of(address, *way) - places_) / stride());
    });
    const std::byte* block = make(address, version);
    check(*referee_, std::memcmp(data, block, header_of(block).size) == 0, "get: other bytes",
          [&] { return fmt::format("block {} of version {} has other bytes", address, version); });
    return true;
  }

  void use(u64 address, u64 times) {
    for (u64 i = 0; i < times; ++i) (void)get(address, versions_[address]);
  }

  void insert(u64 address) {
    Set& set = set_of(address);
    Way* way = find(address);
    u64 evicted = 0;
    if (way == nullptr) {
      way = &advance_hand(set);
      evicted = way->address;
      if (evicted == 0) ++cached_;
    }
    *way = {.address = address, .version = versions_[address], .count = 1};
    cache_->insert(make(address, way->version));
    referee_->answer(address, evicted);
    if (evicted != 0) {
      check(*referee_, !cache_->contains(evicted), "insert: another block is evicted", [&] {
        return fmt::format("block {} is still cached, and should have made room for {}", evicted, address);
      });
    }
    for (const Way& one : set.way) {
      if (one.count == 0) continue;
      check(*referee_, cache_->contains(one.address), "insert: another block is evicted", [&] {
        return fmt::format("inserting block {} evicted {}, expected {}", address, one.address, evicted);
      });
    }
  }

  // To the first way that has no chance left.
  static Way& advance_hand(Set& set) {
    while (true) {
      Way& way = set.way[set.hand];
      set.hand = (set.hand + 1) % ways;
      if (way.count > 0) --way.count;
      if (way.count == 0) return way;
    }
  }

  void read(u64 address) {
    if (!get(address, versions_[address])) insert(address);
  }

  void create(u64 address, bool over) {
    if (!over) {
      demote(address);
      remove(address);
    }
    ++versions_[address];
    insert(address);
  }

  void demote(u64 address) {
    cache_->demote(address);
    if (Way* way = find(address)) way->count = 1;
    contains(address);
  }

  void remove(u64 address) {
    Way* way = find(address);
    cache_->remove(address);
    if (way != nullptr) {
      // Whoever still has a pointer to the block must not take it for one.
      const std::byte* place = place_of(address, *way);
      unpoison(place, block_header_size);
      const BlockHeader header = header_of(place);
      poison(place, block_header_size);
      check(*referee_, header.address == 0 && header.checksum == 0, "remove: the header stays",
            [&] { return fmt::format("block {} can still be taken for one", address); });
      *way = Way{};
      --cached_;
    }
    contains(address);
  }

  void crowd(u64 address, u64 run) {
    Set& set = set_of(address);
    for (u64 i = 0; i <= run; ++i) {
      read(set.members[set.crowd % set.members.size()]);
      ++set.crowd;
    }
  }

  void contains(u64 address) {
    const bool expected = find(address) != nullptr;
    check(*referee_, cache_->contains(address) == expected, "contains: another answer", [&] {
      return fmt::format("block {} is {}, expected {}", address, expected ? "missing" : "found",
                         expected ? "found" : "missing");
    });
  }

  void compare() {
    for (u64 address = 1; address <= addresses_; ++address) contains(address);
  }

  Referee* referee_;
  u64 addresses_;
  u32 block_size_;
  std::vector<u64> versions_;   // What each address holds, by address.
  std::vector<u64> set_index_;  // Of each address from 1.
  std::vector<Page> block_;     // The block made last.
  const std::byte* places_;
  Tested<BlockCache> cache_;
  std::vector<Set> sets_;
  u64 cached_ = 0;
};

}  // namespace

std::unique_ptr<Component> make_cache(Referee& referee) { return std::make_unique<CacheComponent>(referee); }

}  // namespace tonearm::sim
