// Against std::map of keys.
#include "sim/model/object_store.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

// An orphan now and then, where the groove has them.
Side random_side(GrooveName groove, u128 key, u64 timestamp, u64 random) {
  const GrooveSpec& spec = groove_spec(groove);
  Side side{.presence = Presence::object, .object = {}};
  if (spec.has_id) side.object.id = key;
  if (spec.orphans && below(random, 4) == 0) {
    side.presence = Presence::orphan;
    return side;
  }
  side.object.timestamp = spec.has_id ? timestamp : static_cast<u64>(key);
  for (u32 i = 0; i < spec.fields.size(); ++i) {
    if (spec.fields[i].bytes == 16) {
      side.object.wide = u128{random} << 64 | i;
    } else {
      side.object.fields[i] = remix(random, i);
    }
  }
  return side;
}

}  // namespace

TEST_CASE("an object store holds what std::map holds, by key and by timestamp", "[object_store]") {
  const Stream stream("object_store", 11);
  for (const GrooveName groove :
       {GrooveName::things, GrooveName::notes, GrooveName::events, GrooveName::readings}) {
    const bool has_id = groove_spec(groove).has_id;
    ObjectStore store(groove);
    std::map<u128, Side> by_key;
    std::map<u64, u128> by_timestamp;
    constexpr u64 universe = 400;
    const auto key_at = [&](u64 number) {
      return has_id && number % 2 == 0 ? u128{number} << 70 : u128{number};
    };
    for (u64 i = 0; i < 20'000; ++i) {
      const u64 random = stream.at(static_cast<u64>(groove), i);
      const u128 key = key_at(1 + below(random, universe));
      const auto found = by_key.find(key);
      const Side before = found == by_key.end() ? Side{} : found->second;
      REQUIRE(store.get(key) == before);
      store.fetch_place(key);
      store.fetch(key);
      // In place, to another timestamp, or away.
      const bool grows = i / 5000 % 2 == 0;
      Side after;
      if (before.presence == Presence::absent || below(remix(random, 1), 100) < (grows ? 80 : 20)) {
        const bool moves = before.presence != Presence::object || below(remix(random, 2), 2) == 0;
        after = random_side(groove, key, moves ? 1000 + i : before.object.timestamp, remix(random, 3));
      }
      if (after == before) continue;
      store.change(key, before, after);
      if (before.presence == Presence::object) by_timestamp.erase(before.object.timestamp);
      if (after.presence == Presence::object) by_timestamp[after.object.timestamp] = key;
      by_key[key] = after;
      if (after.presence == Presence::absent) by_key.erase(key);
      const u64 timestamp =
          has_id ? 1000 + below(remix(random, 4), i + 1) : below(remix(random, 4), universe);
      store.fetch_place_at(timestamp);
      store.fetch_at(timestamp);
      const auto named = by_timestamp.find(timestamp);
      REQUIRE(store.at(timestamp) == (named == by_timestamp.end() ? Side{} : by_key.at(named->second)));
    }
    for (u64 number = 1; number <= universe; ++number) {
      const auto found = by_key.find(key_at(number));
      REQUIRE(store.get(key_at(number)) == (found == by_key.end() ? Side{} : found->second));
    }
    for (const auto& [timestamp, key] : by_timestamp) REQUIRE(store.at(timestamp) == by_key.at(key));
    CHECK(by_key.size() > 10);
  }
}

}  // namespace tonearm::sim
