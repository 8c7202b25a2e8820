// Workload `manifest_log`: the log of the tables of one to three trees, over a grid and a simulated disk.
//
//   half_bar, burst, shrink   reserve, compact, append, as a forest does; the model (manifest_model.h) does
//                             the same by the words of the specification: the same blocks with the same
//                             entries, the same number compacted, read and written
//   checkpoint                the log on the disk, read without the engine, has the model's bytes; replayed
//                             forwards and backwards it gives the tables that are live
//   crash, reopen             replay delivers those tables, latest record first; the blocks of the last
//                             checkpoint were never overwritten
//   damage, forge, open_small the error that must come, of the block that is wrong
//
// Tables have addresses of their own and no blocks: only their entries are looked at. The options that
// matter: block_size, levels, growth, manifest_extra_blocks, blocks_count, disk.
#include "sim/component/manifest_log_component.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/component/support.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

constexpr u128 cluster = 0xc0ffee;
constexpr u64 live_percent = 90;  // Of the most tables there may be; addresses: of twice as many.

ManifestEntry entry_of(const TableInfo& table) {
  ManifestEntry entry;
  static_assert(sizeof(table) == sizeof(entry.bytes));
  std::memcpy(entry.bytes.data(), &table, sizeof(table));
  return entry;
}

ManifestReferences references_of(const ManifestEnds& ends) {
  return {.oldest = {.address = ends.oldest.address, .checksum = ends.oldest.checksum},
          .newest = {.address = ends.newest.address, .checksum = ends.newest.checksum},
          .block_count = ends.count};
}

}  // namespace

ManifestLogComponent::ManifestLogComponent(Referee& referee)
    : DiskComponent(referee),
      content_("manifest content", stream_seed(referee.seed(), "manifest content")),
      trees_(1 + static_cast<u32>(below(content_.at(0), 3))) {
  const RunOptions& options = referee.options();
  grid_options_ = {.format = options.format,
                   .runtime = options.runtime,
                   .released_prior_max = options.runtime.blocks_count};
  grid_options_.runtime.blocks_count = options.disk.blocks_count;
  tables_max_ = std::min(trees_ * tree_tables_max(options.format, u64_max), blocks_count() / 2);
  model_.pace = PlainPace::of(options.format, trees_);
  saved_.model = model_;
}

u64 ManifestLogComponent::blocks_count() const { return referee_->options().disk.blocks_count; }

// --- the process

void ManifestLogComponent::start(u64 tables_max) {
  drop();
  const FormatOptions& format = referee_->options().format;
  Arena measure;
  Grid::measure(measure, grid_options_);
  ManifestLog::measure(measure, format, trees_, tables_max, blocks_count());
  Arena arena{poisoned_memory(*referee_, measure.used())};
  grid_.emplace(disk_, arena, grid_options_);
  grid_->set_cluster(cluster);
  log_.emplace(*grid_, arena, format, trees_, tables_max);
}

void ManifestLogComponent::drop() {
  log_.reset();
  grid_.reset();
}

// Nothing of what the process had is left; the tables are those of the last checkpoint again.
void ManifestLogComponent::crash() {
  DiskComponent::crash();
  model_ = saved_.model;
  addresses_ = saved_.addresses;
}

void ManifestLogComponent::begin_open(const ManifestEnds& ends, u64 tables_max) {
  start(tables_max);
  if (!saved_.any) {
    grid_->free_set().open_empty();
  } else {
    const bool opened =
        grid_->free_set().open(saved_.acquired, saved_.released, {}) == FreeSet::OpenResult::opened;
    require(opened, "the free set does not open", [] { return "its own encoding is refused"; });
  }
  delivered_.clear();
  log_->open(references_of(ends), Callback<const TableInfo&>::to<&ManifestLogComponent::on_table>(this),
             callback());
}

// False: a crash struck.
bool ManifestLogComponent::ensure_open() {
  if (log_) return true;
  begin_open(saved_.ends, tables_max_);
  if (!wait("open")) {
    ++referee_->counters().crashes_in_recovery;
    return false;
  }
  ++referee_->counters().reopens;
  const Error error = log_->error();
  require(!error, FailureClass::false_alarm, "open fails", [&] {
    return fmt::format("{} of block {}: {}", error_name(error.kind), error.address, error.reason);
  });
  if (saved_.any) grid_->free_set().mark_checkpoint_durable();
  compare_pace();
  compare_delivered(saved_.model.replay());
  compare_state(0);
  return true;
}

