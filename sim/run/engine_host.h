// An engine over a simulated disk, driven synchronously: each call pumps the disk until it is done.
//
// The live engine of a run and the shadow engines of its audits are both hosts. What may interrupt a
// pump (a crash that strikes, a run that is stuck) is the owner's business, through `Interrupt`.
//
// Every call also has bounds that hold whatever the engine does inside: no allocation at all; of the
// blocks on disk, a lookup and each refill of a scan read an index and a value block of each level that has
// a table at most.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "forest/scrubber.h"
#include "groove/groove_verify.h"
#include "sim/disk/sim_storage.h"
#include "sim/model/model.h"
#include "sim/run/engine.h"
#include "sim/run/engine_memory.h"
#include "sim/run/storage_seam.h"
#include "sim/scenario/query.h"

namespace tonearm::sim {

// A value of one of the trees, as the engine stores it.
struct Encoded {
  alignas(16) std::array<std::byte, value_size_max> bytes;
};
Encoded encode_value(TreeName tree, const Key& key, u64 value);
u64 decode_value(TreeName tree, const std::byte* bytes);

struct Answer {
  Error error;  // Set: unanswered.
  std::optional<u64> value;
};

// What a groove says about a key.
struct ObjectAnswer {
  GrooveEngine::Found kind = GrooveEngine::Found::not_found;
  ObjectBytes object{};  // All zero unless found.

  std::span<const std::byte> bytes(GrooveName groove) const {
    return std::span(object).first(groove_spec(groove).object_bytes);
  }
};

struct ScanRow {
  ModelKey key;
  u64 value;
};

struct ScanRequest {
  TreeName tree = TreeName::kv;
  KeyRange range{};
  Direction direction = Direction::ascending;
  u64 limit = u64_max;
  bool cold = false;
};

// What an open scan says when it is asked for its next value.
struct ScanStep {
  enum class Kind : u8 { none, row, end, failed };
  Kind kind = Kind::none;
  ScanRow row{};
  Error error;  // If it failed.
};

// A query to a groove: see sim/scenario/query.h.
struct QueryRequest {
  GrooveName groove = GrooveName::things;
  const QueryTree* query = nullptr;
  Direction direction = Direction::ascending;
  std::optional<u64> beyond;  // Only what is behind this timestamp.
  bool cold = false;
};

struct QueryResult {
  bool refused = false;          // More leaves than the pool has buffers.
  const char* broken = nullptr;  // A promise of the lookup that does not hold.
  Error error;                   // Set: unanswered.
  u64 count = 0;
  u64 asked = 0;  // Objects that may have been looked up before the error.
  std::vector<std::byte> objects;
};

// What an open query says when it is asked for its next timestamp.
struct QueryStep {
  enum class Kind : u8 { none, value, end, failed };
  Kind kind = Kind::none;
  u64 timestamp = 0;
  Error error;  // If it failed.
};

// One of several who read at the same time: a prefetch, of what was enqueued; a query whose objects are
// looked up; or one of which only the timestamps are wanted. No two prefetches are of one groove.
struct Reader {
  enum class Kind : u8 { prefetch, lookup, scan };
  Kind kind = Kind::prefetch;
  QueryRequest request;  // Of a prefetch the groove alone.
  u64 buffer = 1;        // Objects, of a lookup.
  u64 limit = 1;         // Objects or timestamps; then it is over.
  // What it came to.
  bool refused = false;
  const char* broken = nullptr;  // A promise of the lookup that does not hold.
  Error error;
  std::vector<u64> timestamps;
  std::vector<std::byte> objects;  // Of a lookup.
};

struct InOrderRequest;
struct InOrderResult;
struct OddLeafRequest;
struct OddLeafResult;

class Interrupt {
 public:
  // Before every event-loop step; throws to abandon the pump.
  virtual void before_step() = 0;
  // The call cannot complete: nothing is pending, or it has taken too long; or it was done too early. Throws.
  virtual void stuck(const char* why) = 0;
  // A call took more than it may. Returns if nobody minds.
  virtual void exceeded(const char* bound, const std::string& message) = 0;

 protected:
  ~Interrupt() = default;
};

// Bytes that nobody has written, other ones for every `poison`.
void fill_poison(std::span<std::byte> memory, u64 poison);

// What a call asks for: see engine_host_bound.cpp.
struct Demand {
  u64 blocks = 0;
  u64 turns = 0;
  u64 passes = 0;  // Over all blocks that are acquired.
  u64 keys = 0;    // Looked up by a prefetch, of `groove`.
  GrooveName groove = GrooveName::none;
  const QueryTree* query = nullptr;  // Read until there are objects enough.
};
inline constexpr Demand all_blocks{.passes = 1};

class EngineHost {
 public:
  static constexpr u32 together_max = 4;

