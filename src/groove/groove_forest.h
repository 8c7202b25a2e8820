// Grooves that live in one data file: compacted in step, checkpointed and recovered together.
//
//     using Engine = GrooveForest<Notes, Events>;
//     Engine engine(storage, options, memory);          // memory: Engine::memory_required(options) bytes
//     engine.groove<Notes>().prefetch_enqueue(id);
//
// What an op, a bar, a checkpoint, an error and a crash are is told in forest/forest.h; all of it holds
// here. The object caches are in memory only: they are empty after open().
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/math.h"
#include "groove/groove.h"
#include "groove/scan_lookup.h"

namespace tonearm {

struct GrooveForestOptions {
  FormatOptions format;  // batch_values_max: objects that one op may change in each groove.
  RuntimeOptions runtime;
  GrooveOptions groove;
  u128 cluster = 1;           // Identity of the data file, for format().
  Storage* mirror = nullptr;  // See ForestOptions.
};

namespace detail {

template <class... Descriptions>
consteval auto trees_by_id() {
  std::array<TreeConfig, (Descriptions::tree_count + ...)> all{};
  std::size_t count = 0;
  const auto insert = [&](const TreeConfig& tree) {
    std::size_t at = count++;
    for (; at > 0 && all[at - 1].id > tree.id; --at) all[at] = all[at - 1];
    all[at] = tree;
  };
  const auto insert_all = [&](const auto& trees) {
    for (const TreeConfig& tree : trees) insert(tree);
  };
  (insert_all(Descriptions::trees()), ...);
  return all;
}

template <std::size_t Size>
consteval bool ids_unique(const std::array<TreeConfig, Size>& trees) {
  for (std::size_t i = 1; i < Size; ++i) {
    if (trees[i - 1].id == trees[i].id) return false;
  }
  return true;
}

template <class Description>
struct GrooveHolder {
  Groove<Description> groove;
};

// In the order of the descriptions, which is that of their memory.
template <class... Descriptions>
struct Grooves : GrooveHolder<Descriptions>... {
  Grooves(Arena& arena, Forest& forest, ScanBuilder& scans, const GrooveForestOptions& options)
      : GrooveHolder<Descriptions>{
            Groove<Descriptions>(arena, forest, scans, options.format, options.groove)}... {}
};

}  // namespace detail

template <class... Descriptions>
class GrooveForest {
 public:
  using Options = GrooveForestOptions;
  static constexpr u32 tree_count = (Descriptions::tree_count + ...);

  // Of all grooves, by id: the order of Forest::tree().
  static std::span<const TreeConfig> trees() { return trees_; }

  // Every rule that options must obey.
  static OptionsError validate(const Options& options);
  // Bytes of the buffer, aligned to 4096. The options must be valid.
  static u64 memory_required(const Options& options);

  GrooveForest(Storage& storage, const Options& options, std::span<std::byte> memory);
  GrooveForest(const GrooveForest&) = delete;

  template <class Description>
  Groove<Description>& groove() {
    return static_cast<detail::GrooveHolder<Description>&>(grooves_).groove;
  }

  // Of all grooves: merges their scans, and releases them. None may be open when an op changes anything or
  // ends, nor when a scope begins or ends.
  ScanBuilder& scans() { return scans_; }

  // As those of the forest. No prefetch may run.
  void format(Callback<> done) { forest_.format(done); }
  void open(Callback<> done) { forest_.open(done); }
  void compact(u64 op, Callback<> done);
  void checkpoint(Callback<> done);
  bool checkpoint_due(u64 op) const { return forest_.checkpoint_due(op); }
  void mark_checkpoint_durable() { forest_.mark_checkpoint_durable(); }

  // A scope over all trees and caches of all grooves. False: refused, see error(); no scope is open.
  bool scope_open();
  void scope_close(ScopeMode mode);
  bool scope_active() const { return forest_.scope_active(); }

  const Error& error() const { return forest_.error(); }
  u64 op() const { return forest_.op(); }
  // For reading: changes that go past the grooves leave objects, ids and indexes in disagreement.
  Forest& forest() { return forest_; }
  const Forest& forest() const { return forest_; }