// --- comparisons

void ManifestLogComponent::compare_pace() {
  const ManifestPace& pace = log_->pace();
  const PlainPace& plain = model_.pace;
  const bool equal = pace.entry_count_max == plain.entries && pace.tables_max == plain.tables_max &&
                     pace.append_blocks == plain.append && pace.compact_blocks_max == plain.compact &&
                     pace.live_blocks == plain.live && pace.cycle_blocks == plain.cycle &&
                     pace.log_blocks_max == plain.longest &&
                     pace.buffer_blocks() == plain.append + plain.compact + 1 &&
                     pace.append_entries_max() == plain.append * plain.entries;
  require(equal, "another pace", [&] {
    return fmt::format("append {} compact {} live {} cycle {} longest {}, expected {} {} {} {} {}",
                       pace.append_blocks, pace.compact_blocks_max, pace.live_blocks, pace.cycle_blocks,
                       pace.log_blocks_max, plain.append, plain.compact, plain.live, plain.cycle,
                       plain.longest);
  });
}

void ManifestLogComponent::compare_delivered(const std::vector<ManifestEntry>& expected) {
  referee_->answer(delivered_.size(), expected.empty() ? 0 : expected.front().address());
  require(delivered_.size() == expected.size(), "replay delivers another number of tables",
          [&] { return fmt::format("{} tables, expected {}", delivered_.size(), expected.size()); });
  for (std::size_t i = 0; i < expected.size(); ++i) {
    require(delivered_[i] == expected[i], "replay delivers another table", [&] {
      return fmt::format("the {}. is table {} with label {}, expected {} with {}", i, delivered_[i].address(),
                         f::load<u8>(delivered_[i].bytes, f::entry_label), expected[i].address(),
                         f::load<u8>(expected[i].bytes, f::entry_label));
    });
  }
}

// `gone`: blocks that were compacted since the last look.
void ManifestLogComponent::compare_state(u64 gone) {
  const FreeSet& free_set = grid_->free_set();
  require(log_->log_block_count() == model_.blocks.size(), "another number of log blocks", [&] {
    return fmt::format("{} blocks, expected {}", log_->log_block_count(), model_.blocks.size());
  });
  require(log_->table_count() == model_.latest.size(), "another number of live tables",
          [&] { return fmt::format("{} tables, expected {}", log_->table_count(), model_.latest.size()); });
  require(log_->log_block_count() <= log_->pace().log_blocks_max, FailureClass::resource,
          "the log is longer than the pace promises", [&] {
            return fmt::format("{} blocks of {}", log_->log_block_count(), log_->pace().log_blocks_max);
          });
  require(
      free_set.count_acquired() - free_set.count_released() == log_->log_block_count(), "blocks leak", [&] {
        return fmt::format("{} blocks are acquired and not released, the log has {}",
                           free_set.count_acquired() - free_set.count_released(), log_->log_block_count());
      });
  require(free_set.reservation_count() == 0 && grid_->idle() && log_->idle(), "the log is not idle",
          [&] { return fmt::format("{} reservations", free_set.reservation_count()); });

  std::vector<u64> now;
  for (u64 i = 0; i < log_->log_block_count(); ++i) {
    const u64 address = log_->log_block_address(i);
    now.push_back(address);
  }
  const u64 kept = std::min(addresses_.size(), now.size() + gone) - gone;
  require(std::equal(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(kept),
                     addresses_.begin() + static_cast<std::ptrdiff_t>(gone)),
          "a block of the log has moved", [&] { return fmt::format("{} were compacted", gone); });
  for (std::size_t i = kept; i < now.size(); ++i) {
    require(!free_set.is_free(now[i]) && !free_set.is_released(now[i]), "a block of the log is free",
            [&] { return fmt::format("block {}", now[i]); });
  }
  require(std::set<u64>(now.begin(), now.end()).size() == now.size(), "a block is in the log twice",
          [] { return "two blocks with one address"; });
  addresses_ = std::move(now);
}

