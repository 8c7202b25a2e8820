// Workload `grid`: the block store over a disk whose reads and writes may fail, against what was written.
//
// The model is the blocks: which version each address holds and whether that is being written, written or
// released. Lines begin reads and writes and do not wait for them; each completion is judged by what the
// tap (grid_tap.h) did to the requests that were made for it:
//
//   a valid read    has the bytes that were written, where they were asked for
//   an invalid one  was given nothing else in as many attempts as there may be, and says what it saw last
//   without request it was served by a write in flight, by a read in flight of the same block, or by the
//                   cache, if that was allowed
//   a failed write  failed in as many attempts; a block written or read is in the cache, if it should be
//
// The options that matter: read_iops, write_iops, read_attempts_max, cache_*, block_size, blocks_count, disk.
#include "grid/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "sim/component/grid_block.h"
#include "sim/component/grid_tap.h"
#include "sim/component/support.h"
#include "sim/component/tested.h"

namespace tonearm::sim {

namespace {

constexpr u32 asked_max = 64;  // Reads at once; writes too.

struct alignas(4096) Page {
  std::byte bytes[4096];
};
using Pages = std::vector<Page>;

using Block = GridBlock;
using State = GridBlock::State;

class GridComponent final : public Component {
 public:
  explicit GridComponent(Referee& referee)
      : referee_(&referee),
        options_{.format = referee.options().format,
                 .runtime = referee.options().runtime,
                 .released_prior_max = referee.options().runtime.blocks_count},
        disk_(referee.pages(), referee.options().disk, &referee.trace()),
        tap_(disk_),
        content_("grid content", stream_seed(referee.seed(), "grid content")),
        scratch_(pages()),
        another_(pages()) {
    Arena measure;
    Grid::measure(measure, options_);
    Arena arena{poisoned_memory(referee, measure.used())};
    grid_.emplace(tap_, arena, options_);
    grid_->set_cluster(grid_block_cluster);
    grid_->free_set().open_empty();
    tap_.on_write = [this](const Storage::Write& write) { judge_request(write); };
    tap_.another = [this](u64 address) { return another_block(address); };
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    const auto& a = line.arguments;
    if (verb == "write") {
      write(a[0] + 1);
    } else if (verb == "read") {
      for (u64 i = 0; i <= a[1]; ++i) read(pick(a[0], i), a[2], 0);
    } else if (verb == "repeat") {
      read(pick(a[0], 0), a[2], a[1] + 1);
    } else if (verb == "alone") {
      alone(pick(a[0], 0), a[1]);
    } else if (verb == "stale") {
      stale(pick(a[0], 0), a[1]);
    } else if (verb == "cached") {
      for (u64 i = 0; i <= a[1]; ++i) cached(pick(a[0], i));
    } else if (verb == "release") {
      for (u64 i = 0; i <= a[1]; ++i) release(pick(a[0], i));
    } else if (verb == "free") {
      make_free();
    } else if (verb == "steps") {
      for (u64 i = 0; i <= a[0] && disk_.step(); ++i) raise();
    } else if (verb == "settle") {
      settle();
    } else if (verb == "fault") {
      if (const u64 address = pick(a[0], 0)) tap_.fault(address, static_cast<ReadFault>(a[1]), a[2], a[3]);
    } else if (verb == "fail_writes") {
      tap_.fail_writes(a[0]);
    } else {
      ASSERT(verb == "heal");
      tap_.heal();
    }
    compare_counts();
  }

  void finish() override {
    settle();
    tap_.heal();
    for (const auto& [address, block] : blocks_) {
      if (block.state != State::failed) read(address, address % 8, 0);
    }
    settle();
    compare_counts();
  }

  SimStorage* disk() override { return &disk_; }

