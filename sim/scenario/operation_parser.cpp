// A line is `[id] kind [number of a scan] [tree, groove and query, or request] arguments`, the arguments in
// any order, each at most once.
#include <fmt/format.h>

#include <array>

#include "base/assert.h"
#include "sim/scenario/fault_line.h"
#include "sim/scenario/line_cursor.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

enum class Argument : u8 {
  key,
  value,
  from,
  to,
  limit,
  times,
  at,
  writes,
  ticks,
  cold,
  superblock,
  at_end,
  direction,
  ending,
  count,
  buffer,
  timestamp,
  seed
};
constexpr u32 argument_count = 18;

struct Spelling {
  std::string_view text;  // With `=`: a value follows.
  Argument argument;
};
constexpr Spelling spellings[] = {
    {"key=", Argument::key},       {"value=", Argument::value},   {"from=", Argument::from},
    {"to=", Argument::to},         {"limit=", Argument::limit},   {"times=", Argument::times},
    {"at=", Argument::at},         {"writes=", Argument::writes}, {"ticks=", Argument::ticks},
    {"cold", Argument::cold},      {"asc", Argument::direction},  {"desc", Argument::direction},
    {"persist", Argument::ending}, {"discard", Argument::ending}, {"superblock", Argument::superblock},
    {"count=", Argument::count},   {"buffer=", Argument::buffer}, {"timestamp=", Argument::timestamp},
    {"seed=", Argument::seed},     {"end", Argument::at_end},
};

constexpr u32 bit(Argument argument) { return 1U << static_cast<u32>(argument); }

struct Grammar {
  bool scan = false;  // The number of one.
  bool tree = false;
  bool groove = false;
  bool query = false;
  bool request = false;
  u32 required = 0;
  u32 optional = 0;
};

constexpr u32 range_arguments =
    bit(Argument::from) | bit(Argument::to) | bit(Argument::direction) | bit(Argument::cold);

Grammar grammar_of(OperationKind kind, TreeName tree, bool grooves) {
  switch (kind) {
    case OperationKind::put:
      return {.tree = true,
              .required = bit(Argument::key) | (tree_spec(tree).secondary_index ? 0 : bit(Argument::value))};
    case OperationKind::remove: return {.tree = true, .required = bit(Argument::key)};
    case OperationKind::get:
      return {.tree = true, .required = bit(Argument::key), .optional = bit(Argument::cold)};
    case OperationKind::scan: return {.tree = true, .optional = range_arguments | bit(Argument::limit)};
    case OperationKind::query:
      return {.groove = true,
              .query = true,
              .optional = bit(Argument::direction) | bit(Argument::limit) | bit(Argument::buffer) |
                          bit(Argument::cold)};
    case OperationKind::page: return {.groove = true};
    case OperationKind::scan_open:
      if (!grooves) return {.scan = true, .tree = true, .optional = range_arguments};
      return {.scan = true,
              .groove = true,
              .query = true,
              .optional = bit(Argument::direction) | bit(Argument::cold)};
    case OperationKind::scan_next: return {.scan = true, .optional = bit(Argument::count)};
    case OperationKind::scan_probe:
      if (!grooves) return {.scan = true, .tree = true, .required = bit(Argument::key)};
      return {.scan = true, .required = bit(Argument::timestamp)};
    case OperationKind::scan_abort:
    case OperationKind::scan_close: return {.scan = true};
    case OperationKind::commit: return {.optional = bit(Argument::times)};
    case OperationKind::checkpoint:
    case OperationKind::scope:
    case OperationKind::heal:
    case OperationKind::reopen: return {};
    case OperationKind::end: return {.required = bit(Argument::ending)};
    case OperationKind::reseed: return {.required = bit(Argument::seed)};
    case OperationKind::crash:
      return {.required = bit(Argument::at),
              .optional = bit(Argument::superblock) | bit(Argument::at_end) | bit(Argument::writes)};
    case OperationKind::fault: return {.request = true};
    case OperationKind::latency: return {.request = true, .required = bit(Argument::ticks)};
    case OperationKind::call:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch: break;
  }
  UNREACHABLE();
}

