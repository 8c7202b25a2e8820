// Lies about the values of a groove's trees: each tree by itself is sound.
#include <algorithm>
#include <array>
#include <iterator>

#include "sim/decode/lie.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

constexpr u32 spare_word = 24;  // Of ids and wide entries.

// A value that no newer one supersedes, and which is no tombstone; else empty.
std::span<std::byte> newest_value(Pieces& p, u64 flag_at) {
  if (!p.shallowest) return {};
  const std::span<std::byte> value = p.value_at(below(p.random, p.value_count()));
  return (f::load<u64>(value, flag_at) & tombstone_flag) != 0 ? std::span<std::byte>() : value;
}

std::span<std::byte> newest_id(Pieces& p) {
  if (p.shape->id != p.groove->id_tree) return {};
  return newest_value(p, 16);
}

std::span<std::byte> newest_object(Pieces& p) {
  if (p.shape->id != p.groove->object_tree) return {};
  return newest_value(p, p.shape->timestamp_at);
}

void disagree(Pieces& p, u16 tree, u64 timestamp, ForgedDisagreement how) {
  p.told.tree = tree;
  p.told.timestamp = timestamp;
  p.told.disagreement = how;
}

// Another table of the level has keys between these.
bool table_between(const Pieces& p, const DecodedKey& min, const DecodedKey& max) {
  return std::any_of(p.decoded->tables.begin(), p.decoded->tables.end(), [&](const DecodedTable& table) {
    return table.tree == p.table->tree && table.level == p.table->level &&
           table.index.address != p.table->index.address && table.key_min <= max && min <= table.key_max;
  });
}

// A value has another key now: the ends of its block and of its table follow. False: it is out of order
// there.
bool rekeyed(Pieces& p, u64 at) {
  const auto key = [&p](u64 i) { return key_of(*p.shape, p.value_at(i).data()); };
  const bool first = at == 0;
  const bool last = at + 1 == p.value_count();
  if (first ? p.slot > 0 && key(at) <= p.table->value_blocks[p.slot - 1].key_max : key(at) <= key(at - 1))
    return false;
  if (last ? !p.last_slot() && p.table->value_blocks[p.slot + 1].key_min <= key(at) : key(at + 1) <= key(at))
    return false;
  const DecodedKey min = first && p.slot == 0 ? key(at) : p.table->key_min;
  const DecodedKey max = last && p.last_slot() ? key(at) : p.table->key_max;
  if (table_between(p, min, max)) return false;
  if (first) put_key(p.index, p.key_min_offset(p.slot), key(at), p.key_size);
  if (last) put_key(p.index, p.key_max_offset(p.slot), key(at), p.key_size);
  put_key(p.entry.bytes, f::entry_key_min, min, 32);
  put_key(p.entry.bytes, f::entry_key_max, max, 32);
  return true;
}

// --- what the trees give away together

u64 id_names_another(Pieces& p) {
  const std::span<std::byte> value = newest_id(p);
  if (value.empty()) return 0;
  const u64 timestamp = f::load<u64>(value, 16);
  const u64 other = 1 + below(remix(p.random, 1), u64{1} << 40);
  if (timestamp == other) return 0;
  put<u64>(value, 16, other);
  const bool left = timestamp == 0 || other < timestamp;
  disagree(p, p.shape->id, left ? other : timestamp,
           left ? ForgedDisagreement::entry_left : ForgedDisagreement::entry_missing);
  return p.value_address();
}

u64 object_has_another_id(Pieces& p) {
  const std::span<std::byte> object = newest_object(p);
  if (object.empty() || p.groove->id_tree == 0) return 0;
  const u128 other = f::load<u128>(object, p.groove->id_at) ^ u128 { 1 } << below(remix(p.random, 1), 128);
  if (other == 0 || other == ~u128{0}) return 0;
  put<u128>(object, p.groove->id_at, other);
  disagree(p, p.groove->id_tree, f::load<u64>(object, p.shape->timestamp_at),
           ForgedDisagreement::entry_differs);
  return p.value_address();
}

