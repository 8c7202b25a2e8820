#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr u64 place_max = 1'000'000;  // Of what there is, in millionths.

constexpr VerbArgument level{.name = "level", .max = 9, .spread = Spread::uniform};
constexpr VerbArgument place{.name = "place", .max = place_max, .spread = Spread::uniform};
constexpr VerbArgument width{.name = "width", .max = (1U << 20) - 1, .spread = Spread::magnitude};

constexpr Verb verbs[] = {
    {.name = "insert",
     .help = "A table between two others: touching the left one, the right one, both, or neither.",
     .weight = 40,
     .essential = true,
     .arguments = {level, place, width, VerbArgument{.name = "fit", .max = 4, .spread = Spread::uniform}}},
    {.name = "pack",
     .help = "So many tables side by side, each of so many keys, with gaps or without.",
     .weight = 10,
     .arguments = {level, place, VerbArgument{.name = "run", .max = 300, .spread = Spread::uniform},
                   VerbArgument{.name = "shape", .max = 7, .spread = Spread::uniform}}},
    {.name = "remove",
     .help = "So many tables from a place on.",
     .weight = 20,
     .arguments = {level, place, VerbArgument{.name = "run", .max = 20, .spread = Spread::small}}},
    {.name = "drain",
     .help = "Such a part of a level, from the front or the back.",
     .weight = 1,
     .arguments = {level, VerbArgument{.name = "part", .max = place_max, .spread = Spread::small},
                   VerbArgument{.name = "front", .max = 1, .spread = Spread::uniform}}},
    {.name = "move",
     .help = "A table that overlaps nothing there goes to the next level.",
     .weight = 10,
     .arguments = {level, place}},
    {.name = "sink",
     .help = "The table with the least overlap is merged into the next level, as so many tables.",
     .weight = 16,
     .arguments = {level, VerbArgument{.name = "pieces", .max = 16, .spread = Spread::uniform},
                   VerbArgument{.name = "shape", .max = 7, .spread = Spread::uniform}}},
    {.name = "choose",
     .help = "Which table would be compacted now, and if the level were full.",
     .weight = 10,
     .arguments = {level}},
    {.name = "get",
     .help = "The tables of all levels that may hold a key at, in or beside a table.",
     .weight = 30,
     .arguments = {level, place, VerbArgument{.name = "off", .max = 5, .spread = Spread::uniform}}},
    {.name = "next",
     .help = "The next table of a range in both directions, from a key inside, outside, or none.",
     .weight = 30,
     .arguments = {level, place, width, VerbArgument{.name = "from", .max = 7, .spread = Spread::uniform}}},
    {.name = "overlap",
     .help = "The tables of all levels that overlap a range.",
     .weight = 16,
     .arguments = {level, place, width}},
    {.name = "merge",
     .help = "What a merge of so many values into a level takes along.",
     .weight = 20,
     .arguments = {level, place, width,
                   VerbArgument{.name = "values", .max = place_max, .spread = Spread::small}}},
    {.name = "drop",
     .help = "Whether tombstones of a range may go, for each level as the target.",
     .weight = 16,
     .arguments = {level, place, width}},
    {.name = "walk",
     .help = "All tables of a level, then those of a range one after the other, both ways.",
     .weight = 6,
     .arguments = {level, place, width}},
    {.name = "rebuild",
     .help = "A level once more, its tables opened in another order, and some refused that overlap.",
     .weight = 2,
     .arguments = {level, VerbArgument{.name = "order", .max = place_max, .spread = Spread::uniform}}},
};

}  // namespace

const Alphabet manifest_level_alphabet{.workload = "manifest_level", .verbs = verbs};

}  // namespace tonearm::sim
