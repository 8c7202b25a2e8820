#include "sim/run/audit.h"

#include <fmt/format.h>

#include <algorithm>

#include "table/tree_types.h"

namespace tonearm::sim {

namespace {

std::string value_text(const std::optional<u64>& value) {
  return value ? fmt::format("{}", *value) : std::string("absent");
}

}  // namespace

KeyRange tree_range(TreeName tree) { return {.min = Key{}, .max = key_max(tree)}; }

// The key of an index has a hole: above the timestamp is the tombstone flag, and above that, in a wide
// one, nothing.
Key key_below(TreeName tree, const Key& key) {
  if (key == Key{}) return key;
  Key below = key;
  const KeyShape shape = tree_spec(tree).shape;
  if (shape == KeyShape::wide_index && key.lo == 0) return {.lo = timestamp_max, .hi = key.hi - 1};
  --below.lo;
  if (shape == KeyShape::index) below.lo &= ~u128{tombstone_bit};
  return below;
}

Key key_above(TreeName tree, const Key& key) {
  if (key >= key_max(tree)) return key;
  Key above = key;
  ++above.lo;
  const KeyShape shape = tree_spec(tree).shape;
  if (shape == KeyShape::index && (above.lo & tombstone_bit) != 0) {
    above.lo = ((above.lo >> 64) + 1) << 64;
  }
  if (shape == KeyShape::wide_index && above.lo > timestamp_max) above = {.lo = 0, .hi = key.hi + 1};
  return above;
}

void Audit::mismatch(TreeName tree, const Key& key, std::string site, std::string message) {
  if (outcome_.mismatch) return;
  outcome_.mismatch =
      Mismatch{.tree = tree, .key = key, .site = std::move(site), .message = std::move(message)};
}

void Audit::unanswered(const Error& error) {
  outcome_.error = error;
  ++outcome_.unanswered;
  if (judge_ != nullptr) judge_->unanswered(error, where_);
}

void Audit::get(TreeName tree, const ModelMap& map, const Key& key, bool cold) {
  if (failed()) return;
  compare(tree, map, key, host_->get(tree, key, cold));
}

void Audit::compare(TreeName tree, const ModelMap& map, const Key& key, const Answer& answer) {
  if (failed()) return;
  if (answer.error) return unanswered(answer.error);
  ++outcome_.checks;
  const auto found = map.find(model_key(key));
  const std::optional<u64> expected = found == map.end() ? std::nullopt : std::optional<u64>(found->second);
  if (answer.value == expected) return;
  const char* kind = !expected       ? "found, expected absent"
                     : !answer.value ? "absent, expected found"
                                     : "another value";
  mismatch(tree, key, fmt::format("get {}: {}", tree_name(tree), kind),
           fmt::format("get {} key={}: the engine says {}, the model says {}", tree_name(tree),
                       key_text(tree, key), value_text(answer.value), value_text(expected)));
}

// That there is none at this place, or another one than expected.
void Audit::wrong_row(const ScanRequest& request, u64 row, const ModelMap::value_type& expected) {
  const bool ascending = request.direction == Direction::ascending;
  const char* words = ascending ? "scan" : "scan descending";
  const char* tree = tree_name(request.tree);
  const Key key = engine_key(request.tree, expected.first);
  if (row < rows_.size() && rows_[row].key == expected.first) {
    ++outcome_.checks;
    mismatch(request.tree, key, fmt::format("{} {}: another value", words, tree),
             fmt::format("{} {} row {} key={}: the engine says {}, the model says {}", words, tree, row,
                         key_text(request.tree, key), rows_[row].value, expected.second));
    return;
  }
  const bool extra = row < rows_.size() && (rows_[row].key < expected.first) == ascending;
  const Key at = extra ? engine_key(request.tree, rows_[row].key) : key;
  const char* kind = extra ? "an extra row" : "a missing row";
  mismatch(request.tree, at, fmt::format("{} {}: {}", words, tree, kind),
           fmt::format("{} {} from={} to={}: {} at row {}: key {}", words, tree,
                       key_text(request.tree, request.range.min), key_text(request.tree, request.range.max),
                       kind, row, key_text(request.tree, at)));
}

void Audit::scan(const ScanRequest& request, const ModelMap& map) {
  if (failed()) return;
  // What came before an error must be right, too.
  const Error error = host_->scan(request, &rows_);
  if (error) unanswered(error);
  const bool ascending = request.direction == Direction::ascending;
  const char* words = ascending ? "scan" : "scan descending";
  const char* tree = tree_name(request.tree);
  auto low = map.lower_bound(model_key(request.range.min));
  auto high = request.range.max < request.range.min ? low : map.upper_bound(model_key(request.range.max));
  u64 row = 0;
  const u64 rows = std::min<u64>(rows_.size(), request.limit);
  const auto as_expected = [&](const ModelMap::value_type& expected) {
    if (row == rows || rows_[row].key != expected.first || rows_[row].value != expected.second) return false;
    ++row;
    return true;
  };
  if (ascending) {
    low = map.walk(low, high, as_expected);
  } else {
    high = map.walk_down(low, high, as_expected);
  }
  outcome_.checks += row;
  if (low != high && row < request.limit) {
    if (error && row == rows_.size()) return;
    const auto& expected = ascending ? *low : *std::prev(high);
    return wrong_row(request, row, expected);
  }
  ++outcome_.checks;
  if (row < rows_.size()) {
    const Key at = engine_key(request.tree, rows_[row].key);
    mismatch(request.tree, at, fmt::format("{} {}: an extra row", words, tree),
             fmt::format("{} {}: an extra row {} behind the last one: key {}", words, tree, row,
                         key_text(request.tree, at)));
  }
}

void Audit::full(TreeName tree, const ModelMap& map, u64 seed, u32 points_max, bool cold) {
  const KeyRange range = tree_range(tree);
  scan({.tree = tree, .range = range, .direction = Direction::ascending, .cold = cold}, map);
  scan({.tree = tree, .range = range, .direction = Direction::descending, .cold = cold}, map);
  if (map.empty()) return;
  // Evenly spread: a stride over the rows that the last scan returned (they equal the model's).
  const u64 stride = std::max<u64>(1, rows_.size() / std::max<u32>(1, points_max));
  for (u64 i = seed % stride; i < rows_.size() && !failed(); i += stride) {
    points(tree, map, engine_key(tree, rows_[i].key), cold);
  }
}

void Audit::window(TreeName tree, const ModelMap& map, const Key& from, u32 rows, bool cold) {
  const KeyRange range{.min = from, .max = tree_range(tree).max};
  scan({.tree = tree, .range = range, .direction = Direction::ascending, .limit = rows, .cold = cold}, map);
  if (failed() || rows_.empty()) return;
  const Key last = engine_key(tree, rows_.back().key);
  scan({.tree = tree, .range = {.min = from, .max = last}, .direction = Direction::descending, .cold = cold},
       map);
  points(tree, map, last, cold);
}

void Audit::edges(TreeName tree, const ModelMap& map) {
  if (map.empty()) {
    scan({.tree = tree, .range = tree_range(tree), .limit = 2, .cold = true}, map);
    return;
  }
  around(tree, map, engine_key(tree, map.begin()->first), true);
  around(tree, map, engine_key(tree, std::prev(map.end())->first), true);
}

void Audit::points(TreeName tree, const ModelMap& map, const Key& key, bool cold) {
  if (failed()) return;
  const std::array<Key, 3> keys = {key, key_below(tree, key), key_above(tree, key)};
  std::array<Answer, keys.size()> answers;
  host_->get_together(tree, keys, cold, answers);
  for (u32 i = 0; i < keys.size(); ++i) compare(tree, map, keys[i], answers[i]);
}

void Audit::around(TreeName tree, const ModelMap& map, const Key& key, bool cold) {
  points(tree, map, key, cold);
  const KeyRange all = tree_range(tree);
  scan({.tree = tree, .range = {.min = key, .max = all.max}, .limit = 3, .cold = cold}, map);
  scan({.tree = tree,
        .range = {.min = all.min, .max = key},
        .direction = Direction::descending,
        .limit = 3,
        .cold = cold},
       map);
  const Key below = key_below(tree, key);
  if (below == key) return;
  scan({.tree = tree,
        .range = {.min = all.min, .max = below},
        .direction = Direction::descending,
        .limit = 2,
        .cold = cold},
       map);
}

}  // namespace tonearm::sim
