// Keys of trees as text.
#include "base/assert.h"
#include "sim/scenario/number.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

namespace {

// Equal to key_max of the tree's traits, whose greatest u128 (or u64) is the sentinel of a merge.
constexpr u64 number_max = timestamp_max - 1;

KeyShape shape_of(TreeName tree) { return tree_spec(tree).shape; }

// Empty: fine.
std::string parse_index_key(std::string_view text, u128 field_max, u128* field, u64* timestamp) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return "field/timestamp, min or max";
  if (std::string expected = parse_wide_number(text.substr(0, slash), field_max, field); !expected.empty()) {
    return "field/timestamp, the field " + expected;
  }
  std::string expected = parse_number(text.substr(slash + 1), 0, timestamp_max, timestamp);
  return expected.empty() ? expected : "field/timestamp, the timestamp " + expected;
}

}  // namespace

Key key_max(TreeName tree) {
  switch (shape_of(tree)) {
    case KeyShape::number: return Key::of(number_max);
    case KeyShape::wide_number: return Key::of(u128_max - 1);
    case KeyShape::index: return Key::of(u128{u64_max} << 64 | timestamp_max);
    case KeyShape::wide_index: return {.lo = timestamp_max, .hi = u128_max};
    case KeyShape::timestamp: return Key::of(timestamp_max);
  }
  UNREACHABLE();
}

bool key_valid(TreeName tree, const Key& key) {
  if (key > key_max(tree)) return false;
  switch (shape_of(tree)) {
    case KeyShape::index: return static_cast<u64>(key.lo) <= timestamp_max;
    case KeyShape::wide_index: return key.lo <= timestamp_max;
    case KeyShape::number:
    case KeyShape::wide_number:
    case KeyShape::timestamp: return true;
  }
  UNREACHABLE();
}

void append_key(TreeName tree, const Key& key, std::string* target) {
  switch (shape_of(tree)) {
    case KeyShape::number:
    case KeyShape::wide_number:
    case KeyShape::timestamp: return append_number(key.lo, target);
    case KeyShape::index: append_number(static_cast<u64>(key.lo >> 64), target); break;
    case KeyShape::wide_index: append_number(key.hi, target); break;
  }
  target->push_back('/');
  append_number(static_cast<u64>(key.lo), target);
}

std::string key_text(TreeName tree, const Key& key) {
  std::string text;
  append_key(tree, key, &text);
  return text;
}

std::string parse_key(TreeName tree, std::string_view text, Key* key) {
  if (text == "min" || text == "max") {
    *key = text == "min" ? Key{} : key_max(tree);
    return {};
  }
  u128 number = 0;
  u64 timestamp = 0;
  std::string expected;
  switch (shape_of(tree)) {
    case KeyShape::number:
    case KeyShape::wide_number:
    case KeyShape::timestamp:
      expected = parse_wide_number(text, key_max(tree).lo, &number);
      if (expected.empty()) *key = Key::of(number);
      return expected;
    case KeyShape::index:
      expected = parse_index_key(text, u64_max, &number, &timestamp);
      if (expected.empty()) *key = Key::of(number << 64 | timestamp);
      return expected;
    case KeyShape::wide_index:
      expected = parse_index_key(text, u128_max, &number, &timestamp);
      if (expected.empty()) *key = {.lo = timestamp, .hi = number};
      return expected;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
