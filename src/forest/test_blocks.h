// For tests that look for damage: what a forest reaches, and its blocks as bytes on the disk.
#pragma once

#include <algorithm>
#include <string>

#include "forest/table_iterator.h"
#include "forest/test_forest.h"

namespace tonearm {

struct ReachedBlock {
  BlockReference block;
  BlockType type;
};

class BlockEditor {
 public:
  explicit BlockEditor(TestForest& forest) : forest_(forest) {}

  std::vector<std::byte> read(u64 address) {
    std::vector<std::byte> memory(2 * size());
    std::byte* block = aligned(memory);
    Storage::Read io{.buffer = {block, size()},
                     .offset = forest_->grid().offset_of(address),
                     .tag = {.purpose = IoPurpose::audit},
                     .done = Callback<Storage::Read&>::to<&BlockEditor::read_done>(this)};
    forest_.storage().read(io);
    pump();
    return {block, block + size()};
  }
  // Only as many sectors as a block of this size has; what is behind them stays unwritten.
  void write(u64 address, std::span<const std::byte> bytes) {
    std::vector<std::byte> memory(2 * size());
    std::byte* block = aligned(memory);
    std::copy(bytes.begin(), bytes.end(), block);
    Storage::Write io{.buffer = {block, bytes.size()},
                      .offset = forest_->grid().offset_of(address),
                      .durability = Durability::on_completion,
                      .tag = {.purpose = IoPurpose::audit},
                      .done = Callback<Storage::Write&>::to<&BlockEditor::write_done>(this)};
    forest_.storage().write(io);
    pump();
  }
  void flip(u64 address, u64 byte) {
    std::vector<std::byte> sector = read(address);
    sector[byte] ^= std::byte{1};
    const u64 sector_size = forest_->grid().sector_size();
    sector.resize(byte / sector_size * sector_size + sector_size);
    write(address, sector);
  }

  // Everything, by the engine's own references: tables, log, trailers.
  std::vector<ReachedBlock> reached() {
    std::vector<ReachedBlock> all;
    ForestTableIterator tables(*forest_, ForestTableIterator::Position{});
    while (const TableInfo* table = tables.next()) {
      all.push_back({.block = table->index_block(), .type = BlockType::index});
      const std::vector<std::byte> bytes = read(table->address);
      const Tree& tree = forest_->tree(tables.tree());
      const IndexBlock index(tree.layout(), tree.kernel(), bytes.data());
      for (u32 i = 0; i < index.count(); ++i) {
        all.push_back({.block = index.value_block(i), .type = BlockType::value});
      }
    }
    const ManifestLog& log = forest_->manifest_log();
    for (u64 serial = log.written_end(); serial > log.first(); --serial) {
      all.push_back({.block = log.block(serial - 1), .type = BlockType::manifest});
    }
    for (const CheckpointTrailer* trailer : {&forest_->trailer_acquired(), &forest_->trailer_released()}) {
      for (u32 i = 0; i < trailer->addresses().size(); ++i) {
        all.push_back({.block = trailer->block_reference(i), .type = BlockType::free_set});
      }
    }
    return all;
  }

 private:
  u64 size() { return forest_->grid().block_size(); }
  std::byte* aligned(std::vector<std::byte>& memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    return memory.data() + (size() - address % size()) % size();
  }
  void read_done(Storage::Read&) { done_ = true; }
  void write_done(Storage::Write&) { done_ = true; }
  void pump() {
    done_ = false;
    while (!done_) REQUIRE(forest_.storage().step());
  }

  TestForest& forest_;
  bool done_ = false;
};

// Memory for what lives beside a forest.
class TestArena {
 public:
  template <class Measure>
  explicit TestArena(Measure measure) {
    Arena measuring;
    measure(measuring);
    memory_.resize(measuring.used() + Arena::align_max);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    arena_.emplace(std::span(memory_).subspan(skip, measuring.used()));
  }
  Arena& operator*() { return *arena_; }

 private:
  std::vector<std::byte> memory_;
  std::optional<Arena> arena_;
};

// Room for as many ops as a test likes.
inline ForestOptions roomy_options() {
  ForestOptions options = test_options();
  options.format.levels = 7;
  options.runtime.blocks_count = 4096;
  return options;
}

// A forest at an op that many random ones led to, opened again: nothing is cached, nothing in memory.
inline void fill(TestForest& forest, u64 seed, u64 ops) {
  forest.begin();
  for (u64 i = 0; i < ops; ++i) {
    random_op(forest, seed, 150, 30);
    forest.commits(1);
  }
  REQUIRE_FALSE(forest.reopen());
  REQUIRE(forest->manifest_log().table_count() > 10);
}

}  // namespace tonearm
