#include "sim/workload/call_source.h"

#include <algorithm>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr Ratio missing_in_seed{.numerator = 1, .denominator = 8};
constexpr Ratio missing_in_phase{.numerator = 1, .denominator = 5};
constexpr Ratio repeats{.numerator = 1, .denominator = 4};
constexpr u64 repeated_numbers = 4;

}  // namespace

CallSource::CallSource(const Alphabet& alphabet, u64 seed, const RunOptions& options)
    : alphabet_(&alphabet),
      lines_("call", stream_seed(seed, "call")),
      weights_("call weight", stream_seed(seed, "call weight")),
      repeated_("call repeated", stream_seed(seed, "call repeated")),
      count_(options.ops),
      phase_lines_(std::max<u64>(1, options.phase_lines)) {
  for (u64 i = 0; i < alphabet.verbs.size(); ++i) {
    present_.push_back(alphabet.verbs[i].essential || !chance(weights_.at(u64_max, i), missing_in_seed));
  }
}

void CallSource::weigh(u64 phase) const {
  if (phase == phase_) return;
  phase_ = phase;
  sums_.clear();
  u64 sum = 0;
  for (u64 i = 0; i < present_.size(); ++i) {
    const u64 random = weights_.at(phase, i);
    const Verb& verb = alphabet_->verbs[i];
    const bool missing = !present_[i] || (!verb.essential && chance(remix(random, 1), missing_in_phase));
    // From a quarter of the usual to four times as much.
    const u64 factor = u64{1} << below(remix(random, 2), 5);
    if (!missing) sum += verb.weight * factor;
    sums_.push_back(sum);
  }
  ASSERT(sum > 0);
}

u64 CallSource::draw(const VerbArgument& argument, u64 random, u64 phase) const {
  const u64 range = argument.max + 1;
  ASSERT(range > 0);
  switch (argument.spread) {
    case Spread::uniform:
      if (chance(remix(random, 1), repeats)) {
        return below(repeated_.at(phase, below(remix(random, 2), repeated_numbers)), range);
      }
      return below(random, range);
    case Spread::small: {
      const u64 x = random >> 32;
      return below(x * x, range);
    }
    case Spread::magnitude: {
      u32 bits = 0;
      while (bits < 63 && (u64{1} << bits) < argument.max) ++bits;
      const u64 magnitude = u64{1} << below(remix(random, 3), bits + 1);
      return std::min(argument.max, magnitude - 1 + below(random, magnitude));
    }
  }
  UNREACHABLE();
}

void CallSource::at(u64 index, Operation* operation) const {
  ASSERT(index < count_);
  const u64 phase = index / phase_lines_;
  weigh(phase);
  const u64 random = lines_.at(index);
  const u64 pick = below(random, sums_.back());
  const u64 chosen = static_cast<u64>(std::upper_bound(sums_.begin(), sums_.end(), pick) - sums_.begin());
  *operation = Operation{};
  operation->id = {.number = index + 1, .child = 0};
  operation->kind = OperationKind::call;
  operation->verb = &alphabet_->verbs[chosen];
  for (u32 i = 0; i < operation->verb->argument_count(); ++i) {
    operation->arguments[i] = draw(operation->verb->arguments[i], remix(random, 16 + i), phase);
  }
}

}  // namespace tonearm::sim
