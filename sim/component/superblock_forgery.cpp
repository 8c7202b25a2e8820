#include "sim/component/superblock_forgery.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

enum class Change : u8 { set, add, toggle };

struct Forgery {
  const char* name;
  u32 offset;
  u32 size;  // Bytes of the number that is changed.
  Change change;
  u64 operand;        // What is set, added or toggled.
  u64 choices = 1;    // So many operands from this one on.
  u32 places = 0;     // Bytes after the offset where it may be instead.
  bool tail = true;   // The tail is made to fit.
  bool check = true;  // The checksum too.
};

constexpr u32 state = f::copy_state;

constexpr Forgery table[] = {
    {"newer layout", f::copy_version, 2, Change::add, 1, 9},
    {"newer format release", f::copy_release, 4, Change::add, 1, 9},
    {"newer release", state + f::state_release, 4, Change::add, 1, 9},
    {"layout 0", f::copy_version, 2, Change::set, 0},
    {"format release 0", f::copy_release, 4, Change::set, 0},
    {"release 0", state + f::state_release, 4, Change::set, 0},
    {"sequence 0", f::copy_sequence, 8, Change::set, 0},
    {"first sequence", f::copy_sequence, 8, Change::set, 1},
    {"last sequence", f::copy_sequence, 8, Change::set, u64_max},
    {"last sequence but one", f::copy_sequence, 8, Change::set, u64_max - 1},
    {"next sequence", f::copy_sequence, 8, Change::add, 1},
    {"a later sequence", f::copy_sequence, 8, Change::add, 2, 9},
    {"op 0", state + f::state_op, 8, Change::set, 0},
    {"no parent", f::copy_parent, 8, Change::set, 0},
    {"another parent", f::copy_parent, 8, Change::add, 1, 9},
    {"another cluster", f::copy_cluster, 8, Change::add, 1, 9},
    {"another file's context", state + f::state_user_context, 8, Change::add, 1, 9},
    {"checksum padding", 16, 1, Change::toggle, 1, 255, 16},
    {"parent padding", f::copy_parent + 16, 1, Change::toggle, 1, 255, 16},
    {"other byte order", f::copy_byte_order, 8, Change::set, __builtin_bswap64(f::byte_order_native)},
    {"no byte order", f::copy_byte_order, 8, Change::add, 1, 9},
    {"padding", f::copy_zero_from, 1, Change::toggle, 1, 255, f::copy_tail - f::copy_zero_from},
    {"reserved by users", state + 96, 1, Change::toggle, 1, 255, 32},
    {"reserved of the state", state + 392, 1, Change::toggle, 1, 255, 632},
    {"snapshots", state + 344, 8, Change::set, 1, 9},
    {"manifest blocks", state + f::state_manifest_blocks, 4, Change::add, 1, 9},
    {"no manifest blocks", state + f::state_manifest_blocks, 4, Change::set, 0},
    {"manifest's oldest address", state + f::state_manifest_oldest_address, 8, Change::toggle, 1, 9},
    {"no newest manifest block", state + f::state_manifest_newest_address, 8, Change::set, 0},
    {"acquired size", state + f::state_acquired_size, 8, Change::toggle, 1, 255},
    {"no acquired size", state + f::state_acquired_size, 8, Change::set, 0},
    {"acquired address", state + f::state_acquired_address, 8, Change::set, 0, 9},
    {"released size", state + f::state_released_size, 8, Change::toggle, 1, 255},
    {"released address", state + f::state_released_address, 8, Change::set, 0, 9},
    {"released payload", state + f::state_released_payload, 8, Change::add, 1, 9},
    {"small storage", state + f::state_storage_size, 8, Change::set, 0, 32768},
    {"least storage", state + f::state_storage_size, 8, Change::set, 32768},
    {"more storage", state + f::state_storage_size, 8, Change::add, 4096, 9},
    {"tail sequence", f::copy_tail, 1, Change::toggle, 1, 255, 16, false},
    {"tail checkpoint id", f::copy_tail + 16, 1, Change::toggle, 1, 255, 32, false},
    {"other options", f::copy_format, 1, Change::toggle, 1, 255, 64},
    {"a wrong checksum", 0, 1, Change::toggle, 1, 255, 16, true, false},
    {"last sequence of 8 bits", f::copy_sequence, 8, Change::set, 0xff},
    {"last sequence of 16 bits", f::copy_sequence, 8, Change::set, 0xffff},
    {"last sequence of 32 bits", f::copy_sequence, 8, Change::set, 0xffff'ffff},
};

// Where each field begins. The next one ends it.
constexpr u32 fields[] = {0,
                          16,
                          f::copy_number,
                          f::copy_version,
                          f::copy_release,
                          f::copy_sequence,
                          f::copy_cluster,
                          f::copy_parent,
                          f::copy_parent + 16,
                          state + f::state_op,
                          state + f::state_user_context,
                          state + f::state_op_id,
                          state + f::state_acquired_last,
                          state + f::state_acquired_last + 16,
                          state + f::state_released_last,
                          state + f::state_released_last + 16,
                          state + 96,
                          state + f::state_manifest_oldest,
                          state + f::state_manifest_oldest + 16,
                          state + f::state_manifest_newest,
                          state + f::state_manifest_newest + 16,
                          state + 192,
                          state + f::state_acquired_payload,
                          state + f::state_released_payload,
                          state + 256,
                          state + f::state_parent_id,
                          state + f::state_grandparent_id,
                          state + f::state_acquired_address,
                          state + f::state_released_address,
                          state + 320,
                          state + f::state_manifest_oldest_address,
                          state + f::state_manifest_newest_address,
                          state + 344,
                          state + f::state_storage_size,
                          state + f::state_acquired_size,
                          state + f::state_released_size,
                          state + 376,
                          state + f::state_manifest_blocks,
                          state + f::state_release,
                          state + 392,
                          f::copy_format,
                          f::copy_byte_order,
                          f::copy_zero_from,
                          f::copy_tail,
                          f::copy_tail + 8,
                          f::copy_tail + 16,
                          f::copy_tail + 32,
                          f::copy_size};

u64 load_number(const CopyBytes& copy, u64 offset, u32 size) {
  u64 number = 0;
  std::memcpy(&number, copy.data() + offset, size);  // Native: the least significant bytes come first.
  return number;
}

}  // namespace

