// Several scans over one tree, with everything that may come in between coming at any time.
//
// The oracle of a scan is the list of rows that its range had when it was opened. A value must be the first
// of the list; a probe drops from it what lies before its key; an abort drops all; an end must find it empty.
#include <memory>

#include "sim/disk/keyed.h"
#include "tree/test_scans.h"

namespace tonearm {

namespace {

using Next = TreeScan::Next;
using State = TreeScan::State;
using Rows = ScannedTree::Rows;

constexpr u64 universe = 80;
constexpr u32 scans_max = 4;

class Draws {
 public:
  explicit Draws(u64 seed) : stream_("scans", seed) {}
  u64 below(u64 count) { return sim::below(stream_.at(++drawn_, 0), count); }
  bool once_in(u64 count) { return below(count) == 0; }

 private:
  sim::Stream stream_;
  u64 drawn_ = 0;
};

// Keys come in clusters, so that ranges fall between blocks and tables; what is deeper has more of them.
void fill(ScannedTree& test, Draws& draws) {
  for (u32 level = 0; level < ScannedTree::options().format.levels; ++level) {
    if (draws.once_in(5)) continue;
    u64 tables_left = u64{2} << level;
    u64 key = draws.below(universe / 2);
    while (tables_left-- > 0 && key < universe) {
      std::vector<Rows> blocks(1 + draws.below(6));
      for (Rows& block : blocks) {
        const u64 count = 1 + draws.below(4);
        for (u64 i = 0; i < count && key < universe; ++i) {
          block.push_back({key, draws.once_in(4) ? ScannedTree::gone : 1000 * level + key});
          key += draws.once_in(6) ? 2 + draws.below(6) : 1;
        }
      }
      std::erase_if(blocks, [](const Rows& block) { return block.empty(); });
      if (!blocks.empty()) test.table(level, blocks);
      if (draws.once_in(3)) key += draws.below(universe / 4);
    }
  }
  test.open();
  const auto ops = [&test, &draws](u64 base) {
    const u64 count = draws.below(4);
    for (u64 op = 0; op <= count; ++op) {
      for (u64 i = draws.below(7); i > 0; --i) {
        test.put(draws.below(universe), draws.once_in(3) ? ScannedTree::gone : base + 100 * op + i);
      }
      if (op < count) test.tree.op_end();
    }
  };
  if (draws.once_in(2)) {
    ops(5000);
    test.swap();
  }
  if (!draws.once_in(3)) ops(6000);
}

// A scan and what it must still return.
class Checked {
 public:
  Checked(ScannedTree& test, Draws& draws) : test_(&test), buffer_(&test.buffers.acquire_assume_capacity()) {
    const u64 a = draws.below(universe + 2);
    const u64 b = draws.once_in(6) ? a : draws.below(universe + 2);
    const bool whole = draws.once_in(4);
    range_ = {.min = Key::of(whole ? 0 : std::min(a, b)),
              .max = Key::of(whole ? universe + 9 : std::max(a, b))};
    ascending_ = draws.once_in(2);
    left_ = test.expected(static_cast<u64>(range_.min.lo), static_cast<u64>(range_.max.lo));
    if (!ascending_) std::reverse(left_.begin(), left_.end());
    scan_.open(test.tree, *buffer_, range_, ascending_ ? Direction::ascending : Direction::descending,
               !draws.once_in(3));
    for (u32 level = 0; level < test.tree.manifest().levels(); ++level) {
      reads_max_ += test.tree.manifest().level(level).empty() ? 0 : 2;
    }
  }
  Checked(const Checked&) = delete;
  ~Checked() {
    if (buffering()) return;
    scan_.close();
    test_->buffers.release(*buffer_);
  }

  bool buffering() const { return scan_.state() == State::buffering; }

