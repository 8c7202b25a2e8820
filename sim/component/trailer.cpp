// Workload `trailer`: chains of blocks that keep a string of bytes, over a grid and a simulated disk.
//
//   write, edge          the blocks on the disk, read without the engine, have the bytes; the lowest free
//                        blocks are taken; of writes that fail one that did is named
//   open, crash          what was synced last comes back, whatever was being written
//   damage, unreadable   the block that is met first from the end is named
//   forge, refer         blocks and references that no engine writes: walk() says from the bytes on the disk
//                        what an open must end in
//
// The options that matter: block_size, sector_size, blocks_count, read_attempts_max, disk.
#include <fmt/format.h>

#include <algorithm>

#include "sim/component/support.h"
#include "sim/component/trailer_component.h"
#include "sim/decode/disk_format.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

constexpr u128 cluster = u128{0x51d0c7} << 64 | 0xba11ad;
constexpr u64 chain_max = 24;  // Blocks.

}  // namespace

TrailerComponent::TrailerComponent(Referee& referee)
    : DiskComponent(referee),
      tap_(disk_, disk_),
      content_("trailer content", stream_seed(referee.seed(), "trailer content")) {
  const RunOptions& options = referee.options();
  grid_options_ = {
      .format = options.format, .runtime = options.runtime, .released_prior_max = options.disk.blocks_count};
  grid_options_.runtime.blocks_count = options.disk.blocks_count;
  const u64 blocks = 1 + below(content_.at(0), chain_max);
  size_max_ = blocks * chunk() - below(content_.at(0, 1), chunk());
  file_.format.sector_size = options.format.sector_size;
  file_.format.block_size = options.format.block_size;
  file_.cluster = cluster;
  saved_.checksum = f::checksum({});
  tap_.on_write = [this](const Storage::Write& write) {
    submitted_.push_back(write.offset / referee_->options().format.block_size + 1);
  };
  tap_.on_read = [](const Storage::Read&) {};
}

u64 TrailerComponent::chunk() const { return referee_->options().format.block_size - f::header_size; }

// --- the process

void TrailerComponent::start() {
  drop();
  Arena measure;
  Grid::measure(measure, grid_options_);
  CheckpointTrailer::measure(measure, size_max_, grid_options_.format.block_size);
  Arena arena{poisoned_memory(*referee_, measure.used())};
  grid_.emplace(tap_, arena, grid_options_);
  grid_->set_cluster(cluster);
  trailer_.emplace(*grid_, arena, size_max_);
}

// Whoever opens a trailer does not know yet which blocks are free.
void TrailerComponent::open_free_set() {
  if (grid_->free_set().opened()) return;
  if (acquired_.empty()) return grid_->free_set().open_empty();
  const bool opened = grid_->free_set().open(acquired_, released_, {}) == FreeSet::OpenResult::opened;
  require(opened, "the free set does not open", [] { return "its own encoding is refused"; });
  grid_->free_set().mark_checkpoint_durable();
}

void TrailerComponent::drop() {
  trailer_.reset();
  grid_.reset();
}

// --- writing

TrailerComponent::Bytes TrailerComponent::content(u64 size, u64 kind) const {
  Bytes bytes(size, kind == 2 ? std::byte{0xff} : std::byte{0});
  if (kind == 3) {
    std::copy_n(payload_.begin(), std::min(size, payload_.size()), bytes.begin());
  } else if (kind == 0) {
    for (u64 at = 0; at < size; at += sizeof(u64)) {
      const u64 word = content_.at(line_.number, line_.child, at + 1);
      std::memcpy(bytes.data() + at, &word, std::min<u64>(sizeof(u64), size - at));
    }
  }
  return bytes;
}

void TrailerComponent::write(u64 size, u64 kind, u64 fails) {
  if (!ensure_open()) return;
  open_free_set();
  const Bytes payload = content(size, kind);
  const u64 count = (size + chunk() - 1) / chunk();
  std::vector<u64> free;
  for (u64 address = 1; address <= blocks_count() && free.size() < std::max<u64>(1, count); ++address) {
    if (grid_->free_set().is_free(address)) free.push_back(address);
  }
  if (free.size() < std::max<u64>(1, count)) return referee_->skip();
  free.resize(count);
  std::copy(payload.begin(), payload.end(), trailer_->payload().begin());
  const u32 blocks = CheckpointTrailer::blocks_for(size, grid_options_.format.block_size);
  require(blocks == count, "another number of blocks",
          [&] { return fmt::format("{} for {} bytes, expected {}", blocks, size, count); });
  std::optional<Reservation> reservation = grid_->reserve(std::max(1U, blocks));
  require(reservation.has_value(), "a reservation is refused", [] { return "and blocks are free"; });
  submitted_.clear();
  tap_.fail_writes(fails);
  trailer_->write(size, *reservation, callback());
  const bool ended = wait("write");
  tap_.fail_writes(0);
  if (!ended) return;
  grid_->forfeit(*reservation);
  if (trailer_->error()) return judge_failed(fails);
  require(submitted_.size() == blocks + std::min(fails, submitted_.size()), "another number of writes", [&] {
    return fmt::format("{} for {} blocks, of which {} were to fail", submitted_.size(), blocks, fails);
  });
  compare_written(payload, free);
  if (!sync()) return;
  save(payload);
}

