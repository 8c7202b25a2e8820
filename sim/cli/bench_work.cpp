#include "sim/cli/bench_work.h"

#include <fmt/format.h>

#include <string_view>

#include "sim/cli/prepared_run.h"
#include "sim/cli/problems.h"
#include "sim/run/runner.h"
#include "sim/scenario/number.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

class TreeWork final : public BenchWork {
 public:
  TreeWork(u64 count, u64 live, u64 lines_per_op)
      : count_(count), universe_(live * 10 / 9), lines_per_op_(lines_per_op), stream_("bench", 1) {}

  u64 fill_lines() const override { return universe_ * 2; }
  u64 count() const override { return count_; }

  void at(u64 index, Operation* line) const override {
    *line = Operation{};
    line->id = {.number = index + 1, .child = 0};
    line->tree = TreeName::kv;
    if (index % lines_per_op_ == lines_per_op_ - 1) {
      line->kind = OperationKind::commit;
      return;
    }
    const u64 random = stream_.at(index);
    line->key = Key::of(below(remix(random, 1), universe_) * 7 + 3);
    line->value = index;
    const u64 kind = index < fill_lines() ? 0 : below(random, 100);
    if (kind < 45) {
      line->kind = OperationKind::put;
    } else if (kind < 50) {
      line->kind = OperationKind::remove;
    } else if (kind < 95) {
      line->kind = OperationKind::get;
    } else {
      line->kind = OperationKind::scan;
      line->limit = 1 + static_cast<u32>(below(remix(random, 2), 32));
      line->direction = (random & 1) != 0 ? Direction::ascending : Direction::descending;
      (line->direction == Direction::ascending ? line->key_end : line->key) =
          line->direction == Direction::ascending ? Key::of(universe_ * 8) : Key{};
      if (line->direction == Direction::descending)
        line->key_end = Key::of(below(remix(random, 1), universe_) * 7 + 3);
    }
  }

 private:
  u64 count_;
  u64 universe_;
  u64 lines_per_op_;
  Stream stream_;
};

// The fields of notes, by their place in the schema.
enum NoteField : u32 { author, pinned, topic, kind, size, flags };

class ForestWork final : public BenchWork {
 public:
  ForestWork(u64 count, u64 live, u64 lines_per_op)
      : count_(count), universe_(live * 10 / 9), lines_per_op_(lines_per_op), stream_("bench.forest", 1) {}

  u64 fill_lines() const override { return universe_ * 2; }
  u64 count() const override { return count_; }

  void at(u64 index, Operation* line) const override {
    *line = Operation{};
    line->id = {.number = index + 1, .child = 0};
    if (index % lines_per_op_ == lines_per_op_ - 1) {
      line->kind = OperationKind::commit;
      return;
    }
    const u64 random = stream_.at(index);
    line->tree = TreeName::notes;
    line->key = Key::of(below(remix(random, 1), universe_) * 7 + 3);
    const u64 choice = index < fill_lines() ? 0 : below(random, 100);
    if (choice < 45) {
      line->kind = OperationKind::upsert;
      const u64 of_key = stream_.at(static_cast<u64>(line->key.lo), 1);
      const u32 drawn = static_cast<u32>(below(remix(random, 3), 6));
      for (const NoteField field : {author, pinned, topic, kind, size, flags})
        draw(field == drawn ? random : of_key, field, line);
    } else if (choice < 50) {
      line->kind = OperationKind::remove;
    } else if (choice < 95) {
      line->kind = OperationKind::get;
    } else {
      scan(random, line);
    }
  }

 private:
  static constexpr u64 authors = 1000;

