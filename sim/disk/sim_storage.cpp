#include "sim/disk/sim_storage.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/math.h"
#include "sim/disk/engine_code.h"
#include "storage/superblock.h"

namespace tonearm::sim {

namespace {

constexpr u64 stall_factor = 100;
constexpr u64 operations_per_change_point = 64;

// A slow episode: the operations of one period, and of each the first requests with the same tag.
constexpr u64 operations_per_episode = 8;
constexpr u32 episode_requests_max = 64;
constexpr u32 episode_factor_bits_max = 7;  // From twice to 128 times as long.
// Salts of the draws that share a latency value.
constexpr u64 salt_exponential = 1;
constexpr u64 salt_stall = 2;

u64 image_size(const DiskOptions& options) {
  const u64 sides = options.mirror ? 2 : 1;
  return round_up(superblock_zone_size, options.block_size) +
         sides * options.blocks_count * options.block_size;
}

u64 latency_seed(const DiskOptions& options) {
  return options.seed_latency != 0 ? options.seed_latency : stream_seed(options.seed, "latency");
}

u64 poison_seed(const DiskOptions& options) {
  return options.seed_poison != 0 ? options.seed_poison : stream_seed(options.seed, "poison");
}

Stream timing(const char* name, const DiskOptions& options) {
  return {name, stream_seed(latency_seed(options), name)};
}

Stream faults(const char* name, const DiskOptions& options) {
  return {name, stream_seed(options.seed, name)};
}

}  // namespace

const char* completion_policy_name(CompletionPolicy policy) {
  switch (policy) {
    case CompletionPolicy::latency: return "latency";
    case CompletionPolicy::fifo: return "fifo";
    case CompletionPolicy::lifo: return "lifo";
    case CompletionPolicy::uniform: return "uniform";
    case CompletionPolicy::starve: return "starve";
    case CompletionPolicy::priority: return "priority";
  }
  UNREACHABLE();
}

SimStorage::Streams::Streams(const DiskOptions& options)
    : latency{timing("latency.read", options), timing("latency.write", options),
              timing("latency.sync", options)},
      tie{timing("tie.read", options), timing("tie.write", options), timing("tie.sync", options)},
      slow(timing("slow", options)),
      priority(timing("priority", options)),
      failed_sync_outcome(faults("failed_sync.outcome", options)),
      crash_mode(faults("crash.mode", options)),
      crash_outcome(faults("crash.outcome", options)) {}

SimStorage::SimStorage(PageStore& pages, const DiskOptions& options, Trace* trace)
    : SimStorage(Image(pages, image_size(options), options.sector_size, poison_seed(options),
                       options.poison_recycled),
                 options, trace) {}

SimStorage::SimStorage(const Image& image, const DiskOptions& options, Trace* trace)
    : options_(options),
      streams_(options),
      trace_(trace),
      grid_offset_(round_up(superblock_zone_size, options.block_size)),
      mirror_offset_(options.mirror ? grid_offset_ + options.blocks_count * options.block_size : u64_max),
      medium_(image, options.profile, options.tear_unit),
      plan_(options) {
  ASSERT(std::has_single_bit(options.sector_size));
  ASSERT(options.sector_size == image.sector_size());
  ASSERT(superblock_copy_size % options.sector_size == 0);
  ASSERT(options.block_size % options.sector_size == 0);
  ASSERT(options.queue_depth >= 1);
  ASSERT(image.size() <= image_size(options));
  if (image.size() < image_size(options)) medium_.grow(image_size(options));
  maybe_faulty();
}

void SimStorage::reconfigure(const DiskOptions& options) {
  ASSERT(options.sector_size == options_.sector_size);
  ASSERT(options.block_size == options_.block_size);
  ASSERT(options.blocks_count >= options_.blocks_count);
  ASSERT(options.mirror == options_.mirror);
  ASSERT(!options.mirror || options.blocks_count == options_.blocks_count);
  ASSERT(options.profile == options_.profile);
  ASSERT(options.tear_unit == options_.tear_unit);
  ASSERT(options.queue_depth >= 1);
  ASSERT(poison_seed(options) == poison_seed(options_));
  if (options.blocks_count > options_.blocks_count) {
    medium_.grow(image_size(options));
    if (faulty_) faulty_->grow(image_size(options));
  }
  options_ = options;
  streams_ = Streams(options);
  plan_.reconfigure(options);
  maybe_faulty();
}

u64 SimStorage::end_of(Zone zone) const {
  return zone == Zone::superblock ? superblock_zone_size
                                  : grid_offset_ + options_.blocks_count * options_.block_size;
}

u64 SimStorage::begin_of(Zone zone, u64 offset, u64 length, bool mirror) const {
  ASSERT(!mirror || zone == Zone::grid);
  const u64 zone_begin = zone == Zone::superblock ? 0 : grid_offset_;
  ASSERT(length > 0);
  ASSERT(length % options_.sector_size == 0);
  ASSERT(offset % options_.sector_size == 0);
  ASSERT(offset < end_of(zone));
  ASSERT(length <= end_of(zone) - zone_begin);
  ASSERT(offset <= end_of(zone) - zone_begin - length);
  return mirror ? mirror_offset_ + offset : zone_begin + offset;
}

// Forgetting must not change a draw. With nothing pending and a new operation begun, no request can
// come that belongs to an older one.
void SimStorage::set_attribution(const Attribution& attribution) {
  const bool begins = attribution.op.number != attribution_.op.number;
  attribution_ = attribution;
  if (begins && !stepping_ && !pending()) counter_.clear();
}

u32 SimStorage::next_n(IoTag tag, RequestKind kind) {
  if (counter_.crowded()) [[unlikely]] {
    counter_.sweep([this](const Attribution& candidate) {
      const u64 number = candidate.op.number;
      if (number == attribution_.op.number) return true;
      if (stepping_ && number == attribution_outside_.op.number) return true;
      const auto belongs = [number](const Tick& tick) { return tick.attribution.op.number == number; };
      if (std::any_of(ticks_.begin(), ticks_.end(), belongs)) return true;
      if (std::any_of(draining_.begin(), draining_.end(), belongs)) return true;
      return std::any_of(pending_.begin(), pending_.end(), [this, number](const Pending& pending) {
        return slots_[pending.slot].attribution.op.number == number;
      });
    });
  }
  return counter_.next(attribution_, tag, kind);
}

u64 SimStorage::latency_of(const LatencyProfile& profile, u64 random) const {
  u64 ticks = profile.latency_ticks_min;
  ticks += exponential(remix(random, salt_exponential), profile.latency_ticks_mean);
  if (chance(remix(random, salt_stall), profile.stall)) ticks *= stall_factor;
  return ticks;
}

// Decided by operation and n alone, never by a tick: deleting a line shifts no episode.
u64 SimStorage::slow_factor(RequestKind kind, u32 n) const {
  if (options_.slow.numerator == 0 || kind == RequestKind::sync) return 1;
  const u64 random = streams_.slow.at(attribution_.op.number / operations_per_episode);
  if (!chance(random, options_.slow)) return 1;
  const u64 direction = below(remix(random, 1), 3);  // Reads, writes, both.
  if (direction == (kind == RequestKind::read ? 1 : 0)) return 1;
  if (n >= 1 + below(remix(random, 2), episode_requests_max)) return 1;
  return u64{2} << below(remix(random, 3), episode_factor_bits_max);
}

u64 SimStorage::rank_of(IoTag tag, u64 tie) const {
  switch (options_.policy) {
    case CompletionPolicy::latency:
    case CompletionPolicy::fifo:
    case CompletionPolicy::lifo: return 0;
    // A keyed rank of its own for each request: which of two goes first depends on nothing else.
    case CompletionPolicy::uniform: return tie;
    case CompletionPolicy::starve: return tag.purpose == options_.starved ? 1 : 0;
    case CompletionPolicy::priority: {
      const u64 period = attribution_.op.number / operations_per_change_point;
      return streams_.priority.at(Attribution{.op = {.number = period}}, tag, 0);
    }
  }
  UNREACHABLE();
}

void SimStorage::check_plausible(const Pending& added) const {
  for (const Pending& other : pending_) {
    if (added.end <= other.begin || other.end <= added.begin) continue;
    const bool two_writes_in_flight_over_one_sector =
        added.kind == RequestKind::write && other.kind == RequestKind::write;
    ASSERT(!two_writes_in_flight_over_one_sector);
    const bool read_over_a_write_in_flight = added.kind != other.kind;
    ASSERT(!read_over_a_write_in_flight);
    // The scrubber goes beside everybody else.
    const bool shared =
        added.kind == RequestKind::read && !added.superblock && !added.scrubs && !other.scrubs;
    const bool two_reads_in_flight_of_one_block = shared && reads_are_shared_;
    ASSERT(!two_reads_in_flight_of_one_block);
  }
  if (added.superblock || added.kind == RequestKind::sync) return;
  if (added.kind == RequestKind::write && (protected_.empty() || added.repairs)) return;
  if (added.kind == RequestKind::read && writes_were_lost_) return;
  const u64 block_size = options_.block_size;
  const u64 last = (added.end - 1 - grid_offset_) / block_size;
  for (u64 block = (added.begin - grid_offset_) / block_size; block <= last; ++block) {
    if (added.kind == RequestKind::read) {
      const bool read_of_a_block_never_written =
          !truth().written_any(grid_offset_ + block * block_size, block_size);
      ASSERT(!read_of_a_block_never_written);
    } else {
      const u64 bit = address_at(grid_offset_ + block * block_size) - 1;
      const bool write_to_a_block_of_the_durable_checkpoint =
          bit / 64 < protected_.size() && (protected_[bit / 64] >> (bit % 64) & 1) != 0;
      ASSERT(!write_to_a_block_of_the_durable_checkpoint);
    }
  }
}

SimStorage::Request& SimStorage::submit(Pending pending, void* node, IoTag tag,
                                        const LatencyProfile& profile) {
  check_plausible(pending);
  const u32 n = next_n(tag, pending.kind);
  const u32 kind = static_cast<u32>(pending.kind);
  pending.tie = streams_.tie[kind].at(attribution_, tag, n);
  pending.ready = latency_of(profile, streams_.latency[kind].at(attribution_, tag, n));
  pending.ready *= slow_factor(pending.kind, n);
  if (!explicit_latencies_.empty()) pending.ready = explicit_latency(pending.ready, tag, n);
  pending.rank = rank_of(tag, pending.tie);
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<u32>(slots_.size()));
    slots_.emplace_back();
  }
  pending.slot = free_slots_.back();
  free_slots_.pop_back();
  Request& request = slots_[pending.slot];
  request = {.node = node,
             .attribution = attribution_,
             .submission = submissions_++,
             .tag = tag,
             .n = n,
             .kind = pending.kind};
  pending_.push_back(pending);
  enter_device();
  constexpr EventKind events[] = {EventKind::submit_read, EventKind::submit_write, EventKind::submit_sync};
  record(events[kind], pending.begin, pending.end - pending.begin, pack_tag(tag, n));
  if (submit_listener_ != nullptr && !pending.superblock && pending.kind != RequestKind::sync) {
    submit_listener_(submit_context_, tag, address_at(pending.begin));
  }
  return request;
}

