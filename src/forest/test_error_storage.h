// For tests of the forest: requests of one purpose go wrong, all of them, on their way between engine and
// disk.
#pragma once

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "storage/storage.h"

namespace tonearm {

class ErrorStorage final : public Storage {
 public:
  enum class Way : u8 {
    fails,
    header,   // Reads bring a header that is damaged,
    body,     // a body that is,
    another,  // or what was written last, or before that, to another place.
  };

  explicit ErrorStorage(Storage& below) : below_(&below) {}
  ErrorStorage(const ErrorStorage&) = delete;

  void strike(IoPurpose purpose, Way way) {
    purpose_ = purpose;
    way_ = way;
    struck_ = 0;
  }
  void stop() { purpose_.reset(); }
  void crash() { reads_.clear(), writes_.clear(), syncs_.clear(); }
  u32 struck() const { return struck_; }  // Since strike().

  void read(Read& read) override { below_->read(take_over<&ErrorStorage::read_done>(reads_, read)); }
  void write(Write& write) override { below_->write(take_over<&ErrorStorage::write_done>(writes_, write)); }
  void sync(Sync& sync) override { below_->sync(take_over<&ErrorStorage::sync_done>(syncs_, sync)); }
  void next_tick(NextTick& next_tick) override { below_->next_tick(next_tick); }

 private:
  template <class Node>
  using Waiting = std::vector<std::pair<const Node*, Callback<Node&>>>;

  template <auto Done, class Node>
  Node& take_over(Waiting<Node>& waiting, Node& node) {
    waiting.push_back({&node, node.done});
    node.done = Callback<Node&>::template to<Done>(this);
    return node;
  }
  template <class Node>
  void give_back(Waiting<Node>& waiting, Node& node) {
    std::size_t at = 0;
    while (waiting[at].first != &node) ASSERT(++at < waiting.size());
    node.done = waiting[at].second;
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(at));
  }
  bool strikes(IoTag tag) {
    if (purpose_ != tag.purpose) return false;
    ++struck_;
    return true;
  }

  void read_done(Read& read) {
    give_back(reads_, read);
    if (strikes(read.tag)) damage(read);
    read.done(read);
  }
  void damage(Read& read) {
    constexpr u64 in_header = 130;
    constexpr u64 in_body = 260;
    switch (way_) {
      case Way::fails:
        read.result = IoResult::failed;
        std::memset(read.buffer.data(), 0xdd, read.buffer.size());
        return;
      case Way::header: read.buffer[in_header] ^= std::byte{1}; return;
      case Way::body: read.buffer[in_body] ^= std::byte{1}; return;
      case Way::another: {
        const Written& other = written_[written_[0].offset == read.offset ? 1 : 0];
        ASSERT(other.bytes.size() >= 512 && other.bytes.size() <= read.buffer.size());
        std::memcpy(read.buffer.data(), other.bytes.data(), other.bytes.size());
        return;
      }
    }
  }
  void write_done(Write& write) {
    give_back(writes_, write);
    if (write.zone == Zone::grid && written_[0].offset != write.offset) {
      written_[1] = written_[0];
      written_[0] = {.offset = write.offset, .bytes = {write.buffer.begin(), write.buffer.end()}};
    }
    if (strikes(write.tag)) write.result = IoResult::failed;
    write.done(write);
  }
  void sync_done(Sync& sync) {
    give_back(syncs_, sync);
    if (strikes(sync.tag)) sync.result = IoResult::failed;
    sync.done(sync);
  }

  Storage* below_;
  std::optional<IoPurpose> purpose_;
  Way way_ = Way::fails;
  u32 struck_ = 0;
  struct Written {
    u64 offset = ~u64{0};
    std::vector<std::byte> bytes;
  };
  Written written_[2];  // The latest two places of the grid.
  Waiting<Read> reads_;
  Waiting<Write> writes_;
  Waiting<Sync> syncs_;
};

}  // namespace tonearm