  void next() {
    const std::byte* value = nullptr;
    switch (scan_.next(&value)) {
      case Next::value: {
        REQUIRE_FALSE(left_.empty());
        REQUIRE(test_->row_of(value) == left_.front());
        left_.erase(left_.begin());
        reads_without_value_ = 0;
        return;
      }
      case Next::end: {
        REQUIRE(left_.empty());
        ended_ = true;
        return;
      }
      case Next::read_again: {
        REQUIRE_FALSE(ended_);
        REQUIRE(scan_.state() == State::needs_data);
        return;
      }
      case Next::failed: FAIL("nothing is damaged");
    }
  }
  void read() {
    if (scan_.state() != State::idle && scan_.state() != State::needs_data) return;
    REQUIRE(++reads_without_value_ < universe);
    blocks_before_ = scan_.blocks_read();
    scan_.read(Callback<>::to<&Checked::done>(this));
    REQUIRE(buffering());
  }
  void probe(u64 key) {
    scan_.probe(Key::of(key));
    std::erase_if(left_,
                  [&](const ScannedTree::Row& row) { return ascending_ ? row.key < key : row.key > key; });
  }
  void abort() {
    scan_.abort();
    left_.clear();
  }
  void finish() {
    while (!ended_) {
      next();
      read();
      test_->storage.run();
    }
  }

 private:
  void done() {
    REQUIRE(scan_.state() == State::seeking);
    REQUIRE(scan_.blocks_read() - blocks_before_ <= reads_max_);
  }

  ScannedTree* test_;
  ScanBuffer* buffer_;
  TreeScan scan_;
  KeyRange range_{};
  bool ascending_ = true;
  bool ended_ = false;
  Rows left_;
  u64 reads_max_ = 0;
  u64 blocks_before_ = 0;
  u64 reads_without_value_ = 0;
};

void play(u64 seed) {
  Draws draws(seed);
  ScannedTree test(false, scans_max);
  fill(test, draws);
  std::vector<std::unique_ptr<Checked>> scans(scans_max);
  const u64 eager = 1 + draws.below(4);     // How often a request completes.
  const u64 probing = 3 + draws.below(20);  // How often a scan is probed.
  const u64 step = 1 + draws.below(universe / 2);
  for (u64 turn = 0; turn < 250; ++turn) {
    if (!test.storage.ticks.empty() && draws.once_in(2)) test.storage.drain();
    for (u64 i = draws.below(eager + 1); i > 0 && !test.storage.requests.empty(); --i) {
      test.storage.complete(draws.below(test.storage.requests.size()));
    }
    std::unique_ptr<Checked>& scan = scans[draws.below(scans_max)];
    if (scan == nullptr) {
      scan = std::make_unique<Checked>(test, draws);
    } else if (scan->buffering()) {
      continue;
    } else if (draws.once_in(probing)) {
      scan->probe(draws.once_in(8) ? draws.below(2 * universe) : draws.below(universe) / step * step);
    } else if (draws.once_in(60)) {
      scan->abort();
    } else if (draws.once_in(60)) {
      scan.reset();
    } else if (draws.once_in(3)) {
      scan->read();
    } else {
      scan->next();
    }
  }
  test.storage.run();
  for (const std::unique_ptr<Checked>& scan : scans) {
    if (scan != nullptr) scan->finish();
  }
  scans.clear();
  REQUIRE(test.buffers.used() == 0);
}

}  // namespace

TEST_CASE("tree scan: several at once, read, asked, probed and aborted in any order") {
  MarksSeen marks;
  for (u64 seed = 1; seed <= 600; ++seed) {
    INFO("seed " << seed);
    play(seed);
  }
  for (const Mark mark :
       {Mark::scan_across_tables, Mark::scan_table_gap, Mark::scan_block_gap, Mark::scan_merge_versions,
        Mark::scan_three_versions, Mark::scan_tombstone, Mark::scan_read_again_level0,
        Mark::scan_read_again_level1, Mark::scan_read_again_deep, Mark::scan_probe_idle,
        Mark::scan_probe_lagging, Mark::scan_probe_ended, Mark::scan_probe_needs_data,
        Mark::scan_probe_resliced, Mark::scan_probe_block_skipped, Mark::scan_probe_table_skipped,
        Mark::scan_aborted, Mark::grid_read_coalesced}) {
    INFO(mark_name(mark));
    CHECK(marks[mark] > 0);
  }
}

}  // namespace tonearm
