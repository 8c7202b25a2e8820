#!/usr/bin/env python3
"""What of src/ a profile reaches: lines, and branches without those of assertions.

  scripts/coverage.py NAME PROFDATA REPORT PROGRAM...

The branch of an assertion that fails, and those of its condition that lead there, are reached by bugs only.
llvm-cov has no switch for that, but it knows from which macro a branch comes: what lies in an expansion
of assert.h is left out. Conditions that the compiler decides are no branches. A line or branch of a
template is reached if any instance of it is. REPORT gets a table by file and the places that are missing:
lines as `first-last`, branches as `line:column` with the outcome that never came.
"""

import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src") + os.sep
ASSERTIONS = os.path.join(SRC, "base", "assert.h")


def export(programs, profile, *options):
    command = ["llvm-cov-19", "export", programs[0], "-instr-profile=" + profile, *options]
    for program in programs[1:]:
        command += ["-object", program]
    done = subprocess.run(command + ["-sources", SRC], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"coverage: {done.stderr[-2000:]}")
    return done.stdout


def lines_of(programs, profile):
    """FILE: {line: reached}"""
    lines = collections.defaultdict(dict)
    file = None
    for record in export(programs, profile, "-format=lcov").splitlines():
        kind, _, rest = record.partition(":")
        if kind == "SF":
            file = rest
        elif kind == "DA":
            number, count = rest.split(",")[:2]
            lines[file][int(number)] = lines[file].get(int(number), False) or int(count) > 0
    return lines


def branches_of(programs, profile):
    """FILE: {(line, column, end line, end column): [true reached, false reached]}, and the same outcomes of
    assertions, one for each of them and each place in its macro."""
    branches = collections.defaultdict(dict)
    assertions = {}
    data = json.loads(export(programs, profile, "-format=text", "-skip-expansions"))["data"][0]
    for function in data["functions"]:
        names = function["filenames"]
        for index, branch in enumerate(function["branches"]):
            name = names[branch[6]]
            if not name.startswith(SRC):
                continue
            if name == ASSERTIONS:
                # Its place is that of the expansion, which functions do not tell: one of this function.
                outcomes = assertions.setdefault((names[0], function["regions"][0][0], index), [False, False])
            else:
                outcomes = branches[name].setdefault(tuple(branch[:4]), [False, False])
            outcomes[0] |= branch[4] > 0
            outcomes[1] |= branch[5] > 0
    return branches, assertions


def ranges(numbers):
    texts, numbers = [], sorted(numbers)
    while numbers:
        count = 1
        while count < len(numbers) and numbers[count] == numbers[0] + count:
            count += 1
        texts.append(str(numbers[0]) if count == 1 else f"{numbers[0]}-{numbers[count - 1]}")
        numbers = numbers[count:]
    return texts


def percent(reached, total):
    return f"{100 * reached / total:.1f} %" if total else "-"


def main():
    if len(sys.argv) < 5:
        sys.exit("usage: " + __doc__.splitlines()[2].strip())
    name, profile, report, programs = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    lines = lines_of(programs, profile)
    branches, assertions = branches_of(programs, profile)
    text = [f"{'file':<40} {'lines':>6} {'missed':>6} {'branches':>8} {'missed':>6}"]
    places = []
    totals = [0, 0, 0, 0]
    for file in sorted(set(lines) | set(branches)):
        missed = [number for number, reached in lines[file].items() if not reached]
        outcomes = sorted(branches[file].items())
        never = [f"{place[0]}:{place[1]} {word}" for place, reached in outcomes
                 for word, hit in zip(("true", "false"), reached) if not hit]
        row = [len(lines[file]), len(missed), 2 * len(outcomes), len(never)]
        totals = [a + b for a, b in zip(totals, row)]
        short = os.path.relpath(file, ROOT)
        text.append(f"{short:<40} {row[0]:>6} {row[1]:>6} {row[2]:>8} {row[3]:>6}")
        if missed:
            places.append(f"{short} lines {' '.join(ranges(missed))}")
        if never:
            places.append(f"{short} branches {', '.join(never)}")
    text.append(f"{'total':<40} {totals[0]:>6} {totals[1]:>6} {totals[2]:>8} {totals[3]:>6}")
    with open(report, "w", encoding="utf-8") as file:
        file.write("\n".join(text + [""] + places) + "\n")
    if totals[0] == 0 or totals[2] == 0:
        sys.exit(f"coverage: {name}: nothing of src/ in {' '.join(programs)}")
    all_reached = totals[2] - totals[3] + sum(map(sum, assertions.values()))
    print(f"{name}: lines {percent(totals[0] - totals[1], totals[0])} of {totals[0]}, branches "
          f"{percent(totals[2] - totals[3], totals[2])} of {totals[2]} (with those of assertions "
          f"{percent(all_reached, totals[2] + 2 * len(assertions))}) of src/")


if __name__ == "__main__":
    main()
