// The generator of `groove` and `forest`: line i of a run as a pure function of (seed, options, i).
//
// Commits, scopes, bursts of scans, crashes: schedule.h. Phases: phases.h. What objects are made of:
// object_space.h.
//
//   aim      an insert wants an object that is gone, every other change one that is there; so most take
//            the object of an earlier line that must have left it so, found by computing back. Distances
//            are of every magnitude: the same op, the same bar, the next one, a checkpoint before. Some
//            lines do not care (`bias.surprise`), and an object that they hit is a surprise to others.
//   fields   an update names a few; an insert or upsert all that the run uses.
//   scope    its lines are about objects that lines of the same op before it made known.
//   queries  and open scans: groove_queries.cpp.
//   ladder   every `ladder_lines` lines one rung for a victim, see tree_workload.h.
#pragma once

#include <algorithm>

#include "sim/workload/object_space.h"
#include "sim/workload/phases.h"
#include "sim/workload/schedule.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

class GrooveSource final : public OperationSource {
 public:
  GrooveSource(u64 seed, const RunOptions& options, const World& world, const Reseeds& reseeds = {});

  u64 count() const override { return options_.ops; }
  void at(u64 index, Operation* operation) const override;

  Phase phase_at(u64 index) const { return phases_.at(index).kind; }
  const ObjectSpace& space() const { return space_; }

 private:
  // What a line wants to be.
  struct Wish {
    OperationKind kind;
    GrooveName groove;
  };
  // And about which object.
  struct Target {
    Wish wish;
    u64 number;
    u64 era;  // Of the line, see ObjectSpace::value().
  };

  // Where a predicate of a query stands.
  struct QuerySite {
    u64 index;
    GrooveName groove;
    u64 common = 0;  // Not 0: predicates that share it take their values from the same line.
    QueryKind around = QueryKind::leaf;  // The operator; leaf: none.
    bool narrow = false;                 // Timestamps of its own.
  };

  Wish wish_of(u64 index) const;
  OperationKind phase_kind(const PhaseRange& phase, OperationKind kind, u64 random) const;
  GrooveName drawn_groove(u64 random) const;
  Target target_of(u64 index, u32 depth) const;
  bool aim(u64 index, const Wish& wish, u32 depth, u64* number) const;
  bool leaves(const Wish& earlier, const Wish& wish) const;
  bool data_line(u64 index) const;
  bool before_scope(u64 index) const;
  u64 distance(u64 index, u64 random) const;

  bool ladder(u64 index, Operation* operation) const;
  void scoped(u64 index, u64 random, Operation* operation) const;
  void fill(const Target& target, u64 random, Operation* operation) const;
  void set_key(const Target& target, u64 random, Operation* operation) const;
  void set_timestamp(const Target& target, u64 random, Operation* operation) const;
  void set_fields(const Target& target, u64 random, Operation* operation) const;
  void look(u64 index, const Target& target, u64 random, Operation* operation) const;
  void scan(u64 index, const Target& target, u64 random, Operation* operation) const;
  u64 era_of(u64 index) const { return index / std::max<u64>(1, options_.phase_lines); }

  // --- groove_queries.cpp
  void query(u64 index, const Target& target, u64 random, Operation* operation) const;
  bool burst(u64 index, Operation* operation) const;
  void make_query(u64 index, GrooveName groove, u64 random, u32 leaves, Query* query) const;
  void query_node(QuerySite site, u64 random, u32 leaves, u32 depth, QueryTree* tree) const;
  void query_leaf(QuerySite site, u64 random, QueryTree* tree) const;
  static QueryKind operator_kind(QueryKind around, u64 random);
  QueryNode predicate(const QuerySite& site, u64 random) const;
  TreeName predicate_tree(GrooveName groove, u64 random) const;
  u128 predicate_value(const QuerySite& site, TreeName tree, u64 random) const;
  bool earlier_value(u64 index, GrooveName groove, u32 field, u64 random, u128* value) const;
  u64 query_timestamp(u64 index, GrooveName groove, u64 random) const;
  u32 drawn_leaves(u64 random) const;
  bool paging(u64 index) const;
  OperationKind asking_kind(u64 index, OperationKind kind, u64 random) const;

  bool watched_timestamp(u64 index, GrooveName groove, u64* timestamp) const;
  u64 some_timestamp(u64 index, const Target& target, u64 random) const;
  u64 inserted_at(u64 index, const Target& target) const;

  RunOptions options_;
  const World* world_;
  ObjectSpace space_;
  LineStream lines_;
  Stream ladders_;
  Phases phases_;
  Schedule schedule_;

  // Derived once.
  u64 changes_total_ = 0;  // Weights of lines that change something,
  u64 total_ = 0;          // of all that are drawn line by line.
  u64 grooves_total_ = 0;
  u64 ladder_lines_ = 0;  // 0: no ladders.
};

}  // namespace tonearm::sim
