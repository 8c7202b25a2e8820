// Workload `merge`: the k-way merge of sorted streams that may be pending, against a linear search for
// the next row and a stable sort of all rows.
//
// Each stream has a script: the rows that it delivers, how long each is pending before it can be seen,
// whether the stream ends behind them. Lines write the scripts, always behind what was read; merge and
// model read them separately. Compared are: status and row of every pop, from which streams rows are
// taken and in which order (those too that are dropped), which stream is pending, and at the end all
// that came out.
//
// Rows stand at places 0, 1, 2, ... in the order of the merge, whatever type and direction its keys
// have. The option that matters: key_universe, the number of places.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "sim/component/component.h"
#include "sim/component/key_line.h"
#include "sim/component/tested.h"
#include "sim/component/zig_zag.h"
#include "table/k_way_merge.h"
#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

using Result = KWayMerge::Result;

constexpr u32 value_size_max = 48;
constexpr u32 no_stream = ~u32{0};
constexpr u64 rows_max = 20'000;  // Of a merge.
constexpr u64 rows_intersected_max = 4'000;

using Row = MergeRow;
using Script = MergeScript;

// How far a stream was read.
struct Reader {
  u64 at = 0;
  u32 waited = 0;

  PeekResult peek(const Script& script) {
    const bool last = at == script.rows.size();
    if (last && !script.ended) return PeekResult::pending;
    if (waited < (last ? script.end_delay : script.rows[at].delay)) {
      ++waited;
      return PeekResult::pending;
    }
    return last ? PeekResult::end : PeekResult::value;
  }
  void advance() { ++at, waited = 0; }
  void seek(const Script& script, u64 place) {
    while (at < script.rows.size() && script.rows[at].place < place) advance();
  }
};

struct Shape {
  KeyType type = KeyType::kv;
  KeyLayout layout = KeyLayout::low;
  u32 streams = 3;
  Direction direction = Direction::ascending;
};

// A value as a tree of the type stores it.
class Encoder {
 public:
  Encoder(const Shape& shape, u64 places) : shape_(shape), line_(shape.type, shape.layout, places) {}

  Key key(u64 place) const {
    return line_.key(shape_.direction == Direction::ascending ? place : line_.count() - 1 - place);
  }
  void encode(const Row& row, std::byte* value) const {
    const Key key = this->key(row.place);
    std::memset(value, 0, value_size_max);
    switch (shape_.type) {
      case KeyType::kv:
        return put(KvTraits::Value{.key_and_flag = static_cast<u64>(key.lo), .payload = row.number}, value);
      case KeyType::index:
        return put(IndexTraits::Value{.field = static_cast<u64>(key.lo >> 64),
                                      .timestamp_and_flag = static_cast<u64>(key.lo)},
                   value);
      case KeyType::id:
        return put(IdTraits::Value{.id = key.lo, .timestamp_and_flag = row.number, .zero = 0}, value);
      case KeyType::wide: {
        std::memcpy(value, &key, sizeof(key));
        std::memcpy(value + sizeof(key), &row.number, sizeof(row.number));
        return;
      }
    }
    UNREACHABLE();
  }
  // As the engine reads it.
  Key decode_key(const std::byte* value) const {
    switch (shape_.type) {
      case KeyType::kv: return kv_kernel.key_of(value);
      case KeyType::index: return index_kernel.key_of(value);
      case KeyType::id: return id_kernel.key_of(value);
      case KeyType::wide: break;
    }
    Key key;
    std::memcpy(&key, value, sizeof(key));
    return key;
  }

 private:
  template <class Value>
  static void put(const Value& from, std::byte* value) {
    static_assert(sizeof(Value) <= value_size_max);
    std::memcpy(value, &from, sizeof(from));
  }

  Shape shape_;
  KeyLine line_;
};

// The streams as the merge sees them. A value pointer lives until its stream is touched, so each
// stream has one place for its value, which every touch overwrites.
class Streams final : public MergeSource {
 public:
  Streams(Referee& referee, const std::vector<Script>& scripts, const Encoder& encoder)
      : referee_(&referee), scripts_(&scripts), encoder_(&encoder) {}

  void reset() {
    readers_.assign(scripts_->size(), Reader{});
    heads_.assign(scripts_->size(), Head{});
  }

