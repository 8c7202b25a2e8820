#include "sim/run/key_ranges.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

Key key_of(const DecodedKey& key) { return {.lo = key.second, .hi = key.first}; }

bool same(const std::optional<KeyRange>& a, const std::optional<KeyRange>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->min == b->min && a->max == b->max;
}

std::string text(TreeName tree, const std::optional<KeyRange>& range) {
  if (!range) return "nothing";
  return fmt::format("{}..{}", key_text(tree, range->min), key_text(tree, range->max));
}

std::string difference(TreeName tree, const std::optional<KeyRange>& given,
                       const std::optional<KeyRange>& expected) {
  if (same(given, expected)) return {};
  return fmt::format("the key range of {} is {}, not {}", tree_name(tree), text(tree, given),
                     text(tree, expected));
}

}  // namespace

void KeyRanges::scope_opens(EngineHost& host, const World& world) {
  before_.clear();
  for (u32 i = 0; i < world.count; ++i) before_.push_back(host.tree(world.tree(i)).key_range());
}

std::string KeyRanges::discarded(EngineHost& host, const World& world) const {
  ASSERT(before_.size() == world.count);
  std::string text;
  for (u32 i = 0; i < world.count && text.empty(); ++i) {
    text = difference(world.tree(i), host.tree(world.tree(i)).key_range(), before_[i]);
  }
  return text;
}

std::string KeyRanges::opened(EngineHost& host, const World& world, const DecodedImage& decoded) {
  std::string text;
  for (u32 i = 0; i < world.count && text.empty(); ++i) {
    const TreeName tree = world.tree(i);
    std::optional<KeyRange> expected;
    for (const DecodedTable& table : decoded.tables) {
      if (table.tree != tree_spec(tree).id) continue;
      const KeyRange range{.min = key_of(table.key_min), .max = key_of(table.key_max)};
      if (!expected) expected = range;
      expected->include(range);
    }
    text = difference(tree, host.tree(tree).key_range(), expected);
  }
  return text;
}

}  // namespace tonearm::sim
