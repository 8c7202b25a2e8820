// Workload `options`: which options are possible, and what tables they make, against the rules in words.
//
// The rules are written down here once more: of each option its limits and what it must divide. They are
// compared for one change at a time to options that are valid, at and beside every limit. What a line does
// to these it does to the options of grooves, too, by the same numbers. The layout of tables is compared
// with what the format says, in plain divisions.
#include "base/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "forest/forest.h"
#include "groove/groove_options.h"
#include "sim/component/many_trees.h"
#include "sim/component/support.h"
#include "sim/disk/engine_code.h"
#include "sim/model/checkpoints.h"
#include "table/schema.h"
#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

struct Given {
  FormatOptions format;
  RuntimeOptions runtime;
  GrooveOptions groove;
};

using Reach = u64 (*)(const Given&);

// An option lies from `min` to `max`, is a multiple of `step`, and a power of two if it must be.
struct Rule {
  const char* name;
  u32 offset;  // In Given.
  u32 size;
  Reach min;
  u64 max;
  Reach step;
  bool power = false;
};

template <u64 number>
u64 fixed(const Given&) {
  return number;
}
u64 sector_of(const Given& given) { return std::max<u64>(512, given.format.sector_size); }
u64 two_bars(const Given& given) { return u64{2} * given.format.beats; }
u64 bar(const Given& given) { return given.format.beats; }

#define FORMAT(field) #field, offsetof(Given, format.field), sizeof(FormatOptions::field)
#define RUNTIME(field) #field, offsetof(Given, runtime.field), sizeof(RuntimeOptions::field)

// In the order in which they are looked at.
constexpr Rule rules[] = {
    {FORMAT(sector_size), fixed<512>, 4096, fixed<1>, true},
    {FORMAT(block_size), sector_of, 1 << 20, fixed<1>, true},
    {FORMAT(levels), fixed<2>, 10, fixed<1>},
    {FORMAT(growth), fixed<2>, 16, fixed<1>},
    {FORMAT(beats), fixed<2>, 64, fixed<2>},
    {FORMAT(checkpoint_interval), two_bars, 65536, bar},
    {FORMAT(batch_values_max), fixed<1>, 65536, fixed<1>},
    {FORMAT(coalescing_percent), fixed<0>, 100, fixed<1>},
    {FORMAT(manifest_extra_blocks), fixed<1>, 64, fixed<1>},
    {FORMAT(values_per_block_max), fixed<0>, 65536, fixed<1>},
    {FORMAT(value_blocks_max), fixed<0>, 65536, fixed<1>},
    {FORMAT(reserved), fixed<0>, 0, fixed<1>},
    {FORMAT(reserved2), fixed<0>, 0, fixed<1>},
    {RUNTIME(blocks_count), fixed<64>, u64{1} << 32, fixed<64>},
    {RUNTIME(cache_blocks), fixed<16>, 1 << 24, fixed<16>},
    {RUNTIME(cache_hash_bits), fixed<0>, 64, fixed<1>},
    {RUNTIME(read_iops), fixed<1>, 1024, fixed<1>},
    {RUNTIME(write_iops), fixed<1>, 1024, fixed<1>},
    {RUNTIME(compaction_blocks), fixed<6>, 1024, fixed<1>},
    {RUNTIME(read_attempts_max), fixed<1>, 64, fixed<1>},
    {RUNTIME(scans_max), fixed<1>, 64, fixed<1>},
    {RUNTIME(manifest_node_size), fixed<256>, 65536, fixed<256>},
};

#define GROOVE(field) offsetof(Given, groove.field), sizeof(GrooveOptions::field)

constexpr Rule groove_rules[] = {
    {"object_cache_slots", GROOVE(cache_slots), fixed<0>, 1 << 24, fixed<16>},
    {"object_cache_hash_bits", GROOVE(cache_hash_bits), fixed<0>, 64, fixed<1>},
    {"prefetch_keys_max", GROOVE(prefetch_keys_max), fixed<1>, 1 << 20, fixed<1>},
    {"prefetch_workers", GROOVE(prefetch_workers), fixed<1>, 1024, fixed<1>},
    {"scan_sort_timestamps", GROOVE(scan_sort_timestamps), fixed<1>, 1 << 20, fixed<1>},
    {"lookup_workers", GROOVE(lookup_workers), fixed<1>, 16, fixed<1>},
};

