// What the engine must say of each lie: "inconsistent" and an address are not yet an explanation.
//
// Most lies have one name. Some leave a choice, which the rest of the image decides: a block to which two
// references lead is wrong in more than one way, a header that is none fails at the first check that it
// meets. Where trees of a groove disagree, how they do is the explanation.
#include "sim/decode/lie_reasons.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

struct Explained {
  std::string_view lie;
  std::array<std::string_view, 6> reasons;  // Any of them.
};

constexpr auto explained = std::to_array<Explained>({
    {"a block is reached twice",
     {"a block is reached twice", "a value block is of another snapshot than its table",
      "a value block is of another tree", "a value block's least key is not its index's", "not a value block",
      "a value block's greatest key is not its index's"}},
    {"a block of a later release", {"unexpected_command"}},
    {"a block of no release", {"unexpected_command"}},
    {"a body's checksum has padding", {"invalid_checksum_body"}},
    {"a free block is released", {"the trailers of the free set contradict themselves"}},
    {"a header that is no block's", {"unexpected_command"}},
    {"a header's checksum has padding", {"invalid_checksum"}},
    {"a reference beyond the disk", {"a reference to no block"}},
    {"a reference to a free block", {"a reference to a free block", "a reference to no block"}},
    {"a reference to a released block", {"a released block is reached"}},
    {"a released block is free", {"the trailers of the free set contradict themselves"}},
    {"a table begins earlier than its first value", {"an index block's least key is not its table's"}},
    {"a table begins later than its first value", {"an index block's least key is not its table's"}},
    {"a table ends earlier than its last value", {"an index block's greatest key is not its table's"}},
    {"a table ends later than its last value", {"an index block's greatest key is not its table's"}},
    {"a table has a key that its tree cannot have", {"a table has a key that its tree cannot have"}},
    {"a table has another number of values", {"a table has another number of values"}},
    {"a table has ended", {"a manifest entry is of a table that has ended"}},
    {"a table has more values than it can hold", {"a table has more values than it can hold"}},
    {"a table is of a level that does not exist", {"a manifest entry is of a level that does not exist"}},
    {"a table is of no tree", {"a table of no tree"}},
    {"a table's keys are out of order", {"a manifest entry's greatest key is below its least"}},
    {"a trailer block is of another size", {"a trailer block has another size", "invalid_padding"}},
    {"a trailer block is of another type", {"not a trailer block"}},
    {"a trailer block's header is none", {"invalid_checksum", "invalid_checksum_body", "unexpected_command"}},
    {"a trailer block's reserved bytes are used", {"a trailer block's reserved bytes are not zero"}},
    {"a trailer has a block beyond the limit",
     {"the data file has more blocks than the storage limit allows"}},
    {"a trailer is larger than any", {"the free set does not fit"}},
    {"a trailer is no bitmap", {"a trailer of the free set is no bitmap"}},
    {"a trailer is of another size",
     {"a trailer block has another size", "the trailer's chain ends too early",
      "the first trailer block refers to another one"}},
    {"a trailer's block is acquired", {"the trailers of the free set contradict themselves"}},
    {"a trailer's chain goes nowhere", {"the trailer's chain ends too early", "address out of range"}},
    {"a trailer's checksum has padding", {"a trailer block's reserved bytes are not zero"}},
    {"a trailer's last block is nowhere", {"address out of range"}},
    {"a trailer's payload has another checksum", {"the trailer's payload has another checksum"}},
    {"a value block has an impossible number of values", {"a value block has no such number of values"}},
    {"a value block is of another layout", {"a value block is of another layout"}},
    {"a value block is of another place or file", {"unexpected_checksum"}},
    {"a value block is of another size", {"a value block has another size"}},
    {"a value block is of another snapshot", {"a value block is of another snapshot than its table"}},
    {"a value block is of another tree", {"a value block is of another tree"}},
    {"a value block is of another type", {"not a value block"}},
    {"a value block's header is none", {"invalid_checksum", "invalid_checksum_body", "unexpected_command"}},
    {"a value block's reserved bytes are used", {"a value block's reserved bytes are not zero"}},
    {"a value is there twice", {"a value block's keys are out of order"}},
    {"an id is 0", {"no object may have this id"}},
    {"an id is orphaned where there are no orphans", {"an orphan in a groove that has none"}},
    {"an id's unused bytes are used", {"an id's unused bytes are not zero"}},
    {"an index block has a key that its tree cannot have", {"an index block's keys are too great"}},
    {"an index block has an impossible number of blocks", {"an index block has no such number of blocks"}},
    {"an index block has another greatest key", {"a value block's greatest key is not its index's"}},
    {"an index block has another least key", {"a value block's least key is not its index's"}},
    {"an index block is of another layout", {"an index block is of another layout"}},
    {"an index block is of another place or file", {"unexpected_checksum"}},
    {"an index block is of another size", {"an index block has another size"}},
    {"an index block is of another snapshot", {"an index block is of another snapshot than its table"}},
    {"an index block is of another tree", {"an index block is of another tree"}},
    {"an index block is of another type", {"not an index block"}},
    {"an index block lacks an address", {"an index block lacks an address"}},
    {"an index block's header is none", {"invalid_checksum", "invalid_checksum_body", "unexpected_command"}},
    {"an index block's least and greatest key changed places", {"an index block's keys are out of order"}},
    {"an index block's padding is used", {"an index block's padding is not zero"}},
    {"an index block's reserved bytes are used", {"an index block's reserved bytes are not zero"}},
    {"an index entry has timestamp 0", {"no object may have this timestamp"}},
    {"an index entry's unused bytes are used", {"an entry's unused bytes are not zero"}},
    {"an object has an id that none may have", {"no object may have this id"}},
    {"an object has timestamp 0", {"no object may have this timestamp"}},
    {"an unused slot of an index block is not zero", {"an unused slot of an index block is not zero"}},
    {"blocks are acquired and not reachable", {"an acquired block is not reached"}},
    {"the blocks of trailers do not ascend", {"the trailers of the free set contradict themselves"}},
    {"the first block of a trailer has one before it", {"the first trailer block refers to another one"}},
    {"the oldest version of a key of a secondary index is a tombstone",
     {"a tombstone has nothing below it", "two versions of a key do not alternate"}},
    {"two tables of a level overlap", {"two tables of a level overlap"}},
    {"two value blocks have a key in common", {"an index block's keys are out of order"}},
    {"two value blocks of an index block are exchanged", {"an index block's keys are out of order"}},
    {"two values changed places", {"a value block's keys are out of order"}},
    {"two versions of a key of a secondary index are puts", {"two versions of a key do not alternate"}},
});

}  // namespace

bool lie_known(std::string_view lie) {
  return std::any_of(explained.begin(), explained.end(), [lie](const Explained& e) { return e.lie == lie; });
}

bool lie_explained(const Forged& forged, std::string_view reason) {
  switch (forged.disagreement) {
    case ForgedDisagreement::entry_missing: return reason == "an object's entry is missing";
    case ForgedDisagreement::entry_left: return reason == "an entry is of no object";
    case ForgedDisagreement::entry_differs: return reason == "an entry is not what its object demands";
    case ForgedDisagreement::none: break;
  }
  ASSERT(lie_known(forged.lie));
  if (reason.empty()) return false;
  const auto at = std::find_if(explained.begin(), explained.end(),
                               [&forged](const Explained& e) { return e.lie == forged.lie; });
  return std::find(at->reasons.begin(), at->reasons.end(), reason) != at->reasons.end();
}

}  // namespace tonearm::sim
