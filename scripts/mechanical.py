"""Mechanical mutants: small changes of the engine, drawn by a seed that nobody chose with a bug in mind.

`scripts/mutants --mechanical N --seed S` draws N sites (mechanical_sites.py), builds them all into one
program in build/mechanical, leaves out and replaces what does not compile, and plays each as a campaign
would: one seed after the other, of each workload in turn, one in eight with a twin, until a run fails or
10 CPU seconds are spent. A run that takes ten times as long as any should is a hang, and counts as found.

What survives is either reached by no run at all (a weakness of the generators), or executed and without
effect that an oracle could see. sim/mutants/survivors.tsv keeps what somebody found out about it: the
verdict `equivalent` and why no run can tell, or what was added to find it, or `open`. What was `added` is
played again every time, beside what is drawn: it must be found.
"""

import collections
import concurrent.futures
import os
import re
import subprocess
import tempfile
import time

import mechanical_sites

HANG = 5  # CPU seconds. The longest run of a seed takes less than half of one.
TWIN_EVERY = 8
DRAWS_MAX = 20  # Builds until all that was drawn compiles.
FLAGS = "-O2 -w -Wno-narrowing -fmax-errors=0"

Found = collections.namedtuple("Found", "number site outcome class_ where workload seeds cpu")


def error_lines(output, tree):
    """(file, line) of what the compiler says is wrong, and of the places that led there."""
    pattern = re.escape(tree) + r"/(\S+?):(\d+):(?:\d+:)? +(?:error|required from|note)"
    pattern = pattern.replace(" +", r"\s+")
    return {(path, int(line)) for path, line in re.findall(pattern, output)
            if path.startswith("src/")}


def lines_of(site, texts):
    text = texts[site.path]
    return text.count("\n", 0, site.begin) + 1, text.count("\n", 0, site.end) + 1


