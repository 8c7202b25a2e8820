// A component workload: one part of the engine against a model of its own, line by line.
//
// A component owns the part under test and its model (standard containers, no code of the engine),
// plays the verbs of its alphabet (scenario/verb.h) on both and compares. It must give every line a
// meaning in every state, because any line may be deleted: an index is taken modulo what there is; a
// line that does not apply is counted as skipped. Answers of the part go to `Referee::answer`, so that
// a run's digests depend on them.
//
// What a component may use of the run that plays it is the Referee.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/disk/sim_storage.h"
#include "sim/scenario/operation.h"
#include "sim/scenario/run_options.h"
#include "sim/verdict/verdict.h"

namespace tonearm::sim {

class Referee {
 public:
  // The run ends with this failure. `site`: stable, without numbers that vary; `message`: one sentence
  // with the particulars; `story`: whatever else a person wants to see, in lines.
  [[noreturn]] virtual void fail(FailureClass failure_class, std::string site, std::string message,
                                 std::string story = {}) = 0;

  // What the part under test answered; folded into both digests.
  virtual void answer(u64 a, u64 b = 0) = 0;

  // Steps the disk until `done`, then clears it. Fails the run (liveness) when nothing is pending or it
  // takes too long; throws Struck when the armed crash is due: the part under test must be dropped.
  virtual void pump(SimStorage& disk, bool& done) = 0;
  struct Struck {};
  virtual void arm_crash(SimStorage& disk, u64 steps) = 0;  // Before the step so many steps from now.
  virtual bool disarm_crash() = 0;                          // Whether one was armed still.

  const RunOptions& options() const { return options_; }
  u64 seed() const { return options_.disk.seed; }
  PageStore& pages() { return *pages_; }
  Trace& trace() { return *trace_; }
  RunCounters& counters() { return result_.counters; }   // checks, skips, crashes, ... as they apply.
  std::vector<std::byte>& memory() { return *memory_; }  // For the part under test; grown, never shrunk.

  void skip() { ++result_.counters.skips; }  // The line does not apply.

  // One comparison with the model that held or failed.
  void check(bool holds, const char* site, const std::string& message) {
    ++result_.counters.checks;
    if (!holds) fail(FailureClass::oracle, site, message);
  }

 protected:
  Referee(const RunOptions& options, PageStore& pages, Trace& trace, std::vector<std::byte>& memory)
      : options_(options), pages_(&pages), trace_(&trace), memory_(&memory) {}
  ~Referee() = default;

  RunOptions options_;
  RunResult result_;

 private:
  PageStore* pages_;
  Trace* trace_;
  std::vector<std::byte>* memory_;
};

class Component {
 public:
  virtual ~Component() = default;
  virtual void play(const Operation& line) = 0;   // line.verb is one of the alphabet.
  virtual void finish() = 0;                      // The end: whatever is checked once.
  virtual SimStorage* disk() { return nullptr; }  // Of those that have one.
};

// Null: no workload of that name is played by a component.
std::unique_ptr<Component> make_component(std::string_view workload, Referee& referee);

// One a workload, each in a file of its own.
std::unique_ptr<Component> make_cache(Referee& referee);
std::unique_ptr<Component> make_cache_map(Referee& referee);
std::unique_ptr<Component> make_free_set(Referee& referee);
std::unique_ptr<Component> make_grid(Referee& referee);
std::unique_ptr<Component> make_manifest_level(Referee& referee);
std::unique_ptr<Component> make_manifest_log(Referee& referee);
std::unique_ptr<Component> make_merge(Referee& referee);
std::unique_ptr<Component> make_options(Referee& referee);
std::unique_ptr<Component> make_segmented_array(Referee& referee);
std::unique_ptr<Component> make_superblock(Referee& referee);
std::unique_ptr<Component> make_table_memory(Referee& referee);
std::unique_ptr<Component> make_trailer(Referee& referee);

}  // namespace tonearm::sim
