// Deep verification of the grooves of a forest: all that ForestVerify looks at, and that the trees of each
// groove agree.
//
//   objects    timestamps and ids that an object may have
//   ids        each id names the timestamp of the object that has it; an orphan names none, and is there
//              only where the description allows it
//   indexes    an object has the one entry that its description demands, or none; each entry is of an object
//
// Objects are in order of timestamps, ids of ids, entries of what they index: what belongs together does
// not meet. So sets are compared by sums. Of each tree of ids or entries, what the objects demand is added
// up as hashes, and what is there is taken off; where 0 is left, the two sets are equal. (That two sets that
// differ leave 0 happens once in 2^64.) A sound forest takes one pass over its blocks.
//
// Otherwise the first tree that differs is searched for the least timestamp at which it does: a pass for
// each part of the way, with a sum for each of `parts` ranges, and one that looks at the timestamp alone.
// They read that tree, and the objects.
//
// Memory: that of ForestVerify, and these sums. The disk must hold the same ops in all trees, as it does
// when the forest was opened or checkpointed, until the next bar flushes what was changed since.
#pragma once

#include <array>

#include "forest/forest_verify.h"

namespace tonearm {

// The first tree, and in it the least timestamp, at which a groove disagrees with itself.
struct GrooveDisagreement {
  enum class Kind : u8 {
    none,
    entry_missing,  // The object has no entry there, or its id is not there.
    entry_left,     // An entry of no object, or one too many.
    entry_differs,  // The object demands another entry, or has another id.
  };
  Kind kind = Kind::none;
  u16 tree = 0;  // Its id: that of ids or of an index.
  u64 timestamp = 0;
};

class GrooveVerify final : private ForestVerify::Visitor {
 public:
  // What the values of a tree say to it: see groove/groove_entries.h.
  class Entries {
   public:
    // `tree`: position in the forest. `key`: what the entry holds besides the timestamp, of which 0 is none.
    void demand(u32 tree, u64 timestamp, u128 key) { verify_->entry(tree, timestamp, key, true); }
    void there(u32 tree, u64 timestamp, u128 key) { verify_->entry(tree, timestamp, key, false); }

   private:
    friend class GrooveVerify;
    explicit Entries(GrooveVerify& verify) : verify_(&verify) {}
    GrooveVerify* verify_;
  };
  // Of a value that is no tombstone. Null, or why it cannot be; static text.
  using Reader = const char* (*)(Entries& entries, const std::byte* value);

  static void measure(Arena& arena, const ForestOptions& options) { ForestVerify::measure(arena, options); }
  // `readers`: one for each tree. They must outlive this.
  GrooveVerify(Forest& forest, std::span<const Reader> readers, Arena& arena);
  GrooveVerify(const GrooveVerify&) = delete;

  // As ForestVerify::run(). Not later than the trigger of the checkpoint at hand, which is `beats` ops after
  // what it holds.
  void run(Callback<> done);

  // Where grooves disagree, `inconsistent` without an address: disagreement() says more.
  const Error& error() const { return error_; }
  const GrooveDisagreement& disagreement() const { return disagreement_; }
  const ForestVerify::Counts& counts() const { return counts_; }  // Of the first pass.

 private:
  static constexpr u64 parts = 512;

  enum class Pass : u8 { idle, sums, search, look };

  const char* value(u32 tree, const std::byte* value) override;
  const char* end() override { return nullptr; }
  void entry(u32 tree, u64 timestamp, u128 key, bool demanded);
  void begin(Pass pass);
  void pass_done();
  bool find_tree();
  void find_part();
  void judge();
  void finish();

  Forest* forest_;
  std::span<const Reader> readers_;
  ForestVerify verify_;
  Entries entries_;

  // Of a run.
  Callback<> done_;
  Pass pass_ = Pass::idle;
  std::array<u64, trees_max> sums_{};  // sums: by tree.
  std::array<u64, parts> part_sums_{};
  u32 reading_ = 0;                          // The tree whose value is at hand.
  std::array<u8, trees_max> demanded_by_{};  // By tree: the objects that demand its entries, or itself.
  u32 tree_ = 0;  // From here on: of that tree, and from least_ to greatest_, width_ timestamps a part.
  u64 least_ = 0;
  u64 greatest_ = 0;
  u64 width_ = 0;
  u64 demanded_ = 0;  // look: entries.
  u64 there_ = 0;
  Error error_;
  GrooveDisagreement disagreement_;
  ForestVerify::Counts counts_;
};

}  // namespace tonearm