#undef FORMAT
#undef RUNTIME
#undef GROOVE

u64 get(const Given& given, const Rule& rule) {
  u64 number = 0;
  std::memcpy(&number, reinterpret_cast<const std::byte*>(&given) + rule.offset, rule.size);
  return number;
}
void set(Given* given, const Rule& rule, u64 number) {
  std::memcpy(reinterpret_cast<std::byte*>(given) + rule.offset, &number, rule.size);
}

bool holds(const Given& given, const Rule& rule) {
  const u64 number = get(given, rule);
  const u64 step = rule.step(given);
  if (rule.power && (number == 0 || (number & (number - 1)) != 0)) return false;
  return number >= rule.min(given) && number <= rule.max && step != 0 && number % step == 0;
}

// Null: there is none.
const Rule* first_fault(const Given& given, std::span<const Rule> among) {
  const auto found =
      std::find_if_not(among.begin(), among.end(), [&given](const Rule& rule) { return holds(given, rule); });
  return found == among.end() ? nullptr : &*found;
}

std::string name_of(const Rule& rule) {
  return std::string(rule.name).starts_with("reserved") ? "reserved" : rule.name;
}

// The error names that option, and what was given for it.
bool refuses(const OptionsError& error, const Given& given, const Rule* expected) {
  if (expected == nullptr) return !error;
  return error && error.field == name_of(*expected) && error.given == get(given, *expected);
}

// At, beside and between the limits, a step too little or too much, or anything.
u64 number_at(const Given& given, const Rule& rule, u64 place, u64 value) {
  const u64 min = rule.min(given);
  const u64 step = std::max<u64>(1, rule.step(given));
  switch (place) {
    case 0: return min;
    case 1: return min - 1;
    case 2: return min - step;
    case 3: return min + step;
    case 4: return rule.max / step * step;
    case 5: return rule.max + 1;
    case 6: return rule.max - 1;
    case 7: return rule.max + step;
    case 8: return min + step / 2;
    case 9: return rule.max * 2;
    case 10: return min * 2;
    case 11: return min / 2;
    case 12: return min + value % (rule.max - std::min(min, rule.max) + 1) / step * step;
    case 13: return min + value % (rule.max - std::min(min, rule.max) + 1);
    case 14: return u64{1} << value % 33;
    default: return value;
  }
}

constexpr u64 trees_max = 64;

// The tables of a tree as the format says.
struct Layout {
  u64 per_block, values, slots, index_size;
  const char* refused;  // Which option makes them impossible, or null.
  u64 given;            // That option.
};
Layout layout_of(const FormatOptions& f, u64 key_size, u64 value_size) {
  const u64 body = f.block_size - std::min<u32>(256, f.block_size);
  u64 per_block = body / value_size;
  const bool any = per_block > 0;
  if (f.values_per_block_max != 0) per_block = std::min<u64>(per_block, f.values_per_block_max);
  const u64 values = u64{f.beats} * f.batch_values_max;
  const u64 needed = any ? (values + per_block - 1) / per_block : 0;
  const bool capped = any && f.value_blocks_max != 0 && f.value_blocks_max < needed;
  const u64 slots = std::max<u64>(needed, f.value_blocks_max);
  const u64 index_size = 256 + slots * (32 + 2 * key_size + 8);
  const bool fits = any && !capped && index_size <= f.block_size;
  return {.per_block = per_block,
          .values = values,
          .slots = slots,
          .index_size = index_size,
          .refused = fits     ? nullptr
                     : capped ? "value_blocks_max"
                              : "block_size",
          .given = capped ? f.value_blocks_max : f.block_size};
}

