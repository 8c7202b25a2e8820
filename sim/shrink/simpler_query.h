// What could be asked more simply.
#pragma once

#include <functional>
#include <vector>

#include "sim/scenario/query.h"

namespace tonearm::sim {

// Fewer predicates first, then wider ones; each differs from the query.
std::vector<Query> simpler_queries(GrooveName groove, const Query& query);

// The ends of the ranges of all predicates, in place. The ends of a type stand for no value and are left out.
using VisitEnd = std::function<void(TreeName tree, u128* end)>;
void each_range_end(QueryTree* tree, const VisitEnd& visit);

}  // namespace tonearm::sim