 private:
  struct Asked {
    GridComponent* owner = nullptr;
    Grid::Read read;
    Pages buffer;
    u64 version = 0;
    u64 repeats = 0;
    u64 step = 0;          // Of the disk, when it was asked for.
    bool writing = false;  // The block was being written when it was asked for.
    bool stale = false;
    void done(Grid::Read&) { owner->read_done(*this); }
  };
  struct Writing {
    GridComponent* owner = nullptr;
    Grid::Write write;
    Pages block;
    u64 address = 0;
    void done(Grid::Write&) { owner->write_done(*this); }
  };

  Pages pages() const { return Pages(div_ceil(u64{options_.format.block_size}, sizeof(Page))); }
  static std::byte* bytes_of(Pages& pages) { return pages.data()->bytes; }
  static BlockReference reference(u64 address, const Block& block) { return {address, block.checksum}; }
  u32 attempts_max() const { return options_.runtime.read_attempts_max; }

  // The n-th known block from a place on; 0: there is none.
  u64 pick(u64 place, u64 n) const {
    if (blocks_.empty()) return 0;
    return std::next(blocks_.begin(), static_cast<i64>((place + n) % blocks_.size()))->first;
  }

  // --- blocks

  Block make(u64 address, u64 version, std::byte* into) const {
    return make_grid_block(content_, address, version, {into, options_.format.block_size});
  }

  // Intact, and in another place than it should be.
  const std::byte* another_block(u64 address) {
    for (const auto& [other, block] : blocks_) {
      if (other == address || block.state == State::failed) continue;
      make(other, block.version, bytes_of(another_));
      return bytes_of(another_);
    }
    return nullptr;
  }

  bool same(const std::byte* data, u64 address, u64 version) {
    const Block block = make(address, version, bytes_of(scratch_));
    return std::memcmp(data, bytes_of(scratch_), block.size) == 0;
  }

  // --- writes

  void write(u64 count) {
    std::optional<Reservation> reservation = grid_->reserve(static_cast<u32>(count));
    if (!reservation) return referee_->skip();
    for (u64 i = 0; i < count; ++i) {
      const u64 address = grid_->acquire(*reservation);
      tap_.heal(address);
      Writing& one = take(writings_);
      const Block block = make(address, ++versions_, bytes_of(one.block));
      check(*referee_, blocks_.emplace(address, block).second, "acquire: a block that is in use",
            [&] { return fmt::format("block {}", address); });
      one.address = address;
      one.write = Grid::Write{.block = bytes_of(one.block),
                              .tag = {.purpose = IoPurpose::compact_write, .tree = new_id()},
                              .done = Callback<Grid::Write&>::to<&Writing::done>(&one)};
      ++outstanding_;
      ++writes_begun_;
      grid_->write(one.write);
    }
    grid_->forfeit(*reservation);
  }

  // A request as the disk gets it.
  void judge_request(const Storage::Write& write) {
    const u64 address = write.offset / options_.format.block_size + 1;
    const Block& block = blocks_.at(address);
    make(address, block.version, bytes_of(scratch_));
    const u64 size = round_up(u64{block.size}, u64{options_.format.sector_size});
    note(block.state == State::writing && write.zone == Zone::grid &&
             write.durability == Durability::on_sync && write.buffer.size() == size &&
             write.offset % options_.format.block_size == 0 &&
             std::memcmp(write.buffer.data(), bytes_of(scratch_), size) == 0,
         "write: another request", [&] { return fmt::format("block {}, {} bytes", address, size); });
    note(tap_.writes_in_flight() < options_.runtime.write_iops, "more writes at once than there may be",
         [&] { return fmt::format("{} already", tap_.writes_in_flight()); });
  }

  void write_done(Writing& one) {
    const HarnessCode harness;
    Block& block = blocks_.at(one.address);
    const u64 failed = tap_.writes_failed(one.write.tag.tree);
    const bool ok = one.write.result == IoResult::ok;
    block.state = ok ? State::written : State::failed;
    retries_ += failed - (ok ? 0 : 1);
    note(ok ? failed < attempts_max() : failed == attempts_max(), "write: another result", [&] {
      return fmt::format("block {}: {} after {} attempts that failed, of {}", one.address,
                         ok ? "written" : "failed", failed, attempts_max());
    });
    const std::byte* data = grid_->cached(reference(one.address, block));
    note((data != nullptr) == ok, "write: in the cache or not",
         [&] { return fmt::format("block {}, written: {}", one.address, ok); });
    referee_->answer(one.address, ok ? 1 : 0);
    tap_.forget(one.write.tag.tree);
    one.address = 0;
    ended();
  }

