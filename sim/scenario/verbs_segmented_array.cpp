#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr u64 place_max = 1'000'000;  // Of what there is, in millionths.

constexpr VerbArgument array{.name = "array", .max = 2, .spread = Spread::uniform};
constexpr VerbArgument place{.name = "place", .max = place_max, .spread = Spread::uniform};
constexpr VerbArgument front{.name = "front", .max = 1, .spread = Spread::uniform};
constexpr VerbArgument run{.name = "run", .max = 60, .spread = Spread::small};

constexpr Verb verbs[] = {
    {.name = "insert",
     .help = "So many elements at a place, one after the other.",
     .weight = 30,
     .essential = true,
     .arguments = {array, place, run}},
    {.name = "remove",
     .help = "So many elements from a place on.",
     .weight = 25,
     .arguments = {array, place, run}},
    {.name = "stuff",
     .help = "Elements at one end until the array is full, then so many leave from the other.",
     .weight = 1,
     .arguments = {array, front, run}},
    {.name = "copy",
     .help = "An element of the array before or behind itself.",
     .weight = 4,
     .arguments = {array, place, VerbArgument{.name = "behind", .max = 1, .spread = Spread::uniform}}},
    {.name = "get",
     .help = "So many elements from a place on, by index.",
     .weight = 15,
     .arguments = {array, place, run}},
    {.name = "search",
     .help = "The elements below a bound: present keys, their neighbours, keys that are absent.",
     .weight = 25,
     .arguments = {array, place, VerbArgument{.name = "off", .max = 2, .spread = Spread::uniform}}},
    {.name = "walk", .help = "All elements in order.", .weight = 4, .arguments = {array}},
    {.name = "clear",
     .help = "Removes the elements until none is left, from the back or the front.",
     .weight = 1,
     .arguments = {array, front}},
};

}  // namespace

const Alphabet segmented_array_alphabet{.workload = "segmented_array", .verbs = verbs};

}  // namespace tonearm::sim
