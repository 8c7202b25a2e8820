#include "sim/run/engine.h"

#include "sim/run/groove_engine.h"
#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

constexpr TreeConfig three_trees[world_tree.count] = {
    {.id = 1, .name = "kv", .kernel = &kv_kernel},
    {.id = 2, .name = "index", .kernel = &index_kernel},
    {.id = 3, .name = "id", .kernel = &id_kernel},
};

ForestOptions forest_options(const RunOptions& options, Storage* mirror = nullptr) {
  return {.format = options.format,
          .runtime = options.runtime,
          .trees = three_trees,
          .cluster = engine_cluster,
          .mirror = mirror};
}

class TreesEngine final : public Engine {
 public:
  TreesEngine(Storage& storage, Storage* mirror, const RunOptions& options, std::span<std::byte> memory)
      : forest_(storage, forest_options(options, mirror), memory) {}

  Forest& forest() override { return forest_; }
  GrooveEngine* groove(GrooveName) override { return nullptr; }
  ScanBuilder* scans() override { return nullptr; }
  void format(Callback<> done) override { forest_.format(done); }
  void open(Callback<> done) override { forest_.open(done); }
  void compact(u64 op, Callback<> done) override { forest_.compact(op, done); }
  void checkpoint(Callback<> done) override { forest_.checkpoint(done); }
  void mark_checkpoint_durable() override { forest_.mark_checkpoint_durable(); }
  bool scope_open() override { return forest_.scope_open(); }
  void scope_close(ScopeMode mode) override { forest_.scope_close(mode); }
  std::span<const GrooveVerify::Reader> readers() const override { return {}; }

 private:
  Forest forest_;
};

}  // namespace

OptionsError engine_validate(const World& world, const RunOptions& options) {
  if (world.groove_count > 0) return groove_engine_validate(world, options);
  return Forest::validate(forest_options(options));
}

u64 engine_memory_required(const World& world, const RunOptions& options) {
  if (world.groove_count > 0) return groove_engine_memory_required(world, options);
  return Forest::memory_required(forest_options(options));
}

std::unique_ptr<Engine> make_engine(const World& world, Storage& storage, Storage* mirror,
                                    const RunOptions& options, std::span<std::byte> memory) {
  if (world.groove_count > 0) return make_groove_engine(world, storage, mirror, options, memory);
  return std::make_unique<TreesEngine>(storage, mirror, options, memory);
}

}  // namespace tonearm::sim
