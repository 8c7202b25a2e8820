// The state of one run. runner.h is its public face.
//
//   player.cpp           lines: what each operation does to engine and model
//   player_scan.cpp      lines about scans that stay open; player_query.cpp: that ask grooves for objects
//   player_groove.cpp    lines about objects of grooves, and their replay
//   player_recovery.cpp  ops, checkpoints, crashes, what may be found after them, replay
//   player_faults.cpp    which errors are true, what opening must come to, an engine that is out
//   player_reseed.cpp    another seed from some line on
//   player_checks.cpp    audits, shadow engines, structure, directed checks, the end of the run
//   player_sweep.cpp     the same run, crashed at every step
//   player_mirror.cpp    blocks on two sides, their repairs; player_scrub.cpp: tours between ops
//   player_verify.cpp    verification and whole tours, of intact images and others; player_running.cpp: of an
//                        engine at work; player_trees.cpp: files that are opened with other trees
//   explain*.cpp         where a key is and what happened to it, which leaf of a query is wrong
#pragma once

#include <deque>
#include <memory>
#include <set>

#include "sim/decode/ground_truth.h"
#include "sim/decode/image_compare.h"
#include "sim/model/scan_model.h"
#include "sim/run/audit.h"
#include "sim/run/deliveries.h"
#include "sim/run/engine_host.h"
#include "sim/run/full_at.h"
#include "sim/run/key_ranges.h"
#include "sim/run/op_states.h"
#include "sim/run/repair_watch.h"
#include "sim/run/runner.h"
#include "sim/run/tour.h"
#include "sim/run/variations.h"

namespace tonearm::sim {

struct RunnerMemory::Parts {
  PageStore pages;
  EngineMemory engine;
  EngineMemory shadow{EngineMemory::Pages::small};
  std::vector<std::byte> component;  // The part of an engine that a component run plays.
  DecodeMemo decoded;
  Trace trace;
  Model model;
  std::optional<Image> final_image;  // If RunConfig::record_image.
  u64 final_image_run = 0;           // Of which run it is.
  u64 runs = 0;                      // Played with this memory.
};

// The run is over: thrown from runner code only, never through engine frames.
struct RunFailed {
  Failure failure;
};

// The run that an assertion inside the engine ends.
class ActiveRun {
 public:
  virtual const RunConfig& config() const = 0;
  virtual RunResult fatal(const AssertFailure& assertion) = 0;  // What there is so far, failed by this.

 protected:
  ~ActiveRun() = default;
};
Failure assertion_failure(const AssertFailure& assertion);

class Shadow;
class SweepWatch;

// The engine is to be dropped and opened again.
struct Recover {
  OpId line;            // What it is attributed to.
  bool strike = false;  // A crash line struck.
  bool heal = false;    // The disk gets back what was acknowledged before.
};

// A true error has ended what was going on, and the engine is out: see Player::Standing.
struct WentOut {};

class Player final : public ActiveRun, public Interrupt, public ErrorJudge {
 public:
  Player(const RunConfig& config, RunnerMemory& memory);
  ~Player();
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  RunResult play();
  RunResult fatal(const AssertFailure& assertion) override;
  const RunConfig& config() const override { return *config_; }
  void name_role();

 private:
  // --- Interrupt
  void before_step() override;
  void stuck(const char* why) override;
  void exceeded(const char* bound, const std::string& message) override;

  // --- ErrorJudge
  void unanswered(const Error& error, const char* where) override { judge_error(error, where); }

