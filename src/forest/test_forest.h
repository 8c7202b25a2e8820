// For tests of the forest: one over a simulated disk, driven synchronously, with its model beside it.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/mark.h"
#include "forest/forest.h"
#include "forest/test_error_storage.h"
#include "sim/disk/sim_storage.h"
#include "table/tree_types.h"

namespace tonearm {

// The trees of the tests: index 0 general, index 1 secondary index.
inline constexpr TreeConfig test_trees[] = {
    {.id = 1, .name = "kv", .kernel = &kv_kernel},
    {.id = 2, .name = "index", .kernel = &index_kernel},
};
inline constexpr u32 kv = 0;
inline constexpr u32 index_tree = 1;

// Tables of 16 values in blocks of 2; checkpoints at triggers 11, 19, 27, ... of ops up to 7, 15, 23, ...
inline ForestOptions test_options() {
  ForestOptions options;
  options.format = {.sector_size = 512,
                    .block_size = 1024,
                    .levels = 4,
                    .growth = 2,
                    .beats = 4,
                    .checkpoint_interval = 8,
                    .batch_values_max = 4,
                    .values_per_block_max = 2};
  options.runtime.blocks_count = 1024;
  options.runtime.cache_blocks = 64;
  options.runtime.read_iops = 4;
  options.runtime.write_iops = 4;
  options.runtime.compaction_blocks = 12;
  options.trees = test_trees;
  return options;
}

class MarkCounter {
 public:
  MarkCounter() {
    set_mark_hook({.context = this, .hit = [](void* context, Mark mark, u16, const Key*) {
                     ++static_cast<MarkCounter*>(context)->counts_[static_cast<u32>(mark)];
                   }});
  }
  ~MarkCounter() { set_mark_hook({}); }
  MarkCounter(const MarkCounter&) = delete;
  u64 operator[](Mark mark) const { return counts_[static_cast<u32>(mark)]; }
  void reset() { counts_ = {}; }

 private:
  std::array<u64, mark_count> counts_{};
};

class TestForest {
 public:
  using Rows = std::vector<std::pair<u64, u64>>;  // Key and payload.

  explicit TestForest(const ForestOptions& options,
                      sim::DurabilityProfile profile = sim::DurabilityProfile::durable)
      : options_(options), storage_(pages_, disk_options(options, profile), nullptr) {
    construct();
  }
  ~TestForest() { storage_.crash({}); }

  Forest& operator*() { return *forest_; }
  Forest* operator->() { return &*forest_; }
  sim::SimStorage& storage() { return storage_; }
  ErrorStorage& errors() { return errors_; }
  Tree& tree(u32 index) { return forest_->tree(index); }
  const std::map<u64, u64>& model(u32 tree) const { return models_[tree]; }
  std::span<const std::byte> memory() const { return memory_; }

  // A formatted and opened forest.
  TestForest& begin() {
    forest_->format(callback());
    pump();
    REQUIRE_FALSE(forest_->error());
    const Error error = open();
    REQUIRE(error.kind == ErrorKind::none);
    forest_->mark_checkpoint_durable();
    return *this;
  }
  Error open() {
    forest_->open(callback());
    pump();
    return forest_->error();
  }
  // Drops the engine as a crash does; another one, maybe with other options, opens the disk.
  Error reopen(const ForestOptions& options) {
    storage_.crash({});
    errors_.crash();
    forest_.reset();
    options_ = options;
    storage_.reconfigure(disk_options(options, storage_.options().profile));
    construct();
    return open();
  }
  Error reopen() { return reopen(options_); }

