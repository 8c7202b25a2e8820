// Random but valid scenarios for the tests: every kind of line, every setting.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "sim/scenario/fault_line.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

// Draws by name of what is drawn and its index, none from a state.
class Draw {
 public:
  explicit Draw(u64 seed) : seed_(seed) {}
  u64 operator()(std::string_view what, u64 index, u64 bound) const {
    return below(Stream(what, seed_).at(index), bound);
  }
  u64 bits(std::string_view what, u64 index) const { return Stream(what, seed_).at(index); }

 private:
  u64 seed_;
};

inline Key random_key(const Draw& draw, std::string_view what, u64 index, TreeName tree) {
  const u64 shift = draw("shift", index, 64);
  const u64 a = draw.bits(what, 2 * index) >> shift;
  const u64 b = draw.bits(what, 2 * index + 1) >> shift;
  switch (tree_spec(tree).shape) {
    case KeyShape::number: return Key::of(a % ((u64{1} << 63) - 1));
    case KeyShape::index: return Key::of(u128{a} << 64 | b >> 1);
    case KeyShape::wide_number: return Key::of(shift % 2 == 0 ? u128{a} : (u128{a} << 64 | b) % u128_max);
    case KeyShape::wide_index: return {.lo = b >> 1, .hi = u128{a} << 64 | b};
    case KeyShape::timestamp: return Key::of(a >> 1);
  }
  return {};
}

inline RequestName random_request(const Draw& draw, u64 i) {
  OpId recovery;
  if (draw("recovered", i, 2) == 0) recovery = {.number = 1 + draw("recovery", i, 1000)};
  const OpId op = {.number = draw("op", i, 100), .child = 0};
  RequestName request;
  request.recovery = recovery;
  request.attribution = attribution_of(op, recovery);
  request.tag.purpose = static_cast<IoPurpose>(draw("purpose", i, io_purpose_count));
  request.tag.tree = static_cast<u16>(draw("request tree", i, 2) * draw("tree id", i, 65536));
  request.tag.level = static_cast<u8>(draw("request level", i, 2) * draw("level", i, 256));
  request.n = static_cast<u32>(draw("n", i, 5));
  return request;
}

inline void random_changes(const Draw& draw, u64 i, Operation* operation) {
  static constexpr const char* names[] = {"cache_blocks", "read_iops", "write_iops", "read_attempts_max"};
  for (u32 j = 0; j < std::size(names); ++j) {
    if (draw(names[j], i, 2) == 0) continue;
    operation->changes.push(
        {.setting = *find_setting(names[j]), .value = 16 * (1 + draw("value", i + j, 4))});
  }
}

// `number`: the key of an object, or what an insert has besides.
inline void random_object(const Draw& draw, u64 i, Operation* operation) {
  const GrooveSpec& groove = groove_spec(operation->groove());
  using K = OperationKind;
  const K kind = operation->kind;
  const bool inserts = kind == K::insert || kind == K::upsert;
  if (inserts && draw("timestamped", i, 2) == 0) {
    operation->timestamped = true;
    operation->value = draw.bits("timestamp", i) >> draw("timestamp shift", i, 64);
  }
  if (kind == K::prefetch) operation->timestamped = !groove.has_id ? false : draw("as exists", i, 2) == 0;
  const bool by_id = groove.has_id && kind != K::exists && !operation->timestamped;
  if (inserts ? groove.has_id : by_id) {
    operation->key = random_key(draw, "id", i, TreeName::things_id);
    if (draw("greatest id", i, 9) == 0) operation->key = Key::of(u128_max);
  } else if (!inserts) {
    operation->key = Key::of(draw.bits("timestamp", i) >> draw("timestamp shift", i, 64));
  }
  if (!inserts && kind != K::update) return;
  for (u32 f = 0; f < groove.fields.size(); ++f) {
    if (draw("named", 16 * i + f, 2) == 0) continue;
    const u128 wide = u128{draw.bits("high", 16 * i + f)} << 64 | draw.bits("low", 16 * i + f);
    set_field(operation, f, (wide >> draw("field shift", 16 * i + f, 128)) & field_max(groove.fields[f]));
    if (kind == K::update) operation->named |= static_cast<u16>(1U << f);
  }
}