  // --- player.cpp
  void start();
  void play_lines();
  void play_line();
  void judge_canary();
  void show_disk();
  void record_operation();
  void record_answer(u64 a, u64 b);
  void line_put();
  void line_remove();
  void line_get();
  void line_scan();
  void line_commit();
  void line_checkpoint();
  void line_scope();
  void line_end();
  void line_crash();
  void add_crash(const Operation& line) { (line.at_end ? end_crashes_ : crashes_).push_back(line); }
  void line_reopen();
  void silent_line();
  void put_result(PutResult result, bool expected_full);
  [[noreturn]] void refused(const char* what);
  bool applies(bool put);
  void effective();
  void effective_query(u64 answer);
  void effective_commit(u32 repeat);
  void effective_flush();
  void scope_discard();
  void skip() { ++result_.counters.skips; }
  std::optional<Answer> ask(TreeName tree, const Key& key, bool cold);
  [[noreturn]] void fail(FailureClass failure_class, std::string site, std::string message,
                         std::string story = {});
  [[noreturn]] void fail_mismatch(FailureClass failure_class, const char* where, const Mismatch& mismatch);
  [[noreturn]] void give_up();
  template <class Act>
  void unless_interrupted(Act&& act);

  // --- player_scan.cpp
  void maybe_close_scans();
  void close_scan(u32 slot);
  void forget_scans();
  void line_tree_scan();
  void line_scan_open();
  void line_scan_next();
  void look_ahead(u32 slot);
  void judge_step(u32 slot, const ScanStep& step);
  void line_scan_probe();
  void line_scan_abort();
  void line_scan_close();

  // --- player_faults.cpp
  // Whether the engine can be asked.
  enum class Standing : u8 {
    up,
    sticky,  // An op, a checkpoint or a replay ended in an error: only queries are answered.
    down,    // Opening ended in one: there is no engine.
  };
  void judge_error(const Error& error, const char* where);
  [[noreturn]] void alarm(const Error& error, const char* where, const std::string& why);
  std::string why_false(const Error& error) const;
  std::string why_intact(const Error& error) const;
  std::string why_other_reason(const Error& error) const;
  void watch_deliveries();
  BlockTruth truth_of(u64 address) const;
  u64 legal_losses() const;
  [[noreturn]] void go_sticky(const Error& error, const char* what);
  [[noreturn]] void go_down(const char* what);
  bool out_line();
  u64 heal_lines() const;
  void out_change();
  void line_heal();
  void heal();
  void reconfigure();
  bool is_truth(u64 address, std::span<const std::byte> delivered) const;
  bool was_brought(const DecodedBlock& block) const;
  bool later_lies(u64 opened) const;
  void judge_older(u64 opened);
  u64 superblock_lies() const;
  bool superblock_lied() const;
  void check_lied(const char* what);
  void judge_lost(const Error& error);
  void begin_call();
  void begin_open();
  void judge_open(const Error& error);
  void judge_open_blocks(const Error& error);
  void judge_verified(const Error& error, const char* what);
  CopiesAsRead delivered_copies() const;

  // --- player_groove.cpp
  void line_object();
  void line_prefetch();
  void line_exists();
  void line_get_object();
  void line_change();
  bool read_key(Asked asked, u128 key);
  bool prefetch_key(GrooveName groove, Asked asked, u128 key);
  void maybe_setup();
  void compare_object(GrooveName groove, u128 key, const Side& expected, const ObjectAnswer& given,
                      FailureClass failure_class, const char* where);
  static GrooveEngine::Change change_object(EngineHost& host, const ObjectChange& change, bool upsert);
  void compare_changes_left(GrooveName groove);
  void changed(const ObjectChange& change, ChangeVerdict verdict, GrooveEngine::Change result);
  void replay_changes(const std::vector<ObjectChange>& changes);
  void check_bar_goes_on(bool op_ended);
  void check_refused(const Error& error);
  void refused_key(const Error& error, GrooveName groove, u128 key, bool flips);
  void refused_all(const Error& error, GrooveName groove, Object object);
  void check_full();
  void audit_after_error();
  [[noreturn]] void fail_object(FailureClass failure_class, std::string site, const std::string& message,
                                GrooveName groove, u128 key);

