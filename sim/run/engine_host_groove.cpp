#include "sim/run/engine_call.h"

namespace tonearm::sim {

GrooveEngine& EngineHost::groove(GrooveName name) {
  GrooveEngine* const groove = grooves_[static_cast<u32>(name)];
  ASSERT(groove != nullptr);
  return *groove;
}

void EngineHost::prefetch_setup() {
  Call call(*this, "prefetch_setup");
  for (u32 i = 0; i < world_.groove_count; ++i) {
    call.engine([&] { groove(world_.groove(i)).prefetch_setup(); });
  }
  call.end();
  keys_enqueued_ = {};
}

bool EngineHost::prefetch_enqueue(GrooveName name, u128 key) {
  Call call(*this, "prefetch_enqueue");
  const bool ok = call.engine([&] { return groove(name).prefetch_enqueue(key); });
  call.end();
  ++keys_enqueued_[static_cast<u32>(name)];
  return ok;
}

bool EngineHost::prefetch_exists_enqueue(GrooveName name, u64 timestamp) {
  Call call(*this, "prefetch_exists_enqueue");
  const bool ok = call.engine([&] { return groove(name).prefetch_exists_enqueue(timestamp); });
  call.end();
  ++keys_enqueued_[static_cast<u32>(name)];
  return ok;
}

Error EngineHost::prefetch(GrooveName name) {
  Call call(*this, "prefetch");
  const u64 asked_before = blocks_asked();
  call.engine([&] { groove(name).prefetch(Callback<>::to<&EngineHost::call_done>(this)); });
  const u64 keys = std::exchange(keys_enqueued_[static_cast<u32>(name)], 0);
  pump({.turns = 4 * keys, .keys = keys, .groove = name});
  call.end();
  check_prefetch(name, keys, asked_before);
  return groove(name).prefetch_error();
}

// A key is looked up in the id tree, then in the object tree: an index and a value block of each level
// that has a table.
u64 EngineHost::prefetch_reads_allowed(GrooveName name, u64 keys) const {
  u64 allowed = 0;
  const GrooveSpec& spec = groove_spec(name);
  for (u32 i = 0; i < (spec.has_id ? 2 : 1); ++i) {
    const TreeName tree = static_cast<TreeName>(static_cast<u32>(spec.objects) + i);
    allowed += reads_allowed(forest_->tree(world_.position(tree)));
  }
  return allowed * keys;
}

// No prefetch changes which tables there are.
void EngineHost::check_prefetch(GrooveName name, u64 keys, u64 asked_before) {
  const u64 reads = blocks_asked() - asked_before;
  ++bounds_checked_;
  if (reads == 0) return;
  const u64 reads_allowed = prefetch_reads_allowed(name, keys);
  if (reads <= reads_allowed) return;
  interrupt_->exceeded("blocks read by a prefetch",
                       fmt::format("{} blocks read by a prefetch of {} keys, expected at most {}: two for "
                                   "each level with a table",
                                   reads, keys, reads_allowed));
}

ObjectAnswer EngineHost::object(GrooveName name, u128 key) {
  ObjectAnswer answer;
  Call call(*this, "get");
  answer.kind = call.engine([&] { return groove(name).get(key, answer.object.data()); });
  call.end();
  return answer;
}

bool EngineHost::object_exists(GrooveName name, u64 timestamp) {
  Call call(*this, "exists");
  const bool exists = call.engine([&] { return groove(name).exists(timestamp); });
  call.end();
  return exists;
}

GrooveEngine::Change EngineHost::change(GrooveName name, ObjectChange change, const std::byte* object) {
  Call call(*this, "change");
  const GrooveEngine::Change result = call.engine([&] {
    switch (change) {
      case ObjectChange::insert: return groove(name).insert(object);
      case ObjectChange::update: return groove(name).update(object);
      case ObjectChange::upsert: return groove(name).upsert(object);
    }
    UNREACHABLE();
  });
  call.end();
  return result;
}

GrooveEngine::Change EngineHost::remove_object(GrooveName name, u128 key) {
  Call call(*this, "remove");
  const GrooveEngine::Change result = call.engine([&] { return groove(name).remove(key); });
  call.end();
  return result;
}

GrooveEngine::Change EngineHost::insert_orphaned_id(GrooveName name, u128 id) {
  Call call(*this, "insert_orphaned_id");
  const GrooveEngine::Change result = call.engine([&] { return groove(name).insert_orphaned_id(id); });
  call.end();
  return result;
}

}  // namespace tonearm::sim
