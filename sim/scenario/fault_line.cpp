#include "sim/scenario/fault_line.h"

#include <array>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr std::string_view failed_sync_word = "fail";
constexpr std::string_view superblock_word = "superblock";
constexpr u64 place_max = u64{1} << 40;
constexpr u64 times_limit = 1000;

enum class Number : u8 { times, mix, at, to, mask, sectors };
struct NumberSpec {
  const char* name;
  u64 least, max;
};
constexpr std::array<NumberSpec, 6> specs{{{"times", 1, times_limit},
                                           {"mix", 0, u64_max},
                                           {"at", 0, place_max},
                                           {"to", 0, place_max},
                                           {"mask", 0, 0xff},
                                           {"sectors", 0, fault_sectors_max}}};
const NumberSpec& spec_of(Number number) { return specs[static_cast<u32>(number)]; }

constexpr u32 bit(Number number) { return 1U << static_cast<u32>(number); }

bool has_shape(FaultKind kind) { return kind == FaultKind::rot || kind == FaultKind::corrupt_transfer; }
bool misdirected(FaultKind kind) {
  return kind == FaultKind::misdirected_write || kind == FaultKind::misdirected_read;
}

u32 numbers_of_shape(RotShape shape) {
  switch (shape) {
    case RotShape::bit:
    case RotShape::truncated: return bit(Number::at);
    case RotShape::byte: return bit(Number::at) | bit(Number::mask);
    case RotShape::zeroed:
    case RotShape::ones: return bit(Number::at) | bit(Number::sectors);
    case RotShape::swapped:
    case RotShape::other_block: return bit(Number::at) | bit(Number::to);
  }
  UNREACHABLE();
}

u32 numbers_of(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::read_error: return bit(Number::times);
    case FaultKind::write_error: return bit(Number::times) | bit(Number::mix);
    case FaultKind::unreadable: return bit(Number::at) | bit(Number::sectors);
    case FaultKind::misdirected_write:
    case FaultKind::misdirected_read: return bit(Number::to);
    case FaultKind::corrupt_transfer:
    case FaultKind::rot: return numbers_of_shape(fault.shape);
    case FaultKind::failed_sync:
    case FaultKind::torn_write:
    case FaultKind::lost_at_crash:
    case FaultKind::lying_sync:
    case FaultKind::lost_write:
    case FaultKind::stale_read: return 0;
  }
  UNREACHABLE();
}

u64 get(const Fault& fault, Number number) {
  switch (number) {
    case Number::times: return fault.times == 0 ? 1 : fault.times;
    case Number::mix: return fault.random;
    case Number::at: return fault.at;
    case Number::to: return fault.to;
    case Number::mask: return fault.mask;
    case Number::sectors: return fault.sectors;
  }
  UNREACHABLE();
}

void set(Fault* fault, Number number, u64 value) {
  switch (number) {
    case Number::times: fault->times = static_cast<u32>(value); return;
    case Number::mix: fault->random = value; return;
    case Number::at: fault->at = value; return;
    case Number::to: fault->to = value; return;
    case Number::mask: fault->mask = static_cast<u8>(value); return;
    case Number::sectors: fault->sectors = static_cast<u32>(value); return;
  }
  UNREACHABLE();
}

std::string_view kind_word(FaultKind kind) {
  return kind == FaultKind::failed_sync ? failed_sync_word : std::string_view(fault_kind_name(kind));
}

bool parse_kind(LineCursor& cursor, FaultKind* kind) {
  const std::string_view token = cursor.next();
  std::array<std::string_view, fault_kind_count> words;
  u32 count = 0;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind each = static_cast<FaultKind>(i);
    if (decided_by_crash(each)) continue;
    if (token == kind_word(each)) {
      *kind = each;
      return true;
    }
    words[count++] = kind_word(each);
  }
  return cursor.fail(token, "a fault: " + alternatives(count, [&](u32 i) { return words[i]; }));
}

bool parse_shape(LineCursor& cursor, RotShape* shape) {
  const std::string_view token = cursor.next();
  const auto name = [](u32 i) { return rot_shape_name(static_cast<RotShape>(i)); };
  for (u32 i = 0; i < rot_shape_count; ++i) {
    if (token != name(i)) continue;
    *shape = static_cast<RotShape>(i);
    return true;
  }
  return cursor.fail(token, "a shape: " + alternatives(rot_shape_count, name));
}

std::string expected_words(u32 numbers, bool superblock) {
  std::vector<std::string> words;
  for (u32 i = 0; i < specs.size(); ++i) {
    if ((numbers >> i & 1) != 0) words.push_back(std::string(specs[i].name) + "=");
  }
  if (superblock) words.emplace_back(superblock_word);
  if (words.empty()) return "the end of the line";
  return alternatives(static_cast<u32>(words.size()), [&](u32 i) { return words[i]; });
}

}  // namespace

void print_fault(const Fault& fault, std::string* target) {
  target->append(" ").append(kind_word(fault.kind));
  if (has_shape(fault.kind)) target->append(" ").append(rot_shape_name(fault.shape));
  const u32 numbers = numbers_of(fault);
  for (u32 i = 0; i < specs.size(); ++i) {
    const Number number = static_cast<Number>(i);
    const u64 value = get(fault, number);
    if ((numbers & bit(number)) == 0 || value == spec_of(number).least) continue;
    target->append(" ").append(spec_of(number).name).append("=");
    if (number == Number::mix) {
      target->append(fmt::format("{:#x}", value));
    } else {
      append_number(value, target);
    }
  }
  if (misdirected(fault.kind) && fault.superblock) target->append(" ").append(superblock_word);
}

bool parse_fault(LineCursor& cursor, Fault* fault) {
  if (!parse_kind(cursor, &fault->kind)) return false;
  if (has_shape(fault->kind) && !parse_shape(cursor, &fault->shape)) return false;
  u32 left = numbers_of(*fault);
  if ((left & bit(Number::times)) != 0) fault->times = 1;
  bool superblock = misdirected(fault->kind);
  while (true) {
    const std::string_view token = cursor.next();
    if (token.empty()) return true;
    if (superblock && token == superblock_word) {
      superblock = false;
      fault->superblock = true;
      continue;
    }
    const std::size_t equals = token.find('=');
    u32 i = 0;
    while (i < specs.size() && ((left >> i & 1) == 0 || token.substr(0, equals) != specs[i].name)) ++i;
    if (i == specs.size() || equals == std::string_view::npos) {
      return cursor.fail(token, expected_words(left, superblock));
    }
    left &= ~(1U << i);
    u64 value = 0;
    const std::string_view text = token.substr(equals + 1);
    if (const std::string wrong = parse_number(text, specs[i].least, specs[i].max, &value); !wrong.empty()) {
      return cursor.fail(text, wrong);
    }
    set(fault, static_cast<Number>(i), value);
  }
}

std::vector<FaultNumber> fault_numbers(const Fault& fault) {
  std::vector<FaultNumber> numbers;
  for (u32 i = 0; i < specs.size(); ++i) {
    const Number number = static_cast<Number>(i);
    if ((numbers_of(fault) & bit(number)) == 0) continue;
    numbers.push_back({.name = specs[i].name, .value = get(fault, number), .least = specs[i].least});
  }
  return numbers;
}

void set_fault_number(Fault* fault, std::string_view name, u64 value) {
  for (u32 i = 0; i < specs.size(); ++i) {
    if (name == specs[i].name) return set(fault, static_cast<Number>(i), value);
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
