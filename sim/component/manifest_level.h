// The component of the workload `manifest_level`; what it plays is told in manifest_level.cpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/component/component.h"
#include "sim/component/key_line.h"
#include "sim/component/level_model.h"
#include "sim/component/tested.h"
#include "tree/manifest.h"

namespace tonearm::sim {

class ManifestLevelComponent final : public Component {
 public:
  explicit ManifestLevelComponent(Referee& referee)
      : referee_(&referee),
        format_(referee.options().format),
        blocks_(referee.options().runtime.blocks_count),
        tables_max_(tree_tables_max(format_, blocks_)),
        random_("manifest tables", stream_seed(referee.seed(), "manifest tables")),
        line_(draw_line(referee)),
        merge_{.growth = format_.growth,
               .coalescing_percent = format_.coalescing_percent,
               .values_max = u64{format_.beats} * format_.batch_values_max} {
    levels_.resize(format_.levels);
    for (u64 address = std::min(blocks_, 2 * tables_max_); address > 0; --address) {
      addresses_.push_back(address);
    }
    infos_.resize(addresses_.size() + 1);
    values_.resize(addresses_.size() + 1);
    disk_.emplace(referee.pages(), referee.options().disk, &referee.trace());
    build();
  }

  void play(const Operation& line) override;
  void finish() override;
  SimStorage* disk() override { return &*disk_; }

 private:
  using Table = LevelModel::Table;
  using Span = LevelModel::Span;
  static constexpr u64 place_whole = 1'000'000;  // Places are given in millionths.
  static constexpr u16 tree_id = 1;

  static KeyLine draw_line(const Referee& referee) {
    const u64 random = Stream("manifest line", stream_seed(referee.seed(), "manifest line")).at(0);
    const u64 points = std::clamp<u64>(referee.options().key_universe, 2, KeyLine::count_max);
    return {static_cast<KeyType>(below(random, key_type_count)),
            static_cast<KeyLayout>(below(remix(random, 1), key_layout_count)), points};
  }

  Grid::Options grid_options() const {
    return {.format = format_, .runtime = referee_->options().runtime, .released_prior_max = blocks_};
  }
  u32 node_size() const { return referee_->options().runtime.manifest_node_size; }
  u64 nodes_max() const { return Manifest::nodes_max(format_, blocks_, 1, node_size()); }
  u64 spare_size() const {
    Arena arena;
    NodePool::measure(arena, nodes_max(), node_size());
    Manifest::measure(arena, format_, blocks_, node_size());
    return arena.used();
  }
  void build();

  // --- lines that change
  bool find_level(bool (ManifestLevelComponent::*fits)(u32) const);
  std::optional<Span> find_gap(u64 place);
  void insert(u64 place, u64 width, u64 fit);
  void pack(u64 place, u64 run, u64 shape);
  void remove(u64 place, u64 run);
  void drain(u64 place, bool front);
  void move(u64 place);
  bool move_table(u64 index);  // Into the next level.
  void sink(u64 pieces, u64 shape);

  // --- lines that ask
  void choose();
  void get(u64 place, u64 off);
  void next(u64 place, u64 width, u64 from);
  void overlap(const Span& span);
  void merge(u64 place, u64 width, u64 values);
  void drop(const Span& span);
  void walk(const Span& span);
  void rebuild(u64 order);
  void open_hostile(Manifest& manifest, const LevelModel& open, u64 random);

  LevelModel& model() { return levels_[level_]; }
  const ManifestLevel& level() const { return manifest_->level(level_); }
  bool has_room(u32 level) const { return room(level) > 0; }
  bool has_table(u32 level) const { return !levels_[level].tables.empty(); }
  bool has_table_above(u32 level) const { return has_table(level) && level + 1 < format_.levels; }
  u64 room(u32 level) const {
    const u64 count = levels_[level].count();
    return std::min(level_tables_max(format_, level) + 1 - count, tables_max_ - total_);
  }

  bool log_takes(u64 entries);
  void half_bar_end();
  void log_done() { done_ = true; }
  void table_opened(const TableInfo&) { UNREACHABLE(); }  // The log was empty.

  void add(u32 level, const Span& span);
  void take(u32 level, u64 index);
  TableInfo info(u32 level, const Table& table, ManifestEvent event = ManifestEvent::none) const;
  u64 point_at(u64 place, u64 off) const;
  Span span_at(u64 place, u64 width) const;
  KeyRange keys(const Span& span) const { return {.min = line_.key(span.min), .max = line_.key(span.max)}; }

  void compare_counts();
  void compare_table(u32 level, const TableInfo* given, std::optional<u64> expected, const char* site);
  void compare_overlap(const ManifestLevel::Overlap& given, const LevelModel::Overlap& expected,
                       const char* site);
  void compare_level(const ManifestLevel& level, const LevelModel& model, u32 index, const char* site);
  template <class Text>
  void check(bool holds, const char* site, Text text) {
    referee_->check(holds, site, holds ? std::string() : text());
  }
  std::string text(const Span& span) const { return fmt::format("[{}, {}]", span.min, span.max); }

  Referee* referee_;
  FormatOptions format_;
  u64 blocks_;
  u64 tables_max_;
  Stream random_;
  KeyLine line_;
  MergeModel merge_;

  // The part under test.
  std::optional<SimStorage> disk_;
  Tested<Grid> grid_;
  Tested<ManifestLog> log_;
  Tested<NodePool> pool_;
  Tested<Manifest> manifest_;
  std::span<std::byte> spare_;  // For another pool and manifest.
  bool done_ = false;
  bool half_bar_ = false;
  u64 appended_ = 0;  // In this half-bar.

  // The model.
  std::vector<LevelModel> levels_;
  std::vector<TableInfo> infos_;  // By address.
  std::vector<u64> values_;       // By address.
  std::vector<u64> addresses_;    // Free ones; the last is next.
  u64 total_ = 0;
  u64 made_ = 0;   // Tables so far.
  u32 level_ = 0;  // Of the line at hand.
  u64 lines_ = 0;
};

}  // namespace tonearm::sim
