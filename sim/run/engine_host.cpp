#include "sim/run/engine_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/math.h"
#include "sim/run/engine_call.h"
#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

Scrubber::Options scrub_options(const RunOptions& options) {
  constexpr u32 reads_of_shadows = 4;  // A run without scrubbing has shadows that are scrubbed.
  return {.reads_max = options.scrub == 0 ? reads_of_shadows : options.scrub,
          .damages_max = options.scrub_damages,
          .mirror = options.disk.mirror};
}

// A call that needs more event-loop steps than this does not make progress, whatever it asks for; one that
// needs fewer than those is not looked at. (A difference of everything and everything that sorts one
// timestamp at a time takes more than two million, in a tree of no more than a seed fills.)
constexpr u64 steps_max = 8'000'000;
constexpr u64 steps_unbounded = 48;
// A disagreement of grooves is searched for bit by bit of its timestamp: see groove/groove_verify.h.
constexpr u64 verify_passes = 66;
constexpr const char* done_inside = "the call is done before it returns";

template <class Value>
void store(Encoded* encoded, const Value& value) {
  std::memcpy(encoded->bytes.data(), &value, sizeof value);
}

}  // namespace

void fill_poison(std::span<std::byte> memory, u64 poison) {
  u64 word = poison;
  for (std::size_t at = 0; at + sizeof(word) <= memory.size(); at += sizeof(word)) {
    word += 0x9e3779b97f4a7c15;
    const u64 mixed = word ^ word >> 29;
    std::memcpy(memory.data() + at, &mixed, sizeof(mixed));
  }
}

Encoded encode_value(TreeName tree, const Key& key, u64 value) {
  Encoded encoded;
  switch (tree_spec(tree).shape) {
    case KeyShape::number:
      store(&encoded, KvTraits::Value{.key_and_flag = static_cast<u64>(key.lo), .payload = value});
      return encoded;
    case KeyShape::index:
      store(&encoded, IndexTraits::Value{.field = static_cast<u64>(key.lo >> 64),
                                         .timestamp_and_flag = static_cast<u64>(key.lo)});
      return encoded;
    case KeyShape::wide_number:
      store(&encoded, IdTraits::Value{.id = key.lo, .timestamp_and_flag = value, .zero = 0});
      return encoded;
    case KeyShape::wide_index:
    case KeyShape::timestamp: break;
  }
  UNREACHABLE();
}

u64 decode_value(TreeName tree, const std::byte* bytes) {
  const TreeSpec& spec = tree_spec(tree);
  switch (spec.shape) {
    case KeyShape::number: return reinterpret_cast<const KvTraits::Value*>(bytes)->payload;
    case KeyShape::index:
    case KeyShape::wide_index: return 0;
    case KeyShape::wide_number: return reinterpret_cast<const IdTraits::Value*>(bytes)->timestamp_and_flag;
    case KeyShape::timestamp:
      if (spec.secondary_index) return 0;
      return object_hash(spec.groove, bytes);
  }
  UNREACHABLE();
}

EngineHost::EngineHost(const World& world, SimStorage& disk, const RunOptions& options, EngineMemory& memory,
                       Interrupt& interrupt, u64 poison, StorageSeam* seam)
    : world_(world),
      disk_(&disk),
      interrupt_(&interrupt),
      liveness_ticks_max_(options.liveness_ticks_max),
      tries_max_(tries_of_block(options)),
      scrub_reads_max_(scrub_options(options).reads_max),
      scan_sort_max_(options.scan_sort_timestamps),
      lookup_workers_(options.lookup_workers),
      scans_max_(options.runtime.scans_max),
      grid_requests_before_(grid_requests()) {
  const u64 engine_size = engine_memory_required(world, options);
  Arena beside;
  Scrubber::measure(beside, options.format, scrub_options(options));
  // Once more for grooves: that of theirs takes as much.
  for (u32 i = 0; i < (world.groove_count > 0 ? 2 : 1); ++i) {
    ForestVerify::measure(beside, {.format = options.format, .runtime = options.runtime, .trees = {}});
  }
  const u64 beside_at = round_up(engine_size, Arena::align_max);
  const std::span<std::byte> taken = memory.take(beside_at + beside.used());
  if (poison != 0) fill_poison(taken, poison);
  Storage& storage = seam != nullptr ? seam->over(disk) : disk;
  Storage* mirror = nullptr;
  if (options.disk.mirror) mirror = seam != nullptr ? &seam->over_mirror(disk) : &disk.mirror();
  engine_ = make_engine(world, storage, mirror, options, taken.first(engine_size));
  forest_ = &engine_->forest();
  for (u32 i = 0; i < groove_count; ++i) grooves_[i] = engine_->groove(static_cast<GrooveName>(i));
  Arena arena{taken.subspan(beside_at)};
  scrubber_.emplace(*forest_, arena, scrub_options(options));
  if (world.groove_count > 0) groove_verify_.emplace(*forest_, engine_->readers(), arena);
  verify_.emplace(*forest_, arena);
}

