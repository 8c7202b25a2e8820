// Queries over grooves: built leaf by leaf as a user builds them, and read whole or step by step.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/mark.h"
#include "sim/run/engine_call.h"
#include "sim/run/in_order.h"
#include "sim/run/odd_leaf.h"

namespace tonearm::sim {

namespace {

// What of a leaf's timestamps lies behind the page before.
ScanOptions leaf_options(const QueryRequest& request, const QueryNode& leaf) {
  ScanOptions options{.direction = request.direction,
                      .timestamps = {.min = leaf.timestamp_min, .max = leaf.timestamp_end},
                      .cold = request.cold};
  if (!request.beyond) return options;
  if (request.direction == Direction::ascending) {
    options.timestamps.min = std::max(options.timestamps.min, *request.beyond + 1);
  } else {
    options.timestamps.max = std::min(options.timestamps.max, *request.beyond - 1);
  }
  return options;
}

}  // namespace

// Null: refused.
Scan* EngineHost::build(const QueryRequest& request, u32 at) {
  const QueryNode& node = request.query->nodes[at];
  if (node.kind == QueryKind::leaf) {
    return groove(request.groove).leaf(node.tree, node.min, node.max, leaf_options(request, node));
  }
  std::array<Scan*, query_leaves_max> operands{};
  u32 operand = at + 1;
  for (u32 i = 0; i < node.operands; ++i) {
    operands[i] = build(request, operand);
    operand += request.query->nodes[operand].size;
  }
  ScanBuilder& builder = *engine_->scans();
  switch (node.kind) {
    case QueryKind::any: return builder.merge_union(std::span(operands).first(node.operands));
    case QueryKind::intersection: return builder.merge_intersection(std::span(operands).first(node.operands));
    case QueryKind::difference: return builder.merge_difference(operands[0], operands[1]);
    case QueryKind::leaf: break;
  }
  UNREACHABLE();
}

// Of each leaf an index block and a value block of each level with a table, for each time that the root
// reads.
u64 EngineHost::reads_allowed(const QueryTree& query) const {
  u64 allowed = 0;
  for (const QueryNode& node : query.nodes) {
    if (node.kind == QueryKind::leaf) allowed += reads_allowed(forest_->tree(world_.position(node.tree)));
  }
  return allowed;
}

void EngineHost::check_query(const QueryRequest& request, u64 refills, u64 objects, u64 asked_before) {
  const u64 reads = blocks_asked() - asked_before;
  const u64 allowed = refills * reads_allowed(*request.query) +
                      objects * reads_allowed(tree(groove_spec(request.groove).objects));
  ++bounds_checked_;
  if (reads <= allowed) return;
  interrupt_->exceeded(
      "blocks read by a query",
      fmt::format(
          "{} blocks read by a query of {} leaves with {} refills and {} objects, expected at most {}: "
          "two for each level with a table",
          reads, request.query->leaves(), refills, objects, allowed));
}

void EngineHost::query(const QueryRequest& request, u64 buffer, u64 limit, QueryResult* result) {
  result->refused = false;
  result->broken = nullptr;
  result->error = {};
  result->count = 0;
  result->asked = 0;
  result->objects.clear();
  Call call(*this, "query");
  const u64 asked_before = blocks_asked();
  const u64 cached_before = forest().grid().counters().reads_cache;
  Scan* const scan = call.engine([&] { return build(request, 0); });
  result->refused = scan == nullptr;
  if (result->refused != (engine_->scans()->error() != ScanError::none)) {
    result->broken = "the error does not say whether the query was refused";
  }
  if (scan == nullptr) return call.end();
  call.engine([&] { groove(request.groove).lookup_begin(0, *scan, request.cold); });
  lookup(request, *scan, buffer, limit, result);
  const bool alone = std::all_of(open_queries_.begin(), open_queries_.end(),
                                 [](const OpenQuery& open) { return open.scan == nullptr; });
  if (request.cold && alone && forest().grid().counters().reads_cache != cached_before) {
    result->broken = "a cached block has answered a cold query";
  }
  check_query(request, scan->reads(), std::max(result->asked, result->count), asked_before);
  call.engine([&] { engine_->scans()->release(scan); });
  call.end();
}

// Whoever is not in a memory table has cost an index block and a value block, whatever else has it. A read
// may be that of as many lookups as there are workers.
bool EngineHost::were_read(GrooveName name, std::span<const std::byte> objects, u64 reads) {
  const GrooveSpec& spec = groove_spec(name);
  const MarkHook hook = set_mark_hook({});  // This is no lookup of the run.
  u64 read = 0;
  for (; !objects.empty(); objects = objects.subspan(spec.object_bytes)) {
    u64 timestamp = 0;
    std::memcpy(&timestamp, objects.data() + spec.timestamp_offset, sizeof timestamp);
    if (tree(spec.objects).lookup_from_memory(Key::of(timestamp)) == nullptr) ++read;
  }
  set_mark_hook(hook);
  ++bounds_checked_;
  return reads * std::min(read, lookup_workers_) >= 2 * read;
}

void EngineHost::lookup(const QueryRequest& request, Scan& scan, u64 buffer, u64 limit, QueryResult* result) {
  GrooveEngine& groove = this->groove(request.groove);
  const u64 object_bytes = groove_spec(request.groove).object_bytes;
  while (result->count < limit) {
    const u64 wanted = std::min(buffer, limit - result->count);
    const u64 at = result->count * object_bytes;
    result->objects.resize(at + wanted * object_bytes);
    const std::span<std::byte> objects = std::span(result->objects).subspan(at);
    const u64 reads_before = disk_->lookup_reads();
    {
      const EngineCode engine;
      groove.lookup_read(0, objects, Callback<>::to<&EngineHost::call_done>(this));
    }
    pump({.blocks = wanted * reads_allowed(tree(groove_spec(request.groove).objects)),
          .turns = 4 * wanted,
          .query = request.query});
    const LookupState state = groove.lookup_state(0);
    const u64 found = groove.lookup_count(0);
    if (state == LookupState::failed) {
      result->error = groove.lookup_error(0);
      result->asked = result->count + wanted;
      result->count = 0;
      if (found != 0 || !result->error) result->broken = "a failed lookup has objects, or no error";
      return;
    }
    result->count += found;
    const u64 reads = disk_->lookup_reads() - reads_before;
    // A block that is being repaired is answered from memory.
    if (request.cold && !forest_->grid().mirrored() &&
        !were_read(request.groove, objects.first(found * object_bytes), reads)) {
      result->broken = "a cold query has objects that were not read";
    }
    if (state == LookupState::buffer_finished && found != wanted)
      result->broken = "buffer_finished too early";
    if (state == LookupState::scan_finished && found >= wanted) result->broken = "scan_finished too early";
    if (state == LookupState::scan_finished || result->broken != nullptr) break;
    if (state != LookupState::buffer_finished) result->broken = "the lookup is in no state to be done";
  }
  result->objects.resize(result->count * object_bytes);
  ASSERT(scan.state() != Scan::State::buffering);
}

// --- that stay open

bool EngineHost::query_open(u32 slot, const QueryRequest& request) {
  OpenQuery& open = open_queries_.at(slot);
  ASSERT(open.scan == nullptr);
  Call call(*this, "scan_open");
  open.scan = call.engine([&] { return build(request, 0); });
  call.end();
  open.reads_allowed = reads_allowed(*request.query);
  return open.scan != nullptr;
}

void EngineHost::query_next(std::span<const u32> slots, std::span<QueryStep> steps) {
  ASSERT(slots.size() == steps.size());
  Call call(*this, "scan_next");
  for (QueryStep& step : steps) step = {};
  for (;;) {
    const u64 asked_before = blocks_asked();
    u64 reads_max = 0;
    u32 submitted = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (steps[i].kind != QueryStep::Kind::none) continue;
      const OpenQuery& open = open_queries_.at(slots[i]);
      ASSERT(open.scan != nullptr);
      switch (call.engine([&] { return open.scan->next(&steps[i].timestamp); })) {
        case Scan::Next::value: steps[i].kind = QueryStep::Kind::value; continue;
        case Scan::Next::end: steps[i].kind = QueryStep::Kind::end; continue;
        case Scan::Next::failed:
          steps[i].kind = QueryStep::Kind::failed;
          steps[i].error = open.scan->error();
          if (!call.engine([&] { return fails_for_ever(*open.scan, &steps[i].timestamp); }))
            interrupt_->stuck(failed_goes_on);
          continue;
        case Scan::Next::read_again: break;
      }
      ++submitted;
      ++scan_reads_pending_;
      reads_max += open.reads_allowed;
      call.engine([&] { open.scan->read(Callback<>::to<&EngineHost::scan_read_done>(this)); });
    }
    if (submitted == 0) break;
    if (scan_reads_pending_ < submitted) interrupt_->stuck("the call is done before it returns");
    pump({.blocks = reads_max, .turns = 2 * query_nodes_max * submitted});
    check_reads("blocks read by a refill of open queries", reads_max, submitted, asked_before);
  }
  call.end();
}

