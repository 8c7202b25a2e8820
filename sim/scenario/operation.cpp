#include "sim/scenario/operation.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "sim/scenario/number.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// Equal to key_max of the tree's traits, whose greatest u128 (or u64) is the sentinel of a merge.
constexpr u64 kv_key_max = (u64{1} << 63) - 2;
constexpr u64 timestamp_max = (u64{1} << 63) - 1;
constexpr u128 index_key_max = u128{u64_max} << 64 | timestamp_max;
constexpr u128 id_key_max = u128_max - 1;

void append_argument(const char* name, u128 value, std::string* target) {
  target->append(name);
  append_number(value, target);
}

void append_key_argument(const char* name, TreeName tree, const Key& key, std::string* target) {
  target->append(name);
  append_key(tree, key, target);
}

void print_scan(const Operation& operation, std::string* target) {
  if (operation.key != Key{}) append_key_argument(" from=", operation.tree, operation.key, target);
  if (operation.key_end != key_max(operation.tree)) {
    append_key_argument(" to=", operation.tree, operation.key_end, target);
  }
  if (operation.direction == Direction::descending) target->append(" desc");
  if (operation.limit != 0) append_argument(" limit=", operation.limit, target);
  if (operation.cold) target->append(" cold");
}

void print_crash(const Operation& operation, std::string* target) {
  append_argument(" at=", operation.count, target);
  if (operation.superblock) target->append(" superblock");
  const char* separator = " writes=";
  for (const CrashOutcome outcome : operation.writes) {
    target->append(separator).append(crash_outcome_name(outcome));
    separator = ",";
  }
}

void print_call(const Operation& operation, std::string* target) {
  target->append(operation.verb->name);
  for (u32 i = 0; i < operation.verb->argument_count(); ++i) {
    target->append(" ").append(operation.verb->arguments[i].name);
    append_argument("=", operation.arguments[i], target);
  }
  target->push_back('\n');
}

void print_reopen(const Operation& operation, std::string* target) {
  for (const SettingChange& change : operation.changes) {
    const Setting& setting = settings()[change.setting];
    target->append(" ").append(setting.name).append("=");
    target->append(print_setting(setting, change.value));
  }
}

}  // namespace

const char* operation_kind_name(OperationKind kind) {
  switch (kind) {
    case OperationKind::put: return "put";
    case OperationKind::remove: return "remove";
    case OperationKind::get: return "get";
    case OperationKind::scan: return "scan";
    case OperationKind::commit: return "commit";
    case OperationKind::checkpoint: return "checkpoint";
    case OperationKind::scope: return "scope";
    case OperationKind::end: return "end";
    case OperationKind::crash: return "crash";
    case OperationKind::reopen: return "reopen";
    case OperationKind::fault: return "fault";
    case OperationKind::latency: return "latency";
    case OperationKind::call: return "call";
  }
  UNREACHABLE();
}

const char* tree_name(TreeName tree) {
  switch (tree) {
    case TreeName::kv: return "kv";
    case TreeName::index: return "index";
    case TreeName::id: return "id";
  }
  UNREACHABLE();
}

const char* crash_outcome_name(CrashOutcome outcome) {
  switch (outcome) {
    case CrashOutcome::lost: return "lost";
    case CrashOutcome::landed: return "landed";
    case CrashOutcome::torn: return "torn";
    case CrashOutcome::torn_garbage: return "torn_garbage";
  }
  UNREACHABLE();
}

Key key_max(TreeName tree) {
  switch (tree) {
    case TreeName::kv: return Key::of(kv_key_max);
    case TreeName::index: return Key::of(index_key_max);
    case TreeName::id: return Key::of(id_key_max);
  }
  UNREACHABLE();
}

bool key_valid(TreeName tree, const Key& key) {
  return key <= key_max(tree) && (tree != TreeName::index || static_cast<u64>(key.lo) <= timestamp_max);
}

void append_key(TreeName tree, const Key& key, std::string* target) {
  if (tree != TreeName::index) return append_number(key.lo, target);
  append_number(static_cast<u64>(key.lo >> 64), target);
  target->push_back('/');
  append_number(static_cast<u64>(key.lo), target);
}