  PutResult put(u64 key, u64 payload) {
    const KvTraits::Value value{.key_and_flag = key, .payload = payload};
    const PutResult result = tree(kv).put(reinterpret_cast<const std::byte*>(&value));
    if (result == PutResult::ok) models_[kv][key] = payload;
    return result;
  }
  PutResult remove(u64 key) {
    const PutResult result = tree(kv).remove(Key::of(key));
    if (result == PutResult::ok) models_[kv].erase(key);
    return result;
  }
  PutResult index_put(u64 field) {
    const IndexTraits::Value value{.field = field, .timestamp_and_flag = 1};
    const PutResult result = tree(index_tree).put(reinterpret_cast<const std::byte*>(&value));
    if (result == PutResult::ok) models_[index_tree][field] = 0;
    return result;
  }
  PutResult index_remove(u64 field) {
    const PutResult result = tree(index_tree).remove(key_of(index_tree, field));
    if (result == PutResult::ok) models_[index_tree].erase(field);
    return result;
  }
  void set_models(const std::array<std::map<u64, u64>, 2>& models) { models_ = models; }
  const std::array<std::map<u64, u64>, 2>& models() const { return models_; }

  // One op: compaction, and the checkpoint that is due. A checkpoint becomes reusable-durable at its
  // trigger, in a replay as well: that decides which addresses are free when.
  Error commit() {
    const u64 op = forest_->op() + 1;
    forest_->compact(op, callback());
    pump();
    if (forest_->error()) return forest_->error();
    if (forest_->checkpoint_due(op)) {
      forest_->checkpoint(callback());
      pump();
      if (forest_->error()) return forest_->error();
    }
    if (op >= forest_->checkpoint_op() + options_.format.beats) forest_->mark_checkpoint_durable();
    return {};
  }
  Error checkpoint() {
    forest_->checkpoint(callback());
    pump();
    return forest_->error();
  }
  void commits(u64 count) {
    for (u64 i = 0; i < count; ++i) {
      const Error error = commit();
      INFO("op " << forest_->op() << ": " << error_name(error.kind) << " " << error.reason);
      REQUIRE(error.kind == ErrorKind::none);
    }
  }
  void commit_to(u64 op) {
    REQUIRE(op >= forest_->op());
    commits(op - forest_->op());
  }

  static Key key_of(u32 tree, u64 key) { return Key::of(tree == kv ? u128{key} : u128{key} << 64 | 1); }

  // Through memory, cache and storage, as a caller does; cold: no cached block may answer.
  std::optional<u64> get(u32 index, u64 number, bool cold) {
    const Key key = key_of(index, number);
    Tree& asked = tree(index);
    if (const std::byte* value = asked.lookup_from_memory(key)) {
      return asked.kernel().is_tombstone(value) ? std::nullopt : std::optional(payload(index, value));
    }
    Tree::Lookup lookup;
    if (!cold) {
      const Tree::CacheLookup cached = asked.lookup_from_levels_cache(key);
      if (cached.kind == Tree::CacheLookup::Kind::negative) return {};
      if (cached.kind == Tree::CacheLookup::Kind::positive) return payload(index, cached.value);
      lookup.level_min = cached.level;
    }
    lookup.key = key;
    lookup.cache_read = !cold;
    lookup.done = Callback<Tree::Lookup&>::to<&TestForest::lookup_done>(this);
    asked.lookup_from_levels_storage(lookup);
    pump();
    REQUIRE_FALSE(lookup.error);
    if (!lookup.found) return {};
    return payload(index, lookup.value.data());
  }

  Rows scan(u32 index, u64 min, u64 max, Direction direction, bool cold) {
    Tree& asked = tree(index);
    TreeScan& scan =
        forest_->scan_open(asked, {.min = key_of(index, min), .max = key_of(index, max)}, direction, !cold);
    Rows rows;
    for (;;) {
      const std::byte* value = nullptr;
      const TreeScan::Next next = scan.next(&value);
      if (next == TreeScan::Next::value) {
        const u128 key = asked.kernel().key_of(value).lo;
        rows.emplace_back(static_cast<u64>(index == kv ? key : key >> 64), payload(index, value));
      } else if (next == TreeScan::Next::read_again) {
        scan.read(callback());
        pump();
      } else {
        REQUIRE(next == TreeScan::Next::end);
        break;
      }
    }
    scan.close();
    return rows;
  }
  Rows expected(u32 index, u64 min, u64 max, Direction direction) const {
    const auto& map = models_[index];
    Rows rows(map.lower_bound(min), map.upper_bound(max));
    if (direction == Direction::descending) rows = Rows(rows.rbegin(), rows.rend());
    return rows;
  }