  // --- player_query.cpp
  struct LastQuery {
    QueryPlan plan;
    bool in_op = false;  // The running op has asked it, or a page of it.
    bool lost = false;   // An op that has asked it was lost in a crash.
  };
  struct OpenQuery {
    QueryPlan plan;
    u32 leaves;
    QueryScanModel expected;
  };
  void line_query();
  void line_page();
  void queries_committed();
  void queries_crashed();
  void play_query(LastQuery& last);
  void judge_refused(const char* where, bool refused, bool full);
  void compare_query(const QueryPlan& plan, const QueryTree& query);
  void fail_query(const QueryPlan& plan, const QueryTree& query, const std::vector<u64>& expected,
                  const std::vector<u64>& given, u64 at);
  void line_query_scan();
  void query_scan_open();
  void query_scan_next();
  void judge_query_step(u32 slot, const QueryStep& step);
  void close_query(u32 slot);
  void close_open_queries();
  void forget_open_queries();

  // --- explain_query.cpp
  std::string explain_query(const QueryPlan& plan, const QueryTree& query, u64 timestamp);
  std::optional<Key> key_of_timestamp(TreeName tree, u64 timestamp, bool invented);
  bool beyond(const QueryPlan& plan, u64 timestamp) const;

  // --- player_recovery.cpp
  void make_host();
  void format_and_open();
  void commit_op(u64 op);
  void after_compact(u64 op);
  void take_checkpoint(u64 op);
  void check_sticky(const Error& error, const char* what, bool audit);
  void checkpoint_verified(u64 op);
  void recover_until_open(const Recover& cause);
  void recover(const Recover& cause);
  void open_engine(const Recover& cause);
  void drop_engine(const Attribution& attribution, std::span<const CrashWrite> writes, bool strike = false);
  void judge_opened();
  void replay(const Recover& cause);
  void arm_next_crash();
  void superblock_written();
  Attribution recovering(OpId op, OpId line) const;

  // --- player_reseed.cpp
  void line_reseed();
  u64 durable_at(u64 checkpoint_op) const;

  // --- player_checks.cpp
  void watch_engine();
  void watch_spans();
  void on_mark(Mark mark, u16 tree, const Key* key);
  void show_levels();
  void directed_checks();
  u64 directed_credit_max() const { return u64{4} * options_.directed_every_lines; }
  void take_outcome(const Audit& audit, FailureClass failure_class, const char* where);
  void audit_opened();
  void audit_full(FailureClass failure_class, const char* where);
  void audit_objects(FailureClass failure_class, const char* where);
  u64 values_per_change() const;
  void count_allocations();
  void check_checkpoint(u64 op);
  void compare_key_ranges();
  RunOptions options_least() const;
  void shadow_audit(u64 op, bool full);
  void check_structure(u64 op, bool values, const Image& image);
  std::string compare_contents(u64 op, const DecodedImage& decoded);
  bool last_level_full(u64 op);

  // player_full.cpp
  u64 blocks_given() const;
  std::string why_room(bool checkpoint);
  [[noreturn]] void ran_full(const Error& error, FullAt at);
  void had_room(FullAt at);
  void epilogue();
  void end_settings();
  template <class Act>
  void at_end(Act&& act);
  Attribution aside(const char* name, u64 n) const;

  // --- player_mirror.cpp
  bool mirrored() const { return options_.disk.mirror; }
  bool lost(u64 address, u64 size) const;               // Damaged on every side.
  bool damaged_somewhere(u64 address, u64 size) const;  // On one of them.
  BlockTruth truth_on(u64 address, bool mirror) const;
  void watch_blocks();
  void watch_mirror();
  bool cured_now(u64 address, bool mirror) const;
  bool repairs_truly(u64 address, std::span<const std::byte> written) const;
  void block_read(IoTag tag, u64 address);
  void watched(IoTag tag, u64 address, bool valid, bool known = true);
  void watched_read(u64 address, const Storage::Read& read, bool clean);
  void judge_watch();
  void block_written(IoTag tag, u64 address, IoResult result);
  void check_repairs();
  void judge_open_repairs();
  void note_half_repaired();
  const Image& whole(const Image& image);
  void check_sides();

  // --- player_scrub.cpp
  void scrub_begin(u64 op);
  void scrub(u64 op);
  void scrub_end();
  void scrub_read(u64 address);
  void check_tour_counts();
  void compare_tour();
  void judge_scrub();
  bool scrub_found(u64 address) const;

