"""Bad examples, each of which scripts/tidy.py must flag, and good ones that it must leave alone."""

import tempfile
from pathlib import Path

import tidy

# rule, path, text
BAD = [
    ("clock", "src/tree/a.cpp", "auto t = std::chrono::steady_clock::now();"),
    ("clock", "src/tree/a.cpp", "#include <chrono>"),
    ("clock", "sim/model.cpp", "u64 now = time(nullptr);"),
    ("random", "src/tree/a_test.cpp", "std::random_device device;"),
    ("random", "sim/model.cpp", "int x = rand() % 6;"),
    ("random", "sim/model.cpp", "std::uniform_int_distribution<int> die(1, 6);"),
    ("drawn", "sim/model.cpp", "std::mt19937_64 engine(seed);"),
    ("thread", "src/grid/a.h", "#pragma once\nstd::mutex lock_;"),
    ("thread", "sim/runner.cpp", "thread_local int x;"),
    ("unordered", "sim/model.h", "#pragma once\nstd::unordered_map<u64, u64> values_;"),
    ("float", "sim/swarm.cpp", "double probability = 1;"),
    ("environment", "src/base/a.cpp", 'const char* home = getenv("HOME");'),
    ("locale", "sim/scenario.cpp", "#include <locale>"),
    ("address order", "sim/model.cpp", "std::map<const Block*, u64> owners;"),
    ("indirect", "src/tree/a.h", "#pragma once\nstd::function<void()> done_;"),
    ("heap", "src/tree/a.h", "#pragma once\nstd::vector<u64> keys_;"),
    ("heap", "src/tree/a.cpp", "auto* table = new Table(options);"),
    ("heap", "src/tree/a.cpp", "void* p = malloc(8);"),
    ("heap", "src/tree/a.cpp", "std::shared_ptr<Table> table;"),
    ("stream", "src/tree/a.cpp", "#include <iostream>"),
    ("exception", "src/tree/a.cpp", "void f() { throw 1; }"),
    ("assert", "sim/model.cpp", "void f() { assert(true); }"),
    ("assert", "src/tree/a.cpp", "#include <cassert>"),
    ("using namespace", "src/tree/a.cpp", "using namespace std;"),
    ("pragma once", "src/tree/a.h", "#ifndef A\n#define A\n#endif"),
    ("layer", "src/grid/a.h", '#pragma once\n#include "tree/tree.h"'),
    ("layer", "src/grid/a.cpp", '#include "sim/disk/sim_storage.h"'),
    ("layer", "src/grid/a_test.cpp", '#include "sim/model.h"'),
    ("layer", "src/grid/a.cpp", '#include "free_set.h"'),
    ("layer", "src/cellar/a.cpp", '#include "base/types.h"'),
    ("layer", "sim/disk/a.cpp", '#include "grid/grid.h"'),
    ("layer", "sim/disk/a.cpp", '#include "sim/model.h"'),
    ("layer", "src/table/a.cpp", '#include "table/test_values.h"'),
    ("layer", "sim/model.cpp", '#include "model.h"'),
    ("columns", "scripts/check", "#" * 111),
    ("space", "README.md", "A line. "),
    ("space", "src/tree/a.cpp", "\tint x;"),
    ("unfinished", "src/tree/a.cpp", "// TO" "DO: the rest"),
    ("workplace", "README.md", "see /wo" "rk/main"),
    ("workplace", "src/tree/a.cpp", "// As harness.m" "d says."),
    ("file length", "src/tree/a.cpp", "int x;\n" * 701),
]

GOOD = [
    ("src/tree/a.cpp", "// std::function would allocate; so would new Table."),
    ("src/tree/a.cpp", 'const char* text = "rand() \'x\' time(0)";'),
    ("src/tree/a.cpp", '#include "base/assert.h"\n#include "tree/tree.h"'),
    ("src/tree/a.cpp", "void f() { static_assert(1 == 1); ASSERT(g()); }"),
    ("src/tree/a.cpp", "auto* node = new (place) Node{};"),
    ("src/tree/a.cpp", "u64 big = 1'000'000;\nchar quote = '\"';\nu64 y = 0x5eed'0001;"),
    ("src/table/test_values.h", "#pragma once\n#include <vector>\nstd::vector<int> x;"),
    ("src/tree/a_test.cpp", '#include <vector>\n#include "sim/disk/sim_storage.h"\nstd::vector<int> x;'),
    ("src/tree/a.cpp", 'const char* raw = R"(throw "unordered_map)";'),
    ("sim/disk/a.cpp", '#include "sim/disk/keyed.h"\n#include "storage/storage.h"'),
    ("sim/cli/campaign.cpp", "#include <chrono>\nauto t = std::chrono::steady_clock::now();"),
    ("src/tree/a.h", "#pragma once\nu64 time() const;\nvoid operand(int strand);"),
]

