#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {
constexpr const Alphabet* alphabets[] = {
    &cache_alphabet,           &cache_map_alphabet,    &free_set_alphabet,     &grid_alphabet,
    &manifest_level_alphabet,  &manifest_log_alphabet, &merge_alphabet,        &options_alphabet,
    &segmented_array_alphabet, &superblock_alphabet,   &table_memory_alphabet, &trailer_alphabet,
};
}  // namespace

u32 Verb::argument_count() const {
  u32 count = 0;
  while (count < verb_arguments_max && arguments[count].name != nullptr) ++count;
  return count;
}

const Alphabet* find_alphabet(std::string_view workload) {
  for (const Alphabet* alphabet : alphabets) {
    if (workload == alphabet->workload) return alphabet;
  }
  return nullptr;
}

const Verb* find_verb(const Alphabet& alphabet, std::string_view name) {
  for (const Verb& verb : alphabet.verbs) {
    if (name == verb.name) return &verb;
  }
  return nullptr;
}

}  // namespace tonearm::sim
