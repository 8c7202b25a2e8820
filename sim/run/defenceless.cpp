#include "sim/run/defenceless.h"

#include <algorithm>
#include <cstring>

#include "sim/decode/superblock_copies.h"
#include "sim/disk/engine_code.h"

namespace tonearm::sim {

namespace f = disk_format;

template <class Node>
void Defenceless::wait(Waiting<Node>& waiting, const Node& node) {
  waiting.push_back({&node, node.done});
}

template <class Node>
Callback<Node&> Defenceless::take(Waiting<Node>& waiting, const Node& node) {
  const auto found =
      std::find_if(waiting.begin(), waiting.end(), [&node](const auto& each) { return each.first == &node; });
  ASSERT(found != waiting.end());
  const Callback<Node&> done = found->second;
  waiting.erase(found);
  return done;
}

Storage& Defenceless::over(SimStorage& disk) {
  disk_ = &disk;
  reads_.clear();
  writes_.clear();
  syncs_.clear();
  idle_reads_.clear();
  unawaited_.clear();
  idle_tick_.link.queued = false;
  checksum_forget(nullptr, nullptr);
  return *this;
}

void Defenceless::read(Read& read) {
  const HarnessCode harness;
  wait(reads_, read);
  read.done = Callback<Read&>::to<&Defenceless::read_done>(this);
  checksum_forget(read.buffer.data(), read.buffer.data() + read.buffer.size());
  disk_->read(read);
}

void Defenceless::write(Write& write) {
  const HarnessCode harness;
  if (!defences_.writes_awaited && write.zone == Zone::grid) return write_unawaited(write);
  wait(writes_, write);
  write.done = Callback<Write&>::to<&Defenceless::write_done>(this);
  if (write.zone == Zone::grid) written_[write.offset].assign(write.buffer.begin(), write.buffer.end());
  if (write.zone == Zone::superblock && !defences_.superblock_durability) {
    write.durability = Durability::on_sync;
  }
  disk_->write(write);
}

void Defenceless::sync(Sync& sync) {
  const HarnessCode harness;
  wait(syncs_, sync);
  sync.done = Callback<Sync&>::to<&Defenceless::sync_done>(this);
  disk_->sync(sync);
}

void Defenceless::read_done(Read& read) {
  Callback<Read&> done;
  {
    const HarnessCode harness;
    const bool failed = read.result == IoResult::failed;
    if (failed) failed_.insert(read.offset);
    const bool held_against = !defences_.place_forgiven && failed_.contains(read.offset) && !disk_->damage();
    if (held_against || (failed && !defences_.read_gives_up)) return disk_->read(read);
    if (defences_.idle_rounds > 0) {
      idle_reads_.push_back(&read);
      if (idle_reads_.size() > 1) return;
      idle_left_ = defences_.idle_rounds;
      idle_tick_.done = Callback<NextTick&>::to<&Defenceless::idle>(this);
      return disk_->next_tick(idle_tick_);
    }
    done = take(reads_, read);
    if (failed && !defences_.read_answered) return;
    read.done = done;
    if (!defences_.read_errors) read.result = IoResult::ok;
    forge(read);
  }
  done(read);
}

void Defenceless::idle(NextTick& next_tick) {
  if (--idle_left_ > 0) return disk_->next_tick(next_tick);
  const std::vector<Read*> reads = std::exchange(idle_reads_, {});
  for (Read* const read : reads) {
    read->done = take(reads_, *read);
    read->done(*read);
  }
}

void Defenceless::write_unawaited(Write& write) {
  auto unawaited = std::make_unique<Unawaited>();
  unawaited->bytes.assign(write.buffer.begin(), write.buffer.end());
  unawaited->caller = &write;
  unawaited->write = {.buffer = unawaited->bytes,
                      .offset = write.offset,
                      .zone = write.zone,
                      .durability = write.durability,
                      .tag = write.tag,
                      .done = Callback<Write&>::to<&Defenceless::unawaited_done>(this)};
  unawaited_.push_back(std::move(unawaited));
  disk_->write(unawaited_.back()->write);
}

// What was submitted before it is taken to be done as well.
void Defenceless::unawaited_done(Write& write) {
  std::vector<Write*> told;
  {
    const HarnessCode harness;
    u64 at = 0;
    while (&unawaited_[at]->write != &write) ++at;
    for (u64 i = 0; i <= at; ++i) {
      if (Write* const caller = std::exchange(unawaited_[i]->caller, nullptr)) told.push_back(caller);
    }
    unawaited_.erase(unawaited_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  for (Write* const caller : told) {
    caller->result = IoResult::ok;
    caller->done(*caller);
  }
}

void Defenceless::write_done(Write& write) {
  {
    const HarnessCode harness;
    write.done = take(writes_, write);
    if (!defences_.write_errors) write.result = IoResult::ok;
  }
  write.done(write);
}

void Defenceless::sync_done(Sync& sync) {
  {
    const HarnessCode harness;
    sync.done = take(syncs_, sync);
    if (!defences_.sync_errors) sync.result = IoResult::ok;
  }
  sync.done(sync);
}

void Defenceless::forge(Read& read) const {
  const std::span<std::byte> bytes = read.buffer;
  if (read.zone == Zone::superblock) {
    if (defences_.superblock_seals || copy_fault(bytes) == nullptr) return;
    CopyBytes copy(bytes.begin(), bytes.end());
    seal_copy(copy, true);
    std::copy(copy.begin(), copy.end(), bytes.begin());
    return;
  }
  const auto expected = written_.find(read.offset);
  if (defences_.block_checksums || expected == written_.end()) return;
  const std::vector<std::byte>& block = expected->second;
  const std::span<std::byte> there = bytes.first(block.size());
  if (std::equal(block.begin(), block.end(), there.begin())) return;
  std::memcpy(there.data(), block.data(), f::header_size);
  const u32 size = f::load<u32>(block, f::header_block_size);
  std::fill(there.begin() + size, there.end(), std::byte{0});
  checksum_forge(there.subspan(f::header_size, size - f::header_size),
                 f::load<u128>(block, f::header_body_checksum));
}

}  // namespace tonearm::sim
