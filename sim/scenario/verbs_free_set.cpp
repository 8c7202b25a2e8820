#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr u64 blocks_max = u64{1} << 16;
constexpr u64 place_max = 1'000'000;  // Of all blocks, in millionths.

constexpr VerbArgument job{.name = "job", .max = 31, .spread = Spread::uniform};
constexpr VerbArgument blocks{.name = "blocks", .max = blocks_max, .spread = Spread::magnitude};
constexpr VerbArgument place{.name = "place", .max = place_max, .spread = Spread::uniform};
constexpr VerbArgument trailers{.name = "trailers", .max = 4, .spread = Spread::uniform};
constexpr VerbArgument spoil{.name = "spoil", .max = 9, .spread = Spread::uniform};
constexpr VerbArgument variant{.name = "variant", .max = (u64{1} << 32) - 1, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "reserve",
     .help = "A job reserves so many blocks (modulo a few more than are free).",
     .weight = 20,
     .essential = true,
     .arguments = {blocks}},
    {.name = "acquire",
     .help = "So many blocks of one job's reservation, which may have to be made first.",
     .weight = 30,
     .essential = true,
     .arguments = {job, VerbArgument{.name = "blocks", .max = 400, .spread = Spread::small}}},
    {.name = "forfeit",
     .help = "One job ends; until all have, none begins.",
     .weight = 8,
     .arguments = {job}},
    {.name = "end", .help = "All jobs end.", .weight = 4},
    {.name = "fill",
     .help = "Acquires all free blocks but so many.",
     .weight = 1,
     .arguments = {VerbArgument{.name = "left", .max = 100, .spread = Spread::small}}},
    {.name = "release",
     .help = "So many acquired blocks from a place on, leaving out `step` between two.",
     .weight = 20,
     .essential = true,
     .arguments = {place, blocks, VerbArgument{.name = "step", .max = 5, .spread = Spread::small}}},
    {.name = "checkpoint",
     .help = "Encodes, acquires blocks for trailers, and is not durable yet. Ends the jobs.",
     .weight = 6,
     .essential = true,
     .arguments = {trailers}},
    {.name = "durable",
     .help = "The checkpoint becomes durable; if it is, there is a new one. Ends the jobs.",
     .weight = 6,
     .essential = true},
    {.name = "crash",
     .help = "Opens from the last checkpoint; limit: the same, the least possible, too low, higher.",
     .weight = 1,
     .arguments = {VerbArgument{.name = "limit", .max = 3, .spread = Spread::uniform}}},
    {.name = "hostile",
     .help =
         "Opens another set from the last checkpoint with a payload spoilt; which: acquired, released, both.",
     .weight = 10,
     .arguments = {VerbArgument{.name = "which", .max = 2, .spread = Spread::uniform}, spoil, variant}},
    {.name = "trailers",
     .help = "Opens another set with trailer addresses that are wrong in some way.",
     .weight = 2,
     .arguments = {VerbArgument{.name = "way", .max = 5, .spread = Spread::uniform}, variant}},
    {.name = "compare", .help = "The state of every block.", .weight = 1},
};

}  // namespace

const Alphabet free_set_alphabet{.workload = "free_set", .verbs = verbs};

}  // namespace tonearm::sim
