#include "groove/object_lookup.h"

#include <cstring>
#include <utility>

#include "base/mark.h"

namespace tonearm {

ObjectLookup::ObjectLookup(const Source& source, Scan& scan, bool cold)
    : source_(source), scan_(&scan), cold_(cold), object_size_(source.objects->layout().value_size) {
  ASSERT(source.workers >= 1 && source.workers <= lookup_workers_max);
  for (Worker& worker : workers_) worker.owner = this;
}

void ObjectLookup::read(std::span<std::byte> buffer, Callback<> done) {
  ASSERT(state_ == LookupState::idle || state_ == LookupState::buffer_finished);
  ASSERT(buffer.size() >= object_size_);
  ASSERT(done);
  ASSERT(working_ == 0);
  buffer_ = buffer;
  capacity_ = static_cast<u32>(buffer.size() / object_size_);
  count_ = 0;
  done_ = done;
  if (scan_->wants_read()) {
    state_ = LookupState::scanning;
    scan_->read(Callback<>::to<&ObjectLookup::scan_read>(this));
    return;
  }
  // The last buffer was full before the scan had run dry.
  mark(Mark::lookup_resumed_seeking, source_.objects->config().id);
  state_ = LookupState::looking_up;
  next_tick_.done = Callback<Storage::NextTick&>::to<&ObjectLookup::tick_done>(this);
  source_.objects->storage().next_tick(next_tick_);
}

// One is counted in addition while workers start, so that only the end of this call can be the end of all of
// them.
void ObjectLookup::begin() {
  ASSERT(working_ == 0);
  state_ = LookupState::looking_up;
  working_ = 1;
  for (u32 i = 0; i < source_.workers && state_ == LookupState::looking_up; ++i) work(workers_[i]);
  if (working_ > 2) mark(Mark::lookup_parallel, source_.objects->config().id);
  worker_done();
}

// Takes timestamps until one has to be waited for, or nobody may take any.
void ObjectLookup::work(Worker& worker) {
  while (state_ == LookupState::looking_up) {
    u64 timestamp = 0;
    if (!next(&timestamp)) return;
    const u32 slot = count_++;
    u32 level_min = 0;
    if (find_at_hand(timestamp, slot, &level_min)) continue;
    worker.slot = slot;
    return submit(worker, timestamp, level_min);
  }
}

// False: this worker has decided what comes next.
bool ObjectLookup::next(u64* timestamp) {
  if (count_ == capacity_) {
    mark(Mark::lookup_buffer_finished, source_.objects->config().id);
    state_ = LookupState::buffer_finished;
    return false;
  }
  switch (scan_->next(timestamp)) {
    case Scan::Next::value: return true;
    case Scan::Next::read_again: state_ = LookupState::scanning; return false;
    case Scan::Next::end: state_ = LookupState::scan_finished; return false;
    case Scan::Next::failed:
      error_ = scan_->error();
      state_ = LookupState::failed;
      return false;
  }
  UNREACHABLE();
}

// Newest first. What the levels do not hold at all was an index entry without an object.
bool ObjectLookup::find_at_hand(u64 timestamp, u32 slot, u32* level_min) {
  Tree& objects = *source_.objects;
  const Key key = Key::of(timestamp);
  if (const std::byte* object = objects.lookup_from_memory(key)) {
    mark(Mark::lookup_object_memory, objects.config().id, &key);
    store(timestamp, slot, object);
    return true;
  }
  if (cold_) return false;
  std::byte* const target = buffer_.data() + u64{slot} * object_size_;
  if (source_.cache != nullptr && source_.cache->copy(timestamp, target)) {
    mark(Mark::lookup_object_cached, objects.config().id, &key);
    return true;
  }
  const Tree::CacheLookup cached = objects.lookup_from_levels_cache(key);
  ASSERT(cached.kind != Tree::CacheLookup::Kind::negative);
  *level_min = cached.level;
  if (cached.kind == Tree::CacheLookup::Kind::possible) return false;
  store(timestamp, slot, cached.value);
  return true;
}

void ObjectLookup::store(u64 timestamp, u32 slot, const std::byte* object) {
  ASSERT(slot < count_);
  ASSERT(source_.objects->kernel().key_of(object) == Key::of(timestamp));
  ASSERT(!source_.objects->kernel().is_tombstone(object));
  std::memcpy(buffer_.data() + u64{slot} * object_size_, object, object_size_);
}

void ObjectLookup::submit(Worker& worker, u64 timestamp, u32 level_min) {
  ++working_;
  worker.lookup.key = Key::of(timestamp);
  worker.lookup.level_min = level_min;
  worker.lookup.cache_read = !cold_;
  worker.lookup.done = Callback<Tree::Lookup&>::plain(&worker, [](void* context, Tree::Lookup&) {
    Worker& self = *static_cast<Worker*>(context);
    self.owner->lookup_done(self);
  });
  source_.objects->lookup_from_levels_storage(worker.lookup);
}

void ObjectLookup::lookup_done(Worker& worker) {
  const Tree::Lookup& lookup = worker.lookup;
  if (lookup.error) {
    error_ = lookup.error;
    state_ = LookupState::failed;
  } else {
    ASSERT(lookup.found && "every entry of an index has its object");
    store(static_cast<u64>(lookup.key.lo), worker.slot, lookup.value.data());
    work(worker);
  }
  worker_done();
}

void ObjectLookup::worker_done() {
  ASSERT(working_ > 0);
  --working_;
  if (working_ > 0) return;
  ASSERT(state_ != LookupState::looking_up);  // Somebody would have gone on.
  if (state_ == LookupState::scanning) return scan_->read(Callback<>::to<&ObjectLookup::scan_read>(this));
  if (state_ == LookupState::failed) count_ = 0;
  buffer_ = {};
  const Callback<> done = std::exchange(done_, {});
  done();
}

}  // namespace tonearm
