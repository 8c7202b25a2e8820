// The second side of the grid: what is true of a block that lies on two, and what repairs may write.
//
// Each side has its own truth. They differ in one way only: a crash may make garbage of the side that was
// being written again, legally, and then the other one has the block. Everything that is decoded is decoded
// from the first side, made whole with what the mirror has of such blocks.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/decode/disk_format.h"
#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

bool repairs(IoTag tag) {
  return tag.purpose == IoPurpose::repair || tag.purpose == IoPurpose::mirror_repair;
}

}  // namespace

bool Player::lost(u64 address, u64 size) const {
  return disk_->damaged(address, size) && (!mirrored() || disk_->damaged(address, size, true));
}

bool Player::damaged_somewhere(u64 address, u64 size) const {
  return disk_->damaged(address, size) || (mirrored() && disk_->damaged(address, size, true));
}

BlockTruth Player::truth_on(u64 address, bool mirror) const {
  return block_truth(disk_->truth(), disk_->offset_of(address, mirror), options_.format.block_size);
}

void Player::watch_blocks() {
  if (options_.scrub == 0 && !mirrored()) return;
  disk_->set_block_listener(this,
                            [](void* context, RequestKind kind, IoTag tag, u64 address, IoResult result) {
                              Player& self = *static_cast<Player*>(context);
                              const bool write = kind == RequestKind::write;
                              self.watch_->settle();
                              if (tag.purpose == IoPurpose::scrub) self.scrub_read(address);
                              // What reads bring is not looked at where nothing can be wrong with it.
                              if (write || !self.deliveries_)
                                self.watched(tag, address, result == IoResult::ok);
                              if (!write) return self.block_read(tag, address);
                              if (!repairs(tag)) set_bit(&self.tour_written_, address);
                              self.block_written(tag, address, result);
                            });
  disk_->set_submit_listener(this, [](void* context, IoTag tag, u64 address) {
    Player& self = *static_cast<Player*>(context);
    if (RepairWatch::concerns(tag))
      self.watch_->submitted(tag, address, self.host_->forest().checkpoint_id());
  });
}

// A request is over of somebody who repairs, or would have to. What the engine knows now it decides by.
void Player::watched(IoTag tag, u64 address, bool valid, bool known) {
  if (!RepairWatch::concerns(tag)) return;
  const Forest& forest = host_->forest();
  const FreeSet& free_set = forest.grid().free_set();
  const bool up = forest.opened() && !forest.error();
  // What a sync that failed has lost is lost in truth, too.
  known = known && !forest.error() && disk_->fault_count(FaultKind::failed_sync) == watch_->failed_syncs();
  std::array<std::byte, PageStore::unit_size> header;
  disk_->truth().read(disk_->offset_of(address, half_repaired_.contains(address)), header);
  watch_->completed(tag, address,
                    {.known = known,
                     .valid = valid,
                     .released = forest.opened() && free_set.is_released(address),
                     .trailer = f::load<u8>(header, f::header_type) == f::type_free_set,
                     .checkpoint = forest.checkpoint_id(),
                     .allowed = up && !free_set.is_free(address),
                     .reading = forest.grid().reading(address)});
}

// `clean`: neither the place nor what was delivered of it is other than in truth.
void Player::watched_read(u64 address, const Storage::Read& read, bool clean) {
  if (!RepairWatch::concerns(read.tag)) return;
  if (clean && !half_repaired_.contains(address)) return watched(read.tag, address, true);
  const bool intact = truth_on(address, false).intact || (mirrored() && truth_on(address, true).intact);
  const bool valid = read.result == IoResult::ok && repairs_truly(address, read.buffer);
  watched(read.tag, address, valid, intact && !predicted_older_);
}

// Between the calls.
void Player::judge_watch() {
  if (!watch_ || !host_) return;
  const std::string complaint =
      watch_->complaint(host_->scrubber().counters(), host_->forest().grid().counters());
  for (const u64 address : watch_->take_left()) set_bit(&tour_left_, address);
  result_.counters.visits_unwatched += watch_->take_unwatched();
  ++result_.counters.checks;
  if (complaint.empty() || !config_->oracles.has(Oracle::structure)) return;
  fail(FailureClass::oracle, "scrub or mirror: not what a damaged side calls for", complaint);
}

