#include "sim/scenario/operation.h"

#include <fmt/format.h>

#include <bit>
#include <cstddef>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "sim/scenario/fault_line.h"
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

void print_slots(u16 slots, std::string* target) {
  const char* separator = " n=";
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    if ((slots >> slot & 1) == 0) continue;
    target->append(separator);
    append_number(slot, target);
    separator = ",";
  }
}

void print_query_line(const Operation& operation, std::string* target) {
  target->append(" ").append(groove_spec(operation.groove()).name);
  if (operation.kind == OperationKind::page) return;
  target->append(" ");
  print_query(decode_query(operation.groove(), operation.query), target);
  if (operation.direction == Direction::descending) target->append(" desc");
  if (operation.kind == OperationKind::query) {
    if (operation.limit != 0) append_argument(" limit=", operation.limit, target);
    if (operation.value != query_buffer_default) append_argument(" buffer=", operation.value, target);
  }
  if (operation.cold) target->append(" cold");
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

// Of a probe in a world of grooves the tree is not known, and it is about a timestamp.
void print_probe(const Operation& operation, std::string* target) {
  if (operation.timestamped) return append_argument(" timestamp=", operation.key.lo, target);
  target->append(" ").append(tree_name(operation.tree));
  append_key_argument(" key=", operation.tree, operation.key, target);
}

void print_request_line(const Operation& operation, std::string* target) {
  target->append(" " + request_name_text(operation.request));
  if (operation.kind == OperationKind::fault) return print_fault(operation.fault, target);
  append_argument(" ticks=", operation.count, target);
}

void print_crash(const Operation& operation, std::string* target) {
  append_argument(" at=", operation.count, target);
  if (operation.superblock) target->append(" superblock");
  if (operation.at_end) target->append(" end");
  const char* separator = " writes=";
  u32 next = 0;  // The write that an outcome without a number is about.
  for (const CrashWrite& write : operation.writes) {
    target->append(separator);
    if (write.write != next) append_argument("", write.write, target), target->push_back(':');
    target->append(crash_outcome_name(write.outcome));
    if (write.exact) target->append(fmt::format("+{:#x}", write.units));
    if (write.exact && has_garbage(write.outcome)) {
      append_argument("/", write.garbage, target);
    }
    separator = ",";
    next = write.write + 1;
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

void print_fields(const Operation& operation, std::span<const FieldSpec> fields, std::string* target) {
  const bool update = operation.kind == OperationKind::update;
  for (u32 i = 0; i < fields.size(); ++i) {
    const u128 value = field_value(operation, i);
    if (update ? (operation.named >> i & 1) == 0 : value == 0) continue;
    target->append(" ").append(fields[i].name);
    append_argument("=", value, target);
  }
}

void print_object_line(const Operation& operation, std::string* target) {
  const GrooveSpec& groove = groove_spec(operation.groove());
  target->append(" ").append(groove.name);
  const bool inserts = operation.kind == OperationKind::insert || operation.kind == OperationKind::upsert;
  const bool by_timestamp = operation.kind == OperationKind::exists ||
                            (operation.kind == OperationKind::prefetch && operation.timestamped);
  if (groove.has_id && !by_timestamp) {
    append_argument(" id=", operation.key.lo, target);
  } else if (!inserts) {
    append_argument(" timestamp=", operation.key.lo, target);
  }
  if (inserts || operation.kind == OperationKind::update) print_fields(operation, groove.fields, target);
  if (inserts && operation.timestamped) append_argument(" timestamp=", operation.value, target);
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
    case OperationKind::insert: return "insert";
    case OperationKind::update: return "update";
    case OperationKind::upsert: return "upsert";
    case OperationKind::orphan: return "orphan";
    case OperationKind::exists: return "exists";
    case OperationKind::prefetch: return "prefetch";
    case OperationKind::query: return "query";
    case OperationKind::page: return "page";
    case OperationKind::scan_open: return "scan_open";
    case OperationKind::scan_next: return "scan_next";
    case OperationKind::scan_probe: return "scan_probe";
    case OperationKind::scan_abort: return "scan_abort";
    case OperationKind::scan_close: return "scan_close";
    case OperationKind::heal: return "heal";
    case OperationKind::reseed: return "reseed";
  }
  UNREACHABLE();
}

std::span<const OperationKind> operation_kinds(const World& world) {
  using K = OperationKind;
  static constexpr K trees[] = {K::put,        K::remove,     K::get,        K::scan,       K::scan_open,
                                K::scan_next,  K::scan_probe, K::scan_abort, K::scan_close, K::commit,
                                K::checkpoint, K::scope,      K::end,        K::crash,      K::reopen,
                                K::fault,      K::heal,       K::latency,    K::reseed};
  static constexpr K grooves[] = {
      K::insert,     K::update,     K::upsert, K::remove,     K::orphan,    K::get,       K::exists,
      K::prefetch,   K::scan,       K::query,  K::page,       K::scan_open, K::scan_next, K::scan_probe,
      K::scan_abort, K::scan_close, K::commit, K::checkpoint, K::scope,     K::end,       K::crash,
      K::reopen,     K::fault,      K::heal,   K::latency,    K::reseed};
  return world.groove_count == 0 ? std::span<const K>(trees) : std::span<const K>(grooves);
}

void reset(Operation* operation) {
  static const Operation blank{};
  // All members in front of the code.
  std::memcpy(static_cast<void*>(operation), &blank, offsetof(Operation, query) + offsetof(Query, code));
  ASSERT(operation->query.size == 0);
}

bool ends_scans(OperationKind kind) {
  switch (kind) {
    case OperationKind::put:
    case OperationKind::remove:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::commit:
    case OperationKind::checkpoint:
    case OperationKind::scope:
    case OperationKind::end:
    case OperationKind::crash:
    case OperationKind::reopen:
    case OperationKind::heal: return true;
    case OperationKind::get:
    case OperationKind::scan:
    case OperationKind::fault:
    case OperationKind::latency:
    case OperationKind::reseed:
    case OperationKind::call:
    case OperationKind::exists:
    case OperationKind::prefetch:
    case OperationKind::query:
    case OperationKind::page:
    case OperationKind::scan_open:
    case OperationKind::scan_next:
    case OperationKind::scan_probe:
    case OperationKind::scan_abort:
    case OperationKind::scan_close: return false;
  }
  UNREACHABLE();
}

bool is_silent(OperationKind kind) {
  return kind == OperationKind::fault || kind == OperationKind::latency || kind == OperationKind::reseed;
}

u32 scan_slot(const Operation& operation) {
  ASSERT(std::has_single_bit(operation.slots));
  return static_cast<u32>(std::countr_zero(operation.slots));
}

u128 field_value(const Operation& operation, u32 field) {
  const GrooveSpec& groove = groove_spec(operation.groove());
  ASSERT(field < groove.fields.size());
  return groove.fields[field].bytes == 16 ? operation.wide_field : operation.fields[field];
}

void set_field(Operation* operation, u32 field, u128 value) {
  const GrooveSpec& groove = groove_spec(operation->groove());
  ASSERT(field < groove.fields.size());
  ASSERT(value <= field_max(groove.fields[field]));
  if (groove.fields[field].bytes == 16) {
    operation->wide_field = value;
  } else {
    operation->fields[field] = static_cast<u64>(value);
  }
}

u64 own_timestamp(OpId id) {
  constexpr u32 child_shift = 40;
  const u64 timestamp = (id.number + (u64{id.child} << child_shift)) & timestamp_max;
  return timestamp == 0 ? timestamp_max : timestamp;
}

u64 inserted_timestamp(const Operation& operation) {
  ASSERT(operation.kind == OperationKind::insert || operation.kind == OperationKind::upsert);
  return operation.timestamped ? operation.value : own_timestamp(operation.id);
}

u128 object_key(const Operation& operation) {
  const bool inserts = operation.kind == OperationKind::insert || operation.kind == OperationKind::upsert;
  if (inserts && !groove_spec(operation.groove()).has_id) return inserted_timestamp(operation);
  return operation.key.lo;
}

const char* crash_outcome_name(CrashOutcome outcome) {
  switch (outcome) {
    case CrashOutcome::lost: return "lost";
    case CrashOutcome::landed: return "landed";
    case CrashOutcome::torn: return "torn";
    case CrashOutcome::torn_garbage: return "torn_garbage";
    case CrashOutcome::torn_unreadable: return "torn_unreadable";
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
  text += op_id_text(request.attribution.op);
  const bool aside = request.recovery.number == 0 && request.attribution.context != 0;
  if (aside) text += fmt::format("@{:#x}", request.attribution.context);
  return text + "/" + tag_text(request.tag, request.n);
}

u64 content_hash(const Operation& line) {
  constexpr u32 words_max = 16 + fields_max;
  std::array<u64, words_max> words;  // Hashed as they lie: with the low bytes first, as everywhere.
  u32 count = 0;
  const auto add = [&](u64 word) {
    ASSERT(count < words_max);
    words[count++] = word;
  };
  const auto add_wide = [&](u128 value) {
    add(static_cast<u64>(value));
    add(static_cast<u64>(value >> 64));
  };
  const auto hash = [&](u64 seed) { return hash_of(std::as_bytes(std::span(words).first(count)), seed); };
  add(static_cast<u64>(line.kind) << 8 | static_cast<u64>(line.tree));
  add(line.value);
  add_wide(line.key.lo);
  add_wide(line.key_end.lo);
  add(line.limit);
  add(line.count);
  if (line.kind >= OperationKind::query) {
    const bool descending = line.direction == Direction::descending;
    add(u64{line.slots} << 3 | (descending ? 4 : 0) | (line.cold ? 2 : 0) | (line.timestamped ? 1 : 0));
    return hash_of(std::as_bytes(std::span(line.query.code).first(line.query.size)), hash(0));
  }
  if (tree_spec(line.tree).groove == GrooveName::none) return hash(0);
  add_wide(line.key.hi);
  add_wide(line.key_end.hi);
  add(u64{line.named} << 1 | (line.timestamped ? 1 : 0));
  add_wide(line.wide_field);
  for (const u64 word : line.fields) add(word);
  return hash(0);
}

void print_operation(const Operation& operation, std::string* target) {
  if (operation.id.number != 0) {
    append_op_id(operation.id, target);
    target->push_back(' ');
  }
  if (operation.kind == OperationKind::call) return print_call(operation, target);
  target->append(operation_kind_name(operation.kind));
  const TreeName tree = operation.tree;
  if (operation.of_groove()) return print_object_line(operation, target);
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
    case OperationKind::scope:
    case OperationKind::heal: break;
    case OperationKind::end: target->append(operation.persist ? " persist" : " discard"); break;
    case OperationKind::reseed: target->append(fmt::format(" seed={:#x}", operation.value)); break;
    case OperationKind::crash: print_crash(operation, target); break;
    case OperationKind::reopen: print_reopen(operation, target); break;
    case OperationKind::fault:
    case OperationKind::latency: print_request_line(operation, target); break;
    case OperationKind::query:
    case OperationKind::page: print_query_line(operation, target); break;
    case OperationKind::scan_open:
      print_slots(operation.slots, target);
      if (operation.query.size > 0) {
        print_query_line(operation, target);
      } else {
        target->append(" ").append(tree_name(tree));
        print_scan(operation, target);
      }
      break;
    case OperationKind::scan_next:
      print_slots(operation.slots, target);
      if (operation.count != 1) append_argument(" count=", operation.count, target);
      break;
    case OperationKind::scan_probe:
      print_slots(operation.slots, target);
      print_probe(operation, target);
      break;
    case OperationKind::scan_abort:
    case OperationKind::scan_close: print_slots(operation.slots, target); break;
    case OperationKind::call:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch: UNREACHABLE();
  }
  target->push_back('\n');
}

}  // namespace tonearm::sim
