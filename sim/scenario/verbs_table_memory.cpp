#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr VerbArgument tree{.name = "tree", .max = 2, .spread = Spread::uniform};  // As trees are named.
// Of the keys of this run, modulo their number.
constexpr VerbArgument key{.name = "key", .max = 1'000'000, .spread = Spread::uniform};
constexpr VerbArgument run{.name = "run", .max = 4095, .spread = Spread::magnitude};
constexpr VerbArgument order{.name = "order", .max = 3, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "put",
     .help = "So many values from a key on (of a bar of n times 8192 n times as many), modulo half of a bar; "
             "order: up, down, the same key, scattered.",
     .weight = 30,
     .essential = true,
     .arguments = {tree, key, run, order}},
    {.name = "remove",
     .help = "The same of tombstones. (An index takes either only where it is that key's turn.)",
     .weight = 15,
     .arguments = {tree, key, run, order}},
    {.name = "get",
     .help = "So many keys from one on, in both tables.",
     .weight = 30,
     .essential = true,
     .arguments = {tree, key, VerbArgument{.name = "run", .max = 20, .spread = Spread::small}}},
    {.name = "sort",
     .help = "What a scan does first: sorts the values of this op.",
     .weight = 6,
     .arguments = {tree}},
    {.name = "walk", .help = "Sorts, and goes through all runs.", .weight = 3, .arguments = {tree}},
    {.name = "range",
     .help = "Sorts, and looks for so many keys from one on in each run.",
     .weight = 6,
     .arguments = {tree, key, run}},
    {.name = "op",
     .help = "The op ends; after as many as a bar has, the bar.",
     .weight = 20,
     .arguments = {tree}},
    {.name = "bar",
     .help = "The bar ends: the tables are swapped, or the one absorbs the other if that fits.",
     .weight = 7,
     .arguments = {tree, VerbArgument{.name = "absorb", .max = 1, .spread = Spread::uniform}}},
    {.name = "flush", .help = "The immutable table is flushed.", .weight = 3, .arguments = {tree}},
    {.name = "scope", .help = "A scope begins.", .weight = 10, .arguments = {tree}},
    {.name = "end",
     .help = "It ends, kept or discarded.",
     .weight = 12,
     .arguments = {tree, VerbArgument{.name = "discard", .max = 1, .spread = Spread::uniform}}},
};

}  // namespace

const Alphabet table_memory_alphabet{.workload = "table_memory", .verbs = verbs};

}  // namespace tonearm::sim
