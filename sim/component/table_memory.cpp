// Workload `table_memory`: the two memory tables of each of the three trees, which share one scratch
// buffer, against the list of what was put.
//
// The model has every put of the bar, and how ops and sorts divide them. So it predicts the count
// after each call (what was superseded and what cancelled out, and when), which version each lookup
// finds, sorted or not, what each run holds, and what is left after a swap or an absorption, which
// comes from the list alone. The options that matter: beats and batch_values_max (their product is
// the capacity; ops in a bar), key_universe.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>

#include "sim/component/support.h"
#include "sim/component/tested.h"
#include "table/table_memory.h"
#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

constexpr u32 trees = 3;
constexpr u32 value_size_max = 32;
constexpr u64 scatter = 7919;
constexpr u64 bar_of_runs =
    8192;  // Values that the runs of lines are made for; a larger bar has longer ones.
const TableKernel* const kernels[trees] = {&kv_kernel, &index_kernel, &id_kernel};

struct Put {
  Key key;
  u64 payload;
  bool tombstone;
};
using Puts = std::vector<Put>;
using Bytes = std::array<std::byte, value_size_max>;

bool is_index(u32 tree) { return tree == static_cast<u32>(TreeName::index); }

// Ascending in `index`; the first and the last are the limits of the type, neighbours are near.
Key key_at(u32 tree, u64 index, u64 universe) {
  const bool last = index + 1 == universe;
  switch (tree_spec(static_cast<TreeName>(tree)).shape) {
    case KeyShape::number: {
      const u64 max = (u64{1} << 63) - 2;
      return Key::of(last ? max : index / 2 * (max / universe) + index % 2);
    }
    case KeyShape::index: {
      const u64 field = last ? u64_max : index / 4 * (u64_max / universe);
      const u64 timestamp = last ? (u64{1} << 63) - 1 : (index % 4) << 61;
      return Key::of(u128{field} << 64 | timestamp);
    }
    case KeyShape::wide_number: {
      const u128 spread = u128{index / 3 * (u64_max / universe)} << 64;
      return Key::of(last ? u128_max - 1 : spread + (u128{index % 3} << 40));
    }
    case KeyShape::wide_index:
    case KeyShape::timestamp: break;
  }
  UNREACHABLE();
}

Bytes bytes_of(u32 tree, const Put& put) {
  Bytes bytes{};
  const u64 flag = put.tombstone ? u64{1} << 63 : 0;
  const u64 low = static_cast<u64>(put.key.lo);
  const u64 high = static_cast<u64>(put.key.lo >> 64);
  u64 words[4] = {};
  switch (tree_spec(static_cast<TreeName>(tree)).shape) {
    case KeyShape::number:
      words[0] = low | flag;
      words[1] = put.payload;
      break;
    case KeyShape::index:
      words[0] = high;
      words[1] = low | flag;
      break;
    case KeyShape::wide_number:
      words[0] = low;
      words[1] = high;
      words[2] = put.payload | flag;
      break;
    case KeyShape::wide_index:
    case KeyShape::timestamp: UNREACHABLE();
  }
  std::memcpy(bytes.data(), words, sizeof(words));
  return bytes;
}

// What is left of puts, in the order of keys: the newest, or of an index the odd one out.
Puts resolve(u32 tree, const Puts& puts) {
  std::map<Key, std::pair<Put, u64>> versions;
  for (const Put& put : puts) {
    auto& [newest, count] = versions[put.key];
    newest = put;
    ++count;
  }
  Puts left;
  for (const auto& [key, version] : versions) {
    if (!is_index(tree) || version.second % 2 == 1) left.push_back(version.first);
  }
  return left;
}

// One tree, and what it should be.
struct Side {
  TableLayout layout;
  Tested<TableMemory> tables[2];
  TestedPointer<TableMemory> changing;  // The mutable one.
  TestedPointer<TableMemory> fixed;     // The immutable one.

  Puts all;                // Of this bar, in order of arrival.
  std::vector<Puts> runs;  // Of the ops that have ended, oldest first.
  Puts suffix;             // Of this op: in order of arrival behind what the last sort left.
  u64 ops = 0;             // That have ended in this bar.
  std::map<Key, std::vector<u64>> versions;  // Where in `all` those of a key are.

  struct Scope {
    TableMemory::ValueContext context;
    u64 all;
    u64 suffix;
  };
  std::optional<Scope> scope;

  Puts fixed_all;   // Of all bars that the immutable table holds.
  Puts fixed_left;  // Resolved.
  bool flushed = true;
  bool absorbed = false;
  u64 snapshot = 0;

  std::map<Key, bool> present;  // Of an index: whether the next version of a key is a tombstone.

