#include "sim/component/many_trees.h"

#include <fmt/format.h>

#include <optional>

#include "forest/forest_verify.h"
#include "sim/component/support.h"
#include "sim/disk/engine_code.h"
#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

// Nothing else is asked of it than that it has room.
constexpr FormatOptions format{.sector_size = 512,
                               .block_size = 1024,
                               .levels = 2,
                               .growth = 2,
                               .beats = 2,
                               .checkpoint_interval = 4,
                               .batch_values_max = 1};
constexpr u64 keys_max = 4;

DiskOptions disk_options(const ForestOptions& options) {
  DiskOptions disk;
  disk.sector_size = options.format.sector_size;
  disk.block_size = options.format.block_size;
  disk.blocks_count = options.runtime.blocks_count;
  disk.policy = CompletionPolicy::fifo;
  return disk;
}

class ManyTrees {
 public:
  ManyTrees(Referee& referee, const ForestOptions& options)
      : referee_(referee), options_(options), disk_(referee.pages(), disk_options(options), nullptr) {}
  ~ManyTrees() { disk_.crash({}); }

  void play() {
    construct();
    call("format", [this] { forest_->format(done()); });
    open();
    // The tree at place i has 1 + i % keys_max keys, one of each op.
    for (u64 op = 1; forest_->checkpoint_op() < keys_max; ++op) {
      for (u32 i = 0; i < forest_->tree_count(); ++i) {
        if (op <= keys_of(i)) put(i, op);
      }
      call("compact", [this, op] { forest_->compact(op, done()); });
      if (!forest_->checkpoint_due(op)) continue;
      call("checkpoint", [this] { forest_->checkpoint(done()); });
      const EngineCode engine;
      forest_->mark_checkpoint_durable();
    }
    verify();
    disk_.crash({});
    construct();
    open();
    verify();
  }

 private:
  static u64 keys_of(u32 tree) { return 1 + tree % keys_max; }

  Callback<> done() {
    return Callback<>::plain(&done_, [](void* flag) { *static_cast<bool*>(flag) = true; });
  }

  void construct() {
    verify_.reset();
    forest_.reset();
    const u64 size = round_up(Forest::memory_required(options_), Arena::align_max);
    Arena measuring;
    ForestVerify::measure(measuring, options_);
    const std::span<std::byte> memory = poisoned_memory(referee_, size + measuring.used());
    forest_.emplace(disk_, options_, memory.first(size));
    arena_.emplace(memory.subspan(size));
    verify_.emplace(*forest_, *arena_);
  }

  template <class F>
  void call(const char* name, F part) {
    {
      const EngineCode engine;
      part();
    }
    referee_.pump(disk_, done_);
    const Error& error = forest_->error();
    check(referee_, !error, "many trees: an error", [&] {
      return fmt::format("{} of {} trees ends in {} ({})", name, options_.trees.size(),
                         error_name(error.kind), error.reason);
    });
  }

  void open() {
    call("open", [this] { forest_->open(done()); });
    const EngineCode engine;
    forest_->mark_checkpoint_durable();
  }

  void put(u32 tree, u64 key) {
    const KvTraits::Value value{.key_and_flag = key, .payload = tree};
    PutResult result;
    {
      const EngineCode engine;
      result = forest_->tree(tree).put(reinterpret_cast<const std::byte*>(&value));
    }
    check(referee_, result == PutResult::ok, "many trees: a put is refused",
          [&] { return fmt::format("key {} of tree {}", key, options_.trees[tree].id); });
  }

  // Each tree has a table, which has its keys.
  void verify() {
    call("verify", [this] { verify_->run(nullptr, done()); });
    u64 keys = 0;
    for (u32 i = 0; i < options_.trees.size(); ++i) keys += keys_of(i);
    const Error& error = verify_->error();
    const ForestVerify::Counts& counts = verify_->counts();
    referee_.answer(counts.index, counts.keys);
    check(referee_, !error && counts.keys == keys && counts.index >= options_.trees.size(),
          "many trees: another verification", [&] {
            return fmt::format(
                "{} trees have {} keys; verification ended in {} ({}), {} index blocks and {} keys",
                options_.trees.size(), keys, error_name(error.kind), error.reason, counts.index, counts.keys);
          });
  }

  Referee& referee_;
  ForestOptions options_;
  SimStorage disk_;
  std::optional<Forest> forest_;
  std::optional<Arena> arena_;
  std::optional<ForestVerify> verify_;
  bool done_ = false;
};

}  // namespace

void play_many_trees(Referee& referee, std::span<const TreeConfig> trees) {
  ForestOptions options{.format = format, .runtime = {}, .trees = trees};
  options.runtime.blocks_count = 4096;
  options.runtime.cache_blocks = 16;
  check(referee, !Forest::validate(options), "many trees: refused",
        [&] { return fmt::format("{} trees", trees.size()); });
  ManyTrees(referee, options).play();
}

}  // namespace tonearm::sim
