#include "sim/decode/groove_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/value_bytes.h"

namespace tonearm::sim {

namespace {

// What the objects of a groove demand of its other trees, as short as that can be said: of each index the
// fields of one object after the other. Objects lie in the order of their timestamps, by which every entry of
// every index finds its own: in one of the many stretches of time that are as long as each other, of which
// the first object is known.
class Demands {
 public:
  static constexpr u32 none = ~u32{0};

  // False: they cannot be said so. An object has one entry in an index at most, with its own timestamp.
  bool derive(const DecodedImage& decoded, const GrooveShape& groove) {
    const TreeShape& tree = *decoded.shape->find(groove.object_tree);
    const std::span<const std::byte* const> objects = decoded.newest(groove.object_tree);
    if (objects.size() >= none) return false;
    timestamps_.reserve(objects.size());
    if (groove.id_tree != 0) ids_.reserve(objects.size());
    columns_begin(decoded, groove, objects.size());
    std::vector<IndexEntry> entries;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (i + ahead < objects.size()) fetch(objects[i + ahead], tree.object_size);
      const std::byte* const object = objects[i];
      const u64 timestamp = unflagged(tree, object);
      if (timestamp == 0 || (i > 0 && timestamp <= timestamps_.back())) return false;
      timestamps_.push_back(timestamp);
      entries.clear();
      groove.entries({object, tree.object_size}, &entries);
      if (!add_entries(groove, entries)) return false;
      if (groove.id_tree != 0) ids_.push_back(word_at<u128>(object, groove.id_at));
    }
    divide();
    return true;
  }

  std::size_t objects() const { return timestamps_.size(); }
  u64 entries(std::size_t index) const { return columns_[index].entries; }
  // None: there is no such object.
  u32 object_at(u64 timestamp) const {
    if (timestamps_.empty() || timestamp < timestamps_.front()) return none;
    const u64 stretch = (timestamp - timestamps_.front()) >> shift_;
    if (stretch + 1 >= first_of_.size()) return none;
    const auto end = timestamps_.begin() + first_of_[stretch + 1];
    const auto at = std::lower_bound(timestamps_.begin() + first_of_[stretch], end, timestamp);
    return at != end && *at == timestamp ? static_cast<u32>(at - timestamps_.begin()) : none;
  }
  u128 id(u32 object) const { return ids_[object]; }
  bool demands(u32 object, std::size_t index, const TreeShape& tree, const std::byte* entry) const {
    const Column& column = columns_[index];
    if (column.has[object] == 0) return false;
    switch (tree.kind) {
      case ValueKind::exists: return true;
      case ValueKind::index: return column.low[object] == word_at<u64>(entry, 0);
      case ValueKind::wide:
        return column.low[object] == word_at<u64>(entry, 0) && column.high[object] == word_at<u64>(entry, 8);
      case ValueKind::pair:
      case ValueKind::id:
      case ValueKind::object: return false;
    }
    return false;
  }

 private:
  static constexpr std::size_t ahead = 8;

  struct Column {
    ValueKind kind;
    u64 entries = 0;  // How many objects have one.
    std::vector<u8> has;
    std::vector<u64> low;
    std::vector<u64> high;  // Of a wide index.
  };

  // Objects lie all over the memory.
  static void fetch(const std::byte* object, u32 size) {
    for (u32 at = 0; at < size; at += 64) __builtin_prefetch(object + at);
  }

  void columns_begin(const DecodedImage& decoded, const GrooveShape& groove, std::size_t objects) {
    for (const u16 tree : groove.index_trees) {
      Column& column = columns_.emplace_back(
          Column{.kind = decoded.shape->find(tree)->kind, .has = {}, .low = {}, .high = {}});
      column.has.resize(objects);
      if (column.kind != ValueKind::exists) column.low.resize(objects);
      if (column.kind == ValueKind::wide) column.high.resize(objects);
    }
  }

