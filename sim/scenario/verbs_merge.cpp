#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr VerbArgument stream{.name = "stream", .max = 79, .spread = Spread::uniform};
constexpr VerbArgument rows{.name = "rows", .max = 40, .spread = Spread::small};
constexpr VerbArgument gap{.name = "gap", .max = 1023, .spread = Spread::magnitude};
constexpr VerbArgument dense{.name = "dense", .max = 1, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "begin",
     .help = "Another merge: type of the keys and how they lie, streams, direction.",
     .weight = 2,
     .arguments = {VerbArgument{.name = "keys", .max = 15, .spread = Spread::uniform},
                   VerbArgument{.name = "streams", .max = 80, .spread = Spread::magnitude},
                   VerbArgument{.name = "desc", .max = 1, .spread = Spread::uniform}}},
    {.name = "serve",
     .help = "So many rows for the stream that was pending last; 0: it ends.",
     .weight = 30,
     .essential = true,
     .arguments = {rows, gap, dense}},
    {.name = "feed",
     .help = "So many rows for any stream, before it asks for them; 0: it ends.",
     .weight = 15,
     .arguments = {stream, rows, gap, dense}},
    {.name = "fill", .help = "The same for every stream.", .weight = 3, .arguments = {rows, gap, dense}},
    {.name = "stall",
     .help = "A row so far behind the head, or the end, is pending for so many peeks.",
     .weight = 10,
     .arguments = {stream, VerbArgument{.name = "ahead", .max = 20, .spread = Spread::small},
                   VerbArgument{.name = "peeks", .max = 4, .spread = Spread::uniform}}},
    {.name = "pop",
     .help = "So many pops and one more, until three in a row give no row.",
     .weight = 40,
     .essential = true,
     .arguments = {VerbArgument{.name = "times", .max = 60, .spread = Spread::small}}},
    {.name = "seek",
     .help = "All streams skip what lies less than so far beyond the last key; the merge forgets the heads.",
     .weight = 3,
     .arguments = {VerbArgument{.name = "distance", .max = 1023, .spread = Spread::magnitude}}},
    {.name = "finish", .help = "All streams end; pops until the merge does.", .weight = 1},
};

}  // namespace

const Alphabet merge_alphabet{.workload = "merge", .verbs = verbs};

}  // namespace tonearm::sim
