#include "sim/shrink/shrinker.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "sim/scenario/settings.h"
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

bool simpler(const Operation& line) { return !simpler_lines(line).empty(); }

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
  pass_tail();
  // Each round ends with fewer lines or something simpler, and both come to an end.
  for (bool better = true; better && !stopped_;) {
    ++counts_.rounds;
    better = pass_lines();
    better |= pass_settings();
    better |= pass_details();
    better |= pass_numbers();
  }
  pass_ids();
}

u64 Shrinker::first_kept(u64 first, u64 count, const Make& make) {
  std::vector<Scenario> candidates;
  std::vector<u64> numbers;
  u64 next = first;
  for (;;) {
    candidates.clear();
    numbers.clear();
    while (next < count && candidates.size() < batch_) {
      Scenario candidate = best_;
      if (make(next, &candidate)) {
        candidates.push_back(std::move(candidate));
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
  return first_kept(0, 1, [&](u64, Scenario* target) {
           *target = std::move(candidate);
           return true;
         }) == 0;
}

// What comes behind the failure decides nothing. Halving finds the shortest beginning that fails, if
// longer ones fail too; otherwise a beginning that does.
bool Shrinker::pass_tail() {
  progress_("lines", best_);
  const u64 before = best_.operations.size();
  u64 passes = 0;  // A beginning of so many lines does not fail.
  while (passes + 1 < best_.operations.size() && !stopped_) {
    const u64 length = passes + (best_.operations.size() - passes) / 2;
    Scenario candidate = best_;
    candidate.operations.resize(length);
    if (!try_one(std::move(candidate))) passes = length;
  }
  return best_.operations.size() < before;
}

bool Shrinker::pass_lines() {
  const u64 before = best_.operations.size();
  for (u64 length = std::max<u64>(1, before / 2); length > 0 && !stopped_; length /= 2) {
    // Single lines until a whole tour finds none: a line may need one that went after it was tried.
    while (remove_runs(std::min<u64>(length, best_.operations.size())) && length == 1 && !stopped_) {
    }
  }
  return best_.operations.size() < before;
}

// From the end: what a line does is needed by those behind it.
bool Shrinker::remove_runs(u64 length) {
  if (length == 0) return false;
  const u64 before = best_.operations.size();
  u64 end = before;  // Runs that end here or before are still to be tried.
  while (end > 0 && !stopped_) {
    progress_("lines", best_);
    const u64 count = (end + length - 1) / length;
    const auto bounds = [&](u64 i) {
      const u64 last = end - i * length;
      return std::pair<u64, u64>{last > length ? last - length : 0, last};
    };
    const u64 kept = first_kept(0, count, [&](u64 i, Scenario* candidate) {
      const auto [first, last] = bounds(i);
      const auto begin = candidate->operations.begin();
      candidate->operations.erase(begin + static_cast<std::ptrdiff_t>(first),
                                  begin + static_cast<std::ptrdiff_t>(last));
      return true;
    });
    if (kept == count) break;
    end = bounds(kept).first;
  }
  return best_.operations.size() < before;
}

bool Shrinker::pass_settings() {
  progress_("settings", best_);
  const RunOptions defaults;
  const u64 before = settings_changed(best_);
  const auto reset = [&](std::span<const u16> which, Scenario* candidate) {
    for (const u16 i : which) settings()[i].set(candidate->options, settings()[i].get(defaults));
    finish_options(&candidate->options);
  };
  const std::vector<u16> changed = changed_settings(best_);
  // Runs of neighbours, which belong together in the table; long ones first. A geometry may be legal as a
  // whole only.
  for (u64 length = changed.size(); length > 0 && !stopped_; length /= 2) {
    const u64 count = (changed.size() + length - 1) / length;
    for (u64 i = 0; i < count && !stopped_; ++i) {
      i = first_kept(i, count, [&](u64 run, Scenario* candidate) {
        const u64 first = run * length;
        reset(std::span(changed).subspan(first, std::min<u64>(length, changed.size() - first)), candidate);
        return settings_changed(*candidate) < settings_changed(best_);
      });
    }
  }
  // What cannot go back to its default may still be as small as can be.
  const std::vector<u16> left = changed_settings(best_);
  bool smaller = false;
  for (u64 i = 0; i < left.size() && !stopped_; ++i) {
    i = first_kept(i, left.size(), [&](u64 which, Scenario* candidate) {
      const Setting& setting = settings()[left[which]];
      if (setting.type != SettingType::number || setting.get(best_.options) <= setting.min) return false;
      set_option(candidate, left[which], setting.min);
      return true;
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
      const u64 kept = first_kept(0, forms.size(), [&](u64 i, Scenario* candidate) {
        candidate->operations[line] = forms[i];
        return true;
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
    Scenario candidate = best_;
    const std::vector<std::vector<Operation>> now = small_numbers(best_.operations);
    if (i >= now.size()) break;
    candidate.operations = now[i];
    if (print_scenario(candidate) == print_scenario(best_)) continue;
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
  if (print_scenario(candidate) == print_scenario(best_)) return false;
  return try_one(std::move(candidate));
}

}  // namespace tonearm::sim