// What is submitted completes in the event loop, never inside the call. What a call may ask for is added up
// only for one that takes long, and anew while it acquires blocks.
void EngineHost::pump(const Demand& demand) {
  if (done_) interrupt_->stuck(done_inside);
  const u64 tick_limit = disk_->now() + liveness_ticks_max_;
  const u64 begin = disk_->steps();
  u64 step_limit = begin + steps_unbounded;
  while (!done_) {
    interrupt_->before_step();
    if (!disk_->step()) interrupt_->stuck("nothing is pending, but the call is not done");
    if (disk_->now() > tick_limit) interrupt_->stuck("the call takes too many ticks");
    if (disk_->steps() <= step_limit) continue;
    step_limit = begin + std::min(steps_max, steps_allowed(demand));
    if (disk_->steps() > step_limit) interrupt_->stuck("the call takes too many steps");
  }
  done_ = false;
}

Error EngineHost::format() {
  Call call(*this, "format");
  call.engine([&] { engine_->format(Callback<>::to<&EngineHost::call_done>(this)); });
  pump(all_blocks);
  call.end();
  return forest_->error();
}

Error EngineHost::open() {
  Call call(*this, "open");
  call.engine([&] { engine_->open(Callback<>::to<&EngineHost::call_done>(this)); });
  pump(all_blocks);
  call.end();
  check_counters("open");
  return forest_->error();
}

Error EngineHost::compact(u64 op) {
  Call call(*this, "compact");
  call.engine([&] { engine_->compact(op, Callback<>::to<&EngineHost::call_done>(this)); });
  pump(all_blocks);
  call.end();
  return forest_->error();
}

Error EngineHost::checkpoint() {
  Call call(*this, "checkpoint");
  call.engine([&] { engine_->checkpoint(Callback<>::to<&EngineHost::call_done>(this)); });
  pump(all_blocks);
  call.end();
  check_counters("checkpoint");
  return forest_->error();
}

void EngineHost::mark_checkpoint_durable() {
  if (!scrubber_->idle()) scrub_wait();
  Call call(*this, "mark_checkpoint_durable");
  call.engine([&] { engine_->mark_checkpoint_durable(); });
  call.end();
}

void EngineHost::scrub_begin(u64 origin) {
  Call call(*this, "scrub");
  call.engine([&] { scrubber_->begin(origin); });
  call.end();
}

void EngineHost::scrub_step() {
  Call call(*this, "scrub");
  call.engine([&] { scrubber_->step(); });
  call.end();
}

void EngineHost::scrub_wait() {
  Call call(*this, "scrub");
  call.engine([&] { scrubber_->drain(Callback<>::to<&EngineHost::call_done>(this)); });
  pump({});
  call.end();
}

void EngineHost::scrub_tour(u64 origin) {
  scrub_begin(origin);
  while (scrubber_->touring()) {
    scrub_step();
    scrub_wait();
  }
}

// Of grooves too, as long as all of their trees hold the same ops on the disk.
Error EngineHost::verify(ForestVerify::Counts* counts) {
  const u64 grooves_until = forest_->checkpoint_op() + forest_->format_options().beats;
  const bool grooves = groove_verify_ && forest_->op() <= grooves_until;
  Call call(*this, "verify");
  const Callback<> done = Callback<>::to<&EngineHost::call_done>(this);
  call.engine([&] { grooves ? groove_verify_->run(done) : verify_->run(nullptr, done); });
  pump({.passes = verify_passes});
  call.end();
  *counts = grooves ? groove_verify_->counts() : verify_->counts();
  disagreement_ = grooves ? groove_verify_->disagreement() : GrooveDisagreement{};
  return grooves ? groove_verify_->error() : verify_->error();
}

PutResult EngineHost::put(TreeName name, const Key& key, u64 value) {
  const Encoded encoded = encode_value(name, key, value);
  Call call(*this, "put");
  const PutResult result = call.engine([&] { return tree(name).put(encoded.bytes.data()); });
  call.end();
  return result;
}

PutResult EngineHost::remove(TreeName name, const Key& key) {
  Call call(*this, "remove");
  const PutResult result = call.engine([&] { return tree(name).remove(key); });
  call.end();
  return result;
}

bool EngineHost::scope_open() {
  Call call(*this, "scope_open");
  const bool opened = call.engine([&] { return engine_->scope_open(); });
  call.end();
  return opened;
}

void EngineHost::scope_close(ScopeMode mode) {
  Call call(*this, "scope_close");
  call.engine([&] { engine_->scope_close(mode); });
  call.end();
}

u64 EngineHost::reads_allowed(const Tree& tree) const {
  u64 levels = 0;
  for (u32 level = 0; level < tree.manifest().levels(); ++level) {
    if (!tree.manifest().level(level).empty()) ++levels;
  }
  return 2 * levels;
}

// Counted by the disk, because what the engine says about itself proves nothing; but a block that is
// tried again counts once.
void EngineHost::check_reads(const char* bound, u64 reads_max, u64 queries, u64 asked_before) {
  const u64 reads = blocks_asked() - asked_before;
  ++bounds_checked_;
  if (reads <= reads_max) return;
  interrupt_->exceeded(
      bound, fmt::format("{}: {} for {}, expected at most {}: two for each level with a table", bound, reads,
                         queries, reads_max));
}