// Before the disk has it: afterwards it would be the truth.
void Player::watch_mirror() {
  if (!mirrored()) return;
  disk_->set_repair_listener(this, [](void* context, u64 address, const Storage::Write& write) {
    Player& self = *static_cast<Player*>(context);
    const bool mirror = write.tag.purpose == IoPurpose::mirror_repair;
    const bool needed = self.disk_->damaged(address, self.options_.format.block_size, mirror);
    if (needed) self.cured_.push_back({.address = address, .mirror = mirror});
    return self.repairs_truly(address, write.buffer);
  });
}

// Of several lookups at once one may end in an error, and the next one repair the block.
bool Player::cured_now(u64 address, bool mirror) const {
  return std::any_of(cured_.begin(), cured_.end(),
                     [&](const CuredSide& each) { return each.address == address && each.mirror == mirror; });
}

bool Player::repairs_truly(u64 address, std::span<const std::byte> written) const {
  std::vector<std::byte> truth(options_.format.block_size);
  for (u32 side = 0; side < (mirrored() ? 2 : 1); ++side) {
    const bool mirror = side == 1;
    const BlockTruth block = truth_on(address, mirror);
    if (!block.intact || written.size() < block.written) continue;
    disk_->truth().read(disk_->offset_of(address, mirror), truth);
    if (std::equal(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(block.written),
                   written.begin()))
      return true;
  }
  return false;
}

// Each read begins on the first side, and turns once; what follows on the mirror tries again.
void Player::block_read(IoTag tag, u64 address) {
  if (!mirrored() || tag.purpose == IoPurpose::scrub || tag.purpose == IoPurpose::mirror_scrub) return;
  if (tag.purpose != IoPurpose::mirror_read) {
    turned_last_.erase(address);
  } else if (turned_last_.insert(address).second) {
    ++turned_;
  }
}

void Player::block_written(IoTag tag, u64 address, IoResult result) {
  if (result != IoResult::ok) return;
  half_repaired_.erase(address);
  if (!repairs(tag)) return;
  ++repairs_seen_;
  set_bit(&tour_repaired_, address);
  ++(tag.purpose == IoPurpose::repair ? result_.counters.repairs : result_.counters.repairs_mirror);
}

// Before the engine goes: what it says to have written again is what the disk was given, and no crash can
// take it away any more.
void Player::check_repairs() {
  judge_watch();
  if (!mirrored() || !host_) return;
  for (const MediumWrite& write : disk_->undurable()) {
    if (!repairs(write.tag) || !write.completed || !config_->oracles.has(Oracle::legal)) continue;
    fail(FailureClass::crash_legal, "mirror: a repair that a crash can undo",
         fmt::format("block {} was written again and is said to be repaired, before it is durable",
                     disk_->address_at(write.offset)));
  }
  const Scrubber::Counters& scrubber = host_->scrubber().counters();
  const Grid& grid = host_->forest().grid();
  const u64 turned = grid.counters().reads_mirror;
  ++result_.counters.checks;
  const bool counted = turned >= turned_ && turned <= turned_ + grid.reads_in_flight();
  if (!counted && config_->oracles.has(Oracle::structure)) {
    fail(FailureClass::oracle, "mirror: reads that were not made",
         fmt::format("the engine says that it has read {} blocks from the mirror; it was asked for {}",
                     turned, turned_));
  }
  const u64 said = grid.counters().repairs + scrubber.repaired + scrubber.repaired_mirror;
  const u64 seen = std::exchange(repairs_seen_, 0);
  ++result_.counters.checks;
  if (said == seen || !config_->oracles.has(Oracle::structure)) return;
  fail(FailureClass::oracle, "mirror: repairs that were not written",
       fmt::format("the engine says that it has repaired {} blocks, and {} were written", said, seen));
}

// Opening may answer from the mirror, and leaves the blocks as they are.
void Player::judge_open_repairs() {
  if (repairs_seen_ == 0 || !config_->oracles.has(Oracle::legal)) return;
  fail(FailureClass::crash_legal, "open: a block was repaired",
       fmt::format("opening has written {} blocks again", repairs_seen_));
}

// The crash that follows decides them.
void Player::note_half_repaired() {
  if (!mirrored()) return;
  for (const MediumWrite& write : disk_->undurable()) {
    if (repairs(write.tag)) half_repaired_.insert(disk_->address_at(write.offset));
  }
}

