// What comes out is what all streams have, and whatever is pending is probed to where the others are: that
// is what lets a dense stream leap over blocks, and nothing in the answers tells whether it was done.
#include "sim/component/zig_zag.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/component/support.h"
#include "sim/component/tested.h"
#include "sim/disk/keyed.h"
#include "table/zig_zag_merge.h"

namespace tonearm::sim {

namespace {

constexpr u64 greatest = u64{1} << 62;

struct Reader {
  u64 at = 0;
  u32 waited = 0;
  bool dry = false;  // It was moved while it was pending: so it is until it is read.
  u64 probed = 0;    // The place that the merge has probed it to last, from 1 on; 0: none.
};

class ZigZagStreams {
 public:
  ZigZagStreams(Referee& referee, std::span<const MergeScript> scripts, Direction direction)
      : referee_(&referee), scripts_(scripts), direction_(direction), readers_(scripts.size()) {}

  // --- as the merge sees them
  PeekResult peek(u32 stream, u64* timestamp) {
    const HarnessCode harness;
    const PeekResult head = head_of(stream);
    if (head == PeekResult::value) *timestamp = timestamp_of(place_of(stream));
    return head;
  }
  void pop(u32 stream) {
    const HarnessCode harness;
    check(*referee_, head_of(stream) == PeekResult::value, "zig-zag: a row is taken that is not there",
          [&] { return fmt::format("of stream {}", stream); });
    advance(&readers_[stream]);
  }
  void probe(u32 stream, u64 timestamp) {
    const HarnessCode harness;
    Reader& reader = readers_[stream];
    const u64 place = place_at(timestamp);
    check(*referee_, reader.probed != place + 1, "zig-zag: probed to where it was",
          [&] { return fmt::format("stream {} to place {}", stream, place); });
    reader.probed = place + 1;
    seek(stream, place);
  }

  // --- as their owner does
  void read() {
    for (u32 stream = 0; stream < readers_.size(); ++stream) {
      Reader& reader = readers_[stream];
      if (head_of(stream) == PeekResult::pending && !std::exchange(reader.dry, false)) ++reader.waited;
    }
  }
  void seek_all(u64 place) {
    for (u32 stream = 0; stream < readers_.size(); ++stream) {
      seek(stream, place);
      readers_[stream].probed = 0;
    }
  }
  // Of streams that are pending: those with a head agree on it, and each pending one is probed there.
  void compare_pending() const {
    u64 agreed = u64_max;
    for (u32 stream = 0; stream < readers_.size(); ++stream) {
      if (head_of(stream) != PeekResult::value) continue;
      if (agreed == u64_max) agreed = place_of(stream);
      check(*referee_, place_of(stream) == agreed, "zig-zag: pending before the others agree", [&] {
        return fmt::format("stream {} is at {}, another at {}", stream, place_of(stream), agreed);
      });
    }
    for (u32 stream = 0; stream < readers_.size() && agreed != u64_max; ++stream) {
      if (head_of(stream) != PeekResult::pending) continue;
      check(*referee_, readers_[stream].probed == agreed + 1, "zig-zag: a pending stream is not probed", [&] {
        return fmt::format("stream {} was last probed to {}, the others are at {}", stream,
                           readers_[stream].probed, agreed + 1);
      });
    }
  }
  u64 place_at(u64 timestamp) const {
    return direction_ == Direction::ascending ? timestamp - 1 : greatest - timestamp;
  }

 private:
  u64 timestamp_of(u64 place) const {
    return direction_ == Direction::ascending ? place + 1 : greatest - place;
  }
  u64 place_of(u32 stream) const { return scripts_[stream].rows[readers_[stream].at].place; }
  PeekResult head_of(u32 stream) const {
    const Reader& reader = readers_[stream];
    const bool last = reader.at == scripts_[stream].rows.size();
    const u32 delay = last ? scripts_[stream].end_delay : scripts_[stream].rows[reader.at].delay;
    if (reader.dry || reader.waited < delay) return PeekResult::pending;
    return last ? PeekResult::end : PeekResult::value;
  }
  static void advance(Reader* reader) {
    ++reader->at;
    reader->waited = 0;
  }
  void seek(u32 stream, u64 place) {
    readers_[stream].dry = head_of(stream) == PeekResult::pending;
    while (readers_[stream].at < scripts_[stream].rows.size() && place_of(stream) < place) {
      advance(&readers_[stream]);
    }
  }

  Referee* referee_;
  std::span<const MergeScript> scripts_;
  Direction direction_;
  std::vector<Reader> readers_;
};

std::vector<u64> places_in_all(std::span<const MergeScript> scripts) {
  std::vector<u64> places;
  for (const MergeRow& row : scripts[0].rows) {
    const bool all = std::all_of(scripts.begin(), scripts.end(), [&row](const MergeScript& script) {
      return std::binary_search(script.rows.begin(), script.rows.end(), row,
                                [](const MergeRow& a, const MergeRow& b) { return a.place < b.place; });
    });
    if (all) places.push_back(row.place);
  }
  return places;
}

}  // namespace

void check_zig_zag(Referee& referee, std::span<const MergeScript> scripts, Direction direction, u64 random) {
  using Merge = ZigZagMergeOf<ZigZagStreams>;
  if (scripts.size() < 2 || scripts.size() > Merge::streams_max) return;
  ZigZagStreams streams(referee, scripts, direction);
  Tested<Merge> merge;
  merge.emplace();
  merge->init(streams, static_cast<u32>(scripts.size()), direction);
  const std::vector<u64> expected = places_in_all(scripts);
  std::size_t next = 0;
  u64 turns = 64;  // A pending stream may be moved on as often as there are rows.
  for (const MergeScript& script : scripts) {
    turns += 1 + script.end_delay;
    for (const MergeRow& row : script.rows) turns += 4 + row.delay;
  }
  for (u64 turn = 0;; ++turn) {
    check(referee, turn <= turns, "zig-zag: it does not end", [&] { return fmt::format("{} turns", turn); });
    u64 timestamp = 0;
    const Merge::Result result = merge->pop(&timestamp);
    if (result == Merge::Result::end) break;
    if (result == Merge::Result::pending) {
      streams.compare_pending();
      streams.read();
    } else {
      const u64 place = streams.place_at(timestamp);
      check(referee, next < expected.size() && expected[next] == place, "zig-zag: another row", [&] {
        return fmt::format("place {}, expected {}", place, next < expected.size() ? expected[next] : u64_max);
      });
      ++next;
    }
    if (below(remix(random, turn), 16) != 0) continue;
    // Maybe behind what was returned: then nothing changes.
    const u64 from = next == 0 ? 0 : expected[next - 1];
    const u64 to = from + below(remix(random, ~turn), 8);
    streams.seek_all(to);
    merge->reset();
    while (next < expected.size() && expected[next] < to) ++next;
  }
  check(referee, next == expected.size(), "zig-zag: rows are missing",
        [&] { return fmt::format("{} rows came, expected {}", next, expected.size()); });
}

}  // namespace tonearm::sim
