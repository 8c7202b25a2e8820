// Compares what an engine answers with what the model holds: all of it, or a window.
//
// Every comparison has two sides: all that is returned is right, and nothing is missing. A full audit
// scans every tree in both directions, and looks up a window of its keys, and absent neighbours of
// present keys, by point. Whether `map` is the current state or that of a checkpoint is the caller's choice.
#pragma once

#include <string>
#include <vector>

#include "sim/run/engine_host.h"
#include "sim/verdict/verdict.h"

namespace tonearm::sim {

struct Mismatch {
  TreeName tree = TreeName::kv;
  Key key{};            // First difference.
  std::string site;     // "scan kv descending: missing", "get id: found instead of absent".
  std::string message;  // With the key and both values.
};

struct AuditOutcome {
  std::optional<Mismatch> mismatch;
  Error error;  // The query that ended in it was not decided.
  u64 checks = 0;
  u64 unanswered = 0;
};

class Audit {
 public:
  // `rows`: where the rows of scans go, for their memory's sake.
  Audit(EngineHost& host, std::vector<ScanRow>& rows) : host_(&host), rows_(rows) {}

  // One answer against the model.
  void get(TreeName tree, const ModelMap& map, const Key& key, bool cold);
  // A range against the model, which is walked in the same direction.
  void scan(const ScanRequest& request, const ModelMap& map);

  // Everything in both directions; `points_max` keys from position `seed` on by point.
  void full(TreeName tree, const ModelMap& map, u64 seed, u32 points_max, bool cold);
  // `rows` keys in order from the first one >= `from`, and the points around both ends.
  void window(TreeName tree, const ModelMap& map, const Key& from, u32 rows, bool cold);
  // The least and greatest key, each also +-1, by point and by scan.
  void edges(TreeName tree, const ModelMap& map);
  // A key, its neighbours, and scans that begin and end there, in both directions.
  void around(TreeName tree, const ModelMap& map, const Key& key, bool cold);
  // Without the scans, and asked for at once.
  void points(TreeName tree, const ModelMap& map, const Key& key, bool cold);

  // The first mismatch stays; later calls do nothing then.
  const AuditOutcome& outcome() const { return outcome_; }
  bool failed() const { return outcome_.mismatch.has_value(); }
  std::vector<ScanRow>& rows() { return rows_; }

 private:
  void compare(TreeName tree, const ModelMap& map, const Key& key, const Answer& answer);
  void mismatch(TreeName tree, const Key& key, std::string site, std::string message);

  EngineHost* host_;
  AuditOutcome outcome_;
  std::vector<ScanRow>& rows_;
};

// Keys next to this one that are legal in the tree; the key itself at the ends.
Key key_below(TreeName tree, const Key& key);
Key key_above(TreeName tree, const Key& key);
KeyRange tree_range(TreeName tree);  // All legal keys.

}  // namespace tonearm::sim
