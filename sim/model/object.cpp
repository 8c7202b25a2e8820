#include "sim/model/object.h"

#include <xxhash.h>

#include <cstring>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

// The low bytes: every machine that this is built for has them first.
void put_low(std::byte* to, const FieldSpec& field, u64 value) {
  switch (field.bytes) {
    case 1: ASSERT(value <= 0xff); break;
    case 4: ASSERT(value <= 0xffff'ffff); break;
    case 8:
      for (u32 copy = 0; copy < field.copies; ++copy) std::memcpy(to + 8 * copy, &value, 8);
      return;
    default: UNREACHABLE();
  }
  ASSERT(field.copies == 1);
  std::memcpy(to, &value, field.bytes);
}

}  // namespace

ObjectBytes object_bytes(GrooveName groove, const Object& object) {
  const GrooveSpec& spec = groove_spec(groove);
  ASSERT(spec.object_bytes <= object_bytes_max);
  ObjectBytes bytes{};
  if (spec.has_id) std::memcpy(bytes.data(), &object.id, sizeof object.id);
  std::memcpy(bytes.data() + spec.timestamp_offset, &object.timestamp, sizeof object.timestamp);
  for (u32 i = 0; i < spec.fields.size(); ++i) {
    const FieldSpec& field = spec.fields[i];
    std::byte* const to = bytes.data() + field.offset;
    if (field.bytes == 8 && field.copies == 1) {  // By far the most.
      std::memcpy(to, &object.fields[i], 8);
      continue;
    }
    if (field.bytes == sizeof object.wide) {
      ASSERT(field.copies == 1);
      std::memcpy(to, &object.wide, sizeof object.wide);
      continue;
    }
    put_low(to, field, object.fields[i]);
  }
  return bytes;
}

u64 object_hash(GrooveName groove, const std::byte* bytes) {
  return XXH3_64bits(bytes, groove_spec(groove).object_bytes);
}

u128 key_of(GrooveName groove, const Object& object) {
  return groove_spec(groove).has_id ? object.id : u128{object.timestamp};
}

Object inserted_object(const Operation& line) {
  return {.id = groove_spec(line.groove()).has_id ? line.key.lo : 0,
          .wide = line.wide_field,
          .timestamp = inserted_timestamp(line),
          .fields = line.fields};
}

Object changed_object(const Operation& line, const Object& before) {
  Object object = before;
  if (line.kind == OperationKind::upsert) {
    object.wide = line.wide_field;
    object.fields = line.fields;
    return object;
  }
  ASSERT(line.kind == OperationKind::update);
  const GrooveSpec& spec = groove_spec(line.groove());
  for (u32 i = 0; i < spec.fields.size(); ++i) {
    if ((line.named >> i & 1) == 0) continue;
    if (spec.fields[i].bytes == 16) {
      object.wide = line.wide_field;
    } else {
      object.fields[i] = line.fields[i];
    }
  }
  return object;
}

std::string object_text(GrooveName groove, const Object& object) {
  Operation line;
  line.kind = OperationKind::insert;
  line.tree = groove_spec(groove).objects;
  line.key = Key::of(object.id);
  line.fields = object.fields;
  line.wide_field = object.wide;
  line.timestamped = true;
  line.value = object.timestamp;
  std::string text;
  print_operation(line, &text);
  const std::string prefix = std::string("insert ") + groove_spec(groove).name + " ";
  ASSERT(text.starts_with(prefix));
  return text.substr(prefix.size(), text.size() - prefix.size() - 1);
}

}  // namespace tonearm::sim