void EngineHost::query_probe(u32 slot, u64 timestamp) {
  Call call(*this, "scan_probe");
  call.engine([&] { open_queries_.at(slot).scan->probe(timestamp); });
  call.end();
}

void EngineHost::query_abort(u32 slot) {
  Call call(*this, "scan_abort");
  call.engine([&] { open_queries_.at(slot).scan->abort(); });
  call.end();
}

void EngineHost::query_close(u32 slot) {
  Call call(*this, "scan_close");
  call.engine([&] { engine_->scans()->release(std::exchange(open_queries_.at(slot).scan, nullptr)); });
  call.end();
}

// --- single leaves

namespace {

struct InOrderContext {
  const InOrderRequest* request;
  const TableKernel* kernel;
  InOrderResult* result;
};

}  // namespace

ScanDecision EngineHost::in_order_filter(void* context, const std::byte* value) {
  const HarnessCode harness;
  const InOrderContext& self = *static_cast<InOrderContext*>(context);
  const ModelKey key = model_key(self.kernel->key_of(value));
  self.result->shown.push_back(key);
  return in_order_decision(*self.request, self.result->shown.size() - 1, key.low);
}

void EngineHost::in_order(const InOrderRequest& request, InOrderResult* result) {
  *result = {};
  Tree& tree = this->tree(request.tree);
  InOrderContext context{.request = &request, .kernel = &tree.kernel(), .result = result};
  const ScanFilter filter = request.filtered
                                ? ScanFilter{.context = &context, .decide = &EngineHost::in_order_filter}
                                : ScanFilter{};
  Call call(*this, "scan_in_order_of");
  const ScanOptions options{.direction = request.direction, .timestamps = {}, .cold = request.cold};
  const auto ask = [&] {
    return groove(request.groove).leaf_in_order(request.tree, request.min, request.max, filter, options);
  };
  if (request.pool_full) result->broken = refusal_broken(call, request.groove, ask);
  Scan* const scan = call.engine(ask);
  if (scan == nullptr) {
    result->broken = "refused";
    return call.end();
  }
  if (!scan->assigned()) result->broken = "it could be an operand";
  read_whole(call, tree, *scan, &result->timestamps, &result->error, &result->broken);
  call.engine([&] { engine_->scans()->release(scan); });
  call.end();
}

