// What a query must answer, twice: from the oracle's indexes, fast enough for every line of a run, and of
// one object, by what its fields mean. The second knows no index; tests hold the first against it, and a
// failure is explained with it.
#pragma once

#include <optional>
#include <vector>

#include "sim/model/model.h"
#include "sim/scenario/query.h"

namespace tonearm::sim {

// The timestamps of all objects that the query is true of, ascending.
std::vector<u64> query_matches(const Model& model, GrooveName groove, const QueryTree& query);

// Whether it is true of the object; `node`: or a part of it.
bool query_holds(GrooveName groove, const QueryTree& query, const Object& object, u32 node = 0);

// A `query` line, and every `page` line after it.
struct QueryPlan {
  GrooveName groove = GrooveName::things;
  Query query;
  Direction direction = Direction::ascending;
  u32 limit = 0;  // 0: none.
  u64 buffer = 1;
  bool cold = false;
  std::optional<u64> beyond;  // Only what lies behind this timestamp, in the query's direction.
};
QueryPlan query_plan(const Operation& line);

// The timestamps that it must yield, in its order, up to its limit.
std::vector<u64> query_answer(const Model& model, const QueryPlan& plan);

}  // namespace tonearm::sim
