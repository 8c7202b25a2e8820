#include "sim/scenario/operation.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "sim/scenario/number.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

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

const char* crash_outcome_name(CrashOutcome outcome) {
  switch (outcome) {
    case CrashOutcome::lost: return "lost";
    case CrashOutcome::landed: return "landed";
    case CrashOutcome::torn: return "torn";
    case CrashOutcome::torn_garbage: return "torn_garbage";
  }
  UNREACHABLE();
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

u64 content_hash(const Operation& line) {
  u64 hash = hash_of(static_cast<u64>(line.kind) << 8 | static_cast<u64>(line.tree));
  for (const u64 word : {static_cast<u64>(line.key.lo), static_cast<u64>(line.key.lo >> 64), line.value,
                         static_cast<u64>(line.key_end.lo), static_cast<u64>(line.key_end.lo >> 64),
                         u64{line.limit}, line.count}) {
    hash = hash_of(hash ^ word);
  }
  return hash;
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
