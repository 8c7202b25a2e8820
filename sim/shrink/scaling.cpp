#include "sim/shrink/scaling.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/assert.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// What a line is about, where it is about one key.
struct Subject {
  u32 tree = 0;
  u128 major = 0;
  u128 minor = 0;

  friend auto operator<=>(const Subject&, const Subject&) = default;
};

bool is_change(OperationKind kind) {
  return kind == OperationKind::put || kind == OperationKind::remove || kind == OperationKind::insert ||
         kind == OperationKind::update || kind == OperationKind::upsert || kind == OperationKind::orphan;
}

std::optional<Subject> subject_of(const Operation& line) {
  const bool reads = line.kind == OperationKind::get || line.kind == OperationKind::exists ||
                     line.kind == OperationKind::prefetch;
  if (!is_change(line.kind) && !reads) return std::nullopt;
  if (line.of_groove()) return Subject{.tree = static_cast<u32>(line.tree), .minor = object_key(line)};
  return Subject{.tree = static_cast<u32>(line.tree), .major = line.key.hi, .minor = line.key.lo};
}

class Thinner {
 public:
  Thinner(const std::vector<Operation>& lines, const Scaling& scaling) : scaling_(scaling) {
    for (const Operation& line : lines) {
      if (const std::optional<Subject> subject = subject_of(line)) ranks_[*subject] = 0;
    }
    u32 tree = tree_names_max;
    u64 rank = 0;
    for (auto& [subject, number] : ranks_) {  // By tree, then in the order of the keys.
      if (subject.tree != tree) rank = 0;
      tree = subject.tree;
      number = rank++;
    }
  }

  // Asked for each line, in order. May change how often it commits.
  bool stays(Operation* line) {
    if (line->kind == OperationKind::commit) return commit_stays(line);
    const std::optional<Subject> subject = subject_of(*line);
    if (!subject || scaling_.thinning == Thinning::commits) return true;
    if (scaling_.thinning == Thinning::keys) return chosen(ranks_.at(*subject));
    return !is_change(line->kind) || chosen(changes_[subject->tree]++);
  }

 private:
  bool chosen(u64 rank) const { return rank % scaling_.divisor == scaling_.remainder; }

  // Of all commits one of `divisor` stays, wherever lines divide them.
  bool commit_stays(Operation* line) {
    if (!scaling_.bars && scaling_.thinning != Thinning::commits) {
      changes_.fill(0);
      return true;
    }
    const u64 before = commits_ / scaling_.divisor;
    commits_ += line->count;
    const u64 left = commits_ / scaling_.divisor - before;
    if (left == 0) return false;
    line->count = left;
    changes_.fill(0);
    return true;
  }

  const Scaling scaling_;
  std::map<Subject, u64> ranks_;
  std::array<u64, tree_names_max> changes_{};  // Of the op, by tree.
  u64 commits_ = 0;
};

void divide(const char* name, u32 divisor, u64 least, RunOptions* options) {
  const Setting& setting = settings()[*find_setting(name)];
  const u64 value = setting.get(*options);
  if (value > least) setting.set(*options, std::max(value / divisor, least));
}

void multiply(const char* name, u32 factor, RunOptions* options) {
  const Setting& setting = settings()[*find_setting(name)];
  setting.set(*options, std::min(setting.get(*options) * factor, setting.max));
}

void grow_format(const Scaling& scaling, RunOptions* options) {
  if (scaling.format == FormatScale::same) return;
  multiply("batch_values_max", scaling.divisor, options);
  options->format.value_blocks_max = 0;
  if (scaling.format == FormatScale::tables) multiply("values_per_block_max", scaling.divisor, options);
}

void scale_format(const Scaling& scaling, RunOptions* options) {
  if (scaling.bars) {
    FormatOptions& format = options->format;
    format.beats = std::max(2U, format.beats / scaling.divisor / 2 * 2);
    const u32 bars = std::max(2U, format.checkpoint_interval / scaling.divisor / format.beats);
    format.checkpoint_interval = bars * format.beats;
  }
  if (scaling.format == FormatScale::same) return;
  divide("batch_values_max", scaling.divisor, 1, options);
  options->format.value_blocks_max = 0;
  if (scaling.format == FormatScale::blocks) return;
  if (options->format.values_per_block_max == 0) {
    options->format.values_per_block_max = (options->format.batch_values_max + 1) / 2;
  } else {
    divide("values_per_block_max", scaling.divisor, 1, options);
  }
}

// Of an op in each tree as many changes stay as it takes.
void limit_changes(u32 most, std::vector<Operation>* lines) {
  std::array<u32, tree_names_max> changes{};
  std::erase_if(*lines, [&](const Operation& line) {
    if (line.kind == OperationKind::commit) changes.fill(0);
    return is_change(line.kind) && ++changes[static_cast<u32>(line.tree)] > most;
  });
}

bool lower(const char* name, RunOptions* options) {
  const Setting& setting = settings()[*find_setting(name)];
  const u64 value = setting.get(*options);
  if (value <= 1) return false;
  setting.set(*options, value - 1);
  return true;
}

constexpr u64 step_formats = 3;  // Tables, blocks, both.

}  // namespace

u64 steps_count(const Scenario& scenario) { return step_formats * (scenario.operations.size() + 1); }

std::optional<Scenario> step_down(const Scenario& scenario, u64 which) {
  ASSERT(which < steps_count(scenario));
  Scenario smaller = scenario;
  const u64 format = which % step_formats;
  const u64 line = which / step_formats;  // 0: in each op; from 1: of the lines.
  bool lowered = false;
  if (format != 1) lowered = lower("batch_values_max", &smaller.options);
  if (format != 0) lowered |= lower("values_per_block_max", &smaller.options);
  if (!lowered) return std::nullopt;
  smaller.options.format.value_blocks_max = 0;
  finish_options(&smaller.options);
  if (line == 0) {
    limit_changes(smaller.options.format.batch_values_max, &smaller.operations);
  } else {
    smaller.operations.erase(smaller.operations.begin() + static_cast<std::ptrdiff_t>(line - 1));
  }
  if (smaller.operations.size() >= scenario.operations.size()) return std::nullopt;
  return smaller;
}

std::vector<Scaling> scalings() {
  std::vector<Scaling> all;
  for (const u32 divisor : {16U, 8U, 4U, 3U, 2U}) {
    for (const FormatScale format : {FormatScale::tables, FormatScale::blocks, FormatScale::same}) {
      all.push_back({.divisor = divisor, .thinning = Thinning::commits, .format = format});
      for (const bool bars : {false, true}) {
        for (const Thinning thinning : {Thinning::keys, Thinning::changes}) {
          for (const u32 remainder : {0U, 1U}) {
            all.push_back({.divisor = divisor,
                           .remainder = remainder,
                           .thinning = thinning,
                           .format = format,
                           .bars = bars});
          }
        }
      }
    }
  }
  return all;
}

std::optional<Scenario> scaled(const Scenario& scenario, const Scaling& scaling) {
  ASSERT(scaling.divisor > 1 && scaling.remainder < scaling.divisor);
  Scenario smaller = scenario;
  if (scaling.thinning == Thinning::commits) {
    grow_format(scaling, &smaller.options);
  } else {
    scale_format(scaling, &smaller.options);
  }
  finish_options(&smaller.options);
  Thinner thinner(scenario.operations, scaling);
  std::erase_if(smaller.operations, [&](Operation& line) { return !thinner.stays(&line); });
  if (smaller.operations.size() >= scenario.operations.size()) return std::nullopt;
  return smaller;
}

}  // namespace tonearm::sim
