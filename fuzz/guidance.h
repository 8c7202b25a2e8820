// What libFuzzer is told besides the coverage of code: which states a run has reached.
//
// One byte for each mark, for each pair of successive marks (hashed), and for how full a level of a tree is;
// never one hash of all of them together, by which every input would be new. libFuzzer clears the bytes
// before each input. A build without it has them, too, and nobody looks.
#pragma once

#include "sim/run/reached.h"

namespace tonearm::sim {

class Guidance final : public Reached {
 public:
  void begin() { last_ = mark_count; }  // The next run.
  void mark_hit(Mark mark) override;
  void level_holds(u32 tree, u32 level, u64 tables) override;

 private:
  u32 last_ = mark_count;  // None.
};

}  // namespace tonearm::sim
