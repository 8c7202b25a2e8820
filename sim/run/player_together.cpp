// Several who read at the same time on a shadow engine at work: prefetches of different grooves, queries
// whose objects are looked up, scans that are read by themselves. Each must come to what the model says.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace {

constexpr u64 readers_max = 6;
constexpr u64 objects_asked = 24;

struct AskedReader {
  QueryPlan plan;
  QueryTree query;
  std::vector<u128> keys;  // Of a prefetch.
  std::vector<u64> timestamps;
};

// The row at or behind a place that is drawn between the first and the last one.
ModelMap::const_iterator drawn_row(const ModelMap& map, u64 random) {
  const ModelKey first = map.begin()->first;
  const ModelKey last = std::prev(map.end())->first;
  if (first.high != last.high || first.middle != last.middle) {
    return map.lower_bound((random & 1) != 0 ? ModelKey::wide(last.high, 0) : first);
  }
  ModelKey key = first;
  key.low += below(random, last.low - first.low == u64_max ? u64_max : last.low - first.low + 1);
  return map.lower_bound(key);
}

// The value of an index, id or timestamp.
u128 value_of(TreeName tree, const ModelKey& key) {
  if (!tree_spec(tree).secondary_index) return key.number();
  return query_existence(tree) ? 0 : u128{key.high} << 64 | key.middle;
}

QueryTree drawn_leaf(const Model& model, GrooveName groove, u64 random) {
  const u32 trees = query_trees(groove);
  QueryNode leaf{
      .tree = static_cast<TreeName>(static_cast<u32>(groove_spec(groove).objects) + below(random, trees))};
  const ModelMap& map = model.tree(leaf.tree);
  leaf.max = query_existence(leaf.tree) ? 0 : query_value_max(leaf.tree);
  const bool point = below(remix(random, 1), 2) == 0 && tree_spec(leaf.tree).secondary_index;
  if (point && !map.empty()) {
    const auto row = drawn_row(map, remix(random, 2));
    if (row != map.end()) leaf.min = leaf.max = value_of(leaf.tree, row->first);
  }
  QueryTree query;
  query.nodes.push(leaf);
  return query;
}

const char* kind_name(Reader::Kind kind) {
  switch (kind) {
    case Reader::Kind::prefetch: return "prefetch";
    case Reader::Kind::lookup: return "query";
    case Reader::Kind::scan: return "scan";
  }
  UNREACHABLE();
}

// False: refused.
bool enqueue_rows(EngineHost& shadow, const Model& model, GrooveName groove, u32 keys_max, u64 random,
                  AskedReader* ask) {
  const ModelMap& map = model.tree(key_tree(groove));
  auto row = map.empty() ? map.end() : drawn_row(map, random);
  for (u32 keys = 0; keys + 2 <= keys_max && row != map.end(); ++row, keys += 2) {
    const u128 key = row->first.number();
    const u64 timestamp = groove_spec(groove).has_id ? row->second : static_cast<u64>(key);
    if (!shadow.prefetch_enqueue(groove, key) || !shadow.prefetch_exists_enqueue(groove, timestamp))
      return false;
    ask->keys.push_back(key);
    ask->timestamps.push_back(timestamp);
  }
  return true;
}

void plan_reader(GrooveName groove, u64 random, AskedReader* ask, Reader* reader) {
  ask->plan = {.groove = groove,
               .direction = (random >> 63) != 0 ? Direction::ascending : Direction::descending,
               .limit = 1 + static_cast<u32>(below(remix(random, 4), objects_asked)),
               .cold = below(remix(random, 5), 2) == 0};
  if (!encode_query(ask->query, &ask->plan.query)) UNREACHABLE();
  reader->request = {.groove = groove,
                     .query = &ask->query,
                     .direction = ask->plan.direction,
                     .beyond = {},
                     .cold = ask->plan.cold};
  reader->limit = ask->plan.limit;
  reader->buffer = 1 + below(remix(random, 6), ask->plan.limit);
}

