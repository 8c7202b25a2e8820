#include "groove/groove_verify.h"

#include <algorithm>
#include <numeric>

#include "base/checksum.h"
#include "base/math.h"

namespace tonearm {

namespace {

u64 hash_of_entry(u32 tree, u64 timestamp, u128 key) {
  const u64 words[] = {timestamp, static_cast<u64>(key), static_cast<u64>(key >> 64)};
  return hash_of(std::as_bytes(std::span(words)), tree);
}

const char* reason_of(GrooveDisagreement::Kind kind) {
  switch (kind) {
    case GrooveDisagreement::Kind::none: break;
    case GrooveDisagreement::Kind::entry_missing: return "an object's entry is missing";
    case GrooveDisagreement::Kind::entry_left: return "an entry is of no object";
    case GrooveDisagreement::Kind::entry_differs: return "an entry is not what its object demands";
  }
  UNREACHABLE();
}

}  // namespace

GrooveVerify::GrooveVerify(Forest& forest, std::span<const Reader> readers, Arena& arena)
    : forest_(&forest), readers_(readers), verify_(forest, arena), entries_(*this) {
  ASSERT(readers.size() == forest.tree_count());
  for (const Reader reader : readers) ASSERT(reader != nullptr);
}

void GrooveVerify::run(Callback<> done) {
  ASSERT(pass_ == Pass::idle);
  ASSERT(done);
  ASSERT(forest_->op() <= forest_->checkpoint_op() + forest_->format_options().beats &&
         "after the trigger of a checkpoint the trees on the disk are of different ops");
  done_ = done;
  error_ = {};
  disagreement_ = {};
  sums_.fill(0);
  std::iota(demanded_by_.begin(), demanded_by_.end(), u8{0});
  least_ = u64_max;
  greatest_ = 0;
  begin(Pass::sums);
}

void GrooveVerify::begin(Pass pass) {
  pass_ = pass;
  const Callback<> done = Callback<>::to<&GrooveVerify::pass_done>(this);
  if (pass == Pass::sums) return verify_.run(this, done);
  verify_.run_trees(u64{1} << tree_ | u64{1} << demanded_by_[tree_], this, done);
}

const char* GrooveVerify::value(u32 tree, const std::byte* value) {
  reading_ = tree;
  return readers_[tree](entries_, value);
}

void GrooveVerify::entry(u32 tree, u64 timestamp, u128 key, bool demanded) {
  ASSERT(tree < forest_->tree_count());
  ASSERT(timestamp >= 1);
  const auto add = [&](u64& sum) {
    const u64 hash = hash_of_entry(tree, timestamp, key);
    sum += demanded ? hash : ~hash + 1;
  };
  if (pass_ == Pass::sums) {
    if (demanded) demanded_by_[tree] = static_cast<u8>(reading_);
    least_ = std::min(least_, timestamp);
    greatest_ = std::max(greatest_, timestamp);
    return add(sums_[tree]);
  }
  if (tree != tree_ || timestamp < least_ || timestamp > greatest_) return;
  if (pass_ == Pass::search) return add(part_sums_[(timestamp - least_) / width_]);
  ASSERT(pass_ == Pass::look);
  ++(demanded ? demanded_ : there_);
}

void GrooveVerify::pass_done() {
  if (pass_ == Pass::sums) counts_ = verify_.counts();
  if (verify_.error()) {
    error_ = verify_.error();
    return finish();
  }
  switch (pass_) {
    case Pass::sums:
      if (!find_tree()) return finish();
      break;
    case Pass::search: find_part(); break;
    case Pass::look: judge(); return finish();
    case Pass::idle: UNREACHABLE();
  }
  if (least_ == greatest_) {
    demanded_ = there_ = 0;
    return begin(Pass::look);
  }
  part_sums_.fill(0);
  width_ = div_ceil(greatest_ - least_ + 1, parts);
  begin(Pass::search);
}

// False: every tree has what it must have.
bool GrooveVerify::find_tree() {
  for (tree_ = 0; tree_ < forest_->tree_count(); ++tree_) {
    if (sums_[tree_] != 0) return true;
  }
  return false;
}

// The first one whose sum is not 0. There is one, because they add up to something else.
void GrooveVerify::find_part() {
  const auto found = std::find_if(part_sums_.begin(), part_sums_.end(), [](u64 sum) { return sum != 0; });
  ASSERT(found != part_sums_.end());
  const u64 part = static_cast<u64>(found - part_sums_.begin());
  least_ += part * width_;
  greatest_ = std::min(greatest_, least_ + width_ - 1);
  ASSERT(least_ <= greatest_);
}

// An object demands one entry of a tree at most, but any number may be there.
void GrooveVerify::judge() {
  using Kind = GrooveDisagreement::Kind;
  ASSERT(demanded_ <= 1 && demanded_ + there_ > 0);
  const Kind kind = there_ < demanded_   ? Kind::entry_missing
                    : there_ > demanded_ ? Kind::entry_left
                                         : Kind::entry_differs;
  disagreement_ = {.kind = kind, .tree = forest_->tree(tree_).config().id, .timestamp = least_};
  error_ = {.kind = ErrorKind::inconsistent, .reason = reason_of(kind)};
}

void GrooveVerify::finish() {
  pass_ = Pass::idle;
  const Callback<> done = done_;
  done_ = {};
  done();
}

}  // namespace tonearm