  u64 count() const {
    u64 sum = suffix.size();
    for (const Puts& run : runs) sum += run.size();
    return sum;
  }
};

class TableMemoryComponent final : public Component {
 public:
  explicit TableMemoryComponent(Referee& referee)
      : referee_(&referee),
        universe_(std::max<u64>(4, referee.options().key_universe)),
        beats_(referee.options().format.beats),
        capacity_(u64{beats_} * referee.options().format.batch_values_max) {
    Arena measure;
    for (u32 tree = 0; tree < trees; ++tree) {
      TableLayout& layout = sides_[tree].layout;
      layout.tree_id = static_cast<u16>(tree + 1);
      layout.key_size = kernels[tree]->key_size();
      layout.value_size = kernels[tree]->value_size();
      layout.value_count_max = static_cast<u32>(capacity_);
      TableMemory::measure(measure, layout);
      TableMemory::measure(measure, layout);
    }
    (void)measure.take<std::byte>(capacity_ * value_size_max, value_size_max);
    const std::span<std::byte> buffer = poisoned_memory(referee, measure.used());
    Arena arena{buffer};
    using enum TableMemory::State;
    for (u32 tree = 0; tree < trees; ++tree) {
      Side& s = sides_[tree];
      s.tables[0].emplace(arena, s.layout, *kernels[tree], scratch_, mutable_);
      s.tables[1].emplace(arena, s.layout, *kernels[tree], scratch_, immutable);
      s.changing = s.tables[0].pointer();
      s.fixed = s.tables[1].pointer();
    }
    scratch_.bytes = arena.take<std::byte>(capacity_ * value_size_max, value_size_max);
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    const auto& a = line.arguments;
    tree_ = static_cast<u32>(a[0]);
    if (verb == "put" || verb == "remove") {
      const u64 run = a[2] * std::max<u64>(1, capacity_ / bar_of_runs);
      put(a[1], run % std::max<u64>(1, capacity_ / 2), a[3], verb == "remove");
    } else if (verb == "get") {
      for (u64 i = 0; i <= a[2]; ++i) get((a[1] + i) % universe_);
    } else if (verb == "sort") {
      sort();
    } else if (verb == "walk") {
      walk();
    } else if (verb == "range") {
      range(a[1] % universe_, a[2] % 64);
    } else if (verb == "op") {
      op_end(false);
    } else if (verb == "bar") {
      bar_end(a[1] != 0);
    } else if (verb == "flush") {
      flush();
    } else if (verb == "scope") {
      scope();
    } else {
      ASSERT(verb == "end");
      scope_end(a[1] != 0);
    }
    compare_state();
  }

  void finish() override {
    for (tree_ = 0; tree_ < trees; ++tree_) {
      walk();
      bar_end(tree_ == 1);
      compare_state();
      for (u64 key = 0; key < universe_; ++key) get(key);
    }
  }

 private:
  template <class Message>
  void check(bool holds, const char* site, Message message) {
    sim::check(*referee_, holds, site,
               [&] { return fmt::format("{}: {}", tree_name(static_cast<TreeName>(tree_)), message()); });
  }

  Side& side() { return sides_[tree_]; }
  TestedPointer<TableMemory> table() { return side().changing; }
  u32 value_size() const { return kernels[tree_]->value_size(); }

  // --- changes

  void put(u64 key, u64 run, u64 order, bool tombstone) {
    for (u64 i = 0; i <= run; ++i) {
      Side& s = side();
      if (s.all.size() == capacity_) {
        bar_end(run % 2 == 0);
        return;
      }
      const u64 step = order == 0 ? i : order == 1 ? universe_ - i % universe_ : order == 2 ? 0 : i * scatter;
      Put one{.key = key_at(tree_, (key + step) % universe_, universe_),
              .payload = is_index(tree_) || tombstone ? 0 : ++values_,
              .tombstone = tombstone};
      if (is_index(tree_)) {
        bool& present = s.present[one.key];
        one.tombstone = present;
        present = !present;
      }
      table()->put(bytes_of(tree_, one).data());
      s.versions[one.key].push_back(s.all.size());
      s.all.push_back(one);
      s.suffix.push_back(one);
    }
  }

  // Whatever reorders the values ends a scope.
  void sort() {
    side().scope.reset();
    table()->sort_suffix();
    side().suffix = resolve(tree_, side().suffix);
  }

  // True: the bar has ended with it.
  bool op_end(bool last) {
    Side& s = side();
    s.scope.reset();
    table()->op_end();
    s.suffix = resolve(tree_, s.suffix);
    if (!s.suffix.empty()) s.runs.push_back(std::move(s.suffix));
    s.suffix.clear();
    compare_state();
    if (++s.ops < beats_ || last) return false;
    bar_end(s.all.size() % 2 == 0);
    return true;
  }