// Valid until the next call.
const Image& Player::whole(const Image& image) {
  if (half_repaired_.empty()) return image;
  const u32 size = options_.format.block_size;
  whole_ = image;
  std::vector<std::byte> block(size);
  for (const u64 address : half_repaired_) {
    if (block_truth(image, disk_->offset_of(address), size).intact) continue;
    image.read(disk_->offset_of(address, true), block);
    whole_->write(disk_->offset_of(address), block);
  }
  return *whole_;
}

// Whatever the durable checkpoint reaches is the same on both sides, durably.
void Player::check_sides() {
  if (!mirrored() || !config_->oracles.has(Oracle::structure)) return;
  if (decoded_.outcome != DecodeOutcome::ok) return;
  const u64 before = sides_.compared();
  const DecodedBlock* const unlike =
      sides_.first_unlike(disk_->truth_durable(), decoded_, disk_->side_distance(), half_repaired_);
  result_.counters.checks += sides_.compared() - before;
  result_.counters.sides_compared += sides_.compared() - before;
  if (unlike == nullptr) return;
  fail(FailureClass::structure, fmt::format("the sides of a {} block differ", block_use_name(unlike->use)),
       fmt::format("checkpoint {} reaches {} block {}, and its mirror holds something else", decoded_.op,
                   block_use_name(unlike->use), unlike->ref.address));
}

// What the first side does not give the mirror has: a verification finds nothing. Some blocks are damaged
// there, and reads of others fail for good.
void Player::verify_one_side(u64 random) {
  Shadow shadow(world_, whole(disk_->truth_durable()), options_, memory_->shadow,
                config_->oracles.has(Oracle::resource), config_->poison, true);
  if (const Error error = shadow.host().open()) alarm(error, "shadow open", "nothing is damaged");
  std::set<u64> damaged;
  for (u64 n = 0; n < 3; ++n) {
    const u64 drawn = remix(random, n);
    const u64 address = decoded_.blocks[below(drawn, decoded_.blocks.size())].ref.address;
    if (!damaged.insert(address).second) continue;
    shadow.flip(address, below(remix(drawn, 1), f::header_size), static_cast<u32>(below(remix(drawn, 2), 8)));
  }
  DiskOptions disk = shadow.host().disk().options();
  disk.faults[FaultKind::read_error] = {.ratio = {.numerator = 1, .denominator = 4},
                                        .zone = FaultZone::first};
  disk.faults.times_max = 2 * options_.runtime.read_attempts_max;
  shadow.host().disk().reconfigure(disk);
  shadow.host().disk().set_attribution(aside("one side", random));
  ++result_.counters.damages_shown;
  verify_intact(shadow);
}

// Damaged otherwise on each side: what is wrong with the first one is said.
void Player::verify_both_sides(u64 random) {
  const DecodedBlock& block = decoded_.blocks[below(random, decoded_.blocks.size())];
  Shadow shadow(world_, whole(disk_->truth_durable()), options_, memory_->shadow,
                config_->oracles.has(Oracle::resource), config_->poison, true);
  if (const Error error = shadow.host().open()) alarm(error, "shadow open", "nothing is damaged");
  scrub_intact(shadow);
  const bool header_first = below(remix(random, 1), 2) == 0;
  for (const bool mirror : {false, true}) {
    const u64 byte = header_first != mirror ? below(remix(random, 2), f::header_size) : f::header_size;
    shadow.flip(block.ref.address, byte, static_cast<u32>(below(remix(random, 3), 8)), mirror);
  }
  shadow.host().scrub_tour(remix(random, 4));
  ++result_.counters.damages_shown;
  ++result_.counters.checks;
  const std::span<const Scrubber::Damage> damages = shadow.host().scrubber().damages();
  const std::string_view reason = header_first ? "invalid_checksum" : "invalid_checksum_body";
  if (damages.size() == 1 && damages[0].block.address == block.ref.address && damages[0].reason == reason)
    return;
  fail(FailureClass::oracle, "scrub: a block damaged on both sides",
       fmt::format(
           "the first side of {} block {} is damaged ({}), and the mirror; a scrub tour found {} damaged "
           "blocks, first {} ({})",
           block_use_name(block.use), block.ref.address, reason, damages.size(),
           damages.empty() ? 0 : damages[0].block.address, damages.empty() ? "" : damages[0].reason));
}

}  // namespace tonearm::sim
