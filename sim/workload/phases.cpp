#include "sim/workload/phases.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/workload/salts.h"

namespace tonearm::sim {

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::load: return "load";
    case Phase::hotspot: return "hotspot";
    case Phase::mass_delete: return "mass_delete";
    case Phase::reinsert: return "reinsert";
    case Phase::quiet: return "quiet";
    case Phase::ascending: return "ascending";
    case Phase::descending: return "descending";
    case Phase::new_minimum: return "new_minimum";
    case Phase::new_maximum: return "new_maximum";
    case Phase::mixed: return "mixed";
  }
  UNREACHABLE();
}

Phases::Phases(u64 seed, const RunOptions& options, const Reseeds& reseeds)
    : phases_("phases", seed, reseeds, options.phase_lines),
      ops_(options.ops),
      lines_(std::max<u64>(1, options.phase_lines)),
      half_(std::max<u64>(1, options.phase_lines / 2)),
      universe_(std::max<u64>(1, options.key_universe)) {
  // Three of four phases exist, load and mixed always.
  const Stream habits("habits", stream_seed(seed, "habits"));
  mask_ = 1U << static_cast<u32>(Phase::load) | 1U << static_cast<u32>(Phase::mixed);
  for (u32 phase = 0; phase < phase_count; ++phase) {
    if (chance(habits.at(10, phase), {3, 4})) mask_ |= 1U << phase;
  }
}

PhaseRange Phases::at(u64 index) const {
  const u64 number = index / lines_;
  const u64 random = phases_.at(number);
  PhaseRange range{.kind = Phase::load, .at = index % lines_, .from = 0, .length = universe_};
  if (number > 0 || below(remix(random, 1), 4) == 0) {
    range.kind = static_cast<Phase>(below(remix(random, 2), phase_count));
    if ((mask_ >> static_cast<u32>(range.kind) & 1) == 0) range.kind = Phase::mixed;
  }
  // Until half of the run both ends of the universe are left alone, so that a minimum and a maximum
  // can be new.
  const bool inner = index < ops_ / 2 && universe_ >= 16;
  const u64 begin = inner ? universe_ / 4 : 0;
  const u64 room = inner ? universe_ / 2 : universe_;
  if (range.kind == Phase::new_minimum || range.kind == Phase::new_maximum) {
    range.length = std::max<u64>(1, universe_ / 4);
    range.from = range.kind == Phase::new_minimum ? 0 : universe_ - range.length;
    return range;
  }
  const u64 halvings =
      range.kind == Phase::hotspot ? between(remix(random, 3), 5, 8) : below(remix(random, 3), 4);
  range.length = std::clamp<u64>(room >> halvings, 1, room);
  range.from = begin + below(remix(random, 4), room - range.length + 1);
  return range;
}

u64 Phases::number(const PhaseRange& phase, u64 random) const {
  const u64 key = remix(random, salt_key);
  const u64 step = phase.at % phase.length;
  switch (phase.kind) {
    case Phase::load:
    case Phase::mixed:
    case Phase::quiet: return phase.from + below(key, phase.length);
    case Phase::hotspot:
      if (below(remix(key, 1), 8) == 0) return below(key, universe_);
      return phase.from + below(key, phase.length);
    case Phase::mass_delete: {
      // One sweep over the whole range, however long the phase is.
      return phase.from + std::min(phase.length - 1, phase.at * phase.length / lines_ + below(key, 3));
    }
    case Phase::reinsert: {
      const u64 length = std::min(phase.length, half_);
      return phase.from + (phase.at % half_) * length / half_;
    }
    case Phase::ascending:
    case Phase::new_maximum: return phase.from + step;
    case Phase::descending:
    case Phase::new_minimum: return phase.from + phase.length - 1 - step;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