void SimStorage::read(Read& read) { read_from(read, false); }
void SimStorage::write(Write& write) { write_to(write, false); }
void SimStorage::sync(Sync& sync) { sync_of(sync, false); }

void SimStorage::read_from(Read& read, bool mirror) {
  const HarnessCode harness;
  ASSERT(static_cast<bool>(read.done));
  const u64 begin = begin_of(read.zone, read.offset, read.buffer.size(), mirror);
  const bool superblock = read.zone == Zone::superblock;
  if (!superblock && !mirror) ++grid_reads_;
  if (read.tag.purpose == IoPurpose::scrub) ++scrub_reads_;
  if (read.tag.purpose == IoPurpose::lookup) ++lookup_reads_;
  Request& request =
      submit({.begin = begin,
              .end = begin + read.buffer.size(),
              .kind = RequestKind::read,
              .superblock = superblock,
              .scrubs = read.tag.purpose == IoPurpose::scrub || read.tag.purpose == IoPurpose::mirror_scrub},
             &read, read.tag, superblock ? options_.superblock : options_.read);
  request.buffer = read.buffer.data();
  if (!faulty_) medium_.image().fetch(begin, read.buffer.size());
  read.token[0] = pending_.back().slot;
  read.token[1] = request.submission;
}

void SimStorage::write_to(Write& write, bool mirror) {
  const HarnessCode harness;
  ASSERT(static_cast<bool>(write.done));
  const u64 begin = begin_of(write.zone, write.offset, write.buffer.size(), mirror);
  const bool superblock = write.zone == Zone::superblock;
  const bool repairs =
      write.tag.purpose == IoPurpose::repair || write.tag.purpose == IoPurpose::mirror_repair;
  const bool repair_writes_what_is_true =
      !repairs || repair_listener_ == nullptr || repair_listener_(repair_context_, address_at(begin), write);
  ASSERT(repair_writes_what_is_true);
  if (!superblock && !repairs && write.tag.purpose != IoPurpose::audit) ++grid_writes_;
  Request& request = submit({.begin = begin,
                             .end = begin + write.buffer.size(),
                             .kind = RequestKind::write,
                             .superblock = superblock,
                             .repairs = repairs},
                            &write, write.tag, superblock ? options_.superblock : options_.write);
  request.buffer = write.buffer.data();
  write.token[0] = pending_.back().slot;
  write.token[1] = request.submission;
  if (superblock && listener_ != nullptr) listener_(listener_context_, false);
  if (observer_ != nullptr) observer_->write_submitted(begin, begin + write.buffer.size());
}