// Appends a leaf, or an operator and its operands. Every other number is small.
inline void random_query_node(const Draw& draw, u64 i, GrooveName groove, u32 leaves_max, QueryTree* tree) {
  const u64 at = 64 * i + tree->nodes.count();
  const auto number = [&](u64 n, u128 greatest) {
    const u128 wide = u128{draw.bits("query high", 4 * at + n)} << 64 | draw.bits("query low", 4 * at + n);
    const u128 value =
        draw("query small", 4 * at + n, 2) == 0 ? wide % 10 : wide >> draw("query shift", at, 128);
    return std::min(value & (greatest | 1), greatest);
  };
  if (leaves_max < 2 || draw("query leaf", at, 3) == 0) {
    QueryNode& leaf = tree->nodes.push({});
    const u32 place = static_cast<u32>(draw("query tree", at, query_trees(groove)));
    leaf.tree = static_cast<TreeName>(static_cast<u32>(groove_spec(groove).objects) + place);
    const u128 greatest = query_value_max(leaf.tree);
    const auto extent = [&](std::string_view what, u64 n, u128 max, u128* from, u128* to) {
      const u64 kind = draw(what, at, 5);
      *from = kind == 0 ? 0 : number(n, max);
      *to = kind == 1 ? max : kind == 2 ? *from : number(n + 1, max);
      if (*to < *from) std::swap(*from, *to);
    };
    extent("query extent", 0, greatest, &leaf.min, &leaf.max);
    if (!query_narrows(leaf.tree) || draw("query narrowed", at, 3) != 0) return;
    u128 min = 0;
    u128 max = 0;
    extent("query times", 2, timestamp_max, &min, &max);
    leaf.timestamp_min = static_cast<u64>(min);
    leaf.timestamp_end = static_cast<u64>(max);
    return;
  }
  const u32 begin = tree->nodes.count();
  const QueryKind kind = static_cast<QueryKind>(1 + draw("query kind", at, 3));
  const u32 operands =
      kind == QueryKind::difference ? 2 : 2 + static_cast<u32>(draw("query operands", at, leaves_max - 1));
  for (u32 operand = 0; operand < operands; ++operand) {
    random_query_node(draw, i, groove, leaves_max / operands, tree);
  }
  tree->wrap(begin, kind, operands);
}

inline QueryTree random_query(const Draw& draw, u64 i, GrooveName groove) {
  QueryTree tree;
  random_query_node(draw, i, groove, 1 + static_cast<u32>(draw("query leaves", i, query_leaves_max)), &tree);
  return tree;
}

inline void random_scan_line(const Draw& draw, u64 i, const World& world, Operation* operation) {
  using K = OperationKind;
  const K kind = operation->kind;
  if (of_scan(kind)) operation->slots = static_cast<u16>(1U << draw("slot", i, scan_slots));
  if (kind == K::scan_next) {
    operation->slots |= static_cast<u16>(draw.bits("slots", i));
    operation->count = 1 + draw("next", i, 3);
  }
  if (kind == K::scan_abort || kind == K::scan_close || kind == K::scan_next) return;
  if (kind == K::scan_probe && world.groove_count > 0) {
    operation->timestamped = true;
    operation->key = Key::of(draw.bits("probed", i) >> (1 + draw("probed shift", i, 63)));
    return;
  }
  if (world.groove_count == 0) {
    operation->tree = world.tree(static_cast<u32>(draw("tree", i, world.count)));
    operation->key = random_key(draw, "from", i, operation->tree);
    if (kind == K::scan_probe) return;
    operation->key_end = random_key(draw, "to", i, operation->tree);
    if (operation->key_end < operation->key) std::swap(operation->key, operation->key_end);
  } else {
    const GrooveName groove = world.groove(static_cast<u32>(draw("groove", i, world.groove_count)));
    operation->tree = groove_spec(groove).objects;
    if (kind == K::page) return;
    if (!encode_query(random_query(draw, i, groove), &operation->query)) {
      QueryTree all;
      all.nodes.push({.tree = operation->tree, .max = timestamp_max});
      REQUIRE(encode_query(all, &operation->query));
    }
    if (kind == K::query) {
      operation->limit = static_cast<u32>(draw("limited", i, 2) * (1 + draw("limit", i, 10)));
      operation->value = 1 + draw("buffer", i, 40);
    }
  }
  operation->direction = draw("direction", i, 2) == 0 ? Direction::ascending : Direction::descending;
  operation->cold = draw("cold", i, 2) == 0;
}

