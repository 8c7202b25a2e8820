#include "sim/verdict/verdict.h"

#include "base/assert.h"
#include "base/checksum.h"

namespace tonearm::sim {

const char* failure_class_name(FailureClass failure) {
  switch (failure) {
    case FailureClass::none: return "none";
    case FailureClass::oracle: return "oracle";
    case FailureClass::assert_: return "assert";
    case FailureClass::structure: return "structure";
    case FailureClass::crash_legal: return "crash-legal";
    case FailureClass::false_alarm: return "false-alarm";
    case FailureClass::liveness: return "liveness";
    case FailureClass::determinism: return "determinism";
    case FailureClass::resource: return "resource";
    case FailureClass::sim: return "sim";
    case FailureClass::signal: return "signal";
    case FailureClass::hang: return "hang";
  }
  UNREACHABLE();
}

namespace {
struct OracleWords {
  const char* name;
  const char* help;
};
constexpr OracleWords oracles[oracle_count] = {
    {"model", "every answer of a line equals the model's"},
    {"audit", "everything, in both directions, through the live engine"},
    {"shadow", "a second engine opens the durable image of each checkpoint and is audited"},
    {"legal", "what opens after a crash is the right checkpoint, all of it and nothing more"},
    {"structure", "the image decoded independently: no leak, no double use, levels in order"},
    {"protect", "no write touches a block that the durable checkpoint needs"},
    {"liveness", "every call completes within a bounded number of ticks"},
    {"directed", "after an interesting event the keys concerned are looked at again"},
    {"false_alarm", "without damage no call ends in an error"},
    {"resource", "no allocation by the engine; block reads of a lookup and of a refill are bounded"},
    {"verify", "the engine's verification and its scrubber find what is damaged, and nothing else"},
    {"twin", "another machine has the same checkpoints, another layout the same answers"},
    {"poison", "what unwritten sectors and fresh memory hold changes no event"},
};
}  // namespace

const char* oracle_name(Oracle oracle) { return oracles[static_cast<u32>(oracle)].name; }
const char* oracle_help(Oracle oracle) { return oracles[static_cast<u32>(oracle)].help; }

u32 Failure::signature() const {
  const std::string text = std::string(failure_class_name(failure_class)) + "|" + site;
  return static_cast<u32>(hash_of(std::as_bytes(std::span(text)), 0));
}

}  // namespace tonearm::sim
