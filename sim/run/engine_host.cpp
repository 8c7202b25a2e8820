#include "sim/run/engine_host.h"

#include <cstring>

#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

constexpr TreeConfig configs[tree_name_count] = {
    {.id = 1, .name = "kv", .kernel = &kv_kernel},
    {.id = 2, .name = "index", .kernel = &index_kernel},
    {.id = 3, .name = "id", .kernel = &id_kernel},
};

// A call that needs more event-loop steps than this does not make progress.
constexpr u64 steps_max = 2'000'000;

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

std::span<const TreeConfig> tree_configs() { return configs; }

ForestOptions forest_options(const RunOptions& options) {
  return {.format = options.format, .runtime = options.runtime, .trees = tree_configs(), .cluster = 0x70ea};
}

Encoded encode_value(TreeName tree, const Key& key, u64 value) {
  Encoded encoded;
  switch (tree) {
    case TreeName::kv:
      store(&encoded, KvTraits::Value{.key_and_flag = static_cast<u64>(key.lo), .payload = value});
      break;
    case TreeName::index:
      store(&encoded, IndexTraits::Value{.field = static_cast<u64>(key.lo >> 64),
                                         .timestamp_and_flag = static_cast<u64>(key.lo)});
      break;
    case TreeName::id:
      store(&encoded, IdTraits::Value{.id = key.lo, .timestamp_and_flag = value, .zero = 0});
      break;
  }
  return encoded;
}

u64 decode_value(TreeName tree, const std::byte* bytes) {
  switch (tree) {
    case TreeName::kv: return reinterpret_cast<const KvTraits::Value*>(bytes)->payload;
    case TreeName::index: return 0;
    case TreeName::id: return reinterpret_cast<const IdTraits::Value*>(bytes)->timestamp_and_flag;
  }
  UNREACHABLE();
}

EngineHost::EngineHost(SimStorage& disk, const RunOptions& options, std::vector<std::byte>& memory,
                       Interrupt& interrupt, u64 poison)
    : disk_(&disk), interrupt_(&interrupt), liveness_ticks_max_(options.liveness_ticks_max) {
  const ForestOptions forest = forest_options(options);
  const u64 size = Forest::memory_required(forest);
  if (memory.size() < size + Arena::align_max) memory.resize(size + Arena::align_max);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
  if (poison != 0) fill_poison(std::span(memory).subspan(skip, size), poison);
  forest_.emplace(disk, forest, std::span(memory).subspan(skip, size));
}

void EngineHost::pump() {
  const u64 tick_limit = disk_->now() + liveness_ticks_max_;
  const u64 step_limit = disk_->steps() + steps_max;
  while (!done_) {
    interrupt_->before_step();
    if (!disk_->step()) interrupt_->stuck("nothing is pending, but the call is not done");
    if (disk_->now() > tick_limit) interrupt_->stuck("the call takes too many ticks");
    if (disk_->steps() > step_limit) interrupt_->stuck("the call takes too many steps");
  }
  done_ = false;
}

Error EngineHost::format() {
  forest_->format(Callback<>::to<&EngineHost::call_done>(this));
  pump();
  return forest_->error();
}

Error EngineHost::open() {
  forest_->open(Callback<>::to<&EngineHost::call_done>(this));
  pump();
  return forest_->error();
}

Error EngineHost::compact(u64 op) {
  forest_->compact(op, Callback<>::to<&EngineHost::call_done>(this));
  pump();
  return forest_->error();
}

Error EngineHost::checkpoint() {
  forest_->checkpoint(Callback<>::to<&EngineHost::call_done>(this));
  pump();
  return forest_->error();
}

Answer EngineHost::get(TreeName name, const Key& key, bool cold) {
  Tree& tree = forest_->tree(static_cast<u32>(name));
  if (const std::byte* value = tree.lookup_from_memory(key)) {
    if (tree.kernel().is_tombstone(value)) return {};
    return {.error = {}, .value = decode_value(name, value)};
  }
  lookup_.level_min = 0;
  if (!cold) {
    const Tree::CacheLookup cached = tree.lookup_from_levels_cache(key);
    switch (cached.kind) {
      case Tree::CacheLookup::Kind::negative: return {};
      case Tree::CacheLookup::Kind::positive: return {.error = {}, .value = decode_value(name, cached.value)};
      case Tree::CacheLookup::Kind::possible: lookup_.level_min = cached.level; break;
    }
  }
  lookup_.key = key;
  lookup_.cache_read = !cold;
  lookup_.done = Callback<Tree::Lookup&>::to<&EngineHost::lookup_done>(this);
  tree.lookup_from_levels_storage(lookup_);
  pump();
  if (lookup_.error) return {.error = lookup_.error, .value = {}};
  if (!lookup_.found) return {};
  return {.error = {}, .value = decode_value(name, lookup_.value.data())};
}

Error EngineHost::scan(const ScanRequest& request, std::vector<ScanRow>* rows) {
  rows->clear();
  Tree& tree = forest_->tree(static_cast<u32>(request.tree));
  TreeScan& scan = forest_->scan();
  scan.open(tree, request.range, request.direction, !request.cold);
  Error error;
  while (rows->size() < request.limit) {
    const std::byte* value = nullptr;
    const TreeScan::Next next = scan.next(&value);
    if (next == TreeScan::Next::value) {
      rows->push_back(
          {.key = model_key(tree.kernel().key_of(value)), .value = decode_value(request.tree, value)});
    } else if (next == TreeScan::Next::read_again) {
      scan.read(Callback<>::to<&EngineHost::call_done>(this));
      pump();
    } else {
      if (next == TreeScan::Next::failed) error = scan.error();
      break;
    }
  }
  scan.close();
  return error;
}

}  // namespace tonearm::sim
