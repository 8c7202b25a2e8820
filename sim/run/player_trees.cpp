// At the end of a run the data file meets an engine of other trees, which must refuse it: what it would read
// would not be what was written. And one with a limit too low for what the file holds.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/decode/disk_format.h"
#include "sim/decode/open_error.h"
#include "sim/disk/engine_code.h"
#include "sim/run/groove_engine.h"
#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

constexpr u32 schema_hash_at = 48;

// The kernel of another tree with other sizes or another usage.
class OtherKernel final : public TableKernel {
 public:
  OtherKernel(const TableKernel& of, u32 key_size, u32 value_size, TableUsage usage)
      : TableKernel(key_size, value_size, usage), of_(&of) {}

  Key key_of(const std::byte* value) const override { return of_->key_of(value); }
  bool is_tombstone(const std::byte* value) const override { return of_->is_tombstone(value); }
  void make_tombstone(const Key& key, std::byte* value) const override { of_->make_tombstone(key, value); }
  Key key_max() const override { return of_->key_max(); }
  u32 lower_bound(const std::byte* values, u32 count, const Key& key) const override {
    return of_->lower_bound(values, count, key);
  }
  void fetch(const std::byte* values, u32 count) const override { of_->fetch(values, count); }
  const std::byte* find_last(const std::byte* values, u32 count, const Key& key) const override {
    return of_->find_last(values, count, key);
  }
  void sort(std::byte* values, u32 count, std::byte* scratch) const override {
    of_->sort(values, count, scratch);
  }
  void merge_runs(std::byte* values, u32 left, u32 right, std::byte* scratch) const override {
    of_->merge_runs(values, left, right, scratch);
  }
  u32 dedupe(std::byte* values, u32 count, Key* dropped) const override {
    return of_->dedupe(values, count, dropped);
  }
  MergeResult merge(const MergeStep& step) const override { return of_->merge(step); }
  MergedHeads merge_heads(std::span<StreamHead> heads, Direction direction,
                          std::span<const std::byte*> output) const override {
    return of_->merge_heads(heads, direction, output);
  }
  Key key_read(const std::byte* keys, u32 index) const override { return of_->key_read(keys, index); }
  void key_write(std::byte* keys, u32 index, const Key& key) const override {
    of_->key_write(keys, index, key);
  }
  u32 keys_lower_bound(const std::byte* keys, u32 count, const Key& key) const override {
    return of_->keys_lower_bound(keys, count, key);
  }

 private:
  const TableKernel* of_;
};

struct OtherTrees {
  std::vector<TreeConfig> trees;
  std::optional<OtherKernel> kernel;  // Of one of them.
  const char* what = "";              // Differs.
};

void change_kernel(OtherTrees* other, TreeConfig& tree, u64 what, u64 random) {
  u32 key_size = tree.kernel->key_size();
  u32 value_size = tree.kernel->value_size();
  TableUsage usage = tree.kernel->usage();
  switch (what) {
    case 0:
      other->what = "a value size";
      value_size = (random & 1) == 0 && value_size > 8 ? value_size / 2 : value_size * 2;
      break;
    case 1:
      other->what = "a key size";
      key_size = key_size == 16 ? ((random & 1) == 0 ? 8 : 32) : 16;
      break;
    default:
      other->what = "a usage";
      usage = usage == TableUsage::general ? TableUsage::secondary_index : TableUsage::general;
      break;
  }
  other->kernel.emplace(*tree.kernel, key_size, value_size, usage);
  tree.kernel = &*other->kernel;
}

