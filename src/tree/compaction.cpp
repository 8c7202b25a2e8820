#include "tree/compaction.h"

#include <algorithm>
#include <new>

#include "base/mark.h"
#include "base/math.h"
#include "base/span.h"
#include "base/variation.h"

namespace tonearm {

namespace {

constexpr u32 outputs_min = 2;  // An index block and a value block.

// How the budget is divided. What is beyond the least goes round: output, B, A (B has more to read).
struct Buffers {
  u32 slots_a = 1;
  u32 slots_b = 1;
  u32 outputs = outputs_min;

  explicit Buffers(u32 blocks) {
    ASSERT(blocks >= compaction_blocks_min);
    for (u32 i = 0; i < blocks - compaction_blocks_min; ++i) {
      ++(i % 3 == 0 ? outputs : i % 3 == 1 ? slots_b : slots_a);
    }
    ASSERT(slots_a + slots_b + outputs + 2 == blocks);
  }
};

}  // namespace

void Compaction::measure(Arena& arena, const FormatOptions& format, u32 blocks) {
  const Buffers buffers(blocks);
  arena.take<std::byte>(u64{blocks} * format.block_size, 4096);
  arena.take<Slot>(buffers.slots_a + buffers.slots_b);
  arena.take<Output>(buffers.outputs);
}

Compaction::Compaction(Grid& grid, Arena& arena, const FormatOptions& format, u32 blocks)
    : grid_(&grid), block_size_(format.block_size), sector_size_(format.sector_size) {
  const Buffers buffers(blocks);
  std::byte* memory = arena.take<std::byte>(u64{blocks} * block_size_, 4096).data();
  const auto next_block = [&] {
    std::byte* block = memory;
    memory += block_size_;
    return block;
  };
  const std::span<Slot> slots = arena.take<Slot>(buffers.slots_a + buffers.slots_b);
  for (Slot& slot : slots) {
    new (&slot) Slot;
    slot.compaction = this;
    slot.buffer = next_block();
    poison(slot.buffer, block_size_);
  }
  inputs_[0].slots = slots.first(buffers.slots_a);
  inputs_[1].slots = slots.subspan(buffers.slots_a);
  for (Input& input : inputs_) {
    input.compaction = this;
    input.index_block = next_block();
    poison(input.index_block, block_size_);
  }
  outputs_ = arena.take<Output>(buffers.outputs);
  for (Output& output : outputs_) {
    new (&output) Output;
    output.compaction = this;
    output.buffer = next_block();
    poison(output.buffer, block_size_);
  }
  if (blocks == compaction_blocks_min) mark(Mark::compaction_budget_min);
}

u64 Compaction::blocks_needed_max(const TableLayout& layout, u64 values) {
  // A block begun before and one cut short by the end of the job, on either scale; one value of overshoot.
  const u64 value_blocks = div_ceil(values + 1, layout.values_per_block) + 2;
  return value_blocks + div_ceil(value_blocks, layout.value_blocks_max) + 2;
}

void Compaction::start(CompactionJob& job) {
  ASSERT(job_ == nullptr);
  ASSERT(!running_);
  ASSERT(!job.move);
  ASSERT(!job.done);
  ASSERT(job.values_consumed == 0);
  job_ = &job;
  merged_ = false;
  builder_.init(job.tree->layout(), job.tree->kernel());
  if (job.level_b == 0) {
    const TableMemory& immutable = job.tree->table_immutable();
    ASSERT(!immutable.flushed());
    input_start(inputs_[0], nullptr, 0, 0);
    inputs_[0].memory = immutable.values();
    ASSERT(!inputs_[0].memory.empty());
  } else {
    input_start(inputs_[0], &job.table_a, 1, job.level_b - 1);
  }
  input_start(inputs_[1], job.tables_b.begin(), job.tables_b.count(), job.level_b);
  for (const Output& output : outputs_) ASSERT(output.stage == Output::Stage::idle);
}

void Compaction::input_start(Input& input, const TableInfo* tables, u32 count, u32 level) {
  ASSERT(input.slot_count == 0);
  input.index = Input::Index::wanted;
  input.slot_head = 0;
  input.tables = tables;
  input.table_count = count;
  input.table = 0;
  input.block_next = 0;
  input.level = level;
  input.memory = {};
}

void Compaction::run(u64 values, Reservation& reservation, Callback<> done) {
  ASSERT(job_ != nullptr);
  ASSERT(!running_);
  ASSERT(in_flight_ == 0);
  ASSERT(values > 0);
  running_ = true;
  span_begins(SpanKind::compaction, this,
              {.tree = job_->tree->config().id, .level = static_cast<u8>(job_->level_b)});
  completing_ = false;
  values_run_ = 0;
  values_allowed_ = values;
  reservation_ = &reservation;
  done_ = done;
  // Legal: a compaction with the least budget writes the same blocks to the same addresses.
  narrow_ = variation(Variation::compaction_narrow, job_->snapshot_min, job_->values_consumed) != 0;
  dispatch();
}

// The only place that decides. Starts whatever can be started; when the run's share is done and
// nothing is in flight, completes it.
void Compaction::dispatch() {
  if (!running_ || completing_) return;
  bool progressed = true;
  while (progressed) {
    progressed = false;
    if (wants_input()) {
      for (Input& input : inputs_) {
        progressed |= read_index(input);
        progressed |= read_value(input);
      }
    }
    if (!error_ && !merged_) progressed |= merge();
  }
  if (in_flight_ > 0) return;
  ASSERT(error_ || merged_ || values_run_ >= values_allowed_);
  completing_ = true;
  next_tick_.done = Callback<Storage::NextTick&>::to<&Compaction::tick_done>(this);
  grid_->storage().next_tick(next_tick_);
}

void Compaction::tick_done(Storage::NextTick&) {
  ASSERT(running_);
  ASSERT(in_flight_ == 0);
  running_ = false;
  span_ends(SpanKind::compaction, this);
  if (!error_ && merged_) {
    job_->done = true;
    ASSERT(job_->values_consumed == job_->values_in);
    ASSERT(job_->values_consumed == job_->values_produced + job_->values_dropped);
    if (job_->tables_out.empty()) mark(Mark::merge_to_nothing, job_->tree->config().id);
    job_ = nullptr;
  } else if (!error_) {
    mark(Mark::compaction_suspended, job_->tree->config().id);
  }
  done_();
}

bool Compaction::read_index(Input& input) {
  if (input.all_scheduled() || input.index != Input::Index::wanted) return false;
  input.index = Input::Index::reading;
  unpoison(input.index_block, block_size_);
  input.index_read.block = input.tables[input.table].index_block();
  input.index_read.tag = {.purpose = IoPurpose::compact_read,
                          .level = static_cast<u8>(input.level),
                          .tree = job_->tree->config().id};
  input.index_read.cache_read = true;
  input.index_read.cache_write = false;
  input.index_read.buffer = input.index_block;
  input.index_read.done = Callback<Grid::Read&>::to<&Input::index_read_done>(&input);
  ++in_flight_;
  grid_->read(input.index_read);
  return true;
}

void Compaction::Input::index_read_done(Grid::Read& done) {
  ASSERT(index == Index::reading);
  ASSERT(compaction->in_flight_ > 0);
  --compaction->in_flight_;
  index = Index::ready;
  if (done.result != BlockResult::valid) compaction->read_failed(done);
  compaction->dispatch();
}

bool Compaction::read_value(Input& input) {
  if (input.all_scheduled() || input.index != Input::Index::ready) return false;
  if (input.slot_count >= (narrow_ ? 1 : input.slots.size())) return false;
  const IndexBlock index(job_->tree->layout(), job_->tree->kernel(), input.index_block);
  Slot& slot = input.slots[(input.slot_head + input.slot_count) % input.slots.size()];
  ++input.slot_count;
  unpoison(slot.buffer, block_size_);
  slot.ready = false;
  slot.count = 0;
  slot.position = 0;
  slot.read.block = index.value_block(input.block_next);
  slot.read.tag = input.index_read.tag;
  slot.read.cache_read = true;
  slot.read.cache_write = false;
  slot.read.buffer = slot.buffer;
  slot.read.done = Callback<Grid::Read&>::to<&Slot::read_done>(&slot);
  ++in_flight_;
  grid_->read(slot.read);
  if (++input.block_next == index.count()) release_table(input);
  return true;
}

void Compaction::Slot::read_done(Grid::Read& done) {
  ASSERT(!ready);
  ASSERT(compaction->in_flight_ > 0);
  --compaction->in_flight_;
  if (done.result != BlockResult::valid) {
    compaction->read_failed(done);
  } else {
    const TableLayout& layout = compaction->job_->tree->layout();
    count = static_cast<u32>(value_block_values(layout, buffer).size() / layout.value_size);
    ready = true;
  }
  compaction->dispatch();
}

void Compaction::read_failed(const Grid::Read& read) {
  if (error_) return;
  error_ = {.kind = ErrorKind::block_damaged,
            .address = read.block.address,
            .checksum = read.block.checksum,
            .reason = block_result_name(read.result)};
}

// Every value block of the table is scheduled. Its blocks stay readable until a durable checkpoint
// makes their addresses reusable, which cannot happen within this half-bar.
void Compaction::release_table(Input& input) {
  const IndexBlock index(job_->tree->layout(), job_->tree->kernel(), input.index_block);
  for (u32 i = 0; i < index.count(); ++i) grid_->release(index.value_block(i).address);
  grid_->release(input.tables[input.table].address);
  ++input.table;
  input.block_next = 0;
  input.index = Input::Index::wanted;
  poison(input.index_block, block_size_);
}

bool Compaction::Input::ready() const {
  if (!memory.empty() || exhausted()) return true;
  return slot_count > 0 && slots[slot_head].ready;
}

bool Compaction::Input::last() const {
  if (!memory.empty()) return true;
  return all_scheduled() && slot_count <= 1;
}

std::span<const std::byte> Compaction::Input::values(u32 value_size) const {
  if (!memory.empty() || slot_count == 0) return memory;
  const Slot& slot = slots[slot_head];
  ASSERT(slot.ready);
  return {body_of(slot.buffer) + u64{slot.position} * value_size,
          u64{slot.count - slot.position} * value_size};
}

bool Compaction::merge() {
  if (!inputs_[0].ready() || !inputs_[1].ready()) return false;
  if (inputs_[0].exhausted() && inputs_[1].exhausted()) {
    finish_outputs();
    merged_ = true;
    return true;
  }
  if (values_run_ >= values_allowed_) return false;
  if (!output_ready()) return false;

  const u32 value_size = job_->tree->layout().value_size;
  const MergeResult result = job_->tree->kernel().merge({
      .a = inputs_[0].values(value_size),
      .b = inputs_[1].values(value_size),
      .a_last = inputs_[0].last(),
      .b_last = inputs_[1].last(),
      .drop_tombstones = job_->drop_tombstones,
      .consume_max = values_allowed_ - values_run_,
      .output = builder_.value_space(),
  });
  const u64 consumed = u64{result.a_consumed} + result.b_consumed;
  ASSERT(consumed > 0);
  ASSERT(result.produced <= consumed);
  values_run_ += consumed;
  job_->values_consumed += consumed;
  job_->values_produced += result.produced;
  job_->values_dropped += consumed - result.produced;
  count_marks(result);
  builder_.values_added(result.produced);
  consume(inputs_[0], result.a_consumed);
  consume(inputs_[1], result.b_consumed);
  if (builder_.value_block_full()) {
    finish_value_block();
    if (builder_.index_block_full()) finish_index_block();
  }
  return true;
}

void Compaction::consume(Input& input, u32 count) {
  if (count == 0) return;
  if (!input.memory.empty()) {
    input.memory = input.memory.subspan(u64{count} * job_->tree->layout().value_size);
    return;
  }
  Slot& slot = input.slots[input.slot_head];
  slot.position += count;
  ASSERT(slot.position <= slot.count);
  if (slot.position < slot.count) return;
  poison(slot.buffer, block_size_);
  slot.ready = false;
  input.slot_head = static_cast<u32>((input.slot_head + 1) % input.slots.size());
  --input.slot_count;
}

void Compaction::count_marks(const MergeResult& result) {
  const u16 tree = job_->tree->config().id;
  if (result.superseded > 0) mark(Mark::merge_superseded, tree);
  if (result.annihilated > 0) mark(Mark::merge_annihilated, tree);
  if (result.tombstones_dropped > 0) mark(Mark::tombstone_dropped, tree);
  if (result.tombstones_kept > 0) mark(Mark::tombstone_kept, tree);
}

// The builder has both of its blocks; false while all output buffers are being written.
bool Compaction::output_ready() {
  if (builder_.state() == TableBuilder::State::no_blocks) {
    Output* output = output_idle();
    if (output == nullptr) return false;
    output_fill(*output);
    builder_.set_index_block(output->buffer);
  }
  if (builder_.state() == TableBuilder::State::index_block) {
    Output* output = output_idle();
    if (output == nullptr) return false;
    output_fill(*output);
    builder_.set_value_block(output->buffer);
  }
  return true;
}

void Compaction::output_fill(Output& output) {
  unpoison(output.buffer, block_size_);
  output.stage = Output::Stage::filling;
}

void Compaction::output_empty(Output& output) {
  poison(output.buffer, block_size_);
  output.stage = Output::Stage::idle;
}

TableBuilder::Finish Compaction::finish_next() {
  return {.address = grid_->acquire(*reservation_),
          .snapshot_min = job_->snapshot_min,
          .cluster = grid_->cluster(),
          .sector_size = sector_size_};
}

void Compaction::finish_value_block() { output_write(builder_.value_block_finish(finish_next())); }

void Compaction::finish_index_block() {
  BuiltTable built;
  output_write(builder_.index_block_finish(finish_next(), &built));
  TableInfo table{};
  table.key_min = built.key_range.min;
  table.key_max = built.key_range.max;
  table.checksum = built.index.checksum;
  table.address = built.index.address;
  table.snapshot_min = built.snapshot_min;
  table.snapshot_max = snapshot_max_live;
  table.value_count = built.value_count;
  table.tree_id = job_->tree->config().id;
  if (!job_->tables_out.empty()) {
    const TableInfo& before = job_->tables_out[job_->tables_out.count() - 1];
    ASSERT(before.key_max < table.key_min);
    mark(Mark::table_boundary, table.tree_id, &table.key_min);
  }
  if (built.value_block_count > 1) mark(Mark::table_several_blocks, table.tree_id, &table.key_min);
  job_->tables_out.push(table);
}

void Compaction::finish_outputs() {
  if (builder_.state() == TableBuilder::State::index_and_value_block) {
    if (builder_.value_block_empty()) {
      output_drop(builder_.value_block_drop());
    } else {
      finish_value_block();
    }
  }
  if (builder_.state() == TableBuilder::State::index_block) {
    if (builder_.index_block_empty()) {
      output_drop(builder_.index_block_drop());
    } else {
      finish_index_block();
    }
  }
  ASSERT(builder_.state() == TableBuilder::State::no_blocks);
}

Compaction::Output* Compaction::output_idle() {
  Output* idle = nullptr;
  u32 busy = 0;
  for (Output& output : outputs_) {
    if (output.stage != Output::Stage::idle) {
      ++busy;
    } else if (idle == nullptr) {
      idle = &output;
    }
  }
  return narrow_ && busy >= outputs_min ? nullptr : idle;
}

void Compaction::output_drop(const std::byte* buffer) {
  for (Output& output : outputs_) {
    if (output.buffer != buffer) continue;
    ASSERT(output.stage == Output::Stage::filling);
    output_empty(output);
    return;
  }
  UNREACHABLE();
}

void Compaction::output_write(const std::byte* buffer) {
  for (Output& output : outputs_) {
    if (output.buffer != buffer) continue;
    ASSERT(output.stage == Output::Stage::filling);
    output.stage = Output::Stage::writing;
    output.write.block = output.buffer;
    output.write.tag = {.purpose = IoPurpose::compact_write,
                        .level = static_cast<u8>(job_->level_b),
                        .tree = job_->tree->config().id};
    output.write.done = Callback<Grid::Write&>::to<&Output::write_done>(&output);
    ++in_flight_;
    grid_->write(output.write);
    return;
  }
  UNREACHABLE();
}

void Compaction::Output::write_done(Grid::Write& done) {
  ASSERT(stage == Stage::writing);
  ASSERT(compaction->in_flight_ > 0);
  --compaction->in_flight_;
  if (done.result != IoResult::ok && !compaction->error_) {
    const BlockHeader& header = header_of(buffer);
    compaction->error_ = {.kind = ErrorKind::write_failed,
                          .address = header.address,
                          .checksum = header.checksum,
                          .reason = "a table block could not be written"};
  }
  compaction->output_empty(*this);
  compaction->dispatch();
}

}  // namespace tonearm