inline Fault random_fault(const Draw& draw, u64 i) {
  Fault fault;
  do {
    fault.kind = static_cast<FaultKind>(draw("fault", i++, fault_kind_count));
  } while (decided_by_crash(fault.kind));
  const bool shaped = fault.kind == FaultKind::rot || fault.kind == FaultKind::corrupt_transfer;
  if (shaped) fault.shape = static_cast<RotShape>(draw("shape", i, rot_shape_count));
  for (const FaultNumber& number : fault_numbers(fault)) {
    set_fault_number(&fault, number.name, number.least + draw(number.name, i, 60));
  }
  const bool misdirected =
      fault.kind == FaultKind::misdirected_write || fault.kind == FaultKind::misdirected_read;
  fault.superblock = misdirected && draw("misdirected", i, 2) == 0;
  return fault;
}

inline void random_tree_line(const Draw& draw, u64 i, Operation* operation) {
  switch (operation->kind) {
    case OperationKind::put:
      if (!tree_spec(operation->tree).secondary_index) operation->value = draw.bits("value", i) >> 1;
      [[fallthrough]];
    case OperationKind::remove:
    case OperationKind::get:
      operation->key = random_key(draw, "key", i, operation->tree);
      operation->cold = operation->kind == OperationKind::get && draw("cold", i, 2) == 0;
      break;
    case OperationKind::scan:
      operation->key = random_key(draw, "from", i, operation->tree);
      operation->key_end =
          draw("end", i, 2) == 0 ? key_max(operation->tree) : random_key(draw, "to", i, operation->tree);
      if (operation->key_end < operation->key) std::swap(operation->key, operation->key_end);
      operation->direction = draw("direction", i, 2) == 0 ? Direction::ascending : Direction::descending;
      operation->limit = static_cast<u32>(draw("limited", i, 2) * (1 + draw("limit", i, 10)));
      operation->cold = draw("cold", i, 2) == 0;
      break;
    case OperationKind::commit: operation->count = 1 + draw("times", i, 3); break;
    case OperationKind::checkpoint:
    case OperationKind::scope: break;
    case OperationKind::end: operation->persist = draw("persist", i, 2) == 0; break;
    case OperationKind::crash:
      operation->count = draw("at", i, 100);
      operation->at_end = draw("at_end", i, 4) == 0;
      for (u64 j = draw("writes", i, 17), write = 0; j > 0; --j, ++write) {
        const u64 n = 16 * i + j;
        write += draw("skipped", n, 3) == 0 ? draw("write", n, 40) : 0;
        CrashWrite outcome{.write = static_cast<u16>(write),
                           .outcome = static_cast<CrashOutcome>(draw("outcome", n, crash_outcome_count))};
        outcome.exact = outcome.outcome >= CrashOutcome::torn && draw("exact", n, 2) == 0;
        if (outcome.exact) outcome.units = static_cast<u32>(draw("units", n, u64{1} << 32));
        if (outcome.exact && has_garbage(outcome.outcome)) {
          outcome.garbage = draw("garbage", n, 64) & 127;
        }
        operation->writes.push(outcome);
      }
      break;
    case OperationKind::reopen: random_changes(draw, i, operation); break;
    case OperationKind::fault:
      operation->request = random_request(draw, i);
      operation->fault = random_fault(draw, i);
      break;
    case OperationKind::latency:
      operation->request = random_request(draw, i);
      operation->count = draw("ticks", i, 5000);
      break;
    case OperationKind::call:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch:
    case OperationKind::query:
    case OperationKind::page:
    case OperationKind::scan_open:
    case OperationKind::scan_next:
    case OperationKind::scan_probe:
    case OperationKind::scan_abort:
    case OperationKind::scan_close:
    case OperationKind::heal: break;
    case OperationKind::reseed: operation->value = draw.bits("reseed", i); break;
  }
}