void EngineHost::odd_leaf(const OddLeafRequest& request, OddLeafResult* result) {
  *result = {};
  const QueryNode& leaf = request.leaf;
  Call call(*this, "an odd leaf");
  const ScanOptions options{.direction = request.direction,
                            .timestamps = {.min = leaf.timestamp_min, .max = leaf.timestamp_end},
                            .cold = request.cold};
  const auto ask = [&] { return groove(request.groove).leaf(leaf.tree, leaf.min, leaf.max, options); };
  if (request.pool_full) result->broken = refusal_broken(call, request.groove, ask);
  Scan* const scan = call.engine(ask);
  if (scan == nullptr) {
    result->broken = "refused";
    return call.end();
  }
  read_whole(call, tree(leaf.tree), *scan, &result->timestamps, &result->error, &result->broken);
  call.engine([&] { engine_->scans()->release(scan); });
  call.end();
}

// A leaf asked for while other leaves have all the buffers. Null: it was refused, and says why.
template <class Ask>
const char* EngineHost::refusal_broken(Call& call, GrooveName name, const Ask& ask) {
  const TreeName objects = groove_spec(name).objects;
  std::vector<Scan*> all;
  all.reserve(scans_max_ + 1);
  while (all.size() <= scans_max_) {
    Scan* const scan = call.engine([&] { return groove(name).leaf(objects, 0, timestamp_max, {}); });
    if (scan == nullptr) break;
    all.push_back(scan);
  }
  const char* broken =
      all.size() == scans_max_ ? nullptr : "there are not as many buffers as there should be";
  Scan* const one_more = call.engine(ask);
  if (one_more != nullptr) broken = "a leaf was not refused that has no buffer";
  if (engine_->scans()->error() != ScanError::scans_max_exceeded)
    broken = "the error does not say that it was refused";
  call.engine([&] {
    engine_->scans()->release(one_more);
    for (Scan* scan : all) engine_->scans()->release(scan);
  });
  return broken;
}

void EngineHost::read_whole(Call& call, const Tree& tree, Scan& scan, std::vector<u64>* timestamps,
                            Error* error, const char** broken) {
  for (bool over = false; !over;) {
    u64 timestamp = 0;
    switch (call.engine([&] { return scan.next(&timestamp); })) {
      case Scan::Next::value: timestamps->push_back(timestamp); continue;
      case Scan::Next::failed: *error = scan.error(); [[fallthrough]];
      case Scan::Next::end: over = true; continue;
      case Scan::Next::read_again: break;
    }
    const u64 asked_before = blocks_asked();
    call.engine([&] { scan.read(Callback<>::to<&EngineHost::call_done>(this)); });
    pump({.blocks = reads_allowed(tree)});
    check_reads("blocks read by a refill of a single leaf", reads_allowed(tree), 1, asked_before);
  }
  u64 after = 0;
  const Scan::Next again = call.engine([&] { return scan.next(&after); });
  if (again != (*error ? Scan::Next::failed : Scan::Next::end)) *broken = "it goes on behind its end";
}

}  // namespace tonearm::sim