std::string expected_arguments(u32 set) {
  std::array<std::string_view, std::size(spellings)> texts{};
  u32 count = 0;
  for (const Spelling& spelling : spellings) {
    if ((set & bit(spelling.argument)) != 0) texts[count++] = spelling.text;
  }
  if (count == 0) return "the end of the line";
  return alternatives(count, [&](u32 i) { return texts[i]; });
}

bool about_objects(OperationKind kind, const World& world) {
  if (world.groove_count == 0) return false;
  return (kind >= OperationKind::insert && kind < OperationKind::query) || kind == OperationKind::remove ||
         kind == OperationKind::get;
}

bool parse_kind(std::string_view token, LineCursor& cursor, const World& world, OperationKind* kind) {
  const std::span<const OperationKind> kinds = operation_kinds(world);
  for (const OperationKind each : kinds) {
    if (token != operation_kind_name(each)) continue;
    *kind = each;
    return true;
  }
  const auto name = [&](u32 i) { return operation_kind_name(kinds[i]); };
  return cursor.fail(token, "an operation: " + alternatives(static_cast<u32>(kinds.size()), name));
}

bool parse_tree(LineCursor& cursor, const World& world, TreeName* tree) {
  const std::string_view token = cursor.next();
  const auto name = [&](u32 i) { return tree_name(world.tree(i)); };
  for (u32 i = 0; i < world.count; ++i) {
    if (token != name(i)) continue;
    *tree = world.tree(i);
    return true;
  }
  return cursor.fail(token, "a tree: " + alternatives(world.count, name));
}

bool parse_groove(LineCursor& cursor, const World& world, TreeName* tree) {
  const std::string_view token = cursor.next();
  const auto name = [&](u32 i) { return groove_spec(world.groove(i)).name; };
  for (u32 i = 0; i < world.groove_count; ++i) {
    if (token != name(i)) continue;
    *tree = groove_spec(world.groove(i)).objects;
    return true;
  }
  return cursor.fail(token, "a groove: " + alternatives(world.groove_count, name));
}

// `n=2`, or of a line that may name several scans `n=2,5`.
bool parse_slots(LineCursor& cursor, Operation* operation) {
  const bool several = operation->kind == OperationKind::scan_next;
  const std::string_view token = cursor.next();
  if (!token.starts_with("n=")) {
    return cursor.fail(token, several ? "n= and the numbers of scans" : "n= and the number of a scan");
  }
  std::string_view rest = token.substr(2);
  while (true) {
    const std::size_t comma = several ? rest.find(',') : std::string_view::npos;
    const std::string_view text = rest.substr(0, comma);
    u64 slot = 0;
    if (const std::string wrong = parse_number(text, 0, scan_slots - 1, &slot); !wrong.empty()) {
      return cursor.fail(text, wrong);
    }
    if ((operation->slots >> slot & 1) != 0) return cursor.fail(text, "each scan once");
    operation->slots |= static_cast<u16>(1U << slot);
    if (comma == std::string_view::npos) return true;
    rest.remove_prefix(comma + 1);
  }
}

// `lost`, or with what else is said of the write: `17:torn_garbage+0x5/3`.
bool parse_write(std::string_view text, LineCursor& cursor, CrashWrite* write) {
  u64 number = 0;
  std::string wrong;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    const std::string_view which = text.substr(0, colon);
    wrong = parse_number(which, write->write, crash_write_max, &number);
    if (!wrong.empty()) return cursor.fail(which, wrong);
    write->write = static_cast<u16>(number);
    text.remove_prefix(colon + 1);
  }
  const std::size_t plus = text.find('+');
  const std::string_view name = text.substr(0, plus);
  u32 outcome = 0;
  while (outcome < crash_outcome_count && name != crash_outcome_name(static_cast<CrashOutcome>(outcome))) {
    ++outcome;
  }
  write->outcome = static_cast<CrashOutcome>(outcome);
  const bool torn = write->outcome >= CrashOutcome::torn;
  if (outcome == crash_outcome_count) {
    return cursor.fail(name, "lost, landed, torn, torn_garbage or torn_unreadable");
  }
  if (plus == std::string_view::npos) return true;
  if (!torn) return cursor.fail(text.substr(plus), "no units: none or all of it are there");
  write->exact = true;
  std::string_view units = text.substr(plus + 1);
  if (has_garbage(write->outcome)) {
    const std::size_t slash = units.find('/');
    if (slash == std::string_view::npos) return cursor.fail(units, "units and the one that is garbage");
    const std::string_view garbage = units.substr(slash + 1);
    wrong = parse_number(garbage, 0, 127, &number);
    if (!wrong.empty()) return cursor.fail(garbage, wrong);
    write->garbage = number & 127;
    units = units.substr(0, slash);
  }
  wrong = parse_number(units, 0, ~u32{0}, &number);
  write->units = static_cast<u32>(number);
  return wrong.empty() || cursor.fail(units, wrong);
}

