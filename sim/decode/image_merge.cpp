// The levels of each tree as one: what its newest versions are, and what lies below them.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "sim/decode/image_decoder.h"
#include "sim/decode/value_bytes.h"

namespace tonearm::sim {

namespace {

// One value of a level after the other: its tables are disjoint, and in order.
class LevelCursor {
 public:
  // All tables of a level.
  LevelCursor(std::span<const DecodedTable> tables, u32 value_size)
      : tables_(tables), level_(tables.front().level), value_size_(value_size) {
    enter_block();
  }
  // Null: it is at its end.
  const std::byte* value() const { return value_; }
  u32 level() const { return level_; }
  void advance() {
    value_ += value_size_;
    if (value_ != end_) return;
    ++block_;
    enter_block();
  }

 private:
  void enter_block() {
    for (; !tables_.empty(); tables_ = tables_.subspan(1), block_ = 0) {
      for (; block_ < tables_.front().value_blocks.size(); ++block_) {
        const DecodedTable::ValueBlock& block = tables_.front().value_blocks[block_];
        if (block.count == 0) continue;
        value_ = block.values;
        end_ = block.values + u64{block.count} * value_size_;
        return;
      }
    }
    value_ = end_ = nullptr;
  }

  std::span<const DecodedTable> tables_;  // The one it is in, and those behind it.
  u32 level_;
  u32 value_size_;
  std::size_t block_ = 0;
  const std::byte* value_ = nullptr;
  const std::byte* end_ = nullptr;
};

struct MergeTarget {
  std::vector<const std::byte*>* newest;
  std::vector<DecodedVersion>* versions;  // Null: they are of no interest.
};

// The levels are added from the first one down.
template <class KeyOf>
class LevelMerge {
 public:
  LevelMerge(const TreeShape& tree, KeyOf key_of, const MergeTarget& target)
      : tree_(tree), key_of_(key_of), target_(target) {}

  void add(std::span<const DecodedTable> level) {
    Head head{.cursor = {level, tree_.value_size()}, .key = {}};
    if (fill(&head)) heads_.push_back(head);
  }

  void run() {
    while (!heads_.empty()) {
      // Of equal keys the first one's is the newest.
      Head* least = &heads_[0];
      for (Head& head : heads_) least = head.key < least->key ? &head : least;
      const Head* other = nullptr;
      for (const Head& head : heads_) {
        if (&head != least && (other == nullptr || head.key < other->key)) other = &head;
      }
      if (other != nullptr && !(least->key < other->key)) {
        take_versions(least->key);
      } else {
        take_alone(least, other);
      }
      std::erase_if(heads_, [](const Head& head) { return head.cursor.value() == nullptr; });
    }
  }

 private:
  using Key = std::invoke_result_t<KeyOf, const std::byte*>;

  struct Head {
    LevelCursor cursor;
    Key key;
  };

  // False: there is no more.
  bool fill(Head* head) {
    if (head->cursor.value() == nullptr) return false;
    head->key = key_of_(head->cursor.value());
    return true;
  }
  bool advance(Head* head) {
    head->cursor.advance();
    return fill(head);
  }

  // Up to the key of the other.
  void take_alone(Head* head, const Head* other) {
    const Key key_end = other == nullptr ? Key{} : other->key;
    do {
      const std::byte* const value = head->cursor.value();
      if (is_tombstone(tree_, value)) {
        take_version(*head, true);
      } else {
        target_.newest->push_back(value);
      }
    } while (advance(head) && (other == nullptr || head->key < key_end));
  }