// Of a lookup.
bool same_objects(const Model& model, const Reader& reader) {
  if (reader.kind != Reader::Kind::lookup) return true;
  const GrooveName groove = reader.request.groove;
  const u64 size = groove_spec(groove).object_bytes;
  for (u64 at = 0; at < reader.timestamps.size(); ++at) {
    const Side side = model.object_at(groove, reader.timestamps[at]);
    const ObjectBytes expected = object_bytes(groove, side.object);
    if (std::memcmp(reader.objects.data() + at * size, expected.data(), size) != 0) return false;
  }
  return true;
}

}  // namespace

// Between two ops; op `op` was the last one.
void Player::read_together(EngineHost& shadow, u64 op, u32 keys_max) {
  if (world_.groove_count == 0) return;
  model_.rewind(op);
  shadow.prefetch_setup();
  std::vector<Reader> readers;
  std::vector<AskedReader> asked;
  readers.reserve(readers_max);
  asked.reserve(readers_max);  // Requests point there.
  u32 leaves = 0;
  std::set<GrooveName> prefetched;
  std::array<u32, groove_count> lookups{};
  for (u64 n = 0; n < readers_max; ++n) {
    const u64 random = looks_.at(op, n, 1);
    const GrooveName groove = world_.groove(static_cast<u32>(below(random, world_.groove_count)));
    Reader reader{.kind = static_cast<Reader::Kind>(below(remix(random, 1), 3))};
    reader.request.groove = groove;
    AskedReader& ask = asked.emplace_back();
    if (reader.kind == Reader::Kind::prefetch) {
      if (!prefetched.insert(groove).second) {
        asked.pop_back();
        continue;
      }
      if (!enqueue_rows(shadow, model_, groove, keys_max, remix(random, 2), &ask))
        fail(FailureClass::oracle, "reading together: prefetch_full", "an op has prefetched nothing yet");
    } else {
      u32& lookup = lookups[static_cast<u32>(groove)];
      if (lookup == GrooveEngine::lookups_max) reader.kind = Reader::Kind::scan;
      const LastQuery& last = last_query_[static_cast<u32>(groove)];
      const bool again = last.plan.query.size != 0 && below(remix(random, 3), 2) == 0;
      ask.query = again ? decode_query(groove, last.plan.query) : drawn_leaf(model_, groove, random);
      if (leaves + ask.query.leaves() > options_.runtime.scans_max) {
        asked.pop_back();
        continue;
      }
      leaves += ask.query.leaves();
      if (reader.kind == Reader::Kind::lookup) ++lookup;
      plan_reader(groove, random, &ask, &reader);
    }
    readers.push_back(std::move(reader));
  }
  shadow.read_together(readers);
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const Reader& reader = readers[i];
    const GrooveName groove = reader.request.groove;
    if (reader.error) alarm(reader.error, "reading together", "nothing is damaged");
    for (const u128 key : asked[i].keys) {
      compare_object(groove, key, model_.get_object(groove, key), shadow.object(groove, key),
                     FailureClass::oracle, "reading together: prefetch");
    }
    bool same = !reader.refused && reader.broken == nullptr;
    for (const u64 timestamp : asked[i].timestamps) {
      same = same && shadow.object_exists(groove, timestamp) == model_.exists(groove, timestamp);
    }
    if (reader.kind != Reader::Kind::prefetch) {
      same = same && reader.timestamps == query_answer(model_, asked[i].plan);
    }
    same = same && same_objects(model_, reader);
    ++result_.counters.checks;
    if (same) continue;
    fail(FailureClass::oracle, fmt::format("reading together: {}: another answer", kind_name(reader.kind)),
         fmt::format("a {} of {} beside {} others after op {} comes to {} timestamps{}{}",
                     kind_name(reader.kind), groove_spec(groove).name, readers.size() - 1, op,
                     reader.timestamps.size(), reader.refused ? ", refused; " : "; ",
                     reader.broken != nullptr ? reader.broken : ""));
  }
  shadow.prefetch_setup();
  model_.restore();
}

}  // namespace tonearm::sim
