#include "sim/scenario/number.h"

#include <fmt/format.h>

#include <charconv>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

enum class Problem : u8 { none, syntax, leading_zero, overflow };

u32 digit_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<u32>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<u32>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<u32>(c - 'A') + 10;
  return 99;
}

// Looks at every character even after an overflow: `99999...x` is no number at all.
Problem scan_digits(std::string_view digits, u32 base, u128* value) {
  const u128 limit = u128_max / base;
  bool overflow = false;
  u128 result = 0;
  for (const char c : digits) {
    const u32 digit = digit_value(c);
    if (digit >= base) return Problem::syntax;
    overflow = overflow || result > limit || result * base > u128_max - digit;
    if (!overflow) result = result * base + digit;
  }
  *value = result;
  return overflow ? Problem::overflow : Problem::none;
}

Problem scan(std::string_view text, u128* value) {
  if (text.empty()) return Problem::syntax;
  if (text.size() > 2 && text[0] == '0' && text[1] == 'x') return scan_digits(text.substr(2), 16, value);
  if (text.size() <= 18) {  // Nearly always: too short to overflow even 64 bits.
    u64 result = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return Problem::syntax;
      result = result * 10 + static_cast<u64>(c - '0');
    }
    *value = result;
  } else if (const Problem problem = scan_digits(text, 10, value); problem != Problem::none) {
    return problem;
  }
  return text[0] == '0' && text.size() > 1 ? Problem::leading_zero : Problem::none;
}

std::string expected_number(Problem problem, u128 min, u128 max) {
  if (problem == Problem::leading_zero) return "a number without leading zeros (there is no octal)";
  return fmt::format("a number from {} to {}", number_text(min), number_text(max));
}

}  // namespace

std::string parse_number(std::string_view text, u64 min, u64 max, u64* value) {
  ASSERT(min <= max);
  u128 wide = 0;
  const Problem problem = scan(text, &wide);
  if (problem != Problem::none || wide < min || wide > max) return expected_number(problem, min, max);
  *value = static_cast<u64>(wide);
  return {};
}

std::string parse_wide_number(std::string_view text, u128 max, u128* value) {
  u128 wide = 0;
  const Problem problem = scan(text, &wide);
  if (problem != Problem::none || wide > max) return expected_number(problem, 0, max);
  *value = wide;
  return {};
}

void append_number(u128 value, std::string* target) {
  char buffer[40];
  char* end = buffer;
  if (value <= u64_max) {
    end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<u64>(value)).ptr;
  } else {
    target->append("0x");
    end = fmt::format_to(buffer, "{:x}{:016x}", static_cast<u64>(value >> 64), static_cast<u64>(value));
  }
  target->append(buffer, static_cast<std::size_t>(end - buffer));
}

std::string number_text(u128 value) {
  std::string text;
  append_number(value, &text);
  return text;
}

std::string quoted(std::string_view token) {
  constexpr std::size_t shown_max = 40;
  std::string text = "`";
  for (const char c : token.substr(0, shown_max)) {
    const u8 byte = static_cast<u8>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", byte);
    }
  }
  text += token.size() > shown_max ? "...`" : "`";
  return text;
}

}  // namespace tonearm::sim
