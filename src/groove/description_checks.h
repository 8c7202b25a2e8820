// What the compiler refuses in a description (groove/description.h), each with a message of its own.
// Compiled misuses are in description_misuse.cpp.
#pragma once

#include <array>
#include <concepts>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "groove/description_options.h"

namespace tonearm {

template <class Option>
concept GrooveOption = requires {
  { Option::kind } -> std::convertible_to<OptionKind>;
};

template <class... Options>
struct DescriptionParts {
  static_assert((GrooveOption<Options> && ...),
                "groove: a description is made of ObjectTree, IdTree, Field, OptionalField, Derived, "
                "DerivedExists, Ignored, OrphanedIds and NoCache");

  template <class Option>
  using IfIndex = std::conditional_t<Option::kind == OptionKind::index, std::tuple<Option>, std::tuple<>>;
  using Indexes = decltype(std::tuple_cat(std::declval<IfIndex<Options>>()...));

  static constexpr u32 count(OptionKind kind) {
    return (u32{0} + ... + (Options::kind == kind ? u32{1} : u32{0}));
  }

  template <class Option>
  static constexpr u16 id_of() {
    if constexpr (requires { Option::id; }) {
      return Option::id;
    } else {
      return 0;
    }
  }
  // 0: there is none.
  static constexpr u16 tree_id(OptionKind kind) {
    u16 id = 0;
    ((id = Options::kind == kind ? id_of<Options>() : id), ...);
    return id;
  }
  static constexpr std::array<u16, sizeof...(Options)> tree_ids() { return {id_of<Options>()...}; }

  template <class Option>
  static constexpr std::string_view name_of() {
    if constexpr (Option::kind == OptionKind::index) {
      return Option::name.view();
    } else {
      return {};
    }
  }
  static constexpr std::array<std::string_view, sizeof...(Options)> names() {
    return {name_of<Options>()...};
  }
};

// Of the members that options name.
template <class Object, class... Options>
struct DescriptionMembers {
  template <class Option>
  static constexpr bool of_object() {
    if constexpr (requires { Option::member; }) {
      return std::is_same_v<typename MemberPointer<std::remove_const_t<decltype(Option::member)>>::Object,
                            Object>;
    } else {
      return true;
    }
  }

  template <class Option>
  static constexpr std::size_t size() {
    if constexpr (requires { Option::member; }) {
      return sizeof(typename MemberPointer<std::remove_const_t<decltype(Option::member)>>::Member);
    } else {
      return 0;
    }
  }

  template <class Option, auto Other>
  static constexpr bool is() {
    if constexpr (requires { Option::member; }) {
      if constexpr (std::is_same_v<std::remove_const_t<decltype(Option::member)>, decltype(Other)>) {
        return Option::member == Other;
      } else {
        return false;
      }
    } else {
      return false;
    }
  }
  // How many options name this member.
  template <auto Other>
  static constexpr u32 times() {
    return (u32{0} + ... + (is<Options, Other>() ? u32{1} : u32{0}));
  }
  template <class Option>
  static constexpr bool named_once() {
    if constexpr (requires { Option::member; }) {
      return times<Option::member>() == 1;
    } else {
      return true;
    }
  }

  static constexpr std::size_t sizes() { return (std::size_t{0} + ... + size<Options>()); }
  static constexpr bool all_of_object() { return (of_object<Options>() && ...); }
  static constexpr bool all_once() { return (named_once<Options>() && ...); }
};

template <class Object>
constexpr bool has_timestamp_member() {
  return requires(Object object) {
    { (object.timestamp) } -> std::same_as<u64&>;
  };
}

template <class Object>
constexpr bool has_id_member() {
  return requires(Object object) {
    { (object.id) } -> std::same_as<u128&>;
  };
}

// Zeroes and empty names stand for nothing.
template <class T, std::size_t Size>
constexpr bool unique(const std::array<T, Size>& items) {
  for (std::size_t i = 0; i < Size; ++i) {
    for (std::size_t j = i + 1; j < Size; ++j) {
      if (items[i] == items[j] && items[i] != T{}) return false;
    }
  }
  return true;
}

template <class Object, class... Options>
struct DescriptionChecks {
  using Checked = DescriptionParts<Options...>;
  using Members = DescriptionMembers<Object, Options...>;
  static constexpr bool ids = Checked::count(OptionKind::id_tree) > 0;

  static_assert(std::is_trivially_copyable_v<Object> && std::has_unique_object_representations_v<Object>,
                "groove: the struct has padding, or members that are not plain integers: name every byte");
  static_assert(is_power_of_two(sizeof(Object)) && sizeof(Object) >= 8 && sizeof(Object) <= 256,
                "groove: the size of the struct must be a power of two from 8 to 256: add reserved members");
  static_assert(has_timestamp_member<Object>(), "groove: the struct needs a member `u64 timestamp`");
  static_assert(Checked::count(OptionKind::object_tree) == 1, "groove: name one ObjectTree");
  static_assert(Checked::count(OptionKind::id_tree) <= 1, "groove: name one IdTree at most");
  static_assert(!ids || has_id_member<Object>(), "groove: an IdTree needs a member `u128 id`");
  static_assert(ids || Checked::count(OptionKind::orphaned_ids) == 0,
                "groove: OrphanedIds needs ids: name an IdTree");
  static_assert(((!requires { Options::id; } || Checked::template id_of<Options>() > 0) && ...),
                "groove: tree ids start at 1");
  static_assert(unique(Checked::tree_ids()), "groove: two trees have the same id");
  static_assert(unique(Checked::names()), "groove: two indexes have the same name");
  static_assert(((Checked::template name_of<Options>() != "id") && ...),
                "groove: the name `id` is that of the id tree");
  static_assert(Members::all_of_object(), "groove: a member of another struct is named");
  static_assert(Members::all_once(), "groove: a member is named twice");

  static constexpr bool timestamp_free() {
    if constexpr (has_timestamp_member<Object>()) {
      return Members::template times<&Object::timestamp>() == 0;
    } else {
      return true;
    }
  }
  static constexpr bool id_free() {
    if constexpr (ids && has_id_member<Object>()) {
      return Members::template times<&Object::id>() == 0;
    } else {
      return true;
    }
  }
  static_assert(timestamp_free() && id_free(),
                "groove: the id and the timestamp have trees already: do not name them");
  static_assert(Members::sizes() + sizeof(u64) + (ids ? sizeof(u128) : 0) >= sizeof(Object),
                "groove: a member is neither indexed nor Ignored");
};

}  // namespace tonearm
