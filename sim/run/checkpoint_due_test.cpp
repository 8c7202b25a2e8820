#include "sim/run/checkpoint_due.h"

#include "sim/run/test_host.h"

namespace tonearm::sim {

TEST_CASE("whether a checkpoint is due is compared with the format", "[checkpoint_due]") {
  TestHost host;
  const FormatOptions format = host_options().format;
  FormatOptions rarer = format, oftener = format;
  rarer.checkpoint_interval = 16;
  oftener.checkpoint_interval = 4;
  const auto compared = [&](const FormatOptions& with, u64 op) {
    return due_otherwise(host.forest(), with, op);
  };
  for (u64 op = 1; op <= 40; ++op) {
    INFO("op " << op);
    CHECK(compared(format, op) == "");
    if (op == 7)
      CHECK(compared(oftener, op) == "after op 7, a checkpoint every 4 ops: the engine says not yet");
    if (op == 11) CHECK(compared(rarer, op) == "after op 11, a checkpoint every 16 ops: the engine says now");
    if (op == 19) CHECK(compared(rarer, op) == "");
    host.commit();
  }
  CHECK(host.forest().checkpoint_op() == 31);
}

}  // namespace tonearm::sim
