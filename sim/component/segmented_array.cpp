// Workload `segmented_array`: three arrays that share one pool, against plain vectors.
//
// Keys are in order and repeat, as key ranges of tables do at the ends; positions are given in
// millionths of what there is. The model also keeps how many elements each node should have, by the
// rules that the array states, so that the number of nodes tells every wrong split, refill and merge
// at the line that makes it. The pool is exactly as large as three arrays need at worst, and `stuff`
// makes them need it. The options that matter: batch_values_max (elements a node holds, from 2 on),
// key_universe (elements an array may hold).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/arena.h"
#include "sim/component/support.h"
#include "sim/component/tested.h"
#include "tree/segmented_array.h"

namespace tonearm::sim {

namespace {

struct Element {
  u64 key;
  u64 value;
  u64 check;  // Of the two: no element is put together from others.
  u64 zero;
  friend bool operator==(const Element&, const Element&) = default;
};

using Array = SegmentedArray<Element>;
using Model = std::vector<Element>;

Element element_of(u64 key, u64 value) {
  return {.key = key, .value = value, .check = remix(key, value), .zero = 0};
}

// Elements in each node, by the rules: a full node splits at its midpoint, one that gets less than half
// full takes what the next one has, all of it or as much as makes both equal.
class NodeModel {
 public:
  explicit NodeModel(u64 capacity) : capacity_(capacity) {}

  u64 count() const { return lengths_.size(); }

  void insert(u64 index) {
    if (lengths_.empty()) lengths_.push_back(0);
    u64 node = 0;
    // At a border it is the node behind; at the end the last one.
    while (node + 1 < count() && index >= lengths_[node]) index -= lengths_[node++];
    if (lengths_[node] == capacity_) {
      lengths_[node] /= 2;
      lengths_.insert(lengths_.begin() + static_cast<std::ptrdiff_t>(node) + 1, capacity_ / 2);
      if (index > lengths_[node]) ++node;  // Between the halves it is the front one.
    }
    ++lengths_[node];
  }

  void remove(u64 index) {
    u64 node = 0;
    while (index >= lengths_[node]) index -= lengths_[node++];
    --lengths_[node];
    const bool last = node + 1 == count();
    if (last && lengths_[node] == 0) lengths_.pop_back();
    if (last || lengths_[node] >= capacity_ / 2) return;
    const u64 both = lengths_[node] + lengths_[node + 1];
    lengths_[node] = both <= capacity_ ? both : both / 2;
    lengths_[node + 1] = both - lengths_[node];
    if (lengths_[node + 1] == 0) lengths_.erase(lengths_.begin() + static_cast<std::ptrdiff_t>(node) + 1);
  }

 private:
  u64 capacity_;
  std::vector<u64> lengths_;
};

constexpr u32 arrays = 3;
constexpr u64 copied_back = 8;
constexpr u64 place_whole = 1'000'000;
constexpr u32 node_align = 64;

class SegmentedArrayComponent final : public Component {
 public:
  explicit SegmentedArrayComponent(Referee& referee)
      : referee_(&referee),
        count_max_(std::max<u64>(8, referee.options().key_universe)),
        node_size_(node_size(referee.options())) {
    Arena measure;
    measure_all(measure);
    std::vector<std::byte>& memory = referee.memory();
    const u64 size = measure.used();
    if (memory.size() < size + Arena::align_max) memory.resize(size + Arena::align_max);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    Arena arena{std::span<std::byte>(memory).subspan(skip, size)};
    pool_.emplace(arena, pool_nodes(), node_size_);
    for (auto& array : arrays_) array.emplace(*pool_, arena, count_max_);
    nodes_.assign(arrays, NodeModel(node_size_ / sizeof(Element)));
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    array_ = static_cast<u32>(line.arguments[0]);
    if (verb == "insert") {
      insert(line.arguments[1], line.arguments[2]);
    } else if (verb == "remove") {
      remove(line.arguments[1], line.arguments[2]);
    } else if (verb == "stuff") {
      stuff(line.arguments[1], line.arguments[2]);
    } else if (verb == "copy") {
      copy(line.arguments[1], line.arguments[2]);
    } else if (verb == "get") {
      get(line.arguments[1], line.arguments[2]);
    } else if (verb == "search") {
      search(line.arguments[1], line.arguments[2]);
    } else if (verb == "walk") {
      walk();
    } else {
      ASSERT(verb == "clear");
      clear(line.arguments[1] != 0);
    }
    array()->assert_valid();
    compare_counts();
  }

  void finish() override {
    for (array_ = 0; array_ < arrays; ++array_) {
      walk();
      clear((array_ & 1) != 0);
    }
    check(*referee_, pool_->count_acquired() == 0, "nodes are left when all arrays are empty", [&] {
      return fmt::format("{} nodes of empty arrays are still acquired", pool_->count_acquired());
    });
  }

 private:
  static u32 node_size(const RunOptions& options) {
    const u64 elements = 2 + 2 * (options.format.batch_values_max % 12);
    return static_cast<u32>(round_up(elements * sizeof(Element), node_align));
  }
  u64 pool_nodes() const { return arrays * Array::nodes_max(count_max_, node_size_); }
  void measure_all(Arena& arena) const {
    NodePool::measure(arena, pool_nodes(), node_size_);
    for (u32 i = 0; i < arrays; ++i) Array::measure(arena, count_max_, node_size_);
  }

  Tested<Array>& array() { return arrays_[array_]; }
  Model& model() { return models_[array_]; }

