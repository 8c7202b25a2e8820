#include "sim/shrink/simpler.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "sim/scenario/fault_line.h"
#include "sim/shrink/simpler_query.h"

namespace tonearm::sim {

namespace {

// Adds a copy of the line that `change` has changed, unless it meant nothing.
class Forms {
 public:
  Forms(const Operation& line, std::vector<Operation>* forms) : line_(line), forms_(forms) {}

  template <class Change>
  void add(Change&& change) {
    Operation form = line_;
    change(form);
    if (text(form) != text(line_)) forms_->push_back(form);
  }
  // `member` smaller: the least it may be, half of what is above that; one less only if it is small, so
  // that a number takes few steps.
  template <class Member>
  void smaller(Member Operation::*member, Member least) {
    smaller_by(line_.*member, least,
               [&](Operation& form, u64 value) { form.*member = static_cast<Member>(value); });
  }
  template <class Set>
  void smaller_by(u64 value, u64 least, Set&& set) {
    if (value <= least) return;
    constexpr u64 small = 32;
    u64 last = value;
    const u64 one_less = value - least <= small ? value - 1 : last;
    for (const u64 tried : {least, least + (value - least) / 2, one_less}) {
      if (tried >= value || tried == last) continue;
      last = tried;
      add([&](Operation& form) { set(form, tried); });
    }
  }

 private:
  static std::string text(const Operation& line) {
    std::string target;
    print_operation(line, &target);
    return target;
  }

  const Operation& line_;
  std::vector<Operation>* forms_;
};

void simpler_object(const Operation& line, Forms& forms) {
  const GrooveSpec& groove = groove_spec(line.groove());
  if (line.timestamped && line.kind != OperationKind::prefetch) {
    forms.add([](Operation& form) {
      form.timestamped = false;
      form.value = 0;
    });
  }
  const bool names_fields = line.kind == OperationKind::insert || line.kind == OperationKind::update ||
                            line.kind == OperationKind::upsert;
  if (!names_fields) return;
  for (u32 i = 0; i < groove.fields.size(); ++i) {
    const bool named = line.kind != OperationKind::update || (line.named >> i & 1) != 0;
    if (!named) continue;
    if (line.kind == OperationKind::update && (line.named & (line.named - 1)) != 0) {
      forms.add([i](Operation& form) {
        form.named = static_cast<u16>(form.named & ~(1U << i));
        set_field(&form, i, 0);
      });
    }
    if (field_value(line, i) > 1) forms.add([i](Operation& form) { set_field(&form, i, 1); });
    if (field_value(line, i) > 0) forms.add([i](Operation& form) { set_field(&form, i, 0); });
  }
}

void simpler_crash(const Operation& line, Forms& forms) {
  if (line.superblock) forms.add([](Operation& form) { form.superblock = false; });
  if (line.at_end) forms.add([](Operation& form) { form.at_end = false; });
  if (line.writes.count() > 0) forms.add([](Operation& form) { form.writes.clear(); });
  // By the order in which they are declared.
  for (u32 i = 0; i < line.writes.count(); ++i) {
    for (const CrashOutcome outcome : {CrashOutcome::lost, CrashOutcome::landed}) {
      if (line.writes[i].outcome <= outcome) continue;
      forms.add(
          [&](Operation& form) { form.writes[i] = {.write = line.writes[i].write, .outcome = outcome}; });
    }
  }
  forms.smaller(&Operation::count, u64{0});
}

// A bit is the least that can be wrong; its shape is never left again.
void simpler_fault(const Operation& line, Forms& forms) {
  const bool shaped = line.fault.kind == FaultKind::rot || line.fault.kind == FaultKind::corrupt_transfer;
  if (shaped && line.fault.shape != RotShape::bit) {
    forms.add([](Operation& form) {
      form.fault = {.kind = form.fault.kind, .shape = RotShape::bit, .at = form.fault.at * 8};
    });
  }
  if (line.fault.superblock) forms.add([](Operation& form) { form.fault.superblock = false; });
  for (const FaultNumber& number : fault_numbers(line.fault)) {
    forms.smaller_by(number.value, number.least,
                     [&](Operation& form, u64 value) { set_fault_number(&form.fault, number.name, value); });
  }
}

void simpler_reopen(const Operation& line, Forms& forms) {
  for (u32 dropped = 0; dropped < line.changes.count(); ++dropped) {
    forms.add([&](Operation& form) {
      form.changes.clear();
      for (u32 i = 0; i < line.changes.count(); ++i) {
        if (i != dropped) form.changes.push(line.changes[i]);
      }
    });
  }
}

void simpler_scan(const Operation& line, Forms& forms) {
  if (line.limit != 0) forms.add([](Operation& form) { form.limit = 0; });
  if (line.direction == Direction::descending) {
    forms.add([](Operation& form) { form.direction = Direction::ascending; });
  }
  if (line.query.size > 0) {
    for (const Query& query : simpler_queries(line.groove(), line.query)) {
      forms.add([&](Operation& form) { form.query = query; });
    }
    return;
  }
  forms.add([](Operation& form) { form.key = {}; });
  forms.add([](Operation& form) { form.key_end = key_max(form.tree); });
}

void simpler_next(const Operation& line, Forms& forms) {
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    const u16 others = static_cast<u16>(line.slots & ~(1U << slot));
    if (others != 0 && others != line.slots) forms.add([&](Operation& form) { form.slots = others; });
  }
  forms.smaller(&Operation::count, u64{1});
}

bool asks_range(const Operation& line) {
  return line.kind == OperationKind::scan || line.kind == OperationKind::query ||
         line.kind == OperationKind::scan_open;
}

// The numbers of one kind that stand in the lines, and what they become.
class Ranks {
 public:
  void note(u128 number) { ranks_[number] = 0; }
  void rank(u128 first) {
    for (auto& [number, rank] : ranks_) rank = first++;
  }
  // Ends of ranges stand between the numbers, and limits of a type have a meaning of their own.
  u128 of(u128 number) const {
    const auto at = ranks_.find(number);
    ASSERT(at != ranks_.end());
    return at->second;
  }