  // --- reads

  void read(u64 address, u64 how, u64 repeats) {
    if (outstanding_ >= asked_max) settle();
    if (address == 0 || blocks_.at(address).state == State::failed) return referee_->skip();
    const Block& block = blocks_.at(address);
    for (u64 times = how >= 8 ? 2 : 1; times > 0; --times) {
      Asked& asked = take(asked_);
      asked.version = block.version;
      asked.repeats = repeats;
      asked.stale = false;
      begin(asked, reference(address, block), how);
    }
  }

  void begin(Asked& asked, const BlockReference& block, u64 how) {
    asked.writing = blocks_.at(block.address).state == State::writing;
    asked.read = Grid::Read{.block = block,
                            .tag = {.purpose = IoPurpose::lookup, .tree = new_id()},
                            .cache_read = (how & 2) == 0,
                            .cache_write = (how & 4) == 0,
                            .buffer = (how & 1) == 0 ? nullptr : bytes_of(asked.buffer),
                            .done = Callback<Grid::Read&>::to<&Asked::done>(&asked)};
    asked.step = disk_.steps();
    ++outstanding_;
    grid_->read(asked.read);
  }

  void read_done(Asked& asked) {
    const HarnessCode harness;
    const Grid::Read& read = asked.read;
    const u64 address = read.block.address;
    const auto what = [&] {
      return fmt::format("block {} is {} ({} requests were made for it)", address,
                         block_result_name(read.result), tap_.delivered(read.tag.tree).size());
    };
    const std::vector<GridTap::Delivered>& delivered = tap_.delivered(read.tag.tree);
    const bool valid = read.result == BlockResult::valid;
    if (!delivered.empty()) {
      judge_root(asked, delivered, what);
    } else {
      const bool joined = root_ == read.block && root_step_ == disk_.steps();
      note(valid || (joined && root_result_ == read.result), "read: an error of nothing", what);
      note(!valid || read.cache_read || asked.writing || joined, "read: out of the cache, which it may not",
           what);
    }
    note(!(valid && asked.stale), "read: what the address held before", what);
    note((read.data != nullptr) == valid, "read: data without a block", what);
    if (valid && read.data != nullptr) {
      note(read.buffer == nullptr || read.data == read.buffer, "read: not into the buffer", what);
      note(same(read.data, address, asked.version), "read: other bytes", what);
    }
    referee_->answer(address, static_cast<u64>(read.result));
    tap_.forget(read.tag.tree);
    again(asked);
    ended();
  }

  // One for which requests were made.
  template <class What>
  void judge_root(Asked& asked, const std::vector<GridTap::Delivered>& delivered, What what) {
    const Grid::Read& read = asked.read;
    ++roots_;
    retries_ += delivered.size() - 1;
    root_ = read.block;
    root_result_ = read.result;
    root_step_ = disk_.steps();
    note(!asked.writing, "read: from the disk while it is written", what);
    for (std::size_t i = 0; i + 1 < delivered.size(); ++i) {
      note(delivered[i].seen(asked.stale) != BlockResult::valid, "read: again without need", what);
    }
    const bool valid = read.result == BlockResult::valid;
    note(read.result == delivered.back().seen(asked.stale), "read: another result", what);
    note(delivered.size() <= attempts_max() && (valid || delivered.size() == attempts_max()),
         "read: another number of attempts", what);
    if (valid && read.cache_write) note(grid_->cached(read.block) != nullptr, "read: not in the cache", what);
  }