// Of all its bits one that is indexed, or a few, mostly of several indexes.
u64 object_has_another_field(Pieces& p) {
  const std::span<std::byte> object = newest_object(p);
  if (object.empty()) return 0;
  std::vector<IndexEntry> before;
  p.groove->entries(object, &before);
  std::sort(before.begin(), before.end());
  const u64 wanted = 1 + below(remix(p.random, 100), 4);
  std::vector<IndexEntry> after, differ;
  for (u64 i = 0; i < 16 * wanted && differ.size() < 2 * wanted; ++i) {
    const u64 bit = below(remix(p.random, i), object.size() * 8);
    const u64 byte = bit / 8;
    if (byte - p.shape->timestamp_at < 8) continue;
    if (p.groove->id_tree != 0 && byte - p.groove->id_at < 16) continue;
    object[byte] ^= static_cast<std::byte>(1U << bit % 8);
    after.clear();
    differ.clear();
    p.groove->entries(object, &after);
    std::sort(after.begin(), after.end());
    std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                  std::back_inserter(differ));
  }
  if (differ.empty()) return 0;
  const u16 tree = differ.front().tree;
  const auto of_tree = [tree](const IndexEntry& entry) { return entry.tree == tree; };
  const bool there = std::any_of(before.begin(), before.end(), of_tree);
  const bool demanded = std::any_of(after.begin(), after.end(), of_tree);
  disagree(p, tree, f::load<u64>(object, p.shape->timestamp_at),
           !there      ? ForgedDisagreement::entry_missing
           : !demanded ? ForgedDisagreement::entry_left
                       : ForgedDisagreement::entry_differs);
  return p.value_address();
}

// The next timestamp, as long as the block's keys stay in order and its ends what they are.
u64 entry_of_another_object(Pieces& p) {
  if (!p.shallowest || !p.deepest || !p.shape->secondary_index() || p.value_count() < 3) return 0;
  const u64 at = 1 + below(p.random, p.value_count() - 2);
  const std::span<std::byte> value = p.value_at(at);
  const u64 offset = flag_offset(p.shape->kind);
  const u64 timestamp = f::load<u64>(value, offset);
  if (((timestamp + 1) & tombstone_flag) != 0) return 0;  // A tombstone would be another lie.
  std::vector<std::byte> other(value.begin(), value.end());
  put<u64>(other, offset, timestamp + 1);
  if (std::equal(other.begin(), other.end(), p.value_at(at + 1).begin())) return 0;
  std::copy(other.begin(), other.end(), value.begin());
  disagree(p, p.shape->id, timestamp, ForgedDisagreement::entry_missing);
  return p.value_address();
}

// The same timestamp, and one bit of the field, as far as its place in the order allows.
u64 entry_of_another_value(Pieces& p) {
  if (!p.shallowest || !p.deepest || !p.shape->secondary_index()) return 0;
  const u64 bits = p.shape->kind == ValueKind::index ? 64 : p.shape->kind == ValueKind::wide ? 128 : 0;
  if (bits == 0) return 0;
  for (u64 i = 0; i < 64; ++i) {
    const u64 at = below(remix(p.random, i), p.value_count());
    const u64 bit = below(remix(p.random, 64 + i), bits);
    std::byte& byte = p.value_at(at)[bit / 8];
    byte ^= static_cast<std::byte>(1U << bit % 8);
    if (!rekeyed(p, at)) {
      byte ^= static_cast<std::byte>(1U << bit % 8);
      continue;
    }
    disagree(p, p.shape->id, f::load<u64>(p.value_at(at), flag_offset(p.shape->kind)),
             ForgedDisagreement::entry_differs);
    return p.value_address();
  }
  return 0;
}

