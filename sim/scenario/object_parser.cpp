// A line about an object is `groove key=... field=...`, the arguments in any order, each at most once.
#include <array>
#include <vector>

#include "base/assert.h"
#include "sim/scenario/line_cursor.h"

namespace tonearm::sim {

namespace {

// What the line may and must say. Fields are numbered as the groove does.
struct Grammar {
  bool id = false;         // Required, unless a timestamp may stand instead.
  bool timestamp = false;  // Required, unless an id may stand instead, or the line has its own.
  bool either = false;
  bool own = false;
  bool fields = false;
};

Grammar grammar_of(OperationKind kind, const GrooveSpec& groove) {
  switch (kind) {
    case OperationKind::insert:
    case OperationKind::upsert: return {.id = groove.has_id, .timestamp = true, .own = true, .fields = true};
    case OperationKind::update: return {.id = groove.has_id, .timestamp = !groove.has_id, .fields = true};
    case OperationKind::remove:
    case OperationKind::get: return {.id = groove.has_id, .timestamp = !groove.has_id};
    case OperationKind::orphan: return {.id = true};
    case OperationKind::exists: return {.timestamp = true};
    case OperationKind::prefetch: return {.id = groove.has_id, .timestamp = true, .either = groove.has_id};
    case OperationKind::put:
    case OperationKind::scan:
    case OperationKind::commit:
    case OperationKind::checkpoint:
    case OperationKind::scope:
    case OperationKind::end:
    case OperationKind::crash:
    case OperationKind::reopen:
    case OperationKind::fault:
    case OperationKind::heal:
    case OperationKind::reseed:
    case OperationKind::latency:
    case OperationKind::query:
    case OperationKind::page:
    case OperationKind::scan_open:
    case OperationKind::scan_next:
    case OperationKind::scan_probe:
    case OperationKind::scan_abort:
    case OperationKind::scan_close:
    case OperationKind::call: break;
  }
  UNREACHABLE();
}

class ObjectParser {
 public:
  ObjectParser(LineCursor& cursor, const GrooveSpec& groove, Operation* operation)
      : cursor_(&cursor),
        groove_(&groove),
        grammar_(grammar_of(operation->kind, groove)),
        operation_(operation) {}

  bool parse() {
    for (std::string_view token = cursor_->next();; token = cursor_->next()) {
      if (token.empty()) break;
      if (!parse_argument(token)) return false;
    }
    const std::string missing = expected(true);
    return missing.empty() || cursor_->fail(cursor_->next(), missing);
  }

 private:
  enum class What : u8 { nothing, id, timestamp, field };
  struct Target {
    What what = What::nothing;
    u32 field = 0;
  };

  // What the name in front of `=` means in this line.
  Target target_of(std::string_view name) const {
    if (name == "id" && grammar_.id && !(grammar_.either && timestamp_seen_)) return {.what = What::id};
    if (name == "timestamp" && grammar_.timestamp && !(grammar_.either && id_seen_)) {
      return {.what = What::timestamp};
    }
    for (u32 i = 0; grammar_.fields && i < groove_->fields.size(); ++i) {
      if (name == groove_->fields[i].name) return {.what = What::field, .field = i};
    }
    return {};
  }

  bool parse_argument(std::string_view token) {
    const std::size_t equals = token.find('=');
    const Target target = equals == std::string_view::npos ? Target{} : target_of(token.substr(0, equals));
    if (target.what == What::nothing) {
      const std::string more = expected(false);
      return cursor_->fail(token, more.empty() ? "the end of the line" : more);
    }
    bool& seen = target.what == What::id          ? id_seen_
                 : target.what == What::timestamp ? timestamp_seen_
                                                  : fields_seen_[target.field];
    if (seen) return cursor_->fail(token, "each argument once");
    seen = true;
    const u128 max = target.what == What::id          ? u128_max
                     : target.what == What::timestamp ? u64_max
                                                      : field_max(groove_->fields[target.field]);
    u128 number = 0;
    const std::string_view text = token.substr(equals + 1);
    if (const std::string wrong = parse_wide_number(text, max, &number); !wrong.empty()) {
      return cursor_->fail(text, wrong);
    }
    if (target.what == What::id) {
      operation_->key = Key::of(number);
    } else if (target.what == What::timestamp) {
      take_timestamp(static_cast<u64>(number));
    } else {
      set_field(operation_, target.field, number);
      if (operation_->kind == OperationKind::update)
        operation_->named |= static_cast<u16>(1U << target.field);
    }
    return true;
  }

  void take_timestamp(u64 timestamp) {
    operation_->timestamped = grammar_.own || grammar_.either;
    if (grammar_.own) {
      operation_->value = timestamp;
    } else {
      operation_->key = Key::of(timestamp);
    }
  }

  // What may still come; `required`: what must.
  std::string expected(bool required) const {
    std::vector<std::string> names;
    const bool key_seen = id_seen_ || timestamp_seen_;
    if (grammar_.id && !id_seen_ && !(grammar_.either && key_seen)) names.push_back("id=");
    const bool timestamp = grammar_.timestamp && !timestamp_seen_ && !(grammar_.either && key_seen);
    if (timestamp && !(required && grammar_.own)) names.push_back("timestamp=");
    for (u32 i = 0; grammar_.fields && !required && i < groove_->fields.size(); ++i) {
      if (!fields_seen_[i]) names.push_back(std::string(groove_->fields[i].name) + "=");
    }
    return alternatives(static_cast<u32>(names.size()), [&](u32 i) { return names[i]; });
  }

  LineCursor* cursor_;
  const GrooveSpec* groove_;
  Grammar grammar_;
  Operation* operation_;
  bool id_seen_ = false;
  bool timestamp_seen_ = false;
  std::array<bool, fields_max> fields_seen_{};
};

}  // namespace

bool parse_object_line(LineCursor& cursor, const World& world, Operation* operation) {
  const std::string_view token = cursor.next();
  std::vector<const GrooveSpec*> grooves;
  for (u32 i = 0; i < world.groove_count; ++i) {
    const GrooveSpec& groove = groove_spec(world.groove(i));
    if (operation->kind != OperationKind::orphan || groove.orphans) grooves.push_back(&groove);
  }
  for (const GrooveSpec* groove : grooves) {
    if (token != groove->name) continue;
    operation->tree = groove->objects;
    return ObjectParser(cursor, *groove, operation).parse();
  }
  if (grooves.empty()) return cursor.fail(token, "a groove with orphaned ids, which this world has not");
  const auto name = [&](u32 i) { return grooves[i]->name; };
  return cursor.fail(token, "a groove: " + alternatives(static_cast<u32>(grooves.size()), name));
}

}  // namespace tonearm::sim
