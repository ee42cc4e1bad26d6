"""./dev mutate: changes the code by small mistakes, one at a time, and sees which a check catches.

A mutant is one edit in src/spool, src/queue, src/deliver or src/report: a statement deleted, a
condition negated, a bound shifted by one, an await or sync left out, two steps in the other order, a
return too early, another outcome. Each is built in a copy of the tree below build/mutants and goes
through CHECKS from cheap to dear; the first that fails has caught it. What passes them all survived:
either it is harmless, for a reason that tests/mutation/harmless.json gives ({id: reason}), or a check
is missing. Harmless ones count as survivors. Not mutated at all: assertions, reserve(), reached(),
what a member is at first, and the order of neighbours that plainly do not touch each other.

Results are kept in tests/mutation/results.jsonl, one line each and committed, so a run that was
broken off goes on where it was, on another machine too, and --count may grow. A mutant is tried again when its file's text has changed. Before
the first one the unchanged tree must pass all checks; from that come the limits of time.
"""

import argparse
import fcntl
import hashlib
import json
import pathlib
import signal
import sys
import threading
import time
from collections import Counter, namedtuple

from mutation import choice, operators
from mutation.workshop import Trouble, Workshop, files_of

Check = namedtuple("Check", "name program arguments")

# What a mutant must pass, from cheap to dear: name, program (also the target), arguments. {room} is
# the mutant's. A new suite of sim_test is in the first of its lines until it gets one of its own.
_TESTS = ("--gtest_fail_fast",)
_SCENARIOS = [
    argument
    for name in ("month", "people", "manners", "bit-rot", "old-backup", "disk-slow", "clocks")
    for argument in ("--scenario", name)
]
CHECKS = [
    Check("{room}_test", "{room}_test", _TESTS),
    Check("sim_internet_test", "sim_internet_test", _TESTS),
    Check("daemon_test", "daemon_test", _TESTS),
    Check("sim_test", "sim_test", (*_TESTS, "--gtest_filter=-SpoolPowerLoss.*:Relay.*:River.*")),
    Check("sim_test SpoolPowerLoss", "sim_test", (*_TESTS, "--gtest_filter=SpoolPowerLoss.*")),
    Check("sim_test Relay", "sim_test", (*_TESTS, "--gtest_filter=Relay.*")),
    Check("postrider_sim", "postrider_sim", ("--no-shrink", "--seed", "21", *_SCENARIOS)),
    Check("sim_test River", "sim_test", (*_TESTS, "--gtest_filter=River.*")),
]

# How much longer than on the unchanged tree a check may take before it counts as failed. Processor
# time decides, since other work on the machine does not add to it; the clock is for what hangs.
CPU_TIMES, CPU_SECONDS = 5, 5
WALL_TIMES, WALL_SECONDS = 10, 60

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build/mutants"
HARMLESS = ROOT / "tests/mutation/harmless.json"
RESULTS = ROOT / "tests/mutation/results.jsonl"
CAUGHT = ("caught", "timed out")


class Results:
    """The lines of results.jsonl; of several for one mutant the last counts."""

    def __init__(self, path):
        self.path = path
        self.of = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self.torn = text and not text.endswith("\n")
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # cut by a kill
            self.of[record["id"]] = record

    def known(self, mutant):
        record = self.of.get(mutant.id)
        return record if record and record["source"] == mutant.source else None

    def add(self, record):
        self.of[record["id"]] = record
        with open(self.path, "a", encoding="utf-8") as out:
            out.write(("\n" if self.torn else "") + json.dumps(record) + "\n")
        self.torn = False


# --- trying one -------------------------------------------------------------------------------------


def checks_of(room):
    return [
        Check(c.name.format(room=room), c.program.format(room=room), c.arguments) for c in CHECKS
    ]


def measure(workshop, rooms, files):
    """Runs all checks on the unchanged tree: {name: (wall, cpu)} in seconds. Kept for the same tree."""
    state = hashlib.sha1(repr(CHECKS).encode())
    for name, octets in files.items():
        state.update(name.encode() + b"\0" + octets)
    kept = FOLDER / "unchanged.json"
    times = {}
    if kept.exists():
        old = json.loads(kept.read_text())
        times = old["times"] if old["tree"] == state.hexdigest() else {}
    wanted = {check.name: check for room in rooms for check in checks_of(room)}
    for check in wanted.values():
        if check.name in times:
            continue
        if not workshop.compiles(check.program):
            raise Trouble(f"the unchanged tree does not compile: see {workshop.log}")
        done = workshop.check((check.program, *check.arguments))
        if not done.passed:
            raise Trouble(f"the unchanged tree fails {check.name} ({done.why}): see {workshop.log}")
        times[check.name] = (round(done.wall, 2), round(done.cpu, 2))
        say(f"unchanged: {check.name} passes in {done.wall:.1f} s")
        kept.write_text(json.dumps({"tree": state.hexdigest(), "times": times}))
    return times