  void insert_at(u64 index, const Element& element) {
    const Element copy = element;  // It may be one of the array's.
    array()->insert(index, element);
    model().insert(model().begin() + static_cast<std::ptrdiff_t>(index), copy);
    nodes_[array_].insert(index);
  }
  void remove_at(u64 index) {
    array()->remove(index);
    model().erase(model().begin() + static_cast<std::ptrdiff_t>(index));
    nodes_[array_].remove(index);
  }

  u64 index_of(u64 place, u64 count) const { return place * count / place_whole; }

  void insert(u64 place, u64 run) {
    for (u64 i = 0; i <= run; ++i) {
      // Of a full array the element there gives way.
      if (model().size() == count_max_) remove_at(std::min(index_of(place, count_max_), count_max_ - 1));
      const u64 index = index_of(place, model().size());
      const u64 low = index == 0 ? 0 : model()[index - 1].key;
      const u64 high = index == model().size() ? low + 3 : model()[index].key;
      insert_at(index, element_of(low + (high - low) / 2, ++values_));
    }
  }

  // As full as may be, from one end: each split leaves a node half full behind, so that nodes run short
  // first. Then so many from the other end, which leaves the nodes there as they fall.
  void stuff(u64 front, u64 removals) {
    while (model().size() < count_max_) {
      const u64 index = front != 0 ? 0 : model().size();
      const u64 key = model().empty() ? 0 : front != 0 ? model().front().key : model().back().key;
      insert_at(index, element_of(key, ++values_));
    }
    compare_counts();
    for (u64 i = 0; i < removals && !model().empty(); ++i) remove_at(front != 0 ? model().size() - 1 : 0);
  }

  // An element of the array itself, behind itself or up to so many of equal keys before: insertion then
  // moves what it is given.
  void copy(u64 place, u64 behind) {
    if (model().empty() || model().size() == count_max_) return referee_->skip();
    const u64 index = std::min(index_of(place, model().size()), model().size() - 1);
    u64 target = index + behind;
    if (behind == 0) {
      for (u64 i = 0; i < copied_back && target > 0; ++i) {
        if (model()[target - 1].key == model()[index].key) --target;
      }
    }
    const Element& element = (*array()).at(index);
    insert_at(target, element);
  }

  void remove(u64 place, u64 run) {
    for (u64 i = 0; i <= run; ++i) {
      if (model().empty()) {
        if (i == 0) referee_->skip();
        return;
      }
      const u64 index = std::min(index_of(place, model().size()), model().size() - 1);
      remove_at(index);
    }
  }

  void get(u64 place, u64 run) {
    u64 index = index_of(place, model().size());
    for (u64 i = 0; i <= run && index < model().size(); ++i, ++index) {
      const Element element = array()->at(index);
      referee_->answer(element.key, element.value);
      check(*referee_, element == model()[index], "get: another element", [&] {
        return fmt::format("array {} at {}: value {}, expected {}", array_, index, element.value,
                           model()[index].value);
      });
    }
  }

  // How many elements are below a bound next to a present key.
  void search(u64 place, u64 off) {
    const u64 at = index_of(place, model().size());
    const u64 key = (at < model().size() ? model()[at].key : values_) + off;
    const u64 bound = key == 0 ? 0 : key - 1;
    const u64 found = array()->partition_point([bound](const Element& e) { return e.key < bound; });
    u64 expected = 0;
    for (const Element& element : model()) expected += element.key < bound ? 1 : 0;
    referee_->answer(found);
    check(*referee_, found == expected, "search: another place", [&] {
      return fmt::format("array {}: {} elements are below {}, expected {}", array_, found, bound, expected);
    });
  }

  void walk() {
    u64 index = 0;
    for (Array::Cursor cursor = array()->cursor(); !cursor.end(); cursor.next(), ++index) {
      const bool equal = index < model().size() && cursor.index() == index && cursor.get() == model()[index];
      check(*referee_, equal, "walk: another element",
            [&] { return fmt::format("array {} at {}: value {}", array_, index, cursor.get().value); });
      referee_->answer(cursor.get().value);
    }
    check(*referee_, index == model().size(), "walk: it ends early",
          [&] { return fmt::format("array {} ends at {}, expected {}", array_, index, model().size()); });
  }

  void clear(bool front) {
    while (!model().empty()) {
      const u64 index = front ? 0 : model().size() - 1;
      remove_at(index);
    }
    array()->assert_valid();
    compare_counts();
  }

  void compare_counts() {
    check(*referee_, array()->count() == model().size(), "another count", [&] {
      return fmt::format("array {} has {} elements, expected {}", array_, array()->count(), model().size());
    });
    check(*referee_, array()->node_count() == nodes_[array_].count(), "another number of nodes", [&] {
      return fmt::format("array {} has {} nodes, expected {}", array_, array()->node_count(),
                         nodes_[array_].count());
    });
    u64 nodes = 0;
    for (const auto& one : arrays_) nodes += one->node_count();
    check(*referee_, nodes == pool_->count_acquired(), "nodes leak", [&] {
      return fmt::format("{} nodes are acquired, the arrays have {}", pool_->count_acquired(), nodes);
    });
  }

  Referee* referee_;
  u64 count_max_;
  u32 node_size_;
  u32 array_ = 0;   // Of the line at hand.
  u64 values_ = 0;  // Each element has a value of its own.
  Tested<NodePool> pool_;
  std::array<Tested<Array>, arrays> arrays_;
  std::array<Model, arrays> models_;
  std::vector<NodeModel> nodes_;
};

}  // namespace

std::unique_ptr<Component> make_segmented_array(Referee& referee) {
  return std::make_unique<SegmentedArrayComponent>(referee);
}

}  // namespace tonearm::sim
