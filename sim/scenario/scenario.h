// A scenario: everything that decides one run, as text that a person can read, edit, diff and commit.
//
//     tonearm 1                              format version, read for ever
//     workload tree
//     expect pass                            or: expect fail 1f3a9c02
//     story a put came back after a crash    optional, one line, the only one without comments
//     seed 0x5eed                            keys whatever is not explicit below
//     set block_size=512 levels=5 growth=2   any number of lines, any number of settings on each
//     fault failed_sync 1/50                 short for: set fault.failed_sync=1/50
//     ---
//     17 put kv key=5 value=9                operations, see operation.h
//     # a comment, also after an operation
//
// The version comes first, the rest of the header in any order, each at most once; what is left out
// has its default. print(parse(text)) prints canonical text, and printing that again gives the same
// bytes. Any line after `---` can be deleted and the rest is still a valid scenario. A malformed file
// is refused with line, column, what was found and what was expected.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/scenario/operation.h"
#include "sim/scenario/run_options.h"

namespace tonearm::sim {

inline constexpr u32 scenario_version = 1;
inline constexpr u32 generator_version = 1;  // `gen=` in every verdict: seeds of another are refused.

struct Scenario {
  std::string workload = "tree";
  bool expect_fail = false;
  u32 expect_signature = 0;
  std::string story;  // Control characters and outer white space are not printed.
  u64 seed = 0;       // Parsing copies it to options.disk.seed.
  RunOptions options;
  std::vector<Operation> operations;
};

struct ScenarioError {
  u32 line = 0;         // From 1.
  u32 column = 0;       // From 1, in bytes.
  std::string message;  // "found `foo`, expected a tree: kv, index or id"
};

// Bounds of what is parsed, so that no file takes memory without end: a line is an Operation of about 1 KiB,
// whatever it says, so the longest file takes 300 MiB and its text.
inline constexpr u64 scenario_bytes_max = 64_MiB;
inline constexpr u64 scenario_operations_max = u64{1} << 18;
static_assert(scenario_operations_max * sizeof(Operation) < 300_MiB);

// Lines without an id get a fresh one; a duplicate id is an error. Linear, but for ids that are not
// ascending, which are sorted once.
std::variant<Scenario, ScenarioError> parse_scenario(std::string_view text);

// Gives each operation of number 0 an id that no other has: from the greatest one up.
void assign_ids(std::vector<Operation>* operations);

std::string print_scenario(const Scenario& scenario);  // Operations without an id get one.
std::string print_header(const Scenario& scenario);    // Up to and with `---`.

// Strict, for command lines: decimal, 0x hexadecimal, or a 40-digit git hash (its low 64 bits).
struct SeedResult {
  u64 seed = 0;
  std::string error;  // Empty: fine. "found `-1`, expected a seed: ..."
};
SeedResult parse_seed(std::string_view text);

}  // namespace tonearm::sim