// The first `fails` writes have failed: one of the blocks must have used up its attempts with them.
void TrailerComponent::judge_failed(u64 fails) {
  const Error error = trailer_->error();
  const auto end = submitted_.begin() + static_cast<std::ptrdiff_t>(std::min(fails, submitted_.size()));
  const u64 failed = static_cast<u64>(std::count(submitted_.begin(), end, error.address));
  referee_->answer(static_cast<u64>(error.kind), error.address);
  require(error.kind == ErrorKind::write_failed && failed == grid_options_.runtime.read_attempts_max,
          FailureClass::false_alarm, "a write fails", [&] {
            return fmt::format("{} of block {}: {} of its writes have failed", error_name(error.kind),
                               error.address, failed);
          });
  require(trailer_->addresses().empty(), "a failed trailer has blocks", [] { return "addresses"; });
  ++referee_->counters().unanswered;
  crash();
}

// Not yet durable, and there all the same.
void TrailerComponent::compare_written(const Bytes& payload, const std::vector<u64>& addresses) {
  const TrailerReference& made = trailer_->reference();
  const Reference reference{.last = {.address = made.last.address, .checksum = made.last.checksum},
                            .size = made.size,
                            .checksum = made.checksum};
  referee_->answer(made.last.address, static_cast<u64>(made.checksum));
  require(made.size == payload.size() && made.checksum == f::checksum(payload), "another reference",
          [&] { return fmt::format("of {} bytes, expected {}", made.size, payload.size()); });
  const std::span<const u64> taken = trailer_->addresses();
  require(std::equal(taken.begin(), taken.end(), addresses.begin(), addresses.end()), "other blocks",
          [&] { return fmt::format("{} blocks, expected the {} lowest", taken.size(), addresses.size()); });
  const Expected there = walk(reference);
  ++referee_->counters().structure_checks;
  require(there.kind == ErrorKind::none && there.payload == payload, FailureClass::structure,
          "the chain on the disk is broken",
          [&] { return fmt::format("{} of block {}", error_name(there.kind), there.block.address); });
  for (u32 i = 0; i < there.blocks.size(); ++i) {
    const BlockReference block = trailer_->block_reference(i);
    require(block.address == there.blocks[i].address && block.checksum == there.blocks[i].checksum &&
                block.address == addresses[i],
            "a block of the chain is elsewhere", [&] {
              return fmt::format("block {} of {}: {}, expected {}", i, there.blocks.size(), block.address,
                                 addresses[i]);
            });
  }
}

void TrailerComponent::save(const Bytes& payload) {
  FreeSet& free_set = grid_->free_set();
  for (const BlockRef& block : blocks_) grid_->release(block.address);
  const TrailerReference& made = trailer_->reference();
  saved_ = {.last = {.address = made.last.address, .checksum = made.last.checksum},
            .size = made.size,
            .checksum = made.checksum};
  payload_ = payload;
  blocks_ = walk(saved_).blocks;
  acquired_.resize(FreeSet::encode_size_max(blocks_count()));
  acquired_.resize(free_set.encode_acquired(acquired_));
  released_.resize(FreeSet::encode_size_max(blocks_count()));
  released_.resize(free_set.encode_released(released_));
  protect(true);
  free_set.mark_checkpoint_not_durable();
  free_set.mark_checkpoint_durable();
  ++referee_->counters().checkpoints;
}

// The disk asserts that nobody writes to these.
void TrailerComponent::protect(bool on) {
  std::vector<u64> words(on ? blocks_count() / 64 : 0);
  for (const BlockRef& block : blocks_) {
    if (on) words[(block.address - 1) / 64] |= u64{1} << (block.address - 1) % 64;
  }
  disk_.protect(words);
}

// --- lines

void TrailerComponent::play(const Operation& line) {
  const std::string_view verb = line.verb->name;
  const auto& a = line.arguments;
  line_ = line.id;
  if (verb == "write") {
    write(a[0] % (size_max_ + 1), a[1], a[2]);
  } else if (verb == "edge") {
    const u64 size = a[0] % (chain_max + 1) * chunk() + a[1];
    write(std::min(std::max<u64>(size, 1) - 1, size_max_), a[2], 0);
  } else if (verb == "open") {
    crash();
    open_saved();
  } else if (verb == "crash") {
    arm_crash(a[0]);
  } else if (verb == "damage") {
    damage(a[0], a[1], a[2]);
  } else if (verb == "unreadable") {
    unreadable(a[0], a[1], a[2], a[3]);
  } else if (verb == "forge") {
    forge(a[0], a[1], a[2]);
  } else {
    ASSERT(verb == "refer");
    refer(a[0], a[1]);
  }
}

void TrailerComponent::finish() {
  disarm_crash();
  crash();
  open_saved();
}

std::unique_ptr<Component> make_trailer(Referee& referee) {
  return std::make_unique<TrailerComponent>(referee);
}

}  // namespace tonearm::sim