// The blocks on the disk have the bytes that the model says, and mean what it says.
void ManifestLogComponent::compare_disk() {
  const ManifestChain chain = read_manifest_chain(disk_.image(), place(), saved_.ends);
  ++referee_->counters().structure_checks;
  require(chain.fault.empty(), FailureClass::structure, "the log on the disk is broken",
          [&] { return chain.fault; });
  require(chain.blocks.size() == model_.blocks.size(), FailureClass::structure,
          "the log on the disk has another length",
          [&] { return fmt::format("{} blocks, expected {}", chain.blocks.size(), model_.blocks.size()); });
  for (std::size_t i = 0; i < chain.blocks.size(); ++i) {
    require(
        chain.blocks[i].ref.address == addresses_[i] && chain.blocks[i].entries == model_.blocks[i].entries,
        FailureClass::structure, "a block on the disk has other entries", [&] {
          return fmt::format("block {} of {}, address {}: {} entries, expected {} at {}", i,
                             chain.blocks.size(), chain.blocks[i].ref.address, chain.blocks[i].entries.size(),
                             model_.blocks[i].entries.size(), addresses_[i]);
        });
  }
  LiveTables live;
  for (const auto& [address, where] : model_.latest) live[address] = model_.record(address);
  require(replay_forward(chain) == live, FailureClass::structure, "replayed forwards, other tables are live",
          [&] { return fmt::format("expected {}", live.size()); });
  require(replay_backward(chain) == live, FailureClass::structure,
          "replayed backwards, other tables are live",
          [&] { return fmt::format("expected {}", live.size()); });
}

// --- half-bars

// Appends what a half-bar may, `percent` of it. `grow`: of four changes so many insert, if there is room.
void ManifestLogComponent::append(u64 percent, u64 grow) {
  const u64 budget = log_->pace().append_entries_max();
  const u64 live_max = std::max<u64>(1, tables_max_ * live_percent / 100);
  for (u64 i = 0; i < budget * percent / 100; ++i) {
    const u64 random = content_.at(line_.number, line_.child, ++draws_);
    const bool insert =
        model_.latest.empty() || (model_.latest.size() < live_max && below(remix(random, 1), 4) < grow);
    TableInfo table{};
    ManifestEvent event = ManifestEvent::insert;
    if (insert) {
      table = drawn_table(random);
    } else {
      auto at = model_.latest.lower_bound(1 + below(remix(random, 2), 2 * live_max));
      if (at == model_.latest.end()) at = model_.latest.begin();
      std::memcpy(static_cast<void*>(&table), model_.record(at->first).bytes.data(), sizeof(table));
      const bool remove = grow == 0 || below(remix(random, 3), 3) == 0;
      event = remove ? ManifestEvent::remove : ManifestEvent::update;
    }
    const u32 levels = referee_->options().format.levels;
    const u32 level =
        event == ManifestEvent::remove ? table.level() : static_cast<u32>(below(remix(random, 4), levels));
    table.set_label(level, event);
    log_->append(table);
    model_.append(entry_of(table));
  }
}

// Of an address that is not live. It may have been until just now.
TableInfo ManifestLogComponent::drawn_table(u64 random) const {
  const u64 live_max = std::max<u64>(1, tables_max_ * live_percent / 100);
  const u64 span = std::min(blocks_count(), 2 * live_max);
  u64 address = 1 + below(remix(random, 5), span);
  while (model_.latest.contains(address)) address = address % span + 1;
  TableInfo table{};
  table.key_min = Key{.lo = remix(random, 6), .hi = remix(random, 7) >> 60};
  table.key_max = Key{.lo = u128{remix(random, 8)} << 64, .hi = table.key_min.hi + 1};
  table.checksum = u128{remix(random, 9)} << 64 | random;
  table.address = address;
  table.snapshot_min = 1 + (remix(random, 10) >> 20);
  table.snapshot_max = snapshot_max_live;
  table.value_count = 1 + static_cast<u32>(remix(random, 11) >> 40);
  table.tree_id = static_cast<u16>(1 + below(remix(random, 12), trees_));
  return table;
}

void ManifestLogComponent::half_bar(u64 percent, u64 grow) {
  if (!ensure_open()) return;
  const u64 compacted = model_.to_compact();
  const FreeSet& free_set = grid_->free_set();
  const bool room = free_set.count_free() >= compacted + model_.pace.append;
  const bool reserved = log_->reserve();
  require(reserved == room, "reserve answers otherwise", [&] {
    return fmt::format("{} with {} free blocks, {} to compact and {} to append", reserved,
                       free_set.count_free(), compacted, model_.pace.append);
  });
  if (!reserved) {
    ++referee_->counters().batch_full;
    return compare_state(0);
  }
  const Grid::Counters before = grid_->counters();
  log_->compact(callback());
  if (!wait("compact")) return;
  require(!log_->error(), FailureClass::false_alarm, "compaction fails",
          [&] { return fmt::format("{}: {}", log_->error().address, log_->error().reason); });
  const Grid::Counters& after = grid_->counters();
  const u64 read = after.reads_storage + after.reads_cache - before.reads_storage - before.reads_cache;
  require(read == compacted && after.writes - before.writes == model_.unwritten,
          "other blocks are read or written", [&] {
            return fmt::format("{} read and {} written, expected {} and {}", read,
                               after.writes - before.writes, compacted, model_.unwritten);
          });
  referee_->counters().blocks_read += compacted;
  referee_->counters().blocks_written += model_.unwritten;
  model_.unwritten = 0;
  model_.compact(compacted);
  append(percent, grow);
  log_->compact_end();
  referee_->answer(compacted, model_.latest.size());
  compare_state(compacted);
}

