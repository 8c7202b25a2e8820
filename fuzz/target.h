// The targets: each takes any bytes at all, and ends the process if a promise is broken.
//
// Most take a scenario, the same text that a seed prints and that `tonearm replay` plays, and play it through
// the same runner under the same oracles. So what a fuzzer finds is a scenario, and a scenario is an input.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace tonearm::sim {

// What one input may cost at most. More is refused, because a fuzzer goes where inputs are slow.
struct Bounds {
  u64 lines = 0;
  u64 ops = 0;  // Of the engine: commits, and those that checkpoint lines stand for.
};

struct Target {
  const char* name;
  // 0: played; -1: not worth keeping (no scenario, another workload, too much work).
  int (*play)(const Target& target, std::string_view input);
  // Of a target that takes scenarios: what their workload may be, and how much.
  const char* workload = nullptr;
  const char* other_workload = nullptr;
  Bounds bounds{};
  // Another input, at most so long, out of one. Null: of bytes, which the fuzzer itself mutates.
  std::string (*mutate)(const Target& target, std::string_view input, std::size_t size_max,
                        u64 random) = nullptr;

  bool of_scenarios() const { return workload != nullptr; }
};

std::span<const Target> targets();
const Target* find_target(std::string_view name);  // Null: there is none.

inline constexpr std::size_t input_bytes_max = 65536;

// One a kind of input, each in a file of its own.
int play_scenario(const Target& target, std::string_view input);
int play_blocks(const Target& target, std::string_view input);
int parse_any_scenario(const Target& target, std::string_view input);
int parse_any_query(const Target& target, std::string_view input);

}  // namespace tonearm::sim
