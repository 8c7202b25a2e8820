// Judges what a run would come back to if it crashed now, before every step of its event loop.
//
// A step needs no judgement if no recovery can tell it from one that was judged: what a recovery does
// follows from what it reads. So it is the same state unless, since then,
//
//   - a write was submitted, or has become durable, over a unit that one of the recoveries has read before
//     it had written it itself (audits and replay included), or
//   - another checkpoint may be opened, or another op is in the log that is replayed.
//
// Of a working engine these are the copies of the superblock, and an op a time. All else that is in flight
// goes where the durable checkpoint has nothing.
//
// Of the outcomes of a state most differ in which copy of the superblock is torn where, and lead to the same:
// after open the superblock zone has the same bytes, the same checkpoint is open, and the same blocks have
// been asked for. Of each such class one is compared with the model as a whole, opened again, and given
// the log to replay; a shorter log needs no replay where a longer one passes through all its states, so
// each length is judged when it is there first.
//
// With a mirror, recoveries of a sound disk read the first side only. So what a class has opened is opened
// once more where none of its blocks can be read there (recovery.h), with every outcome of what is undecided
// on the mirror: then either side has it all, and a crash loses nothing that a checkpoint has promised.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "sim/decode/image_compare.h"
#include "sim/run/crash_state.h"
#include "sim/run/player.h"

namespace tonearm::sim {

// What may be opened after a crash.
struct Legal {
  bool formatted = false;  // Else there may be no file.
  u64 verified = 0;        // The checkpoint that was verified last,
  u64 pending = 0;         // or the one whose superblock is being written; 0: none.

  friend bool operator==(const Legal&, const Legal&) = default;
};

// Of one disk: which of its steps are the same.
class StepTracker {
 public:
  explicit StepTracker(u32 unit_size) : unit_size_(unit_size) {}

  void read(u64 begin, u64 end);     // By a recovery, from what a crash has left.
  void changed(u64 begin, u64 end);  // On the disk, in flight or durable.
  // Whether the state is one to be judged; then what was read before is forgotten, if it is another.
  bool enter(const Legal& legal, u64 op);

  // Class of a recovery, see above. False: it has been judged.
  bool learn(u64 outcome) { return classes_.insert(outcome).second; }
  void forget_classes() { classes_.clear(); }
  void forget() { grid_changed_ = true; }  // The next state is another one.
  // Of all outcomes of the state that was judged last: which decisions led to what.
  u64 outcomes = 0;

 private:
  u32 unit_size_;
  std::vector<bool> read_;  // By unit.
  bool superblock_changed_ = true;
  bool grid_changed_ = true;
  Legal legal_;
  u64 op_ = 0;
  std::set<u64> classes_;
};

class Recovery;

class Sweeper {
 public:
  // What the run knows and its recoveries need. All of it outlives the sweeper.
  struct Source {
    const RunConfig* config;
    const World* world;
    const ForestShape* shape;
    const RunOptions* options;
    RunnerMemory::Parts* memory;
    Model* model;
    std::function<u64(u64 checkpoint)> durable_at;  // See Player::durable_at().
  };
  explicit Sweeper(const Source& source) : source_(source), sweep_(source.config->sweep) {}
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  const Source& source() const { return source_; }
  Sweep& sweep() const { return *sweep_; }
  SweepCounters& counters(u32 level) { return sweep_->counters[level]; }

  // The disk as it is now, at this level: 0 is the run, 1 the recoveries of its crashes. `outer`: the
  // recovery whose disk it is. Throws RunFailed.
  void judge(SimStorage& disk, StepTracker& tracker, const Legal& legal, u32 level, const Recovery* outer);
  // The disk at hand is another one while recoveries run: see Player::watch_engine().
  const SimStorage* disk() const { return disk_; }
  u64 op() const;  // That the engine of the innermost recovery plays.
  void set_disk(const SimStorage* disk) { disk_ = disk; }

  // A checkpoint is the same whenever it is taken: by the run, or by a replay. Returns whether it is.
  bool same_checkpoint(u64 op, u128 id);
  // Where an assertion or a failure came from; empty: no recovery is going on.
  std::string story() const;
  // `second`: while another engine of that level lives.
  EngineMemory& engine_memory(u32 level, bool second) { return memory_[2 * level + (second ? 1 : 0)]; }

 private:
  friend class Recovery;

  // Hash of all of them.
  u64 judge_outcomes(const CrashState& state, StepTracker& tracker, const Legal& legal, u32 level);

  Source source_;
  Sweep* sweep_;
  const SimStorage* disk_ = nullptr;
  std::map<u64, u128> checkpoints_;
  std::array<EngineMemory, 2 * sweep_depth_max> memory_;
  SidesComparison sides_;
  std::vector<const Recovery*> active_;  // Innermost last.
  u64 second_outcomes_ = 0;              // Of this step of the run.
};

// Beside the disk of a run that is swept.
class SweepWatch final : public DiskObserver {
 public:
  SweepWatch(const Sweeper::Source& source, u32 unit_size) : sweeper(source), tracker(unit_size) {}

  void before_read(u64 /*begin*/, u64 /*end*/) override {}
  void write_submitted(u64 begin, u64 end) override { tracker.changed(begin, end); }
  void write_completed(u64 /*begin*/, u64 /*end*/) override {}
  void became_durable(u64 begin, u64 end) override { tracker.changed(begin, end); }

  Sweeper sweeper;
  StepTracker tracker;
  u64 index = 0;  // A crash line there would count from this step.
  u64 from = 0;
};

}  // namespace tonearm::sim