// --- checkpoints

// False: a crash struck, or the sync failed.
bool ManifestLogComponent::checkpoint() {
  if (!ensure_open()) return false;
  FreeSet& free_set = grid_->free_set();
  if (!free_set.checkpoint_durable()) free_set.mark_checkpoint_durable();
  model_.close_partial();
  const u64 written_before = grid_->counters().writes;
  log_->checkpoint(callback());
  if (!wait("checkpoint")) return false;
  require(!log_->error(), FailureClass::false_alarm, "a checkpoint fails",
          [&] { return fmt::format("{}: {}", log_->error().address, log_->error().reason); });
  const u64 written = grid_->counters().writes - written_before;
  require(written == model_.unwritten, "a checkpoint writes other blocks",
          [&] { return fmt::format("{} blocks, expected {}", written, model_.unwritten); });
  model_.unwritten = 0;
  compare_state(0);
  if (!sync()) return false;  // The checkpoint before is all there is.
  save();
  compare_disk();
  ++referee_->counters().checkpoints;
  return true;
}

// What a superblock and the trailers would keep.
void ManifestLogComponent::save() {
  FreeSet& free_set = grid_->free_set();
  const ManifestReferences references = log_->references();
  saved_.any = true;
  saved_.ends = {.oldest = {.address = references.oldest.address, .checksum = references.oldest.checksum},
                 .newest = {.address = references.newest.address, .checksum = references.newest.checksum},
                 .count = references.block_count};
  saved_.acquired.resize(FreeSet::encode_size_max(blocks_count()));
  saved_.acquired.resize(free_set.encode_acquired(saved_.acquired));
  saved_.released.resize(FreeSet::encode_size_max(blocks_count()));
  saved_.released.resize(free_set.encode_released(saved_.released));
  saved_.model = model_;
  saved_.addresses = addresses_;
  free_set.mark_checkpoint_not_durable();
  protect(true);
}

// The disk asserts that nobody writes to these.
void ManifestLogComponent::protect(bool on) {
  std::vector<u64> words(blocks_count() / 64);
  for (const u64 address : saved_.addresses) words[(address - 1) / 64] |= u64{1} << (address - 1) % 64;
  if (!on) words.clear();
  disk_.protect(words);
}

// --- lines

void ManifestLogComponent::play(const Operation& line) {
  const std::string_view verb = line.verb->name;
  const auto& a = line.arguments;
  line_ = line.id;
  draws_ = 0;
  if (verb == "half_bar") {
    half_bar(a[0], a[1]);
  } else if (verb == "burst") {
    for (u64 i = 0; i <= a[0]; ++i) half_bar(100, a[1]);
  } else if (verb == "shrink") {
    half_bar(100, 0);
  } else if (verb == "checkpoint") {
    checkpoint();
  } else if (verb == "durable") {
    if (!ensure_open()) return;
    if (grid_->free_set().checkpoint_durable()) return referee_->skip();
    grid_->free_set().mark_checkpoint_durable();
  } else if (verb == "crash") {
    arm_crash(a[0]);
  } else if (verb == "reopen") {
    crash();
    ensure_open();
  } else if (verb == "open_small") {
    open_small(a[0]);
  } else if (verb == "damage") {
    damage(a[0], a[1]);
  } else {
    ASSERT(verb == "forge");
    forge(a[0], a[1], a[2]);
  }
}

void ManifestLogComponent::finish() {
  disarm_crash();
  checkpoint();
  crash();
  ensure_open();
}

std::unique_ptr<Component> make_manifest_log(Referee& referee) {
  return std::make_unique<ManifestLogComponent>(referee);
}

}  // namespace tonearm::sim
