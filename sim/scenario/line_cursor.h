// One line of a scenario, token by token, with the error that ends the parse.
//
// Tokens are separated by spaces and tabs; one that begins with `#` begins a comment. All views point
// into the text, so that the place of any part of a token is known when it turns out to be wrong.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "sim/scenario/number.h"
#include "sim/scenario/scenario.h"

namespace tonearm::sim {

class LineCursor {
 public:
  LineCursor(std::string_view line, u32 number, ScenarioError* error)
      : line_(line), number_(number), error_(error) {}

  // Empty at the end of the line.
  std::string_view next() {
    skip_space();
    const std::size_t begin = at_;
    if (begin == line_.size() || line_[begin] == '#') return line_.substr(begin, 0);
    while (at_ < line_.size() && !space(line_[at_])) ++at_;
    return line_.substr(begin, at_ - begin);
  }

  // A word of a query: white space, parentheses and operators end it; each of these is a word, too.
  std::string_view next_word() {
    skip_space();
    const std::size_t begin = at_;
    if (begin == line_.size() || line_[begin] == '#') return line_.substr(begin, 0);
    if (mark(line_[at_])) {
      ++at_;
    } else {
      while (at_ < line_.size() && !space(line_[at_]) && !mark(line_[at_])) ++at_;
    }
    return line_.substr(begin, at_ - begin);
  }
  std::string_view peek_word() {
    const std::size_t at = at_;
    const std::string_view word = next_word();
    at_ = at;
    return word;
  }

  // All that follows, comment signs included, without the white space around it.
  std::string_view rest() {
    skip_space();
    std::size_t end = line_.size();
    while (end > at_ && space(line_[end - 1])) --end;
    const std::string_view text = line_.substr(at_, end - at_);
    at_ = line_.size();
    return text;
  }

  bool end() {
    const std::string_view token = next();
    return token.empty() || fail(token, "the end of the line");
  }

  // All return false, for `return cursor.fail(...)`. The token is a view into the line.
  bool fail(std::string_view token, std::string_view expected) {
    return refuse(token, fmt::format("found {}, expected {}", token.empty() ? nothing(token) : quoted(token),
                                     expected));
  }
  bool refuse(std::string_view token, std::string message) {
    *error_ = {.line = number_, .column = column(token), .message = std::move(message)};
    return false;
  }

  u32 number() const { return number_; }
  u32 column(std::string_view token) const { return static_cast<u32>(token.data() - line_.data()) + 1; }

 private:
  static bool space(char c) { return c == ' ' || c == '\t'; }
  static bool mark(char c) { return c == '(' || c == ')' || c == '&' || c == '|' || c == '-'; }

  void skip_space() {
    while (at_ < line_.size() && space(line_[at_])) ++at_;
  }

  std::string nothing(std::string_view token) const {
    LineCursor from_there(line_.substr(static_cast<std::size_t>(token.data() - line_.data())), 0, nullptr);
    return from_there.next().empty() ? "the end of the line" : "nothing";
  }

  std::string_view line_;
  std::size_t at_ = 0;
  u32 number_;
  ScenarioError* error_;
};

// The line of an operation whose first token was read already; operation_parser.cpp. `alphabet`: of a
// component workload, else null.
bool parse_operation(std::string_view first, LineCursor& cursor, const Alphabet* alphabet, const World& world,
                     Operation* operation);

// What follows the kind of a line about an object: groove, key, fields; object_parser.cpp.
bool parse_object_line(LineCursor& cursor, const World& world, Operation* operation);

// What follows the groove of a `query` or `scan_open` line, up to the first word that is no operator;
// query_parser.cpp.
bool parse_query(LineCursor& cursor, GrooveName groove, Query* query);

// "a, b or c" over names(0), names(1), ...
template <class Names>
std::string alternatives(u32 count, const Names& names) {
  std::string text;
  for (u32 i = 0; i < count; ++i) {
    text += i == 0 ? "" : i + 1 == count ? " or " : ", ";
    text += names(i);
  }
  return text;
}

}  // namespace tonearm::sim