  // Every key of [0, universe) by point, everything by scan, both ways.
  void check_all(u64 universe, bool cold) {
    for (u32 index = 0; index < 2; ++index) {
      INFO("tree " << index << " op " << forest_->op());
      for (u64 key = 0; key < universe; ++key) {
        const auto found = models_[index].find(key);
        const std::optional<u64> wanted =
            found == models_[index].end() ? std::nullopt : std::optional(found->second);
        INFO("key " << key);
        REQUIRE(get(index, key, cold) == wanted);
      }
      for (const Direction direction : {Direction::ascending, Direction::descending}) {
        REQUIRE(scan(index, 0, universe, direction, cold) == expected(index, 0, universe, direction));
      }
    }
  }

  u64 level_count(u32 index, u32 level) { return tree(index).manifest().level(level).count(); }
  Callback<> callback() { return Callback<>::to<&TestForest::done>(this); }
  void pump() {
    REQUIRE(done_ == 0);  // A completion never runs inside the call.
    for (u64 steps = 0; done_ == 0; ++steps) {
      REQUIRE(steps < 1'000'000);
      REQUIRE(storage_.step());
    }
    REQUIRE(done_ == 1);
    done_ = 0;
  }

  static constexpr u64 guard_size = 4096;
  static constexpr std::byte dirt{0xcd};

 private:
  static sim::DiskOptions disk_options(const ForestOptions& options, sim::DurabilityProfile profile) {
    sim::DiskOptions disk;
    disk.sector_size = options.format.sector_size;
    disk.block_size = options.format.block_size;
    disk.blocks_count = options.runtime.blocks_count;
    disk.read.latency_ticks_mean = 10;
    disk.write.latency_ticks_mean = 10;
    disk.profile = profile;
    disk.seed = 5;
    return disk;
  }
  static u64 payload(u32 index, const std::byte* value) {
    if (index != kv) return 0;
    KvTraits::Value kv_value;
    std::memcpy(&kv_value, value, sizeof kv_value);
    return kv_value.payload;
  }
  // Behind the buffer that the forest asks for is a guard.
  void construct() {
    const u64 size = Forest::memory_required(options_);
    memory_.assign(size + Arena::align_max + guard_size, dirt);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    guard_ = skip + size;
    forest_.emplace(errors_, options_, std::span(memory_).subspan(skip, size));
  }
  void done() { ++done_; }
  void lookup_done(Tree::Lookup&) { ++done_; }

 public:
  bool guard_intact() const {
    for (u64 i = guard_; i < memory_.size(); ++i) {
      if (memory_[i] != dirt) return false;
    }
    return true;
  }

 private:
  ForestOptions options_;
  sim::PageStore pages_;
  sim::SimStorage storage_;
  ErrorStorage errors_{storage_};
  std::vector<std::byte> memory_;
  u64 guard_ = 0;
  std::optional<Forest> forest_;
  std::array<std::map<u64, u64>, 2> models_;
  u32 done_ = 0;
};

// Puts and removes of random keys below `universe`, as many as an op may hold, by the rules of each tree.
inline void random_op(TestForest& forest, u64 seed, u64 universe, u32 remove_percent) {
  const sim::Stream stream("op", seed);
  for (u64 i = 0; i < 4; ++i) {
    const u64 op = forest->op();
    const u64 key = sim::below(stream.at(op, 2 * i), universe);
    const bool removes = sim::below(stream.at(op, 100 + i), 100) < remove_percent;
    REQUIRE((removes ? forest.remove(key) : forest.put(key, op * 10 + i)) == PutResult::ok);
    const u64 field = sim::below(stream.at(op, 200 + i), universe);
    const bool present = forest.model(index_tree).contains(field);
    REQUIRE((present ? forest.index_remove(field) : forest.index_put(field)) == PutResult::ok);
  }
}

}  // namespace tonearm
