// The bound of steps, derived anew: a disk that lets every block be read and repaired, but only at the last
// of all tries that are allowed. No call may take longer, and none may be called stuck.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/variation.h"
#include "sim/disk/engine_code.h"
#include "sim/run/player.h"
#include "sim/run/test_host.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

constexpr u32 attempts_max = 64;

// Of the tries of one block on one side, from 1, which are bad. Where what was read well is read once more,
// one that is good in the last but one of the tries starts them anew.
struct Tries {
  bool repeated;

  u32 count() const { return repeated ? 2 * attempts_max - 1 : attempts_max; }
  bool bad(u32 attempt, bool bad_to_the_end) const {
    if (repeated && attempt == attempts_max - 1) return false;
    return bad_to_the_end || attempt < count();
  }
};

// Whom to call at last.
template <class Request>
class InFlight {
 public:
  void add(const Request& request) { waiting_.emplace_back(&request, request.done); }
  Callback<Request&> take(const Request& request) {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const auto& each) { return each.first == &request; });
    ASSERT(found != waiting_.end());
    const Callback<Request&> done = found->second;
    waiting_.erase(found);
    return done;
  }

 private:
  std::vector<std::pair<const Request*, Callback<Request&>>> waiting_;
};

// One side of the disk. The first one is bad to the end, so that the mirror is asked; that is good at last,
// and so is the write that repairs the first.
class Side final : public Storage {
 public:
  Side(Storage& disk, bool bad_to_the_end, Tries tries)
      : disk_(&disk), bad_to_the_end_(bad_to_the_end), tries_(tries) {}

  void strike() { reads_.clear(), writes_.clear(), struck_ = true; }
  void rest() { struck_ = false; }
  u64 reads_most() const { return most(reads_); }
  u64 writes_most() const { return most(writes_); }

  void read(Read& read) override {
    const HarnessCode harness;
    in_flight_reads_.add(read);
    read.done = Callback<Read&>::to<&Side::read_done>(this);
    disk_->read(read);
  }
  void write(Write& write) override {
    const HarnessCode harness;
    in_flight_writes_.add(write);
    write.done = Callback<Write&>::to<&Side::write_done>(this);
    disk_->write(write);
  }
  void sync(Sync& sync) override { disk_->sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

 private:
  using Counts = std::map<u64, u32>;  // By offset, since strike().

  static u64 most(const Counts& counts) {
    u64 most = 0;
    for (const auto& [offset, count] : counts) most = std::max<u64>(most, count);
    return most;
  }
  void read_done(Read& read) {
    {
      const HarnessCode harness;
      read.done = in_flight_reads_.take(read);
      if (struck_ && tries_.bad(++reads_[read.offset], bad_to_the_end_)) read.result = IoResult::failed;
    }
    read.done(read);
  }
  void write_done(Write& write) {
    {
      const HarnessCode harness;
      write.done = in_flight_writes_.take(write);
      if (struck_ && ++writes_[write.offset] < attempts_max) write.result = IoResult::failed;
    }
    write.done(write);
  }

  Storage* disk_;
  bool bad_to_the_end_;
  Tries tries_;
  bool struck_ = false;
  Counts reads_;
  Counts writes_;
  InFlight<Read> in_flight_reads_;
  InFlight<Write> in_flight_writes_;
};

struct Sides final : StorageSeam {
  Sides(SimStorage& disk, bool with_mirror, Tries tries) : first(disk, with_mirror, tries) {
    if (with_mirror) mirror.emplace(disk.mirror(), false, tries);
  }
  Storage& over(SimStorage&) override { return first; }
  Storage& over_mirror(SimStorage&) override { return *mirror; }
  void strike() {
    first.strike();
    if (mirror) mirror->strike();
  }
  void rest() {
    first.rest();
    if (mirror) mirror->rest();
  }

