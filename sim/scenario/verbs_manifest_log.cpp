#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr VerbArgument rate{.name = "rate", .max = 100, .spread = Spread::uniform};  // Percent of the most.
constexpr VerbArgument grow{.name = "grow", .max = 4, .spread = Spread::uniform};    // Quarters: inserts.
constexpr VerbArgument place{.name = "place", .max = 1'000'000, .spread = Spread::uniform};
constexpr VerbArgument value{.name = "value", .max = 65535, .spread = Spread::uniform};

constexpr Verb verbs[] = {
    {.name = "half_bar",
     .help = "Reserves, compacts, appends so much of what a half-bar may append, and ends.",
     .weight = 60,
     .essential = true,
     .arguments = {rate, grow}},
    {.name = "burst",
     .help = "So many half-bars at full rate.",
     .weight = 12,
     .essential = true,
     .arguments = {VerbArgument{.name = "half_bars", .max = 24, .spread = Spread::small}, grow}},
    {.name = "shrink",
     .help = "A half-bar that removes as many tables as it may.",
     .weight = 4,
     .arguments = {}},
    {.name = "checkpoint",
     .help = "Closes and writes all blocks, syncs, and keeps what a superblock would.",
     .weight = 18,
     .essential = true,
     .arguments = {}},
    {.name = "durable",
     .help = "What the checkpoint before released becomes free.",
     .weight = 10,
     .arguments = {}},
    {.name = "crash",
     .help = "Strikes so many steps of the event loop later, in whatever runs then.",
     .weight = 5,
     .arguments = {VerbArgument{.name = "at", .max = 60, .spread = Spread::small}}},
    {.name = "reopen",
     .help = "A new process replays the log as of the last checkpoint.",
     .weight = 2,
     .arguments = {}},
    {.name = "open_small",
     .help = "A checkpoint; then a process that may hold so many percent of the live tables opens.",
     .weight = 2,
     .arguments = {VerbArgument{.name = "percent", .max = 120, .spread = Spread::uniform}}},
    {.name = "damage",
     .help = "A checkpoint; then opens with a bit of a block of the log flipped, and with it healed.",
     .weight = 3,
     .arguments = {place, VerbArgument{.name = "bit", .max = 65535, .spread = Spread::uniform}}},
    {.name = "forge",
     .help = "A checkpoint; then opens with a block that nobody appended, and with it healed.",
     .weight = 6,
     .arguments = {place, VerbArgument{.name = "kind", .max = 46, .spread = Spread::uniform}, value}},
};

}  // namespace

const Alphabet manifest_log_alphabet{.workload = "manifest_log", .verbs = verbs};

}  // namespace tonearm::sim
