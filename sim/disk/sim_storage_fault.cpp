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
constexpr Ratio rare{.numerator = 1, .denominator = 8};

// Crashes belong to no request; their draws share this tag.
constexpr IoTag no_tag{.purpose = IoPurpose::next_tick};

bool same_tag(IoTag a, IoTag b) { return a.purpose == b.purpose && a.level == b.level && a.tree == b.tree; }

}  // namespace

void SimStorage::strike(const FiredFault& fault) { explicit_faults_.push_back(fault); }

bool SimStorage::damaged(u64, u64) const { return false; }
bool SimStorage::damaged_superblock(u32) const { return false; }
bool SimStorage::damage() const { return false; }
void SimStorage::heal() {}
u32 SimStorage::bad_reads(u64) const { return 0; }
u32 SimStorage::bad_writes(u64) const { return 0; }
void SimStorage::begin_deliveries() {}
std::optional<std::span<const std::byte>> SimStorage::delivered_copy(u32) const { return std::nullopt; }
void SimStorage::set_fault_listener(void*, void (*)(void*, const FiredFault&)) {}

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

bool SimStorage::draw_sync_failure(const Request& request) {
  const auto asked_for =
      std::find_if(explicit_faults_.begin(), explicit_faults_.end(), [&request](const FiredFault& fault) {
        return fault.fault.kind == FaultKind::failed_sync && fault.attribution == request.attribution && same_tag(fault.tag, request.tag) &&
               fault.n == request.n;
      });
  const bool found = asked_for != explicit_faults_.end();
  if (found) explicit_faults_.erase(asked_for);
  const bool possible = options_.faults[FaultKind::failed_sync].ratio.numerator != 0 && options_.faults[FaultKind::failed_sync].ratio.denominator != 0;
  if (found || possible) armed_.add(FaultKind::failed_sync, Zone::grid);
  if (found) return true;
  return possible &&
         chance(streams_.failed_sync.at(request.attribution, request.tag, request.n), options_.faults[FaultKind::failed_sync].ratio);
}

void SimStorage::count_fate(const MediumWrite& write, const Fate& fate) {
  const Zone zone = write.offset < grid_offset_ ? Zone::superblock : Zone::grid;
  armed_.add(FaultKind::torn_write, zone);
  armed_.add(FaultKind::lost_at_crash, zone);
  if (fate.outcome == CrashOutcome::landed) return;
  const FaultKind kind = fate.outcome == CrashOutcome::lost ? FaultKind::lost_at_crash : FaultKind::torn_write;
  fired_.add(kind, zone);
  record(EventKind::fault, static_cast<u64>(kind), write.offset, pack_tag(write.tag, write.n));
}

void SimStorage::fail_covered(const Request& request) {
  fired_.add(FaultKind::failed_sync, Zone::grid);
  record(EventKind::fault, static_cast<u64>(FaultKind::failed_sync), 0, pack_tag(request.tag, request.n));
  constexpr CrashOutcome outcomes[] = {CrashOutcome::lost, CrashOutcome::landed, CrashOutcome::torn};
  fates_.clear();
  const u64 count = medium_.covered(request.covered);
  for (u64 i = 0; i < count; ++i) {
    const MediumWrite write = medium_.logged(i);
    const u64 random = streams_.failed_sync_outcome.at(write.attribution, write.tag, write.n);
    fates_.push_back(
        {.outcome = outcomes[below(remix(random, salt_outcome), std::size(outcomes))], .random = random});
    count_fate(write, fates_.back());
  }
  writes_were_lost_ = writes_were_lost_ || count > 0;
  medium_.fail(request.covered, fates_);
}

Fate SimStorage::crash_fate(const Attribution& attribution, u64 index, u64 count) const {
  const u64 crash = streams_.crash_mode.at(attribution, no_tag, 0);
  const u64 random = streams_.crash_outcome.at(attribution, no_tag, index);
  const CrashOutcome any = static_cast<CrashOutcome>(below(remix(random, salt_outcome), crash_outcome_count));
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

void SimStorage::crash(const Attribution& attribution, std::span<const CrashOutcome> outcomes) {
  ASSERT(!stepping_);
  ASSERT(draining_.empty());
  undecided_.clear();
  for (u64 i = 0; i < medium_.logged_count(); ++i) undecided_.push_back(medium_.logged(i));
  for (const Pending& pending : pending_) {
    if (pending.kind != RequestKind::write) continue;
    const Request& request = slots_[pending.slot];
    undecided_.push_back({.submission = request.submission,
                          .attribution = request.attribution,
                          .tag = request.tag,
                          .n = request.n,
                          .offset = pending.begin,
                          .data = {request.buffer, pending.end - pending.begin}});
  }
  std::sort(undecided_.begin(), undecided_.end(),
            [](const MediumWrite& a, const MediumWrite& b) { return a.submission < b.submission; });
  record(EventKind::crash, steps_, undecided_.size(), 0);
  fates_.clear();
  for (u64 i = 0; i < undecided_.size(); ++i) {
    Fate fate = crash_fate(attribution, i, undecided_.size());
    if (i < outcomes.size()) fate.outcome = outcomes[i];
    fates_.push_back(fate);
    count_fate(undecided_[i], fate);
  }
  medium_.crash(undecided_, fates_);
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
      const u64 zone_begin = pending.superblock ? 0 : grid_offset_;
      text += fmt::format(" {} offset={} length={}", pending.superblock ? "superblock" : "grid",
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
