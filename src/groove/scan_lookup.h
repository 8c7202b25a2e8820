// The objects of a scan, in its order, a buffer at a time:
//
//     ScanLookup<Songs> lookup(songs, *scan);
//     std::array<Song, 10> page;
//     do {
//       lookup.read(page, done);                          // Wait for `done`, which never runs inside the
//       call. for (const Song& song : std::span(page).first(lookup.count())) ...
//     } while (lookup.state() == LookupState::buffer_finished);
//
// States and order are told in groove/object_lookup.h. After `buffer_finished` there may be more: read() goes
// on, or some op later a new scan does, of the timestamps beyond the last one.
//
// Nothing may change, and the scan may not be read by somebody else, until the last read().
#pragma once

#include "groove/groove.h"
#include "groove/object_lookup.h"

namespace tonearm {

template <class Description>
class ScanLookup {
 public:
  using Object = typename Description::Object;

  // `cold`: no cached object or block may answer.
  ScanLookup(Groove<Description>& groove, Scan& scan, bool cold = false)
      : lookup_(groove.lookup_source(), scan, cold) {}

  // Only if idle or buffer_finished; at least one object.
  void read(std::span<Object> buffer, Callback<> done) { lookup_.read(std::as_writable_bytes(buffer), done); }

  LookupState state() const { return lookup_.state(); }
  u32 count() const { return lookup_.count(); }  // Objects in the buffer, once read() is done.
  const Error& error() const { return lookup_.error(); }

 private:
  ObjectLookup lookup_;
};

}  // namespace tonearm