  // From within the callback, by the same node, in another way.
  void again(Asked& asked) {
    if (asked.repeats == 0 || blocks_.at(asked.read.block.address).state == State::failed) {
      asked.version = 0;
      return;
    }
    --asked.repeats;
    const BlockReference block = asked.read.block;
    begin(asked, block, asked.repeats * 3 % 8);
  }

  void alone(u64 address, u64 how) {
    settle();
    if (address == 0 || blocks_.at(address).state == State::failed) return referee_->skip();
    const BlockReference block = reference(address, blocks_.at(address));
    const bool before = grid_->cached(block) != nullptr;
    const u64 requests = tap_.reads_seen();
    how %= 8;
    read(address, how, 0);
    settle();
    const bool cached = before && (how & 2) == 0;
    const bool asked = tap_.reads_seen() > requests;
    check(*referee_, asked != cached, "alone: from the cache or from the disk",
          [&] { return fmt::format("block {}: cached {}, how {}", address, before, how); });
    const bool after = grid_->cached(block) != nullptr;
    const bool inserted = (how & 4) == 0 && root_ == block && root_result_ == BlockResult::valid;
    check(*referee_, cached || after == (before || inserted), "alone: in the cache or not",
          [&] { return fmt::format("block {}: before {}, after {}, how {}", address, before, after, how); });
  }

  void stale(u64 address, u64 how) {
    if (outstanding_ >= asked_max) settle();
    const auto old = held_.find(address);
    if (old == held_.end()) return referee_->skip();
    const State state = blocks_.at(address).state;
    if (state == State::writing || state == State::failed) return referee_->skip();
    const bool known = grid_->cached({.address = address, .checksum = old->second}) != nullptr;
    check(*referee_, !known, "cached: what the address held before",
          [&] { return fmt::format("block {}", address); });
    Asked& asked = take(asked_);
    asked.version = u64_max;
    asked.repeats = 0;
    asked.stale = true;
    begin(asked, {.address = address, .checksum = old->second}, how);
  }

  void cached(u64 address) {
    if (address == 0) return referee_->skip();
    const Block& block = blocks_.at(address);
    const std::byte* data = grid_->cached(reference(address, block));
    referee_->answer(address, data == nullptr ? 0 : 1);
    if (data == nullptr) return;
    const bool was_written = block.state == State::written || block.state == State::released;
    check(*referee_, was_written && same(data, address, block.version), "cached: other bytes",
          [&] { return fmt::format("block {}, which {} written", address, was_written ? "is" : "is not"); });
  }

  // --- the free set, as far as it concerns the grid

  void release(u64 address) {
    if (address == 0) return referee_->skip();
    Block& block = blocks_.at(address);
    if (block.state != State::written) return;
    grid_->release(address);
    block.state = State::released;
  }

  void make_free() {
    settle();
    for (auto& [address, block] : blocks_) {
      if (block.state != State::failed) continue;
      grid_->release(address);
      block.state = State::released;
    }
    grid_->free_set().mark_checkpoint_not_durable();
    grid_->free_set().mark_checkpoint_durable();
    std::erase_if(blocks_, [this](const auto& entry) {
      if (entry.second.state != State::released) return false;
      held_[entry.first] = entry.second.checksum;
      return true;
    });
  }

  // --- waiting

  void settle() {
    done_ = outstanding_ == 0;
    referee_->pump(disk_, done_);
    raise();
    check(*referee_, tap_.reads_in_flight() + tap_.writes_in_flight() == 0, "requests are left",
          [] { return "all that was asked for is done"; });
  }

  void ended() {
    ASSERT(outstanding_ > 0);
    if (--outstanding_ == 0 || !problem_.empty()) done_ = true;
  }

  // In a callback of the engine nothing is thrown: the first problem is kept until it has returned.
  template <class Message>
  void note(bool holds, const char* site, Message message) {
    ++referee_->counters().checks;
    if (holds || !problem_.empty()) return;
    problem_ = site;
    problem_message_ = message();
  }
  void raise() {
    if (!problem_.empty()) referee_->fail(FailureClass::oracle, problem_, problem_message_);
  }

