"""./dev bench: Postrider beside other mail servers, in one interleaved run, under our own load.

Each work (works.py) is done by its servers, which are fresh and warmed up, in short turns, and all of it
again in the next round. Prints medians with their spread, ratios, and a verdict beside each target; writes all figures
as JSON and a chart. Nothing here judges a time: it fails only when a message was refused, lost or not
delivered.

docs/performance.md tells the method and what came out.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/program"))

import chart  # noqa: E402
import costs  # noqa: E402
import flame  # noqa: E402
import limits  # noqa: E402
import measure  # noqa: E402
import store  # noqa: E402
import table  # noqa: E402
import targets  # noqa: E402
import works  # noqa: E402
from load import SmtpSink  # noqa: E402
from results import Results  # noqa: E402
from server import ROOT  # noqa: E402
from servers import SERVERS  # noqa: E402

BEGUN = time.monotonic()


def say(text):
    print(f"bench: {(time.monotonic() - BEGUN) / 60:4.1f} min  {text}", file=sys.stderr, flush=True)


def missing(options, name):
    """Why a server cannot run here; empty when it can."""
    if name == "smtp-sink":
        return SmtpSink.missing()
    if name in store.PROGRAMS:
        return store.missing(options.programs, name)
    return SERVERS[name].missing() if name in SERVERS else ""


def present(options, chosen):
    """The names that can run; says of each of the others why not."""
    names = dict.fromkeys(name for work in chosen for name in work.servers)
    out = set()
    for name in names:
        why = missing(options, name)
        if why:
            say(f"{table.NAMES[name]} is left out: {why}")
        elif not options.servers or name in options.servers or name not in SERVERS:
            out.add(name)
    return out


def attempt(work, name, results, do):
    """What do() gives; None when it gives nothing, which has been told then. The rest of a long run
    is worth having; another server that failed once is not waited for again."""
    try:
        return do()
    except measure.NotMeasured as reason:
        say(f"{work.name} is left out for {table.NAMES[name]}: {reason}")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        results.failures.append(f"{work.name}, {name}: {error}")
        say(f"FAILED: {results.failures[-1]}")
        if name in SERVERS and name != "postrider":
            results.given_up.add(name)
    return None


def trace(options, work, names, results):
    for name in names:
        if name not in ("postrider", "postfix"):
            continue
        say(f"calls: {work.name}, {name}")
        for key, traced in (("syncs", costs.SYNC_CALLS), ("all", "all")):
            counted = attempt(work, name, results, lambda traced=traced: measure.calls(
                options, work, name, results, traced))
            if counted:
                results.add_traced(work.name, name, key, counted)


def run_all(options):
    chosen = [work for work in works.chosen(options.works) if work.smoke or not options.smoke]
    there = present(options, chosen)
    results = Results({
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(),
                    "file_system": limits.file_system(options.folder)},
        "rounds": options.rounds})
    for number in range(options.rounds):
        for together in works.in_turns(chosen):
            places = []
            for work in together:
                names = [name for name in work.servers if name in there - results.given_up]
                if work.traced and number == 0 and not (options.smoke and work.name != "accept"):
                    trace(options, work, names, results)
                if not work.once or number == 0:
                    places += [(work, name) for name in names]
            if together[0].run:
                at_once(options, number, places, results)
            else:
                in_turns(options, number, places, results)
    return results


def add(results, number, turn, work, name, figures):
    results.add(work.name, name,
                figures | {"round": number, "turn": turn, "load": os.getloadavg()[0]})


def at_once(options, number, places, results):
    for work, name in places:
        figures = attempt(work, name, results, lambda: work.run(options, work, name, results))
        if figures:
            add(results, number, 0, work, name, figures)
            say(f"round {number + 1}: {work.name}, {name}: {summary([figures])}")


def in_turns(options, number, places, results):
    """All of them live at the same time, and one at a time gets its load: so what disturbs the
    machine for some seconds disturbs all of them."""
    with contextlib.ExitStack() as stack:
        runs = []
        for work, name in places:
            run = attempt(work, name, results,
                          lambda: work.opened(stack, options, work, name, results))
            if run:
                runs.append((work, name, run, []))
        for turn in range(min((measure.turns(options, work) for work, _ in places), default=0)):
            # Who comes first changes; the disk comes last.
            for one in sorted(runs[::(-1) ** (number + turn)], key=lambda one: one[1] == "disk"):
                work, name, run, figures = one
                found = attempt(work, name, results, run.turn)
                if found:
                    add(results, number, turn, work, name, found)
                    figures.append(found)
                else:
                    runs.remove(one)
        for work, name, run, figures in runs:
            attempt(work, name, results, run.end)
            say(f"round {number + 1}: {work.name}, {name}: {summary(figures)}")


def summary(figures):
    """Medians, of all turns."""
    middle = {key: statistics.median(one[key] for one in figures) for key, value in
              figures[0].items() if isinstance(value, (int, float))}
    parts = [f"{middle[key]:.{digits}f} {label}" for label, key, digits in table.ROWS[:2]
             if key in middle]
    return ", ".join(parts) or ", ".join(f"{key} {value:.3g}" for key, value in middle.items())


def parse(words):
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__.split("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="works: " + "\n       ".join(works.names()))
    parser.add_argument("--smoke", action="store_true",
                        help="small numbers, in seconds: that all of it works, not how fast")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5,
                        help="in each round, at most: for a work of few messages there are fewer (5)")
    parser.add_argument("--works", nargs="+", metavar="NAME", choices=works.names(), default=[],
                        help="only these works or groups of works (named below)")
    parser.add_argument("--flame", metavar="NAME", choices=works.names(),
                        help="only this work, by Postrider, as a flame graph")
    parser.add_argument("--servers", nargs="+", metavar="NAME", choices=list(SERVERS), default=[],
                        help="only these servers: " + ", ".join(SERVERS))
    parser.add_argument("--messages", type=int, default=15000,
                        help="for Postrider in a usual work and round; others get their share of it "
                             "(15000)")
    parser.add_argument("--waiting", type=int, default=100_000,
                        help="messages that wait in the works of that name (100000)")
    parser.add_argument("--large", action="store_true", help="the same as --waiting 1000000")
    parser.add_argument("--programs", type=Path, default=ROOT / "build/release",
                        help="where postrider, postrider_bench_source and _sink are")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"),
                        help="where the servers keep their data: on a real disk, open to all users")
    parser.add_argument("--json", type=Path,
                        help="where the figures go (build/bench/results.json), the chart beside them")
    options = parser.parse_args(words)
    if options.large:
        options.waiting = 1_000_000
    # share: of sessions and waiting messages, that do not go by --messages.
    options.warm, options.limit_seconds, options.seconds, options.share = 300, 1.0, 10, 1.0
    if options.smoke:
        options.share = 0.005
        options.rounds, options.warm, options.limit_seconds, options.seconds = 1, 20, 0.1, 0.5
        options.messages = 100
    options.json = options.json or ROOT / "build/bench" / (
        "smoke.json" if options.smoke else "results.json")
    return options


def main():
    options = parse(sys.argv[1:])
    tempfile.tempdir = str(options.folder)
    if limits.file_system(options.folder) == "tmpfs":
        say(f"{options.folder} is in memory: syncs cost nothing there")
    if options.flame:
        say(f"the flame graph: {flame.flame(options, works.chosen([options.flame])[0])}")
        return 0
    results = run_all(options)
    judged = targets.judge(results)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results.as_json(judged), indent=1) + "\n")
    options.json.with_suffix(".svg").write_text(chart.chart(results))
    print(table.all_tables(results, judged))
    say(f"all figures: {options.json}; the chart: {options.json.with_suffix('.svg')}")
    for failure in results.failures:
        say(f"failed: {failure}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
