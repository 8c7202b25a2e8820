// Twins: the op log of a finished run played again where everything differs that must not matter.
//
//   machine  Another latency seed, completion policy, queue depth, cache, block budget, other variation
//            points of the schedule; no faults, no crashes, and no queries, since those must leave no
//            trace either. Each common checkpoint must have the same id, which is a hash over all that it
//            reaches; one in ten has its blocks compared byte by byte at the end.
//   layout   Another geometry, or other variation points of any kind, or both. The bytes differ; every
//            query must get the same answer.
//
// Which of the two a twin is, and what differs, is drawn from seed and number.
#pragma once

#include <optional>

#include "sim/run/runner.h"

namespace tonearm::sim {

// Entries of RunResult::effective: an index into the source; of a query with this bit; with the other one,
// the number of a scan that a line has closed; a commit is u64_max - repeat.
inline constexpr u64 effective_query_bit = u64{1} << 62;
inline constexpr u64 effective_close_bit = u64{1} << 61;
inline constexpr u64 effective_commits_from = u64_max / 2 + 1;
inline constexpr u64 effective_index(u64 entry) { return entry & ~effective_query_bit; }

enum class TwinKind : u8 { machine, layout };
TwinKind twin_kind(u64 seed, u32 twin);

// What the first run must record.
void record_for_twin(RunConfig* config);

// `result` has been recorded; its image is in `memory`, where it stays. The counters of the outcome say
// what was compared; a twin that could compare nothing counts as idle.
RunResult run_twin(const RunConfig& config, const RunResult& result, u32 twin, RunnerMemory& memory,
                   std::optional<TwinKind> kind = std::nullopt);

}  // namespace tonearm::sim
