// Objects by key, against the model.
#include <fmt/format.h>

#include <cstring>
#include <set>

#include "sim/run/audit.h"

namespace tonearm::sim {

namespace {

using Found = GrooveEngine::Found;

constexpr u32 exists_one_in = 4;  // Rows of which the timestamps are asked for, too.

Found found_of(Presence presence) {
  switch (presence) {
    case Presence::absent: return Found::not_found;
    case Presence::object: return Found::found;
    case Presence::orphan: return Found::orphaned;
  }
  UNREACHABLE();
}

const char* found_name(Found found) {
  switch (found) {
    case Found::found: return "found";
    case Found::orphaned: return "orphaned";
    case Found::not_found: return "not found";
  }
  UNREACHABLE();
}

// What the bytes say, by the names of the schema.
Object object_of(GrooveName groove, const std::byte* bytes) {
  const GrooveSpec& spec = groove_spec(groove);
  Object object;
  if (spec.has_id) std::memcpy(&object.id, bytes, sizeof object.id);
  std::memcpy(&object.timestamp, bytes + spec.timestamp_offset, sizeof object.timestamp);
  for (u32 i = 0; i < spec.fields.size(); ++i) {
    const FieldSpec& field = spec.fields[i];
    void* const to = field.bytes == 16 ? static_cast<void*>(&object.wide) : &object.fields[i];
    std::memcpy(to, bytes + field.offset, field.bytes);
  }
  return object;
}

}  // namespace

TreeName key_tree(GrooveName groove) {
  const GrooveSpec& spec = groove_spec(groove);
  return spec.has_id ? static_cast<TreeName>(static_cast<u32>(spec.objects) + 1) : spec.objects;
}

std::string answer_text(GrooveName groove, const ObjectAnswer& answer) {
  if (answer.kind != Found::found) return found_name(answer.kind);
  return object_text(groove, object_of(groove, answer.object.data()));
}

std::string side_text(GrooveName groove, const Side& side) {
  if (side.presence != Presence::object) return found_name(found_of(side.presence));
  return object_text(groove, side.object);
}

const char* object_difference(GrooveName groove, const Side& expected, const ObjectAnswer& given) {
  const Found wanted = found_of(expected.presence);
  if (given.kind == wanted) {
    const bool found = wanted == Found::found;
    const ObjectBytes bytes = found ? object_bytes(groove, expected.object) : ObjectBytes{};
    const bool same = std::memcmp(bytes.data(), given.object.data(), object_bytes_max) == 0;
    if (!same) return found ? "another object" : "bytes of an object where none is found";
    return nullptr;
  }
  if (given.kind == Found::not_found) return "not found, expected otherwise";
  if (wanted == Found::not_found) return "there, expected not found";
  return "an orphan and an object confused";
}

void Audit::compare_object(GrooveName groove, const Model& model, u128 key) {
  if (failed()) return;
  ++outcome_.checks;
  const ObjectAnswer answer = host_->object(groove, key);
  const Side& expected = model.get_object(groove, key);
  const char* const difference = object_difference(groove, expected, answer);
  if (difference == nullptr) return;
  const TreeName tree = key_tree(groove);
  mismatch(
      tree, Key::of(key), fmt::format("object of {}: {}", groove_spec(groove).name, difference),
      fmt::format("{} {}: the engine says {}, the model says {}", groove_spec(groove).name,
                  key_text(tree, Key::of(key)), answer_text(groove, answer), side_text(groove, expected)));
}

void Audit::objects(GrooveName groove, const Model& model, const Key& from, u32 rows,
                    std::optional<u32> keys_max) {
  if (failed()) return;
  const GrooveSpec& spec = groove_spec(groove);
  const u128 key_limit = spec.has_id ? u128_max : u128{u64_max};
  std::vector<u128> keys;
  std::vector<u64> timestamps;
  std::set<std::pair<bool, u128>> known;
  // An op prefetches so many keys at most; whatever is refused is not asked for.
  const auto accepted = [&](bool accepts, bool exists, u128 key) {
    const std::pair<bool, u128> asked{exists, key};
    const bool expected = known.contains(asked) || !keys_max || known.size() < *keys_max;
    if (accepts) known.insert(asked);
    if (!keys_max || accepts == expected || failed()) return;
    mismatch(key_tree(groove), Key::of(key),
             fmt::format("prefetch of {}: {}", spec.name, accepts ? "one key too many" : "refused too early"),
             fmt::format("{} of {} keys of {} are known, and the engine says {} to one more", known.size(),
                         *keys_max, spec.name, accepts ? "ok" : "prefetch_full"));
  };
  const auto add = [&](u128 key) {
    const bool accepts = host_->prefetch_enqueue(groove, key);
    if (accepts) keys.push_back(key);
    accepted(accepts, false, key);
  };
  const auto add_timestamp = [&](u64 timestamp) {
    const bool accepts = host_->prefetch_exists_enqueue(groove, timestamp);
    if (accepts) timestamps.push_back(timestamp);
    accepted(accepts, true, timestamp);
  };
  const ModelMap& map = model.tree(key_tree(groove));
  auto row = map.lower_bound(model_key(from));
  for (u32 i = 0; i < rows && row != map.end(); ++i, ++row) {
    const u128 key = row->first.number();
    add(key);
    add(key - 1);
    if (key < key_limit) add(key + 1);
    if (i % exists_one_in != 0) continue;
    const u64 timestamp = spec.has_id ? row->second : static_cast<u64>(key);
    for (u64 near = timestamp - 1; near != timestamp + 2; ++near) add_timestamp(near);
  }
  add(0);
  add(key_limit);
  if (const Error error = host_->prefetch(groove)) {
    unanswered(error);
    return host_->prefetch_setup();  // Nothing that was prefetched may be asked for.
  }
  for (const u128 key : keys) compare_object(groove, model, key);
  for (const u64 timestamp : timestamps) {
    if (failed()) return;
    ++outcome_.checks;
    const bool exists = host_->object_exists(groove, timestamp);
    if (exists == model.exists(groove, timestamp)) continue;
    mismatch(spec.objects, Key::of(timestamp), fmt::format("exists {}: another answer", spec.name),
             fmt::format("exists {} timestamp={}: the engine says {}, the model says {}", spec.name,
                         timestamp, exists, !exists));
  }
}

}  // namespace tonearm::sim
