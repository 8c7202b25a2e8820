// Workload `manifest_level`: the levels of one manifest against vectors of tables.
//
// Tables are made up: only their entries exist, but those go through a real manifest log on a
// simulated disk, because a manifest takes no change without one. Keys are points on a line; the
// model compares points and knows no key. Every answer is compared as a whole table or as positions,
// so that ties must be decided as the contract says.
//
// The options that matter: growth and levels, key_universe (points: few make tables touch and fill
// the line), coalescing_percent, beats and batch_values_max (values of a table).
#include "sim/component/manifest_level.h"

#include "sim/component/support.h"

namespace tonearm::sim {

namespace {

constexpr u64 moves_tried = 32;

}  // namespace

// Twice the same, to measure and to build.
void ManifestLevelComponent::build() {
  const u64 spare_size = this->spare_size();
  Arena measure;
  Grid::measure(measure, grid_options());
  ManifestLog::measure(measure, format_, 1, tables_max_, blocks_);
  NodePool::measure(measure, nodes_max(), node_size());
  Manifest::measure(measure, format_, blocks_, node_size());
  measure.take<std::byte>(spare_size, Arena::align_max);
  const u64 size = measure.used();
  Arena arena{poisoned_memory(*referee_, size)};

  grid_.emplace(*disk_, arena, grid_options());
  grid_->set_cluster(1);
  grid_->free_set().open_empty();
  log_.emplace(*grid_, arena, format_, 1, tables_max_);
  pool_.emplace(arena, nodes_max(), node_size());
  manifest_.emplace(*pool_, *log_, arena, format_, blocks_, tree_id);
  spare_ = arena.take<std::byte>(spare_size, Arena::align_max);
  ASSERT(arena.used() == size);
  log_->open({}, Callback<const TableInfo&>::to<&ManifestLevelComponent::table_opened>(this),
             Callback<>::to<&ManifestLevelComponent::log_done>(this));
  referee_->pump(*disk_, done_);
}

void ManifestLevelComponent::play(const Operation& line) {
  const std::string_view verb = line.verb->name;
  const auto& a = line.arguments;
  level_ = static_cast<u32>(a[0] % format_.levels);
  ++lines_;
  if (verb == "insert") {
    insert(a[1], a[2], a[3]);
  } else if (verb == "pack") {
    pack(a[1], a[2], a[3]);
  } else if (verb == "remove") {
    remove(a[1], a[2]);
  } else if (verb == "drain") {
    drain(a[1], a[2] != 0);
  } else if (verb == "move") {
    move(a[1]);
  } else if (verb == "sink") {
    sink(a[1], a[2]);
  } else if (verb == "choose") {
    choose();
  } else if (verb == "get") {
    get(a[1], a[2]);
  } else if (verb == "next") {
    next(a[1], a[2], a[3]);
  } else if (verb == "overlap") {
    overlap(span_at(a[1], a[2]));
  } else if (verb == "merge") {
    merge(a[1], a[2], a[3]);
  } else if (verb == "drop") {
    drop(span_at(a[1], a[2]));
  } else if (verb == "walk") {
    walk(span_at(a[1], a[2]));
  } else {
    ASSERT(verb == "rebuild");
    rebuild(a[1]);
  }
  compare_counts();
}

void ManifestLevelComponent::finish() {
  for (level_ = 0; level_ < format_.levels; ++level_) {
    compare_level(level(), model(), level_, "end: another level");
    drain(place_whole, level_ % 2 == 0);
  }
  level_ = 0;
  compare_counts();
  check(total_ > 0 || pool_->count_acquired() == 0, "nodes are left when all levels are empty",
        [&] { return fmt::format("{} nodes of empty levels are still acquired", pool_->count_acquired()); });
}

// --- Changes.

// A half-bar stays open while its appends last. What the log releases is freed at once, as if every
// half-bar were a durable checkpoint.
bool ManifestLevelComponent::log_takes(u64 entries) {
  const u64 limit = log_->pace().append_entries_max();
  ASSERT(entries <= limit);
  if (half_bar_ && appended_ + entries > limit) half_bar_end();
  if (!half_bar_) {
    if (!log_->reserve()) return false;  // The disk is full, see blocks_count.
    log_->compact(Callback<>::to<&ManifestLevelComponent::log_done>(this));
    referee_->pump(*disk_, done_);
    half_bar_ = true;
    appended_ = 0;
  }
  appended_ += entries;
  return true;
}

void ManifestLevelComponent::half_bar_end() {
  log_->compact_end();
  FreeSet& free_set = grid_->free_set();
  free_set.mark_checkpoint_not_durable();
  free_set.mark_checkpoint_durable();
  half_bar_ = false;
}

TableInfo ManifestLevelComponent::info(u32 level, const Table& table, ManifestEvent event) const {
  TableInfo info = infos_[table.address];
  info.set_label(level, event);
  return info;
}

void ManifestLevelComponent::add(u32 level, const Span& span) {
  const u64 address = addresses_.back();
  addresses_.pop_back();
  const u64 random = random_.at(++made_);
  TableInfo info{};
  info.key_min = line_.key(span.min);
  info.key_max = line_.key(span.max);
  info.checksum = Checksum{random} << 64 | made_;
  info.address = address;
  info.snapshot_min = made_;
  info.snapshot_max = snapshot_max_live;
  info.tree_id = tree_id;
  // Half of the tables are small: coalescing is about those.
  const u64 values = chance(remix(random, 1), {1, 2}) ? merge_.values_max : merge_.values_max / 8 + 1;
  values_[address] = between(remix(random, 2), 1, values);
  info.value_count = static_cast<u32>(values_[address]);
  infos_[address] = info;
  manifest_->insert_table(level, info);
  levels_[level].insert({.min = span.min, .max = span.max, .address = address});
  ++total_;
}

void ManifestLevelComponent::take(u32 level, u64 index) {
  const Table table = levels_[level].tables[index];
  manifest_->remove_table(level, info(level, table));
  levels_[level].erase(index);
  addresses_.push_back(table.address);
  --total_;
}

// From this level on the first that has room, a table, a table and a level below.
bool ManifestLevelComponent::find_level(bool (ManifestLevelComponent::*fits)(u32) const) {
  for (u32 i = 0; i < format_.levels; ++i) {
    const u32 level = (level_ + i) % format_.levels;
    if (!(this->*fits)(level)) continue;
    level_ = level;
    return true;
  }
  referee_->skip();
  return false;
}

// From the gap at this place on the first that is not empty.
std::optional<LevelModel::Span> ManifestLevelComponent::find_gap(u64 place) {
  const u64 gaps = model().count() + 1;
  const u64 first = place * gaps / (place_whole + 1);
  for (u64 i = 0; i < gaps; ++i) {
    const std::optional<Span> gap = model().gap((first + i) % gaps, line_.count());
    if (gap) return gap;
  }
  return {};
}

void ManifestLevelComponent::insert(u64 place, u64 width, u64 fit) {
  if (!find_level(&ManifestLevelComponent::has_room)) return;
  if (!log_takes(2)) return referee_->skip();
  std::optional<Span> gap = find_gap(place);
  if (!gap) {  // The line is full: one goes, and a smaller one takes its place.
    const u64 index = place * model().count() / (place_whole + 1);
    gap = Span{.min = model().tables[index].min, .max = model().tables[index].max};
    take(level_, index);
  }
  const u64 last = gap->max - gap->min;
  const u64 spare = fit == 2 ? 0 : last - std::min(width, last / 2);
  const u64 before = fit % 2 == 0 ? 0 : fit == 1 ? spare : spare / 2;
  add(level_, {.min = gap->min + before, .max = gap->max - (spare - before)});
}

// From the begin of a gap to its end. Bits of `shape`: two of the width, one of the distance.
void ManifestLevelComponent::pack(u64 place, u64 run, u64 shape) {
  if (!find_level(&ManifestLevelComponent::has_room)) return;
  const std::optional<Span> gap = find_gap(place);
  if (!gap) return referee_->skip();
  const u64 width = u64{1} << 2 * (shape & 3);
  u64 point = gap->min;
  for (u64 i = 0; i <= run && point + width - 1 <= gap->max && has_room(level_); ++i) {
    if (!log_takes(1)) return referee_->skip();
    add(level_, {.min = point, .max = point + width - 1});
    point += width + (shape & 4) / 4 * (i % 3);
  }
}

void ManifestLevelComponent::remove(u64 place, u64 run) {
  if (!find_level(&ManifestLevelComponent::has_table)) return;
  for (u64 i = 0; i <= run && !model().tables.empty(); ++i) {
    if (!log_takes(1)) return referee_->skip();
    take(level_, place * model().count() / (place_whole + 1));
  }
}

void ManifestLevelComponent::drain(u64 place, bool front) {
  for (u64 left = div_ceil(place * model().count(), place_whole); left > 0; --left) {
    if (!log_takes(1)) return referee_->skip();
    take(level_, front ? 0 : model().count() - 1);
  }
}

bool ManifestLevelComponent::move_table(u64 index) {
  LevelModel& below = levels_[level_ + 1];
  const Table table = model().tables[index];
  if (below.count() > level_tables_max(format_, level_ + 1)) return false;
  if (below.overlapping({.min = table.min, .max = table.max}).count > 0) return false;
  if (!log_takes(1)) return false;
  manifest_->move_table(level_, level_ + 1, info(level_, table));
  model().erase(index);
  below.insert(table);
  return true;
}

void ManifestLevelComponent::move(u64 place) {
  if (!find_level(&ManifestLevelComponent::has_table_above)) return;
  const u64 first = place * model().count() / (place_whole + 1);
  for (u64 i = first; i < std::min(first + moves_tried, model().count()); ++i) {
    if (move_table(i)) return;
  }
  referee_->skip();
}

// As a compaction does: nothing below, a move; else the inputs leave and the outputs enter.
void ManifestLevelComponent::sink(u64 pieces, u64 shape) {
  if (!find_level(&ManifestLevelComponent::has_table_above)) return;
  const u32 target = level_ + 1;
  const u64 chosen = model().least_overlap(levels_[target]);
  const Table table = model().tables[chosen];
  const LevelModel::Overlap below = levels_[target].overlapping({.min = table.min, .max = table.max});
  const u64 entries = 2 * (1 + below.count);
  const u64 entries_max = log_->pace().append_entries_max();
  if (entries > entries_max || !log_takes(entries)) return referee_->skip();
  if (below.count == 0) {
    if (!move_table(chosen)) referee_->skip();
    return;
  }
  take(level_, chosen);
  for (u64 i = 0; i < below.count; ++i) take(target, below.first);
  const u64 points = below.span.max - below.span.min + 1;
  const u64 outputs = std::min({1 + pieces % (1 + below.count), points, room(target)});
  const u64 gap = (shape & 1) == 0 ? 0 : points / outputs / 4;
  for (u64 i = 0; i < outputs; ++i) {
    const u64 begin = below.span.min + i * points / outputs;
    const u64 end = below.span.min + (i + 1) * points / outputs;
    add(target, {.min = begin, .max = end - 1 - gap});
  }
}

std::unique_ptr<Component> make_manifest_level(Referee& referee) {
  return std::make_unique<ManifestLevelComponent>(referee);
}

}  // namespace tonearm::sim