class OptionsComponent final : public Component {
 public:
  explicit OptionsComponent(Referee& referee) : referee_(&referee) { reset(); }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    const auto& a = line.arguments;
    if (verb == "reset") return reset();
    if (verb == "layout") return layout(8U << a[0], 8U << a[1], a[2]);
    if (verb == "levels") return levels(a[0], a[1]);
    if (verb == "trigger") return triggers(a[0], a[1]);
    if (verb == "trees") return trees(a[0], a[1], a[2]);
    const u64 index = a[0] % std::size(rules);
    Given changed = given_;
    set(&changed, rules[index], number_at(given_, rules[index], a[1], a[2]));
    if (verb == "two") {
      const Rule& next = rules[(index + 1) % std::size(rules)];
      set(&changed, next, number_at(changed, next, a[2] % 16, a[2] / 16));
    } else {
      ASSERT(verb == "set" || verb == "keep");
    }
    compare(changed);
    Given groove = given_;
    const Rule& rule = groove_rules[a[0] % std::size(groove_rules)];
    set(&groove, rule, number_at(given_, rule, a[1], a[2]));
    compare_groove(groove);
    if (verb != "keep") return;
    if (first_fault(groove, groove_rules) == nullptr) changed.groove = groove.groove;
    if (first_fault(changed, rules) == nullptr) given_ = changed;
  }

  void finish() override {
    compare(given_);
    compare_groove(given_);
    if (forest_.empty()) return;
    for (TreeConfig& tree : forest_) tree.kernel = &kv_kernel;
    play_many_trees(*referee_, forest_);
  }

 private:
  void reset() {
    given_ = {.format = referee_->options().format, .runtime = referee_->options().runtime};
    compare(given_);
  }

  void compare(const Given& given) {
    OptionsError error;
    {
      const EngineCode engine;
      error = validate(given.format, given.runtime);
    }
    referee_->answer(error ? 1 : 0, error.given);
    check_refused(error, given, rules, "another option is refused");
  }

  void compare_groove(const Given& given) {
    OptionsError error;
    {
      const EngineCode engine;
      error = validate(given.groove);
    }
    check_refused(error, given, groove_rules, "another option of a groove is refused");
  }

  void check_refused(const OptionsError& error, const Given& given, std::span<const Rule> among,
                     const char* site) {
    const Rule* const expected = first_fault(given, among);
    check(*referee_, refuses(error, given, expected), site, [&] {
      return fmt::format("`{}` is refused ({}, given {}), expected `{}`, given {}", error ? error.field : "",
                         error ? error.expected : "nothing", error.given,
                         expected == nullptr ? "" : name_of(*expected),
                         expected == nullptr ? 0 : get(given, *expected));
    });
  }

  // `place` changes how many values there are to hold, so that tables just fit and just do not.
  void layout(u32 key_size, u32 value_size, u64 place) {
    FormatOptions f = given_.format;
    if (place >= 8) f.batch_values_max = std::max<u32>(1, f.batch_values_max << (place - 8));
    f.batch_values_max = std::min<u32>(f.batch_values_max, 65536);
    const Layout expected = layout_of(f, key_size, value_size);
    TableLayout made;
    OptionsError error;
    {
      const EngineCode engine;
      error = table_layout(f, 7, key_size, value_size, &made);
    }
    referee_->answer(error ? 1 : 0, error.given);
    check_layout(error, expected.refused, expected.given);
    if (expected.refused != nullptr) return;
    check(*referee_,
          made.tree_id == 7 && made.key_size == key_size && made.value_size == value_size &&
              made.values_per_block == expected.per_block && made.value_count_max == expected.values &&
              made.value_blocks_max == expected.slots && made.index_size == expected.index_size &&
              made.keys_min_offset() == 256 + expected.slots * 32 &&
              made.keys_max_offset() == 256 + expected.slots * (32 + key_size) &&
              made.addresses_offset() == 256 + expected.slots * (32 + 2 * key_size) &&
              made.blocks_max() == 1 + expected.slots,
          "another layout", [&] {
            return fmt::format("{} values a block, {} blocks, {} bytes; expected {}, {}, {}",
                               made.values_per_block, made.value_blocks_max, made.index_size,
                               expected.per_block, expected.slots, expected.index_size);
          });
  }

  // How many tables a level may hold, and a tree on so many blocks. `drawn`: the growth may be any.
  void levels(u64 drawn, u64 blocks) {
    FormatOptions f = given_.format;
    if (drawn >= 2 && drawn <= 16) f.growth = static_cast<u32>(drawn);
    u128 level_max = 1;
    u128 sum = 0;
    for (u32 level = 0; level < f.levels; ++level) {
      level_max *= f.growth;
      sum += level_max;
      u64 made = 0;
      {
        const EngineCode engine;
        made = level_tables_max(f, level);
      }
      check(*referee_, made == level_max, "another number of tables in a level",
            [&] { return fmt::format("{} tables in level {} of growth {}", made, level, f.growth); });
    }
    const u128 tables = sum * 2 <= blocks ? sum : blocks / 2;
    u64 made = 0;
    {
      const EngineCode engine;
      made = tree_tables_max(f, blocks);
    }
    referee_->answer(made);
    check(*referee_, made == tables, "another number of tables in a tree", [&] {
      return fmt::format("{} tables of {} levels of growth {} on {} blocks", made, f.levels, f.growth,
                         blocks);
    });
  }

  // Around the end of the interval that an op lies in.
  void triggers(u64 magnitude, u64 value) {
    const FormatOptions& f = given_.format;
    const Checkpoints checkpoints = Checkpoints::of(f);
    const u64 near = value >> (magnitude % 64);
    const u64 end = near / f.checkpoint_interval * f.checkpoint_interval + f.checkpoint_interval;
    for (u64 op = end - 2; op <= end + f.beats + 1; ++op) {
      bool due = false;
      {
        const EngineCode engine;
        due = checkpoint_trigger(f, op);
      }
      referee_->answer(due);
      check(*referee_, due == checkpoints.due(op, 0), "a checkpoint is due otherwise",
            [&] { return fmt::format("after op {}, of every {}", op, f.checkpoint_interval); });
    }
  }

  void check_layout(const OptionsError& error, const char* field, u64 given) {
    const bool named =
        error && field != nullptr && std::string_view(error.field) == field && error.given == given;
    check(*referee_, field == nullptr ? !error : named, "another layout is refused", [&] {
      return fmt::format("{}, given {}, expected {} {}", error ? error.field : "nothing", error.given,
                         field == nullptr ? "nothing" : field, field == nullptr ? 0 : given);
    });
  }

  // The first of them that is impossible is named.
  void trees(u64 count, u64 place, u64 value) {
    constexpr const TableKernel* kernels[] = {&kv_kernel, &existence_kernel, &index_kernel,
                                              &wide_index_kernel, &id_kernel};
    std::vector<TreeConfig> given(count);
    for (u64 i = 0; i < count; ++i) {
      given[i].id = static_cast<u16>(1 + value % 9 + i * (1 + value % 3));
      given[i].kernel = kernels[(value + i) % std::size(kernels)];
    }
    if (count > 0 && place < 8) {
      const u64 at = (value >> 8) % count;
      const u16 before = at == 0 ? u16{0} : given[at - 1].id;
      given[at].id = static_cast<u16>(before - std::min<u64>(before, place / 2));
    }
    const char* field = count < 1 || count > trees_max ? "trees" : nullptr;
    u64 number = count;
    u64 before = 0;
    for (const TreeConfig& tree : given) {
      if (field != nullptr) break;
      const Layout layout = layout_of(given_.format, tree.kernel->key_size(), tree.kernel->value_size());
      field = tree.id <= before ? "tree id" : layout.refused;
      number = tree.id <= before ? tree.id : layout.given;
      before = tree.id;
    }
    OptionsError error;
    {
      const EngineCode engine;
      error = Forest::validate({.format = given_.format, .runtime = given_.runtime, .trees = given});
    }
    referee_->answer(error ? 1 : 0, error.given);
    check_layout(error, field, number);
    if (field == nullptr) forest_ = std::move(given);
  }

  Referee* referee_;
  Given given_;
  std::vector<TreeConfig> forest_;  // The last one that is possible.
};

}  // namespace

std::unique_ptr<Component> make_options(Referee& referee) {
  return std::make_unique<OptionsComponent>(referee);
}

}  // namespace tonearm::sim