FUNCTIONS = """
#define LOOP(x) for (;;) {
namespace tonearm {
enum class Kind : u8 { a, b };
struct Point { int x = 0; int y{1}; };
template <typename T>
class Tree final : public Base<T> {
 public:
  explicit Tree(Options options = {}, int n = 2)
      : options_{options},
        n_(n) {
    start({1, 2});
  }
  int size() const noexcept override { return n_; }
  bool operator==(const Tree&) const = default;
 private:
  int n_ = 0;
};
constexpr int table[] = {1, 2, 3};
const char* brace = "{";
Point make(int x)
{
  auto f = [&](int y) { return Point{x, y}; };
  if (x) {
    return f('}');
  }
  return {};
}
}  // namespace tonearm
TEST_CASE("a tree (small) is a tree", "[tree]") {
  REQUIRE(true);
}
"""
FUNCTION_LENGTHS = [("Tree", 5), ("size", 1), ("make", 8), ("a tree (small) is a tree", 3)]


def rules(findings):
    return {finding.rule for finding in findings}


def failures():
    for rule, path, text in BAD:
        found = rules(tidy.check_text(path, text + "\n"))
        if rule not in found:
            yield f"not flagged as {rule}: {path}: {text[:60]!r} ({found})"
    tables = tidy.ENGINE + tidy.COMMON
    for rule in {name for name, _, _ in tables} - {rule for rule, _, _ in BAD}:
        yield f"no bad example for {rule}"
    for path, text in GOOD:
        for finding in tidy.check_text(path, text + "\n"):
            yield f"flagged, but good: {finding}"

    lengths = [(name, length) for name, _, length in tidy.functions(FUNCTIONS)]
    if lengths != FUNCTION_LENGTHS:
        yield f"function lengths: {lengths}"
    long_function = "void f() {\n" + "  g();\n" * 80 + "}\n"
    found = tidy.offenders({"src/tree/a.cpp": long_function, "src/tree/b.cpp": "int x;\n" * 501})
    if found != {("src/tree/a.cpp", "f"): 82, ("src/tree/b.cpp", "-"): 501}:
        yield f"offenders: {found}"
    permitted = tidy.read_ratchet("# story\n82 src/tree/a.cpp f\n501 src/tree/b.cpp -\n")
    if list(tidy.check_ratchet(found, permitted)):
        yield "the ratchet flags what it permits"
    for grown in ("81 src/tree/a.cpp f\n501 src/tree/b.cpp -", "82 src/tree/a.cpp f"):
        if rules(tidy.check_ratchet(found, tidy.read_ratchet(grown))) != {"length"}:
            yield f"the ratchet lets grow: {grown}"
    if rules(tidy.check_ratchet({}, permitted)) != {"ratchet"}:
        yield "the ratchet keeps rows that are done"

    sources = ["src/a.cpp", "src/a_test.cpp"]
    inside = {"src/a.cpp": ["CMakeFiles/a.dir/a.o"], "src/a_test.cpp": ["CMakeFiles/a_test.dir/a_test.o"]}
    archived = dict(inside, **{"src/a_test.cpp": ["CMakeFiles/a.dir/a_test.o"]})
    for outputs, registered, rule in [
            (inside, {"a_test"}, set()), ({}, {"a_test"}, {"no target"}),
            (inside, set(), {"no test binary"}), (archived, {"a_test"}, {"no test binary"})]:
        if rules(tidy.check_database(sources, outputs, True, registered)) != rule:
            yield f"compilation database: {outputs}, {registered} should give {rule}"
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "Unity/unity_0_cxx.cxx"
        one.parent.mkdir()
        one.write_text('/* made */\n#include "/src/a.cpp"\n\n#include "/src/b.cpp"\n#include "/src/c.h"\n')
        if tidy.sources_of(str(one)) != ["/src/a.cpp", "/src/b.cpp"] or \
                tidy.sources_of("/src/a.cpp") != ["/src/a.cpp"]:
            yield "sources that are compiled as one are not all seen"
    for symbol in ("clock_gettime@GLIBC_2.17", "getrandom", "pthread_create", "rand", "_Znwm", "malloc"):
        if not list(tidy.check_symbols("liba.a", f"                 U {symbol}\n")):
            yield f"symbol not flagged: {symbol}"
    if list(tidy.check_symbols("liba.a", "                 U memcpy\n0000000000000000 T random\n")):
        yield "symbols flagged, but good"
    if not list(tidy.check_mode("scripts/a", "#!/bin/sh\n", False)) or \
            not list(tidy.check_mode("src/a.h", "#pragma once\n", True)):
        yield "executable bits not flagged"


def run():
    failed = list(failures())
    for failure in failed:
        print(failure)
    print(f"tidy: {len(BAD)} bad and {len(GOOD)} good examples, {len(failed)} failures")
    return 1 if failed else 0