void change_trees(OtherTrees* other, u64 random) {
  std::vector<TreeConfig>& trees = other->trees;
  const std::size_t at = below(remix(random, 1), trees.size());
  const u64 what = below(random, 8);
  switch (what) {
    case 3:
      other->what = "how many values a change may put";
      trees[at].values_per_change = 3 - trees[at].values_per_change;
      return;
    case 4:
      other->what = "the ids from one on";
      for (std::size_t i = at; i < trees.size(); ++i) ++trees[i].id;
      return;
    case 5:
      other->what = "a tree more";
      trees.push_back(trees.back());
      ++trees.back().id;
      return;
    case 6:
      other->what = "a tree less";
      trees.erase(trees.begin() + static_cast<std::ptrdiff_t>(at));
      return;
    case 7: {
      other->what = "two trees changed places";
      const auto differs = [&trees, at](const TreeConfig& tree) {
        return tree.kernel->key_size() != trees[at].kernel->key_size() ||
               tree.kernel->value_size() != trees[at].kernel->value_size() ||
               tree.kernel->usage() != trees[at].kernel->usage();
      };
      const auto found = std::find_if(trees.begin(), trees.end(), differs);
      ASSERT(found != trees.end());
      std::swap(found->kernel, trees[at].kernel);
      std::swap(found->values_per_change, trees[at].values_per_change);
      return;
    }
    default: return change_kernel(other, trees[at], what, remix(random, 2));
  }
}

}  // namespace

void Player::verify_trees(u64 random) {
  if (!host_) return;
  OtherTrees other;
  for (u32 i = 0; i < world_.count; ++i) other.trees.push_back(host_->tree(world_.tree(i)).config());
  change_trees(&other, remix(random, 1));
  ForestOptions options{.format = options_.format,
                        .runtime = options_.runtime,
                        .trees = other.trees,
                        .cluster = engine_cluster};
  // It never gets to the blocks: the least of everything does.
  options.runtime.blocks_count = 64;
  options.runtime.cache_blocks = 16;
  if (Forest::validate(options)) return;
  const Image& image = whole(disk_->truth_durable());
  CopyBytes copy(f::copy_size);
  for (u32 i = f::copies; i-- > 0;) {
    if (decoded_.copies[i].intact) image.read(u64{i} * f::copy_size, copy);
  }
  const u64 stored = f::load<u64>(copy, f::copy_format + schema_hash_at);
  SimStorage disk(image, shadow_disk(options_), nullptr);
  Forest forest(disk, options, memory_->shadow.take(Forest::memory_required(options)));
  bool done = false;
  {
    const EngineCode engine;
    forest.open(Callback<>::plain(&done, [](void* flag) { *static_cast<bool*>(flag) = true; }));
  }
  while (!done) ASSERT(disk.step());
  ++result_.counters.checks;
  const Error& error = forest.error();
  const bool refused = error.kind == ErrorKind::options_mismatch &&
                       std::string_view(error.field) == "schema_hash" && error.stored == stored &&
                       error.given != stored && error.given == forest.format_options().schema_hash &&
                       error.address == 0 && error.reason == open_reason(ErrorKind::options_mismatch, {});
  disk.crash({});
  if (refused) return;
  fail(FailureClass::oracle, "open: other trees",
       fmt::format("the file has trees by {:x}; opened with other ones ({}), by {:x}, it ends in {} ({}, "
                   "field `{}`, stored {:x}, given {:x})",
                   stored, other.what, forest.format_options().schema_hash, error_name(error.kind),
                   error.reason, error.field, error.stored, error.given));
}

// One step less than the image needs, which every other shadow of it is given.
void Player::verify_limit() {
  RunOptions options = options_least();
  const u64 given = superblock_zone_size + (options.runtime.blocks_count - 64) * options_.format.block_size;
  if (given >= decoded_.storage_size) return;
  options.runtime.blocks_count -= 64;
  if (engine_validate(world_, options)) return;  // There is no limit below the least one.
  Shadow shadow(world_, whole(disk_->truth_durable()), options, memory_->shadow,
                config_->oracles.has(Oracle::resource), config_->poison);
  const Error error = shadow.host().open();
  ++result_.counters.checks;
  if (error.kind == ErrorKind::storage_size && error.stored == decoded_.storage_size &&
      error.given == given && error.reason == open_reason(error.kind, {}))
    return;
  fail(FailureClass::oracle, "open: a storage limit that is too low",
       fmt::format("an image of {} bytes, opened with a limit of {}, ends in {} ({}, stored {}, given {})",
                   decoded_.storage_size, given, error_name(error.kind), error.reason, error.stored,
                   error.given));
}

}  // namespace tonearm::sim
