// The engine of a world behind one face, so that one file alone knows its templates.
//
// A world without grooves is a Forest whose trees the caller writes by itself; one with grooves is a
// GrooveForest, whose trees are written through the grooves and looked at one by one.
#pragma once

#include <memory>
#include <span>

#include "forest/forest.h"
#include "groove/groove_verify.h"
#include "groove/object_lookup.h"
#include "scan/scan_builder.h"
#include "sim/model/object.h"
#include "sim/scenario/run_options.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

// A groove of the engine, its struct and its description hidden: objects are bytes, keys are numbers (an
// id, or a timestamp where the groove has no ids). What each call means is in groove/groove.h.
class GrooveEngine {
 public:
  enum class Change : u8 { ok, refused, id_invalid, timestamp_invalid, batch_full };
  enum class Found : u8 { found, orphaned, not_found };

  virtual Change insert(const std::byte* object) = 0;
  virtual Change update(const std::byte* object) = 0;
  virtual Change upsert(const std::byte* object) = 0;
  virtual Change remove(u128 key) = 0;
  virtual Change insert_orphaned_id(u128 id) = 0;
  virtual Found get(u128 key, std::byte* object) = 0;  // The object is written if it is found.
  virtual bool exists(u64 timestamp) = 0;

  virtual void prefetch_setup() = 0;
  // False: prefetch_full.
  [[nodiscard]] virtual bool prefetch_enqueue(u128 key) = 0;
  [[nodiscard]] virtual bool prefetch_exists_enqueue(u64 timestamp) = 0;
  virtual void prefetch(Callback<> done) = 0;
  virtual const Error& prefetch_error() const = 0;
  virtual u32 changes_left() const = 0;

  // --- scans. A leaf over one of the groove's trees: of an index by its values (an existence index has
  // none), of the id tree, or of the object tree. Null: refused.
  virtual Scan* leaf(TreeName tree, u128 min, u128 max, const ScanOptions& options) = 0;
  // The same of an index that has values, in the order of its keys and through a filter.
  virtual Scan* leaf_in_order(TreeName tree, u128 min, u128 max, ScanFilter filter,
                              const ScanOptions& options) = 0;
  // Several lookups at the same time, each of a scan of its own.
  static constexpr u32 lookups_max = 4;
  virtual void lookup_begin(u32 lookup, Scan& scan, bool cold) = 0;
  virtual void lookup_read(u32 lookup, std::span<std::byte> objects, Callback<> done) = 0;
  virtual LookupState lookup_state(u32 lookup) const = 0;
  virtual u32 lookup_count(u32 lookup) const = 0;
  virtual const Error& lookup_error(u32 lookup) const = 0;

 protected:
  ~GrooveEngine() = default;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual Forest& forest() = 0;
  virtual GrooveEngine* groove(GrooveName name) = 0;  // Null: the world has no such groove.
  virtual ScanBuilder* scans() = 0;                   // Null: the world has no grooves.

  virtual void format(Callback<> done) = 0;
  virtual void open(Callback<> done) = 0;
  virtual void compact(u64 op, Callback<> done) = 0;
  virtual void checkpoint(Callback<> done) = 0;
  virtual void mark_checkpoint_durable() = 0;
  virtual bool scope_open() = 0;  // False: refused.
  virtual void scope_close(ScopeMode mode) = 0;
  // For verification, one for each tree; none in a world without grooves.
  virtual std::span<const GrooveVerify::Reader> readers() const = 0;
};

OptionsError engine_validate(const World& world, const RunOptions& options);
u64 engine_memory_required(const World& world, const RunOptions& options);
// The mirror may be null.
std::unique_ptr<Engine> make_engine(const World& world, Storage& storage, Storage* mirror,
                                    const RunOptions& options, std::span<std::byte> memory);

}  // namespace tonearm::sim
