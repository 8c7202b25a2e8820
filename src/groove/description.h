// The description of a groove: which tree holds what of a user's struct, known to the compiler.
//
//     struct Note {
//       u128 id;
//       u64 author;
//       u64 pinned;
//       u64 size;
//       u64 timestamp;
//       ...
//     };
//     struct Notes : GrooveDescription<"notes", Note,
//         ObjectTree<16>,                             // The objects, by timestamp.
//         IdTree<17>,                                 // id -> timestamp. Without it objects are keyed by
//                                                     // timestamp, and the struct needs no id.
//         Field<"author", 18, &Note::author>,         // An index: (author, timestamp) of every object.
//         OptionalField<"pinned", 19, &Note::pinned>, // The same, but zero is not indexed.
//         Derived<"large", 20, &large>,               // std::optional<u64> large(const Note&): an index of
//                                                     // what a function says, or of nothing.
//         DerivedExists<"draft", 21, &is_draft>,      // bool is_draft(const Note&): which objects there are.
//         Ignored<&Note::size>,                       // No index. Every member is named once.
//         OrphanedIds,                                // Ids may be used up without an object.
//         NoCache> {};                                // No object is cached beyond its bar.
//
// The numbers are tree ids: unique among all grooves of a forest, and part of the file format. Indexed
// members are unsigned integers of 8 to 64 bits or enums of them (16 bytes an entry), or u128 (32 bytes).
//
// What a description may not say is refused by the compiler, with a message that begins with `groove:`.
#pragma once

#include <array>
#include <tuple>
#include <utility>

#include "groove/description_checks.h"
#include "tree/tree.h"

namespace tonearm {

template <FixedString Name, class ObjectType, class... Options>
struct GrooveDescription : DescriptionChecks<ObjectType, Options...> {
  using Object = ObjectType;
  using Parts = DescriptionParts<Options...>;

  static constexpr auto name = Name;
  static constexpr bool has_id = Parts::count(OptionKind::id_tree) > 0;
  static constexpr bool orphaned_ids = Parts::count(OptionKind::orphaned_ids) > 0;
  static constexpr bool cached = Parts::count(OptionKind::no_cache) == 0;
  using Key = std::conditional_t<has_id, u128, u64>;

  static constexpr u16 object_tree = Parts::tree_id(OptionKind::object_tree);
  static constexpr u16 id_tree = Parts::tree_id(OptionKind::id_tree);  // 0: none.

  using Indexes = typename Parts::Indexes;  // A tuple, in the order of the description.
  static constexpr u32 index_count = std::tuple_size_v<Indexes>;
  static constexpr u32 tree_count = 1 + (has_id ? 1 : 0) + index_count;

  // visit.operator()<Index>(number) for each index in order.
  template <class Visit>
  static constexpr void for_each_index(Visit&& visit) {
    [&]<std::size_t... number>(std::index_sequence<number...>) {
      (visit.template operator()<std::tuple_element_t<number, Indexes>>(static_cast<u32>(number)), ...);
    }
    (std::make_index_sequence<index_count>{});
  }

  // In that order, of the index with this name.
  template <FixedString Wanted>
  static consteval u32 index_number() {
    u32 found = index_count;
    for_each_index([&]<class Index>(u32 number) {
      if (Index::name.view() == Wanted.view()) found = number;
    });
    return found;
  }

  // Of the object tree, the id tree if there is one, and the indexes; by name "notes", "notes.id", and
  // "notes.author". Not in order of their ids.
  static constexpr std::array<TreeConfig, tree_count> trees() {
    std::array<TreeConfig, tree_count> trees{};
    u32 count = 0;
    trees[count++] = {.id = object_tree, .name = Name.text, .kernel = &object_kernel<Object>};
    if constexpr (has_id) {
      trees[count++] = {.id = id_tree, .name = tree_name<FixedString("id")>.text, .kernel = &id_kernel};
    }
    for_each_index([&]<class Index>(u32) {
      trees[count++] = {.id = Index::id,
                        .name = tree_name<Index::name>.text,
                        .kernel = IndexEntry<PrefixOfIndex<Index, Object>>::kernel,
                        .values_per_change = 2};
    });
    return trees;
  }

 private:
  template <FixedString Part>
  static constexpr auto tree_name = joined_by_dot<Name, Part>();
};

}  // namespace tonearm
