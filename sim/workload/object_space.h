// What objects of a run are made of: number u of the universe has an id in each groove, a few timestamps it
// may get, and every field a few hot values and many cold ones. The seed chooses how each of them lies.
#pragma once

#include "sim/scenario/run_options.h"
#include "sim/workload/key_space.h"

namespace tonearm::sim {

class ObjectSpace {
 public:
  ObjectSpace(u64 seed, const RunOptions& options);

  u64 universe() const { return universe_; }
  u128 id(u64 number) const;
  // Of an object keyed by timestamp; always the same one.
  u64 key_timestamp(u64 number) const;
  // One of a few that are this object's alone, when a line names it.
  u64 any_timestamp(u64 number, u64 random) const;

  // The greatest one that an object of lines before this one has, about.
  u64 timestamp_top(GrooveName groove, u64 index) const;

  // Of some fields one hot value at a time is usual: one of each `era`. So the objects that have it come in
  // stretches, with long gaps between them.
  u128 value(GrooveName groove, u32 field, u64 random, u64 era) const;
  // Some fields are never set in a run.
  bool used(GrooveName groove, u32 field) const;

  // A key of the tree near what may be in it: of the object, or of the field's values.
  Key key(TreeName tree, u64 number, u64 timestamp, u64 random, u64 era) const;

 private:
  enum class Style : u8 { dense, sparse, spread, high, apart };
  struct FieldHabit {
    Style style = Style::dense;
    u64 hot = 1;
    bool used = true;
    bool in_eras = false;
  };

  u128 hot_value(const FieldHabit& habit, u128 max, u64 number) const;
  u64 scrambled(u64 number) const;

  u64 universe_;
  KeySpace keys_;
  bool increasing_;
  bool halves_swapped_;
  u64 gap_;
  u64 factor_;
  u32 bias_hot_;
  std::array<std::array<FieldHabit, fields_max>, groove_count> habits_{};
};

}  // namespace tonearm::sim
