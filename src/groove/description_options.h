// What descriptions of grooves (groove/description.h) are made of, and what of a struct they index.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>

#include "groove/object_traits.h"

namespace tonearm {

// A string that can be a template argument.
template <std::size_t Size>
struct FixedString {
  constexpr FixedString() = default;
  constexpr FixedString(const char (&from)[Size]) {  // Implicit: it is written as a literal.
    for (std::size_t i = 0; i < Size; ++i) text[i] = from[i];
  }
  constexpr std::string_view view() const { return {text, Size - 1}; }
  char text[Size]{};
};

template <FixedString Left, FixedString Right>
consteval auto joined_by_dot() {
  FixedString<sizeof(Left.text) + sizeof(Right.text)> joined;
  std::size_t at = 0;
  for (const char c : Left.view()) joined.text[at++] = c;
  joined.text[at++] = '.';
  for (const char c : Right.view()) joined.text[at++] = c;
  return joined;
}

template <class T>
struct MemberPointer;
template <class O, class M>
struct MemberPointer<M O::*> {
  using Object = O;
  using Member = M;
};

// --- index entries: what is indexed, and in which tree type

struct NoPrefix {
  friend constexpr bool operator==(NoPrefix, NoPrefix) = default;
};

// The prefix that a member type is indexed by; void: it cannot be.
template <class T>
struct PrefixOf {
  template <class Candidate>
  static constexpr bool is_any() {
    return std::is_same_v<Candidate, unsigned char> || std::is_same_v<Candidate, unsigned short> ||
           std::is_same_v<Candidate, unsigned int> || std::is_same_v<Candidate, unsigned long> ||
           std::is_same_v<Candidate, unsigned long long>;
  }
  static constexpr auto find() {
    if constexpr (std::is_same_v<T, u128>) {
      return std::type_identity<u128>{};
    } else if constexpr (std::is_enum_v<T>) {
      return PrefixOf<std::underlying_type_t<T>>::find();
    } else if constexpr (is_any<T>()) {
      return std::type_identity<u64>{};
    } else {
      return std::type_identity<void>{};
    }
  }
  using type = typename decltype(find())::type;
};

template <class Prefix>
struct IndexEntry;
template <>
struct IndexEntry<NoPrefix> {
  using Traits = ExistenceTraits;
  static constexpr const TableKernel* kernel = &existence_kernel;
  static Traits::Value value(NoPrefix, u64 timestamp) { return {.timestamp_and_flag = timestamp}; }
};
template <>
struct IndexEntry<u64> {
  using Traits = IndexTraits;
  static constexpr const TableKernel* kernel = &index_kernel;
  static Traits::Value value(u64 prefix, u64 timestamp) {
    return {.field = prefix, .timestamp_and_flag = timestamp};
  }
};
template <>
struct IndexEntry<u128> {
  using Traits = WideIndexTraits;
  static constexpr const TableKernel* kernel = &wide_index_kernel;
  static Traits::Value value(u128 prefix, u64 timestamp) {
    return {.field = prefix, .timestamp_and_flag = timestamp, .zero = 0};
  }
};

// --- what a description is made of

enum class OptionKind : u8 { object_tree, id_tree, index, ignored, orphaned_ids, no_cache };

template <u16 Id>
struct ObjectTree {
  static constexpr OptionKind kind = OptionKind::object_tree;
  static constexpr u16 id = Id;
};

template <u16 Id>
struct IdTree {
  static constexpr OptionKind kind = OptionKind::id_tree;
  static constexpr u16 id = Id;
};

template <auto Member>
struct Ignored {
  static constexpr OptionKind kind = OptionKind::ignored;
  static constexpr auto member = Member;
};

struct OrphanedIds {
  static constexpr OptionKind kind = OptionKind::orphaned_ids;
};

struct NoCache {
  static constexpr OptionKind kind = OptionKind::no_cache;
};

template <FixedString Name, u16 Id, auto Member, bool skip_zero>
struct MemberIndex {
  using Object = typename MemberPointer<decltype(Member)>::Object;
  using Found = typename PrefixOf<typename MemberPointer<decltype(Member)>::Member>::type;
  static_assert(!std::is_void_v<Found>,
                "groove: an indexed member must be an unsigned integer, or an enum of one");
  using Prefix = std::conditional_t<std::is_void_v<Found>, u64, Found>;

  static constexpr OptionKind kind = OptionKind::index;
  static constexpr auto name = Name;
  static constexpr u16 id = Id;
  static constexpr auto member = Member;

  static std::optional<Prefix> prefix(const Object& object) {
    const Prefix value = static_cast<Prefix>(object.*Member);
    if (skip_zero && value == 0) return {};
    return value;
  }
};

template <FixedString Name, u16 Id, auto Member>
struct Field : MemberIndex<Name, Id, Member, false> {};

template <FixedString Name, u16 Id, auto Member>
struct OptionalField : MemberIndex<Name, Id, Member, true> {};

template <class T>
struct DerivedPrefix {
  using type = void;
};
template <class T>
struct DerivedPrefix<std::optional<T>> {
  using type = typename PrefixOf<T>::type;
};

template <FixedString Name, u16 Id, auto Function>
struct Derived {
  static constexpr OptionKind kind = OptionKind::index;
  static constexpr auto name = Name;
  static constexpr u16 id = Id;

  template <class Object>
  static auto prefix(const Object& object) {
    using Result = std::remove_cvref_t<decltype(Function(object))>;
    using Found = typename DerivedPrefix<Result>::type;
    static_assert(!std::is_void_v<Found>,
                  "groove: the function of a Derived index must return std::optional of an unsigned integer");
    using Prefix = std::conditional_t<std::is_void_v<Found>, u64, Found>;
    const Result result = Function(object);
    return result ? std::optional(static_cast<Prefix>(*result)) : std::optional<Prefix>();
  }
};

template <FixedString Name, u16 Id, auto Function>
struct DerivedExists {
  static constexpr OptionKind kind = OptionKind::index;
  static constexpr auto name = Name;
  static constexpr u16 id = Id;

  template <class Object>
  static auto prefix(const Object& object) {
    static_assert(std::is_same_v<decltype(Function(object)), bool>,
                  "groove: the function of a DerivedExists index must return bool");
    return Function(object) ? std::optional(NoPrefix{}) : std::nullopt;
  }
};

template <class Index, class Object>
using PrefixOfIndex = typename decltype(Index::prefix(std::declval<const Object&>()))::value_type;

}  // namespace tonearm