std::string key_text(TreeName tree, const Key& key) {
  std::string text;
  append_key(tree, key, &text);
  return text;
}

std::string parse_key(TreeName tree, std::string_view text, Key* key) {
  if (text == "min" || text == "max") {
    *key = text == "min" ? Key{} : key_max(tree);
    return {};
  }
  if (tree == TreeName::index) {
    const std::size_t slash = text.find('/');
    u64 field = 0;
    u64 timestamp = 0;
    if (slash == std::string_view::npos) return "field/timestamp, min or max";
    if (std::string expected = parse_number(text.substr(0, slash), 0, u64_max, &field); !expected.empty()) {
      return "field/timestamp, the field " + expected;
    }
    if (std::string expected = parse_number(text.substr(slash + 1), 0, timestamp_max, &timestamp);
        !expected.empty()) {
      return "field/timestamp, the timestamp " + expected;
    }
    *key = Key::of(u128{field} << 64 | timestamp);
    return {};
  }
  u128 number = 0;
  if (std::string expected = parse_wide_number(text, key_max(tree).lo, &number); !expected.empty()) {
    return expected;
  }
  *key = Key::of(number);
  return {};
}

std::string parse_op_id(std::string_view text, OpId* id) {
  const std::size_t dot = text.find('.');
  u64 number = 0;
  u64 child = 0;
  if (std::string expected = parse_number(text.substr(0, dot), 1, op_number_max, &number);
      !expected.empty()) {
    return "an id like 17 or 17.1, " + expected;
  }
  if (dot != std::string_view::npos) {
    if (std::string expected = parse_number(text.substr(dot + 1), 1, 0xffffffff, &child); !expected.empty()) {
      return "an id like 17 or 17.1, after the dot " + expected;
    }
  }
  *id = {.number = number, .child = static_cast<u32>(child)};
  return {};
}

void append_op_id(OpId id, std::string* target) {
  append_number(id.number, target);
  if (id.child != 0) append_argument(".", id.child, target);
}

std::string op_id_text(OpId id) {
  std::string text;
  append_op_id(id, &text);
  return text;
}

Attribution attribution_of(OpId op, OpId recovery) {
  if (recovery.number == 0) return {.op = op, .context = 0};
  const u64 context = Stream("recovery", 0).at(recovery.number, recovery.child);
  return {.op = op, .context = context != 0 ? context : 1};  // 0 means the operation itself.
}

std::string request_name_text(const RequestName& request) {
  std::string text;
  if (request.recovery.number != 0) text = op_id_text(request.recovery) + "/";
  return text + op_id_text(request.attribution.op) + "/" + tag_text(request.tag, request.n);
}

void print_operation(const Operation& operation, std::string* target) {
  if (operation.id.number != 0) {
    append_op_id(operation.id, target);
    target->push_back(' ');
  }
  if (operation.kind == OperationKind::call) return print_call(operation, target);
  target->append(operation_kind_name(operation.kind));
  const TreeName tree = operation.tree;
  switch (operation.kind) {
    case OperationKind::put:
    case OperationKind::remove:
    case OperationKind::get:
      target->append(" ").append(tree_name(tree));
      append_key_argument(" key=", tree, operation.key, target);
      if (operation.kind == OperationKind::put && tree != TreeName::index) {
        append_argument(" value=", operation.value, target);
      }
      if (operation.kind == OperationKind::get && operation.cold) target->append(" cold");
      break;
    case OperationKind::scan:
      target->append(" ").append(tree_name(tree));
      print_scan(operation, target);
      break;
    case OperationKind::commit:
      if (operation.count != 1) append_argument(" times=", operation.count, target);
      break;
    case OperationKind::checkpoint:
    case OperationKind::scope: break;
    case OperationKind::end: target->append(operation.persist ? " persist" : " discard"); break;
    case OperationKind::crash: print_crash(operation, target); break;
    case OperationKind::reopen: print_reopen(operation, target); break;
    case OperationKind::fault: target->append(" " + request_name_text(operation.request) + " fail"); break;
    case OperationKind::latency:
      target->append(" " + request_name_text(operation.request));
      append_argument(" ticks=", operation.count, target);
      break;
    case OperationKind::call: UNREACHABLE();
  }
  target->push_back('\n');
}

}  // namespace tonearm::sim