  static void draw(u64 random, NoteField field, Operation* line) {
    const u64 bits = remix(random, 16 + field);
    switch (field) {
      case author: return set_field(line, field, below(bits, authors));
      case pinned: return set_field(line, field, (bits & 1) != 0 ? 0 : below(bits, 100));
      case topic: return set_field(line, field, u128{below(bits, 500)} << 64 | 7);
      case kind: return set_field(line, field, below(bits, 8));
      case size: return set_field(line, field, below(bits, 2000));
      case flags: return set_field(line, field, below(bits, 4));
    }
  }
  static void scan(u64 random, Operation* line) {
    line->kind = OperationKind::scan;
    line->tree = TreeName::notes_author;
    line->limit = 1 + static_cast<u32>(below(remix(random, 2), 32));
    const Key from = Key::of(u128{below(remix(random, 4), authors)} << 64);
    const bool ascending = (random & 1) != 0;
    line->direction = ascending ? Direction::ascending : Direction::descending;
    line->key = ascending ? from : Key{};
    line->key_end = ascending ? key_max(line->tree) : from;
  }

  u64 count_;
  u64 universe_;
  u64 lines_per_op_;
  Stream stream_;
};

Bench bench_of(std::string_view name, bool tiny) {
  const bool forest = name == "forest";
  Bench bench{.name = forest ? "forest" : "tree",
              .geometry = tiny ? "tiny" : "default",
              .workload = forest ? "groove" : "tree",
              .live = tiny ? 1800U : 20'000U,
              .lines_per_op = tiny ? 10U : 61U,
              .options = {}};
  RunOptions& o = bench.options;
  o.disk.read = o.disk.write = o.disk.sync = {.latency_ticks_min = 10, .latency_ticks_mean = 30, .stall = {}};
  o.disk.profile = DurabilityProfile::cached;
  o.groove = GrooveName::notes;
  if (forest) o.runtime.blocks_count = 8192;
  o.object_cache_slots = 16'384;
  if (tiny) {
    o.format.sector_size = o.format.block_size = 512;
    if (forest) o.format.block_size = 1024;  // Of 512 bytes none indexes the blocks of a table of objects.
    o.format.batch_values_max = 6;
    o.runtime.cache_blocks = 16;
    o.runtime.blocks_count = forest ? 32'768 : 16'384;
    o.object_cache_slots = 16;
    o.prefetch_keys_max = 16;
  }
  return bench;
}

void apply_settings(const std::vector<std::string>& set, Bench* bench) {
  for (const std::string& assignment : set) {
    const std::size_t equals = assignment.find('=');
    const std::optional<u16> setting = find_setting(assignment.substr(0, equals));
    if (equals == std::string::npos || !setting)
      throw UsageError(fmt::format("--set: found {}, expected KEY=VALUE", quoted(assignment)));
    const SettingValue value = parse_setting(settings()[*setting], assignment.substr(equals + 1));
    if (!value.error.empty())
      throw UsageError(fmt::format("--set: found {}, expected {}", quoted(assignment), value.error));
    settings()[*setting].set(bench->options, value.value);
  }
  finish_options(&bench->options);
  bench->options.disk.seed = 1;
  if (const std::string error = validate_run(bench->workload, bench->options); !error.empty())
    throw UsageError(error);
}

}  // namespace

std::vector<Bench> parse_benches(const std::string& name, const std::vector<std::string>& set) {
  std::vector<Bench> benches;
  for (const std::string bench : {"tree", "forest"}) {
    for (const bool tiny : {false, true}) {
      if (!name.empty() && name != bench && name != bench + (tiny ? "-tiny" : "-default")) continue;
      benches.push_back(bench_of(bench, tiny));
      apply_settings(set, &benches.back());
    }
  }
  if (!benches.empty()) return benches;
  throw UsageError(
      fmt::format("bench: found {}, expected tree or forest, or one of them with -default or -tiny behind it",
                  quoted(name)));
}

std::unique_ptr<BenchWork> bench_work(const Bench& bench, u64 lines) {
  if (std::string_view(bench.name) == "forest")
    return std::make_unique<ForestWork>(lines, bench.live, bench.lines_per_op);
  return std::make_unique<TreeWork>(lines, bench.live, bench.lines_per_op);
}

}  // namespace tonearm::sim
