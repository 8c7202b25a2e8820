#include "sim/decode/lie_record.h"

#include "sim/decode/index_slots.h"
#include "sim/decode/lie.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

constexpr u64 level_greatest = 63;  // That the label has bits for; above them the event.
constexpr u64 address_greatest = u64{1} << 32;

}  // namespace

void record_of_level_too_deep(std::span<std::byte> record, u32 levels, u64 random) {
  const u8 event = f::load<u8>(record, f::entry_label) & ~u8{level_greatest};
  const u64 level = number_between(levels, level_greatest, random);
  put<u8>(record, f::entry_label, static_cast<u8>(event | level));
}

void record_of_no_place(std::span<std::byte> record, u32 /*levels*/, u64 random) {
  const u64 address = number_between(address_greatest + 1, ~u64{0}, remix(random, 1));
  put<u64>(record, f::entry_address, (random & 7) == 0 ? 0 : address);
}

void record_of_keys_turned(std::span<std::byte> record, u32 /*levels*/, u64 random) {
  constexpr DecodedKey greatest{~u128{0}, ~u128{0}};
  const DecodedKey min = load_key(record, f::entry_key_min);
  const DecodedKey max = load_key(record, f::entry_key_max);
  // Of all keys together the table can begin too late, or end too early.
  const bool late = max != greatest && (min == DecodedKey{} || (random & 1) == 0);
  if (late)
    put_key(record, f::entry_key_min, key_between(next_key(max), greatest, remix(random, 1)), 32);
  else
    put_key(record, f::entry_key_max, key_between({}, key_before(min), remix(random, 1)), 32);
}

void record_of_ended_table(std::span<std::byte> record, u32 /*levels*/, u64 random) {
  put<u64>(record, f::entry_snapshot_max, number_between(0, ~u64{0} - 1, random));
}

}  // namespace tonearm::sim
