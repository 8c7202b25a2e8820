// Workload `grid`: the block store over a disk whose reads and writes may fail, against what was written.
//
// The model is the blocks: which version each address holds and whether that is being written, written or
// released. Lines begin reads and writes and do not wait for them; each completion is judged by what the
// tap (grid_tap.h) did to the requests that were made for it:
//
//   a valid read    has the bytes that were written, where they were asked for
//   an invalid one  was given nothing else in as many attempts as there may be, and says what it saw last
//   without request it was served by a write in flight, by a read in flight of the same block, or by the
//                   cache, if that was allowed
//   a failed write  failed in as many attempts; a block written or read is in the cache, if it should be
//
// Half of the seeds have a mirror: each side has faults of its own, and a read that finds its block there
// only must write the first side again, as often as it takes. Visitors, of which a scrubber is one, are there
// beside the reads: they must wait, be let in and be refused as nobody's use of the block demands.
//
// The options that matter: read_iops, write_iops, read_attempts_max, cache_*, block_size, blocks_count, disk.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "sim/component/grid_component.h"

namespace tonearm::sim {

namespace {

constexpr u32 asked_max = 64;  // Reads at once; writes too.

}  // namespace

GridComponent::GridComponent(Referee& referee)
    : referee_(&referee),
      options_{.format = referee.options().format,
               .runtime = referee.options().runtime,
               .released_prior_max = referee.options().runtime.blocks_count},
      disk_(referee.pages(), referee.options().disk, &referee.trace()),
      first_(disk_, disk_),
      content_("grid content", stream_seed(referee.seed(), "grid content")),
      scratch_(pages()),
      another_(pages()) {
  if (referee.options().disk.mirror) options_.mirror = &mirror_.emplace(disk_, disk_.mirror());
  Arena measure;
  Grid::measure(measure, options_);
  Arena arena{poisoned_memory(referee, measure.used())};
  grid_.emplace(first_, arena, options_);
  grid_->set_cluster(grid_block_cluster);
  grid_->free_set().open_empty();
  grid_->allow_repairs(allowed_);
  each_side([this](GridTap& tap, GridSide side) {
    tap.on_write = [this, side](const Storage::Write& write) { judge_request(write, side); };
    tap.on_read = [this](const Storage::Read& read) { look_ahead(read); };
    tap.another = [this](u64 address) { return another_block(address); };
  });
}

void GridComponent::play(const Operation& line) {
  const std::string_view verb = line.verb->name;
  const auto& a = line.arguments;
  const auto side_of = [this](u64 number) {
    return mirrored() && number != 0 ? GridSide::mirror : GridSide::first;
  };
  const auto tap = [&](u64 number) -> GridTap& {
    return side_of(number) == GridSide::mirror ? *mirror_ : first_;
  };
  if (verb == "write") {
    write(a[0] + 1);
  } else if (verb == "read") {
    for (u64 i = 0; i <= a[1]; ++i) read(pick(a[0], i), a[2], 0);
  } else if (verb == "repeat") {
    read(pick(a[0], 0), a[2], a[1] + 1);
  } else if (verb == "alone") {
    alone(pick(a[0], 0), a[1]);
  } else if (verb == "stale") {
    stale(pick(a[0], 0), a[1]);
  } else if (verb == "cached") {
    for (u64 i = 0; i <= a[1]; ++i) cached(pick(a[0], i));
  } else if (verb == "release") {
    for (u64 i = 0; i <= a[1]; ++i) release(pick(a[0], i));
  } else if (verb == "free") {
    make_free();
  } else if (verb == "steps") {
    for (u64 i = 0; i <= a[0] && disk_.step(); ++i) raise();
  } else if (verb == "settle") {
    settle();
  } else if (verb == "visit") {
    const auto chosen = [&](u64 n) { return (a[2] & 2) == 0 ? pick(a[0], n) : pick_asked(a[0], n); };
    u64 begun = 0;
    while (begun <= a[1] && visit(chosen((a[2] & 1) == 0 ? begun : begun / 2))) ++begun;
    if (begun == 0) referee_->skip();
  } else if (verb == "mend") {
    u64 begun = 0;
    while (begun <= a[1] && mend(a[0], side_of(a[2]))) ++begun;
    if (begun == 0) referee_->skip();
  } else if (verb == "leave") {
    leave(a[0]);
  } else if (verb == "allow") {
    grid_->allow_repairs(allowed_ = a[0] != 0);
  } else if (verb == "rot") {
    for (u64 i = 0; i <= a[1]; ++i) {
      if (const u64 address = pick(a[0], i)) tap(a[2]).fault(address, ReadFault::header, 0, a[3]);
    }
  } else if (verb == "fault") {
    const auto kind = static_cast<ReadFault>(a[1] % read_fault_count);
    if (const u64 address = pick(a[0], 0)) tap(a[1] / read_fault_count).fault(address, kind, a[2], a[3]);
  } else if (verb == "fail_writes") {
    tap(a[1]).fail_writes(a[0]);
  } else {
    ASSERT(verb == "heal");
    each_side([](GridTap& side, GridSide) { side.heal(); });
  }
  compare_counts();
}

void GridComponent::finish() {
  settle();
  leave_all();
  each_side([](GridTap& side, GridSide) { side.heal(); });
  for (const auto& [address, block] : blocks_) {
    if (block.state != State::failed) read(address, address % 8, 0);
  }
  settle();
  compare_counts();
}

GridComponent::Pages GridComponent::pages() const {
  return Pages(div_ceil(u64{options_.format.block_size}, sizeof(Page)));
}

// The n-th known block from a place on; 0: there is none.
u64 GridComponent::pick(u64 place, u64 n) const {
  if (blocks_.empty()) return 0;
  return std::next(blocks_.begin(), static_cast<i64>((place + n) % blocks_.size()))->first;
}

// The same of those that somebody is waiting for.
u64 GridComponent::pick_asked(u64 place, u64 n) const {
  std::set<u64> addresses;
  for (const auto& asked : asked_) {
    if (used(*asked)) addresses.insert(asked->read.block.address);
  }
  if (addresses.empty()) return 0;
  return *std::next(addresses.begin(), static_cast<i64>((place + n) % addresses.size()));
}

// --- blocks

GridBlock GridComponent::make(u64 address, u64 version, std::byte* into) const {
  return make_grid_block(content_, address, version, {into, options_.format.block_size});
}

// Intact, and in another place than it should be.
const std::byte* GridComponent::another_block(u64 address) {
  for (const auto& [other, block] : blocks_) {
    if (other == address || block.state == State::failed) continue;
    make(other, block.version, bytes_of(another_));
    return bytes_of(another_);
  }
  return nullptr;
}

bool GridComponent::same(const std::byte* data, u64 address, u64 version) {
  const Block block = make(address, version, bytes_of(scratch_));
  return std::memcmp(data, bytes_of(scratch_), block.size) == 0;
}

// --- lines

void GridComponent::write(u64 count) {
  std::optional<Reservation> reservation = grid_->reserve(static_cast<u32>(count));
  if (!reservation) return referee_->skip();
  for (u64 i = 0; i < count; ++i) {
    const u64 address = grid_->acquire(*reservation);
    each_side([address](GridTap& side, GridSide) { side.heal(address); });
    Writing& one = take(writings_);
    const Block block = make(address, ++versions_, bytes_of(one.block));
    check(*referee_, blocks_.emplace(address, block).second, "acquire: a block that is in use",
          [&] { return fmt::format("block {}", address); });
    one.address = address;
    one.write = Grid::Write{.block = bytes_of(one.block),
                            .tag = write_tag(new_id()),
                            .done = Callback<Grid::Write&>::to<&Writing::done>(&one)};
    ++outstanding_;
    ++writes_begun_;
    grid_->write(one.write);
  }
  grid_->forfeit(*reservation);
}

void GridComponent::read(u64 address, u64 how, u64 repeats) {
  if (outstanding_ >= asked_max) settle();
  if (address == 0 || blocks_.at(address).state == State::failed) return referee_->skip();
  const Block& block = blocks_.at(address);
  for (u64 times = how >= 8 ? 2 : 1; times > 0; --times) {
    Asked& asked = take(asked_);
    asked.version = block.version;
    asked.repeats = repeats;
    asked.stale = false;
    begin(asked, reference(address, block), how);
  }
}

void GridComponent::begin(Asked& asked, const BlockReference& block, u64 how) {
  asked.writing = blocks_.at(block.address).state == State::writing;
  asked.mended = mending(block.address);
  asked.repair = Repair::none;
  asked.read = Grid::Read{.block = block,
                          .tag = read_tag(new_id()),
                          .cache_read = (how & 2) == 0,
                          .cache_write = (how & 4) == 0,
                          .buffer = (how & 1) == 0 ? nullptr : bytes_of(asked.buffer),
                          .done = Callback<Grid::Read&>::to<&Asked::done>(&asked)};
  asked.step = disk_.steps();
  ++outstanding_;
  grid_->read(asked.read);
}

// From within the callback, by the same node, in another way.
void GridComponent::again(Asked& asked) {
  if (asked.repeats == 0 || blocks_.at(asked.read.block.address).state == State::failed) {
    asked.version = 0;
    return;
  }
  --asked.repeats;
  const BlockReference block = asked.read.block;
  begin(asked, block, asked.repeats * 3 % 8);
}

void GridComponent::alone(u64 address, u64 how) {
  settle();
  if (address == 0 || blocks_.at(address).state == State::failed) return referee_->skip();
  const BlockReference block = reference(address, blocks_.at(address));
  const bool before = grid_->cached(block) != nullptr;
  const u64 requests = first_.reads_seen();
  how %= 8;
  read(address, how, 0);
  settle();
  const bool cached = before && (how & 2) == 0;
  const bool asked = first_.reads_seen() > requests;
  check(*referee_, asked != cached, "alone: from the cache or from the disk",
        [&] { return fmt::format("block {}: cached {}, how {}", address, before, how); });
  const bool after = grid_->cached(block) != nullptr;
  const bool inserted = (how & 4) == 0 && root_ == block && root_result_ == BlockResult::valid;
  check(*referee_, cached || after == (before || inserted), "alone: in the cache or not",
        [&] { return fmt::format("block {}: before {}, after {}, how {}", address, before, after, how); });
}

// A block that may be repaired has one reference: nothing else goes on meanwhile.
void GridComponent::stale(u64 address, u64 how) {
  if (outstanding_ >= asked_max || mirrored()) settle();
  const auto old = held_.find(address);
  if (old == held_.end()) return referee_->skip();
  const State state = blocks_.at(address).state;
  if (state == State::writing || state == State::failed) return referee_->skip();
  const bool known = grid_->cached({.address = address, .checksum = old->second}) != nullptr;
  check(*referee_, !known, "cached: what the address held before",
        [&] { return fmt::format("block {}", address); });
  Asked& asked = take(asked_);
  asked.version = u64_max;
  asked.repeats = 0;
  asked.stale = true;
  begin(asked, {.address = address, .checksum = old->second}, how);
  if (mirrored()) settle();
}

void GridComponent::cached(u64 address) {
  if (address == 0) return referee_->skip();
  const Block& block = blocks_.at(address);
  const std::byte* data = grid_->cached(reference(address, block));
  referee_->answer(address, data == nullptr ? 0 : 1);
  if (data == nullptr) return;
  const bool was_written = block.state == State::written || block.state == State::released;
  check(*referee_, was_written && same(data, address, block.version), "cached: other bytes",
        [&] { return fmt::format("block {}, which {} written", address, was_written ? "is" : "is not"); });
}

void GridComponent::release(u64 address) {
  if (address == 0) return referee_->skip();
  Block& block = blocks_.at(address);
  if (block.state != State::written) return;
  grid_->release(address);
  block.state = State::released;
}

void GridComponent::make_free() {
  settle();
  leave_all();
  for (auto& [address, block] : blocks_) {
    if (block.state != State::failed) continue;
    grid_->release(address);
    block.state = State::released;
  }
  grid_->free_set().mark_checkpoint_not_durable();
  grid_->free_set().mark_checkpoint_durable();
  std::erase_if(blocks_, [this](const auto& entry) {
    if (entry.second.state != State::released) return false;
    held_[entry.first] = entry.second.checksum;
    return true;
  });
}

void GridComponent::settle() {
  done_ = outstanding_ + mending_ == 0;
  referee_->pump(disk_, done_);
  raise();
  bool left = false;
  each_side([&left](GridTap& side, GridSide) {
    left |= side.reads_in_flight() + side.repairs_in_flight() + side.writing().size() > 0;
  });
  check(*referee_, !left, "requests are left", [] { return "all that was asked for is done"; });
}

void GridComponent::ended() {
  if (outstanding_ + mending_ == 0 || !problem_.empty()) done_ = true;
}

std::unique_ptr<Component> make_grid(Referee& referee) { return std::make_unique<GridComponent>(referee); }

}  // namespace tonearm::sim