inline Operation random_operation(const Draw& draw, u64 i, const World& world) {
  Operation operation;
  operation.id = {.number = 1 + 2 * i + draw("gap", i, 2),
                  .child = draw("split", i, 4) == 0 ? static_cast<u32>(1 + draw("child", i, 9)) : 0};
  const std::span<const OperationKind> kinds = operation_kinds(world);
  operation.kind = kinds[draw("kind", i, kinds.size())];
  const TreeName tree = world.tree(static_cast<u32>(draw("tree", i, world.count)));
  using K = OperationKind;
  const bool of_tree = operation.kind == K::put || operation.kind == K::scan;
  const bool of_key = operation.kind == K::remove || operation.kind == K::get;
  if (operation.kind >= K::query && operation.kind < K::heal) {
    random_scan_line(draw, i, world, &operation);
    return operation;
  }
  if (of_tree || (of_key && world.groove_count == 0)) operation.tree = tree;
  if (world.groove_count > 0 && (of_key || (operation.kind >= K::insert && operation.kind < K::heal))) {
    GrooveName groove = world.groove(static_cast<u32>(draw("groove", i, world.groove_count)));
    // Of the grooves only this one takes them.
    if (operation.kind == K::orphan) {
      if (world.first_groove > GrooveName::notes || !world.has(TreeName::notes))
        operation.kind = K::get;
      else
        groove = GrooveName::notes;
    }
    operation.tree = groove_spec(groove).objects;
    random_object(draw, i, &operation);
    return operation;
  }
  random_tree_line(draw, i, &operation);
  return operation;
}

inline Scenario random_scenario(u64 seed, u32 operations) {
  const Draw draw(seed);
  Scenario scenario;
  static constexpr const char* workloads[] = {"tree", "groove", "scan", "forest"};
  scenario.workload = workloads[draw("workload", 0, std::size(workloads))];
  scenario.seed = draw.bits("seed", 0);
  scenario.expect_fail = draw("expect", 0, 2) == 0;
  scenario.expect_signature = scenario.expect_fail ? static_cast<u32>(draw.bits("signature", 0)) : 0;
  if (draw("story", 0, 2) == 0) scenario.story = "a put # came back after \"42\" crashes";
  scenario.options.disk.seed = scenario.seed;
  for (u32 i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    if (draw("change", i, 3) != 0) continue;
    const RunOptions before = scenario.options;
    u64 value = between(draw.bits("setting", i), setting.min, setting.max) >> draw("small", i, 64);
    if (setting.type == SettingType::ratio) value = draw("numerator", i, 50) << 32 | 50;
    setting.set(scenario.options, value);
    if (!validate_options(scenario.options).empty()) scenario.options = before;
  }
  for (u32 i = 0; i < operations; ++i) {
    scenario.operations.push_back(
        random_operation(draw, i, world_of(scenario.workload, scenario.options.groove)));
  }
  return scenario;
}

inline Scenario require_scenario(std::string_view text) {
  std::variant<Scenario, ScenarioError> result = parse_scenario(text);
  if (const ScenarioError* error = std::get_if<ScenarioError>(&result)) {
    FAIL(error->line << ":" << error->column << ": " << error->message);
  }
  return std::get<Scenario>(std::move(result));
}

}  // namespace tonearm::sim