// The timestamp of an earlier object, whose right entry stays there.
u64 entry_beside_the_right_one(Pieces& p) {
  if (!p.shallowest || !p.deepest || !p.shape->secondary_index()) return 0;
  const u64 offset = flag_offset(p.shape->kind);
  for (u64 i = 0; i < 64; ++i) {
    const u64 at = below(remix(p.random, i), p.value_count());
    const std::span<std::byte> value = p.value_at(at);
    const u64 timestamp = f::load<u64>(value, offset);
    const u64 other = f::load<u64>(p.value_at(below(remix(p.random, 64 + i), p.value_count())), offset);
    if (other >= timestamp) continue;
    put<u64>(value, offset, other);
    if (!rekeyed(p, at)) {
      put<u64>(value, offset, timestamp);
      continue;
    }
    disagree(p, p.shape->id, other, ForgedDisagreement::entry_left);
    return p.value_address();
  }
  return 0;
}

// --- what a value gives away by itself

// The first value of its tree that can be has this number instead of its key's last.
template <class Number>
u64 first_becomes(Pieces& p, u64 offset, Number number) {
  if (is_tombstone(*p.shape, p.value_at(0).data())) return 0;
  put<Number>(p.value_at(0), offset, number);
  return rekeyed(p, 0) ? p.value_address() : 0;
}

u64 object_has_no_time(Pieces& p) {
  if (p.shape->id != p.groove->object_tree) return 0;
  return first_becomes<u64>(p, p.shape->timestamp_at, 0);
}

u64 entry_has_no_time(Pieces& p) {
  if (!p.shallowest || !p.deepest || !p.shape->secondary_index()) return 0;
  return first_becomes<u64>(p, flag_offset(p.shape->kind), 0);
}

// The greatest is refused as a table's key.
u64 id_is_none(Pieces& p) { return p.shape->id == p.groove->id_tree ? first_becomes<u128>(p, 0, 0) : 0; }

u64 object_has_no_id(Pieces& p) {
  const std::span<std::byte> object = newest_object(p);
  if (object.empty() || p.groove->id_tree == 0) return 0;
  std::memset(object.data() + p.groove->id_at, (p.random & 1) == 0 ? 0x00 : 0xff, 16);
  return p.value_address();
}

u64 id_is_orphaned(Pieces& p) {
  const std::span<std::byte> value = newest_id(p);
  if (value.empty() || p.groove->orphans) return 0;
  put<u64>(value, 16, 0);
  return p.value_address();
}

u64 id_spare_word_used(Pieces& p) {
  const std::span<std::byte> value = newest_id(p);
  if (value.empty()) return 0;
  put<u8>(value, spare_word + below(remix(p.random, 1), 8), 1);
  return p.value_address();
}

u64 entry_spare_word_used(Pieces& p) {
  if (p.shape->kind != ValueKind::wide) return 0;
  const std::span<std::byte> value = newest_value(p, flag_offset(p.shape->kind));
  if (value.empty()) return 0;
  put<u8>(value, spare_word + below(remix(p.random, 1), 8), 1);
  return p.value_address();
}

constexpr std::array lies_of_grooves = std::to_array<Lie>({
    {"an id names another timestamp", id_names_another},
    {"an object has another id", object_has_another_id},
    {"an object has another value of an indexed field", object_has_another_field},
    {"an index entry is of another object", entry_of_another_object},
    {"an index entry has another value", entry_of_another_value},
    {"an index entry is beside the right one", entry_beside_the_right_one},
    {"an object has an id that none may have", object_has_no_id},
    {"an object has timestamp 0", object_has_no_time},
    {"an index entry has timestamp 0", entry_has_no_time},
    {"an id is 0", id_is_none},
    {"an id is orphaned where there are no orphans", id_is_orphaned},
    {"an id's unused bytes are used", id_spare_word_used},
    {"an index entry's unused bytes are used", entry_spare_word_used},
});

}  // namespace

std::span<const Lie> groove_lies() { return lies_of_grooves; }

}  // namespace tonearm::sim
