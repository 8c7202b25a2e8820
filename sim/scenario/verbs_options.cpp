#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

// Of all options, modulo their number.
constexpr VerbArgument field{.name = "field", .max = 999, .spread = Spread::uniform};
// Where between and around its limits: see component/options.cpp.
constexpr VerbArgument place{.name = "place", .max = 15, .spread = Spread::uniform};
constexpr VerbArgument value{.name = "value", .max = u64{1} << 40, .spread = Spread::magnitude};

constexpr Verb verbs[] = {
    {.name = "set",
     .help = "One option of a valid set changes, for this line.",
     .weight = 40,
     .essential = true,
     .arguments = {field, place, value}},
    {.name = "keep",
     .help = "The same for good, if it is valid.",
     .weight = 20,
     .arguments = {field, place, value}},
    {.name = "two", .help = "Two neighbours change.", .weight = 10, .arguments = {field, place, value}},
    {.name = "layout",
     .help = "The tables of a tree with keys and values of some size.",
     .weight = 30,
     .arguments = {VerbArgument{.name = "key", .max = 2, .spread = Spread::uniform},
                   VerbArgument{.name = "value", .max = 5, .spread = Spread::uniform}, place}},
    {.name = "levels",
     .help =
         "The tables of each level, and of a tree on so many blocks; growth: from 2 to 16, or else as it is.",
     .weight = 10,
     .arguments = {VerbArgument{.name = "growth", .max = 20, .spread = Spread::uniform},
                   VerbArgument{.name = "blocks", .max = u64{1} << 40, .spread = Spread::magnitude}}},
    {.name = "trigger",
     .help = "When checkpoints are due, around the end of an interval somewhere.",
     .weight = 10,
     .arguments = {VerbArgument{.name = "shift", .max = 63, .spread = Spread::uniform},
                   VerbArgument{.name = "op", .max = u64{1} << 40, .spread = Spread::uniform}}},
    {.name = "trees",
     .help =
         "A forest of so many trees, maybe one of them with an id that is no more than the one before it.",
     .weight = 6,
     .arguments = {VerbArgument{.name = "count", .max = 67, .spread = Spread::uniform}, place, value}},
    {.name = "reset", .help = "Back to the options of the run.", .weight = 4},
};

}  // namespace

const Alphabet options_alphabet{.workload = "options", .verbs = verbs};

}  // namespace tonearm::sim
