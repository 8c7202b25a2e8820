#include "sim/component/superblock_tap.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/disk/engine_code.h"

namespace tonearm::sim {

namespace {

constexpr u64 sector = 512;  // Of garbled and shorn: the least there is.
constexpr std::byte garbage{0x5a};

u32 slot_of(u64 offset) {
  ASSERT(offset % SuperblockTap::copy_size == 0);
  ASSERT(offset / SuperblockTap::copy_size < SuperblockTap::copies);
  return static_cast<u32>(offset / SuperblockTap::copy_size);
}

}  // namespace

void SuperblockTap::begin(const Plan& plan) {
  plan_ = plan;
  writes_seen_.clear();
  for (CopyBytes& bytes : delivered_) bytes.clear();
  readings_ = reads_fired_ = writes_fired_ = 0;
  slot_read_ = copies;
  read_given_ = nullptr;
  write_given_ = nullptr;
}

CopiesAsRead SuperblockTap::delivered() const {
  CopiesAsRead copies_read;
  for (u32 slot = 0; slot < copies; ++slot) copies_read[slot] = delivered_[slot];
  return copies_read;
}

CopiesAsRead SuperblockTap::delivered_before() const {
  CopiesAsRead copies_read;
  for (u32 slot = 0; slot < copies; ++slot) copies_read[slot] = delivered_before_[slot];
  return copies_read;
}

void SuperblockTap::read(Read& read) {
  const HarnessCode harness;
  ASSERT(read_given_ == nullptr && write_given_ == nullptr);
  ASSERT(read.zone == Zone::superblock && read.buffer.size() == copy_size);
  const u32 slot = slot_of(read.offset);
  Fault<ReadFault>& fault = plan_.reads[slot];
  read_given_ = &read;
  read_fault_ = ReadFault::none;
  if (slot == 0 && slot_read_ != 0) {  // Not one that is tried again.
    delivered_before_ = delivered_;
    ++readings_;
  }
  slot_read_ = slot;
  delivered_[slot].clear();
  u64 offset = read.offset;
  if (fault.times > 0 && fault.kind != ReadFault::none) {
    --fault.times;
    ++reads_fired_;
    read_fault_ = fault.kind;
    fault_other_ = fault.other;
    result_ = IoResult::failed;
    if (fault.kind == ReadFault::fails) return answer_later();
    if (fault.kind == ReadFault::other_copy) offset = u64{fault.other % copies} * copy_size;
  }
  read_ = Read{.buffer = read.buffer,
               .offset = offset,
               .zone = read.zone,
               .tag = read.tag,
               .done = Callback<Read&>::to<&SuperblockTap::read_done>(this)};
  disk_.read(read_);
}

void SuperblockTap::read_done(Read& read) {
  Read& given = *read_given_;
  read_given_ = nullptr;
  if (read_fault_ == ReadFault::garbled) {
    given.buffer[fault_other_ * sector % copy_size + fault_other_ % sector] ^= std::byte{1};
  }
  {
    const HarnessCode harness;
    CopyBytes& delivered = delivered_[slot_of(given.offset)];
    delivered.assign(given.buffer.begin(), given.buffer.end());
    if (read_fault_ == ReadFault::twin) {
      constexpr u64 content = disk_format::copy_state + disk_format::state_user_context;
      store(delivered, content, disk_format::load<u64>(delivered, content) + 1 + fault_other_);
      seal_copy(delivered, true);
      std::copy(delivered.begin(), delivered.end(), given.buffer.begin());
    }
  }
  given.result = read.result;
  given.done(given);
}

void SuperblockTap::write(Write& write) {
  const HarnessCode harness;
  ASSERT(read_given_ == nullptr && write_given_ == nullptr);
  ASSERT(write.buffer.size() == copy_size);
  const u32 slot = slot_of(write.offset);
  writes_seen_.push_back({.slot = slot,
                          .purpose = write.tag.purpose,
                          .superblock_zone = write.zone == Zone::superblock,
                          .on_completion = write.durability == Durability::on_completion,
                          .bytes = CopyBytes(write.buffer.begin(), write.buffer.end())});
  write_given_ = &write;
  result_ = IoResult::ok;
  Fault<WriteFault>& fault = plan_.writes[slot];
  if (fault.times == 0 || fault.kind == WriteFault::none) {
    return write_through(write, write.buffer, write.offset);
  }
  --fault.times;
  ++writes_fired_;
  switch (fault.kind) {
    case WriteFault::none: UNREACHABLE();
    case WriteFault::fails_old: result_ = IoResult::failed; return answer_later();
    case WriteFault::fails_new:
      result_ = IoResult::failed;
      return write_through(write, write.buffer, write.offset);
    case WriteFault::fails_garbage:
      result_ = IoResult::failed;
      bytes_.assign(copy_size, garbage);
      return write_through(write, bytes_, write.offset);
    case WriteFault::lost: return answer_later();
    case WriteFault::misdirected:
      return write_through(write, write.buffer, u64{fault.other % copies} * copy_size);
    case WriteFault::shorn: {
      const u64 unit = disk_.options().sector_size;
      const u64 length = (1 + fault.other % (copy_size / unit)) * unit;
      bytes_.assign(write.buffer.begin(), write.buffer.begin() + static_cast<std::ptrdiff_t>(length));
      return write_through(write, bytes_, write.offset);
    }
  }
  UNREACHABLE();
}

void SuperblockTap::write_through(const Write& write, std::span<const std::byte> bytes, u64 offset) {
  write_ = Write{.buffer = bytes,
                 .offset = offset,
                 .zone = write.zone,
                 .durability = write.durability,
                 .tag = write.tag,
                 .done = Callback<Write&>::to<&SuperblockTap::write_done>(this)};
  disk_.write(write_);
}

void SuperblockTap::write_done(Write&) {
  Write& given = *write_given_;
  write_given_ = nullptr;
  given.result = result_;
  given.done(given);
}

void SuperblockTap::answer_later() {
  tick_.done = Callback<NextTick&>::to<&SuperblockTap::answer>(this);
  disk_.next_tick(tick_);
}

void SuperblockTap::answer(NextTick&) {
  if (Read* given = read_given_) {
    read_given_ = nullptr;
    given->result = result_;
    return given->done(*given);
  }
  Write* given = write_given_;
  write_given_ = nullptr;
  given->result = result_;
  given->done(*given);
}

}  // namespace tonearm::sim
