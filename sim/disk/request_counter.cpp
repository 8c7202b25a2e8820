#include "sim/disk/request_counter.h"

#include "base/assert.h"

namespace tonearm::sim {

// Terminates: at least half of the entries are free.
RequestCounter::Entry& RequestCounter::find(const Attribution& attribution, u64 key) {
  const u64 salt = attribution.context ^ u64 { attribution.op.child } << 40 ^ key * 0x9e3779b97f4a7c15;
  const u64 mask = entries_.size() - 1;
  for (u64 at = remix(attribution.op.number, salt);; ++at) {
    Entry& entry = entries_[at & mask];
    if (entry.generation != generation_) return entry;
    if (entry.key == key && entry.attribution == attribution) return entry;
  }
}

u32 RequestCounter::next(const Attribution& attribution, IoTag tag, RequestKind kind) {
  ASSERT(!crowded());
  const u64 key = u64{static_cast<u8>(tag.purpose)} | u64{tag.level} << 8 | u64{tag.tree} << 16 |
                  u64{static_cast<u8>(kind)} << 32;
  Entry& entry = find(attribution, key);
  if (entry.generation != generation_) {
    entry = {.attribution = attribution, .key = key, .generation = generation_, .count = 0};
    ++size_;
  }
  return entry.count++;
}

void RequestCounter::clear() {
  size_ = 0;
  if (++generation_ != 0) return;
  generation_ = 1;  // Wrapped: what looks current may be 2^32 generations old.
  for (Entry& entry : entries_) entry.generation = 0;
}

void RequestCounter::rebuild(const std::vector<Entry>& kept) {
  clear();
  while (kept.size() * 4 > entries_.size()) entries_.resize(entries_.size() * 2);
  for (const Entry& entry : kept) {
    Entry& target = find(entry.attribution, entry.key);
    ASSERT(target.generation != generation_);
    target = entry;
    target.generation = generation_;
    ++size_;
  }
  ASSERT(!crowded());
}

}  // namespace tonearm::sim
