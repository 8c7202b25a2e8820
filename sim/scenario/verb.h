// The alphabets of the component workloads: what their lines may say.
//
// A component (the free set, a manifest level, ...) is played by lines of verbs, each with up to four
// numbers, instead of the lines of a tree:
//
//   17 acquire blocks=3
//   18 release at=2 blocks=1
//
// What a number means is the component's business, and every number means something in every state
// (an index is taken modulo what there is): so any line can be deleted, changed or generated without
// knowing the state. One table a workload serves parser, printer, generator and help.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/types.h"

namespace tonearm::sim {

// How the generator draws a number between 0 and its maximum.
enum class Spread : u8 {
  uniform,    // All alike; a quarter of them from a few that the phase repeats.
  small,      // Half of them in the first quarter.
  magnitude,  // Every power of two alike.
};

struct VerbArgument {
  const char* name = nullptr;  // None from here on.
  u64 max = 0;
  Spread spread = Spread::uniform;
};

inline constexpr u32 verb_arguments_max = 4;

struct Verb {
  const char* name;
  const char* help;
  u32 weight;              // Relative frequency, about.
  bool essential = false;  // No seed does without it; each other one is missing in some seeds and phases.
  std::array<VerbArgument, verb_arguments_max> arguments{};

  u32 argument_count() const;
};

struct Alphabet {
  const char* workload;
  std::span<const Verb> verbs;
};

// Of a component workload; null for one whose lines are those of a tree.
const Alphabet* find_alphabet(std::string_view workload);
const Verb* find_verb(const Alphabet& alphabet, std::string_view name);

// One a workload, each in a file of its own: verbs_NAME.cpp.
extern const Alphabet cache_alphabet;
extern const Alphabet cache_map_alphabet;
extern const Alphabet free_set_alphabet;
extern const Alphabet grid_alphabet;
extern const Alphabet manifest_level_alphabet;
extern const Alphabet manifest_log_alphabet;
extern const Alphabet merge_alphabet;
extern const Alphabet options_alphabet;
extern const Alphabet segmented_array_alphabet;
extern const Alphabet superblock_alphabet;
extern const Alphabet table_memory_alphabet;
extern const Alphabet trailer_alphabet;

}  // namespace tonearm::sim
