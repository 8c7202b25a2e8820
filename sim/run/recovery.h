// One recovery of a crash: an engine of its own, on what one outcome has left, judged from open to the end of
// the replay. Beside it others judge what is said of that outcome: that it is opened again as it is, and that
// with a mirror its blocks are needed on one side only.
#pragma once

#include <optional>

#include "sim/run/sweeper.h"

namespace tonearm::sim {

class Recovery final : public Interrupt, public DiskObserver {
 public:
  Recovery(Sweeper& sweeper, const CrashState& state, DecisionPath& path, StepTracker& tracker,
           const Legal& legal, u32 level, bool second);
  ~Recovery();
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  u64 judge();  // Which outcome it was, and what it led to. Throws RunFailed.

  const Decisions& decisions() const { return decisions_; }
  u32 level() const { return level_; }
  bool mirror_alone() const { return mirror_alone_; }
  u64 op() const { return host_ ? host_->forest().op() : 0; }

 private:
  // --- Interrupt
  void before_step() override;
  void stuck(const char* why) override;
  void exceeded(const char* bound, const std::string& message) override;
  // --- DiskObserver
  void before_read(u64 begin, u64 end) override;
  void write_submitted(u64 begin, u64 end) override;
  void write_completed(u64 begin, u64 end) override;
  void became_durable(u64 begin, u64 end) override;

  void open();
  void make_host();
  void open_again(u64 op, u128 id);
  void judge_mirror(u64 op);
  void open_mirror(const Recovery& whole, u64 op);
  void judge_opened();
  void judge_copies_repaired();
  void judge_image(u64 op);
  void judge_sides(const DecodedImage& decoded);
  void protect(u64 op);
  void audit(u64 op, const char* where);
  u64 outcome_class();
  void replay();
  void replay_objects(const LoggedOp& op);
  void after_compact(u64 op);
  void take_checkpoint(u64 op);
  void check_id(u64 op);
  void check_error(const Error& error, const char* where);
  bool has(Oracle oracle) const;
  bool damaged() const;  // The run's faults may have damaged one side of the grid.
  [[noreturn]] void fail(FailureClass failure_class, std::string site, std::string message);

  Sweeper& sweeper_;
  const Sweeper::Source& source_;
  const RunOptions& options_;
  const CrashState& state_;
  DecisionPath& path_;
  StepTracker& tracker_;
  u32 level_;
  Legal legal_;         // Of a crash in this recovery;
  const Legal before_;  // and of the one that it recovers from.
  Decisions decisions_;
  std::vector<bool> overwritten_;  // By unit: what it reads there is its own.
  StepTracker steps_;              // Of crashes in it.
  u64 requests_ = 0;               // Hash of what open has asked of the grid.
  u64 choices_before_grid_ = 0;    // Decisions until it did: they are about the superblock.
  std::vector<u64> reached_;       // Addresses of the blocks of the checkpoint that was opened, ascending.
  bool opening_ = false;
  bool opened_ = false;
  bool formatted_ = false;  // There was no file, and it has made one.
  bool auditing_ = false;
  bool second_;  // Beside the one that is judged.
  bool mirror_alone_ = false;
  std::vector<std::byte> zone_;  // Of the superblock, after open.
  u64 pending_op_ = 0;
  u64 durable_at_ = 0;
  // Objects that were changed in this bar of the replay: known without a prefetch.
  std::set<std::pair<u32, u128>> known_;
  SimStorage disk_;
  std::optional<EngineHost> host_;
};

}  // namespace tonearm::sim
