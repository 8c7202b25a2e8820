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

const char* fault_kind_name(FaultKind kind) {
  switch (kind) {
    case FaultKind::failed_sync: return "failed_sync";
    case FaultKind::torn_write: return "torn_write";
    case FaultKind::lost_write: return "lost_write";
  }
  UNREACHABLE();
}

void SimStorage::fail_sync(const Attribution& attribution, IoTag tag, u32 n) {
  fail_syncs_.push_back({.attribution = attribution, .tag = tag, .n = n});
}

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
      std::find_if(fail_syncs_.begin(), fail_syncs_.end(), [&request](const ExplicitSync& fault) {
        return fault.attribution == request.attribution && same_tag(fault.tag, request.tag) &&
               fault.n == request.n;
      });
  const bool found = asked_for != fail_syncs_.end();
  if (found) fail_syncs_.erase(asked_for);
  const bool possible = options_.failed_sync.numerator != 0 && options_.failed_sync.denominator != 0;
  if (found || possible) ++armed_counts_[static_cast<u32>(FaultKind::failed_sync)];
  if (found) return true;
  return possible &&
         chance(streams_.failed_sync.at(request.attribution, request.tag, request.n), options_.failed_sync);
}

void SimStorage::count_fate(const MediumWrite& write, const Fate& fate) {
  ++armed_counts_[static_cast<u32>(FaultKind::torn_write)];
  ++armed_counts_[static_cast<u32>(FaultKind::lost_write)];
  if (fate.outcome == CrashOutcome::landed) return;
  const FaultKind kind = fate.outcome == CrashOutcome::lost ? FaultKind::lost_write : FaultKind::torn_write;
  ++fault_counts_[static_cast<u32>(kind)];
  record(EventKind::fault, static_cast<u64>(kind), write.offset, pack_tag(write.tag, write.n));
}

void SimStorage::fail_covered(const Request& request) {
  ++fault_counts_[static_cast<u32>(FaultKind::failed_sync)];
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

std::span<const MediumWrite> SimStorage::undurable() {
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
  return undecided_;
}

void SimStorage::crash(const Attribution& attribution, std::span<const CrashWrite> writes) {
  ASSERT(!stepping_);
  ASSERT(draining_.empty());
  undurable();
  record(EventKind::crash, steps_, undecided_.size(), 0);
  fates_.clear();
  for (u64 i = 0; i < undecided_.size(); ++i) {
    Fate fate = crash_fate(attribution, i, undecided_.size());
    for (const CrashWrite& write : writes) {
      if (write.write != i) continue;
      fate.outcome = write.outcome;
      fate.exact = write.exact;
      fate.units = write.units;
      fate.garbage = write.garbage;
    }
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
