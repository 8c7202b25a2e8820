#!/usr/bin/env python3
"""Checks of this repository that no compiler makes; run as a test, so that style is not a wish.

    scripts/tidy.py [--build DIR]   all checks; exit 1 and one line a finding if there are any
    scripts/tidy.py --ratchet       lower the limits in scripts/tidy.ratchet to what is true now
    scripts/tidy.py --self-test     every rule must flag the bad examples written for it

With a build directory (default: the first of build/{dev,release} there is) it also checks that no
source has fallen out of the build, no test out of its binary, and what the engine's libraries link.
Every rule is a row of a table below, with its reason. An exception is a row of ALLOWED.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RATCHET = "scripts/tidy.ratchet"

# A layer includes itself and what stands before it. Directories of src/, bottom up.
LAYERS = ["base", "storage", "grid", "table", "tree", "scan", "forest", "groove"]
# Directories of sim/ that must not need the whole engine: the tests of every layer link them.
SIM_LAYERS = {"sim/disk": ["base", "storage"]}

COLUMNS = 110
FUNCTION_LINES = 70
FILE_LINES = 500  # Above: in the ratchet.
FILE_LINES_HARD = 700  # Above: never.

SOURCE = (".h", ".cpp")

# name of the rule, pattern, reason or replacement. Matched against code without comments and strings.
NONDETERMINISM = [
    ("clock", r"\b(std::chrono|std::clock|clock_gettime|gettimeofday|__rdtsc)\b|"
              r"\btime\s*\(\s*(nullptr|NULL|0|&)|<(chrono|ctime|time\.h|sys/time\.h)>",
     "time is the virtual clock's"),
    ("random", r"\b(random_device|\w+_distribution|getrandom|arc4random)\b|(?<![\w.>])s?rand\s*\(",
     "differs between runs or libraries; randomness is keyed (sim/disk/keyed.h)"),
    ("thread", r"\bstd::(jthread|thread|mutex|atomic|async|condition_variable|future)\b|\bpthread_|"
               r"<(thread|mutex|atomic|future|condition_variable)>|\bthread_local\b", "one thread"),
    ("unordered", r"\bunordered_|\bstd::hash\b", "iteration order differs between libraries"),
    ("float", r"\b(float|double|long double)\b|\bstd::(sqrt|pow|log2?|exp|round|floor|ceil)\b|<cmath>",
     "rounding differs between builds; use integers or Ratio"),
    ("environment", r"\b(std::)?(secure_)?getenv\b", "a run depends on its seed alone"),
    ("locale", r"\b(setlocale|std::locale|imbue)\b|<c?locale>", "a run depends on its seed alone"),
    ("address order", r"\b(map|set)\s*<\s*(const\s+)?[\w:]+\s*(const\s*)?\*",
     "addresses differ between runs"),
]
SIM = NONDETERMINISM + [
    ("drawn", r"\b(mt19937\w*|minstd_rand\w*|ranlux\w*)\b|<random>",
     "randomness is keyed, not drawn (sim/disk/keyed.h)"),
]
ENGINE = SIM + [
    ("indirect", r"\bstd::(function|any|bind)\b|<(functional|any)>", "use base/callback.h"),
    ("heap", r"\b(shared_ptr|unique_ptr|make_unique|std::(vector|string|deque|list|map|set|multimap))\b|"
             r"(?<![\w.>])(malloc|calloc|realloc|free)\s*\(|<(vector|string|deque|list|map|set)>|"
             r"(?<!operator )\bnew\s+(?!\()", "memory comes from base/arena.h, at construction"),
    ("stream", r"<(iostream|sstream|fstream|ostream|istream|filesystem)>|\bstd::(cout|cerr)\b",
     "the engine's world is Storage"),
    ("exception", r"\b(throw|try|catch|dynamic_cast|typeid)\b", "src/ has neither exceptions nor RTTI"),
]
RULES = {"engine": ENGINE, "sim": SIM, "test": NONDETERMINISM}

# Everywhere in C++.
COMMON = [
    ("assert", r"(?<![\w.:>])assert\s*\(|<(cassert|assert\.h)>", "vanishes with NDEBUG; use ASSERT"),
    ("using namespace", r"\busing\s+namespace\s+std\b", "name what is used"),
]

# path prefix -> rules that do not hold there, and why not.
ALLOWED = {
    "sim/cli/": ({"clock", "thread", "random", "environment", "float"},
                 "decides nothing in a run: fresh seeds, worker processes, rates, time limits, NO_COLOR"),
    "sim/main": ({"clock", "random", "environment"}, "a fresh seed, printed first"),
}

# Undefined symbols of the engine's libraries. Text can be evaded by a macro; the linker cannot.
SYMBOLS = re.compile(
    r"^(clock_gettime|clock|gettimeofday|time|getrandom|rand|srand|random|rand_r|getenv|secure_getenv|"
    r"getpid|pthread_\w+|usleep|nanosleep|open|fopen|socket|malloc|calloc|realloc|free|"
    r"_Zn[wa]\w+|_ZNSt6chrono\w+|_ZNSt13random_device\w+|__cxa_(throw|allocate_exception))$")

# Spelled in two parts, or this file would find itself.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
WORKPLACE = re.compile("/wo" + r"rk/|\.libr" + r"ary\b|\.\./sha" + r"red|\bissue\s+#?\d|"
                       r"\b(harness|engine|interface|ecosystem|style|field)\.m" + r"d\b")


Finding = namedtuple("Finding", "path line rule text")

TOKEN = re.compile(r"""
    (?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/)
  | (?P<raw>R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)")
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<number>\b\d[\w.']*)
  | (?P<char>'(?:\\.|[^'\\\n])+')