 private:
  std::map<u128, u128> ranks_;
};

bool has_range(const Operation& line) { return asks_range(line) && line.query.size == 0; }

bool of_tree(const Operation& line) {
  if (has_range(line)) return true;
  if (line.kind == OperationKind::scan_probe) return tree_spec(line.tree).groove == GrooveName::none;
  const bool of_key = line.kind == OperationKind::put || line.kind == OperationKind::remove ||
                      line.kind == OperationKind::get;
  return of_key && !line.of_groove();
}

// A key of a tree in its two numbers: a field and a timestamp, where it has both.
struct KeyParts {
  u128 major = 0;
  u128 minor = 0;
};
KeyParts parts_of(TreeName tree, const Key& key) {
  switch (tree_spec(tree).shape) {
    case KeyShape::index: return {.major = key.lo >> 64, .minor = static_cast<u64>(key.lo)};
    case KeyShape::wide_index: return {.major = key.hi, .minor = key.lo};
    case KeyShape::number:
    case KeyShape::wide_number:
    case KeyShape::timestamp: return {.major = 0, .minor = key.lo};
  }
  UNREACHABLE();
}
Key key_of(TreeName tree, const KeyParts& parts) {
  switch (tree_spec(tree).shape) {
    case KeyShape::index: return Key::of(parts.major << 64 | parts.minor);
    case KeyShape::wide_index: return {.lo = parts.minor, .hi = parts.major};
    case KeyShape::number:
    case KeyShape::wide_number:
    case KeyShape::timestamp: return Key::of(parts.minor);
  }
  UNREACHABLE();
}

// Of every tree that lines name by itself.
std::vector<Operation> small_keys(const std::vector<Operation>& lines) {
  std::array<Ranks, tree_names_max> majors;
  std::array<Ranks, tree_names_max> minors;
  const auto each_key = [&](auto&& visit, auto& line) {
    if (!of_tree(line)) return;
    const u32 tree = static_cast<u32>(line.tree);
    // A range from or to the end of the tree stays one.
    if (line.key != Key{}) visit(tree, line.tree, line.key);
    if (has_range(line) && line.key_end != key_max(line.tree)) {
      visit(tree, line.tree, line.key_end);
    }
  };
  for (const Operation& line : lines) {
    each_key(
        [&](u32 tree, TreeName name, const Key& key) {
          majors[tree].note(parts_of(name, key).major);
          minors[tree].note(parts_of(name, key).minor);
        },
        line);
  }
  for (Ranks& ranks : majors) ranks.rank(0);
  for (Ranks& ranks : minors) ranks.rank(1);
  std::vector<Operation> small = lines;
  for (Operation& line : small) {
    each_key(
        [&](u32 tree, TreeName name, Key& key) {
          const KeyParts parts = parts_of(name, key);
          key = key_of(name, {.major = majors[tree].of(parts.major), .minor = minors[tree].of(parts.minor)});
        },
        line);
  }
  return small;
}

void each_end(const Operation& line, const VisitEnd& visit) {
  if (line.query.size == 0) return;
  QueryTree tree = decode_query(line.groove(), line.query);
  each_range_end(&tree, visit);
}
void change_ends(Operation* line, const VisitEnd& visit) {
  if (line->query.size == 0) return;
  QueryTree tree = decode_query(line->groove(), line->query);
  each_range_end(&tree, visit);
  const bool fits = encode_query(tree, &line->query);
  ASSERT(fits);  // Smaller numbers take no more bytes.
}

// Ids of objects.
std::vector<Operation> small_ids(const std::vector<Operation>& lines) {
  std::array<Ranks, groove_count> ranks;
  const auto by_key = [](const Operation& line) {
    return line.of_groove() && groove_spec(line.groove()).has_id && line.key.lo != u128_max &&
           line.key.lo != 0;
  };
  const auto is_id = [](TreeName tree) { return query_name(tree) == "id"; };
  for (const Operation& line : lines) {
    Ranks& of_groove = ranks[static_cast<u32>(tree_spec(line.tree).groove) % groove_count];
    if (by_key(line)) of_groove.note(line.key.lo);
    each_end(line, [&](TreeName tree, u128* end) {
      if (is_id(tree)) of_groove.note(*end);
    });
  }
  for (Ranks& each : ranks) each.rank(1);
  std::vector<Operation> small = lines;
  for (Operation& line : small) {
    const Ranks& of_groove = ranks[static_cast<u32>(tree_spec(line.tree).groove) % groove_count];
    if (by_key(line)) line.key = Key::of(of_groove.of(line.key.lo));
    change_ends(&line, [&](TreeName tree, u128* end) {
      if (is_id(tree)) *end = of_groove.of(*end);
    });
  }
  return small;
}

std::vector<Operation> small_values(const std::vector<Operation>& lines) {
  std::vector<Operation> small = lines;
  u64 next = 0;
  for (Operation& line : small) {
    if (line.kind == OperationKind::put && line.value != 0) line.value = ++next;
  }
  return small;
}

// The values of each field of each groove, in their order; zero stays.
std::vector<Operation> small_fields(const std::vector<Operation>& lines) {
  std::array<std::array<Ranks, fields_max>, groove_count> ranks;
  const auto names_fields = [](const Operation& line) {
    return line.kind == OperationKind::insert || line.kind == OperationKind::update ||
           line.kind == OperationKind::upsert;
  };
  // The place of a field among those of its groove; fields_max: the tree is no index of one.
  const auto field_of = [](TreeName tree) {
    const std::span<const FieldSpec> fields = groove_spec(tree_spec(tree).groove).fields;
    const auto named = [&](const FieldSpec& field) { return query_name(tree) == field.name; };
    const auto at = std::find_if(fields.begin(), fields.end(), named);
    return at == fields.end() ? fields_max : static_cast<u32>(at - fields.begin());
  };
  for (const Operation& line : lines) {
    const u32 groove = static_cast<u32>(tree_spec(line.tree).groove);
    each_end(line, [&](TreeName tree, u128* end) {
      if (const u32 field = field_of(tree); field < fields_max) ranks[groove][field].note(*end);
    });
    if (!names_fields(line)) continue;
    for (u32 i = 0; i < groove_spec(line.groove()).fields.size(); ++i) {
      if (field_value(line, i) != 0) ranks[groove][i].note(field_value(line, i));
    }
  }
  for (auto& groove : ranks) {
    for (Ranks& field : groove) field.rank(1);
  }
  std::vector<Operation> small = lines;
  for (Operation& line : small) {
    const u32 groove = static_cast<u32>(tree_spec(line.tree).groove);
    change_ends(&line, [&](TreeName tree, u128* end) {
      if (const u32 field = field_of(tree); field < fields_max) *end = ranks[groove][field].of(*end);
    });
    if (!names_fields(line)) continue;
    for (u32 i = 0; i < groove_spec(line.groove()).fields.size(); ++i) {
      const u128 value = field_value(line, i);
      if (value != 0) set_field(&line, i, ranks[groove][i].of(value));
    }
  }
  return small;
}

}  // namespace