bool parse_writes(std::string_view text, LineCursor& cursor, Operation* operation) {
  CrashWrite write;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    if (!parse_write(name, cursor, &write)) return false;
    if (operation->writes.full()) return cursor.fail(name, "at most 16 outcomes");
    operation->writes.push(write);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
    write = {.write = static_cast<u16>(write.write + 1)};
  }
}

// `text` is the whole token of a flag, and what follows the `=` of any other argument.
bool parse_argument(Argument argument, std::string_view text, LineCursor& cursor, Operation* operation) {
  std::string expected;
  u64 limit = 0;
  switch (argument) {
    case Argument::key:
    case Argument::from: expected = parse_key(operation->tree, text, &operation->key); break;
    case Argument::to: expected = parse_key(operation->tree, text, &operation->key_end); break;
    case Argument::seed: expected = parse_number(text, 0, u64_max, &operation->value); break;
    case Argument::value: expected = parse_number(text, 0, value_max, &operation->value); break;
    case Argument::limit:
      expected = parse_number(text, 1, 0xffffffff, &limit);
      operation->limit = static_cast<u32>(limit);
      break;
    case Argument::times: expected = parse_number(text, 1, commit_times_max, &operation->count); break;
    case Argument::at: expected = parse_number(text, 0, crash_step_max, &operation->count); break;
    case Argument::count: expected = parse_number(text, 1, scan_next_max, &operation->count); break;
    case Argument::buffer: expected = parse_number(text, 1, query_buffer_max, &operation->value); break;
    case Argument::timestamp:
      expected = parse_number(text, 0, timestamp_max, &limit);
      operation->key = Key::of(limit);
      operation->timestamped = true;
      break;
    case Argument::ticks: expected = parse_number(text, 0, latency_ticks_max, &operation->count); break;
    case Argument::writes: return parse_writes(text, cursor, operation);
    case Argument::cold: operation->cold = true; break;
    case Argument::superblock: operation->superblock = true; break;
    case Argument::at_end: operation->at_end = true; break;
    case Argument::direction:
      operation->direction = text == "desc" ? Direction::descending : Direction::ascending;
      break;
    case Argument::ending: operation->persist = text == "persist"; break;
  }
  return expected.empty() || cursor.fail(text, expected);
}

bool parse_arguments(const Grammar& grammar, LineCursor& cursor, Operation* operation) {
  u32 seen = 0;
  const u32 allowed = grammar.required | grammar.optional;
  std::array<std::string_view, argument_count> tokens{};
  while (true) {
    const std::string_view token = cursor.next();
    const u32 missing = grammar.required & ~seen;
    if (token.empty()) {
      if (missing != 0) return cursor.fail(token, expected_arguments(missing));
      break;
    }
    const Spelling* spelling = std::begin(spellings);
    while (spelling != std::end(spellings) &&
           !(spelling->text.back() == '=' ? token.starts_with(spelling->text) : token == spelling->text)) {
      ++spelling;
    }
    if (spelling == std::end(spellings) || (allowed & bit(spelling->argument)) == 0) {
      return cursor.fail(token, expected_arguments(allowed & ~seen));
    }
    if ((seen & bit(spelling->argument)) != 0) return cursor.fail(token, "each argument once");
    seen |= bit(spelling->argument);
    const bool flag = spelling->text.back() != '=';
    const std::string_view text = flag ? token : token.substr(spelling->text.size());
    tokens[static_cast<u32>(spelling->argument)] = text;
    if (!parse_argument(spelling->argument, text, cursor, operation)) return false;
  }
  if (operation->kind != OperationKind::scan && operation->kind != OperationKind::scan_open) return true;
  if (operation->key > operation->key_end) {
    const bool has_to = (seen & bit(Argument::to)) != 0;
    const Argument wrong = has_to ? Argument::to : Argument::from;
    return cursor.fail(tokens[static_cast<u32>(wrong)], "from= not above to=");
  }
  return true;
}

