// What is false of a number or a key, drawn from all that is: of either sign, next to the truth, a little
// away from it, or as far as it goes.
#pragma once

#include "sim/decode/forest_shape.h"

namespace tonearm::sim {

// In [least, most]: an end of it, near an end, or anywhere, at a distance of any magnitude.
u64 number_between(u64 least, u64 most, u64 random);
DecodedKey key_between(const DecodedKey& least, const DecodedKey& most, u64 random);

// Another one than `number` in [least, most], in which there is one.
u64 another(u64 number, u64 least, u64 most, u64 random);

DecodedKey next_key(const DecodedKey& key);
DecodedKey key_before(const DecodedKey& key);

}  // namespace tonearm::sim
