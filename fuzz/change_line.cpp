#include "fuzz/change_line.h"

#include <algorithm>

#include "sim/scenario/fault_line.h"
#include "sim/workload/key_space.h"

namespace tonearm::sim {

namespace {

using K = OperationKind;

// Limits and what is beside them, and what is beside the number itself.
u64 near_number(u64 value, u64 max, u64 random) {
  const u64 more = remix(random, 1);
  switch (below(random, 8)) {
    case 0: return 0;
    case 1: return std::min<u64>(max, 1);
    case 2: return max;
    case 3: return max - below(more, std::min<u64>(max, 3) + 1);
    case 4: return value < max ? value + 1 : max;
    case 5: return value > 0 ? value - 1 : 0;
    case 6: return std::min(max, (u64{1} << below(more, 63)) - below(remix(more, 1), 2));
    default: return std::min(max, below(more, 16));
  }
}

bool names_key(const Operation& line) {
  switch (line.kind) {
    case K::put:
    case K::remove:
    case K::get:
    case K::scan:
    case K::scan_open:
    case K::scan_probe: return true;
    case K::insert:
    case K::update:
    case K::upsert:
    case K::orphan:
    case K::exists:
    case K::prefetch: return true;
    case K::commit:
    case K::checkpoint:
    case K::scope:
    case K::end:
    case K::crash:
    case K::reopen:
    case K::fault:
    case K::heal:
    case K::latency:
    case K::reseed:
    case K::call:
    case K::query:
    case K::page:
    case K::scan_next:
    case K::scan_abort:
    case K::scan_close: return false;
  }
  return false;
}

// Of a line about the same tree; its own if there is no other.
const Operation& other_line(const std::vector<Operation>& lines, const Operation& line, u64 random) {
  constexpr u32 tries = 16;
  for (u32 i = 0; i < tries; ++i) {
    const Operation& other = lines[below(remix(random, i), lines.size())];
    const bool alike =
        line.kind == K::call ? other.verb == line.verb : names_key(other) && other.tree == line.tree;
    if (alike && other.id != line.id) return other;
  }
  return line;
}

void change_key(const std::vector<Operation>& lines, Operation* line, u64 random) {
  const Operation& other = other_line(lines, *line, remix(random, 1));
  Key key = below(random, 4) == 0 ? other.key_end : other.key;
  const u64 how = below(remix(random, 2), 8);
  if (how < 3) key = KeySpace::neighbour(line->tree, key, how < 2);
  if (how == 3) key = key_max(line->tree);
  if (how == 4) key = Key{};
  const bool range = line->kind == K::scan || line->kind == K::scan_open;
  if (range && below(remix(random, 3), 2) == 0) {
    line->key_end = key;
  } else {
    line->key = key;
  }
  if (range && line->key_end < line->key) std::swap(line->key, line->key_end);
}

void change_fields(const std::vector<Operation>& lines, Operation* line, u64 random) {
  const std::span<const FieldSpec> fields = groove_spec(line->groove()).fields;
  const u32 field = static_cast<u32>(below(random, fields.size()));
  const Operation& other = other_line(lines, *line, remix(random, 1));
  u128 value = field_value(other, field);
  if (below(remix(random, 2), 3) == 0) {
    const u128 max = field_max(fields[field]);
    const u64 most = max > u64_max ? u64_max : static_cast<u64>(max);
    value = near_number(static_cast<u64>(value), most, remix(random, 3));
  }
  set_field(line, field, value);
  if (line->kind == K::update) line->named = static_cast<u16>(line->named | 1U << field);
}

void change_object(const std::vector<Operation>& lines, Operation* line, u64 random) {
  const bool fields = line->kind == K::insert || line->kind == K::update || line->kind == K::upsert;
  if (fields && below(random, 3) != 0) return change_fields(lines, line, remix(random, 1));
  change_key(lines, line, remix(random, 1));
}

void change_scan(const std::vector<Operation>& lines, Operation* line, u64 random) {
  switch (below(random, 6)) {
    case 0:
      line->direction =
          line->direction == Direction::ascending ? Direction::descending : Direction::ascending;
      return;
    case 1: line->cold = !line->cold; return;
    case 2: line->limit = static_cast<u32>(near_number(line->limit, 64, remix(random, 1))); return;
    default: break;
  }
  if (line->query.size == 0) return change_key(lines, line, remix(random, 2));
  // The predicates of another line, or how many objects fit into a buffer.
  const Operation& other = lines[below(remix(random, 3), lines.size())];
  if (other.query.size > 0 && other.tree == line->tree) line->query = other.query;
  if (line->kind == K::query) line->value = 1 + near_number(line->value - 1, 32, remix(random, 4));
}

void change_call(const std::vector<Operation>& lines, Operation* line, u64 random) {
  const u32 count = line->verb->argument_count();
  if (count == 0) return;
  const u32 i = static_cast<u32>(below(random, count));
  const u64 max = line->verb->arguments[i].max;
  u64 value = line->arguments[i];
  if (below(remix(random, 1), 3) == 0) {
    value = other_line(lines, *line, remix(random, 2)).arguments[i];
  } else if (below(remix(random, 1), 3) == 1) {
    value = below(remix(random, 4), max == u64_max ? max : max + 1);
  } else {
    value = near_number(value, max, remix(random, 3));
  }
  line->arguments[i] = std::min(value, max);
}

void change_crash(Operation* line, u64 random) {
  constexpr u64 steps = 300;
  switch (below(random, 4)) {
    case 0: line->superblock = !line->superblock; return;
    case 1: line->writes.clear(); return;
    default: line->count = near_number(line->count, steps, remix(random, 1)); return;
  }
}

// Any kind that a line may ask for. Every number of it means something for every request.
Fault drawn_fault(u64 random) {
  Fault fault;
  do {
    random = remix(random, 1);
    fault.kind = static_cast<FaultKind>(below(random, fault_kind_count));
  } while (decided_by_crash(fault.kind));
  if (fault.kind == FaultKind::rot || fault.kind == FaultKind::corrupt_transfer) {
    fault.shape = static_cast<RotShape>(below(remix(random, 2), rot_shape_count));
  }
  for (const FaultNumber& number : fault_numbers(fault)) {
    random = remix(random, 3);
    set_fault_number(&fault, number.name, number.least + below(random, number.name[0] == 't' ? 6 : 64));
  }
  return fault;
}

void change_fault(Operation* line, u64 random) {
  if (below(random, 3) == 0) {
    line->request.n = static_cast<u32>(near_number(line->request.n, 16, remix(random, 1)));
    return;
  }
  const std::vector<FaultNumber> numbers = fault_numbers(line->fault);
  if (numbers.empty() || below(random, 3) == 1) {
    line->fault = drawn_fault(random);
    return;
  }
  const FaultNumber& number = numbers[below(remix(random, 1), numbers.size())];
  constexpr u64 near_max = 64;  // Within the bounds of every number but the bits of places.
  set_fault_number(&line->fault, number.name,
                   std::max(number.least, near_number(std::min(number.value, near_max), near_max, random)));
}

}  // namespace

void change_line(Scenario* scenario, u64 at, u64 random) {
  const std::vector<Operation>& lines = scenario->operations;
  Operation& line = scenario->operations[at];
  constexpr u64 commits = 12, rows = 20;
  const u64 more = remix(random, 1);
  switch (line.kind) {
    case K::put:
    case K::remove:
      if (line.of_groove()) return change_object(lines, &line, more);
      if (below(random, 8) == 0) {
        line.kind = line.kind == K::put ? K::remove : K::put;
        line.value = tree_spec(line.tree).secondary_index || line.kind == K::remove ? 0 : 1;
        return;
      }
      return change_key(lines, &line, more);
    case K::get:
      if (below(random, 4) == 0 && !line.of_groove()) {
        line.cold = !line.cold;
        return;
      }
      return line.of_groove() ? change_object(lines, &line, more) : change_key(lines, &line, more);
    case K::scan:
    case K::scan_open:
    case K::query: return change_scan(lines, &line, more);
    case K::scan_probe: return change_key(lines, &line, more);
    case K::insert:
    case K::update:
    case K::upsert:
    case K::orphan:
    case K::exists:
    case K::prefetch: return change_object(lines, &line, more);
    case K::commit: line.count = 1 + near_number(line.count - 1, commits, more); return;
    case K::scan_next: line.count = 1 + near_number(line.count - 1, rows, more); return;
    case K::end: line.persist = !line.persist; return;
    case K::crash: return change_crash(&line, more);
    case K::fault: return change_fault(&line, more);
    case K::latency: line.count = near_number(line.count, 100'000, more); return;
    case K::reseed: line.value = more; return;
    case K::call: return change_call(lines, &line, more);
    case K::checkpoint:
    case K::heal:
    case K::scope:
    case K::reopen:
    case K::page:
    case K::scan_abort:
    case K::scan_close: return;
  }
}

Operation line_about_request(const Scenario& scenario, u64 random) {
  Operation line;
  reset(&line);
  if (find_alphabet(scenario.workload) != nullptr || scenario.operations.empty()) {
    return scenario.operations.empty() ? line : scenario.operations.front();
  }
  const Operation& cause = scenario.operations[below(random, scenario.operations.size())];
  line.id = {};
  line.request.attribution = attribution_of(cause.id, {});
  line.request.n = static_cast<u32>(below(remix(random, 2), 4));
  line.request.tag = {.purpose = static_cast<IoPurpose>(below(remix(random, 3), io_purpose_count)),
                      .level = static_cast<u8>(below(remix(random, 5), 3)),
                      .tree = static_cast<u16>(below(remix(random, 6), 5))};
  if (below(remix(random, 1), 2) == 0) {
    line.kind = K::fault;
    line.fault = drawn_fault(remix(random, 7));
    if (strikes_syncs(line.fault.kind)) line.request.tag = {.purpose = IoPurpose::checkpoint_sync};
    return line;
  }
  line.kind = K::latency;
  line.count = u64{1} << below(remix(random, 4), 18);
  return line;
}

}  // namespace tonearm::sim