class Scratch:
    """The program with all that was drawn in it."""

    def __init__(self, tools):
        self.tools = tools
        self.tree = os.path.join(tools.ROOT, "build", "mechanical", "tree")
        self.folder = os.path.join(tools.ROOT, "build", "mechanical")
        self.build = os.path.join(self.folder, "build")
        self.program = os.path.join(self.build, "tonearm")

    def make(self, numbered):
        by_path = collections.defaultdict(list)
        for number, site in numbered.items():
            by_path[site.path].append((number, site))

        def change(fresh):
            for path, sites in by_path.items():
                with open(os.path.join(self.tools.ROOT, path), encoding="utf-8") as file:
                    text = file.read()
                with open(os.path.join(fresh, path), "w", encoding="utf-8") as file:
                    file.write(mechanical_sites.rewrite(text, sites))

        self.tools.make_tree(self.tree, change)

    def compile(self):
        """What the compiler said; empty if all is built."""
        # Included here, because a change of base/types.h replaces the copy that the switch is patched into.
        flags = f"{FLAGS} -include {os.path.join(self.tree, 'src/base/mutant.h')}"
        commands = [
            ["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
             "-DCMAKE_CXX_COMPILER=g++", f"-DCMAKE_CXX_FLAGS_RELEASE={flags}", "-DTONEARM_TESTS=OFF"],
            ["cmake", "--build", self.build, "--target", "tonearm", "-j", str(self.tools.PARALLEL),
             "--", "-k", "0"],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                return done.stdout + done.stderr
        return ""


def key_of(site):
    return site.path, site.function, site.text


def sites_below(sites, folders):
    prefixes = tuple(folder.rstrip("/") + "/" for folder in folders)
    return [site for site in sites if site.path in folders or site.path.startswith(prefixes)]


def build_drawn(scratch, sites, count, seed, again):
    """(number -> site, how many did not compile). `again`: sites that are built in any case."""
    texts = {path: open(os.path.join(scratch.tools.ROOT, path), encoding="utf-8").read()
             for path in {site.path for site in sites + again}}
    order = mechanical_sites.shuffled(sites, seed)
    numbered = dict(enumerate(mechanical_sites.draw(iter(again), len(again), []), 1))
    next_number, bad_count = len(again) + 1, 0
    wanted = count + len(numbered)
    for _ in range(DRAWS_MAX):
        for site in mechanical_sites.draw(order, wanted - len(numbered), numbered.values()):
            numbered[next_number] = site
            next_number += 1
        scratch.make(numbered)
        output = scratch.compile()
        if not output:
            return numbered, bad_count
        wrong = error_lines(output, scratch.tree)
        bad = [number for number, site in numbered.items()
               if any(path == site.path and lines_of(site, texts)[0] <= line <= lines_of(site, texts)[1]
                      for path, line in wrong)]
        if not bad:
            scratch.tools.fail(f"what was drawn does not build, and it is none of it:\n{output[-4000:]}")
        for number in bad:
            del numbered[number]
        bad_count += len(bad)
    scratch.tools.fail(f"after {DRAWS_MAX} builds there still is a mutant that does not compile")


def play(scratch, number, site, workloads):
    tools = scratch.tools
    cpu, seeds = 0.0, 0
    with tempfile.TemporaryDirectory(prefix="mechanical.", dir=scratch.folder) as folder:
        reached = os.path.join(folder, "reached")
        environment = dict(os.environ, TONEARM_MECHANICAL=str(number), TONEARM_MECHANICAL_REACHED=reached)
        environment.pop("TONEARM_MUTANT", None)
        while cpu < tools.BUDGET:
            workload = workloads[seeds % len(workloads)]
            seed = seeds // len(workloads) + 1
            command = [scratch.program, "run", "--workload", workload, "--seed", str(seed), "--json"]
            if seed % TWIN_EVERY == 0:
                command += ["--twins", "1"]
            status, text, verdict, spent = tools.run_limited(command, environment, folder, HANG)
            seeds += 1
            cpu += spent
            if status == 0 and verdict is not None:
                continue
            if status == 1 and verdict is not None:
                outcome, where = verdict.get("class", "?"), verdict.get("site", "")
            elif status in tools.TIMED_OUT:
                outcome, where = "hang", f"more than {HANG} CPU seconds"
            elif status in (2, 3):  # Options that are none any more, a disk that cannot be made.
                outcome, where = "refused", text.strip()[-60:]
            else:
                outcome, where = "signal", f"status {status}"
            return Found(number, site, "killed", outcome, where, workload, seeds, cpu)
        outcome = "survived" if os.path.exists(reached) else "never executed"
    return Found(number, site, outcome, "", "", "", seeds, cpu)


def workloads_to_play(scratch, chosen):
    listed = subprocess.run([scratch.program, "workloads"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    for name in chosen:
        if name not in names:
            scratch.tools.fail(f"--workload: `{name}`, expected one of {', '.join(names)}")
    return chosen or [name for name in names if name != "canary"]


def read_verdicts(path):
    """(file, function, change) -> (verdict, why)."""
    verdicts = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                source, function, text, verdict, why = line.rstrip("\n").split("\t")
                verdicts[source, function, text] = (verdict, why)
    return verdicts


def report(found, verdicts, bad_count, seconds):
    """How many that were once found survive now."""
    killed = [one for one in found if one.outcome == "killed"]
    executed = [one for one in found if one.outcome != "never executed"]
    print("\nby class: " + ", ".join(f"{name} {count}" for name, count in
                                     collections.Counter(one.class_ for one in killed).most_common()))
    print("by kind:  " + ", ".join(
        f"{kind} {sum(one.site.kind == kind for one in killed)}/{sum(one.site.kind == kind for one in found)}"
        for kind in sorted({one.site.kind for one in found})))
    undecided = lost = 0
    for outcome in ("survived", "never executed"):
        ones = [one for one in found if one.outcome == outcome]
        if ones:
            print(f"\n{outcome}:")
        for one in ones:
            site = one.site
            verdict, why = verdicts.get(key_of(site), ("-", ""))
            undecided += verdict == "-"
            lost += verdict == "added"
            print(f"  {site.path}:{site.line} {site.function}: {site.text}")
            print(f"      {verdict}: {why}" if why else "      -")
    share = 100 * len(killed) // max(1, len(executed))
    equivalent = sum(verdicts.get(key_of(one.site), ("",))[0] == "equivalent"
                     for one in found if one.outcome == "survived")
    spent = sum(one.cpu for one in killed) / max(1, len(killed))
    print(f"\n{len(killed)} of {len(found)} killed, {share} % of the {len(executed)} executed; "
          f"{len(executed) - len(killed)} survived ({equivalent} equivalent), "
          f"{len(found) - len(executed)} never executed, {undecided} without a verdict; "
          f"{bad_count} not compilable; {spent:.2f} CPU s a killed mutant, {seconds:.0f} s")
    if lost:
        print(f"{lost} with the verdict `added` are no longer found")
    return lost


def run(tools, arguments):
    begin = time.monotonic()
    scratch = Scratch(tools)
    os.makedirs(scratch.folder, exist_ok=True)
    sites = mechanical_sites.all_sites(tools.ROOT)
    drawn_from = sites_below(sites, arguments.part or ["src"])
    if not drawn_from:
        tools.fail(f"--part: no place to change below {', '.join(arguments.part)}")
    verdicts = read_verdicts(os.path.join(tools.PATCHES, "survivors.tsv"))
    again = [site for site in sites if verdicts.get(key_of(site), ("",))[0] == "added"]
    for path, function, text in sorted(verdicts.keys() - {key_of(site) for site in sites}):
        print(f"survivors.tsv: {path} {function} has no such place any more: {text}")
    numbered, bad_count = build_drawn(scratch, drawn_from, arguments.mechanical, arguments.seed, again)
    workloads = workloads_to_play(scratch, arguments.workload)
    clean = play(scratch, 0, None, workloads)
    if clean.outcome == "killed":
        tools.fail(f"without a mutant {clean.workload} fails: {clean.class_}: {clean.where}")
    print(f"{len(numbered)} of {len(sites)} sites, {len(again)} of them because they were found once, "
          f"{bad_count} not compilable; without a mutant "
          f"{clean.seeds} seeds of {', '.join(workloads)} pass; built in {time.monotonic() - begin:.0f} s",
          flush=True)
    found = []
    with concurrent.futures.ThreadPoolExecutor(tools.PARALLEL) as pool:
        jobs = [pool.submit(play, scratch, number, site, workloads) for number, site in numbered.items()]
        for job in jobs:
            one = job.result()
            found.append(one)
            site = one.site
            says = f"{one.class_}: {one.where}" if one.class_ else ""
            print(f"{one.outcome:<14} {one.seeds:5} {one.cpu:6.2f}  {site.path}:{site.line} "
                  f"{site.text[:80]}  {says[:70]}", flush=True)
    return 1 if report(found, verdicts, bad_count, time.monotonic() - begin) else 0