  // Of a key that several levels have. They alternate, down to a put: then there is nothing to be said of
  // them.
  void take_versions(Key key) {
    const std::byte* above = nullptr;
    bool alternate = true;
    const std::size_t before = target_.versions == nullptr ? 0 : target_.versions->size();
    for (Head& head : heads_) {
      if (head.key != key) continue;
      const std::byte* const value = head.cursor.value();
      if (above == nullptr && !is_tombstone(tree_, value)) target_.newest->push_back(value);
      alternate &= above == nullptr || is_tombstone(tree_, above) != is_tombstone(tree_, value);
      take_version(head, above == nullptr);
      above = value;
      (void)advance(&head);
    }
    if (target_.versions != nullptr && alternate && !is_tombstone(tree_, above)) {
      target_.versions->resize(before);
    }
  }

  void take_version(const Head& head, bool newest) {
    if (target_.versions == nullptr) return;
    target_.versions->push_back(
        {.value = head.cursor.value(), .level = head.cursor.level(), .newest = newest});
  }

  const TreeShape& tree_;
  const KeyOf key_of_;
  const MergeTarget target_;
  std::vector<Head> heads_;
};

}  // namespace

// Keys as short as the kind allows: there are many, and each is compared with those of the other levels.
void DecodedImage::merge_levels() {
  u64 count = 0;
  for (const DecodedTable::ValueBlock& block : value_blocks) count += block.count;
  newest_.clear();
  newest_.reserve(count);
  versions_.clear();
  merged_.clear();
  std::span<const DecodedTable> left = tables;
  const auto take_level = [&left] {
    const auto end = std::find_if(left.begin(), left.end(), [&left](const DecodedTable& table) {
      return table.tree != left[0].tree || table.level != left[0].level;
    });
    const std::span<const DecodedTable> level(left.begin(), end);
    left = {end, left.end()};
    return level;
  };
  for (const TreeShape& tree : shape->trees) {
    const MergeTarget target{.newest = &newest_, .versions = tree.secondary_index() ? &versions_ : nullptr};
    const auto merge = [&](auto key_of) {
      LevelMerge levels(tree, key_of, target);
      while (!left.empty() && left[0].tree == tree.id) levels.add(take_level());
      levels.run();
    };
    const u32 flag = flag_at(tree);
    switch (tree.kind) {
      case ValueKind::pair:
      case ValueKind::exists:
      case ValueKind::object:
        merge([flag](const std::byte* value) { return word_at<u64>(value, flag) & ~tombstone_flag; });
        break;
      case ValueKind::index:
        merge([](const std::byte* value) {
          return u128{word_at<u64>(value, 0)} << 64 | (word_at<u64>(value, 8) & ~tombstone_flag);
        });
        break;
      case ValueKind::id: merge([](const std::byte* value) { return word_at<u128>(value, 0); }); break;
      case ValueKind::wide:
        merge([](const std::byte* value) {
          return std::pair(word_at<u128>(value, 0), word_at<u64>(value, 16) & ~tombstone_flag);
        });
        break;
    }
    merged_.push_back({.newest_end = newest_.size(), .versions_end = versions_.size()});
  }
}

std::span<const std::byte* const> DecodedImage::newest(u16 tree) const {
  const TreeShape* const found = shape->find(tree);
  if (found == nullptr || merged_.empty()) return {};
  const auto place = static_cast<std::size_t>(found - shape->trees.data());
  const std::size_t begin = place == 0 ? 0 : merged_[place - 1].newest_end;
  return std::span(newest_).subspan(begin, merged_[place].newest_end - begin);
}

std::span<const DecodedVersion> DecodedImage::odd_versions(u16 tree) const {
  const TreeShape* const found = shape->find(tree);
  if (found == nullptr || merged_.empty()) return {};
  const auto place = static_cast<std::size_t>(found - shape->trees.data());
  const std::size_t begin = place == 0 ? 0 : merged_[place - 1].versions_end;
  return std::span(versions_).subspan(begin, merged_[place].versions_end - begin);
}

void DecodedImage::forget_values() {
  values_read = false;
  merged_ = {};
  newest_ = {};
  versions_ = {};
  for (DecodedTable::ValueBlock& block : value_blocks) block.values = nullptr, block.count = 0;
  image.reset();
  pieced.clear();
}

}  // namespace tonearm::sim
