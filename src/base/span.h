// Spans name what the engine is busy with over a stretch of time: a beat, a lookup, a refill of a scan.
//
// As with marks, the engine only announces them and a harness may listen, to draw a run over its
// (virtual) time. Without a hook a span is one predictable branch at each end. What a crash interrupts
// never ends.
#pragma once

#include "base/types.h"

namespace tonearm {

// One line each: identifier, and how a person would call it.
#define TONEARM_SPANS(X)                        \
  X(format, "format")                           \
  X(open, "open")                               \
  X(beat, "beat")                               \
  X(half_bar, "half-bar")                       \
  X(checkpoint, "checkpoint")                   \
  X(compaction, "compaction")                   \
  X(manifest_compaction, "manifest compaction") \
  X(lookup, "lookup")                           \
  X(prefetch, "prefetch")                       \
  X(prefetch_worker, "prefetch worker")         \
  X(scan_refill, "scan refill")                 \
  X(scan_level, "scan level")                   \
  X(scan_lookup, "scan lookup")

enum class SpanKind : u8 {
#define X(name, text) name,
  TONEARM_SPANS(X)
#undef X
};

inline constexpr u32 span_kind_count = 0
#define X(name, text) +1
    TONEARM_SPANS(X)
#undef X
    ;

const char* span_name(SpanKind kind);

// Where a span has no tree or level, both are 0. A compaction's level is the one it writes.
struct SpanPlace {
  u16 tree = 0;
  u8 level = 0;
};

// `owner` and the kind tell which span ends: one owner has one span of a kind at a time. It is an
// address, so nothing may depend on its value.
struct SpanHook {
  void* context = nullptr;
  void (*begins)(void* context, SpanKind kind, const void* owner, SpanPlace place) = nullptr;
  void (*ends)(void* context, SpanKind kind, const void* owner) = nullptr;
};
SpanHook set_span_hook(SpanHook hook);  // Returns the old one.

namespace detail {
extern SpanHook span_hook;
}

inline void span_begins(SpanKind kind, const void* owner, SpanPlace place = {}) {
  if (detail::span_hook.begins != nullptr) {
    detail::span_hook.begins(detail::span_hook.context, kind, owner, place);
  }
}

inline void span_ends(SpanKind kind, const void* owner) {
  if (detail::span_hook.ends != nullptr) detail::span_hook.ends(detail::span_hook.context, kind, owner);
}

}  // namespace tonearm
