// The pinned work of `bench`: what is played, in which geometry.
//
// Of a hundred lines 45 insert or update, 5 remove, 45 get and 5 scan at most 32 rows, over a key universe
// that keeps the live objects near their number; an op is committed every `lines_per_op`. It begins by
// filling the trees, which is not part of what is measured.
//
//   tree    kv: put, remove, get, scan.
//   forest  the groove `notes`, which has an id and six indexes. The 45 are upserts, of which about one in
//   ten
//           inserts. What an object holds follows from its key, but for one indexed field that is drawn
//           anew each time: so an update moves entries of two indexes. Scans are queries: one author, or a
//           kind and drafts.
//   scan    the same objects, then nothing but queries of one shape, see ScanFigure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/scenario/run_options.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

struct Bench {
  const char* name;      // "tree", "forest", "scan".
  const char* geometry;  // "default", "tiny".
  const char* workload;
  u64 live;
  u64 lines_per_op;
  RunOptions options;
};

// All benches that the name means (empty: all), with these settings; throws UsageError.
std::vector<Bench> parse_benches(const std::string& name, const std::vector<std::string>& set);

class BenchWork : public OperationSource {
 public:
  virtual u64 fill_lines() const = 0;
};
std::unique_ptr<BenchWork> bench_work(const Bench& bench, u64 lines);

// Queries of at most 32 rows, of an index of authors (20 objects each), of kinds (2500), of drafts (10,000).
enum class ScanFigure : u8 {
  point,                  // author=V
  range,                  // author=V..V+9
  intersection_balanced,  // kind=V & draft
  intersection_skewed,    // author=V & draft
  any,                    // author=V | author=W
  difference,             // kind=V - draft
  lookup_warm,            // author=V, after all of them were asked for once
  lookup_cold,            // author=V cold
};
inline constexpr u32 scan_figure_count = 8;
const char* scan_figure_name(ScanFigure figure);
// Such queries alone behind the fill.
std::unique_ptr<BenchWork> scan_work(const Bench& bench, u64 lines, ScanFigure figure);

}  // namespace tonearm::sim