  PeekResult peek(u32 stream, Key* key) override {
    const HarnessCode harness;
    Head& head = touch(stream);
    ++peeks;
    const PeekResult result = readers_[stream].peek((*scripts_)[stream]);
    head.seen = result == PeekResult::value;
    if (result == PeekResult::pending) pending = stream;
    if (!head.seen) return result;
    encoder_->encode((*scripts_)[stream].rows[readers_[stream].at], head.value.data());
    *key = encoder_->decode_key(head.value.data());
    return result;
  }

  const std::byte* pop(u32 stream) override {
    const HarnessCode harness;
    Head& head = touch(stream);
    if (!head.seen) {
      referee_->fail(FailureClass::oracle, "a row is taken that was not seen",
                     fmt::format("stream {} is popped, but its last peek showed no value", stream));
    }
    encoder_->encode((*scripts_)[stream].rows[readers_[stream].at], head.value.data());
    readers_[stream].advance();
    head.seen = false;
    taken.push_back(stream);
    return head.value.data();
  }

  void seek(u32 stream, u64 place) {
    readers_[stream].seek((*scripts_)[stream], place);
    touch(stream).seen = false;
  }

  std::vector<u32> taken;   // Streams, in the order of pops; cleared by who reads it.
  u32 pending = no_stream;  // The last that was.
  u64 peeks = 0;

 private:
  struct Head {
    alignas(16) std::array<std::byte, value_size_max> value{};
    bool seen = false;
  };
  Head& touch(u32 stream) {
    if (stream >= heads_.size()) {
      referee_->fail(FailureClass::oracle, "no such stream",
                     fmt::format("stream {} of {} is asked", stream, heads_.size()));
    }
    heads_[stream].value.fill(std::byte{0xdd});
    return heads_[stream];
  }

  Referee* referee_;
  const std::vector<Script>* scripts_;
  const Encoder* encoder_;
  std::vector<Reader> readers_;
  std::vector<Head> heads_;
};

// What one pop should do, by looking at every stream.
struct Model {
  struct Answer {
    Result result = Result::end;
    u32 stream = no_stream;  // Of the row, or the one that is pending.
    Row row{};
  };

  Answer pop(const std::vector<Script>& scripts) {
    taken.clear();
    for (;;) {
      // At first all streams are asked; afterwards only the one whose head was taken.
      const u32 count = static_cast<u32>(scripts.size());
      const u32 first = loaded && last != no_stream ? last : 0;
      const u32 end = !loaded ? count : last != no_stream ? last + 1 : 0;
      for (u32 i = first; i < end; ++i) {
        ++peeks;
        if (readers[i].peek(scripts[i]) == PeekResult::pending)
          return {.result = Result::pending, .stream = i};
      }
      loaded = true;
      last = no_stream;
      u32 best = no_stream;
      for (u32 i = 0; i < count; ++i) {
        if (readers[i].at == scripts[i].rows.size()) continue;
        if (best == no_stream || head(scripts, i).place < head(scripts, best).place) best = i;
      }
      if (best == no_stream) return {};
      const Row row = head(scripts, best);
      readers[best].advance();
      taken.push_back(best);
      last = best;
      if (place && *place == row.place) {
        ++dropped;
        continue;
      }
      place = row.place;
      return {.result = Result::value, .stream = best, .row = row};
    }
  }
  const Row& head(const std::vector<Script>& scripts, u32 stream) const {
    return scripts[stream].rows[readers[stream].at];
  }

  std::vector<Reader> readers;
  std::vector<u32> taken;    // In the last pop.
  std::optional<u64> place;  // Of the last row returned.
  u64 dropped = 0;
  u64 peeks = 0;
  bool loaded = false;
  u32 last = no_stream;  // Its head was taken and not seen again since.
};

const char* name_of(Result result) {
  return result == Result::value ? "a row" : result == Result::end ? "the end" : "pending";
}

std::string stream_text(u32 stream) {
  return stream == no_stream ? std::string() : fmt::format(" of stream {}", stream);
}

class MergeComponent final : public Component {
 public:
  explicit MergeComponent(Referee& referee)
      : referee_(&referee),
        places_(std::clamp<u64>(referee.options().key_universe, 2, KeyLine::count_max)),
        random_("merge rows", stream_seed(referee.seed(), "merge rows")),
        encoder_(shape_, places_),
        source_(referee, scripts_, encoder_) {
    merge_.emplace();
    const u64 random = random_.at(u64_max);
    begin(random % 16, 1 + random / 16 % 12, random / 256 % 2 != 0);
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    const auto& a = line.arguments;
    if (verb == "begin") {
      begin(a[0], a[1], a[2] != 0);
    } else if (verb == "serve") {
      feed(source_.pending == no_stream ? 0 : source_.pending, a[0], a[1], a[2] != 0);
    } else if (verb == "feed") {
      feed(a[0], a[1], a[2], a[3] != 0);
    } else if (verb == "fill") {
      fill(a[0], a[1], a[2] != 0);
    } else if (verb == "stall") {
      stall(a[0], a[1], static_cast<u32>(a[2]));
    } else if (verb == "pop") {
      pops(a[0] + 1);
    } else if (verb == "seek") {
      seek(a[0]);
    } else {
      ASSERT(verb == "finish");
      finish();
    }
  }

