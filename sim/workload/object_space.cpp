#include "sim/workload/object_space.h"

#include <algorithm>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u64 timestamps_each = 4;

// Which field an index is about, and what it makes of the value.
u32 field_of(TreeName tree) {
  const GrooveSpec& groove = groove_spec(tree_spec(tree).groove);
  return static_cast<u32>(tree) - static_cast<u32>(groove.objects) - (groove.has_id ? 2 : 1);
}

// Around the size from which on a note is large, and where two sizes have one entry.
constexpr u64 sizes[] = {0, 1001, 1000, 1016, 1015, 999, 4096, 1002, u64_max, 1024, 5000, 16};

}  // namespace

ObjectSpace::ObjectSpace(u64 seed, const RunOptions& options)
    : universe_(std::max<u64>(1, options.key_universe)),
      keys_(seed, universe_ + 1),
      increasing_(options.timestamps == Timestamps::increasing),
      bias_hot_(options.bias_hot) {
  const Stream stream("object space", stream_seed(seed, "object space"));
  halves_swapped_ = below(stream.at(6), 4) == 0;
  gap_ = below(stream.at(1), 2) == 0 ? 1 : (timestamp_max - 1) / (timestamps_each * (universe_ + 1));
  // 1: as they come. Else any odd number: a permutation of all timestamps but 0.
  factor_ = below(stream.at(2), 3) == 0 ? 1 : stream.at(3) | 1;
  for (u32 g = 0; g < groove_count; ++g) {
    const u64 density = between(stream.at(4, g), 1, 4);
    for (u32 f = 0; f < groove_spec(static_cast<GrooveName>(g)).fields.size(); ++f) {
      const u64 random = stream.at(5, g, f);
      habits_[g][f] = {.style = static_cast<Style>(below(random, 5)),
                       .hot = u64{1} << below(remix(random, 1), 5),
                       .used = below(remix(random, 2), 4) < density,
                       .in_eras = below(remix(random, 3), 3) == 0};
    }
  }
}

// Never 0, which is no id: number 0 of the keys is left out. Those that lie close together differ in their
// low halves only, or in their high ones.
u128 ObjectSpace::id(u64 number) const {
  ASSERT(number < universe_);
  const u128 id = keys_.key(TreeName::things_id, number + 1).lo;
  return halves_swapped_ ? id << 64 | id >> 64 : id;
}

u64 ObjectSpace::scrambled(u64 number) const {
  const u64 timestamp = (number * factor_) & timestamp_max;
  ASSERT(timestamp != 0);
  return timestamp;
}

u64 ObjectSpace::key_timestamp(u64 number) const {
  ASSERT(number < universe_);
  return increasing_ ? 1 + number * gap_ : scrambled(number + 1);
}

u64 ObjectSpace::any_timestamp(u64 number, u64 random) const {
  return scrambled(1 + timestamps_each * number + below(random, timestamps_each));
}

u64 ObjectSpace::timestamp_top(GrooveName groove, u64 index) const {
  if (!increasing_) return factor_ == 1 ? timestamps_each * (universe_ + 1) : timestamp_max;
  return groove_spec(groove).has_id ? index + 1 : key_timestamp(universe_ - 1);
}

bool ObjectSpace::used(GrooveName groove, u32 field) const {
  return habits_[static_cast<u32>(groove)][field].used;
}

u128 ObjectSpace::hot_value(const FieldHabit& habit, u128 max, u64 number) const {
  switch (habit.style) {
    case Style::dense: return std::min<u128>(number, max);
    case Style::sparse: return std::min<u128>(1 + 7 * number, max);
    case Style::spread: return max / habit.hot * number;
    case Style::high: return max - number;
    case Style::apart: {  // The low halves are the same.
      u128 half = max;
      while (half > max / half) half >>= 1;
      return std::min<u128>(number * (half + 1), max);
    }
  }
  UNREACHABLE();
}

u128 ObjectSpace::value(GrooveName groove, u32 field, u64 random, u64 era) const {
  const FieldSpec& spec = groove_spec(groove).fields[field];
  const FieldHabit& habit = habits_[static_cast<u32>(groove)][field];
  const u128 max = field_max(spec);
  const bool hot = below(remix(random, 1), 100) < bias_hot_;
  const u64 draw = remix(random, 2);
  const std::string_view name = spec.name;
  // Absent as often as that: these are indexed unless they are 0.
  const bool optional = name == "pinned" || name == "weight" || name == "label" || name == "peak";
  if (optional && below(remix(random, 3), 3) == 0) return 0;
  if (groove == GrooveName::notes && name == "size") {
    return hot ? sizes[below(draw, std::size(sizes))] : below(draw, 3000);
  }
  if (name == "flags") return below(draw, 4) | (hot ? 0 : remix(draw, 1) << 2);
  if (hot) {
    const bool usual = habit.in_eras && below(remix(draw, 4), 64) != 0;
    return hot_value(habit, max, below(usual ? remix(era, field) : draw, habit.hot));
  }
  const u128 cold = u128{remix(draw, 2)} << 64 | draw;
  return below(remix(draw, 3), 2) == 0 ? cold & max : std::min<u128>(below(draw, 1000), max);
}

Key ObjectSpace::key(TreeName tree, u64 number, u64 timestamp, u64 random, u64 era) const {
  const GrooveName groove = tree_spec(tree).groove;
  switch (tree_spec(tree).shape) {
    case KeyShape::wide_number: return Key::of(id(number));
    case KeyShape::timestamp: return Key::of(timestamp);
    case KeyShape::wide_index: {
      u128 field = value(groove, field_of(tree), random, era);
      if (tree == TreeName::readings_square) field *= field;
      return {.lo = timestamp, .hi = field};
    }
    case KeyShape::index: {
      u64 field = static_cast<u64>(value(groove, field_of(tree), random, era));
      if (tree == TreeName::notes_large) field /= 16;
      return Key::of(u128{field} << 64 | timestamp);
    }
    case KeyShape::number: break;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