  // Of the object that was added last.
  bool add_entries(const GrooveShape& groove, const std::vector<IndexEntry>& entries) {
    const std::size_t object = timestamps_.size() - 1;
    std::size_t index = 0;
    for (const IndexEntry& entry : entries) {
      // As a rule they come in the order of the trees.
      if (index == columns_.size() || groove.index_trees[index] > entry.tree) index = 0;
      while (index < columns_.size() && groove.index_trees[index] != entry.tree) ++index;
      if (index == columns_.size() || !add_entry(&columns_[index], object, entry.key)) return false;
    }
    return true;
  }
  bool add_entry(Column* column, std::size_t object, const DecodedKey& key) {
    const u64 middle = static_cast<u64>(key.second >> 64);
    if (static_cast<u64>(key.second) != timestamps_[object] || column->has[object] != 0) return false;
    if (column->kind != ValueKind::wide && key.first != 0) return false;
    if (column->kind != ValueKind::index && middle != 0) return false;
    ++column->entries;
    column->has[object] = 1;
    if (column->kind == ValueKind::index) column->low[object] = middle;
    if (column->kind != ValueKind::wide) return true;
    column->low[object] = static_cast<u64>(key.first);
    column->high[object] = static_cast<u64>(key.first >> 64);
    return true;
  }

  // The time of the objects into stretches: no fewer than there are objects, and at most twice as many.
  void divide() {
    if (timestamps_.empty()) return;
    const u64 range = timestamps_.back() - timestamps_.front();
    while (range >> shift_ >= 2 * timestamps_.size()) ++shift_;
    first_of_.reserve((range >> shift_) + 2);
    u32 object = 0;
    for (u64 stretch = 0; stretch <= range >> shift_; ++stretch) {
      first_of_.push_back(object);
      while (object < objects() && (timestamps_[object] - timestamps_.front()) >> shift_ == stretch) ++object;
    }
    first_of_.push_back(object);
  }

  std::vector<u64> timestamps_;  // By object.
  std::vector<u128> ids_;        // By object.
  std::vector<Column> columns_;  // By index.
  u32 shift_ = 0;                // How long stretches are.
  std::vector<u32> first_of_;    // By stretch; and one behind the last.
};

class GrooveCheck {
 public:
  GrooveCheck(const DecodedImage& decoded, const GrooveShape& groove)
      : decoded_(decoded), groove_(groove), object_shape_(*decoded.shape->find(groove.object_tree)) {}

  std::vector<std::string> run() {
    if (!readable() || in_bijection()) return {};
    collect();
    check_ids();
    for (const u16 tree : groove_.index_trees) check_index(tree);
    return std::move(lines_);
  }

 private:
  struct Id {
    DecodedKey id;
    u64 timestamp;
    friend auto operator<=>(const Id&, const Id&) = default;
  };

  bool member(u16 tree) const {
    return tree == groove_.object_tree || (groove_.id_tree != 0 && tree == groove_.id_tree) ||
           std::find(groove_.index_trees.begin(), groove_.index_trees.end(), tree) !=
               groove_.index_trees.end();
  }
  bool readable() const {
    return std::all_of(decoded_.tables.begin(), decoded_.tables.end(),
                       [this](const DecodedTable& table) { return table.complete || !member(table.tree); });
  }
  std::string key(u16 tree, const DecodedKey& key) const {
    return decoded_key_text(decoded_.shape->find(tree), key);
  }

  // The short way, without a list of what is wrong. Keys are unique, and an object has one entry in an index
  // at most. So if each entry is one that the object with its timestamp must have, and there are as many
  // entries as objects demand, then none is missing.
  bool in_bijection() const {
    Demands demands;
    if (!demands.derive(decoded_, groove_)) return false;
    for (std::size_t i = 0; i < groove_.index_trees.size(); ++i) {
      const TreeShape& tree = *decoded_.shape->find(groove_.index_trees[i]);
      const std::span<const std::byte* const> entries = decoded_.newest(tree.id);
      if (entries.size() != demands.entries(i)) return false;
      for (const std::byte* const entry : entries) {
        const u32 object = demands.object_at(unflagged(tree, entry));
        if (object == Demands::none || !demands.demands(object, i, tree, entry)) return false;
      }
    }
    return groove_.id_tree == 0 || ids_in_bijection(demands);
  }
  bool ids_in_bijection(const Demands& demands) const {
    const TreeShape& tree = *decoded_.shape->find(groove_.id_tree);
    u64 named = 0;
    for (const std::byte* const value : decoded_.newest(tree.id)) {
      const u64 timestamp = payload_of(tree, value);
      if (key_of(tree, value) == DecodedKey{}) return false;
      if (timestamp == 0 && groove_.orphans) continue;
      const u32 object = demands.object_at(timestamp);
      if (object == Demands::none || key_of(tree, value) != DecodedKey{0, demands.id(object)}) return false;
      ++named;
    }
    return named == demands.objects();
  }

