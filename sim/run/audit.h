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

// Whoever knows which errors are true.
class ErrorJudge {
 public:
  virtual void unanswered(const Error& error, const char* where) = 0;

 protected:
  ~ErrorJudge() = default;
};

class Audit {
 public:
  // `rows`: where the rows of scans go, for their memory's sake.
  Audit(EngineHost& host, std::vector<ScanRow>& rows) : host_(&host), rows_(rows) {}
  // Errors are judged as they come: later reads may find the same block in order.
  Audit(EngineHost& host, std::vector<ScanRow>& rows, ErrorJudge& judge, const char* where)
      : host_(&host), judge_(&judge), where_(where), rows_(rows) {}

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

  // Objects and their absence by key, as whoever uses the groove asks: what is around in the rows of the
  // tree that names them (as many as `rows`, from `from` on), and whether there is one at their timestamps.
  // `keys_max`: of an op of which nothing was prefetched yet; then so many must be accepted, and no more.
  void objects(GrooveName groove, const Model& model, const Key& from, u32 rows,
               std::optional<u32> keys_max = {});

  // The timestamps that the groove's index yields in the order of its keys, and what its filter was shown.
  void in_order(const InOrderRequest& request, const Model& model);
  // A leaf whose bounds no query can say.
  void odd_leaf(const OddLeafRequest& request, const Model& model);

  // The first mismatch stays; later calls do nothing then.
  const AuditOutcome& outcome() const { return outcome_; }
  bool failed() const { return outcome_.mismatch.has_value(); }
  std::vector<ScanRow>& rows() { return rows_; }

 private:
  void compare(TreeName tree, const ModelMap& map, const Key& key, const Answer& answer);
  void wrong_row(const ScanRequest& request, u64 row, const ModelMap::value_type& expected);
  void compare_object(GrooveName groove, const Model& model, u128 key);
  void mismatch(TreeName tree, const Key& key, std::string site, std::string message);
  void unanswered(const Error& error);

  EngineHost* host_;
  ErrorJudge* judge_ = nullptr;
  const char* where_ = "";
  AuditOutcome outcome_;
  std::vector<ScanRow>& rows_;
};

// Keys next to this one that are legal in the tree; the key itself at the ends.
Key key_below(TreeName tree, const Key& key);
Key key_above(TreeName tree, const Key& key);
KeyRange tree_range(TreeName tree);  // All legal keys.
// The tree whose keys name the objects of the groove: ids, or the objects themselves.
TreeName key_tree(GrooveName groove);

// Of answers: "not found", "orphaned", or the object as a line says it.
std::string answer_text(GrooveName groove, const ObjectAnswer& answer);
std::string side_text(GrooveName groove, const Side& side);
// What differs, or null.
const char* object_difference(GrooveName groove, const Side& expected, const ObjectAnswer& given);

}  // namespace tonearm::sim