// `verb name=number ...`: all of its numbers, in any order.
bool parse_call(const Alphabet& alphabet, std::string_view name, LineCursor& cursor, Operation* operation) {
  const Verb* verb = find_verb(alphabet, name);
  if (verb == nullptr) {
    const auto verb_name = [&](u32 i) { return alphabet.verbs[i].name; };
    const u32 count = static_cast<u32>(alphabet.verbs.size());
    return cursor.fail(name,
                       fmt::format("a verb of {}: {}", alphabet.workload, alternatives(count, verb_name)));
  }
  operation->kind = OperationKind::call;
  operation->verb = verb;
  const u32 count = verb->argument_count();
  u32 seen = 0;
  for (u32 given = 0; given < count; ++given) {
    const std::string_view token = cursor.next();
    const std::size_t equals = token.find('=');
    u32 i = 0;
    while (i < count && ((seen >> i & 1) != 0 || token.substr(0, equals) != verb->arguments[i].name)) ++i;
    if (i == count || equals == std::string_view::npos) {
      std::string missing;
      for (u32 j = 0; j < count; ++j) {
        if ((seen >> j & 1) == 0)
          missing += fmt::format("{}{}=", missing.empty() ? "" : " ", verb->arguments[j].name);
      }
      return cursor.fail(token, missing);
    }
    seen |= 1U << i;
    const std::string_view number = token.substr(equals + 1);
    const std::string expected = parse_number(number, 0, verb->arguments[i].max, &operation->arguments[i]);
    if (!expected.empty()) return cursor.fail(number, expected);
  }
  return cursor.end();
}

bool parse_changes(LineCursor& cursor, Operation* operation) {
  while (true) {
    const std::string_view token = cursor.next();
    if (token.empty()) return true;
    const std::size_t equals = token.find('=');
    const std::string_view name = token.substr(0, equals);
    const std::optional<u16> found = find_setting(name);
    if (!found) return cursor.fail(name, expected_setting(name));
    const Setting& setting = settings()[*found];
    if (setting.format) {
      return cursor.fail(name, "a run-time setting: this one is part of the data file and never changes");
    }
    if (!setting.reopenable)
      return cursor.fail(name, "a run-time setting of the engine: this one holds for the whole run");
    if (equals == std::string_view::npos) return cursor.fail(token.substr(token.size()), "= and a value");
    for (const SettingChange& change : operation->changes) {
      if (change.setting == *found) return cursor.fail(name, "each setting once");
    }
    const std::string_view text = token.substr(equals + 1);
    const SettingValue value = parse_setting(setting, text);
    if (!value.error.empty()) return cursor.fail(text, value.error);
    if (operation->changes.full()) return cursor.fail(name, "at most 8 settings");
    operation->changes.push({.setting = *found, .value = value.value});
  }
}

