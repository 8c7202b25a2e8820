// What the swarm draws about scans: of every workload that has some.
#include "sim/workload/swarm_parts.h"

namespace tonearm::sim {

namespace {

u32 weight(const Draw& draw, std::string_view name, u32 numerator, u32 denominator, u64 min, u64 max) {
  const u64 random = draw.random(name);
  if (!chance(remix(random, 1), {numerator, denominator})) return 0;
  return static_cast<u32>(between(random, min, max));
}

void draw_queries(const Draw& draw, RunOptions* o) {
  o->query_leaves_max = draw.happens("query leaves many", 1, 4) ? draw.between("query leaves", 5, 16)
                                                                : draw.between("query leaves few", 2, 5);
  o->query_depth_max = draw.between("query depth", 1, 4);
  o->bias_range = draw.happens("query ranges none", 1, 4) ? 0 : draw.between("query ranges", 5, 60);
  o->bias_narrowed = draw.happens("query narrowed none", 1, 4) ? 0 : draw.between("query narrowed", 5, 50);
}

void draw_pool(const Draw& draw, RunOptions* o) {
  static constexpr u32 pools[] = {1, 2, 3, 4, 6, 8, 8, 12, 16};
  o->runtime.scans_max = draw.one_of("scans max", pools);
  static constexpr u32 sorted[] = {1, 2, 3, 5, 8, 16, 64, 512};
  o->scan_sort_timestamps = draw.one_of("scan sort timestamps", sorted);
  o->lookup_workers = draw.between("lookup workers", 1, 8);
}

}  // namespace

void draw_few_queries(const Draw& draw, RunOptions* o) {
  o->weight_query = weight(draw, "groove query", 3, 4, 20, 160);
  if (o->weight_query > 0) o->weight_page = weight(draw, "groove page", 2, 3, 20, 120);
  o->weight_scan_open = weight(draw, "groove scan open", 1, 2, 20, 200);
  draw_queries(draw, o);
  draw_pool(draw, o);
}

void draw_many_queries(const Draw& draw, RunOptions* o) {
  o->weight_query = draw.between("scan query", 700, 2400);
  o->weight_page = weight(draw, "scan page", 7, 8, 200, 1000);
  o->weight_scan_open = weight(draw, "scan scan open", 3, 4, 200, 1500);
  o->weight_get = weight(draw, "scan get", 1, 2, 20, 200);
  o->weight_exists = weight(draw, "scan exists", 1, 4, 20, 100);
  o->weight_prefetch = weight(draw, "scan prefetch", 1, 2, 20, 200);
  draw_queries(draw, o);
  draw_pool(draw, o);
}

void draw_tree_scans(const Draw& draw, RunOptions* o) {
  o->weight_scan_open = draw.between("tree scan open", 500, 1800);
  o->weight_get = draw.between("tree scan get", 50, 300);  // An index alone leaves lines to be something.
  o->weight_scan = weight(draw, "tree scan scan", 1, 2, 20, 200);
  draw_pool(draw, o);
}

}  // namespace tonearm::sim