void SimStorage::sync_of(Sync& sync, bool mirror) {
  const HarnessCode harness;
  ASSERT(static_cast<bool>(sync.done));
  Request& request = submit({.kind = RequestKind::sync}, &sync, sync.tag, options_.sync);
  request.range = cache_of(mirror);
  request.covered = medium_.position();
  request.covered_truth = faulty_ ? faulty_->truth().position() : request.covered;
  draw_sync_faults(request);
  sync.token[0] = pending_.back().slot;
  sync.token[1] = request.submission;
}

void SimStorage::next_tick(NextTick& next_tick) {
  const HarnessCode harness;
  ASSERT(static_cast<bool>(next_tick.done));
  ASSERT(!next_tick.link.queued);
  next_tick.link.queued = true;
  ticks_.push_back({.node = &next_tick, .attribution = attribution_});
}

void SimStorage::enter_device() {
  while (device_count_ < options_.queue_depth && device_count_ < pending_.size()) {
    pending_[device_count_++].ready += now_;
  }
}

// The first of equals, which is the one submitted first.
u32 SimStorage::choose() const {
  ASSERT(device_count_ > 0);
  if (options_.policy == CompletionPolicy::fifo) return 0;
  if (options_.policy == CompletionPolicy::lifo) return device_count_ - 1;
  u32 best = 0;
  for (u32 i = 1; i < device_count_; ++i) {
    const Pending& a = pending_[i];
    const Pending& b = pending_[best];
    if (a.rank > b.rank) continue;
    if (a.rank == b.rank && (a.ready > b.ready || (a.ready == b.ready && a.tie >= b.tie))) continue;
    best = i;
  }
  return best;
}