  // --- player_verify.cpp
  void know_image();
  void verify_intact(Shadow& shadow, u64 again = 0);
  void scrub_intact(Shadow& shadow);
  void verify_damaged(Shadow& shadow, u32 listed_max);
  void scrub_mended(Shadow& shadow, u64 tours_before, u64 random);
  void verify_damaged_twice(Shadow& shadow, u64 random);
  void prefetch_few(Shadow& shadow, u32 keys_max);
  void query_damaged(Shadow& shadow, u64 address, u64 random);
  void verify_forged(u64 random, bool opening);
  struct Verified;
  void verify_again(Shadow& shadow, const Verified& before, u64 random);
  void verify_both_sides(u64 random);  // player_mirror.cpp, and the next one.
  void verify_one_side(u64 random);
  void verify_limit();               // player_trees.cpp, and the next one.
  void verify_trees(u64 random);
  void verify_end();
  // player_running.cpp
  void verify_running();
  void replay_aside(EngineHost& shadow, const LoggedOp& op);
  void fill_aside(EngineHost& shadow, const LoggedOp& op);
  void exists_aside(EngineHost& shadow, const ObjectChange& change, const char* where);
  void read_together(EngineHost& shadow, u64 op, u32 keys_max);  // player_together.cpp

  // --- player_sweep.cpp
  void sweep_begin();
  void sweep_count_from(u64 line);
  void sweep_end_begins();
  void sweep_step();
  void sweep_verified(u64 op);
  void sweep_end();
  std::string sweep_story() const;
  u64 ask_variation(Variation site, u64 a, u64 b);

  // --- explain.cpp
  std::string explain(TreeName tree, const Key& key);
  std::string history(TreeName tree, const Key& key);
  std::string whereabouts(TreeName tree, const Key& key);
  std::string places(TreeName tree, const Key& key);
  std::string scan_story(u32 slot);
  std::string last_events();

  // For the run.
  const RunConfig* config_;
  RunnerMemory::Parts* memory_;
  RunOptions options_;
  const World& world_;
  const ForestShape* shape_;
  Trace& trace_;
  Model& model_;
  RunResult result_;
  u64 seed_;  // That the harness draws from now: the run's, or that of the last reseed.
  struct Durability {
    u64 after_op;  // Of checkpoints behind this op.
    Stream stream;
  };
  std::vector<Durability> durability_;  // Ascending.
  Stream audits_, setups_, scrubs_, looks_;
  Variations variations_;
  std::optional<SimStorage> disk_;
  std::optional<EngineHost> host_;
  bool formatted_ = false, disk_shown_ = false;
  bool ended_ = false;    // The last line is played; a twin ends by itself too.
  bool stopped_ = false;  // At the line that --until names: the run has no end then.

  // The line at hand.
  u64 index_ = 0;
  u64 line_index_ = 0;  // Of the line at hand; a recovery may have taken crash lines behind it.
  Operation line_;
  std::vector<ScanRow> rows_;
  struct Effective {
    u64 entry;
    u64 answer;  // Of a query.
  };
  std::vector<Effective> effective_op_;  // Of the running op.
  std::size_t effective_scope_ = 0;      // How many of them when the scope opened.

  // Queries: the last one of each groove, and those that are open, by slot.
  std::array<LastQuery, groove_count> last_query_;
  std::array<std::optional<OpenQuery>, scan_slots> open_queries_;
  u32 query_leaves_open_ = 0;
  QueryResult query_result_;
  // Scans that are open, by slot.
  struct OpenScan {
    TreeScanModel model;
    TreeName tree;
    Direction direction;
    u64 line;      // Index of the line that opened it.
    u64 rows = 0;  // That it has yielded.
  };
  std::array<std::optional<OpenScan>, scan_slots> scans_;
  u32 scans_open_ = 0;

  // Crash lines not yet fired, oldest first; the first one strikes at strike_step_.
  std::deque<Operation> crashes_;
  std::deque<Operation> end_crashes_;  // Those of the end of the run, until it comes.
  u64 strike_step_ = 0;
  bool strike_awaits_superblock_ = false;  // It counts from the next superblock write.
  u32 recovery_attempt_ = 0;               // How often the recovery at hand was itself recovered.
  std::vector<LoggedOp> replay_;           // To be replayed still, next one last.

