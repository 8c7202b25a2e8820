#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>
#include <tuple>

#include "sim/decode/disk_format.h"
#include "sim/decode/groove_check.h"
#include "sim/decode/image_decoder.h"
#include "sim/decode/value_bytes.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

constexpr u32 reported_max = 8;  // Of one kind: more say nothing new.

struct Report {
  std::vector<std::string> lines;
  u32 of_kind = 0;

  void begin() { of_kind = 0; }
  void add(std::string line) {
    if (of_kind++ < reported_max) lines.push_back(std::move(line));
  }
};

bool trailer(BlockUse use) { return use == BlockUse::trailer_acquired || use == BlockUse::trailer_released; }

bool on_disk(const DecodedImage& decoded, const DecodedBlock& block) {
  return block.ref.address != 0 && block.ref.address <= decoded.blocks_count;
}

// The addresses of a bitmap's word.
template <class Visit>
void for_each_bit(std::size_t index, u64 word, Visit&& visit) {
  for (; word != 0; word &= word - 1) visit(index * 64 + static_cast<u64>(std::countr_zero(word)) + 1);
}

// Acquired minus released are the blocks that manifest and tables reach; the trailers' own blocks are
// acquired after the bitmaps were encoded, so that these do not know them.
void check_blocks(const DecodedImage& decoded, Report* report) {
  report->begin();
  std::vector<u64> reached;
  for (const DecodedBlock& block : decoded.blocks) {
    if (!on_disk(decoded, block)) continue;
    if (bit_of(reached, block.ref.address)) {
      report->add(
          fmt::format("block {} is reached twice ({})", block.ref.address, block_use_name(block.use)));
    }
    set_bit(&reached, block.ref.address);
    if (!decoded.free_set_known()) continue;
    const bool acquired = bit_of(decoded.acquired, block.ref.address);
    const bool released = bit_of(decoded.released, block.ref.address);
    if (trailer(block.use)) {
      if (acquired || released) {
        report->add(fmt::format("trailer block {} is in the free set it holds", block.ref.address));
      }
    } else if (!acquired) {
      report->add(
          fmt::format("block {} ({}) is reachable and free", block.ref.address, block_use_name(block.use)));
    } else if (released) {
      report->add(fmt::format("block {} ({}) is reachable and released", block.ref.address,
                              block_use_name(block.use)));
    }
  }
  if (!decoded.free_set_known()) return;
  report->begin();
  // What is behind a damaged block is not known: then blocks may seem leaked that are not.
  const bool complete = decoded.manifest_known() &&
                        std::none_of(decoded.damaged.begin(), decoded.damaged.end(),
                                     [](const DamagedBlock& block) { return block.use == BlockUse::index; });
  const auto word = [](const std::vector<u64>& words, std::size_t i) {
    return i < words.size() ? words[i] : 0;
  };
  for (std::size_t i = 0; complete && i < decoded.acquired.size(); ++i) {
    for_each_bit(i, decoded.acquired[i] & ~word(decoded.released, i) & ~word(reached, i), [&](u64 address) {
      report->add(fmt::format("block {} is acquired and not reachable", address));
    });
  }
  report->begin();
  for (std::size_t i = 0; i < decoded.released.size(); ++i) {
    for_each_bit(i, decoded.released[i] & ~word(decoded.acquired, i), [&](u64 address) {
      report->add(fmt::format("block {} is released and not acquired", address));
    });
  }
}

// What no engine reads again, but whoever copies a file or cuts it off believes: where it may end, an id for
// the op, and from when a table is visible.
void check_state(const DecodedImage& decoded, Report* report) {
  if (decoded.op == 0) return;
  report->begin();
  const u64 words[] = {decoded.op, static_cast<u64>(decoded.cluster),
                       static_cast<u64>(decoded.cluster >> 64)};
  if (decoded.op_id != f::checksum(std::as_bytes(std::span(words)))) report->add("the op has another id");
  // What the bar behind the op has merged is there as well, and visible when that bar is over.
  const u64 snapshot_max = decoded.op + decoded.format.beats + 1;
  for (const DecodedTable& table : decoded.tables) {
    if (table.snapshot_min <= snapshot_max) continue;
    report->add(fmt::format("table {}: visible only from op {}", table.index.address, table.snapshot_min));
  }
  if (!decoded.free_set_known()) return;
  u64 last = 0;  // Address.
  for (u64 word = 0; word < decoded.acquired.size(); ++word) {
    for_each_bit(word, decoded.acquired[word], [&last](u64 address) { last = address; });
  }
  for (const DecodedBlock& block : decoded.blocks) {
    if (trailer(block.use)) last = std::max(last, block.ref.address);
  }
  // One reservation is for both.
  u64 before = 0;
  for (const BlockUse use : {BlockUse::trailer_acquired, BlockUse::trailer_released}) {
    for (auto block = decoded.blocks.rbegin(); block != decoded.blocks.rend(); ++block) {
      if (block->use != use) continue;
      if (block->ref.address <= before)
        report->add(fmt::format("trailer block {} does not follow block {}", block->ref.address, before));
      before = block->ref.address;
    }
  }
  const u64 size = u64{f::copies} * f::copy_size + last * decoded.format.block_size;
  if (decoded.storage_size != size)
    report->add(fmt::format("storage size {}, expected {}", decoded.storage_size, size));
}