  void finish() override {
    for (Script& script : scripts_) script.ended = true;
    const u64 limit = 8 * (rows_max + KWayMerge::streams_max);  // Each row may be delayed.
    for (u64 i = 0; i < limit && !over_; ++i) pop();
    check(over_, "finish: the merge does not end",
          [&] { return fmt::format("no end after {} pops", limit); });
  }

 private:
  void begin(u64 keys, u64 streams, bool descending) {
    shape_ = {.type = static_cast<KeyType>(keys % key_type_count),
              .layout = static_cast<KeyLayout>(keys / key_type_count % key_layout_count),
              .streams = static_cast<u32>(std::min<u64>(streams, KWayMerge::streams_max)),
              .direction = descending ? Direction::descending : Direction::ascending};
    begin();
  }

  void begin() {
    encoder_ = Encoder(shape_, places_);
    scripts_.assign(shape_.streams, Script{});
    source_.reset();
    source_.pending = no_stream;
    model_ = Model{};
    model_.readers.assign(shape_.streams, Reader{});
    returned_.clear();
    rows_ = 0;
    sought_from_ = 0;
    over_ = false;
    ++merges_;
    peeks_begin_ = source_.peeks;
    merge_->init(source_, shape_.streams, shape_.direction);
  }

  // A merge that has come to its end begins anew when there are rows for it again.
  void begin_if_over() {
    if (!over_ && shape_.streams > 0) return;
    if (shape_.streams == 0) shape_.streams = 3;
    begin();
  }

  void feed(u64 stream, u64 rows, u64 gap, bool dense) {
    begin_if_over();
    for (u32 i = 0; i < shape_.streams; ++i) {
      const u32 open = static_cast<u32>((stream + i) % shape_.streams);
      if (!scripts_[open].ended) return append(open, rows, gap, dense);
    }
    referee_->skip();
  }

  void fill(u64 rows, u64 gap, bool dense) {
    begin_if_over();
    for (u32 i = 0; i < shape_.streams; ++i) {
      if (!scripts_[i].ended) append(i, rows, gap, dense);
    }
  }

  // Dense rows stand together somewhere within the gap; the others are apart by up to as much.
  void append(u32 stream, u64 rows, u64 gap, bool dense) {
    Script& script = scripts_[stream];
    u64 place = script.rows.empty() ? 0 : script.rows.back().place + 1;
    place = std::max(place, sought_from_);
    for (u64 i = 0; i < rows && rows_ < rows_max; ++i) {
      if (i == 0 || !dense) place += below(random_.at(stream, rows_, merges_), gap + 1);
      if (place >= places_) break;
      script.rows.push_back({.place = place, .number = rows_});
      ++rows_;
      ++place;
    }
    if (rows == 0 || place >= places_ || rows_ == rows_max) script.ended = true;
  }

  void stall(u64 stream, u64 ahead, u32 peeks) {
    if (shape_.streams == 0) return referee_->skip();
    Script& script = scripts_[stream % shape_.streams];
    // The head may have been seen: it stays.
    const u64 index = model_.readers[stream % shape_.streams].at + 1 + ahead;
    if (index < script.rows.size()) {
      script.rows[index].delay = peeks;
    } else if (model_.readers[stream % shape_.streams].at < script.rows.size() || !script.ended) {
      script.end_delay = peeks;
    } else {
      referee_->skip();
    }
  }

  void pops(u64 times) {
    u32 idle = 0;
    for (u64 i = 0; i < times && idle < 3; ++i) idle = pop() == Result::value ? 0 : idle + 1;
  }

  void seek(u64 distance) {
    const u64 from = model_.place.value_or(0);
    const u64 target = std::min(from + distance, places_ - 1);
    for (u32 i = 0; i < shape_.streams; ++i) {
      const u64 at = model_.readers[i].at;
      model_.readers[i].seek(scripts_[i], target);
      source_.seek(i, target);
      for (u64 j = at; j < model_.readers[i].at; ++j) scripts_[i].rows[j].skipped = true;
    }
    sought_from_ = target;
    model_.loaded = false;
    model_.last = no_stream;
    merge_->reset();
  }