  void compare_counts() {
    raise();
    const Grid::Counters counters = grid_->counters();
    check(*referee_, counters.writes == writes_begun_ && counters.reads_storage >= roots_,
          "another number of blocks", [&] {
            return fmt::format("{} written, expected {}; {} read, at least {}", counters.writes,
                               writes_begun_, counters.reads_storage, roots_);
          });
    compare_slots();
    check(*referee_, grid_->idle() == (outstanding_ == 0), "idle or not",
          [&] { return fmt::format("{} reads and writes are not done", outstanding_); });
    if (outstanding_ > 0) return;
    check(*referee_, counters.reads_storage == roots_ && counters.retries == retries_, "another count", [&] {
      return fmt::format("{} blocks read and {} retries, expected {} and {}", counters.reads_storage,
                         counters.retries, roots_, retries_);
    });
  }

  // Nothing waits while a slot is idle. What was asked for two steps ago has begun: each of these blocks
  // has one read, and perhaps others have.
  void compare_slots() {
    const u64 writing = static_cast<u64>(
        std::count_if(writings_.begin(), writings_.end(), [](const auto& one) { return one->address != 0; }));
    check(*referee_, tap_.writes_in_flight() == std::min<u64>(options_.runtime.write_iops, writing),
          "another number of writes at once",
          [&] { return fmt::format("{} of {}", tap_.writes_in_flight(), writing); });
    std::set<std::pair<u64, u128>> begun;
    for (const auto& asked : asked_) {
      if (asked->version == 0 || asked->step + 2 > disk_.steps()) continue;
      begun.emplace(asked->read.block.address, asked->read.block.checksum);
    }
    const u64 iops = options_.runtime.read_iops;
    check(*referee_,
          tap_.reads_in_flight() <= iops && tap_.reads_in_flight() >= std::min(iops, u64{begun.size()}),
          "another number of reads at once",
          [&] { return fmt::format("{} of at least {}", tap_.reads_in_flight(), begun.size()); });
  }

  // Unused nodes have no version, or no address.
  Asked& take(std::vector<std::unique_ptr<Asked>>& nodes) {
    for (auto& node : nodes) {
      if (node->version == 0) return *node;
    }
    nodes.push_back(std::make_unique<Asked>());
    nodes.back()->owner = this;
    nodes.back()->buffer = pages();
    return *nodes.back();
  }
  Writing& take(std::vector<std::unique_ptr<Writing>>& nodes) {
    for (auto& node : nodes) {
      if (node->address == 0) return *node;
    }
    nodes.push_back(std::make_unique<Writing>());
    nodes.back()->owner = this;
    nodes.back()->block = pages();
    return *nodes.back();
  }
  u16 new_id() { return id_ = static_cast<u16>(id_ == 0xffff ? 1 : id_ + 1); }

  Referee* referee_;
  Grid::Options options_;
  SimStorage disk_;
  GridTap tap_;
  Stream content_;
  Pages scratch_, another_;
  std::vector<std::unique_ptr<Asked>> asked_;
  std::vector<std::unique_ptr<Writing>> writings_;
  Tested<Grid> grid_;

  std::map<u64, Block> blocks_;  // By address.
  std::map<u64, u128> held_;     // What an address held before: the checksum.
  u64 versions_ = 0;
  u64 outstanding_ = 0;  // Reads and writes.
  u64 writes_begun_ = 0;
  u64 roots_ = 0;  // Reads that were done and for which requests were made.
  u64 retries_ = 0;
  BlockReference root_;  // The last of them.
  BlockResult root_result_ = BlockResult::valid;
  u64 root_step_ = 0;
  u16 id_ = 0;  // Of what is asked: the tree of its tag, which the grid hands on.
  bool done_ = false;
  std::string problem_;
  std::string problem_message_;
};

}  // namespace

std::unique_ptr<Component> make_grid(Referee& referee) { return std::make_unique<GridComponent>(referee); }

}  // namespace tonearm::sim
