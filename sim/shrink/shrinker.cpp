#include "sim/shrink/shrinker.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/assert.h"
#include "sim/scenario/settings.h"
#include "sim/shrink/scaling.h"
#include "sim/shrink/setting_groups.h"
#include "sim/shrink/simpler.h"

namespace tonearm::sim {

namespace {

std::vector<u16> changed_settings(const Scenario& scenario) {
  const RunOptions defaults;
  std::vector<u16> changed;
  for (u16 i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    if (setting.get(scenario.options) != setting.get(defaults)) changed.push_back(i);
  }
  return changed;
}

void set_option(Scenario* scenario, u16 setting, u64 value) {
  settings()[setting].set(scenario->options, value);
  finish_options(&scenario->options);
}

// From here on it is worth a try whether smaller tables are full after fewer lines.
constexpr u64 lines_many = 16;

// Of so few nobody wishes for fewer.
constexpr u64 lines_enough = 8;
// Up to here each line is worth a try with every size of a table.
constexpr u64 lines_few = 48;
constexpr u64 lines_pairs = 24;  // And all pairs of them.

bool simpler(const Operation& line) { return !simpler_lines(line).empty(); }

bool same_lines(const std::vector<Operation>& one, const std::vector<Operation>& other) {
  const auto text = [](const std::vector<Operation>& lines) {
    std::string target;
    for (const Operation& line : lines) print_operation(line, &target);
    return target;
  };
  return text(one) == text(other);
}

// What lines have in common that may go together; `fine`: the tree they are about, too, or the zone that a
// fault is in.
u64 kind_of_line(const Operation& line, bool fine) {
  u64 part = fine ? static_cast<u64>(line.tree) : 0;
  if (line.kind == OperationKind::fault) {
    const IoPurpose purpose = line.request.tag.purpose;
    const bool superblock =
        purpose >= IoPurpose::superblock_format && purpose <= IoPurpose::superblock_repair;
    part = u64{static_cast<u8>(line.fault.kind)} << 1 | u64{fine && superblock};
  } else if (line.kind == OperationKind::call) {
    part = Stream(line.verb->name, 0).at(0) >> 8;
  }
  return part << 8 | static_cast<u64>(line.kind);
}

}  // namespace

u64 settings_changed(const Scenario& scenario) { return changed_settings(scenario).size(); }

Shrinker::Shrinker(Scenario scenario, u32 batch, Play play, Stop stop, Progress progress)
    : best_(std::move(scenario)),
      batch_(batch),
      play_(std::move(play)),
      stop_(std::move(stop)),
      progress_(std::move(progress)) {
  ASSERT(batch_ > 0);
}

void Shrinker::run() {
  bulk();
  if (freeze_ && !stopped_) {
    if (std::optional<Scenario> frozen = freeze_(best_)) {
      best_ = std::move(*frozen);
      bulk();
    }
  }
  // Each round ends with fewer lines or something simpler, and both come to an end.
  for (bool better = true; better && !stopped_;) {
    ++counts_.rounds;
    better = pass_lines();
    better |= pass_settings();
    better |= pass_details();
    better |= pass_numbers();
    // Once: a small format and its default would follow each other for ever.
    if (counts_.rounds == 1 && best_.operations.size() >= lines_many) {
      pass_groups(small_formats);
      better |= pass_lines();
    }
    if (best_.operations.size() >= lines_enough) better |= pass_scales();
    if (best_.operations.size() >= lines_enough) better |= pass_pairs();
  }
  pass_ids();
}

void Shrinker::bulk() {
  pass_tail();
  pass_groups(setting_groups);
  pass_kinds();
  pass_chunks();
  if (best_.operations.size() < lines_many || stopped_) return;
  pass_groups(small_formats);
  pass_chunks();
  pass_scales();
}

u64 Shrinker::first_kept(u64 first, u64 count, const Make& make) {
  std::vector<Scenario> candidates;
  std::vector<u64> numbers;
  u64 next = first;
  for (;;) {
    candidates.clear();
    numbers.clear();
    while (next < count && candidates.size() < batch_) {
      if (std::optional<Scenario> candidate = make(next)) {
        candidates.push_back(std::move(*candidate));
        numbers.push_back(next);
      }
      ++next;
    }
    if (candidates.empty()) return count;
    stopped_ = stopped_ || stop_();
    if (stopped_) return count;
    const std::vector<Trial> trials = play_(candidates);
    ASSERT(trials.size() <= candidates.size());
    counts_.trials += trials.size();
    for (u64 i = 0; i < trials.size(); ++i) {
      if (trials[i] != Trial::same) continue;
      best_ = std::move(candidates[i]);
      ++counts_.kept;
      return numbers[i];
    }
  }
}

bool Shrinker::try_one(Scenario candidate) {
  return first_kept(0, 1, [&](u64) { return std::optional(std::move(candidate)); }) == 0;
}

Scenario Shrinker::without_lines() const {
  return {.workload = best_.workload,
          .expect_fail = best_.expect_fail,
          .expect_signature = best_.expect_signature,
          .story = best_.story,
          .seed = best_.seed,
          .options = best_.options,
          .operations = {}};
}

// The lines at these places go, which are ascending. Nothing: the rest would not be smaller.
std::optional<Scenario> Shrinker::take_out(std::span<const u64> places, Leave leave) const {
  Scenario candidate = without_lines();
  const std::vector<Operation>& lines = best_.operations;
  std::optional<Operation> commits;
  if (leave == Leave::commits) {
    for (const u64 place : places) {
      if (lines[place].kind != OperationKind::commit) continue;
      if (commits) {
        commits->count += lines[place].count;
      } else {
        commits = lines[place];
      }
    }
    if (!commits || places.size() < 2 || commits->count > commit_times_max) return std::nullopt;
  }
  candidate.operations.reserve(lines.size() - places.size() + 1);
  u64 from = 0;
  for (u64 i = 0; i <= places.size(); ++i) {
    const u64 to = i < places.size() ? places[i] : lines.size();
    candidate.operations.insert(candidate.operations.end(), lines.begin() + static_cast<std::ptrdiff_t>(from),
                                lines.begin() + static_cast<std::ptrdiff_t>(to));
    if (commits && to < lines.size() && lines[to].id == commits->id) candidate.operations.push_back(*commits);
    from = to + 1;
  }
  return candidate;
}

// What comes behind the failure decides nothing. Halving finds the shortest beginning that fails, if
// longer ones fail too; otherwise a beginning that does.
bool Shrinker::pass_tail() {
  progress_("lines", best_);
  const u64 before = best_.operations.size();
  u64 passes = 0;  // A beginning of so many lines does not fail.
  while (passes + 1 < best_.operations.size() && !stopped_) {
    const u64 length = passes + (best_.operations.size() - passes) / 2;
    Scenario candidate = without_lines();
    const auto begin = best_.operations.begin();
    candidate.operations.assign(begin, begin + static_cast<std::ptrdiff_t>(length));
    if (!try_one(std::move(candidate))) passes = length;
  }
  return best_.operations.size() < before;
}

// What is left out as a whole here is not asked for again one by one, so even what does not help is cheap.
void Shrinker::pass_groups(SettingGroups (*groups_of)(const RunOptions&)) {
  progress_("settings", best_);
  const u64 count = groups_of(best_.options).size();
  for (u64 i = 0; i < count && !stopped_; ++i) {
    const SettingGroups groups = groups_of(best_.options);
    i = first_kept(i, groups.size(), [&](u64 which) -> std::optional<Scenario> {
      Scenario candidate = without_lines();
      u64 changes = 0;
      for (const auto& [setting, value] : groups[which]) {
        changes += settings()[setting].get(candidate.options) != value ? 1 : 0;
        settings()[setting].set(candidate.options, value);
      }
      if (changes == 0) return std::nullopt;
      finish_options(&candidate.options);
      candidate.operations = best_.operations;
      return candidate;
    });
  }
}

void Shrinker::pass_kinds() {
  progress_("kinds", best_);
  constexpr u64 lines_min = 8;  // Fewer are better tried one by one.
  for (const bool fine : {false, true}) {
    std::map<u64, u64> counts;
    for (const Operation& line : best_.operations) ++counts[kind_of_line(line, fine)];
    std::vector<std::pair<u64, u64>> kinds;  // The most frequent first.
    for (const auto& [kind, count] : counts) {
      if (count >= lines_min) kinds.emplace_back(~count, kind);
    }
    std::sort(kinds.begin(), kinds.end());
    for (u64 i = 0; i < kinds.size() && !stopped_; ++i) {
      i = first_kept(i, kinds.size(), [&](u64 which) -> std::optional<Scenario> {
        Scenario candidate = without_lines();
        for (const Operation& line : best_.operations) {
          if (kind_of_line(line, fine) != kinds[which].second) candidate.operations.push_back(line);
        }
        if (candidate.operations.size() == best_.operations.size()) return std::nullopt;
        return candidate;
      });
    }
  }
}

void Shrinker::pass_chunks() {
  constexpr u64 chunks = 32;
  remove_all(std::max<u64>(2, best_.operations.size() / chunks), Lines::all);
}

bool Shrinker::pass_lines() {
  const u64 before = best_.operations.size();
  remove_all(1, Lines::asking);
  remove_all(1, Lines::all);
  join_commits();
  return best_.operations.size() < before;
}

void Shrinker::remove_all(u64 length_min, Lines lines) {
  for (u64 length = places_of(lines).size() / 2; length >= length_min && !stopped_; length /= 2) {
    // Single lines until a whole tour finds none: a line may need one that went after it was tried.
    while (remove_runs(length, lines, Leave::nothing) && length == 1 && !stopped_) {
    }
    if (length > 1 && lines == Lines::all && !stopped_) remove_runs(length, lines, Leave::commits);
  }
  if (length_min == 1 && places_of(lines).size() == 1) remove_runs(1, lines, Leave::nothing);
}

// Those that have become neighbours.
void Shrinker::join_commits() {
  const auto is_commit = [&](u64 i) { return best_.operations[i].kind == OperationKind::commit; };
  for (u64 i = best_.operations.size(); i >= 2 && !stopped_; --i) {
    if (i > best_.operations.size() || !is_commit(i - 1) || !is_commit(i - 2)) continue;
    const std::array<u64, 2> places{i - 2, i - 1};
    first_kept(0, 1, [&](u64) { return take_out(places, Leave::commits); });
  }
}

std::vector<u64> Shrinker::places_of(Lines lines) const {
  std::vector<u64> places;
  for (u64 i = 0; i < best_.operations.size(); ++i) {
    const OperationKind kind = best_.operations[i].kind;
    const bool asks = kind == OperationKind::fault || kind == OperationKind::latency;
    if (lines == Lines::all || asks) places.push_back(i);
  }
  return places;
}

// From the end: what a line does is needed by those behind it.
bool Shrinker::remove_runs(u64 length, Lines lines, Leave leave) {
  ASSERT(length > 0);
  const u64 before = best_.operations.size();
  const std::vector<u64> chosen = places_of(lines);
  u64 end = chosen.size();  // Runs that end here or before are still to be tried.
  while (end > 0 && !stopped_) {
    progress_("lines", best_);
    const u64 count = (end + length - 1) / length;
    const auto bounds = [&](u64 i) {
      const u64 last = end - i * length;
      return std::pair<u64, u64>{last > length ? last - length : 0, last};
    };
    const u64 kept = first_kept(0, count, [&](u64 i) {
      const auto [first, last] = bounds(i);
      return take_out(std::span(chosen).subspan(first, last - first), leave);
    });
    if (kept == count) break;
    end = bounds(kept).first;
  }
  return best_.operations.size() < before;
}

// Each that helps may help again.
bool Shrinker::pass_scales() {
  progress_("scales", best_);
  const u64 before = best_.operations.size();
  const std::vector<Scaling> all = scalings();
  for (u64 i = 0; i < all.size() && !stopped_;) {
    i = first_kept(i, all.size(), [&](u64 which) { return scaled(best_, all[which]); });
  }
  // What is full with one value more than there may be needs the finest steps.
  for (u64 i = 0; best_.operations.size() <= lines_few && i < steps_count(best_) && !stopped_;) {
    const u64 count = steps_count(best_);
    i = first_kept(i, count, [&](u64 which) { return step_down(best_, which); });
    if (i < count) i = 0;
  }
  return best_.operations.size() < before;
}

// As many ops as before, but the lines between the two come into the same one.
std::optional<Scenario> Shrinker::with_commits_moved(u64 from, u64 to) const {
  const Operation& moved = best_.operations[from];
  const u64 times = moved.count + best_.operations[to].count;
  if (moved.kind != OperationKind::commit || times > commit_times_max) return std::nullopt;
  Scenario candidate = best_;
  candidate.operations[to].count = times;
  candidate.operations.erase(candidate.operations.begin() + static_cast<std::ptrdiff_t>(from));
  return candidate;
}

// Two lines that can only go together; or a commit and the room that it takes.
bool Shrinker::pass_pairs() {
  progress_("pairs", best_);
  const u64 before = best_.operations.size();
  bool better = before <= lines_few;
  while (better && !stopped_) {
    const u64 count = best_.operations.size();
    const u64 kept = first_kept(0, 2 * count * count, [&](u64 i) -> std::optional<Scenario> {
      const u64 one = i / 2 % count;
      const u64 other = i / 2 / count;
      if (one == other) return std::nullopt;
      if (i % 2 == 0) {
        if (best_.operations[other].kind != OperationKind::commit) return std::nullopt;
        return with_commits_moved(one, other);
      }
      if (one > other || count > lines_pairs) return std::nullopt;
      const std::array<u64, 2> places{one, other};
      return take_out(places, Leave::nothing);
    });
    better = kept < 2 * count * count;
  }
  return best_.operations.size() < before;
}

bool Shrinker::pass_settings() {
  progress_("settings", best_);
  const RunOptions defaults;
  const u64 before = settings_changed(best_);
  const std::vector<u16> changed = changed_settings(best_);
  // Runs of neighbours, which belong together in the table; long ones first. A geometry may be legal as a
  // whole only.
  for (u64 length = changed.size(); length > 0 && !stopped_; length /= 2) {
    const u64 count = (changed.size() + length - 1) / length;
    for (u64 i = 0; i < count && !stopped_; ++i) {
      i = first_kept(i, count, [&](u64 run) -> std::optional<Scenario> {
        Scenario candidate = best_;
        const u64 first = run * length;
        const u64 end = std::min<u64>(first + length, changed.size());
        for (u64 at = first; at < end; ++at) {
          settings()[changed[at]].set(candidate.options, settings()[changed[at]].get(defaults));
        }
        finish_options(&candidate.options);
        if (settings_changed(candidate) >= settings_changed(best_)) return std::nullopt;
        return candidate;
      });
    }
  }
  // What cannot go back to its default may still be as small as can be.
  const std::vector<u16> left = changed_settings(best_);
  bool smaller = false;
  for (u64 i = 0; i < left.size() && !stopped_; ++i) {
    i = first_kept(i, left.size(), [&](u64 which) -> std::optional<Scenario> {
      const Setting& setting = settings()[left[which]];
      if (setting.type != SettingType::number || setting.get(best_.options) <= setting.min) {
        return std::nullopt;
      }
      Scenario candidate = best_;
      set_option(&candidate, left[which], setting.min);
      return candidate;
    });
    smaller |= i < left.size();
  }
  return smaller || settings_changed(best_) < before;
}

bool Shrinker::pass_details() {
  progress_("details", best_);
  bool better = false;
  for (u64 line = 0; line < best_.operations.size() && !stopped_; ++line) {
    // Each simpler form has fewer left, so this ends.
    while (simpler(best_.operations[line]) && !stopped_) {
      const std::vector<Operation> forms = simpler_lines(best_.operations[line]);
      const u64 kept = first_kept(0, forms.size(), [&](u64 i) {
        Scenario candidate = best_;
        candidate.operations[line] = forms[i];
        return std::optional(std::move(candidate));
      });
      if (kept == forms.size()) break;
      better = true;
    }
  }
  return better;
}

bool Shrinker::pass_numbers() {
  progress_("numbers", best_);
  const std::vector<std::vector<Operation>> forms = small_numbers(best_.operations);
  bool better = false;
  for (u64 i = 0; i < forms.size() && !stopped_; ++i) {
    // Made again from the best: an earlier form may have become it.
    std::vector<std::vector<Operation>> now = small_numbers(best_.operations);
    if (i >= now.size()) break;
    if (same_lines(now[i], best_.operations)) continue;
    Scenario candidate = without_lines();
    candidate.operations = std::move(now[i]);
    better |= try_one(std::move(candidate));
  }
  return better;
}

bool Shrinker::pass_ids() {
  progress_("ids", best_);
  Scenario candidate = best_;
  u64 number = 0;
  std::map<std::pair<u64, u32>, OpId> renamed;
  for (Operation& line : candidate.operations) {
    const OpId id{.number = ++number, .child = 0};
    renamed[{line.id.number, line.id.child}] = id;
    line.id = id;
  }
  const auto rename = [&](OpId* id) {
    const auto found = renamed.find({id->number, id->child});
    if (found != renamed.end()) *id = found->second;
  };
  // Faults and latencies name their request by the id of a line.
  for (Operation& line : candidate.operations) {
    RequestName& request = line.request;
    const bool aside = request.recovery.number == 0 && request.attribution.context != 0;
    rename(&request.attribution.op);
    rename(&request.recovery);
    if (!aside) request.attribution = attribution_of(request.attribution.op, request.recovery);
  }
  if (same_lines(candidate.operations, best_.operations)) return false;
  return try_one(std::move(candidate));
}

}  // namespace tonearm::sim