std::string parse_tag(std::string_view text, RequestName* request) {
  const std::size_t hash = text.find('#');
  const std::size_t open = text.substr(0, hash).find('(');
  const std::string_view name = text.substr(0, std::min(hash, open));
  u32 purpose = 0;
  while (purpose < io_purpose_count && name != io_purpose_name(static_cast<IoPurpose>(purpose))) ++purpose;
  if (purpose == io_purpose_count || hash == std::string_view::npos) {
    return "a request like 17/compact_write(3,2)#4";
  }
  u64 tree = 0;
  u64 level = 0;
  u64 n = 0;
  if (open != std::string_view::npos) {
    const std::string_view inside = text.substr(open + 1, hash - open - 1);
    const std::size_t comma = inside.find(',');
    if (comma == std::string_view::npos || !inside.ends_with(')') ||
        !parse_number(inside.substr(0, comma), 0, 0xffff, &tree).empty() ||
        !parse_number(inside.substr(comma + 1, inside.size() - comma - 2), 0, 0xff, &level).empty()) {
      return "a request with (tree,level) after its purpose, like 17/compact_write(3,2)#4";
    }
  }
  if (std::string expected = parse_number(text.substr(hash + 1), 0, 0xffffffff, &n); !expected.empty()) {
    return "a request like 17/compact_write(3,2)#4, after # " + expected;
  }
  request->tag = {.purpose = static_cast<IoPurpose>(purpose),
                  .level = static_cast<u8>(level),
                  .tree = static_cast<u16>(tree)};
  request->n = static_cast<u32>(n);
  return {};
}

}  // namespace

std::string parse_request_name(std::string_view text, RequestName* request) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return "a request like 17/compact_write(3,2)#4";
  const std::size_t second = text.find('/', slash + 1);
  const bool recovered = second != std::string_view::npos;
  OpId recovery;
  OpId op;
  if (recovered) {
    if (std::string expected = parse_op_id(text.substr(0, slash), &recovery); !expected.empty())
      return expected;
  }
  const std::string_view op_text =
      recovered ? text.substr(slash + 1, second - slash - 1) : text.substr(0, slash);
  const std::size_t at = recovered ? std::string_view::npos : op_text.find('@');
  const std::string_view id_text = op_text.substr(0, at);
  if (id_text != "0") {
    if (std::string expected = parse_op_id(id_text, &op); !expected.empty()) return expected;
  }
  request->recovery = recovery;
  request->attribution = attribution_of(op, recovery);
  if (at != std::string_view::npos) {
    const std::string expected =
        parse_number(op_text.substr(at + 1), 1, u64_max, &request->attribution.context);
    if (!expected.empty()) return "a request like 17/compact_write(3,2)#4, after @ " + expected;
  }
  return parse_tag(text.substr((recovered ? second : slash) + 1), request);
}

bool parse_operation(std::string_view first, LineCursor& cursor, const Alphabet* alphabet, const World& world,
                     Operation* operation) {
  std::string_view token = first;
  ASSERT(!token.empty());
  if (token[0] >= '0' && token[0] <= '9') {
    if (const std::string expected = parse_op_id(token, &operation->id); !expected.empty()) {
      return cursor.fail(token, expected);
    }
    token = cursor.next();
  }
  if (alphabet != nullptr) return parse_call(*alphabet, token, cursor, operation);
  if (!parse_kind(token, cursor, world, &operation->kind)) return false;
  if (operation->kind == OperationKind::reopen) return parse_changes(cursor, operation);
  if (about_objects(operation->kind, world)) return parse_object_line(cursor, world, operation);
  const bool grooves = world.groove_count > 0;
  const Grammar about = grammar_of(operation->kind, operation->tree, grooves);
  if (about.scan && !parse_slots(cursor, operation)) return false;
  if (about.tree && !parse_tree(cursor, world, &operation->tree)) return false;
  if (about.groove && !parse_groove(cursor, world, &operation->tree)) return false;
  if (about.query && !parse_query(cursor, operation->groove(), &operation->query)) return false;
  const Grammar grammar = grammar_of(operation->kind, operation->tree, grooves);
  if (grammar.request) {
    const std::string_view name = cursor.next();
    if (const std::string expected = parse_request_name(name, &operation->request); !expected.empty()) {
      return cursor.fail(name, expected);
    }
  }
  if (operation->kind == OperationKind::fault) return parse_fault(cursor, &operation->fault);
  const bool range = (grammar.optional & bit(Argument::to)) != 0;
  if (range) operation->key_end = key_max(operation->tree);
  if (operation->kind == OperationKind::query) operation->value = query_buffer_default;
  return parse_arguments(grammar, cursor, operation);
}

}  // namespace tonearm::sim