  Side first;
  std::optional<Side> mirror;
};

constexpr u64 keys_count = 1500;
Key key_of(u64 number) { return Key::of(2 * number + 1); }

void fill(EngineHost& host) {
  REQUIRE_FALSE(host.format());
  REQUIRE_FALSE(host.open());
  for (u64 number = 0; number < keys_count; ++number) {
    const Key key = key_of(number * 619 % keys_count);
    const Encoded value = encode_value(TreeName::kv, key, number);
    REQUIRE(host.tree(TreeName::kv).put(value.bytes.data()) == PutResult::ok);
    if (number % 10 != 9) continue;
    const u64 op = host.forest().op() + 1;
    REQUIRE_FALSE(host.compact(op));
    if (host.forest().checkpoint_due(op)) REQUIRE_FALSE(host.checkpoint());
    host.forest().mark_checkpoint_durable();
  }
}

u64 levels_with_tables(Tree& tree) {
  u64 levels = 0;
  for (u32 level = 0; level < tree.manifest().levels(); ++level) {
    if (!tree.manifest().level(level).empty()) ++levels;
  }
  return levels;
}

VariationSource repeats_reads() {
  return {.context = nullptr,
          .ask = [](void*, Variation, u64, u64) -> u64 { return 1; },
          .sites = u32{1} << static_cast<u32>(Variation::read_repeated)};
}

void look_up_at_the_last_try(bool with_mirror, bool repeated) {
  RunOptions options;
  options.format.levels = 6;
  options.format.growth = 2;
  options.format.batch_values_max = 10;
  options.runtime.cache_blocks = 16;
  options.runtime.read_attempts_max = attempts_max;
  options.disk.mirror = with_mirror;
  if (repeated) options.vary[static_cast<u32>(Variation::read_repeated)] = {.numerator = 1, .denominator = 1};
  finish_options(&options);
  REQUIRE(validate_run("tree", options) == "");

  StrictInterrupt strict;
  EngineMemory memory;
  PageStore pages;
  SimStorage disk(pages, options.disk, nullptr);
  const Tries tries{.repeated = repeated};
  Sides sides(disk, with_mirror, tries);
  const World world = world_of_run("tree", options);
  u64 most = 0;
  {
    EngineHost host(world, disk, options, memory, strict, 0, &sides);
    fill(host);
    const u64 levels = levels_with_tables(host.tree(TreeName::kv));
    REQUIRE(levels >= 3);
    const VariationSource before = set_variation_source(repeated ? repeats_reads() : VariationSource{});
    u64 blocks_most = 0;
    // Of keys that are there, and of those between them, for which every level is asked.
    for (u64 number = 0; number < 300; ++number) {
      const Key key = number % 2 == 0 ? key_of(number) : Key::of(2 * number);
      const u64 steps = disk.steps();
      const u64 reads = host.blocks_read();
      sides.strike();
      const Answer answer = host.get(TreeName::kv, key, true);
      sides.rest();
      CHECK_FALSE(answer.error);
      CHECK(answer.value.has_value() == (number % 2 == 0));
      most = std::max(most, disk.steps() - steps);
      blocks_most = std::max(blocks_most, host.blocks_read() - reads);
      if (sides.first.reads_most() == 0) continue;  // It is in memory, or in a gap between tables.
      CHECK(sides.first.reads_most() == tries.count());
      if (with_mirror) CHECK(sides.mirror->reads_most() == tries.count());
      if (with_mirror) CHECK(sides.first.writes_most() == attempts_max);
    }
    set_variation_source(before);
    // A next tick and all tries of each block, and one step more.
    const u64 tries_of_block = with_mirror ? 2 * tries.count() + attempts_max : tries.count();
    INFO(levels << " levels, " << blocks_most << " blocks");
    CHECK(blocks_most == 2 * levels);  // The bound leaves no room.
    CHECK(most == blocks_most * (tries_of_block + 1) + 1);
  }
  disk.crash({});
}

}  // namespace

TEST_CASE("no lookup is stuck whose blocks are read at the last of all tries", "[liveness]") {
  for (const bool with_mirror : {false, true}) {
    for (const bool repeated : {false, true}) look_up_at_the_last_try(with_mirror, repeated);
  }
}

}  // namespace tonearm::sim
