// The questions that a groove's trees answer, each the leaf of a scan.
//
//     Scan* hits = songs.scan<"album">(7);                  // By a value of an index,
//     Scan* long_ones = songs.scan<"long">();               // of an existence index,
//     Scan* played = songs.scan_range<"plays">(10, 99);     // by several values,
//     Scan* some = songs.scan_ids(1, 50);                   // by id
//     Scan* all = songs.scan_timestamps();                  // or timestamp.
//
// A name that no index has does not compile. Every question takes ScanOptions: the direction, and a range of
// timestamps. All of them yield timestamps in order, so that they can be merged (ScanBuilder) and looked up
// (ScanLookup); scan_in_order_of<"plays">() alone comes in the order of an index, through a filter, and
// cannot be merged. Null: more leaves are open than RuntimeOptions::scans_max, see ScanBuilder::error().
//
// Scans belong to one op: none may be open when anything changes, nor in a scope.
#pragma once

#include "groove/groove_trees.h"
#include "scan/scan_builder.h"

namespace tonearm {

template <class Description>
class GrooveScans {
 public:
  using Object = typename Description::Object;

  GrooveScans(ScanBuilder& builder, Forest& forest) : builder_(&builder), trees_(forest) {}

  // --- indexes, by the name that the description gives them
  // The objects that have this value. Orders do not matter: timestamps follow each other in the index.
  template <FixedString Name, class Value>
  [[nodiscard]] Scan* scan(Value value, const ScanOptions& options = {}) {
    const auto prefix = prefix_of<Name>(value);
    return builder_->prefix(scan_tree<Name>(), key_of(prefix, 0), options);
  }
  // The objects for which an existence index has an entry.
  template <FixedString Name>
  [[nodiscard]] Scan* scan(const ScanOptions& options = {}) {
    static_assert(std::is_same_v<Prefix<Name>, NoPrefix>, "groove: an index of values must be asked for one");
    return builder_->prefix(scan_tree<Name>(), Key{}, options);
  }
  // The objects that have any value from `min` to `max`, by timestamp: see scan/scan_sorted.h for the price.
  template <FixedString Name, class Value>
  [[nodiscard]] Scan* scan_range(Value min, Value max, const ScanOptions& options = {}) {
    if (min == max) return scan<Name>(min, options);
    return builder_->sorted(scan_tree<Name>(), range_of(prefix_of<Name>(min), prefix_of<Name>(max)), options);
  }
  // The same by value, then by timestamp, through a filter that is given entries of the index.
  template <FixedString Name, class Value>
  [[nodiscard]] Scan* scan_in_order_of(Value min, Value max, ScanFilter filter = {},
                                       const ScanOptions& options = {}) {
    const KeyRange range = range_of(prefix_of<Name>(min), prefix_of<Name>(max));
    return builder_->in_key_order(scan_tree<Name>(), range, filter, options);
  }

  // --- ids; orphaned ones are no objects
  [[nodiscard]] Scan* scan_id(u128 id, const ScanOptions& options = {}) {
    return builder_->point(id_tree(), Key::of(id), options);
  }
  [[nodiscard]] Scan* scan_ids(u128 min, u128 max, const ScanOptions& options = {}) {
    if (min == max) return scan_id(min, options);
    return builder_->sorted(id_tree(), {.min = Key::of(min), .max = Key::of(max)}, options);
  }

  // --- all objects, or those of the range of timestamps in the options
  [[nodiscard]] Scan* scan_timestamps(const ScanOptions& options = {}) {
    return builder_->prefix({.tree = &trees_.objects(), .timestamp_offset = offsetof(Object, timestamp)},
                            Key{}, options);
  }

 private:
  template <FixedString Name>
  static consteval u32 number_of() {
    constexpr u32 number = Description::template index_number<Name>();
    static_assert(number < Description::index_count, "groove: no index has this name");
    return number < Description::index_count ? number : 0;
  }
  template <FixedString Name>
  static constexpr u32 number = number_of<Name>();
  template <FixedString Name>
  using Prefix = PrefixOfIndex<std::tuple_element_t<number<Name>, typename Description::Indexes>, Object>;

  template <FixedString Name>
  ScanTree scan_tree() {
    using Value = typename IndexEntry<Prefix<Name>>::Traits::Value;
    return {.tree = &trees_.index(number<Name>), .timestamp_offset = offsetof(Value, timestamp_and_flag)};
  }
  ScanTree id_tree() {
    static_assert(Description::has_id, "groove: there are no ids to ask for");
    return {.tree = &trees_.ids(), .timestamp_offset = offsetof(IdTraits::Value, timestamp_and_flag)};
  }

  // A number or an enum, as the index holds it.
  template <FixedString Name, class Value>
  static Prefix<Name> prefix_of(Value value) {
    static_assert(!std::is_same_v<Prefix<Name>, NoPrefix>, "groove: an existence index has no values");
    const auto prefix = static_cast<Prefix<Name>>(value);
    ASSERT(static_cast<Value>(prefix) == value && "the index has no such value");
    if constexpr (std::is_signed_v<Value>) ASSERT(value >= 0);
    return prefix;
  }
  static Key key_of(u64 prefix, u64 timestamp) { return Key::of(u128{prefix} << 64 | timestamp); }
  static Key key_of(u128 prefix, u64 timestamp) { return {.lo = timestamp, .hi = prefix}; }
  template <class P>
  static KeyRange range_of(P min, P max) {
    return {.min = key_of(min, 0), .max = key_of(max, timestamp_max)};
  }

  ScanBuilder* builder_;
  GrooveTrees<Description> trees_;
};

}  // namespace tonearm