def try_mutant(workshop, mutant, times):
    """Builds and checks one mutant; the tree is afterwards as it was. Returns its record."""
    begun = time.monotonic()
    target = workshop.tree / mutant.path
    spent = {}
    target.write_text(mutant.changed, encoding="utf-8")
    try:
        verdict, caught_by, why = _verdict(workshop, choice.room_of(mutant.path), times, spent)
    finally:
        target.write_text(mutant.text, encoding="utf-8")
    return {
        "id": mutant.id,
        "file": mutant.path,
        "line": mutant.line,
        "operator": mutant.operator,
        "verdict": verdict,
        "check": caught_by,
        "why": why,
        "seconds": round(time.monotonic() - begun, 1),
        "spent": spent,
        "source": mutant.source,
        "diff": mutant.diff,
    }


def _verdict(workshop, room, times, spent):
    for check in checks_of(room):
        begun = time.monotonic()
        built = workshop.compiles(check.program)
        spent["build"] = round(spent.get("build", 0) + time.monotonic() - begun, 1)
        if not built:
            return "does not compile", "", ""
        wall, cpu = times[check.name]
        done = workshop.check(
            (check.program, *check.arguments),
            wall * WALL_TIMES + WALL_SECONDS,
            cpu * CPU_TIMES + CPU_SECONDS,
        )
        spent[check.name] = round(done.wall, 1)
        if not done.passed:
            return "timed out" if done.timed_out else "caught", check.name, done.why
    return "survived", "", ""


# --- trying many ------------------------------------------------------------------------------------


class Round:
    """Hands out mutants in their order until `count` of them compile; keeps the results."""

    def __init__(self, order, count, results, again=()):
        self.order = iter(order)
        self.count = count
        self.results = results
        self.again = again  # verdicts that are not believed any more
        self.records = []  # of this round
        self.compiled = 0
        self.under_way = 0
        self.changed = threading.Condition()
        self.trouble = None

    def take(self):
        """The next mutant to try, or None when there is no more to do."""
        with self.changed:
            while not self.trouble:
                if self.compiled + self.under_way < self.count:
                    mutant = next(self.order, None)
                    if mutant is None:
                        return None
                    known = self.results.known(mutant)
                    if not known or known["verdict"] in self.again:
                        self.under_way += 1
                        return mutant
                    self._count(known)
                elif self.under_way == 0:
                    return None
                else:
                    self.changed.wait()
            return None

    def give(self, record):
        with self.changed:
            self.under_way -= 1
            if self.trouble:
                return  # what was stopped says nothing about its mutant
            self.results.add(record)
            self._count(record)
            self.changed.notify_all()
            say(f"[{self.compiled}/{self.count}] {one_line(record)}")

    def stop(self, trouble):
        with self.changed:
            self.trouble = self.trouble or trouble
            self.changed.notify_all()

    def _count(self, record):
        self.records.append(record)
        self.compiled += record["verdict"] != "does not compile"


def work(workshop, round_, times):
    try:
        while mutant := round_.take():
            round_.give(try_mutant(workshop, mutant, times))
    except BaseException as trouble:  # whatever it is, the other threads must end too
        round_.stop(trouble)


def run(options, results):
    started = time.monotonic()
    files = files_of(ROOT, options.commit)
    shops = [Workshop(FOLDER, i + 1, options.ninja_jobs) for i in range(options.jobs)]
    for shop in shops:
        shop.prepare(files)
    mutants = choice.all_mutants(files)
    order = chosen(mutants, options)
    rooms = sorted({choice.room_of(mutant.path) for mutant in order})
    times = measure(shops[0], rooms, files)

    again = ["survived"] if options.again else []
    if options.id:
        again = ["survived", "does not compile", *CAUGHT]
    round_ = Round(order, min(options.count, len(order)), results, again)
    threads = [threading.Thread(target=work, args=(shop, round_, times)) for shop in shops]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        round_.stop(Trouble("stopped; the same command goes on from here"))
        for shop in shops:
            shop.stop()
        for thread in threads:
            thread.join()
    if round_.trouble:
        raise round_.trouble
    print(report(round_.records, reasons(), {mutant.id for mutant in mutants}))
    say(f"{len(round_.records)} mutants, {time.monotonic() - started:.0f} s")


