// The trees of one groove, changed together: whoever calls has checked everything.
//
// Objects are put by timestamp, ids name timestamps, and an index has one entry for each object that has
// a prefix there. An update writes only the entries that change: the old one is removed, then the new one
// put, so that versions of an entry alternate as secondary indexes demand.
#pragma once

#include <array>

#include "base/mark.h"
#include "forest/forest.h"
#include "groove/description.h"
#include "groove/prefetch.h"

namespace tonearm {

template <class Description>
class GrooveTrees {
 public:
  using Object = typename Description::Object;

  explicit GrooveTrees(Forest& forest)
      : objects_(&tree_of(forest, Description::object_tree)),
        ids_(Description::has_id ? &tree_of(forest, Description::id_tree) : nullptr) {
    Description::for_each_index(
        [&]<class Index>(u32 number) { indexes_[number] = &tree_of(forest, Index::id); });
  }

  Tree& objects() { return *objects_; }
  Tree& ids() {
    ASSERT(ids_ != nullptr);
    return *ids_;
  }
  Tree& index(u32 number) { return *indexes_[number]; }
  Prefetch::Trees for_prefetch() { return {.objects = objects_, .ids = ids_}; }

  void insert(const Object& object) {
    put(*objects_, object);
    if constexpr (Description::has_id) {
      put(*ids_, IdTraits::Value{.id = object.id, .timestamp_and_flag = object.timestamp, .zero = 0});
    }
    Description::for_each_index([&]<class Index>(u32 number) {
      const auto prefix = Index::prefix(object);
      if (prefix) index_put(*indexes_[number], *prefix, object.timestamp);
    });
  }

  void update(const Object& before, const Object& after) {
    ASSERT(before.timestamp == after.timestamp);
    put(*objects_, after);
    Description::for_each_index(
        [&]<class Index>(u32 number) { index_update<Index>(*indexes_[number], before, after); });
  }

  void remove(const Object& object) {
    remove_key(*objects_, Key::of(object.timestamp));
    if constexpr (Description::has_id) remove_key(*ids_, Key::of(object.id));
    Description::for_each_index([&]<class Index>(u32 number) {
      const auto prefix = Index::prefix(object);
      if (prefix) index_remove(*indexes_[number], *prefix, object.timestamp);
    });
  }

  void orphan(u128 id) {
    static_assert(Description::has_id);
    put(*ids_, IdTraits::Value{.id = id, .timestamp_and_flag = 0, .zero = 0});
  }

 private:
  static Tree& tree_of(Forest& forest, u16 id) {
    for (u32 index = 0; index < forest.tree_count(); ++index) {
      if (forest.tree(index).config().id == id) return forest.tree(index);
    }
    UNREACHABLE();
  }

  template <class Index>
  static void index_update(Tree& tree, const Object& before, const Object& after) {
    const auto old_prefix = Index::prefix(before);
    const auto new_prefix = Index::prefix(after);
    if (old_prefix == new_prefix) return;
    const Mark event = !old_prefix  ? Mark::groove_index_added
                       : new_prefix ? Mark::groove_index_moved
                                    : Mark::groove_index_removed;
    mark(event, Index::id);
    if (old_prefix) index_remove(tree, *old_prefix, before.timestamp);
    if (new_prefix) index_put(tree, *new_prefix, after.timestamp);
  }
  template <class Prefix>
  static void index_put(Tree& tree, const Prefix& prefix, u64 timestamp) {
    put(tree, IndexEntry<Prefix>::value(prefix, timestamp));
  }
  template <class Prefix>
  static void index_remove(Tree& tree, const Prefix& prefix, u64 timestamp) {
    using Traits = typename IndexEntry<Prefix>::Traits;
    const auto key = Traits::key(IndexEntry<Prefix>::value(prefix, timestamp));
    remove_key(tree, NativeKeyOf<typename Traits::NativeKey>::widen(key));
  }

  // A change puts at most one value into the object and the id tree and two into an index, and the op has
  // room for the change: so there is room.
  template <class Value>
  static void put(Tree& tree, const Value& value) {
    const PutResult result = tree.put(reinterpret_cast<const std::byte*>(&value));
    ASSERT(result == PutResult::ok);
  }
  static void remove_key(Tree& tree, const Key& key) {
    const PutResult result = tree.remove(key);
    ASSERT(result == PutResult::ok);
  }

  Tree* objects_;
  Tree* ids_;  // Null without ids.
  std::array<Tree*, Description::index_count> indexes_{};
};

}  // namespace tonearm