u64 forgery_count() { return std::size(table); }
const char* forgery_name(u64 kind) { return table[kind].name; }

void forge_copy(CopyBytes& copy, u64 kind, u64 value) {
  ASSERT(kind < std::size(table));
  const Forgery& forgery = table[kind];
  const u64 offset = forgery.offset + (forgery.places == 0 ? 0 : place_of(value, forgery.places));
  const u64 operand = forgery.operand + value % forgery.choices;
  u64 number = load_number(copy, offset, forgery.size);
  switch (forgery.change) {
    case Change::set: number = operand; break;
    case Change::add: number += operand; break;
    case Change::toggle: number ^= operand; break;
  }
  std::memcpy(copy.data() + offset, &number, forgery.size);
  if (forgery.check) seal_copy(copy, forgery.tail);
}

u64 copy_field_count() { return std::size(fields) - 1; }

void change_copy(CopyBytes& copy, u64 field, u64 change, u64 value, f::Bytes older) {
  ASSERT(field < copy_field_count() && change < copy_change_count);
  constexpr u32 word = 8;
  const u32 length = fields[field + 1] - fields[field];
  const u32 size = std::min(length, word);
  const u64 offset = fields[field] + word * place_of(remix(value, 1), length / size);
  u64 number = load_number(copy, offset, size);
  switch (change) {
    case 0: number ^= u64{1} << below(remix(value, 2), u64{8} * size); break;
    case 1: number += 1 + value % 4; break;
    case 2: number -= 1 + value % 4; break;
    case 3: number = value % 2 == 0 ? 0 : u64_max; break;
    default: std::memcpy(&number, older.data() + offset, size);
  }
  std::memcpy(copy.data() + offset, &number, size);
  if (fields[field] != 0) seal_copy(copy, fields[field] < f::copy_tail);
}

}  // namespace tonearm::sim
