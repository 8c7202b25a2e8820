// An object of any groove as the oracle holds it: numbers by name, not bytes. What the bytes of the
// engine's struct must be follows from the schema alone.
#pragma once

#include <array>
#include <cstddef>

#include "sim/model/model_key.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

struct Object {
  u128 id = 0;    // 0 in a groove without ids.
  u128 wide = 0;  // The field of 128 bits, if the groove has one.
  u64 timestamp = 0;
  std::array<u64, fields_max> fields{};  // The others, by the order of the groove's fields.

  friend bool operator==(const Object&, const Object&) = default;
};

inline constexpr u32 object_bytes_max = 128;
using ObjectBytes = std::array<std::byte, object_bytes_max>;
ObjectBytes object_bytes(GrooveName groove, const Object& object);  // Zero behind the object.
u64 object_hash(GrooveName groove, const std::byte* bytes);         // The payload in the object tree.

// What names it: its id, or its timestamp.
u128 key_of(GrooveName groove, const Object& object);

// What an insert or upsert makes if nothing is there; an upsert or update of what is there.
Object inserted_object(const Operation& line);
Object changed_object(const Operation& line, const Object& before);

// "id=3 a=1 timestamp=5", as a line would say it.
std::string object_text(GrooveName groove, const Object& object);

}  // namespace tonearm::sim