""", re.VERBOSE | re.DOTALL)
TEST_HEADER = re.compile(r"(^|/)test_\w+\.h$")  # What the tests of a layer share.
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """The same text, same line numbers, with comments gone and strings and characters empty."""

    def replace(match):
        if match.lastgroup == "number":
            return match.group()
        if match.lastgroup == "comment":
            return blank(match.group())
        return '"' + blank(match.group())[1:-1] + '"'

    keep = {m.start(): m.group() for m in INCLUDE.finditer(text)}
    code = TOKEN.sub(replace, text)
    for start, directive in keep.items():  # The name of an include is code, though it looks like a string.
        code = code[:start] + directive + code[start + len(directive):]
    return code


def line_of(text, position):
    return text.count("\n", 0, position) + 1



# --- functions ----------------------------------------------------------------------------------

DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)
LABELS = re.compile(r"(?:\s|(?:public|private|protected)\s*:(?!:)|\[\[\w+\]\])*")
INITIALIZERS = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:)")
SCOPE = re.compile(r'(?:inline\s+)?namespace\b|extern\s+"|$')
TYPE = re.compile(r"(?:template\s*<.*>\s*)?(?:(?:typedef|static|inline|constexpr|const)\s+)*"
                  r"(?:class|struct|union|enum)\b", re.DOTALL)
FUNCTION = re.compile(r"(operator\s*\S+?|~?\w+)\s*\(")
TEST = re.compile(r"(?:TEMPLATE_)?TEST_CASE|SCENARIO")


def closing(code, position):
    """The position of the brace that closes the one at `position`."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, position):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def bodies(text):
    """(head, label, where the head begins, `{`, `}`) of each function, found by following the braces."""
    code = DIRECTIVE.sub(lambda match: blank(match.group()), code_only(text))
    begin = position = 0
    while match := re.compile(r"[{};]").search(code, position):
        at, position = match.start(), match.end()
        first = LABELS.match(code, begin, at).end()
        head = code[first:at].rstrip()
        open_parens = head.count("(") > head.count(")")
        if match.group() != "{":
            begin = begin if match.group() == ";" and open_parens else position
        elif open_parens or (INITIALIZERS.search(head) and re.search(r"[\w>]$", head)):
            position = closing(code, at) + 1  # `Options o = {}`, `member_{0}`: the body is still to come.
        elif SCOPE.match(head) or (TYPE.match(head) and not re.search(r"\)[\s\w]*$", head)):
            begin = position
        else:
            end = closing(code, at)
            begin = position = end + 1
            name = FUNCTION.search(head)
            if name and not head.endswith("="):
                label = name.group(1)
                if TEST.fullmatch(label):
                    label = re.sub(r"\s+", " ", text[name.end() + first:at].split('"')[1])
                yield head, label, first, at, end


def functions(text):
    """(name, first line, number of lines) of each function with a body."""
    for _, label, first, _, end in bodies(text):
        yield label, line_of(text, first), text.count("\n", first, end) + 1


# --- one file -----------------------------------------------------------------------------------

def allowed(path, rule):
    return any(path.startswith(prefix) and rule in rules for prefix, (rules, _) in ALLOWED.items())


def kind_of(path):
    if path.endswith("_test.cpp") or TEST_HEADER.search(path):
        return "test"
    return {"src": "engine", "sim": "sim", "fuzz": "sim"}.get(path.split("/")[0])


