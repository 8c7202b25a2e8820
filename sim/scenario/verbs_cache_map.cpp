#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr VerbArgument key{.name = "key", .max = 1'000'000, .spread = Spread::uniform};
// So many keys from this one on.
constexpr VerbArgument run{.name = "run", .max = 15, .spread = Spread::small};

constexpr Verb verbs[] = {
    {.name = "prefetch",
     .help = "An object is looked for and protected, and brought in if there is one.",
     .weight = 30,
     .essential = true,
     .arguments = {key, run}},
    {.name = "insert", .help = "An object of a key that has none.", .weight = 30, .arguments = {key, run}},
    {.name = "update",
     .help = "Another object of a key that has one.",
     .weight = 25,
     .arguments = {key, run}},
    {.name = "remove", .help = "The object of a key that has one.", .weight = 12, .arguments = {key, run}},
    {.name = "get", .help = "What is known of a key.", .weight = 25, .arguments = {key}},
    {.name = "commit", .help = "The end of an op, and maybe of a bar.", .weight = 20, .essential = true},
    {.name = "scope", .help = "Opens one.", .weight = 8},
    {.name = "end",
     .help = "Closes it.",
     .weight = 6,
     .arguments = {VerbArgument{.name = "persist", .max = 1, .spread = Spread::uniform}}},
    {.name = "walk", .help = "What is known of every key, and what holds inside.", .weight = 1},
};

}  // namespace

const Alphabet cache_map_alphabet{.workload = "cache_map", .verbs = verbs};

}  // namespace tonearm::sim