bool SimStorage::step() {
  ASSERT(!stepping_);
  if (!pending()) return false;
  stepping_ = true;
  attribution_outside_ = attribution_;
  ++steps_;
  if (!ticks_.empty()) {
    drain_ticks();
  } else {
    complete(choose());
  }
  attribution_ = attribution_outside_;
  stepping_ = false;
  return true;
}

// What a callback queues runs in the next drain: a step is bounded.
void SimStorage::drain_ticks() {
  ASSERT(draining_.empty());
  std::swap(ticks_, draining_);
  record(EventKind::next_tick_drain, draining_.size(), 0, 0);
  for (const Tick& tick : draining_) {
    ASSERT(tick.node->link.queued);
    tick.node->link.queued = false;
    attribution_ = tick.attribution;
    const EngineCode engine;
    tick.node->done(*tick.node);
  }
  draining_.clear();
}

void SimStorage::complete(u32 index) {
  const Pending pending = pending_[index];
  const Request request = slots_[pending.slot];
  pending_.erase(pending_.begin() + index);
  --device_count_;
  free_slots_.push_back(pending.slot);
  now_ = std::max(now_, pending.ready);
  enter_device();
  attribution_ = request.attribution;
  switch (pending.kind) {
    case RequestKind::read: return complete_read(request, pending);
    case RequestKind::write: return complete_write(request, pending);
    case RequestKind::sync: return complete_sync(request);
  }
  UNREACHABLE();
}

