#include "sim/component/key_line.h"

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u64 timestamp_max = u64_max >> 1;  // Of an index key: its top bit is the tombstone's.

// Key numbers of all types but the wide one fit into 128 bits.
u128 number_max(KeyType type) {
  switch (type) {
    case KeyType::kv: return timestamp_max - 1;
    case KeyType::index: return u128_max >> 1;
    case KeyType::id: return u128_max - 1;
    case KeyType::wide: break;
  }
  UNREACHABLE();
}

// Where a carry goes from one word into the next: of kv, where a signed comparison would turn over.
u128 number_border(KeyType type) {
  switch (type) {
    case KeyType::kv: return u128{1} << 31;
    case KeyType::index: return u128{5} << 63;
    case KeyType::id: return u128{1} << 64;
    case KeyType::wide: break;
  }
  UNREACHABLE();
}

Key wide_key(KeyLayout layout, u64 count, u64 point) {
  switch (layout) {
    case KeyLayout::low: return {.lo = point, .hi = 0};
    case KeyLayout::high: return {.lo = u128_max - (count - 1) + point, .hi = u128_max};
    case KeyLayout::middle: {
      const u64 border = count / 2;
      return {.lo = u128{point} - border, .hi = (u128{1} << 64) - (point < border ? 1 : 0)};
    }
    case KeyLayout::spread: {
      // The low word goes down as the high one goes up, to the ends of both.
      if (point == 0) return {};
      if (point == count - 1) return {.lo = u128_max, .hi = u128_max};
      return {.lo = u128_max - point, .hi = u128_max / (count - 1) * point};
    }
  }
  UNREACHABLE();
}

}  // namespace

const char* key_type_name(KeyType type) {
  switch (type) {
    case KeyType::kv: return "kv";
    case KeyType::index: return "index";
    case KeyType::id: return "id";
    case KeyType::wide: return "wide";
  }
  UNREACHABLE();
}

KeyLine::KeyLine(KeyType type, KeyLayout layout, u64 count) : type_(type), layout_(layout), count_(count) {
  ASSERT(count >= 2);
  ASSERT(count <= count_max);
}

Key KeyLine::key(u64 point) const {
  ASSERT(point < count_);
  if (type_ == KeyType::wide) return wide_key(layout_, count_, point);
  u128 number = 0;
  switch (layout_) {
    case KeyLayout::low: number = point; break;
    case KeyLayout::high: number = number_max(type_) - (count_ - 1) + point; break;
    case KeyLayout::middle: {
      const u128 border = number_border(type_);
      const u128 before = count_ / 2;
      number = (border > before ? border - before : 0) + point;
      break;
    }
    case KeyLayout::spread: {
      number = point == count_ - 1 ? number_max(type_) : number_max(type_) / (count_ - 1) * point;
      break;
    }
  }
  if (type_ != KeyType::index) return Key::of(number);
  return Key::of(number >> 63 << 64 | (number & timestamp_max));
}

}  // namespace tonearm::sim