  void bar_end(bool absorb) {
    Side& s = side();
    if (!s.suffix.empty() && s.ops + 1 < beats_) {
      op_end(true);
    } else {
      // The swap itself ends the last op.
      s.scope.reset();
      s.suffix = resolve(tree_, s.suffix);
    }
    ++snapshots_;
    const bool fits = s.fixed_left.size() + s.count() <= capacity_;
    if (absorb && !s.flushed && fits) {
      s.fixed->absorb(*table(), snapshots_);
      s.fixed_all.insert(s.fixed_all.end(), s.all.begin(), s.all.end());
      s.absorbed = true;
    } else {
      if (!s.flushed) s.fixed->mark_flushed();
      table()->make_immutable(snapshots_);
      s.fixed->make_mutable();
      std::swap(s.changing, s.fixed);
      s.fixed_all = std::move(s.all);
      s.absorbed = false;
    }
    s.snapshot = snapshots_;
    s.fixed_left = resolve(tree_, s.fixed_all);
    s.flushed = s.fixed_left.empty();
    s.all.clear();
    s.runs.clear();
    s.suffix.clear();
    s.versions.clear();
    s.ops = 0;
    compare_values(s.fixed->values(), s.fixed_left, "immutable: another value");
  }

  void flush() {
    if (side().flushed) return referee_->skip();
    side().fixed->mark_flushed();
    side().flushed = true;
  }

  void scope() {
    Side& s = side();
    const TableMemory::ValueContext context = table()->value_context();
    check(context.count == s.count() && context.puts_since_bar_start == s.all.size(), "scope: another count",
          [&] { return fmt::format("{} values, expected {}", context.count, s.count()); });
    s.scope = {.context = context, .all = s.all.size(), .suffix = s.suffix.size()};
  }

  void scope_end(bool discard) {
    Side& s = side();
    if (!s.scope) return referee_->skip();
    if (discard) {
      table()->restore(s.scope->context);
      while (s.all.size() > s.scope->all) {
        const Put& last = s.all.back();
        if (is_index(tree_)) s.present[last.key] = last.tombstone;
        std::vector<u64>& versions = s.versions[last.key];
        versions.pop_back();
        if (versions.empty()) s.versions.erase(last.key);
        s.all.pop_back();
      }
      s.suffix.resize(s.scope->suffix);
    }
    s.scope.reset();
  }

  // --- reads

  bool same(const std::byte* value, const Put& expected) const {
    return std::memcmp(value, bytes_of(tree_, expected).data(), value_size()) == 0;
  }
  std::string text(const std::byte* value) const {
    if (value == nullptr) return "nothing";
    const Key key = kernels[tree_]->key_of(value);
    u64 word = 0;
    std::memcpy(&word, value + value_size() - (tree_ == 2 ? 16 : 8), sizeof(word));
    return fmt::format("{}{}/{:x}", kernels[tree_]->is_tombstone(value) ? "the tombstone of " : "",
                       key_text(static_cast<TreeName>(tree_), key), word);
  }
  std::string text(const Put* put) const {
    return put == nullptr ? "nothing" : text(bytes_of(tree_, *put).data());
  }

  static const Put* find_sorted(const Puts& puts, const Key& key) {
    const auto at = std::lower_bound(puts.begin(), puts.end(), key,
                                     [](const Put& put, const Key& bound) { return put.key < bound; });
    return at == puts.end() || at->key != key ? nullptr : &*at;
  }
  const Put* find(const Key& key) {
    const Side& s = side();
    for (u64 i = s.suffix.size(); i > 0; --i) {
      if (s.suffix[i - 1].key == key) return &s.suffix[i - 1];
    }
    for (u64 i = s.runs.size(); i > 0; --i) {
      if (const Put* put = find_sorted(s.runs[i - 1], key)) return put;
    }
    return nullptr;
  }

  void get(u64 index) {
    const Key key = key_at(tree_, index, universe_);
    const std::byte* found = table()->get(key);
    get_is(found, key, find(key), "get: another value");
    // What any reader relies on, however the values are divided.
    const auto versions = side().versions.find(key);
    const u64 count = versions == side().versions.end() ? 0 : versions->second.size();
    const bool newest = found != nullptr && count > 0 && same(found, side().all[versions->second.back()]);
    check(found == nullptr ? (is_index(tree_) ? count % 2 == 0 : count == 0) : newest, "get: not the newest",
          [&] { return fmt::format("{} is not the newest of {} versions", text(found), count); });
    get_is(side().fixed->get(key), key, find_sorted(side().fixed_left, key), "immutable get: another value");
  }

