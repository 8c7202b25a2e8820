#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

// Of the addresses that this run knows, modulo their number.
constexpr VerbArgument address{.name = "address", .max = 1'000'000, .spread = Spread::uniform};
constexpr VerbArgument run{.name = "run", .max = 40, .spread = Spread::small};
constexpr VerbArgument uses{.name = "uses", .max = 4, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "insert",
     .help = "A block, whether cached or not; then it is used so many times.",
     .weight = 20,
     .essential = true,
     .arguments = {address, uses}},
    {.name = "get", .help = "A block, so many times.", .weight = 20, .arguments = {address, uses}},
    {.name = "read",
     .help = "So many blocks from an address on: what is not cached is inserted.",
     .weight = 15,
     .essential = true,
     .arguments = {address, run}},
    {.name = "create",
     .help = "The address gets another block: released, acquired and written again, or over the old one.",
     .weight = 10,
     .arguments = {address, VerbArgument{.name = "over", .max = 1, .spread = Spread::uniform}}},
    {.name = "stale",
     .help = "Asks for a block that the address held before, or will hold.",
     .weight = 6,
     .arguments = {address, VerbArgument{.name = "versions", .max = 3, .spread = Spread::uniform}}},
    {.name = "demote",
     .help = "So many blocks from an address on.",
     .weight = 8,
     .arguments = {address, run}},
    {.name = "remove",
     .help = "So many blocks from an address on.",
     .weight = 5,
     .arguments = {address, run}},
    {.name = "crowd",
     .help = "Reads so many blocks of the set of an address, once round all that belong there.",
     .weight = 6,
     .arguments = {address, run}},
    {.name = "compare", .help = "What is cached of every address.", .weight = 2},
};

}  // namespace

const Alphabet cache_alphabet{.workload = "cache", .verbs = verbs};

}  // namespace tonearm::sim
