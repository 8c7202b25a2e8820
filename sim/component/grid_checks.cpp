// Workload `grid`: what must hold of its requests and answers.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/math.h"
#include "sim/component/grid_component.h"

namespace tonearm::sim {

// --- writes

// A request as the disk gets it.
void GridComponent::judge_request(const Storage::Write& write, GridSide side) {
  if (is_repair(write.tag.purpose)) return judge_repair(write, side);
  const bool mirror = side == GridSide::mirror;
  const u64 address = write.offset / options_.format.block_size + 1;
  const Block& block = blocks_.at(address);
  make(address, block.version, bytes_of(scratch_));
  const u64 size = round_up(u64{block.size}, u64{options_.format.sector_size});
  note(block.state == State::writing && write.zone == Zone::grid &&
           write.tag.purpose == (mirror ? IoPurpose::mirror_write : write_tag(write.tag.tree).purpose) &&
           write.durability == Durability::on_sync && write.buffer.size() == size &&
           write.offset % options_.format.block_size == 0 &&
           std::memcmp(write.buffer.data(), bytes_of(scratch_), size) == 0,
       "write: another request", [&] { return fmt::format("block {}, {} bytes", address, size); });
  const std::set<u64> writing = (mirror ? *mirror_ : first_).writing();
  note(writing.size() < options_.runtime.write_iops, "more writes at once than there may be",
       [&] { return fmt::format("{} already", writing.size()); });
}

// All of the block, while nobody else uses it: a crash may make garbage of this side.
void GridComponent::judge_repair(const Storage::Write& write, GridSide side) {
  const u64 size = options_.format.block_size;
  const u64 address = write.offset / size + 1;
  const Block& block = blocks_.at(address);
  make(address, block.version, bytes_of(scratch_));
  note((block.state == State::written || block.state == State::released) && write.zone == Zone::grid &&
           write.tag.purpose == (side == GridSide::mirror ? IoPurpose::mirror_repair : IoPurpose::repair) &&
           write.durability == Durability::on_completion && write.buffer.size() == size &&
           write.offset % size == 0 && std::memcmp(write.buffer.data(), bytes_of(scratch_), size) == 0,
       "repair: another request",
       [&] { return fmt::format("block {}, {} bytes", address, write.buffer.size()); });
  note(mirrored() && !first_.busy(address) && !mirror_->busy(address), "repair: of a block that is in use",
       [&] { return fmt::format("block {}", address); });
}

void GridComponent::write_done(Writing& one) {
  const HarnessCode harness;
  Block& block = blocks_.at(one.address);
  const u16 tag = one.write.tag.tree;
  bool expected = true;
  u64 failures = 0;
  each_side([&](GridTap& tap, GridSide) {
    const GridTap::Seen& seen = tap.seen(tag);
    const bool ok = seen.writes_failed < attempts_max();
    note(seen.writes == seen.writes_failed + (ok ? 1 : 0), "write: another number of attempts",
         [&] { return fmt::format("block {}: {} on one side", one.address, seen.writes); });
    retries_ += seen.writes_failed - (ok ? 0 : 1);
    failures += seen.writes_failed;
    expected &= ok;
  });
  const bool ok = one.write.result == IoResult::ok;
  block.state = ok ? State::written : State::failed;
  note(ok == expected, "write: another result", [&] {
    return fmt::format("block {}: {} after {} attempts that failed, of {} on each side", one.address,
                       ok ? "written" : "failed", failures, attempts_max());
  });
  const std::byte* data = grid_->cached(reference(one.address, block));
  note((data != nullptr) == ok, "write: in the cache or not",
       [&] { return fmt::format("block {}, written: {}", one.address, ok); });
  referee_->answer(one.address, ok ? 1 : 0);
  each_side([tag](GridTap& tap, GridSide) { tap.forget(tag); });
  one.address = 0;
  --outstanding_;
  ended();
}

// --- reads

// What a read from the mirror leads to is decided as it comes.
void GridComponent::look_ahead(const Storage::Read& read) {
  if (read.tag.purpose != IoPurpose::mirror_read) return;
  for (const auto& asked : asked_) {
    if (!used(*asked) || asked->read.tag.tree != read.tag.tree) continue;
    asked->repair = !allowed_                            ? Repair::none
                    : visited(asked->read.block.address) ? Repair::left
                                                         : Repair::due;
  }
}

void GridComponent::read_done(Asked& asked) {
  const HarnessCode harness;
  const Grid::Read& read = asked.read;
  const u64 address = read.block.address;
  const GridTap::Seen& seen = first_.seen(read.tag.tree);
  const What what = [&] {
    return fmt::format("block {} is {} ({} requests were made for it)", address,
                       block_result_name(read.result), seen.reads.size());
  };
  const bool valid = read.result == BlockResult::valid;
  if (!seen.reads.empty()) {
    judge_root(asked, what);
  } else {
    const bool joined = root_ == read.block && root_step_ == disk_.steps();
    note(valid || (joined && root_result_ == read.result), "read: an error of nothing", what);
    note(!valid || read.cache_read || asked.writing || asked.mended || joined,
         "read: out of the cache, which it may not", what);
    const bool cached = grid_->cached(read.block) != nullptr;
    note(!(valid && joined && read.cache_write) || cached, "read: joined, and not in the cache", what);
  }
  note(!(valid && asked.stale), "read: what the address held before", what);
  note((read.data != nullptr) == valid, "read: data without a block", what);
  if (valid && read.data != nullptr) {
    note(read.buffer == nullptr || read.data == read.buffer, "read: not into the buffer", what);
    note(same(read.data, address, asked.version), "read: other bytes", what);
  }
  referee_->answer(address, static_cast<u64>(read.result));
  each_side([tag = read.tag.tree](GridTap& tap, GridSide) { tap.forget(tag); });
  check_visits();
  // It is the reader's again: who joined its read must not be shown it.
  if (read.buffer != nullptr) std::memset(read.buffer, 0xee, sizeof(BlockHeader));
  again(asked);
  --outstanding_;
  ended();
}

// One for which requests were made.
void GridComponent::judge_root(Asked& asked, const What& what) {
  const Grid::Read& read = asked.read;
  const GridTap::Seen& first = first_.seen(read.tag.tree);
  ++roots_;
  retries_ += first.reads.size() - 1;
  root_ = read.block;
  root_result_ = read.result;
  root_step_ = disk_.steps();
  note(!asked.writing, "read: from the disk while it is written", what);
  BlockResult result = judge_attempts(asked, first.reads, what);
  const bool of_mirror = mirrored() && result != BlockResult::valid;
  if (mirrored()) {
    const std::vector<GridTap::Delivered>& mirror = mirror_->seen(read.tag.tree).reads;
    note(of_mirror != mirror.empty(), "read: from the mirror or not", what);
    if (!mirror.empty()) result = judge_attempts(asked, mirror, what);
    mirror_reads_ += mirror.empty() ? 0 : 1;
  }
  note(read.result == result, "read: another result", what);
  judge_read_repair(asked, of_mirror && result == BlockResult::valid, what);
  const bool valid = read.result == BlockResult::valid;
  if (!valid || !read.cache_write) return;
  const std::byte* data = grid_->cached(read.block);
  note(data != nullptr, "read: not in the cache", what);
}

// Of one side: what it comes to.
BlockResult GridComponent::judge_attempts(const Asked& asked,
                                          const std::vector<GridTap::Delivered>& delivered,
                                          const What& what) {
  for (std::size_t i = 0; i + 1 < delivered.size(); ++i) {
    note(delivered[i].seen(asked.stale) != BlockResult::valid, "read: again without need", what);
  }
  const BlockResult result = delivered.back().seen(asked.stale);
  note(delivered.size() <= attempts_max() &&
           (result == BlockResult::valid || delivered.size() == attempts_max()),
       "read: another number of attempts", what);
  return result;
}

void GridComponent::judge_read_repair(const Asked& asked, bool of_mirror, const What& what) {
  const GridTap::Seen& first = first_.seen(asked.read.tag.tree);
  const Repair repair = of_mirror ? asked.repair : Repair::none;
  repairs_left_ += repair == Repair::left ? 1 : 0;
  note((first.writes > 0) == (repair == Repair::due), "read: repaired or not", what);
  if (first.writes == 0) return;
  const bool ok = first.writes_failed < attempts_max();
  ++(ok ? repairs_ : repairs_failed_);
  note(first.writes == first.writes_failed + (ok ? 1 : 0), "repair: another number of attempts", what);
}

// --- after each line

void GridComponent::compare_counts() {
  check_visits();
  raise();
  const Grid::Counters counters = grid_->counters();
  check(*referee_, counters.writes == writes_begun_ && counters.reads_storage >= roots_,
        "another number of blocks", [&] {
          return fmt::format("{} written, expected {}; {} read, at least {}", counters.writes, writes_begun_,
                             counters.reads_storage, roots_);
        });
  compare_slots();
  check(*referee_, grid_->idle() == (outstanding_ == 0), "idle or not",
        [&] { return fmt::format("{} reads and writes are not done", outstanding_); });
  if (outstanding_ > 0) return;
  check(*referee_, counters.reads_storage == roots_ && counters.retries == retries_, "another count", [&] {
    return fmt::format("{} blocks read and {} retries, expected {} and {}", counters.reads_storage,
                       counters.retries, roots_, retries_);
  });
  check(*referee_,
        counters.reads_mirror == mirror_reads_ && counters.repairs == repairs_ &&
            counters.repairs_left == repairs_left_ && counters.repairs_failed == repairs_failed_,
        "another count of the mirror", [&] {
          return fmt::format("{} reads, {} repairs, {} left, {} failed; expected {}, {}, {}, {}",
                             counters.reads_mirror, counters.repairs, counters.repairs_left,
                             counters.repairs_failed, mirror_reads_, repairs_, repairs_left_,
                             repairs_failed_);
        });
}

// Nothing waits while a slot is idle. What was asked for two steps ago has begun: each of these blocks
// has one read, and perhaps others have.
void GridComponent::compare_slots() {
  const u64 writing = static_cast<u64>(
      std::count_if(writings_.begin(), writings_.end(), [](const auto& one) { return used(*one); }));
  std::set<u64> slots;
  u64 reads = 0;
  each_side([&](GridTap& tap, GridSide) {
    slots.merge(tap.writing());
    reads += tap.reads_in_flight() + tap.repairs_in_flight();
  });
  reads -= mending_;
  check(*referee_, slots.size() == std::min<u64>(options_.runtime.write_iops, writing),
        "another number of writes at once", [&] { return fmt::format("{} of {}", slots.size(), writing); });
  std::set<std::pair<u64, u128>> begun;
  for (const auto& asked : asked_) {
    if (!used(*asked) || asked->step + 2 > disk_.steps()) continue;
    begun.emplace(asked->read.block.address, asked->read.block.checksum);
  }
  const u64 iops = options_.runtime.read_iops;
  check(*referee_, reads <= iops && reads >= std::min(iops, u64{begun.size()}),
        "another number of reads at once",
        [&] { return fmt::format("{} of at least {}", reads, begun.size()); });
}

}  // namespace tonearm::sim
