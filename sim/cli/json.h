// JSON of everything that is not a single verdict. Only json.cpp knows the library.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/types.h"

namespace tonearm::sim {

// One flat object in the order given; a nested object is one more list.
struct JsonField;
using JsonFields = std::vector<JsonField>;
struct JsonField {
  std::string name;
  std::variant<std::string, u64, bool, JsonFields, std::vector<JsonFields>> value;
};
std::string json_text(const JsonFields& fields);  // One line, without a newline.
std::string json_text(const std::vector<JsonFields>& list);

}  // namespace tonearm::sim