  // The checkpoint in progress: a crash may find it, once a superblock write was submitted.
  u64 pending_op_ = 0, durable_at_ = 0;
  bool superblock_submitted_ = false;
  OpStates states_;

  // An engine that is out, until the disk is healed.
  Standing standing_ = Standing::up;
  Error sticky_;
  u64 lines_out_ = 0;
  u64 heals_ = 0;
  bool faulty_ = false;           // Anything but a sync can go wrong in this run.
  bool predicted_older_ = false;  // A later checkpoint than this one may have overwritten blocks of it.
  u64 losses_at_open_ = 0;
  u32 full_growths_ = 0;  // How often the engine was given more blocks.
  KeyRanges key_ranges_;
  std::optional<FullAt> full_;  // Where the disk was full, and must be again.
  // Blocks, by the image that was decoded last, when the engine had written so many.
  u64 acquired_known_ = 0, written_known_ = 0;
  u64 lies_at_quorum_ = 0;      // Of the superblock, when an open last began with a quorum in truth.
  bool lie_lay_there_ = false;  // The medium of the superblock zone was damaged then.
  std::optional<Deliveries> deliveries_;  // To the engine that is open; none where no fault can be.
  std::optional<Deliveries> scrubbed_;    // Those of the first side to its scrubber.
  bool faults_paused_ = false;            // For a recovery that would not end.
  // Of the opening at hand: blocks that were damaged when it began, and what it must come to.
  std::vector<u64> damaged_before_;
  std::optional<OpenPrediction> predicted_;

  // Checks.
  struct Directed {
    TreeName tree;
    Key key;
  };
  std::vector<Directed> directed_;
  u64 directed_credit_ = 0;  // Lines that have not paid for a check yet; full at first.
  bool muted_ = false;       // Marks and variation points: a shadow engine runs.
  bool marks_told_ = false;  // Somebody else wants to hear of each.
  u64 commits_since_full_ = 0;
  // Changes that had applied when all was last audited, and when all of an image was last read.
  u64 changes_at_full_ = 0, changes_at_values_ = 0;
  std::array<Key, world_forest.count> window_from_{};
  u64 checkpoints_seen_ = 0;
  DecodedImage decoded_;  // That was checked last.

  // The scrub tour that is going on, or waits for a checkpoint to be compared with.
  bool tour_known_ = false;   // What was reachable when it began.
  bool tour_origin_ = false;  // It did not begin at the first table.
  TourCounts tour_counts_;
  std::vector<ScrubTarget> tour_targets_;  // By address.
  std::vector<u64> tour_latent_;           // Of those the damaged ones, when it began.
  u64 tour_heals_ = 0, tour_judged_ = 0;   // How often damage had been healed then; of what it has found.
  std::vector<u64> tour_read_;             // Bit address - 1.
  std::vector<u64> tour_cured_;            // By a fault: the block is damaged, and what was delivered is not.
  std::vector<u64> tour_written_;          // So it may have been another block meanwhile.
  std::vector<CuredSide> cured_;           // That a repair of this call found damaged.
  std::vector<u64> tour_repaired_;         // Written again on one of its sides.
  std::vector<u64> tour_left_;             // Legally not: somebody else was at it.

  // The mirror.
  std::optional<RepairWatch> watch_;
  u64 repairs_seen_ = 0;         // Repairs that were written since the engine began.
  u64 turned_ = 0;               // Reads that have turned to the mirror since then.
  std::set<u64> turned_last_;    // Of whose blocks that was the last read.
  std::set<u64> half_repaired_;  // A crash has struck one side of these while it was written again.
  std::optional<Image> whole_;
  SidesComparison sides_;
  u64 blocks_read_before_ = 0, blocks_written_before_ = 0, bounds_checked_before_ = 0;  // By engines gone.
  u64 allocations_before_ = 0;         // By runs that are over.
  std::unique_ptr<SweepWatch> sweep_;  // If RunConfig::sweep.
};

}  // namespace tonearm::sim