def layering(path, text):
    """Edges of includes point down."""
    parts = path.split("/")
    is_test = kind_of(path) == "test"
    directory = "/".join(parts[:2])
    for match in INCLUDE.finditer(text):
        name = match.group(1)
        if name is None:
            continue
        line, to = line_of(text, match.start()), name.split("/")[0]
        problem = None
        if to not in LAYERS and to not in ("sim", "fuzz"):
            problem = f'"{name}": write the path from src/, or from the root for sim/'
        elif parts[0] == "src":
            if len(parts) > 2 and parts[1] not in LAYERS:
                problem = f"src/{parts[1]} is no layer (scripts/tidy.py, LAYERS)"
            elif to in LAYERS and LAYERS.index(to) > LAYERS.index(parts[1]):
                problem = f"{parts[1]} lies below {to}"
            elif to not in LAYERS and not (is_test and name.startswith("sim/disk/")):
                problem = f'"{name}": the engine does not know the simulator (its tests: sim/disk only)'
        elif directory in SIM_LAYERS and to not in SIM_LAYERS[directory]:
            if not name.startswith(directory + "/"):
                problem = f'"{name}": {directory} needs only {", ".join(SIM_LAYERS[directory])}'
        if TEST_HEADER.search(name) and not is_test:
            problem = f'"{name}" is for tests'
        if problem:
            yield Finding(path, line, "layer", problem)


def check_source(path, text):
    code = code_only(text)
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield Finding(path, 1, "pragma once", "a header says it")
    for name, pattern, reason in COMMON + RULES.get(kind_of(path), []):
        if not allowed(path, name):
            for match in re.finditer(pattern, code):
                line = line_of(code, match.start())
                yield Finding(path, line, name, f"`{match.group().strip()}`: {reason}")
    if kind_of(path):
        yield from layering(path, text)


def check_text(path, text):
    """Everything that one file alone can tell, but for the lengths that the ratchet knows."""
    if path.endswith(SOURCE):
        yield from check_source(path, text)
    narrow = not path.endswith((".md", ".json", ".tsv", ".patch", ".scenario"))
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if narrow and len(line) > COLUMNS:
            yield Finding(path, number, "columns", f"{len(line)} columns, {COLUMNS} at most")
        if line != line.rstrip() and not path.endswith(".patch"):
            yield Finding(path, number, "space", "at the end of the line")
        if "\t" in line and path.endswith(SOURCE):
            yield Finding(path, number, "space", "a tab")
        if match := UNFINISHED.search(line):
            yield Finding(path, number, "unfinished", f"{match.group()}: do it, or say what is so")
        if match := WORKPLACE.search(line):
            yield Finding(path, number, "workplace", f"`{match.group()}` means nothing to a reader")
    if text and not text.endswith("\n"):
        yield Finding(path, len(lines), "space", "no newline at the end of the file")
    if path.endswith(SOURCE) and len(lines) > FILE_LINES_HARD:
        yield Finding(path, 1, "file length", f"{len(lines)} lines, {FILE_LINES_HARD} at most")


def check_mode(path, text, executable):
    if text.startswith("#!") != executable:
        yield Finding(path, 1, "mode", "executable without #!" if executable else "#!, but not executable")


# --- lengths, as a ratchet ----------------------------------------------------------------------

def offenders(files):
    """What is longer than it should be: (file, function or `-`) -> lines."""
    found = {}
    for path, text in files.items():
        if not path.endswith(SOURCE):
            continue
        if text.count("\n") > FILE_LINES:
            found[path, "-"] = text.count("\n")
        for name, _, length in functions(text):
            if length > FUNCTION_LINES:
                found[path, name] = max(length, found.get((path, name), 0))
    return found


def read_ratchet(text):
    rows = (line.split(maxsplit=2) for line in text.splitlines() if line and not line.startswith("#"))
    return {(path, name): int(length) for length, path, name in rows}


def check_ratchet(found, permitted):
    for (path, name), length in sorted(found.items()):
        limit = permitted.get((path, name), FILE_LINES if name == "-" else FUNCTION_LINES)
        if length > limit:
            what = "the file" if name == "-" else name
            yield Finding(path, 1, "length", f"{what}: {length} lines, {limit} at most")
    for (path, name), limit in sorted(permitted.items()):
        if found.get((path, name), 0) < limit:
            yield Finding(RATCHET, 1, "ratchet", f"{path} {name} < {limit}: run scripts/tidy.py --ratchet")


def lower_ratchet(found, permitted):
    """Limits only go down: a new offender is entered by hand, by somebody who can say why."""
    rows = sorted((path, name, min(limit, found[path, name]))
                  for (path, name), limit in permitted.items() if (path, name) in found)
    head = [line for line in (ROOT / RATCHET).read_text().splitlines() if line.startswith("#")]
    rows = [f"{limit} {path} {name}" for path, name, limit in rows]
    (ROOT / RATCHET).write_text("\n".join(head + rows) + "\n")