std::vector<Operation> simpler_lines(const Operation& line) {
  std::vector<Operation> simpler;
  Forms forms(line, &simpler);
  if (line.kind == OperationKind::commit) forms.smaller(&Operation::count, u64{1});
  if (line.kind == OperationKind::fault) simpler_fault(line, forms);
  if (line.kind == OperationKind::latency) forms.smaller(&Operation::count, u64{0});
  if (line.kind == OperationKind::crash) simpler_crash(line, forms);
  if (line.kind == OperationKind::reopen) simpler_reopen(line, forms);
  if (line.kind == OperationKind::call) {
    for (u32 i = 0; i < line.verb->argument_count(); ++i) {
      forms.smaller_by(line.arguments[i], 0, [i](Operation& form, u64 value) { form.arguments[i] = value; });
    }
  }
  if (line.cold) forms.add([](Operation& form) { form.cold = false; });
  if (asks_range(line)) simpler_scan(line, forms);
  if (line.kind == OperationKind::scan_next) simpler_next(line, forms);
  if (line.of_groove()) simpler_object(line, forms);
  return simpler;
}

std::vector<std::vector<Operation>> small_numbers(const std::vector<Operation>& lines) {
  std::vector<std::vector<Operation>> forms;
  forms.push_back(small_fields(small_values(small_ids(small_keys(lines)))));
  forms.push_back(small_keys(lines));
  forms.push_back(small_ids(lines));
  forms.push_back(small_values(lines));
  forms.push_back(small_fields(lines));
  return forms;
}

}  // namespace tonearm::sim
