#include "sim/scenario/verb.h"

namespace tonearm::sim {

namespace {

constexpr VerbArgument slot{.name = "slot", .max = 3, .spread = Spread::uniform};
constexpr VerbArgument slots{.name = "slots", .max = 15, .spread = Spread::uniform};      // Bit i: copy i.
constexpr VerbArgument slot_or_all{.name = "slot", .max = 4, .spread = Spread::uniform};  // 4: each copy.
constexpr VerbArgument times{.name = "times", .max = 4, .spread = Spread::uniform};
constexpr VerbArgument times_read{
    .name = "times", .max = 9, .spread = Spread::uniform};  // An open's three readings.

constexpr Verb verbs[] = {
    {.name = "format",
     .help = "Formats the file, whatever was there; fresh: in a new process.",
     .weight = 3,
     .arguments = {VerbArgument{.name = "cluster", .max = 3, .spread = Spread::uniform},
                   VerbArgument{.name = "fresh", .max = 1, .spread = Spread::uniform}}},
    {.name = "checkpoint",
     .help = "The next checkpoint, so many ops later; opens the file before, formats it where that fails.",
     .weight = 40,
     .essential = true,
     .arguments = {VerbArgument{.name = "ops", .max = 1000, .spread = Spread::magnitude},
                   VerbArgument{.name = "shape", .max = 63, .spread = Spread::uniform}}},
    {.name = "open",
     .help = "A new process opens the file.",
     .weight = 30,
     .essential = true,
     .arguments = {}},
    {.name = "open_other",
     .help = "A new process opens the file with one format option that is off by more than nothing.",
     .weight = 3,
     .arguments = {VerbArgument{.name = "option", .max = 13, .spread = Spread::uniform},
                   VerbArgument{.name = "off", .max = 8, .spread = Spread::small}}},
    {.name = "crash",
     .help = "Strikes so many steps of the event loop later, in whatever runs then.",
     .weight = 30,
     .arguments = {VerbArgument{.name = "at", .max = 12, .spread = Spread::uniform}}},
    {.name = "flip",
     .help = "Flips a bit in a field of a copy on the disk.",
     .weight = 10,
     .arguments = {slot, VerbArgument{.name = "field", .max = 15, .spread = Spread::uniform},
                   VerbArgument{.name = "bit", .max = 65535, .spread = Spread::uniform}}},
    {.name = "spoil",
     .help = "Zeroes, fills with ones or garbage, or exchanges sectors of a copy on the disk.",
     .weight = 6,
     .arguments = {slot, VerbArgument{.name = "sector", .max = 15, .spread = Spread::uniform},
                   VerbArgument{.name = "sectors", .max = 15, .spread = Spread::small},
                   VerbArgument{.name = "how", .max = 3, .spread = Spread::uniform}}},
    {.name = "mislay",
     .help = "A copy lies in another's place too.",
     .weight = 8,
     .arguments = {VerbArgument{.name = "from", .max = 3, .spread = Spread::uniform},
                   VerbArgument{.name = "to", .max = 3, .spread = Spread::uniform}}},
    {.name = "swap",
     .help = "Two copies lie in each other's place.",
     .weight = 8,
     .arguments = {VerbArgument{.name = "a", .max = 3, .spread = Spread::uniform},
                   VerbArgument{.name = "b", .max = 3, .spread = Spread::uniform}}},
    {.name = "old_copy",
     .help = "Copies of a header that was written once, also by another file, are there again.",
     .weight = 5,
     .arguments = {slots, VerbArgument{.name = "age", .max = 15, .spread = Spread::small}}},
    {.name = "forge",
     .help = "Copies with a right checksum and contents that no engine writes.",
     .weight = 8,
     .arguments = {slots, VerbArgument{.name = "kind", .max = 44, .spread = Spread::uniform},
                   VerbArgument{.name = "value", .max = 65535, .spread = Spread::uniform}}},
    {.name = "alter",
     .help =
         "Copies of the header, or of one that follows, with one number changed; the others are the header.",
     .weight = 16,
     .arguments = {slots, VerbArgument{.name = "field", .max = 46, .spread = Spread::uniform},
                   VerbArgument{.name = "how", .max = 9, .spread = Spread::uniform},
                   VerbArgument{.name = "value", .max = 65535, .spread = Spread::uniform}}},
    {.name = "read_fault",
     .help = "In the next operation reads of a copy fail, return another's bytes or damaged or other ones.",
     .weight = 8,
     .arguments = {slot_or_all, VerbArgument{.name = "how", .max = 3, .spread = Spread::uniform}, times_read,
                   VerbArgument{.name = "other", .max = 15, .spread = Spread::uniform}}},
    {.name = "write_fault",
     .help = "In the next operation writes of a copy fail, are lost, go astray or are cut short.",
     .weight = 6,
     .arguments = {slot_or_all, VerbArgument{.name = "how", .max = 5, .spread = Spread::uniform}, times,
                   VerbArgument{.name = "other", .max = 15, .spread = Spread::uniform}}},
    {.name = "heal", .help = "All copies are again what was verified last.", .weight = 5, .arguments = {}},
};

}  // namespace

const Alphabet superblock_alphabet{.workload = "superblock", .verbs = verbs};

}  // namespace tonearm::sim