  // `memory`: grown if needed, never shrunk; its contents do not matter. Not 0: `poison` decides them.
  EngineHost(const World& world, SimStorage& disk, const RunOptions& options, EngineMemory& memory,
             Interrupt& interrupt, u64 poison, StorageSeam* seam = nullptr);
  EngineHost(const EngineHost&) = delete;
  EngineHost& operator=(const EngineHost&) = delete;

  const World& world() const { return world_; }
  Forest& forest() { return *forest_; }
  const Forest& forest() const { return *forest_; }
  Tree& tree(TreeName name) { return forest_->tree(world_.position(name)); }
  SimStorage& disk() { return *disk_; }

  Error format();
  Error open();
  Error compact(u64 op);
  Error checkpoint();
  void mark_checkpoint_durable();  // After the reads of the scrubber.

  const Scrubber& scrubber() const { return *scrubber_; }
  void scrub_begin(u64 origin);
  void scrub_step();
  void scrub_wait();            // Until none of its reads is in flight.
  void scrub_tour(u64 origin);  // A whole one.
  Error verify(ForestVerify::Counts* counts);
  const GrooveDisagreement& disagreement() const { return disagreement_; }  // Found by verify().

  [[nodiscard]] PutResult put(TreeName tree, const Key& key, u64 value);
  [[nodiscard]] PutResult remove(TreeName tree, const Key& key);
  bool scope_open();  // False: refused, see error().
  void scope_close(ScopeMode mode);

  // Cold: no cached block may answer (memory tables still do).
  Answer get(TreeName tree, const Key& key, bool cold);
  // Several at once, as a caller that knows its keys beforehand asks for them.
  void get_together(TreeName tree, std::span<const Key> keys, bool cold, std::span<Answer> answers);
  // Rows are appended to `rows` (cleared first), whose memory is reused.
  Error scan(const ScanRequest& request, std::vector<ScanRow>* rows);

  // --- scans that stay open (engine_host_scan.cpp), by slot
  bool scan_open(u32 slot, const ScanRequest& request);  // False: refused, too many are open.
  // One value of each; those that must read do so together.
  void scan_next(std::span<const u32> slots, std::span<ScanStep> steps);
  // Asks for the next value, which the next scan_next answers with unless a probe passes it; reads nothing.
  void scan_look_ahead(u32 slot);
  void scan_probe(u32 slot, const Key& key);
  void scan_abort(u32 slot);
  void scan_close(u32 slot);

  // --- queries (engine_host_query.cpp): whole ones, looked up by result buffers of so many objects until
  // there are `limit` of them; and ones that stay open, by slot.
  void query(const QueryRequest& request, u64 buffer, u64 limit, QueryResult* result);
  bool query_open(u32 slot, const QueryRequest& request);  // False: refused.
  // One timestamp of each; those that must read do so together.
  void query_next(std::span<const u32> slots, std::span<QueryStep> steps);
  void query_probe(u32 slot, u64 timestamp);
  void query_abort(u32 slot);
  void query_close(u32 slot);
  // Whole ones, begun together; each goes on as soon as it can (engine_host_together.cpp).
  void read_together(std::span<Reader> readers);
  // A whole one in the order of an index: see in_order.h.
  void in_order(const InOrderRequest& request, InOrderResult* result);
  // One leaf whose bounds no query can say: see odd_leaf.h.
  void odd_leaf(const OddLeafRequest& request, OddLeafResult* result);

  // --- grooves (engine_host_groove.cpp); what each call demands is in groove/groove.h
  void prefetch_setup();  // Of every groove.
  // False: prefetch_full.
  [[nodiscard]] bool prefetch_enqueue(GrooveName groove, u128 key);
  [[nodiscard]] bool prefetch_exists_enqueue(GrooveName groove, u64 timestamp);
  Error prefetch(GrooveName groove);
  ObjectAnswer object(GrooveName groove, u128 key);
  u32 changes_left(GrooveName name) { return groove(name).changes_left(); }
  bool object_exists(GrooveName groove, u64 timestamp);
  enum class ObjectChange : u8 { insert, update, upsert };
  GrooveEngine::Change change(GrooveName groove, ObjectChange change, const std::byte* object);
  GrooveEngine::Change remove_object(GrooveName groove, u128 key);
  GrooveEngine::Change insert_orphaned_id(GrooveName groove, u128 id);

