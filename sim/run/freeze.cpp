#include "sim/run/freeze.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// What requests of a recovery are attributed to names the line that it follows; see attribution_of().
std::map<u64, OpId> recoveries(const std::vector<Operation>& lines) {
  std::map<u64, OpId> lines_by_context;
  for (const Operation& line : lines) lines_by_context[attribution_of({}, line.id).context] = line.id;
  return lines_by_context;
}

Operation line_of(const FiredFault& fired, const std::map<u64, OpId>& recoveries) {
  Operation line;
  line.kind = OperationKind::fault;
  line.request = {.attribution = fired.attribution, .recovery = {}, .tag = fired.tag, .n = fired.n};
  line.fault = fired.fault;
  const auto recovery = recoveries.find(fired.attribution.context);
  if (recovery != recoveries.end()) line.request.recovery = recovery->second;
  return line;
}

}  // namespace

Scenario freeze(const Scenario& scenario, const RunResult& played) {
  Scenario frozen = scenario;
  frozen.options.disk.faults = {};
  finish_options(&frozen.options);
  frozen.operations.clear();
  const std::map<u64, OpId> by_context = recoveries(scenario.operations);
  auto fired = played.fired.begin();
  const auto asked_before = [&](u64 line) {
    for (; fired != played.fired.end() && fired->line <= line; ++fired) {
      frozen.operations.push_back(line_of(fired->fired, by_context));
    }
  };
  for (u64 i = 0; i < scenario.operations.size(); ++i) {
    asked_before(i);
    // What a line has asked for has struck like the others.
    if (scenario.operations[i].kind == OperationKind::fault) continue;
    Operation& line = frozen.operations.emplace_back(scenario.operations[i]);
    if (line.kind != OperationKind::crash) continue;
    const auto crashed = std::find_if(played.crashed.begin(), played.crashed.end(),
                                      [&](const CrashRecord& each) { return each.line == line.id; });
    if (crashed != played.crashed.end()) line.writes = crashed->writes;
  }
  asked_before(u64_max);
  assign_ids(&frozen.operations);
  return frozen;
}

}  // namespace tonearm::sim