  Result pop() {
    const Model::Answer expected = model_.pop(scripts_);
    source_.taken.clear();
    const std::byte* value = nullptr;
    u32 stream = no_stream;
    const Result result = merge_->pop(&value, &stream);
    if (result == Result::pending) stream = source_.pending;
    if (result == Result::end) stream = no_stream;
    referee_->answer(static_cast<u64>(result), stream);
    check(result == expected.result, "pop: another status", [&] {
      return fmt::format("{}{}, expected {}{}", name_of(result), stream_text(stream),
                         name_of(expected.result), stream_text(expected.stream));
    });
    check(stream == expected.stream, "pop: another stream", [&] {
      return fmt::format("{}{}, expected{}", name_of(result), stream_text(stream),
                         stream_text(expected.stream));
    });
    check(source_.taken == model_.taken, "pop: rows of other streams", [&] {
      return fmt::format("rows of the streams {} were taken, expected {}", fmt::join(source_.taken, " "),
                         fmt::join(model_.taken, " "));
    });
    if (result == Result::value) compare_row(value, expected);
    check(source_.peeks - peeks_begin_ <= model_.peeks, "pop: more peeks than needed",
          [&] { return fmt::format("{} peeks, {} are enough", source_.peeks - peeks_begin_, model_.peeks); });
    if (result == Result::end && !over_) compare_all();
    return result;
  }

  void compare_row(const std::byte* value, const Model::Answer& expected) {
    std::array<std::byte, value_size_max> bytes;
    encoder_.encode(expected.row, bytes.data());
    check(std::memcmp(value, bytes.data(), value_size_max) == 0, "pop: another row", [&] {
      return fmt::format("not row {} at place {} of stream {}", expected.row.number, expected.row.place,
                         expected.stream);
    });
    returned_.push_back(expected.row.number);
  }

  // Streams in order, sorted by place and nothing else: the first of each place is what comes out.
  void compare_all() {
    over_ = true;
    std::vector<Row> rows;
    for (const Script& script : scripts_) {
      for (const Row& row : script.rows) {
        if (!row.skipped) rows.push_back(row);
      }
    }
    std::vector<u64> order(rows.size());
    std::iota(order.begin(), order.end(), u64{0});
    std::sort(order.begin(), order.end(), [&rows](u64 a, u64 b) {
      return rows[a].place != rows[b].place ? rows[a].place < rows[b].place : a < b;
    });
    std::vector<u64> expected;
    for (u64 i = 0; i < order.size(); ++i) {
      const Row& row = rows[order[i]];
      if (i == 0 || row.place != rows[order[i - 1]].place) expected.push_back(row.number);
    }
    check(returned_ == expected, "end: other rows came out", [&] {
      return fmt::format("{} rows came out, expected {} others", returned_.size(), expected.size());
    });
    const u64 dropped = rows.size() - expected.size();
    check(merge_->versions_dropped() == dropped, "end: another number of versions dropped", [&] {
      return fmt::format("{} older versions were dropped, expected {}", merge_->versions_dropped(), dropped);
    });
    referee_->answer(returned_.size(), dropped);
    // The same streams in a zig-zag merge, read from their beginning.
    if (rows_ > rows_intersected_max) return;
    check_zig_zag(*referee_, scripts_, shape_.direction, random_.at(merges_, rows_, u64_max));
  }

  std::string describe() const {
    return fmt::format("{} merge of {} streams, {} keys",
                       shape_.direction == Direction::ascending ? "ascending" : "descending", shape_.streams,
                       key_type_name(shape_.type));
  }
  template <class Text>
  void check(bool holds, const char* site, Text text) {
    referee_->check(holds, site, holds ? std::string() : fmt::format("{}: {}", describe(), text()));
  }

  Referee* referee_;
  u64 places_;
  Stream random_;
  Shape shape_;
  Encoder encoder_;
  std::vector<Script> scripts_;
  Streams source_;
  Tested<KWayMerge> merge_;
  Model model_;
  std::vector<u64> returned_;  // Numbers of the rows.
  u64 merges_ = 0;             // Begun so far.
  u64 rows_ = 0;               // Of this merge.
  u64 sought_from_ = 0;        // Streams were moved to this place.
  u64 peeks_begin_ = 0;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Component> make_merge(Referee& referee) { return std::make_unique<MergeComponent>(referee); }

}  // namespace tonearm::sim