  // From the objects: what all the other trees must hold.
  void collect() {
    for (const std::byte* const object : decoded_.newest(groove_.object_tree)) {
      groove_.entries({object, object_shape_.object_size}, &entries_);
      if (unflagged(object_shape_, object) == 0) {
        lines_.push_back(fmt::format("{}: an object has timestamp 0", groove_.name));
      }
      if (groove_.id_tree == 0) continue;
      ids_.push_back(
          {.id = {0, word_at<u128>(object, groove_.id_at)}, .timestamp = unflagged(object_shape_, object)});
    }
    std::sort(ids_.begin(), ids_.end());
    std::sort(entries_.begin(), entries_.end());
  }

  void check_ids() {
    if (groove_.id_tree == 0) return;
    const TreeShape& tree = *decoded_.shape->find(groove_.id_tree);
    auto expected = ids_.begin();
    for (const std::byte* const value : decoded_.newest(tree.id)) {
      const DecodedKey id = key_of(tree, value);
      const u64 timestamp = payload_of(tree, value);
      if (id == DecodedKey{}) lines_.push_back(fmt::format("{}: id 0", groove_.name));
      for (; expected != ids_.end() && expected->id < id; ++expected) lacks_id(*expected);
      if (expected != ids_.end() && expected->id == id) {
        if (expected->timestamp != timestamp)
          lines_.push_back(fmt::format("{}: id {} names timestamp {}, its object has {}", groove_.name,
                                       key(tree.id, id), timestamp, expected->timestamp));
        ++expected;
      } else if (timestamp != 0 || !groove_.orphans) {
        lines_.push_back(fmt::format("{}: id {} names timestamp {}, where no such object is", groove_.name,
                                     key(tree.id, id), timestamp));
      }
    }
    for (; expected != ids_.end(); ++expected) lacks_id(*expected);
  }
  void lacks_id(const Id& id) {
    lines_.push_back(fmt::format("{}: the object at {} has id {}, which is not in the id tree", groove_.name,
                                 id.timestamp, key(groove_.id_tree, id.id)));
  }

  void check_index(u16 tree) {
    const auto of_tree =
        std::equal_range(entries_.begin(), entries_.end(), IndexEntry{.tree = tree, .key = {}},
                         [](const IndexEntry& a, const IndexEntry& b) { return a.tree < b.tree; });
    auto expected = of_tree.first;
    const char* const name = decoded_.shape->name_of(tree);
    const auto lacks = [&](const IndexEntry& entry) {
      lines_.push_back(fmt::format("{}: the entry {} of an object is missing", name, key(tree, entry.key)));
    };
    for (const std::byte* const value : decoded_.newest(tree)) {
      const DecodedKey entry = key_of(*decoded_.shape->find(tree), value);
      for (; expected != of_tree.second && expected->key < entry; ++expected) lacks(*expected);
      if (expected != of_tree.second && expected->key == entry) {
        ++expected;
      } else {
        lines_.push_back(fmt::format("{}: the entry {} belongs to no object", name, key(tree, entry)));
      }
    }
    for (; expected != of_tree.second; ++expected) lacks(*expected);
  }

  const DecodedImage& decoded_;
  const GrooveShape& groove_;
  const TreeShape& object_shape_;
  std::vector<Id> ids_;
  std::vector<IndexEntry> entries_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> check_groove(const DecodedImage& decoded, const GrooveShape& groove) {
  return GrooveCheck(decoded, groove).run();
}

}  // namespace tonearm::sim
