#include "sim/model/model.h"

#include <catch2/catch.hpp>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

ModelKey at(u64 key) { return key; }

// The slow way to be right: a list of everything that ever happened, read from its end.
struct History {
  struct Change {
    u64 op;
    TreeName tree;
    u64 key;
    std::optional<u64> value;
  };
  std::vector<Change> changes;

  std::optional<u64> get(TreeName tree, u64 key) const {
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
      if (change->tree == tree && change->key == key) return change->value;
    }
    return std::nullopt;
  }
  void truncate_to_op(u64 op) {
    while (!changes.empty() && changes.back().op > op) changes.pop_back();
  }
};

constexpr u64 keys = 12;

bool equal(const Model& model, const History& history) {
  for (u32 tree = 0; tree < world_tree.count; ++tree) {
    for (u64 key = 0; key < keys; ++key) {
      const TreeName name = static_cast<TreeName>(tree);
      if (model.get(name, at(key)) != history.get(name, key)) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("put, overwrite, remove, and order by all 128 bits", "[model]") {
  Model model;
  CHECK(model.get(TreeName::kv, at(1)) == std::nullopt);
  model.put(TreeName::kv, at(1), 10);
  model.put(TreeName::kv, at(1), 11);
  model.put(TreeName::id, ModelKey(u128{1} << 64), 12);
  model.put(TreeName::id, ModelKey(u128{1} << 63), 13);
  CHECK(model.get(TreeName::kv, at(1)) == 11);
  CHECK(model.get(TreeName::index, at(1)) == std::nullopt);
  CHECK(model.tree(TreeName::id).begin()->second == 13);
  CHECK(model.size() == 3);
  CHECK(model.batch_used(TreeName::kv) == 2);
  model.remove(TreeName::kv, at(1));
  CHECK(model.get(TreeName::kv, at(1)) == std::nullopt);
  CHECK(model.batch_used(TreeName::kv) == 3);
  model.commit(1, {.number = 7}, 0);
  CHECK(model.batch_used(TreeName::kv) == 0);
  CHECK(model.op() == 1);
}

TEST_CASE("a model key orders as the keys of its tree do", "[model]") {
  const u128 topic = u128{7} << 64 | 5;
  const Key wide[] = {{.lo = 0, .hi = 0},     {.lo = 1, .hi = 0},         {.lo = timestamp_max, .hi = 0},
                      {.lo = 0, .hi = 1},     {.lo = 3, .hi = u64_max},   {.lo = 2, .hi = u128{1} << 64},
                      {.lo = 9, .hi = topic}, {.lo = 0, .hi = topic + 1}, key_max(TreeName::notes_topic)};
  const Key narrow[] = {Key::of(0), Key::of(u64_max), Key::of(u128{5} << 64 | 6), Key::of(topic),
                        Key::of(u128_max - 1)};
  const auto check = [](TreeName tree, std::span<const Key> sorted) {
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      INFO(key_text(tree, sorted[i]));
      CHECK(engine_key(tree, model_key(sorted[i])) == sorted[i]);
      for (std::size_t j = 0; j < sorted.size(); ++j) {
        CHECK((model_key(sorted[i]) < model_key(sorted[j])) == (i < j));
        CHECK((model_key(sorted[i]) == model_key(sorted[j])) == (i == j));
      }
    }
  };
  check(TreeName::notes_topic, wide);
  check(TreeName::id, narrow);
}

TEST_CASE("a discarded scope leaves nothing behind", "[model]") {
  Model model;
  model.put(TreeName::kv, at(1), 10);
  model.put(TreeName::kv, at(2), 20);
  model.scope_open();
  model.put(TreeName::kv, at(1), 11);
  model.remove(TreeName::kv, at(1));
  model.put(TreeName::kv, at(1), 12);
  model.remove(TreeName::kv, at(2));
  model.put(TreeName::kv, at(3), 30);
  model.put(TreeName::index, at(3), 0);
  CHECK(model.batch_used(TreeName::kv) == 7);
  model.scope_close(false);
  CHECK_FALSE(model.scope_active());
  CHECK(model.batch_used(TreeName::kv) == 2);
  CHECK(model.batch_used(TreeName::index) == 0);
  CHECK(model.tree(TreeName::kv) == ModelMap{{at(1), 10}, {at(2), 20}});
  CHECK(model.tree(TreeName::index).empty());

  model.scope_open();
  model.put(TreeName::kv, at(3), 31);
  model.scope_close(true);
  model.commit(1, {}, 0);
  model.checkpoint_verified(1);
  CHECK(model.tree(TreeName::kv) == ModelMap{{at(1), 10}, {at(2), 20}, {at(3), 31}});
}

TEST_CASE("a crash goes back to C, and replay brings the rest back", "[model]") {
  Model model;
  for (u64 op = 1; op <= 9; ++op) {
    model.put(TreeName::kv, at(op), op);
    model.put(TreeName::kv, at(0), op);
    model.commit(op, {.number = 100 + op}, 0);
  }
  model.checkpoint_verified(4);
  CHECK(model.checkpoint_op() == 4);
  const ModelMap before = model.tree(TreeName::kv);
  model.rewind(4);
  CHECK(model.tree(TreeName::kv).size() == 5);
  CHECK(model.get(TreeName::kv, at(0)) == 4);
  model.restore();
  CHECK(model.tree(TreeName::kv) == before);
  model.put(TreeName::kv, at(50), 50);
  model.scope_open();
  model.put(TreeName::kv, at(51), 51);

  const std::vector<LoggedOp> later = model.crash_to(6);
  CHECK_FALSE(model.scope_active());
  CHECK(model.op() == 6);
  CHECK(model.get(TreeName::kv, at(0)) == 6);
  CHECK(model.get(TreeName::kv, at(7)) == std::nullopt);
  CHECK(model.get(TreeName::kv, at(50)) == std::nullopt);
  REQUIRE(later.size() == 3);
  CHECK(later[0].op == 7);
  CHECK(later[0].line == OpId{.number = 107});
  for (const LoggedOp& op : later) model.replay(op);
  CHECK(model.tree(TreeName::kv) == before);

  CHECK(model.crash_to(4).size() == 5);
  CHECK(model.tree(TreeName::kv).size() == 5);
  model.reset(2);
  CHECK(model.size() == 0);
  CHECK(model.op() == 0);
}

TEST_CASE("the model equals a plain history", "[model]") {
  for (u64 seed = 0; seed < 40; ++seed) {
    const Stream stream("model test", seed);
    Model model;
    History history;
    bool scope = false;
    std::size_t scope_at = 0;
    u64 op = 0;
    u64 checkpoint = 0;
    for (u64 i = 0; i < 400; ++i) {
      const u64 random = stream.at(i);
      const TreeName tree = static_cast<TreeName>(below(remix(random, 1), world_tree.count));
      const u64 key = below(remix(random, 2), keys);
      const u64 kind = below(random, 100);
      if (kind < 40) {
        const u64 value = tree_spec(tree).secondary_index ? 0 : i;
        model.put(tree, at(key), value);
        history.changes.push_back({op + 1, tree, key, value});
      } else if (kind < 60) {
        model.remove(tree, at(key));
        history.changes.push_back({op + 1, tree, key, std::nullopt});
      } else if (kind < 80) {
        if (!scope) {
          model.scope_open();
          scope = true;
          scope_at = history.changes.size();
        } else {
          const bool persist = (random & 1) != 0;
          model.scope_close(persist);
          if (!persist)
            history.changes.erase(history.changes.begin() + static_cast<std::ptrdiff_t>(scope_at),
                                  history.changes.end());
          scope = false;
        }
      } else if (!scope && kind < 95) {
        model.commit(++op, {.number = i}, 0);
        if (kind == 94 && op > checkpoint)
          model.checkpoint_verified(checkpoint = between(random, checkpoint, op));
      } else if (kind >= 95) {
        const u64 to = between(remix(random, 3), checkpoint, op);
        const std::vector<LoggedOp> later = model.crash_to(to);
        History cut = history;
        cut.truncate_to_op(to);
        REQUIRE(equal(model, cut));
        for (const LoggedOp& logged : later) model.replay(logged);
        history.truncate_to_op(op);
        scope = false;
      }
      REQUIRE(equal(model, history));
    }
  }
}

}  // namespace tonearm::sim
