#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <string>
#include <variant>

#include "sim/disk/keyed.h"
#include "sim/model/model.h"
#include "sim/scenario/scenario.h"

namespace tonearm::sim {

namespace {

constexpr u32 beats = 4;
constexpr u32 changes_max = 6;
constexpr u32 keys_max = 8;

Operation line_of(const std::string& text) {
  std::variant<Scenario, ScenarioError> parsed =
      parse_scenario("tonearm 1\nworkload forest\n---\n" + text + "\n");
  if (const ScenarioError* error = std::get_if<ScenarioError>(&parsed)) FAIL(text << ": " << error->message);
  return std::get<Scenario>(parsed).operations.at(0);
}

// As a player does: the verdict, and the change if it applies.
ChangeVerdict play(Model& model, const std::string& text) {
  const ChangePlan plan = model.plan(line_of(text), changes_max);
  if (plan.verdict == ChangeVerdict::applies) model.change(plan.change);
  return plan.verdict;
}

std::vector<std::string> keys_of(const Model& model, TreeName tree) {
  std::vector<std::string> keys;
  for (const auto& [key, payload] : model.tree(tree)) keys.push_back(key_text(tree, engine_key(tree, key)));
  return keys;
}

using Keys = std::vector<std::string>;

// --- the slow way to be right: objects by key, and trees made anew from the bytes of each object

using State = std::array<std::map<u128, Side>, groove_count>;

template <class T>
T read(const ObjectBytes& bytes, u32 offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

using Tree = std::map<ModelKey, u64>;
using Trees = std::map<TreeName, Tree>;

void add_things(const ObjectBytes& bytes, u64 timestamp, Trees* trees) {
  for (u32 i = 0; i < 13; ++i) {
    const TreeName tree = static_cast<TreeName>(static_cast<u32>(TreeName::things_a) + i);
    (*trees)[tree][u128{read<u64>(bytes, 16 + 8 * i)} << 64 | timestamp] = 0;
  }
}

void add_notes(const ObjectBytes& bytes, u64 timestamp, Trees* trees) {
  const auto put = [&](TreeName tree, u64 field) { (*trees)[tree][u128{field} << 64 | timestamp] = 0; };
  put(TreeName::notes_author, read<u64>(bytes, 32));
  if (read<u64>(bytes, 40) > 0) put(TreeName::notes_pinned, read<u64>(bytes, 40));
  (*trees)[TreeName::notes_topic][ModelKey::wide(read<u128>(bytes, 16), timestamp)] = 0;
  put(TreeName::notes_kind, read<u8>(bytes, 72));
  if (read<u64>(bytes, 48) > 1000) put(TreeName::notes_large, read<u64>(bytes, 48) / 16);
  if ((read<u64>(bytes, 56) & 1) != 0) (*trees)[TreeName::notes_draft][timestamp] = 0;
}

void add_events(const ObjectBytes& bytes, u64 timestamp, Trees* trees) {
  (*trees)[TreeName::events_source][u128{read<u64>(bytes, 8)} << 64 | timestamp] = 0;
  const u32 weight = read<u32>(bytes, 16);
  if (weight > 0) (*trees)[TreeName::events_weight][u128{weight} << 64 | timestamp] = 0;
}

void add_readings(const ObjectBytes& bytes, u64 timestamp, Trees* trees) {
  (*trees)[TreeName::readings_sensor][u128{read<u64>(bytes, 24)} << 64 | timestamp] = 0;
  const u128 label = read<u128>(bytes, 0);
  const u128 peak = read<u64>(bytes, 32);
  if (label > 0) (*trees)[TreeName::readings_label][ModelKey::wide(label, timestamp)] = 0;
  if (peak > 0) (*trees)[TreeName::readings_square][ModelKey::wide(peak * peak, timestamp)] = 0;
}

Trees trees_of(const State& state) {
  Trees trees;
  for (u32 g = 0; g < groove_count; ++g) {
    const GrooveName groove = static_cast<GrooveName>(g);
    const GrooveSpec& spec = groove_spec(groove);
    for (const auto& [key, side] : state[g]) {
      const bool orphan = side.presence == Presence::orphan;
      const TreeName ids = static_cast<TreeName>(static_cast<u32>(spec.objects) + 1);
      if (spec.has_id) trees[ids][key] = orphan ? 0 : side.object.timestamp;
      if (orphan) continue;
      const ObjectBytes bytes = object_bytes(groove, side.object);
      const u64 timestamp = read<u64>(bytes, spec.timestamp_offset);
      trees[spec.objects][timestamp] = object_hash(groove, bytes.data());
      if (groove == GrooveName::things) add_things(bytes, timestamp, &trees);
      if (groove == GrooveName::notes) add_notes(bytes, timestamp, &trees);
      if (groove == GrooveName::events) add_events(bytes, timestamp, &trees);
      if (groove == GrooveName::readings) add_readings(bytes, timestamp, &trees);
    }
  }
  return trees;
}

bool equal(const Model& model, const State& state) {
  Trees trees = trees_of(state);
  for (u32 i = 0; i < tree_names_max; ++i) {
    const TreeName name = static_cast<TreeName>(i);
    const ModelMap& map = model.tree(name);
    const Tree& tree = trees[name];
    if (!std::equal(map.begin(), map.end(), tree.begin(), tree.end(), [](const auto& a, const auto& b) {
          return a.first == b.first && a.second == b.second;
        })) {
      return false;
    }
  }
  for (u32 g = 0; g < groove_count; ++g) {
    for (u128 key = 0; key < 12; ++key) {
      const auto found = state[g].find(key);
      const Side side = model.get_object(static_cast<GrooveName>(g), key);
      if (!(side == (found == state[g].end() ? Side{} : found->second))) return false;
    }
    for (u64 timestamp = 0; timestamp < 64; ++timestamp) {
      Side expected;
      for (const auto& [key, side] : state[g]) {
        if (side.presence == Presence::object && side.object.timestamp == timestamp) expected = side;
      }
      if (!(model.object_at(static_cast<GrooveName>(g), timestamp) == expected)) return false;
    }
  }
  return true;
}

Operation random_line(u64 random, u64 number) {
  static constexpr OperationKind kinds[] = {OperationKind::insert, OperationKind::insert,
                                            OperationKind::upsert, OperationKind::update,
                                            OperationKind::remove, OperationKind::orphan};
  Operation line;
  line.id = {.number = number};
  line.kind = kinds[below(remix(random, 1), std::size(kinds))];
  GrooveName groove = static_cast<GrooveName>(below(remix(random, 2), groove_count));
  if (line.kind == OperationKind::orphan) groove = GrooveName::notes;
  const GrooveSpec& spec = groove_spec(groove);
  line.tree = spec.objects;
  line.key = Key::of(1 + below(remix(random, 3), 9));
  const bool inserts = line.kind == OperationKind::insert || line.kind == OperationKind::upsert;
  line.timestamped = inserts && (!spec.has_id || below(remix(random, 4), 2) == 0);
  if (line.timestamped) line.value = 1 + below(remix(random, 5), 12);
  for (u32 i = 0; i < spec.fields.size(); ++i) {
    if (below(remix(random, 6), 3) == 0 || below(remix(random, 20 + i), 2) == 0) continue;
    static constexpr u64 values[] = {0, 1, 2, 255, 1001, 1015, 1016, 1017};
    const u64 value = values[below(remix(random, 40 + i), std::size(values))];
    set_field(&line, i, std::min<u128>(value, field_max(spec.fields[i])));
    line.named |= static_cast<u16>(1U << i);
  }
  return line;
}

}  // namespace

TEST_CASE("groove model: an object and its entries in every tree", "[model]") {
  Model model;
  model.reset(beats);
  CHECK(play(model, "17 insert notes id=3 author=5 topic=0x20000000000000001 size=1000 flags=2") ==
        ChangeVerdict::applies);
  CHECK(keys_of(model, TreeName::notes) == Keys{"17"});
  CHECK(keys_of(model, TreeName::notes_id) == Keys{"3"});
  CHECK(model.get(TreeName::notes_id, u128{3}) == 17);
  CHECK(keys_of(model, TreeName::notes_author) == Keys{"5/17"});
  CHECK(keys_of(model, TreeName::notes_topic) == Keys{"0x20000000000000001/17"});
  CHECK(keys_of(model, TreeName::notes_kind) == Keys{"0/17"});
  CHECK(keys_of(model, TreeName::notes_pinned).empty());
  CHECK(keys_of(model, TreeName::notes_large).empty());
  CHECK(keys_of(model, TreeName::notes_draft).empty());
  CHECK(model.size() == 5);
  const u64 hash = *model.get(TreeName::notes, u128{17});

  CHECK(play(model, "18 update notes id=3 pinned=1 size=1001 flags=3 body=9") == ChangeVerdict::applies);
  CHECK(keys_of(model, TreeName::notes_pinned) == Keys{"1/17"});
  CHECK(keys_of(model, TreeName::notes_large) == Keys{"62/17"});
  CHECK(keys_of(model, TreeName::notes_draft) == Keys{"17"});
  CHECK(keys_of(model, TreeName::notes_author) == Keys{"5/17"});
  CHECK(model.get(TreeName::notes, u128{17}) != hash);
  CHECK(play(model, "19 update notes id=3 pinned=1") == ChangeVerdict::skipped);
  CHECK(play(model, "20 upsert notes id=3 author=5") == ChangeVerdict::applies);
  CHECK(keys_of(model, TreeName::notes_topic) == Keys{"0/17"});
  CHECK(keys_of(model, TreeName::notes_draft).empty());
  CHECK(play(model, "21 upsert notes id=3 author=5 timestamp=99") == ChangeVerdict::unchanged);
  CHECK(play(model, "22 remove notes id=3") == ChangeVerdict::applies);
  CHECK(model.size() == 0);
  CHECK(model.batch_used(TreeName::notes) == 4);
  CHECK(play(model, "22 remove notes id=3") == ChangeVerdict::skipped);
}

TEST_CASE("groove model: orphans, invalid keys and timestamps that are taken", "[model]") {
  Model model;
  model.reset(beats);
  CHECK(play(model, "1 orphan notes id=9") == ChangeVerdict::applies);
  CHECK(model.get_object(GrooveName::notes, 9).presence == Presence::orphan);
  CHECK(model.get(TreeName::notes_id, u128{9}) == 0);
  CHECK(model.size() == 1);
  for (const char* line : {"2 insert notes id=9", "2 upsert notes id=9", "2 update notes id=9 author=1",
                           "2 remove notes id=9", "2 orphan notes id=9", "2 update events timestamp=3"}) {
    INFO(line);
    CHECK(play(model, line) == ChangeVerdict::skipped);
  }
  CHECK(play(model, "3 insert things id=0") == ChangeVerdict::id_invalid);
  CHECK(play(model, "3 insert notes id=0xffffffffffffffffffffffffffffffff timestamp=0") ==
        ChangeVerdict::id_invalid);
  CHECK(play(model, "3 orphan notes id=0") == ChangeVerdict::id_invalid);
  CHECK(play(model, "3 upsert events timestamp=0") == ChangeVerdict::timestamp_invalid);
  CHECK(play(model, "3 insert things id=1 timestamp=9223372036854775808") ==
        ChangeVerdict::timestamp_invalid);
  CHECK(play(model, "3 insert things id=1 timestamp=9223372036854775807") == ChangeVerdict::applies);
  CHECK(model.exists(GrooveName::things, timestamp_max));
  CHECK_FALSE(model.exists(GrooveName::notes, timestamp_max));
  CHECK(play(model, "4 insert things id=2 timestamp=9223372036854775807") == ChangeVerdict::skipped);
  CHECK(play(model, "4 insert things id=1 timestamp=5") == ChangeVerdict::skipped);
  CHECK(play(model, "5 remove things id=1") == ChangeVerdict::applies);
  CHECK(play(model, "6 insert things id=2 timestamp=9223372036854775807") == ChangeVerdict::applies);
  CHECK(play(model, "7 insert events source=1") == ChangeVerdict::applies);
  CHECK(model.exists(GrooveName::events, 7));
  CHECK(model.get_object(GrooveName::events, 7).object.fields[0] == 1);
}

TEST_CASE("groove model: a full batch, and a scope that gives it back", "[model]") {
  Model model;
  model.reset(beats);
  for (u32 i = 0; i + 1 < changes_max; ++i) {
    CHECK(play(model, std::to_string(i + 1) + " insert things id=" + std::to_string(i + 1)) ==
          ChangeVerdict::applies);
  }
  model.scope_open();
  CHECK(play(model, "20 update things id=1 a=1") == ChangeVerdict::applies);
  CHECK(play(model, "21 update things id=1 a=2") == ChangeVerdict::batch_full);
  CHECK(play(model, "21 upsert things id=1 a=1") == ChangeVerdict::unchanged);
  CHECK(play(model, "22 insert events") == ChangeVerdict::applies);  // Its own budget.
  CHECK(play(model, "23 orphan notes id=1") == ChangeVerdict::skipped);
  model.scope_close(false);
  CHECK(model.size() == 15 * (changes_max - 1));
  CHECK(keys_of(model, TreeName::things_a)[0] == "0/1");
  CHECK(play(model, "24 update things id=1 a=3") == ChangeVerdict::applies);
  CHECK(play(model, "25 remove things id=1") == ChangeVerdict::batch_full);
  model.commit(1, {.number = 26}, 0);
  CHECK(play(model, "27 remove things id=1") == ChangeVerdict::applies);
}

TEST_CASE("groove model: what is known without prefetching", "[model]") {
  Model model;
  model.reset(beats);
  const auto known = [&](u128 key) { return model.known(GrooveName::things, Asked::key, key); };
  model.commit(1, {.number = 1}, 0);
  for (u32 i = 1; i <= keys_max; ++i) CHECK(model.prefetch(GrooveName::things, Asked::key, i, keys_max));
  CHECK(model.prefetch(GrooveName::things, Asked::key, 3, keys_max));  // No second one.
  CHECK_FALSE(model.prefetch(GrooveName::things, Asked::exists, 3, keys_max));
  CHECK_FALSE(model.prefetch(GrooveName::things, Asked::key, 0, keys_max));
  CHECK(model.prefetch(GrooveName::events, Asked::exists, 3, keys_max));
  CHECK(known(3));
  CHECK_FALSE(known(9));
  CHECK_FALSE(model.known(GrooveName::things, Asked::exists, 3));
  CHECK(model.known(GrooveName::events, Asked::exists, 3));

  CHECK(play(model, "10 insert things id=3") == ChangeVerdict::applies);
  model.scope_open();
  CHECK(play(model, "11 insert things id=4") == ChangeVerdict::applies);
  CHECK(play(model, "12 remove things id=3") == ChangeVerdict::applies);
  model.scope_close(false);
  model.commit(2, {.number = 13}, 0);
  CHECK(known(3));        // Changed in this bar,
  CHECK_FALSE(known(4));  // which was undone,
  CHECK_FALSE(known(1));  // and this one was only prefetched.
  model.commit(3, {.number = 14}, 0);
  CHECK_FALSE(known(3));  // A bar has ended.

  CHECK(model.prefetch(GrooveName::things, Asked::key, 5, keys_max));
  CHECK(play(model, "15 insert things id=5") == ChangeVerdict::applies);
  model.forget_op();
  CHECK_FALSE(known(5));
  CHECK(play(model, "15 insert things id=5") == ChangeVerdict::applies);
  model.commit(4, {.number = 16}, 0);
  CHECK(known(5));
  std::vector<LoggedOp> lost = model.crash_to(3);
  CHECK_FALSE(known(5));
  REQUIRE(lost.size() == 1);
  REQUIRE(lost[0].changes.size() == 1);
  model.replay(std::move(lost[0]));
  CHECK(known(5));
  CHECK(model.exists(GrooveName::things, 15));
}

TEST_CASE("groove model: random runs with scopes and crashes equal trees made anew", "[model]") {
  u64 verdicts[6] = {};
  u64 crashes = 0;
  for (u64 seed = 0; seed < 40; ++seed) {
    const Stream stream("groove model", seed);
    Model model;
    model.reset(beats);
    State state, at_scope, at_op;
    std::map<u64, State> history = {{0, state}};
    u64 op = 0;
    for (u64 i = 1; i < 600; ++i) {
      const u64 random = stream.at(i);
      const u64 action = below(remix(random, 9), 20);
      INFO("seed " << seed << " line " << i);
      if (action < 14) {
        const Operation line = random_line(random, 100 + i);
        const ChangePlan plan = model.plan(line, 4);
        ++verdicts[static_cast<u32>(plan.verdict)];
        if (plan.verdict != ChangeVerdict::applies) continue;
        model.change(plan.change);
        auto& objects = state[static_cast<u32>(line.groove())];
        REQUIRE(plan.change.key() == object_key(line));
        objects.erase(object_key(line));
        if (plan.change.after.presence != Presence::absent) objects[object_key(line)] = plan.change.after;
      } else if (action < 16) {
        if (model.scope_active()) {
          const bool persist = below(remix(random, 10), 2) == 0;
          model.scope_close(persist);
          if (!persist) state = at_scope;
        } else {
          model.scope_open();
          at_scope = state;
        }
      } else if (action < 19) {
        if (model.scope_active()) model.scope_close(true);
        model.commit(++op, {.number = i}, 0);
        history[op] = at_op = state;
        if (op % beats == beats - 1 && below(remix(random, 11), 2) == 0) model.checkpoint_verified(op);
      } else {
        const u64 c = between(remix(random, 12), model.checkpoint_op(), op);
        model.rewind(c);
        REQUIRE(equal(model, history[c]));
        model.restore();
        REQUIRE(equal(model, state));
        if (below(remix(random, 13), 2) == 0) continue;
        ++crashes;
        std::vector<LoggedOp> lost = model.crash_to(c);
        REQUIRE(equal(model, history[c]));
        for (LoggedOp& logged : lost) model.replay(std::move(logged));
        state = at_op;
      }
      REQUIRE(equal(model, state));
    }
  }
  CHECK(crashes > 100);
  for (const ChangeVerdict verdict : {ChangeVerdict::skipped, ChangeVerdict::unchanged,
                                      ChangeVerdict::batch_full, ChangeVerdict::applies}) {
    CHECK(verdicts[static_cast<u32>(verdict)] > 20);
  }
}

TEST_CASE("groove model: bytes lie where the schema says, and text is that of a line", "[model]") {
  const Operation line = line_of(
      "17 insert notes id=0x30000000000000004 author=1 pinned=2 topic=0x50000000000000006 kind=7 size=8 "
      "flags=9 "
      "body=10");
  const Object note = inserted_object(line);
  const u64 words[16] = {4, 3, 6, 5, 1, 2, 8, 9, 17, 7, 10, 10, 10, 10, 10, 10};
  const ObjectBytes bytes = object_bytes(GrooveName::notes, note);
  CHECK(std::memcmp(bytes.data(), words, sizeof words) == 0);
  CHECK(object_text(GrooveName::notes, note) ==
        "id=0x30000000000000004 author=1 pinned=2 topic=0x50000000000000006 kind=7 size=8 flags=9 body=10 "
        "timestamp=17");
  const Object event = inserted_object(line_of("18 insert events source=1 weight=2 length=3 body=4"));
  const u64 event_words[16] = {18, 1, u64{3} << 32 | 2, 4, 4, 4, 4, 4};
  CHECK(std::memcmp(object_bytes(GrooveName::events, event).data(), event_words, sizeof event_words) == 0);
  CHECK(object_text(GrooveName::events, event) == "source=1 weight=2 length=3 body=4 timestamp=18");
  Object other = event;
  ++other.fields[3];
  CHECK(object_hash(GrooveName::events, object_bytes(GrooveName::events, event).data()) !=
        object_hash(GrooveName::events, object_bytes(GrooveName::events, other).data()));
}

}  // namespace tonearm::sim