def chosen(mutants, options):
    """The mutants of the options in the order in which they are tried."""
    if options.id:
        found = [mutant for mutant in mutants if mutant.id.startswith(tuple(options.id))]
        if not found:
            raise Trouble(f"there is no mutant {options.id} in the tree as it is now")
        return found
    if options.only:
        mutants = [mutant for mutant in mutants if choice.room_of(mutant.path) == options.only]
    return list(choice.drawn(mutants, options.seed))


# --- what is printed --------------------------------------------------------------------------------


def say(text):
    print(text, file=sys.stderr, flush=True)


def one_line(record):
    verdict = record["verdict"]
    if verdict in CAUGHT:
        verdict += f" by {record['check']}"
    why = f" ({record['why']})" if record["why"] else ""
    place = f"{record['file']}:{record['line']}"
    return f"{record['id']} {place} {record['operator']}: {verdict}{why}, {record['seconds']} s"


def reasons():
    return json.loads(HARMLESS.read_text(encoding="utf-8")) if HARMLESS.exists() else {}


def report(records, known_reasons, ids):
    """The survivors, each with its reason, and the shares; `ids` are those of the tree as it is."""
    lines = []
    survivors = [record for record in records if record["verdict"] == "survived"]
    for record in sorted(survivors, key=lambda r: (r["file"], r["line"])):
        body = record["diff"].split("\n")[2:]
        lines += [f"survived: {record['id']} {record['file']}:{record['line']} {record['operator']}"]
        lines += ["    " + line for line in body if line]
        lines += ["  " + known_reasons.get(record["id"], "NO REASON YET"), ""]
    gone = sorted(set(known_reasons) - ids)
    if gone:
        lines += [f"harmless.json gives reasons for what is no mutant now: {', '.join(gone)}", ""]
    checks = Counter(record["check"] for record in records if record["verdict"] in CAUGHT)
    lines += [f"{number:5} caught by {check}" for check, number in checks.most_common()]
    lines += [""]
    lines += [share(f"room {room}", records, lambda r, x=room: choice.room_of(r["file"]) == x)
              for room in choice.ROOMS]  # fmt: skip
    lines += [share(name, records, lambda r, x=name: r["operator"] == x)
              for name in operators.OPERATORS]  # fmt: skip
    lines += [share("all", records, lambda r: True)]
    without = sum(record["id"] not in known_reasons for record in survivors)
    late = sum(record["verdict"] == "timed out" for record in records)
    lines += [f"survivors without a reason: {without}; caught by their time: {late}"]
    return "\n".join(lines)


def share(name, records, belongs):
    mine = [record["verdict"] for record in records if belongs(record)]
    caught = sum(verdict in CAUGHT for verdict in mine)
    compiled = caught + mine.count("survived")
    percent = f"{100 * caught / compiled:5.1f} %" if compiled else "    - %"
    rest = mine.count("does not compile")
    return f"{name:18} {percent}  {caught} caught of {compiled} that compile; {rest} do not compile"


def show(options, results):
    mutants = choice.all_mutants(files_of(ROOT, options.commit))
    if options.show_survivors:
        known = [record for record in map(results.known, mutants) if record]
        print(report(known, reasons(), {mutant.id for mutant in mutants}))
        old = len(results.of) - len(known)
        if old:
            print(f"left out: {old} results for files that have changed since")
        return
    for mutant in chosen(mutants, options)[: options.count]:
        print(f"{mutant.id} {mutant.path}:{mutant.line} {mutant.operator}\n{mutant.diff}")


def options_of(arguments):
    parser = argparse.ArgumentParser(
        prog="./dev mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="how many that compile (100)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--only", choices=choice.ROOMS, help="of one room only")
    parser.add_argument("--id", nargs="+",
                        help="these (or those that begin so), even if they have a result")
    parser.add_argument("--commit", help="mutate the tree of this commit, not the one that lies here")
    parser.add_argument("--list", action="store_true", help="show those chosen as diffs, run nothing")
    parser.add_argument("--again", action="store_true", help="try those once more that survived")
    parser.add_argument(
        "--show-survivors", action="store_true", help="report on all results so far, run nothing"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time, each in its copy (1)")
    parser.add_argument("--ninja-jobs", type=int, default=2, help="compilers at a time in each (2)")
    return parser.parse_args(arguments)


def main():
    options = options_of(sys.argv[1:])
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = Results(RESULTS)
    try:
        if options.list or options.show_survivors:
            show(options, results)
            return 0
        with open(FOLDER / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Trouble("another ./dev mutate is at work in build/mutants") from None
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            run(options, results)
        return 0
    except (Trouble, ValueError, KeyboardInterrupt) as trouble:
        say(f"mutate: {trouble or 'stopped'}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
