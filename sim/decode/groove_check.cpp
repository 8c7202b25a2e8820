#include "sim/decode/groove_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace tonearm::sim {

namespace {

// Where an object of a list is, and its entries in another one, by its timestamp: an open hash table, at most
// half full. What is asked for is in the table itself: every entry of every index asks.
class Places {
 public:
  struct Place {
    u64 timestamp = 0;
    u32 object = 0;
    u32 entries_begin = 0;
    u32 entries_end = 0;
    bool used = false;
  };

  explicit Places(std::size_t objects) : slots_(std::bit_ceil(2 * objects + 1)) {}

  void add(const Place& place) {
    Place& slot = slots_[slot_of(place.timestamp)];
    slot = place;
    slot.used = true;
  }
  // Null: there is no such object.
  const Place* find(u64 timestamp) const {
    const Place& place = slots_[slot_of(timestamp)];
    return place.used ? &place : nullptr;
  }

 private:
  // That holds it, or the free one where it would be.
  std::size_t slot_of(u64 timestamp) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = (timestamp * 0x9e3779b97f4a7c15 >> 32) & mask;
    while (slots_[slot].used && slots_[slot].timestamp != timestamp) slot = (slot + 1) & mask;
    return slot;
  }

  std::vector<Place> slots_;
};

class GrooveCheck {
 public:
  GrooveCheck(const DecodedImage& decoded, const GrooveShape& groove) : decoded_(decoded), groove_(groove) {}

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
  bool in_bijection() {
    const u32 size = decoded_.shape->find(groove_.object_tree)->value_size();
    const std::vector<const DecodedValue*> objects = decoded_.newest(groove_.object_tree);
    Places places(objects.size());
    std::vector<IndexEntry> entries;
    entries.reserve(objects.size() * groove_.index_trees.size());
    for (std::size_t i = 0; i < objects.size(); ++i) {
      const std::size_t begin = entries.size();
      groove_.entries(decoded_.object(*objects[i], size), &entries);
      places.add({.timestamp = static_cast<u64>(objects[i]->key.second),
                  .object = static_cast<u32>(i),
                  .entries_begin = static_cast<u32>(begin),
                  .entries_end = static_cast<u32>(entries.size())});
    }
    u64 values_seen = 0;
    for (const u16 tree : groove_.index_trees) {
      for (const DecodedVersion& version : decoded_.versions_of(tree)) {
        const DecodedValue& value = *version.value;
        if (!version.newest || value.tombstone) continue;
        const Places::Place* const place = places.find(static_cast<u64>(value.key.second));
        if (place == nullptr) return false;
        const IndexEntry wanted{.tree = tree, .key = value.key};
        const auto end = entries.begin() + place->entries_end;
        if (std::find(entries.begin() + place->entries_begin, end, wanted) == end) return false;
        ++values_seen;
      }
    }
    const auto object_at = [&](u64 timestamp) -> const DecodedValue* {
      const Places::Place* const place = places.find(timestamp);
      return place == nullptr ? nullptr : objects[place->object];
    };
    return values_seen == entries.size() && ids_in_bijection(objects, size, object_at);
  }
  template <class ObjectAt>
  bool ids_in_bijection(const std::vector<const DecodedValue*>& objects, u32 size, ObjectAt object_at) {
    if (groove_.id_tree == 0) return true;
    u64 named = 0;
    for (const DecodedVersion& version : decoded_.versions_of(groove_.id_tree)) {
      const DecodedValue* const value = version.value;
      if (!version.newest || value->tombstone) continue;
      if (value->payload == 0 && groove_.orphans) continue;
      const DecodedValue* const object = object_at(value->payload);
      if (object == nullptr) return false;
      u128 id = 0;
      std::memcpy(&id, decoded_.object(*object, size).data() + groove_.id_at, sizeof id);
      if (DecodedKey{0, id} != value->key) return false;
      ++named;
    }
    return named == objects.size();
  }

  // From the objects: what all the other trees must hold.
  void collect() {
    const u32 size = decoded_.shape->find(groove_.object_tree)->value_size();
    for (const DecodedValue* value : decoded_.newest(groove_.object_tree)) {
      const std::span<const std::byte> object = decoded_.object(*value, size);
      groove_.entries(object, &entries_);
      if (groove_.id_tree == 0) continue;
      u128 id = 0;
      std::memcpy(&id, object.data() + groove_.id_at, sizeof id);
      ids_.push_back({.id = {0, id}, .timestamp = static_cast<u64>(value->key.second)});
    }
    std::sort(ids_.begin(), ids_.end());
    std::sort(entries_.begin(), entries_.end());
  }

  void check_ids() {
    if (groove_.id_tree == 0) return;
    const u16 tree = groove_.id_tree;
    auto expected = ids_.begin();
    for (const DecodedValue* value : decoded_.newest(tree)) {
      for (; expected != ids_.end() && expected->id < value->key; ++expected) lacks_id(*expected);
      if (expected != ids_.end() && expected->id == value->key) {
        if (expected->timestamp != value->payload)
          lines_.push_back(fmt::format("{}: id {} names timestamp {}, its object has {}", groove_.name,
                                       key(tree, value->key), value->payload, expected->timestamp));
        ++expected;
      } else if (value->payload != 0 || !groove_.orphans) {
        lines_.push_back(fmt::format("{}: id {} names timestamp {}, where no such object is", groove_.name,
                                     key(tree, value->key), value->payload));
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
    for (const DecodedValue* value : decoded_.newest(tree)) {
      for (; expected != of_tree.second && expected->key < value->key; ++expected) lacks(*expected);
      if (expected != of_tree.second && expected->key == value->key) {
        ++expected;
      } else {
        lines_.push_back(fmt::format("{}: the entry {} belongs to no object", name, key(tree, value->key)));
      }
    }
    for (; expected != of_tree.second; ++expected) lacks(*expected);
  }

  const DecodedImage& decoded_;
  const GrooveShape& groove_;
  std::vector<Id> ids_;
  std::vector<IndexEntry> entries_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> check_groove(const DecodedImage& decoded, const GrooveShape& groove) {
  return GrooveCheck(decoded, groove).run();
}

}  // namespace tonearm::sim
