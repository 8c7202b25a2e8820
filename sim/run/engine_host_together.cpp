// Several who read at the same time. Nothing in src/groove or src/scan forbids it: a prefetch changes the
// object cache and no answer, and a lookup copies what it finds at once. So each must come to what it comes
// to alone.
#include <algorithm>

#include "sim/run/engine_call.h"

namespace tonearm::sim {

struct EngineHost::ReaderAtWork {
  EngineHost* host;
  Reader* reader;
  Scan* scan = nullptr;  // Null: a prefetch.
  u32 lookup = 0;        // Of its groove.
  bool waits = false;
  bool over = false;
  bool begun = false;

  void done() {
    ASSERT(waits);
    waits = false;
    host->done_ = true;
  }
  Callback<> callback() { return Callback<>::to<&ReaderAtWork::done>(this); }
};

// Goes on until it waits or is over.
void EngineHost::advance(ReaderAtWork& at) {
  Reader& reader = *at.reader;
  GrooveEngine& groove = this->groove(reader.request.groove);
  const bool first = !std::exchange(at.begun, true);
  const auto wait = [&at](auto&& submit) {
    at.waits = true;
    submit();
    if (!at.waits) at.host->interrupt_->stuck("the call is done before it returns");
  };
  if (reader.kind == Reader::Kind::prefetch) {
    at.over = !first;
    if (at.over) return void(reader.error = groove.prefetch_error());
    return wait([&] { groove.prefetch(at.callback()); });
  }
  if (reader.kind == Reader::Kind::scan) {
    while (reader.timestamps.size() < reader.limit) {
      u64 timestamp = 0;
      switch (at.scan->next(&timestamp)) {
        case Scan::Next::value: {
          const HarnessCode harness;
          reader.timestamps.push_back(timestamp);
          continue;
        }
        case Scan::Next::read_again: return wait([&] { at.scan->read(at.callback()); });
        case Scan::Next::failed: reader.error = at.scan->error(); break;
        case Scan::Next::end: break;
      }
      break;
    }
    at.over = true;
    return;
  }
  const GrooveSpec& spec = groove_spec(reader.request.groove);
  const HarnessCode harness;
  if (!first) {
    const u64 found = groove.lookup_count(at.lookup);
    const u64 at_least = reader.timestamps.size();
    for (u64 i = 0; i < found; ++i) {
      u64 timestamp = 0;
      std::memcpy(&timestamp,
                  reader.objects.data() + (at_least + i) * spec.object_bytes + spec.timestamp_offset,
                  sizeof timestamp);
      reader.timestamps.push_back(timestamp);
    }
    const LookupState state = groove.lookup_state(at.lookup);
    const u64 wanted = reader.objects.size() / spec.object_bytes - at_least;
    if (state == LookupState::buffer_finished && found != wanted) reader.broken = "buffer_finished too early";
    if (state == LookupState::scan_finished && found >= wanted) reader.broken = "scan_finished too early";
    if (state == LookupState::failed) reader.error = groove.lookup_error(at.lookup);
    at.over = state != LookupState::buffer_finished || reader.timestamps.size() >= reader.limit;
    if (at.over) return;
  }
  const u64 had = reader.timestamps.size();
  reader.objects.resize((had + std::min(reader.buffer, reader.limit - had)) * spec.object_bytes);
  const std::span<std::byte> objects = std::span(reader.objects).subspan(had * spec.object_bytes);
  const EngineCode engine;
  wait([&] { groove.lookup_read(at.lookup, objects, at.callback()); });
}

void EngineHost::read_together(std::span<Reader> readers) {
  std::vector<ReaderAtWork> work;
  work.reserve(readers.size());
  std::array<u32, groove_count> lookups{};
  Call call(*this, "reading together");
  for (Reader& reader : readers) {
    ReaderAtWork at{.host = this, .reader = &reader};
    const u32 groove_at = static_cast<u32>(reader.request.groove);
    if (reader.kind == Reader::Kind::prefetch) {
      keys_enqueued_[groove_at] = 0;
    } else {
      at.scan = call.engine([&] { return build(reader.request, 0); });
      reader.refused = at.scan == nullptr;
      if (reader.refused) continue;
    }
    if (reader.kind == Reader::Kind::lookup) {
      at.lookup = lookups[groove_at]++;
      call.engine(
          [&] { groove(reader.request.groove).lookup_begin(at.lookup, *at.scan, reader.request.cold); });
    }
    work.push_back(at);
  }
  for (;;) {
    for (ReaderAtWork& at : work) {
      if (!at.waits && !at.over) call.engine([&] { advance(at); });
    }
    const bool any = std::any_of(work.begin(), work.end(), [](const ReaderAtWork& at) { return at.waits; });
    if (!any) break;
    // Until one of them is done, or several are in one step.
    constexpr u64 passes = 64;
    pump({.passes = passes});
  }
  for (const ReaderAtWork& at : work) {
    if (at.scan != nullptr) call.engine([&] { engine_->scans()->release(at.scan); });
  }
  call.end();
}

}  // namespace tonearm::sim
