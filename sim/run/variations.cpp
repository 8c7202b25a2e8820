#include "sim/run/variations.h"

#include <string>

#include "base/checksum.h"

namespace tonearm::sim {

Variations::Variations(const RunOptions& options, u64 seed) : ratios_(options.vary) {
  const u64 vary_seed = stream_seed(seed, "vary");
  for (u32 i = 0; i < variation_count; ++i) {
    streams_[i] = Stream(std::string("vary.") + variation_name(static_cast<Variation>(i)), vary_seed);
    if (ratios_[i].numerator > 0) sites_ |= 1U << i;
  }
}

u64 Variations::ask(Variation site, u64 a, u64 b, const Attribution& attribution) {
  const u32 index = static_cast<u32>(site);
  u64 when = 0;
  if (variation_kind(site) == VariationKind::schedule) {
    when = hash_of(attribution.op.number ^ u64{attribution.op.child} << 32) ^ attribution.context;
  }
  const u64 random = streams_[index].at(a, b, when);
  ++armed_[index];
  if (!chance(random, ratios_[index])) return 0;
  ++fired_[index];
  return remix(random, 1) | 1;
}

}  // namespace tonearm::sim
