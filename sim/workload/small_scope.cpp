#include "sim/workload/small_scope.h"

#include <string>
#include <variant>

#include "base/assert.h"
#include "sim/scenario/scenario.h"

namespace tonearm::sim {

namespace {

// Keys: 2 is in the middle of what starts hold, 20 greater than all of it.
constexpr const char* tree_lines =
    "put kv key=2 value=7\n"
    "put kv key=20 value=7\n"
    "remove kv key=2\n"
    "put index key=1/2\n"
    "remove index key=1/2\n"
    "commit\n"
    "checkpoint\n"
    "scope\n"
    "end discard\n"
    "end persist\n";

constexpr const char* groove_lines =
    "insert notes id=2 author=1 pinned=1 topic=2\n"
    "insert notes id=20 author=2 topic=20\n"
    "update notes id=2 author=3 pinned=0\n"
    "remove notes id=2\n"
    "orphan notes id=20\n"
    "commit\n"
    "checkpoint\n"
    "scope\n"
    "end discard\n"
    "end persist\n";

bool opens(const Operation& line) { return line.kind == OperationKind::scope; }
bool closes(const Operation& line) {
  // Each of these ends the scope that is open, or forgets it.
  return line.kind == OperationKind::end || line.kind == OperationKind::commit ||
         line.kind == OperationKind::checkpoint || line.kind == OperationKind::crash ||
         line.kind == OperationKind::reopen;
}

}  // namespace

std::vector<Operation> small_scope_alphabet(std::string_view workload) {
  const bool tree = workload == "tree";
  if (!tree && workload != "groove") return {};
  const std::string text = "tonearm 1\nworkload " + std::string(workload) + "\n" +
                           (tree ? "" : "set groove=notes\n") + "---\n" + (tree ? tree_lines : groove_lines);
  std::variant<Scenario, ScenarioError> parsed = parse_scenario(text);
  ASSERT(std::holds_alternative<Scenario>(parsed));
  std::vector<Operation> lines = std::move(std::get<Scenario>(parsed).operations);
  for (Operation& line : lines) line.id = {};
  return lines;
}

bool leaves_scope(std::span<const Operation> lines) {
  bool open = false;
  for (const Operation& line : lines) open = opens(line) || (open && !closes(line));
  return open;
}

std::vector<SmallProgram> small_programs(std::span<const Operation> alphabet, u32 lines, bool in_scope) {
  struct Partial {
    SmallProgram letters;
    bool open;
  };
  std::vector<Partial> partial{{.letters = {}, .open = in_scope}};
  std::vector<SmallProgram> programs;
  for (std::size_t at = 0; at < partial.size(); ++at) {
    const Partial before = partial[at];
    const bool just_opened = !before.letters.empty() && opens(alphabet[before.letters.back()]);
    if (!just_opened) programs.push_back(before.letters);
    if (before.letters.size() == lines) continue;
    for (u32 letter = 0; letter < alphabet.size(); ++letter) {
      const Operation& line = alphabet[letter];
      const bool ends = line.kind == OperationKind::end;
      if (opens(line) && before.open) continue;
      if (ends && (!before.open || just_opened)) continue;
      Partial longer = before;
      longer.letters.push_back(letter);
      longer.open = opens(line) || (before.open && !closes(line));
      partial.push_back(std::move(longer));
    }
  }
  return programs;
}

}  // namespace tonearm::sim
