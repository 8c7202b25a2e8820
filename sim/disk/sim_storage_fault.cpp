// What goes wrong: failed syncs and crashes. And what is shown of it.
#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "sim/disk/sim_storage.h"

namespace tonearm::sim {

namespace {

// Independent draws over a hundred writes never give "everything landed" or "the first half landed",
// where recovery bugs hide; so a crash has a mode.
enum class CrashMode : u8 { independent, all_lost, all_landed, prefix_landed, mostly_landed, mostly_lost };

CrashMode crash_mode(u64 random) {
  constexpr CrashMode modes[] = {CrashMode::independent,   CrashMode::independent, CrashMode::independent,
                                 CrashMode::all_lost,      CrashMode::all_landed,  CrashMode::prefix_landed,
                                 CrashMode::mostly_landed, CrashMode::mostly_lost};
  return modes[below(random, std::size(modes))];
}

constexpr u64 salt_prefix = 1;
constexpr u64 salt_rare = 2;
constexpr u64 salt_outcome = 3;
constexpr u64 salt_unreadable = 4;
constexpr u32 outcomes_drawn = 4;  // Those that are possible on a disk without other faults.
constexpr Ratio rare{.numerator = 1, .denominator = 8};

// Crashes belong to no request; their draws share this tag.
constexpr IoTag no_tag{.purpose = IoPurpose::next_tick};

bool same_tag(IoTag a, IoTag b) { return a.purpose == b.purpose && a.level == b.level && a.tree == b.tree; }

}  // namespace

// --- faults of requests

void SimStorage::maybe_faulty() {
  if (!faulty_ && !plan_.only_failed_syncs()) expect_faults();
}

void SimStorage::expect_faults() {
  if (faulty_) return;
  faulty_.emplace(medium_, plan_, options_, grid_offset_);
  for (Request& request : slots_) request.covered_truth = request.covered;
}

void SimStorage::strike(const FiredFault& fault) {
  plan_.strike(fault);
  maybe_faulty();
}

FaultTarget SimStorage::target_of(const Request& request, bool superblock) const {
  return {.attribution = request.attribution,
          .tag = request.tag,
          .n = request.n,
          .zone = superblock ? Zone::superblock : Zone::grid};
}

void SimStorage::tell_of_faults(u64 offset) {
  for (const FiredFault& fired : plan_.fired_now()) {
    record(EventKind::fault, static_cast<u64>(fired.fault.kind), offset, pack_tag(fired.tag, fired.n));
    if (fault_listener_ != nullptr) fault_listener_(fault_context_, fired);
  }
  plan_.fired_now().clear();
}

void SimStorage::set_fault_listener(void* context, void (*listener)(void*, const FiredFault&)) {
  fault_context_ = context;
  fault_listener_ = listener;
}

// --- what is wrong

bool SimStorage::damaged(u64 address, u64 size, bool mirror) const {
  ASSERT(!mirror || options_.mirror);
  ASSERT(address >= 1 && address <= options_.blocks_count);
  ASSERT(size >= 1 && size <= options_.block_size);
  return faulty_ && faulty_->damaged(offset_of(address, mirror), size, options_.block_size);
}

bool SimStorage::damaged_superblock(u32 copy) const {
  ASSERT(copy < superblock_copies);
  return faulty_ &&
         faulty_->damaged(u64{copy} * superblock_copy_size, superblock_copy_size, superblock_copy_size);
}

bool SimStorage::damage() const { return faulty_ && faulty_->damage(); }

void SimStorage::heal() {
  if (!faulty_) return;
  faulty_->heal();
  for (Request& request : slots_) request.covered = request.covered_truth;
}

void SimStorage::settle(u64 offset, std::span<const std::byte> bytes) {
  medium_.overwrite(offset, bytes);
  if (faulty_) faulty_->settle(offset, bytes);
}

void SimStorage::settle_unreadable(u64 sector_offset) {
  ASSERT(sector_offset % options_.sector_size == 0);
  expect_faults();
  faulty_->lose_sector(sector_offset / options_.sector_size);
}

void SimStorage::settle_readable(u64 sector_offset) {
  ASSERT(sector_offset % options_.sector_size == 0);
  if (faulty_) faulty_->find_sector(sector_offset / options_.sector_size);
}

// The blocks of the mirror go on behind the last one of the first side.
u32 SimStorage::bad_reads(u64 address, bool mirror) const {
  return faulty_ ? faulty_->bad_reads(address + (mirror ? options_.blocks_count : 0)) : 0;
}
u32 SimStorage::bad_writes(u64 address, bool mirror) const {
  return faulty_ ? faulty_->bad_writes(address + (mirror ? options_.blocks_count : 0)) : 0;
}

// --- superblock copies as they were delivered

void SimStorage::begin_deliveries() {
  if (faulty_) faulty_->begin_streaks();
  if (delivered_ == nullptr) delivered_ = std::make_unique<Readings>();
  for (Delivered& delivered : delivered_->last) delivered.valid = false;
  delivered_->copy = superblock_copies;
  delivered_->again = false;
}

void SimStorage::deliver(const Read& read, u64 offset) {
  ASSERT(offset % superblock_copy_size == 0);
  ASSERT(read.buffer.size() == superblock_copy_size);
  const u32 copy = static_cast<u32>(offset / superblock_copy_size);
  if (copy < delivered_->copy && delivered_->copy != superblock_copies) {
    delivered_->before = delivered_->last;
    delivered_->again = true;
  }
  delivered_->copy = copy;
  Delivered& delivered = delivered_->last[copy];
  delivered.valid = read.result == IoResult::ok;
  std::copy(read.buffer.begin(), read.buffer.end(), delivered.bytes.begin());
  if (!delivered.valid) delivered.bytes.fill(std::byte{0});
}

bool SimStorage::delivered_alike() const {
  if (delivered_ == nullptr || !delivered_->again) return false;
  for (u32 copy = 0; copy < superblock_copies; ++copy) {
    if (delivered_->last[copy].bytes != delivered_->before[copy].bytes) return false;
  }
  return true;
}

std::optional<std::span<const std::byte>> SimStorage::delivered_copy(u32 copy) const {
  ASSERT(copy < superblock_copies);
  if (delivered_ == nullptr || !delivered_->last[copy].valid) return std::nullopt;
  return std::span<const std::byte>(delivered_->last[copy].bytes);
}

std::span<const Brought> SimStorage::brought() const {
  return faulty_ ? faulty_->brought() : std::span<const Brought>();
}

// --- latencies that lines ask for

u64 SimStorage::explicit_latency(u64 drawn, IoTag tag, u32 n) {
  const auto asked_for = std::find_if(explicit_latencies_.begin(), explicit_latencies_.end(),
                                      [&](const ExplicitLatency& explicit_one) {
                                        return explicit_one.attribution == attribution_ &&
                                               same_tag(explicit_one.tag, tag) && explicit_one.n == n;
                                      });
  if (asked_for == explicit_latencies_.end()) return drawn;
  const u64 ticks = asked_for->ticks;
  explicit_latencies_.erase(asked_for);
  return ticks;
}

// --- syncs

void SimStorage::draw_sync_faults(Request& request) {
  const FaultTarget target = target_of(request, false);
  request.fails = plan_.strikes(FaultKind::failed_sync, target).has_value();
  if (!faulty_ || request.fails) return;
  request.lies = faulty_->sync_lies(target, request.covered, request.range);
  tell_of_faults(0);
}

void SimStorage::count_fate(const MediumWrite& write, const Fate& fate) {
  const Zone zone = write.offset < grid_offset_ ? Zone::superblock : Zone::grid;
  plan_.crash_decides(FaultKind::torn_write, zone);
  plan_.crash_decides(FaultKind::lost_at_crash, zone);
  if (fate.outcome == CrashOutcome::landed) return;
  const FaultKind kind =
      fate.outcome == CrashOutcome::lost ? FaultKind::lost_at_crash : FaultKind::torn_write;
  plan_.counts_fired.add(kind, zone);
  record(EventKind::fault, static_cast<u64>(kind), write.offset, pack_tag(write.tag, write.n));
}

// The outcome of a write belongs to the write: it is the same for the truth.
std::span<const Fate> SimStorage::failed_fates(const Medium& medium, u64 covered, const CacheRange& range,
                                               bool count) {
  constexpr CrashOutcome outcomes[] = {CrashOutcome::lost, CrashOutcome::landed, CrashOutcome::torn};
  fates_.clear();
  const u64 writes = medium.covered(covered);
  for (u64 i = 0; i < writes; ++i) {
    const MediumWrite write = medium.logged(i);
    if (!range.has(write.offset)) continue;
    const u64 random = streams_.failed_sync_outcome.at(write.attribution, write.tag, write.n);
    fates_.push_back(
        {.outcome = outcomes[below(remix(random, salt_outcome), std::size(outcomes))], .random = random});
    if (count) count_fate(write, fates_.back());
  }
  return fates_;
}

void SimStorage::fail_covered(const Request& request) {
  plan_.fired({.kind = FaultKind::failed_sync}, target_of(request, false));
  tell_of_faults(0);
  const std::span<const Fate> fates = failed_fates(medium_, request.covered, request.range, true);
  writes_were_lost_ = writes_were_lost_ || !fates.empty();
  medium_.fail(request.covered, fates, request.range);
  if (faulty_) {
    faulty_->fail(request.covered_truth,
                  failed_fates(faulty_->truth(), request.covered_truth, request.range, false), request.range);
  }
}

// --- crashes

Fate SimStorage::crash_fate(const Attribution& attribution, u64 index, u64 count) const {
  const u64 crash = streams_.crash_mode.at(attribution, no_tag, 0);
  const u64 random = streams_.crash_outcome.at(attribution, no_tag, index);
  const CrashOutcome any = static_cast<CrashOutcome>(below(remix(random, salt_outcome), outcomes_drawn));
  const bool exception = chance(remix(random, salt_rare), rare);
  CrashOutcome outcome = any;
  switch (crash_mode(crash)) {
    case CrashMode::independent: break;
    case CrashMode::all_lost: outcome = CrashOutcome::lost; break;
    case CrashMode::all_landed: outcome = CrashOutcome::landed; break;
    case CrashMode::prefix_landed: {
      // The write at the boundary may be anything.
      const u64 boundary = below(remix(crash, salt_prefix), count);
      if (index != boundary) outcome = index < boundary ? CrashOutcome::landed : CrashOutcome::lost;
      break;
    }
    case CrashMode::mostly_landed: outcome = exception ? any : CrashOutcome::landed; break;
    case CrashMode::mostly_lost: outcome = exception ? any : CrashOutcome::lost; break;
  }
  return {.outcome = outcome, .random = random};
}

// In order of submission. What only the medium or only the truth has was lost, misdirected or lied about.
void SimStorage::collect_undecided() {
  undecided_.clear();
  for (u64 i = 0; i < medium_.logged_count(); ++i) {
    undecided_.push_back({.write = medium_.logged(i), .on_medium = true, .on_truth = false});
  }
  const u64 on_medium = undecided_.size();
  for (u64 i = 0; faulty_ && i < faulty_->truth().logged_count(); ++i) {
    const MediumWrite write = faulty_->truth().logged(i);
    const auto same =
        std::find_if(undecided_.begin(), undecided_.begin() + static_cast<std::ptrdiff_t>(on_medium),
                     [&](const Undecided& each) {
                       return each.write.submission == write.submission && each.write.offset == write.offset;
                     });
    if (same != undecided_.begin() + static_cast<std::ptrdiff_t>(on_medium)) {
      same->on_truth = true;
    } else {
      undecided_.push_back({.write = write, .on_medium = false, .on_truth = true});
    }
  }
  for (const Pending& pending : pending_) {
    if (pending.kind != RequestKind::write) continue;
    const Request& request = slots_[pending.slot];
    undecided_.push_back({.write = {.submission = request.submission,
                                    .attribution = request.attribution,
                                    .tag = request.tag,
                                    .n = request.n,
                                    .offset = pending.begin,
                                    .data = {request.buffer, pending.end - pending.begin},
                                    .tail = tail_of(pending)},
                          .on_medium = true,
                          .on_truth = true});
  }
  // Medium and truth each have a write once: where they have it in two places, the medium's comes first.
  std::sort(undecided_.begin(), undecided_.end(), [](const Undecided& a, const Undecided& b) {
    if (a.write.submission != b.write.submission) return a.write.submission < b.write.submission;
    return a.on_medium && !b.on_medium;
  });
}

std::span<const MediumWrite> SimStorage::undurable() {
  collect_undecided();
  writes_.clear();
  for (u32 i = 0; i < undecided_.size(); ++i) {
    undecided_[i].write.number = i;
    if (undecided_[i].on_medium) writes_.push_back(undecided_[i].write);
  }
  return writes_;
}

// As a fault of the writes that a crash line can tell about.
bool SimStorage::leaves_unreadable(const Fate& fate, u64 index) const {
  const Zone zone = undecided_[index].write.offset < grid_offset_ ? Zone::superblock : Zone::grid;
  return fate.outcome == CrashOutcome::torn_garbage && index < crash_writes_max &&
         plan_.possible(FaultKind::unreadable, zone, undecided_[index].write.tag) &&
         (remix(fate.random, salt_unreadable) & 1) != 0;
}

void SimStorage::crash(const Attribution& attribution, std::span<const CrashWrite> writes, bool unreadable) {
  ASSERT(!stepping_);
  ASSERT(draining_.empty());
  for (const CrashWrite& write : writes) {
    if (write.outcome == CrashOutcome::torn_unreadable) expect_faults();
  }
  collect_undecided();
  record(EventKind::crash, steps_, undecided_.size(), 0);
  fates_.clear();
  last_crash_.clear();
  for (u64 i = 0; i < undecided_.size(); ++i) {
    Fate fate = crash_fate(attribution, i, undecided_.size());
    if (unreadable && leaves_unreadable(fate, i)) fate.outcome = CrashOutcome::torn_unreadable;
    for (const CrashWrite& write : writes) {
      if (write.write != i) continue;
      fate.outcome = write.outcome;
      fate.exact = write.exact;
      fate.units = write.units;
      fate.garbage = write.garbage;
    }
    fates_.push_back(fate);
    count_fate(undecided_[i].write, fate);
    if (last_crash_.full()) continue;
    const Fate spelled = medium_.spelled(fate, undecided_[i].write.data.size());
    last_crash_.push({.units = static_cast<u32>(spelled.units),
                      .write = static_cast<u16>(i),
                      .outcome = spelled.outcome,
                      .exact = spelled.exact,
                      .garbage = static_cast<u8>(
                          has_garbage(spelled.outcome) && spelled.exact ? spelled.garbage & 127 : 0)});
  }
  // The truth first: its writes may be the medium's.
  for (const bool truth : {true, false}) {
    if (truth && !faulty_) continue;
    writes_.clear();
    picked_.clear();
    for (u64 i = 0; i < undecided_.size(); ++i) {
      if (!(truth ? undecided_[i].on_truth : undecided_[i].on_medium)) continue;
      writes_.push_back(undecided_[i].write);
      picked_.push_back(fates_[i]);
    }
    if (truth) faulty_->crash(writes_, picked_);
    if (!truth) medium_.crash(writes_, picked_);
    if (!truth && faulty_) faulty_->crash_unreadable(writes_, picked_);
  }
  undecided_.clear();
  writes_were_lost_ = false;

  for (const Tick& tick : ticks_) tick.node->link.queued = false;
  ticks_.clear();
  for (const Pending& pending : pending_) free_slots_.push_back(pending.slot);
  pending_.clear();
  device_count_ = 0;
}

void SimStorage::protect(std::span<const u64> words) { protected_.assign(words.begin(), words.end()); }

u64 SimStorage::writes_undurable() const {
  u64 count = medium_.logged_count();
  for (const Pending& pending : pending_) count += pending.kind == RequestKind::write ? 1 : 0;
  return count;
}

std::string SimStorage::describe_pending() const {
  std::string text;
  for (u64 i = 0; i < pending_.size(); ++i) {
    const Pending& pending = pending_[i];
    const Request& request = slots_[pending.slot];
    constexpr const char* kinds[] = {"read", "write", "sync"};
    const std::string name = request_text(request.attribution, request.tag, request.n);
    text += fmt::format("{} {}", kinds[static_cast<u32>(pending.kind)], name);
    if (pending.kind != RequestKind::sync) {
      const bool mirror = pending.begin >= mirror_offset_;
      const u64 zone_begin = pending.superblock ? 0 : mirror ? mirror_offset_ : grid_offset_;
      text += fmt::format(" {} offset={} length={}",
                          pending.superblock ? "superblock"
                          : mirror           ? "mirror"
                                             : "grid",
                          pending.begin - zone_begin, pending.end - pending.begin);
    }
    text += i < device_count_ ? fmt::format(" ready={}\n", pending.ready) : std::string(" waiting\n");
  }
  for (const Tick& tick : ticks_) {
    text += fmt::format("next_tick {}\n", tick.attribution.op.number);
  }
  return text;
}

void SimStorage::set_superblock_listener(void* context, void (*listener)(void*, bool completed)) {
  listener_context_ = context;
  listener_ = listener;
}

}  // namespace tonearm::sim
