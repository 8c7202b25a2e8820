#include "forest/forest.h"

#include <algorithm>

#include "base/mark.h"

namespace tonearm {

Tree& Forest::tree(u32 index) {
  ASSERT(index < tree_count_);
  return *trees_[index];
}

const Tree& Forest::tree(u32 index) const {
  ASSERT(index < tree_count_);
  return *trees_[index];
}

u64 Forest::checkpoint_op() const { return superblock_.working().state.op; }

bool Forest::checkpoint_due(u64 op) const {
  // The trigger of the checkpoint that this file was opened at is not repeated by a replay.
  return checkpoint_trigger(options_.format, op) &&
         tonearm::checkpoint_op(options_.format, op) > checkpoint_op();
}

SpanKind Forest::span_of(Progress progress) {
  switch (progress) {
    case Progress::format: return SpanKind::format;
    case Progress::open: return SpanKind::open;
    case Progress::compact: return SpanKind::beat;
    case Progress::checkpoint: return SpanKind::checkpoint;
    case Progress::none: break;
  }
  UNREACHABLE();
}

bool Forest::begin(Progress progress, Callback<> done) {
  ASSERT(progress_ == Progress::none && "wait until the forest is done");
  ASSERT(verifications_ == 0 && "nothing changes while a verification runs");
  ASSERT(done);
  progress_ = progress;
  done_ = done;
  span_begins(span_of(progress), this);
  if (!error_) return true;
  mark(Mark::sticky_error);
  finish();
  return false;
}

// Completes on the next tick, so that `done` never runs inside the call that began.
void Forest::finish() {
  stage_ = Stage::finish;
  next_tick_.done = Callback<Storage::NextTick&>::to<&Forest::tick_done>(this);
  storage_->next_tick(next_tick_);
}

void Forest::tick_done(Storage::NextTick&) {
  ASSERT(stage_ == Stage::finish);
  span_ends(span_of(progress_), this);
  progress_ = Progress::none;
  stage_ = Stage::idle;
  const Callback<> done = done_;
  done_ = {};
  done();
}

void Forest::fail(const Error& error) {
  ASSERT(error);
  if (error.kind == ErrorKind::sync_failed) mark(Mark::checkpoint_sync_failed);
  if (error.kind == ErrorKind::storage_full) mark(Mark::storage_full);
  if (!error_) error_ = error;
  grid_.allow_repairs(false);
  for (u32 i = 0; i < tree_count_; ++i) trees_[i]->fail();
  finish();
}

// The one dispatcher: the stage at hand is complete; what comes next depends on what is in progress.
void Forest::stage_done() {
  switch (progress_) {
    case Progress::format: return advance_format();
    case Progress::open: return advance_open();
    case Progress::compact: return advance_compact();
    case Progress::checkpoint: return advance_checkpoint();
    case Progress::none: break;
  }
  UNREACHABLE();
}

TreeScan& Forest::scan_open(Tree& tree, const KeyRange& range, Direction direction, bool cache_read) {
  ASSERT(opened_);
  scan_.open(tree, *scan_buffer_, range, direction, cache_read);
  return scan_;
}

void Forest::assert_no_scan() const {
  ASSERT(scan_.state() == TreeScan::State::closed);
  ASSERT(scan_buffers_.used() == 0 && "release the scans before changing what they read");
}

// --- format

void Forest::format(Callback<> done) {
  ASSERT(!opened_);
  if (!begin(Progress::format, done)) return;
  stage_ = Stage::superblock;
  superblock_.format(options_.cluster, options_.format, Callback<>::to<&Forest::stage_done>(this));
}

void Forest::advance_format() {
  ASSERT(stage_ == Stage::superblock);
  if (superblock_.error()) return fail(superblock_.error());
  finish();
}

// --- open

void Forest::open(Callback<> done) {
  ASSERT(!opened_);
  if (!begin(Progress::open, done)) return;
  stage_ = Stage::superblock;
  superblock_.open(options_.format, Callback<>::to<&Forest::stage_done>(this));
}

void Forest::advance_open() {
  const Callback<> next = Callback<>::to<&Forest::stage_done>(this);
  switch (stage_) {
    case Stage::superblock: {
      if (superblock_.error()) return fail(superblock_.error());
      const CheckpointState& state = superblock_.working().state;
      const u64 limit = superblock_zone_size + grid_.blocks_count() * grid_.block_size();
      if (state.storage_size > limit) {
        return fail({.kind = ErrorKind::storage_size,
                     .reason = "the data file is longer than the storage limit allows",
                     .stored = state.storage_size,
                     .given = limit});
      }
      grid_.set_cluster(superblock_.working().cluster);
      stage_ = Stage::trailer_acquired;
      trailer_acquired_.open(
          {.last = {.address = state.acquired_last_address, .checksum = state.acquired_last},
           .size = state.acquired_size,
           .checksum = state.acquired_payload},
          next);
      return;
    }
    case Stage::trailer_acquired: {
      if (trailer_acquired_.error()) return fail(trailer_acquired_.error());
      const CheckpointState& state = superblock_.working().state;
      stage_ = Stage::trailer_released;
      trailer_released_.open(
          {.last = {.address = state.released_last_address, .checksum = state.released_last},
           .size = state.released_size,
           .checksum = state.released_payload},
          next);
      return;
    }
    case Stage::trailer_released: {
      if (trailer_released_.error()) return fail(trailer_released_.error());
      if (!open_free_set()) return;
      const CheckpointState& state = superblock_.working().state;
      stage_ = Stage::manifest;
      manifest_log_.open(
          {.oldest = {.address = state.manifest_oldest_address, .checksum = state.manifest_oldest},
           .newest = {.address = state.manifest_newest_address, .checksum = state.manifest_newest},
           .block_count = state.manifest_block_count},
          Callback<const TableInfo&>::to<&Forest::open_table>(this), next);
      return;
    }
    case Stage::manifest: {
      if (manifest_log_.error()) return fail(manifest_log_.error());
      if (error_) return fail(error_);
      for (u32 i = 0; i < tree_count_; ++i) trees_[i]->open_complete();
      op_ = superblock_.working().state.op;
      opened_ = true;
      grid_.allow_repairs(true);
      assert_between_bars();
      finish();
      return;
    }
    case Stage::idle:
    case Stage::beat:
    case Stage::manifest_compact:
    case Stage::sync:
    case Stage::finish: break;
  }
  UNREACHABLE();
}

// False: failed. The trailers' own blocks are in neither bitmap: those were encoded before the
// trailers acquired them.
bool Forest::open_free_set() {
  const CheckpointState& state = superblock_.working().state;
  const std::span<const u64> acquired = trailer_acquired_.addresses();
  const std::span<const u64> released = trailer_released_.addresses();
  ASSERT(acquired.size() + released.size() <= trailer_addresses_.size());
  std::copy(acquired.begin(), acquired.end(), trailer_addresses_.begin());
  std::copy(released.begin(), released.end(), trailer_addresses_.begin() + acquired.size());
  const FreeSet::OpenResult result = grid_.free_set().open(
      trailer_acquired_.payload().first(state.acquired_size),
      trailer_released_.payload().first(state.released_size),
      std::span<const u64>(trailer_addresses_).first(acquired.size() + released.size()));
  switch (result) {
    case FreeSet::OpenResult::opened: return true;
    case FreeSet::OpenResult::malformed:
      fail({.kind = ErrorKind::checkpoint_invalid, .reason = "a trailer of the free set is no bitmap"});
      return false;
    case FreeSet::OpenResult::beyond_limit:
      fail({.kind = ErrorKind::storage_size,
            .reason = "the data file has more blocks than the storage limit allows",
            .stored = state.storage_size,
            .given = superblock_zone_size + grid_.blocks_count() * grid_.block_size()});
      return false;
    case FreeSet::OpenResult::contradiction:
      fail({.kind = ErrorKind::checkpoint_invalid,
            .reason = "the trailers of the free set contradict themselves"});
      return false;
  }
  UNREACHABLE();
}

void Forest::open_table(const TableInfo& table) {
  if (error_) return;
  const char* reason = "a table of no tree";
  for (u32 i = 0; i < tree_count_; ++i) {
    if (trees_[i]->config().id == table.tree_id) reason = trees_[i]->open_table(table);
  }
  if (reason == nullptr) return;
  // The schema hash matched and the block authenticated, but what it says is no table of ours.
  error_ = {.kind = ErrorKind::block_damaged,
            .address = table.address,
            .checksum = table.checksum,
            .reason = reason};
}

// --- compact

void Forest::compact(u64 op, Callback<> done) {
  ASSERT(opened_ && "open the forest first");
  ASSERT(op == op_ + 1 && "ops are numbered one by one");
  ASSERT(!scope_active_ && "close the scope first");
  assert_no_scan();
  if (!begin(Progress::compact, done)) return;
  op_ = op;
  compact_start();
}

void Forest::compact_start() {
  const Beat beat{.op = op_, .beats = options_.format.beats};
  const u64 checkpointed = checkpoint_op();
  const bool compacted = checkpointed > 0 && op_ <= checkpointed + options_.format.beats;
  if (op_ < options_.format.beats || compacted) {
    if (compacted) mark(Mark::replay_op_compacted);
    compact_op_end();
    return;
  }
  if (beat.first() || beat.half()) {
    schedule_.half_bar_commence(op_, std::span<Tree* const>(trees_).first(tree_count_));
  }
  // The manifest log reserves first: its addresses must not depend on the trees' needs.
  const bool half_bar_ends = beat.last_of_half() || beat.last();
  if (half_bar_ends && !manifest_log_.reserve()) return fail({.kind = ErrorKind::storage_full});
  if (!schedule_.beat_reserve(op_)) return fail({.kind = ErrorKind::storage_full});
  stage_ = Stage::beat;
  schedule_.beat(Callback<>::to<&Forest::stage_done>(this));
}

void Forest::advance_compact() {
  const Beat beat{.op = op_, .beats = options_.format.beats};
  const bool half_bar_ends = beat.last_of_half() || beat.last();
  if (stage_ == Stage::beat) {
    if (schedule_.error()) return fail(schedule_.error());
    if (half_bar_ends) {
      stage_ = Stage::manifest_compact;
      span_begins(SpanKind::manifest_compaction, &manifest_log_);
      manifest_log_.compact(Callback<>::to<&Forest::stage_done>(this));
      return;
    }
    schedule_.beat_forfeit();
  } else {
    ASSERT(stage_ == Stage::manifest_compact);
    span_ends(SpanKind::manifest_compaction, &manifest_log_);
    ASSERT(half_bar_ends);
    if (manifest_log_.error()) return fail(manifest_log_.error());
    schedule_.half_bar_complete();
    if (schedule_.error()) return fail(schedule_.error());
    manifest_log_.compact_end();
    schedule_.beat_forfeit();
  }
  compact_op_end();
}

void Forest::compact_op_end() {
  for (u32 i = 0; i < tree_count_; ++i) trees_[i]->op_end();
  if (op_ % options_.format.beats == options_.format.beats - 1) {
    for (u32 i = 0; i < tree_count_; ++i) trees_[i]->swap_mutable_and_immutable(op_ + 1);
    assert_between_bars();
  }
  finish();
}

void Forest::assert_between_bars() const {
  ASSERT(!schedule_.active());
  ASSERT(grid_.free_set().reservation_count() == 0);
  u64 tables = 0;
  for (u32 i = 0; i < tree_count_; ++i) {
    trees_[i]->assert_between_bars();
    tables += trees_[i]->manifest().table_count();
  }
  ASSERT(tables == manifest_log_.table_count());
}

// --- checkpoint

void Forest::checkpoint(Callback<> done) {
  ASSERT(opened_ && "open the forest first");
  ASSERT(!scope_active_ && "close the scope first");
  assert_no_scan();
  if (!begin(Progress::checkpoint, done)) return;
  ASSERT(checkpoint_due(op_) && "a checkpoint is taken where checkpoint_due() says so");
  ASSERT(checkpoint_durable() && "mark the last checkpoint durable first");
  ASSERT(grid_.idle());
  assert_between_bars();
  for (u32 i = 0; i < tree_count_; ++i) ASSERT(!trees_[i]->table_immutable().absorbed());
  stage_ = Stage::manifest;
  manifest_log_.checkpoint(Callback<>::to<&Forest::stage_done>(this));
}

void Forest::advance_checkpoint() {
  const Callback<> next = Callback<>::to<&Forest::stage_done>(this);
  switch (stage_) {
    case Stage::manifest: {
      if (manifest_log_.error()) return fail(manifest_log_.error());
      checkpoint_trailers_start();
      return;
    }
    case Stage::trailer_acquired: {
      if (trailer_acquired_.error()) return fail(trailer_acquired_.error());
      stage_ = Stage::trailer_released;
      trailer_released_.write(payload_released_size_, trailer_reservation_, next);
      return;
    }
    case Stage::trailer_released: {
      if (trailer_released_.error()) return fail(trailer_released_.error());
      if (trailer_reserved_) grid_.forfeit(trailer_reservation_);
      trailer_reserved_ = false;
      ASSERT(grid_.idle());
      // Everything the new superblock will refer to is written; now it must be durable.
      stage_ = Stage::sync;
      sync_start();
      return;
    }
    case Stage::sync: {
      // Never tried again: what the failed sync covered may be lost although a second one succeeds.
      for (const Storage::Sync* sync : {&sync_, &mirror_sync_}) {
        if (sync->result != IoResult::ok) return fail({.kind = ErrorKind::sync_failed});
      }
      stage_ = Stage::superblock;
      superblock_.checkpoint(checkpoint_state(), next);
      return;
    }
    case Stage::superblock: {
      if (superblock_.error()) return fail(superblock_.error());
      mark(Mark::checkpoint_done);
      // In this order: released first, the trailers' blocks would be freed together with the blocks
      // of the checkpoint before, while this checkpoint still needs them.
      grid_.free_set().mark_checkpoint_not_durable();
      for (const u64 address : trailer_acquired_.addresses()) grid_.release(address);
      for (const u64 address : trailer_released_.addresses()) grid_.release(address);
      finish();
      return;
    }
    case Stage::idle:
    case Stage::beat:
    case Stage::manifest_compact:
    case Stage::finish: break;
  }
  UNREACHABLE();
}

void Forest::sync_start() {
  ASSERT(syncs_left_ == 0);
  sync_.tag = {.purpose = IoPurpose::checkpoint_sync};
  mirror_sync_.tag = {.purpose = IoPurpose::mirror_sync};
  mirror_sync_.result = IoResult::ok;
  sync_.done = mirror_sync_.done = Callback<Storage::Sync&>::to<&Forest::sync_done>(this);
  syncs_left_ = grid_.mirrored() ? 2 : 1;
  storage_->sync(sync_);
  if (grid_.mirrored()) grid_.storage(GridSide::mirror).sync(mirror_sync_);
}

void Forest::sync_done(Storage::Sync&) {
  ASSERT(syncs_left_ > 0);
  if (--syncs_left_ == 0) stage_done();
}

void Forest::checkpoint_trailers_start() {
  payload_acquired_size_ = grid_.free_set().encode_acquired(trailer_acquired_.payload());
  payload_released_size_ = grid_.free_set().encode_released(trailer_released_.payload());
  const u32 blocks = CheckpointTrailer::blocks_for(payload_acquired_size_, grid_.block_size()) +
                     CheckpointTrailer::blocks_for(payload_released_size_, grid_.block_size());
  trailer_reserved_ = blocks > 0;
  if (trailer_reserved_) {
    const std::optional<Reservation> reservation = grid_.reserve(blocks);
    if (!reservation) return fail({.kind = ErrorKind::storage_full});
    trailer_reservation_ = *reservation;
  }
  stage_ = Stage::trailer_acquired;
  trailer_acquired_.write(payload_acquired_size_, trailer_reservation_,
                          Callback<>::to<&Forest::stage_done>(this));
}

CheckpointState Forest::checkpoint_state() const {
  CheckpointState state = superblock_.working().state;
  state.op = tonearm::checkpoint_op(options_.format, op_);
  const u128 cluster = grid_.cluster();
  const u64 op_words[] = {state.op, static_cast<u64>(cluster), static_cast<u64>(cluster >> 64)};
  state.op_id = checksum_of(std::as_bytes(std::span(op_words)));
  const TrailerReference& acquired = trailer_acquired_.reference();
  state.acquired_last = acquired.last.checksum;
  state.acquired_last_address = acquired.last.address;
  state.acquired_payload = acquired.checksum;
  state.acquired_size = acquired.size;
  const TrailerReference& released = trailer_released_.reference();
  state.released_last = released.last.checksum;
  state.released_last_address = released.last.address;
  state.released_payload = released.checksum;
  state.released_size = released.size;
  const ManifestReferences manifest = manifest_log_.references();
  state.manifest_oldest = manifest.oldest.checksum;
  state.manifest_oldest_address = manifest.oldest.address;
  state.manifest_newest = manifest.newest.checksum;
  state.manifest_newest_address = manifest.newest.address;
  state.manifest_block_count = manifest.block_count;
  state.storage_size = superblock_zone_size + grid_.free_set().highest_acquired() * grid_.block_size();
  return state;
}

void Forest::mark_checkpoint_durable() {
  ASSERT(opened_);
  ASSERT(!busy());
  ASSERT(scrub_reads_ == 0);
  ASSERT(verifications_ == 0);
  if (!error_ && !checkpoint_durable()) grid_.free_set().mark_checkpoint_durable();
}

bool Forest::scope_open() {
  ASSERT(!scope_active_ && "a scope is open already");
  assert_no_scan();
  if (error_) {
    mark(Mark::sticky_error);
    return false;
  }
  scope_active_ = true;
  for (u32 i = 0; i < tree_count_; ++i) trees_[i]->scope_open();
  return true;
}

void Forest::scope_close(ScopeMode mode) {
  ASSERT(scope_active_ && "no scope is open");
  assert_no_scan();
  scope_active_ = false;
  for (u32 i = 0; i < tree_count_; ++i) trees_[i]->scope_close(mode);
}

}  // namespace tonearm