  u64 blocks_read() const { return forest_->grid().counters().reads_storage; }
  u64 blocks_written() const { return forest_->grid().counters().writes; }
  u64 bounds_checked() const { return bounds_checked_; }

 private:
  // Lives as long as a call into the engine: no part of it may allocate.
  class Call;

  struct ReaderAtWork;
  void advance(ReaderAtWork& at);

  struct OpenScan {
    TreeScan scan;
    ScanBuffer* buffer = nullptr;  // Null: the slot is free.
    TreeName tree = TreeName::kv;
    std::optional<ScanRow> ahead = {};
  };

  OpenScan& open_scan(u32 slot);
  ScanRow scan_row(TreeName tree, const std::byte* value);
  void call_done() { done_ = true; }
  void scan_read_done() { done_ = --scan_reads_pending_ == 0; }
  void lookup_done(Tree::Lookup&) { done_ = --lookups_pending_ == 0; }
  std::optional<Answer> answer_without_reading(Tree& tree, TreeName name, const Key& key, bool cold,
                                               Tree::Lookup* lookup);

  void pump(const Demand& demand);
  static u64 tries_of_block(const RunOptions& options);  // In a call, at most.
  u64 steps_allowed(const Demand& demand) const;
  u64 blocks_acquired() const;
  u64 values_of(const Tree& tree) const;
  u64 refills_allowed(const QueryNode& leaf) const;
  u64 blocks_asked() const {
    return disk_->grid_reads() - disk_->scrub_reads() - forest_->grid().counters().retries;
  }
  u64 grid_requests() const { return disk_->grid_reads() - disk_->scrub_reads() + disk_->grid_writes(); }
  // While nothing is in flight.
  void check_counters(const char* when);
  // An index block and a value block of each level that has a table.
  u64 reads_allowed(const Tree& tree) const;
  void check_reads(const char* bound, u64 reads_max, u64 queries, u64 asked_before);
  Scan* build(const QueryRequest& request, u32 node);
  u64 reads_allowed(const QueryTree& query) const;
  static ScanDecision in_order_filter(void* context, const std::byte* value);
  template <class Ask>
  const char* refusal_broken(Call& call, GrooveName groove, const Ask& ask);
  void read_whole(Call& call, const Tree& tree, Scan& scan, std::vector<u64>* timestamps, Error* error,
                  const char** broken);
  void lookup(const QueryRequest& request, Scan& scan, u64 buffer, u64 limit, QueryResult* result);
  bool were_read(GrooveName groove, std::span<const std::byte> objects, u64 reads);
  void check_query(const QueryRequest& request, u64 refills, u64 objects, u64 asked_before);
  u64 prefetch_reads_allowed(GrooveName groove, u64 keys) const;
  void check_prefetch(GrooveName groove, u64 keys, u64 asked_before);
  GrooveEngine& groove(GrooveName name);

  World world_;
  SimStorage* disk_;
  Interrupt* interrupt_;
  u64 liveness_ticks_max_;
  u64 tries_max_;
  u64 scrub_reads_max_;
  u64 scan_sort_max_;
  u64 lookup_workers_;
  u64 scans_max_;
  u64 grid_requests_before_;
  u64 bounds_checked_ = 0;
  bool done_ = false;
  std::array<Tree::Lookup, together_max> lookups_;
  u32 lookups_pending_ = 0;
  std::array<std::unique_ptr<OpenScan>, scan_slots> open_scans_;  // Null: never used.
  u32 scan_reads_pending_ = 0;
  struct OpenQuery {
    Scan* scan = nullptr;  // Null: the slot is free.
    u64 reads_allowed = 0;
  };
  std::array<OpenQuery, scan_slots> open_queries_;
  std::array<u64, groove_count> keys_enqueued_{};  // Since the groove's last prefetch.
  std::unique_ptr<Engine> engine_;
  std::array<GrooveEngine*, groove_count> grooves_{};  // By name; null: the world has no such groove.
  Forest* forest_ = nullptr;                           // The engine's.
  std::optional<Scrubber> scrubber_;
  std::optional<ForestVerify> verify_;
  std::optional<GrooveVerify> groove_verify_;  // If there are any.
  GrooveDisagreement disagreement_;
};

}  // namespace tonearm::sim
