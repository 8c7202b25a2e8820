#include "sim/run/variations.h"

#include <string>

#include "base/assert.h"
#include "base/checksum.h"

namespace tonearm::sim {

Variations::Variations(const RunOptions& options, u64 seed) : ratios_(options.vary) {
  reseed(seed, 0);
  for (u32 i = 0; i < variation_count; ++i) {
    if (ratios_[i].numerator > 0) sites_ |= 1U << i;
  }
}

void Variations::reseed(u64 seed, u64 after_op) {
  ASSERT(epochs_.empty() || epochs_.back().after_op <= after_op);
  const u64 vary_seed = stream_seed(seed, "vary");
  Epoch& epoch = epochs_.emplace_back();
  epoch.after_op = after_op;
  for (u32 i = 0; i < variation_count; ++i) {
    epoch.streams[i] = Stream(std::string("vary.") + variation_name(static_cast<Variation>(i)), vary_seed);
  }
}

u64 Variations::ask(Variation site, u64 a, u64 b, const Attribution& attribution, u64 op) {
  const u32 index = static_cast<u32>(site);
  u64 when = 0;
  auto epoch = epochs_.end() - 1;
  if (variation_kind(site) == VariationKind::schedule) {
    when = hash_of(attribution.op.number ^ u64{attribution.op.child} << 32) ^ attribution.context;
  } else {
    while (epoch != epochs_.begin() && epoch->after_op >= op) --epoch;
  }
  const u64 random = epoch->streams[index].at(a, b, when);
  ++armed_[index];
  if (!chance(random, ratios_[index])) return 0;
  ++fired_[index];
  return remix(random, 1) | 1;
}

}  // namespace tonearm::sim
