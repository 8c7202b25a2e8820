// How many steps of the event loop a call may take. Every step completes a request or drains the next ticks,
// so what bounds a call is what it can ask for:
//
//   blocks   A block that is asked for is looked at on one next tick, and then tried `read_attempts_max`
//   times
//            at most, whether faults strike it or not; a block that is written is tried as often. What was in
//            flight before (the scrubber's reads) may complete meanwhile, and be tried again. With a mirror
//            the other side is tried as well, and what it brings is written, tried as often. Where reads are
//            repeated (a variation), what was read well before a last bad one does not count.
//   turns    What goes on without a block does so on a next tick: a part of the engine that ends, a merge
//   that
//            reads again.
//
// A lookup asks for what its levels hold; whatever a beat, a checkpoint, an open or a verification asks for
// are blocks that are acquired, each once, those of this call included. A query reads on until it has its
// objects: each refill of a leaf brings a value at least.
//
// Nothing of that waits for a repair, for other requests than its own, or for time to pass. As no request
// takes longer than its latency, so many steps are a bound in ticks, too; and it holds while all latencies
// are zero.
#include "sim/run/engine_host.h"

namespace tonearm::sim {

namespace {

// Four copies, each read twice, written, and read back, or found bad and repaired; each tried again.
constexpr u64 superblock_requests = 256;
constexpr u64 turns_of_call = 64;
constexpr u64 turns_of_refill = 2;  // Of each node: a leaf that has read, or a merge with nothing to read.
constexpr u64 turns_of_job = 4;     // A compaction that ends, and what goes on behind it.

}  // namespace

u64 EngineHost::tries_of_block(const RunOptions& options) {
  const u64 attempts = options.runtime.read_attempts_max;
  const bool repeated = options.vary[static_cast<u32>(Variation::read_repeated)].numerator > 0;
  const u64 of_side = repeated ? 2 * attempts - 1 : attempts;
  return options.disk.mirror ? 2 * of_side + attempts : of_side;
}

// What is being opened is not known yet.
u64 EngineHost::blocks_acquired() const {
  const FreeSet& free_set = forest_->grid().free_set();
  return free_set.opened() ? free_set.count_acquired() : disk_->options().blocks_count;
}

// Tombstones and versions included, those in memory too.
u64 EngineHost::values_of(const Tree& tree) const {
  u64 values = u64{2} * tree.layout().value_count_max;
  for (u32 level = 0; level < tree.manifest().levels(); ++level) {
    const ManifestLevel& tables = tree.manifest().level(level);
    for (u64 i = 0; i < tables.count(); ++i) values += tables.at(i).value_count;
  }
  return values;
}

// Each refill brings a value. Of a range that is not in the order of timestamps all are walked through for as
// many timestamps as are sorted at a time: see scan/scan_sorted.h.
u64 EngineHost::refills_allowed(const QueryNode& leaf) const {
  const u64 walk = values_of(forest_->tree(world_.position(leaf.tree))) + 1;
  const bool sorted = leaf.min != leaf.max;
  return sorted ? walk * (walk / scan_sort_max_ + 2) : walk;
}

u64 EngineHost::steps_allowed(const Demand& demand) const {
  u64 blocks = demand.blocks;
  u64 turns = turns_of_call + demand.turns;
  u64 requests = scrub_reads_max_;
  if (demand.keys > 0) blocks += prefetch_reads_allowed(demand.groove, demand.keys);
  if (demand.passes > 0) {
    blocks += demand.passes * blocks_acquired();
    turns += turns_of_job * forest_->tree_count() * levels_max;
    requests += superblock_requests;
  }
  for (u32 i = 0; demand.query != nullptr && i < demand.query->nodes.count(); ++i) {
    const QueryNode& node = demand.query->nodes[i];
    if (node.kind != QueryKind::leaf) continue;
    const u64 refills = refills_allowed(node);
    blocks += refills * reads_allowed(forest_->tree(world_.position(node.tree)));
    turns += refills * turns_of_refill * demand.query->nodes.count();
  }
  return (requests + blocks) * tries_max_ + blocks + turns;
}

}  // namespace tonearm::sim
