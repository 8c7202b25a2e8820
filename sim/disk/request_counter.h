// Counts requests with the same key (attribution, tag, kind): the `n` of every keyed draw.
//
// An open-addressing table that forgets cheaply, by generation. It stays bounded because what no
// request can be attributed to any more is swept; the owner says what that is.
#pragma once

#include <vector>

#include "base/types.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

enum class RequestKind : u8 { read, write, sync };

class RequestCounter {
 public:
  RequestCounter() : entries_(capacity_min) {}

  // How many requests with this key came before. There must be room: not crowded().
  u32 next(const Attribution& attribution, IoTag tag, RequestKind kind);

  void clear();
  u32 size() const { return size_; }
  bool crowded() const { return u64{size_} * 2 >= entries_.size(); }

  // Forgets every attribution that is not `live`, and grows if that does not help much.
  template <class Live>
  void sweep(Live&& live) {
    std::vector<Entry> kept;
    for (const Entry& entry : entries_) {
      if (entry.generation == generation_ && live(entry.attribution)) kept.push_back(entry);
    }
    rebuild(kept);
  }

 private:
  static constexpr u32 capacity_min = 256;

  struct Entry {
    Attribution attribution;
    u64 key = 0;  // Tag and kind.
    u32 generation = 0;
    u32 count = 0;
  };

  Entry& find(const Attribution& attribution, u64 key);
  void rebuild(const std::vector<Entry>& kept);

  std::vector<Entry> entries_;  // A power of two.
  u32 generation_ = 1;          // Entries of other generations are free.
  u32 size_ = 0;
};

}  // namespace tonearm::sim
