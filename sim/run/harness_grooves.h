// The structs of the harness's own grooves, as the engine is given them. How the fields are named in a
// scenario is in scenario/schema.h, which knows only their places; the static assertions in
// groove_engine.cpp compare the two.
//
//   things   an id and 13 fields, each with an index
//   notes    an id that may be orphaned; optional, derived, existence-only, enum and 128-bit fields
//   events   keyed by timestamp, without a cache
//   readings keyed by timestamp, with one; optional and derived fields of 128 bits
#pragma once

#include "base/types.h"

namespace tonearm::sim::objects {

struct Thing {
  u128 id;
  u64 a, b, c, d, e, f, g, h, i, j, k, l, m;
  u64 timestamp;
};
static_assert(sizeof(Thing) == 128);

enum class NoteKind : u8 {};  // Every number is one.

struct Note {
  u128 id;
  u128 topic;
  u64 author;
  u64 pinned;
  u64 size;
  u64 flags;
  u64 timestamp;
  NoteKind kind;
  u8 reserved[7];
  u64 body[6];
};
static_assert(sizeof(Note) == 128);

struct Event {
  u64 timestamp;
  u64 source;
  u32 weight;
  u32 length;
  u64 body[5];
};
static_assert(sizeof(Event) == 64);

struct Reading {
  u128 label;
  u64 timestamp;
  u64 sensor;
  u64 peak;
  u64 body[3];
};
static_assert(sizeof(Reading) == 64);

}  // namespace tonearm::sim::objects
