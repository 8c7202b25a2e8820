#include "sim/workload/small_scope.h"

#include <catch2/catch.hpp>
#include <set>

using namespace tonearm;
using namespace tonearm::sim;

TEST_CASE("small scope: every program once, and none with a line that is skipped", "[small]") {
  for (const char* workload : {"tree", "groove"}) {
    const std::vector<Operation> alphabet = small_scope_alphabet(workload);
    REQUIRE(alphabet.size() == 10);
    for (const bool in_scope : {false, true}) {
      const std::vector<SmallProgram> programs = small_programs(alphabet, 3, in_scope);
      REQUIRE(programs.front().empty());
      REQUIRE(std::set<SmallProgram>(programs.begin(), programs.end()).size() == programs.size());
      for (const SmallProgram& program : programs) {
        REQUIRE(program.size() <= 3);
        bool open = in_scope;
        for (const u32 letter : program) {
          const OperationKind kind = alphabet[letter].kind;
          if (kind == OperationKind::end) REQUIRE(open);
          if (kind == OperationKind::scope) REQUIRE_FALSE(open);
          if (kind == OperationKind::scope) open = true;
          const bool ends = kind == OperationKind::end || kind == OperationKind::commit ||
                            kind == OperationKind::checkpoint;
          if (ends) open = false;
        }
        if (!program.empty()) REQUIRE(alphabet[program.back()].kind != OperationKind::scope);
      }
    }
    // Seven letters that always mean something; `scope` before one that is no end; `end` after that.
    REQUIRE(small_programs(alphabet, 1, false).size() == 1 + 7);
    REQUIRE(small_programs(alphabet, 2, false).size() == 1 + 7 + 7 * 7 + 7);
    REQUIRE(small_programs(alphabet, 1, true).size() == 1 + 7 + 2);
  }
  REQUIRE(small_scope_alphabet("merge").empty());
}

TEST_CASE("small scope: which lines leave a scope open", "[small]") {
  const auto line = [](OperationKind kind) {
    Operation operation;
    operation.kind = kind;
    return operation;
  };
  using K = OperationKind;
  REQUIRE_FALSE(leaves_scope({}));
  const Operation open[] = {line(K::scope), line(K::put)};
  REQUIRE(leaves_scope(open));
  const Operation closed[] = {line(K::scope), line(K::end)};
  REQUIRE_FALSE(leaves_scope(closed));
  const Operation crashed[] = {line(K::scope), line(K::crash), line(K::put)};
  REQUIRE_FALSE(leaves_scope(crashed));
}