  void get_is(const std::byte* found, const Key& key, const Put* expected, const char* site) {
    referee_->answer(found == nullptr ? 0 : hash_of({found, value_size()}, tree_));
    check(found == nullptr ? expected == nullptr : expected != nullptr && same(found, *expected), site, [&] {
      return fmt::format("{} is {}, expected {}", key_text(static_cast<TreeName>(tree_), key), text(found),
                         text(expected));
    });
  }

  void compare_values(std::span<const std::byte> values, const Puts& expected, const char* site) {
    const u64 count = values.size() / value_size();
    check(count == expected.size(), site,
          [&] { return fmt::format("{} values, expected {}", count, expected.size()); });
    for (u64 i = 0; i < count; ++i) {
      const std::byte* value = values.data() + i * value_size();
      if (same(value, expected[i])) continue;
      check(false, site, [&] {
        return fmt::format("value {} of {} is {}, expected {}", i, count, text(value), text(&expected[i]));
      });
    }
    if (count > 0) referee_->answer(count, hash_of(values, tree_));
  }

  // All runs, oldest first; that of this op is the last.
  std::vector<const Puts*> sorted_runs() {
    sort();
    std::vector<const Puts*> runs;
    for (const Puts& run : side().runs) runs.push_back(&run);
    if (!side().suffix.empty()) runs.push_back(&side().suffix);
    check(table()->run_count() == runs.size(), "another number of runs",
          [&] { return fmt::format("{} runs, expected {}", table()->run_count(), runs.size()); });
    return runs;
  }

  void walk() {
    const std::vector<const Puts*> runs = sorted_runs();
    for (u32 i = 0; i < runs.size(); ++i) compare_values(table()->run(i), *runs[i], "walk: another value");
    const u32 fixed_runs = side().fixed_left.empty() ? 0 : 1;
    check(side().fixed->run_count() == fixed_runs, "immutable: another number of runs",
          [&] { return fmt::format("{} runs, expected {}", side().fixed->run_count(), fixed_runs); });
    if (fixed_runs > 0) compare_values(side().fixed->run(0), side().fixed_left, "immutable: another value");
  }

  void range(u64 index, u64 run) {
    const std::vector<const Puts*> runs = sorted_runs();
    for (u32 i = 0; i < runs.size(); ++i) {
      for (u64 j = 0; j <= run; ++j) {
        const Key key = key_at(tree_, (index + j) % universe_, universe_);
        const auto values = table()->run(i);
        const u32 found =
            kernels[tree_]->lower_bound(values.data(), static_cast<u32>(values.size() / value_size()), key);
        u64 expected = 0;
        while (expected < runs[i]->size() && (*runs[i])[expected].key < key) ++expected;
        check(found == expected, "range: another place", [&] {
          return fmt::format("{} values of run {} are below {}, expected {}", found, i,
                             key_text(static_cast<TreeName>(tree_), key), expected);
        });
      }
    }
  }

  void compare_state() {
    const Side& s = side();
    using enum TableMemory::State;
    check(table()->state() == mutable_ && s.fixed->state() == immutable, "another state",
          [] { return "mutable and immutable are confused"; });
    check(table()->count() == s.count() && table()->puts_since_bar_start() == s.all.size() &&
              table()->empty() == (s.count() == 0),
          "another count", [&] {
            return fmt::format("{} values of {} puts, expected {} of {}", table()->count(),
                               table()->puts_since_bar_start(), s.count(), s.all.size());
          });
    const TableMemory& fixed = *s.fixed;
    check(fixed.count() == s.fixed_left.size() && fixed.puts_since_bar_start() == s.fixed_all.size(),
          "immutable: another count", [&] {
            return fmt::format("{} values of {} puts, expected {} of {}", fixed.count(),
                               fixed.puts_since_bar_start(), s.fixed_left.size(), s.fixed_all.size());
          });
    check(
        fixed.flushed() == s.flushed && fixed.absorbed() == s.absorbed && fixed.snapshot_min() == s.snapshot,
        "immutable: another phase", [&] {
          return fmt::format("flushed {}, absorbed {}, snapshot {}; expected {}, {}, {}", fixed.flushed(),
                             fixed.absorbed(), fixed.snapshot_min(), s.flushed, s.absorbed, s.snapshot);
        });
    check(!scratch_.busy, "the scratch buffer stays in use", [] { return "nobody sorts"; });
  }

  Referee* referee_;
  u64 universe_;
  u32 beats_;
  u64 capacity_;
  ScratchMemory scratch_;
  std::array<Side, trees> sides_;
  u32 tree_ = 0;       // Of the line at hand.
  u64 values_ = 0;     // Each put has a payload of its own.
  u64 snapshots_ = 0;  // Each swap too.
};

}  // namespace

std::unique_ptr<Component> make_table_memory(Referee& referee) {
  return std::make_unique<TableMemoryComponent>(referee);
}

}  // namespace tonearm::sim
