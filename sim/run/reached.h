// Whoever guides a search: told which states of the engine a run has reached. It only looks: a run with one
// has the same digests as one without.
#pragma once

#include "base/mark.h"
#include "base/types.h"

namespace tonearm::sim {

class Reached {
 public:
  virtual void mark_hit(Mark mark) = 0;
  // After a line that committed: how many tables a level of a tree has.
  virtual void level_holds(u32 tree, u32 level, u64 tables) = 0;
  // A line was played, `next` is the index of the one to come. Before it lines may be put into the source.
  virtual void line_ends(u64 /*next*/) {}

 protected:
  ~Reached() = default;
};

}  // namespace tonearm::sim
