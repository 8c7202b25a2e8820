// A question in the order of an index ("by author, then by timestamp"), through a filter.
//
// The filter is a rule of the harness, applied to the entries that the engine shows it and once more to those
// of the model: some are left out, and one may be the last. What the engine shows is kept, to be compared
// too.
#pragma once

#include <vector>

#include "scan/scan_range.h"
#include "sim/model/model.h"
#include "sim/run/engine_host.h"

namespace tonearm::sim {

struct InOrderRequest {
  GrooveName groove = GrooveName::things;
  TreeName tree = TreeName::kv;  // An index of the groove that has values.
  u128 min = 0;
  u128 max = 0;
  Direction direction = Direction::ascending;
  bool cold = false;
  bool filtered = false;
  bool pool_full = false;  // First all buffers are taken, and it must be refused.
  u64 random = 0;          // Of the filter.
  u64 last = 0;            // The entry that it is shown so many entries before; u64_max: none is the last.
};

struct InOrderResult {
  const char* broken = nullptr;  // A promise that does not hold.
  Error error;                   // Set: unanswered; what came before it is here.
  std::vector<u64> timestamps;
  std::vector<ModelKey> shown;  // To the filter.
};

// Of the entry before which so many others were shown.
ScanDecision in_order_decision(const InOrderRequest& request, u64 place, u64 timestamp);

// What the model says: no error.
InOrderResult in_order_expected(const InOrderRequest& request, const ModelMap& index);

// An index of the groove that has values, a range of them from what is there, and a filter.
InOrderRequest draw_in_order(GrooveName groove, const Model& model, u64 random);

}  // namespace tonearm::sim