# --- the build ----------------------------------------------------------------------------------

def check_database(sources, outputs, with_tests, registered):
    """`outputs`: source -> object files; `registered`: names of the binaries that CTest runs."""
    for path in sources:
        is_test = path.endswith("_test.cpp")
        if is_test and not with_tests:
            continue
        binaries = [match.group(1) for output in outputs.get(path, ())
                    if (match := re.search(r"(\w+_test)\.dir/", output))]
        if path not in outputs:
            yield Finding(path, 1, "no target", "is not compiled: name it in the CMakeLists.txt beside it")
        elif is_test and not binaries:
            yield Finding(path, 1, "no test binary", "is compiled, but not straight into a *_test executable")
        elif is_test and not set(binaries) & registered:
            yield Finding(path, 1, "no test binary", f"CTest does not run {', '.join(binaries)}")


def sources_of(compiled):
    """The sources that CMake includes in one, if it is such a one (scripts/cmake/unity.cmake), or itself."""
    if not re.search(r"/Unity/unity_\d+_cxx\.cxx$", compiled):
        return [compiled]
    return re.findall(r'^#include "(.+\.cpp)"$', Path(compiled).read_text(), re.MULTILINE)


def check_symbols(library, listing):
    for symbol in sorted({line.split()[-1].split("@")[0] for line in listing.splitlines() if " U " in line}):
        if SYMBOLS.match(symbol):
            yield Finding(library, 1, "symbol", f"the engine links `{symbol}`")


def check_build(build, files):
    cache = (build / "CMakeCache.txt").read_text()
    with_tests = "TONEARM_TESTS:BOOL=ON" in cache
    outputs = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        compiled = os.path.join(entry["directory"], entry["file"])
        written = re.search(r" -o (\S+)", entry["command"])
        for path in sources_of(compiled):
            outputs.setdefault(os.path.relpath(path, ROOT), []).append(written.group(1) if written else "")
    shown = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"],
                           capture_output=True, text=True, check=True).stdout
    registered = {Path(test["command"][0]).name for test in json.loads(shown)["tests"] if "command" in test}
    sources = [path for path in files if path.endswith(".cpp") and kind_of(path)]
    yield from check_database(sources, outputs, with_tests, registered)
    if re.search(r"^TONEARM_SANITIZE:\w+=.+$", cache, re.MULTILINE):
        return  # The sanitizers bring symbols of their own.
    for layer in LAYERS:
        library = build / "src" / layer / f"lib{layer}.a"
        if library.exists():
            listing = subprocess.run(["nm", "--undefined-only", str(library)],
                                     capture_output=True, text=True, check=True).stdout
            yield from check_symbols(os.path.relpath(library, ROOT), listing)


# --- all of it ----------------------------------------------------------------------------------

def repository_files():
    """Path -> text of every file that is, or could be, committed."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode == 0:
        paths = listed.stdout.splitlines()
    else:  # An archive without history.
        paths = [os.path.relpath(path, ROOT) for top in (".ci", "src", "sim", "fuzz", "corpus", "scripts")
                 for path in (ROOT / top).rglob("*")] + [p.name for p in ROOT.iterdir()]
    files = {}
    for path in sorted(set(paths)):
        full = ROOT / path
        if full.is_file() and "__pycache__" not in path:
            try:
                files[path] = full.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                pass  # Not text: a fuzzer's input or a disk image.
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, help="a configured build directory; symbols need it built")
    parser.add_argument("--ratchet", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.dont_write_bytecode = True
        import tidy_self_test
        return tidy_self_test.run()

    files = repository_files()
    found, permitted = offenders(files), read_ratchet(files.get(RATCHET, ""))
    if arguments.ratchet:
        lower_ratchet(found, permitted)
        return 0

    findings = []
    for path, text in files.items():
        if path.startswith("corpus/fuzz/"):
            continue
        findings += check_text(path, text)
        findings += check_mode(path, text, os.access(ROOT / path, os.X_OK))
    findings += check_ratchet(found, permitted)
    if arguments.build and not (arguments.build / "compile_commands.json").exists():
        parser.error(f"{arguments.build} is not a configured build directory")
    build = arguments.build or next((b for b in (ROOT / "build/dev", ROOT / "build/release")
                                     if (b / "compile_commands.json").exists()), None)
    if build:
        findings += check_build(build.resolve(), files)
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}")
    print(f"tidy: {len(findings)} findings in {len(files)} files" + ("" if build else ", no build looked at"))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