void SimStorage::complete_read(const Request& request, const Pending& pending) {
  Read& read = *static_cast<Read*>(request.node);
  const bool node_changed_in_flight = read.token[0] != pending.slot || read.token[1] != request.submission ||
                                      read.buffer.data() != request.buffer ||
                                      read.buffer.size() != pending.end - pending.begin;
  ASSERT(!node_changed_in_flight);
  if (observer_ != nullptr) observer_->before_read(pending.begin, pending.end);
  read.result = IoResult::ok;
  if (faulty_) [[unlikely]] {
    read.result = faulty_->read(target_of(request, pending.superblock), pending.begin, read.buffer);
    tell_of_faults(pending.begin);
  } else {
    medium_.image().read(pending.begin, read.buffer);
  }
  record(EventKind::complete_read, pending.begin, static_cast<u64>(read.result),
         pack_tag(request.tag, request.n));
  tell_of_block(pending, request.tag, read.result);
  if (pending.superblock && delivered_ != nullptr) deliver(read, pending.begin);
  if (delivery_listener_ != nullptr && !pending.superblock) {
    delivery_listener_(delivery_context_, address_at(pending.begin), read);
  }
  const EngineCode engine;
  read.done(read);
}

// From the end of a write to that of its block.
u64 SimStorage::tail_of(const Pending& pending) const {
  if (pending.superblock) return 0;
  return round_up(pending.end - grid_offset_, u64{options_.block_size}) + grid_offset_ - pending.end;
}

void SimStorage::complete_write(const Request& request, const Pending& pending) {
  Write& write = *static_cast<Write*>(request.node);
  const bool node_changed_in_flight =
      write.token[0] != pending.slot || write.token[1] != request.submission ||
      write.buffer.data() != request.buffer || write.buffer.size() != pending.end - pending.begin;
  ASSERT(!node_changed_in_flight);
  const MediumWrite landing{.submission = request.submission,
                            .attribution = request.attribution,
                            .tag = request.tag,
                            .n = request.n,
                            .offset = pending.begin,
                            .data = write.buffer,
                            .tail = tail_of(pending)};
  write.result = IoResult::ok;
  if (faulty_) [[unlikely]] {
    write.result = faulty_->write(target_of(request, pending.superblock), landing, write.durability);
    if (write.result == IoResult::failed) {
      writes_were_lost_ = true;
      const u64 address = pending.superblock ? 0 : address_at(pending.begin);
      if (failure_listener_ != nullptr) failure_listener_(failure_context_, address, write);
    }
    tell_of_faults(pending.begin);
  } else {
    medium_.complete(landing, write.durability);
  }
  if (observer_ != nullptr) observer_->write_completed(pending.begin, pending.end);
  record(EventKind::complete_write, pending.begin, static_cast<u64>(write.result),
         pack_tag(request.tag, request.n));
  if (pending.superblock && listener_ != nullptr) listener_(listener_context_, true);
  tell_of_block(pending, request.tag, write.result);
  const EngineCode engine;
  write.done(write);
}

void SimStorage::complete_sync(const Request& request) {
  Sync& sync = *static_cast<Sync*>(request.node);
  const bool node_changed_in_flight = sync.token[1] != request.submission;
  ASSERT(!node_changed_in_flight);
  sync.result = request.fails ? IoResult::failed : IoResult::ok;
  record(EventKind::complete_sync, 0, static_cast<u64>(sync.result), pack_tag(request.tag, request.n));
  if (request.fails) {
    fail_covered(request);
  } else if (faulty_) {
    faulty_->make_durable(request.covered, request.covered_truth, request.lies, request.range);
  } else {
    medium_.make_durable(request.covered, request.range);
  }
  const EngineCode engine;
  sync.done(sync);
}

}  // namespace tonearm::sim
