// What the values of a groove's trees say to a verification (groove/groove_verify.h): an object, which
// entries there must be; an id or an index entry, that it is there.
//
//     GrooveVerify verify(engine.forest(), groove_readers<Notes, Events>, arena);
#pragma once

#include <cstring>

#include "groove/groove_forest.h"
#include "groove/groove_verify.h"

namespace tonearm {

namespace detail {

template <class... Descriptions>
class GrooveReaders {
 public:
  static consteval auto all() {
    std::array<GrooveVerify::Reader, trees.size()> readers{};
    (add<Descriptions>(&readers), ...);
    return readers;
  }

 private:
  using Entries = GrooveVerify::Entries;
  static constexpr auto trees = trees_by_id<Descriptions...>();

  template <class Description>
  static consteval void add(std::array<GrooveVerify::Reader, trees.size()>* readers) {
    (*readers)[position(Description::object_tree)] = &object<Description>;
    if constexpr (Description::has_id) (*readers)[position(Description::id_tree)] = &id<Description>;
    Description::for_each_index([readers]<class Index>(u32) {
      (*readers)[position(Index::id)] = &entry<PrefixOfIndex<Index, typename Description::Object>, Index::id>;
    });
  }
  static consteval u32 position(u16 id) {
    u32 at = 0;
    while (trees[at].id != id) ++at;
    return at;
  }

  static bool id_valid(u128 id) { return id != 0 && id != u128_max; }
  static u128 number(NoPrefix) { return 0; }
  static u128 number(u128 prefix) { return prefix; }

  template <class Description>
  static const char* object(Entries& entries, const std::byte* bytes) {
    typename Description::Object object;
    std::memcpy(&object, bytes, sizeof object);
    if (object.timestamp < 1 || object.timestamp > timestamp_max) return "no object may have this timestamp";
    if constexpr (Description::has_id) {
      if (!id_valid(object.id)) return "no object may have this id";
      entries.demand(position(Description::id_tree), object.timestamp, object.id);
    }
    Description::for_each_index([&]<class Index>(u32) {
      const auto prefix = Index::prefix(object);
      if (prefix) entries.demand(position(Index::id), object.timestamp, number(*prefix));
    });
    return nullptr;
  }

  template <class Description>
  static const char* id(Entries& entries, const std::byte* bytes) {
    IdTraits::Value value;
    std::memcpy(&value, bytes, sizeof value);
    if (!id_valid(value.id)) return "no object may have this id";
    if (value.zero != 0) return "an id's unused bytes are not zero";
    if (value.timestamp_and_flag != 0) {
      entries.there(position(Description::id_tree), value.timestamp_and_flag, value.id);
      return nullptr;
    }
    return Description::orphaned_ids ? nullptr : "an orphan in a groove that has none";
  }

  template <class Prefix, u16 Tree>
  static const char* entry(Entries& entries, const std::byte* bytes) {
    typename IndexEntry<Prefix>::Traits::Value value;
    std::memcpy(&value, bytes, sizeof value);
    if (value.timestamp_and_flag == 0) return "no object may have this timestamp";
    if constexpr (requires { value.zero; }) {
      if (value.zero != 0) return "an entry's unused bytes are not zero";
    }
    u128 prefix = 0;
    if constexpr (requires { value.field; }) prefix = value.field;
    entries.there(position(Tree), value.timestamp_and_flag, prefix);
    return nullptr;
  }
};

}  // namespace detail

// In the order of the forest's trees.
template <class... Descriptions>
inline constexpr auto groove_readers = detail::GrooveReaders<Descriptions...>::all();

}  // namespace tonearm
