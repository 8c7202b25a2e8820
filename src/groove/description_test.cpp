// What a description says of a struct: prefixes by type, names, numbers.
#include "groove/description.h"

#include <limits>
#include <string_view>

#include "groove/test_grooves.h"
#include "sim/disk/engine_code.h"

namespace tonearm {

namespace {

enum class Wide : u64 { least, greatest = u64_max };

struct Types {
  u128 wide;
  u64 timestamp;
  u64 word;
  Wide wide_kind;
  u32 half;
  u16 quarter;
  u8 eighth;
  NoteKind kind;
  u64 more[2];
};
constexpr std::optional<u128> wide_or_nothing(const Types& types) {
  return types.word == 0 ? std::nullopt : std::optional(types.wide);
}
constexpr std::optional<NoteKind> kind_or_nothing(const Types& types) {
  return types.kind == NoteKind::plain ? std::nullopt : std::optional(types.kind);
}

struct TypesGroove
    : GrooveDescription<"types", Types, ObjectTree<1>, Field<"wide", 2, &Types::wide>,
                        OptionalField<"word", 3, &Types::word>, Field<"wide_kind", 4, &Types::wide_kind>,
                        Field<"half", 5, &Types::half>, OptionalField<"quarter", 6, &Types::quarter>,
                        Field<"eighth", 7, &Types::eighth>, Field<"kind", 8, &Types::kind>,
                        Derived<"derived", 9, &wide_or_nothing>, Derived<"named", 10, &kind_or_nothing>,
                        Ignored<&Types::more>> {};

template <u32 number>
using Index = std::tuple_element_t<number, TypesGroove::Indexes>;

}  // namespace

TEST_CASE("description: every type has its prefix", "[description]") {
  Types types{};
  CHECK(Index<0>::prefix(types) == u128{0});
  CHECK(Index<1>::prefix(types) == std::nullopt);
  CHECK(Index<2>::prefix(types) == u64{0});
  CHECK(Index<4>::prefix(types) == std::nullopt);
  CHECK(Index<6>::prefix(types) == u64{0});
  CHECK(Index<7>::prefix(types) == std::nullopt);
  CHECK(Index<8>::prefix(types) == std::nullopt);
  types = {.wide = u128_max,
           .timestamp = 1,
           .word = u64_max,
           .wide_kind = Wide::greatest,
           .half = ~u32{0},
           .quarter = std::numeric_limits<u16>::max(),
           .eighth = 255,
           .kind = NoteKind::drawing,
           .more = {}};
  CHECK((Index<0>::prefix(types) == u128_max));
  CHECK(Index<1>::prefix(types) == u64_max);
  CHECK(Index<2>::prefix(types) == u64_max);
  CHECK(Index<3>::prefix(types) == u64{0xffff'ffff});
  CHECK(Index<4>::prefix(types) == u64{0xffff});
  CHECK(Index<5>::prefix(types) == u64{255});
  CHECK(Index<6>::prefix(types) == u64{2});
  CHECK((Index<7>::prefix(types) == u128_max));
  CHECK(Index<8>::prefix(types) == u64{2});
  CHECK(TypesGroove::trees()[1].kernel->value_size() == 32);
  CHECK(TypesGroove::trees()[2].kernel->value_size() == 16);
  CHECK(TypesGroove::trees()[8].kernel->value_size() == 32);
  CHECK(TypesGroove::trees()[9].kernel->value_size() == 16);
  CHECK(std::string_view(TypesGroove::trees()[9].name) == "types.named");
  CHECK_FALSE(TypesGroove::has_id);
  CHECK(std::is_same_v<TypesGroove::Key, u64>);
}

TEST_CASE("description: a tombstone of an object is nothing but its timestamp", "[description]") {
  Note note = a_note(7, 12);
  const auto& kernel = object_kernel<Note>;
  CHECK_FALSE(kernel.is_tombstone(reinterpret_cast<const std::byte*>(&note)));
  kernel.make_tombstone(Key::of(12), reinterpret_cast<std::byte*>(&note));
  CHECK(kernel.is_tombstone(reinterpret_cast<const std::byte*>(&note)));
  CHECK(note.timestamp == (tombstone_bit | 12));
  note.timestamp = 0;
  CHECK(bytes_of(note) == bytes_of(Note{}));
}

}  // namespace tonearm
