// The typed heart of a tree: everything that must look inside a value.
//
// All other engine code is untyped: it moves byte spans, blocks and Keys. A tree type is a plain
// struct of traits; TypedKernel turns it into the few loops that are worth compiling per type (sort,
// dedupe, search, merge), reached by one virtual call per run of values, not per value.
//
// Two usages decide what happens when versions of one key meet:
//
//   general          the newer version wins; tombstones sink until nothing below overlaps.
//   secondary_index  the caller puts only absent keys and removes only present ones, and the key
//                    determines the value. So versions of a key alternate put, tombstone, put, ...
//                    and ANY two that meet annihilate, wherever they meet. Dropping a tombstone
//                    any other way would resurrect the put below it.
#pragma once

#include <span>
#include <type_traits>

#include "base/assert.h"
#include "base/key.h"
#include "base/types.h"

namespace tonearm {

enum class TableUsage : u8 { general, secondary_index };

// What TypedKernel needs of a tree type. Value: no padding, size a power of two, 8 to 256 bytes.
// NativeKey: u64, u128 or Key; keys are below its greatest value, which is the sentinel. A tree type
// whose values cannot carry every key below it says so with a constant `key_max`.
template <class T>
concept TableTraits = requires(const typename T::Value& value, typename T::NativeKey key) {
  requires std::is_trivially_copyable_v<typename T::Value>;
  requires std::has_unique_object_representations_v<typename T::Value>;
  requires(sizeof(typename T::Value) & (sizeof(typename T::Value) - 1)) == 0;
  { T::usage } -> std::convertible_to<TableUsage>;
  { T::key(value) } -> std::same_as<typename T::NativeKey>;
  { T::is_tombstone(value) } -> std::same_as<bool>;
  { T::tombstone(key) } -> std::same_as<typename T::Value>;
};

// One call of the merge kernel: consumes from the front of both inputs until one that is not at its
// end runs empty, the output is full, or `consume_max` values were consumed (it may overshoot by one
// when two versions meet). `a` is newer than `b`.
struct MergeStep {
  std::span<const std::byte> a;  // Sorted unique values.
  std::span<const std::byte> b;
  bool a_last;  // Nothing follows `a`.
  bool b_last;
  bool drop_tombstones;  // Nothing deeper overlaps the merged range. general only (asserted).
  u64 consume_max;
  std::span<std::byte> output;  // Room for the values produced.
};
struct MergeResult {
  u32 a_consumed = 0;
  u32 b_consumed = 0;
  u32 produced = 0;
  u32 tombstones_dropped = 0;
  u32 tombstones_kept = 0;
  u32 superseded = 0;   // Pairs of which the newer won.
  u32 annihilated = 0;  // Pairs that cancelled out.
  // For marks: a key of the pairs that met, and of the tombstones dropped or kept, if there are any.
  Key met_key{};
  Key tombstone_key{};
};

// A sorted stream of values, as far as it is in memory: its next value in the direction of a scan, and how
// many there are. They lie side by side, in ascending order.
struct StreamHead {
  const std::byte* next = nullptr;
  u32 left = 0;
};
inline constexpr u32 merge_streams_max = 80;

struct MergedHeads {
  u32 count = 0;             // Values, tombstones among them.
  u32 versions_dropped = 0;  // Older ones, of all keys together.
  u32 versions_dropped_max = 0;
};

class TableKernel {
 public:
  constexpr TableKernel(u32 key_size, u32 value_size, TableUsage usage)
      : key_size_(key_size), value_size_(value_size), usage_(usage) {}
  u32 key_size() const { return key_size_; }  // 8, 16 or 32 bytes.
  u32 value_size() const { return value_size_; }
  TableUsage usage() const { return usage_; }

  // Single values may lie anywhere; arrays of values and scratch are aligned like the Value type.

  virtual Key key_of(const std::byte* value) const = 0;
  virtual bool is_tombstone(const std::byte* value) const = 0;
  virtual void make_tombstone(const Key& key, std::byte* value) const = 0;
  // Greatest key that a value may have: one below the sentinel.
  virtual Key key_max() const = 0;

  // Index of the first of `count` sorted values with key >= `key`.
  virtual u32 lower_bound(const std::byte* values, u32 count, const Key& key) const = 0;
  // Brings the values that lower_bound() looks at first into the processor's caches.
  virtual void fetch(const std::byte* values, u32 count) const = 0;
  // The value with this key among `count` UNSORTED ones that was put last, or null.
  virtual const std::byte* find_last(const std::byte* values, u32 count, const Key& key) const = 0;

  // Stable, allocation-free: `scratch` has room for `count` values.
  virtual void sort(std::byte* values, u32 count, std::byte* scratch) const = 0;
  // Merges two adjacent sorted runs in place, `left` older; stable. Scratch: room for the left run.
  virtual void merge_runs(std::byte* values, u32 left, u32 right, std::byte* scratch) const = 0;
  // Resolves runs of equal keys (sorted, oldest first) by usage; returns the new count. If that is
  // less than `count`, `dropped` is the key of some version that went.
  virtual u32 dedupe(std::byte* values, u32 count, Key* dropped) const = 0;

  virtual MergeResult merge(const MergeStep& step) const = 0;

  // What comes next of several streams: of each key the version of the first stream that has it. Takes values
  // from the heads until there are `output.size()`, or a stream that had some has none left, or none has. So
  // whoever refills its streams in time misses nothing. At most merge_streams_max heads.
  virtual MergedHeads merge_heads(std::span<StreamHead> heads, Direction direction,
                                  std::span<const std::byte*> output) const = 0;

  // Keys as they stand in index blocks: `key_size` bytes each, native order.
  virtual Key key_read(const std::byte* keys, u32 index) const = 0;
  virtual void key_write(std::byte* keys, u32 index, const Key& key) const = 0;
  // Index of the first of `count` ascending keys that is >= `key`.
  virtual u32 keys_lower_bound(const std::byte* keys, u32 count, const Key& key) const = 0;

 protected:
  ~TableKernel() = default;

 private:
  u32 key_size_;
  u32 value_size_;
  TableUsage usage_;
};

}  // namespace tonearm