 private:
  static constexpr auto trees_ = detail::trees_by_id<Descriptions...>();
  static_assert(detail::ids_unique(trees_), "groove: two grooves of the forest have a tree of the same id");
  static_assert(unique(std::array<std::string_view, sizeof...(Descriptions)>{Descriptions::name.view()...}),
                "groove: two grooves of the forest have the same name");
  static_assert(tree_count <= trees_max, "groove: the forest has more than 64 trees");

  static ForestOptions forest_options(const Options& options) {
    return {.format = options.format,
            .runtime = options.runtime,
            .trees = trees_,
            .cluster = options.cluster,
            .mirror = options.mirror};
  }
  static u64 forest_memory(const Options& options) {
    return round_up(Forest::memory_required(forest_options(options)), Arena::align_max);
  }
  static ScanBuilder::Options scan_options(const Options& options) {
    return {.scans_max = options.runtime.scans_max, .sort_timestamps = options.groove.scan_sort_timestamps};
  }
  static void measure(Arena& arena, const Options& options) {
    ScanBuilder::measure(arena, scan_options(options));
    (Groove<Descriptions>::measure(arena, options.format, options.groove), ...);
  }
  template <class Visit>
  void each_groove(Visit&& visit) {
    (visit(groove<Descriptions>()), ...);
  }
  void compact_done();

  Forest forest_;
  Arena arena_;  // Behind the forest's part of the memory.
  ScanBuilder scans_;
  detail::Grooves<Descriptions...> grooves_;
  Callback<> done_;
};

template <class... Descriptions>
OptionsError GrooveForest<Descriptions...>::validate(const Options& options) {
  if (const OptionsError error = Forest::validate(forest_options(options))) return error;
  return tonearm::validate(options.groove);
}

template <class... Descriptions>
u64 GrooveForest<Descriptions...>::memory_required(const Options& options) {
  ASSERT(!validate(options));
  Arena arena;
  measure(arena, options);
  return forest_memory(options) + arena.used();
}

template <class... Descriptions>
GrooveForest<Descriptions...>::GrooveForest(Storage& storage, const Options& options,
                                            std::span<std::byte> memory)
    : forest_(storage, forest_options(options), memory.first(forest_memory(options))),
      arena_(memory.subspan(forest_memory(options))),
      scans_(arena_, scan_options(options), forest_.scan_buffers(), storage),
      grooves_(arena_, forest_, scans_, options) {
  ASSERT(!validate(options));
  ASSERT(forest_memory(options) + arena_.used() == memory_required(options));
}

template <class... Descriptions>
void GrooveForest<Descriptions...>::compact(u64 op, Callback<> done) {
  ASSERT(!done_ && "wait until the forest is done");
  each_groove([](auto& groove) { ASSERT(!groove.prefetching() && "wait until the prefetch is done"); });
  done_ = done;
  forest_.compact(op, Callback<>::to<&GrooveForest::compact_done>(this));
}

// After an error the op has not ended: its values are still in the mutable tables.
template <class... Descriptions>
void GrooveForest<Descriptions...>::compact_done() {
  if (!error()) {
    const bool bar_ends = Beat{.op = op(), .beats = forest_.format_options().beats}.last();
    each_groove([bar_ends](auto& groove) { groove.op_end(bar_ends); });
  }
  const Callback<> done = done_;
  done_ = {};
  done();
}

template <class... Descriptions>
void GrooveForest<Descriptions...>::checkpoint(Callback<> done) {
  each_groove([](auto& groove) { ASSERT(!groove.prefetching() && "wait until the prefetch is done"); });
  forest_.checkpoint(done);
}

template <class... Descriptions>
bool GrooveForest<Descriptions...>::scope_open() {
  if (!forest_.scope_open()) {
    mark(Mark::groove_refused);
    return false;
  }
  each_groove([](auto& groove) { groove.scope_open(); });
  return true;
}

template <class... Descriptions>
void GrooveForest<Descriptions...>::scope_close(ScopeMode mode) {
  forest_.scope_close(mode);
  each_groove([mode](auto& groove) { groove.scope_close(mode); });
}

}  // namespace tonearm