// What the grid has counted is what the disk was asked for.
void EngineHost::check_counters(const char* when) {
  if (forest_->error()) return;
  const Grid::Counters& counters = forest_->grid().counters();
  const u64 sides = disk_->options().mirror ? 2 : 1;
  const u64 counted = counters.reads_storage + counters.writes * sides + counters.retries;
  const u64 asked = grid_requests() - grid_requests_before_;
  ++bounds_checked_;
  if (counted == asked) return;
  interrupt_->exceeded(
      fmt::format("{}: what the grid has counted", when).c_str(),
      fmt::format("the disk was asked {} times; the grid counts {} reads, {} writes to {} sides, {} retries",
                  asked, counters.reads_storage, counters.writes, sides, counters.retries));
}

// What memory or the cached blocks say; else `lookup` says where to go on.
std::optional<Answer> EngineHost::answer_without_reading(Tree& tree, TreeName name, const Key& key, bool cold,
                                                         Tree::Lookup* lookup) {
  if (const std::byte* value = tree.lookup_from_memory(key)) {
    if (tree.kernel().is_tombstone(value)) return Answer{};
    return Answer{.error = {}, .value = decode_value(name, value)};
  }
  lookup->level_min = 0;
  lookup->key = key;
  lookup->cache_read = !cold;
  if (cold) return std::nullopt;
  const Tree::CacheLookup cached = tree.lookup_from_levels_cache(key);
  switch (cached.kind) {
    case Tree::CacheLookup::Kind::negative: return Answer{};
    case Tree::CacheLookup::Kind::positive:
      return Answer{.error = {}, .value = decode_value(name, cached.value)};
    case Tree::CacheLookup::Kind::possible: lookup->level_min = cached.level; return std::nullopt;
  }
  UNREACHABLE();
}

Answer EngineHost::get(TreeName name, const Key& key, bool cold) {
  Answer answer;
  get_together(name, {&key, 1}, cold, {&answer, 1});
  return answer;
}

void EngineHost::get_together(TreeName name, std::span<const Key> keys, bool cold,
                              std::span<Answer> answers) {
  ASSERT(!keys.empty() && keys.size() <= together_max);
  ASSERT(answers.size() == keys.size());
  Call call(*this, "get");
  Tree& tree = this->tree(name);
  const u64 asked_before = blocks_asked();
  std::array<bool, together_max> submitted{};
  u32 submitted_count = 0;
  call.engine([&] {
    for (u32 i = 0; i < keys.size(); ++i) {
      Tree::Lookup& lookup = lookups_[i];
      const std::optional<Answer> answer = answer_without_reading(tree, name, keys[i], cold, &lookup);
      submitted[i] = !answer;
      if (answer) {
        answers[i] = *answer;
        continue;
      }
      ++submitted_count;
      ++lookups_pending_;
      lookup.done = Callback<Tree::Lookup&>::to<&EngineHost::lookup_done>(this);
      tree.lookup_from_levels_storage(lookup);
    }
  });
  if (lookups_pending_ < submitted_count) interrupt_->stuck(done_inside);
  if (submitted_count > 0) pump({.blocks = reads_allowed(tree) * keys.size(), .turns = 2 * keys.size()});
  call.end();
  check_reads("blocks read by a lookup", reads_allowed(tree) * keys.size(), keys.size(), asked_before);
  for (u32 i = 0; i < keys.size(); ++i) {
    if (!submitted[i]) continue;
    const Tree::Lookup& lookup = lookups_[i];
    answers[i] = {.error = lookup.error, .value = {}};
    if (!lookup.error && lookup.found) answers[i].value = decode_value(name, lookup.value.data());
  }
}

Error EngineHost::scan(const ScanRequest& request, std::vector<ScanRow>* rows) {
  rows->clear();
  Tree& tree = this->tree(request.tree);
  Call call(*this, "scan");
  TreeScan& scan = call.engine([&]() -> TreeScan& {
    return forest_->scan_open(tree, request.range, request.direction, !request.cold);
  });
  Error error;
  while (rows->size() < request.limit) {
    const std::byte* value = nullptr;
    const TreeScan::Next next = call.engine([&] { return scan.next(&value); });
    if (next == TreeScan::Next::value) {
      rows->push_back(
          {.key = model_key(tree.kernel().key_of(value)), .value = decode_value(request.tree, value)});
    } else if (next == TreeScan::Next::read_again) {
      const u64 asked_before = blocks_asked();
      call.engine([&] { scan.read(Callback<>::to<&EngineHost::call_done>(this)); });
      pump({.blocks = reads_allowed(tree)});
      check_reads("blocks read by a refill of a scan", reads_allowed(tree), 1, asked_before);
    } else {
      if (next == TreeScan::Next::failed) error = scan.error();
      break;
    }
  }
  call.engine([&] { scan.close(); });
  call.end();
  return error;
}

}  // namespace tonearm::sim
