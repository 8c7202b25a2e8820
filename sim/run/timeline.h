// Whoever draws a run over its virtual time: told what is played and what the engine is busy with.
//
// The requests of the disk are events already, see RunConfig::event_listener. A timeline only looks: a run
// with one has the same digests as one without.
#pragma once

#include "base/mark.h"
#include "base/span.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

class Timeline {
 public:
  virtual void line_begins(u64 tick, const Operation& line) = 0;
  // `owner` is unique among the spans of a kind that have begun and not ended; a crash ends all.
  virtual void span_begins(u64 tick, SpanKind kind, const void* owner, SpanPlace place) = 0;
  virtual void span_ends(u64 tick, SpanKind kind, const void* owner) = 0;
  virtual void mark_hit(u64 tick, Mark mark, u16 tree) = 0;

 protected:
  ~Timeline() = default;
};

}  // namespace tonearm::sim