void check_levels(const DecodedImage& decoded, Report* report) {
  report->begin();
  const DecodedTable* previous = nullptr;
  u64 count = 0;
  for (const DecodedTable& table : decoded.tables) {
    const bool same = previous != nullptr && previous->tree == table.tree && previous->level == table.level;
    count = same ? count + 1 : 1;
    u64 limit = 1;
    for (u32 level = 0; level <= table.level && limit < u64{1} << 32; ++level) limit *= decoded.format.growth;
    if (table.level >= decoded.format.levels) {
      report->add(
          fmt::format("tree {}: table {} lies at level {}", table.tree, table.index.address, table.level));
    }
    if (count == limit + 1) {
      report->add(fmt::format("tree {} level {}: more than {} tables", table.tree, table.level, limit));
    }
    if (same && !(previous->key_max < table.key_min)) {
      report->add(fmt::format("tree {} level {}: tables {} and {} overlap", table.tree, table.level,
                              previous->index.address, table.index.address));
    }
    if (table.value_count == 0) report->add(fmt::format("table {} is empty", table.index.address));
    previous = &table;
  }
}

// Whoever removes a key from a secondary index removes one that is there: so the versions of a key
// alternate, and below the deepest tombstone there is a put.
void check_index(const DecodedImage& decoded, const TreeShape& tree, Report* report) {
  report->begin();
  const auto unreadable = [&tree](const DecodedTable& table) {
    return table.tree == tree.id && !table.complete;
  };
  if (std::any_of(decoded.tables.begin(), decoded.tables.end(), unreadable)) return;
  const std::span<const DecodedVersion> versions = decoded.odd_versions(tree.id);
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const DecodedVersion& version = versions[i];
    const bool deepest = i + 1 == versions.size() || versions[i + 1].newest;
    const bool tombstone = is_tombstone(tree, version.value);
    if (deepest && tombstone) {
      report->add(fmt::format("{}: a tombstone at level {} has nothing below it", tree.name, version.level));
    }
    if (!deepest && tombstone == is_tombstone(tree, versions[i + 1].value)) {
      report->add(fmt::format("{}: two versions of a key at levels {} and {} do not alternate", tree.name,
                              version.level, versions[i + 1].level));
    }
  }
}

}  // namespace

const char* decode_outcome_name(DecodeOutcome outcome) {
  switch (outcome) {
    case DecodeOutcome::ok: return "ok";
    case DecodeOutcome::not_found: return "not_found";
    case DecodeOutcome::quorum_lost: return "quorum_lost";
    case DecodeOutcome::fork: return "fork";
    case DecodeOutcome::parent_not_connected: return "parent_not_connected";
    case DecodeOutcome::byte_order: return "byte_order";
    case DecodeOutcome::release_unknown: return "release_unknown";
  }
  return "";
}

const char* block_use_name(BlockUse use) {
  switch (use) {
    case BlockUse::trailer_acquired: return "acquired trailer";
    case BlockUse::trailer_released: return "released trailer";
    case BlockUse::manifest: return "manifest";
    case BlockUse::index: return "index";
    case BlockUse::value: return "value";
  }
  return "";
}

bool bit_of(const std::vector<u64>& words, u64 address) {
  const u64 bit = address - 1;
  return bit / 64 < words.size() && (words[bit / 64] >> bit % 64 & 1) != 0;
}

void set_bit(std::vector<u64>* words, u64 address) {
  const u64 bit = address - 1;
  if (bit / 64 >= words->size()) words->resize(bit / 64 + 1);
  (*words)[bit / 64] |= u64{1} << bit % 64;
}

void unset_bit(std::vector<u64>* words, u64 address) {
  const u64 bit = address - 1;
  (*words)[bit / 64] &= ~(u64{1} << bit % 64);
}

u64 bit_count(const std::vector<u64>& words) {
  u64 count = 0;
  for (const u64 word : words) count += static_cast<u64>(std::popcount(word));
  return count;
}

// Keeps memory of what there is much of.
void DecodedImage::clear() {
  DecodedImage empty;
  empty.blocks = std::move(blocks);
  empty.tables = std::move(tables);
  empty.value_blocks = std::move(value_blocks);
  empty.blocks.clear();
  empty.tables.clear();
  empty.value_blocks.clear();
  *this = std::move(empty);
}

bool DecodedImage::free_set_known() const {
  return outcome == DecodeOutcome::ok &&
         std::none_of(damaged.begin(), damaged.end(),
                      [](const DamagedBlock& block) { return trailer(block.use); });
}

bool DecodedImage::manifest_known() const {
  return outcome == DecodeOutcome::ok &&
         std::none_of(damaged.begin(), damaged.end(),
                      [](const DamagedBlock& block) { return block.use == BlockUse::manifest; });
}

std::vector<u64> DecodedImage::protected_words() const {
  std::vector<u64> words;
  for (const DecodedBlock& block : blocks) {
    if (on_disk(*this, block)) set_bit(&words, block.ref.address);
  }
  return words;
}

// Level by level, from shallow to deep; each is in order of its keys.
std::vector<std::string> check_image(const DecodedImage& decoded) {
  Report report;
  report.lines = decoded.violations;
  if (decoded.outcome != DecodeOutcome::ok) return report.lines;
  check_blocks(decoded, &report);
  check_state(decoded, &report);
  check_levels(decoded, &report);
  if (!decoded.values_read || !decoded.manifest_known()) return report.lines;
  for (const TreeShape& tree : decoded.shape->trees) {
    if (tree.secondary_index()) check_index(decoded, tree, &report);
  }
  for (const GrooveShape& groove : decoded.shape->grooves) {
    report.begin();
    for (std::string& line : check_groove(decoded, groove)) report.add(std::move(line));
  }
  return report.lines;
}

}  // namespace tonearm::sim
