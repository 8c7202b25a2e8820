#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

// Of the blocks there are, those being written included, modulo their number.
constexpr VerbArgument at{.name = "at", .max = 1'000'000, .spread = Spread::uniform};
constexpr VerbArgument run{.name = "run", .max = 12, .spread = Spread::small};
// Bits: into a buffer, past the cache, not into the cache; twice from 8 on.
constexpr VerbArgument how{.name = "how", .max = 15, .spread = Spread::uniform};

constexpr VerbArgument side{.name = "side", .max = 1, .spread = Spread::uniform};  // 1: the mirror.
// Bits: at half as many, two at each; of those that are being read.
constexpr VerbArgument where{.name = "where", .max = 3, .spread = Spread::uniform};
constexpr VerbArgument visitor{.name = "visitor", .max = 7, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "write",
     .help = "So many blocks, all at once; nobody waits for them.",
     .weight = 18,
     .essential = true,
     .arguments = {VerbArgument{.name = "blocks", .max = 8, .spread = Spread::small}}},
    {.name = "read",
     .help = "So many blocks from one on, all at once; nobody waits for them.",
     .weight = 30,
     .essential = true,
     .arguments = {at, run, how}},
    {.name = "repeat",
     .help = "One block, again in each callback, so many times, each in another way.",
     .weight = 6,
     .arguments = {at, run, how}},
    {.name = "alone",
     .help = "One block, when nothing else is going on: from the cache if it has it, else from the disk.",
     .weight = 12,
     .arguments = {at, how}},
    {.name = "stale",
     .help = "What the address of a block held before.",
     .weight = 6,
     .arguments = {at, how}},
    {.name = "cached",
     .help = "So many blocks, those that the cache has.",
     .weight = 8,
     .arguments = {at, run}},
    {.name = "release", .help = "So many blocks from one on.", .weight = 8, .arguments = {at, run}},
    {.name = "free",
     .help = "What was released becomes free, when all is done.",
     .weight = 4,
     .essential = true},
    {.name = "steps",
     .help = "Lets the disk take so many steps.",
     .weight = 20,
     .arguments = {VerbArgument{.name = "steps", .max = 30, .spread = Spread::small}}},
    {.name = "settle", .help = "Waits until all is done.", .weight = 5},
    {.name = "fault",
     .help = "The next reads of a block, from kind 9 on of the mirror's, fail or give other bytes; 0: all.",
     .weight = 10,
     .arguments = {at, VerbArgument{.name = "kind", .max = 17, .spread = Spread::uniform},
                   VerbArgument{.name = "times", .max = 8, .spread = Spread::uniform},
                   VerbArgument{.name = "detail", .max = 1'000'000, .spread = Spread::uniform}}},
    {.name = "rot",
     .help = "So many blocks from one on are damaged on one side, until they are written again.",
     .weight = 8,
     .arguments = {at, run, side, VerbArgument{.name = "bit", .max = 1'000'000, .spread = Spread::uniform}}},
    {.name = "fail_writes",
     .help = "So many of the next requests to write fail.",
     .weight = 3,
     .arguments = {VerbArgument{.name = "times", .max = 8, .spread = Spread::small}, side}},
    {.name = "visit",
     .help = "At so many blocks from one on is somebody with requests of its own.",
     .weight = 16,
     .arguments = {at, run, where}},
    {.name = "mend",
     .help = "So many visitors write one side of their blocks again, if they may, and leave.",
     .weight = 12,
     .arguments = {visitor, run, side}},
    {.name = "leave", .help = "A visitor leaves.", .weight = 4, .arguments = {visitor}},
    {.name = "allow",
     .help = "Repairs are allowed from now on, or with 0 forbidden.",
     .weight = 1,
     .arguments = {VerbArgument{.name = "repairs", .max = 3, .spread = Spread::uniform}}},
    {.name = "heal", .help = "No read has a fault any more.", .weight = 2},
};

}  // namespace

const Alphabet grid_alphabet{.workload = "grid", .verbs = verbs};

}  // namespace tonearm::sim
