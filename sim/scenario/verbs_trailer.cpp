#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

// Of the blocks of the chain, modulo how many it has.
constexpr VerbArgument where{.name = "where", .max = 63, .spread = Spread::uniform};
constexpr VerbArgument value{.name = "value", .max = (u64{1} << 32) - 1, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "write",
     .help =
         "So many bytes (modulo the most there may be, and one); content: any, zeros, ones, the same again; "
         "of the writes so many fail.",
     .weight = 30,
     .essential = true,
     .arguments = {VerbArgument{.name = "size", .max = u64{1} << 20, .spread = Spread::uniform},
                   VerbArgument{.name = "content", .max = 3, .spread = Spread::uniform},
                   VerbArgument{.name = "fails", .max = 60, .spread = Spread::small}}},
    {.name = "edge",
     .help = "Blocks that are just full: so many of them, and so many bytes less, none or more.",
     .weight = 20,
     .arguments = {where, VerbArgument{.name = "off", .max = 2, .spread = Spread::uniform},
                   VerbArgument{.name = "content", .max = 3, .spread = Spread::uniform}}},
    {.name = "open", .help = "A new process opens what was written last.", .weight = 15},
    {.name = "crash",
     .help = "Strikes so many steps of the event loop later.",
     .weight = 8,
     .arguments = {VerbArgument{.name = "at", .max = 60, .spread = Spread::uniform}}},
    {.name = "damage",
     .help = "Opens it with a bit flipped in one block, or in two.",
     .weight = 8,
     .arguments = {where, VerbArgument{.name = "other", .max = 127, .spread = Spread::uniform}, value}},
    {.name = "unreadable",
     .help = "Opens it with a block that reads do not bring, the first times or never.",
     .weight = 4,
     .arguments = {where, VerbArgument{.name = "how", .max = 4, .spread = Spread::uniform},
                   VerbArgument{.name = "times", .max = 6, .spread = Spread::uniform}, value}},
    {.name = "forge",
     .help = "Opens it with a block that says something else, and with the right checksums.",
     .weight = 16,
     .arguments = {where, VerbArgument{.name = "kind", .max = 9, .spread = Spread::uniform}, value}},
    {.name = "refer",
     .help = "Opens it by another reference.",
     .weight = 10,
     .arguments = {VerbArgument{.name = "kind", .max = 8, .spread = Spread::uniform}, value}},
};

}  // namespace

const Alphabet trailer_alphabet{.workload = "trailer", .verbs = verbs};

}  // namespace tonearm::sim
