"""./dev bench: Postrider beside Postfix, in one interleaved run, under our own load.

For each kind of work (servers.py) each server runs in turn, fresh, warmed up, and again in the next
round. Prints medians with their spread and the ratios, and writes all figures as JSON. Nothing here
judges a time: it fails only when a message was refused, lost or not delivered.

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

import costs
from servers import BenchPostfix, BenchPostrider
from server import LIMIT, ROOT, wait_until

WORKS = ("accept", "relay", "maildir")
KINDS = {"postrider": BenchPostrider, "postfix": BenchPostfix}


class Sink:
    """Our sink as a process; says what it cost when so many messages have come."""

    def __init__(self, folder, *tell_at):
        words = [str(folder / "postrider_bench_sink")]
        for count in tell_at:
            words += ["--tell-at", str(count)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.port = int(json.loads(self.process.stdout.readline())["listening"].split(":")[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()

    def next_figures(self):
        """Waits for the next of the counts."""
        return json.loads(self.process.stdout.readline())


def run_source(folder, port, options, messages, to):
    done = subprocess.run(
        [str(folder / "postrider_bench_source"), f"127.0.0.1:{port}", "-m", str(messages),
         "-s", str(options.sessions), "-l", str(options.octets),
         "-c", str(options.per_connection), "--to", to],
        capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise AssertionError(f"the source ended with {done.returncode}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def count_files(folder):
    try:
        with os.scandir(folder) as files:
            return sum(1 for _ in files)
    except FileNotFoundError:
        return 0


class Run:
    """One server, once, with one kind of work."""

    def __init__(self, options, name, work, messages, trace=None):
        self.options, self.name, self.work, self.messages = options, name, work, messages
        self.trace = trace
        self.warm = min(options.warm, messages)

    def figures(self):
        with contextlib.ExitStack() as stack:
            self.sink = None
            if self.work == "relay":
                self.sink = stack.enter_context(
                    Sink(self.options.programs, self.warm, self.warm + self.messages))
            self.server = stack.enter_context(KINDS[self.name](
                str(self.options.programs / "postrider"), self.work,
                self.sink.port if self.sink else None, self.trace))
            meter = costs.CpuMeter(self.server.pid)
            try:
                figures, begin, end = self.measure(meter)
            finally:
                self.server.stop()  # with its last process the group is empty and the trace whole
                meter.close()
            if self.trace:
                calls = costs.count_calls(self.server.directory / "trace", begin, end)
                figures["calls"] = {name: count / self.messages for name, count in
                                    sorted(calls.items(), key=lambda item: -item[1])}
            return figures

    def measure(self, meter):
        """The figures, and between which moments of the wall clock they were taken."""
        self.load(self.warm)
        self.wait_until_done(self.warm)
        syncs, cpu, wall = self.server.syncs(), meter.seconds(), time.time()
        source = self.load(self.messages)
        sink, ended_at = self.wait_until_done(self.warm + self.messages)
        cpu = meter.seconds() - cpu
        if ended_at is None:
            ended_at = source["begun_at"] + source["seconds"]
        figures = {
            "messages": self.messages,
            "messages_per_second": self.messages / (ended_at - source["begun_at"]),
            "cpu_ms_per_message": cpu * 1000 / self.messages,
            "cpu_counted_by": meter.method,
            "wait_median_ms": source["wait_median_ms"],
            "wait_p99_ms": source["wait_p99_ms"],
            "source_cpu_ms_per_message": source["cpu_seconds"] * 1000 / self.messages,
        }
        if sink:
            figures["sink_connections"] = sink["connections"]
        if syncs is not None:
            figures["spool_syncs_per_message"] = (self.server.syncs() - syncs) / self.messages
        return figures, wall, time.time()

    def load(self, messages):
        return run_source(self.options.programs, self.server.port, self.options, messages,
                          self.server.recipient)

    def wait_until_done(self, count):
        """What the sink says, and when the last message was where it belongs; None: at its 250."""
        if self.work == "accept":
            return None, None
        if self.sink:
            figures = self.sink.next_figures()
            return figures, figures["last_at"]
        wait_until(lambda: count_files(self.server.mailbox) >= count,
                   f"{count} messages in {self.server.mailbox}", 600)
        return None, time.monotonic()


def measure_limits(options):
    """What this machine can do at most."""
    with Sink(options.programs, options.messages["limit"]) as sink:
        source = run_source(options.programs, sink.port, options, options.messages["limit"],
                            "user@far.test")
        took = sink.next_figures()
    messages = source["messages"]
    return {
        "do_nothing_sink_messages_per_second": messages / source["seconds"],
        "source_cpu_ms_per_message": source["cpu_seconds"] * 1000 / messages,
        "sink_cpu_ms_per_message": took["cpu_seconds"] * 1000 / messages,
        "synced_writes_per_second": costs.syncs_per_second(
            options.folder, options.octets, options.limit_seconds),
    }


def run_all(options):
    names = ["postrider"]
    missing = BenchPostfix.missing()
    if missing:
        say(f"Postfix is left out: {missing}")
    else:
        names.append("postfix")
    results = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(),
                    "file_system": costs.file_system(options.folder)},
        "sessions": options.sessions, "octets": options.octets,
        "messages_per_connection": options.per_connection, "rounds": options.rounds,
        "limits": [], "runs": {work: {name: [] for name in names} for work in options.works},
        "traced": {work: {} for work in options.works},
    }
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}: limits")
        results["limits"].append(measure_limits(options))
        for work in options.works:
            # Who comes first changes from round to round.
            for name in names if number % 2 == 0 else reversed(names):
                figures = Run(options, name, work, options.messages[name]).figures()
                figures["load"] = os.getloadavg()[0]
                results["runs"][work][name].append(figures)
                say(f"round {number + 1}: {work}, {name}: "
                    f"{figures['messages_per_second']:.0f} messages/s, "
                    f"CPU {figures['cpu_ms_per_message']:.3f} ms/message")
    for work in options.works:
        for name in names:
            say(f"calls: {work}, {name}")
            count = options.messages["traced"]
            syncs = Run(options, name, work, count, costs.SYNC_CALLS).figures()["calls"]
            calls = Run(options, name, work, count, "all").figures()["calls"]
            results["traced"][work][name] = {"syncs_per_message": sum(syncs.values()),
                                             "calls_per_message": sum(calls.values()),
                                             "calls": calls}
    return results


# --- the table

def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def spread(values, digits):
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def rows_of(work, runs, traced):
    """Label, text for each server, and the ratio where there are two."""
    rows = []
    for label, key, digits in (("messages/s", "messages_per_second", 0),
                               ("CPU ms/message", "cpu_ms_per_message", 3),
                               ("250 after the dot, median ms", "wait_median_ms", 2),
                               ("250 after the dot, p99 ms", "wait_p99_ms", 2)):
        values = {name: [one[key] for one in figures] for name, figures in runs.items()}
        rows.append((f"{work}: {label}", {n: spread(v, digits) for n, v in values.items()},
                     {n: statistics.median(v) for n, v in values.items()}))
    for label, key, digits in (("syncs/message", "syncs_per_message", 3),
                               ("system calls/message", "calls_per_message", 1)):
        values = {name: figures[key] for name, figures in traced.items()}
        rows.append((f"{work}: {label}, traced", {n: f"{v:.{digits}f}" for n, v in values.items()},
                     values))
    own = [one["spool_syncs_per_message"] for one in runs["postrider"]]
    rows.append((f"{work}: syncs of the spool/message, at full speed",
                 {"postrider": spread(own, 3)}, {}))
    return rows


def table(results):
    lines = ["| | Postrider | Postfix | Postrider : Postfix |", "|---|---|---|---|"]
    for work, runs in results["runs"].items():
        for label, texts, medians in rows_of(work, runs, results["traced"][work]):
            ratio = ""
            if len(medians) == 2 and min(medians.values()) > 0:
                part = medians["postrider"] / medians["postfix"]
                ratio = f"{part:.1f}" if part >= 1 else f"1/{1 / part:.1f}"
            lines.append(f"| {label} | {texts['postrider']} | {texts.get('postfix', '–')} | {ratio} |")
    limits = {key: [one[key] for one in results["limits"]] for key in results["limits"][0]}
    lines += ["", "| limit of this machine | |", "|---|---|"]
    for label, key, digits in (
            ("our source into our sink, messages/s", "do_nothing_sink_messages_per_second", 0),
            ("the source itself, CPU ms/message", "source_cpu_ms_per_message", 3),
            ("the sink itself, CPU ms/message", "sink_cpu_ms_per_message", 3),
            ("synced writes of one message's size, one after the other, /s",
             "synced_writes_per_second", 0)):
        lines.append(f"| {label} | {spread(limits[key], digits)} |")
    return "\n".join(lines)


def parse(words):
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__.split("\n\n")[0],
        epilog="./dev bench --micro [REGEX] runs the benchmarks of single parts instead.")
    parser.add_argument("--smoke", action="store_true",
                        help="small numbers, in seconds: that all of it works, not how fast")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--octets", type=int, default=10240)
    parser.add_argument("--per-connection", type=int, default=1, help="messages for each connection")
    parser.add_argument("--messages", type=int, default=15000,
                        help="for Postrider in each run; Postfix gets a fifth of it")
    parser.add_argument("--programs", type=Path, default=ROOT / "build/release",
                        help="where postrider, postrider_bench_source and _sink are")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"),
                        help="where the servers keep their data: on a real disk, open to all users")
    parser.add_argument("--json", type=Path, help="where the figures go (build/bench/results.json)")
    options = parser.parse_args(words)
    # Runs that last about equally long are disturbed alike.
    options.messages = {"postrider": options.messages, "postfix": max(options.messages // 5, 1),
                        "limit": 2 * options.messages, "traced": 500}
    options.warm, options.limit_seconds = 300, 1.0
    if options.smoke:
        options.rounds, options.warm, options.limit_seconds = 1, 40, 0.1
        options.messages = {"postrider": 200, "postfix": 100, "limit": 500, "traced": 40}
    options.json = options.json or ROOT / "build/bench" / (
        "smoke.json" if options.smoke else "results.json")
    return options


def main():
    options = parse(sys.argv[1:])
    tempfile.tempdir = str(options.folder)
    if costs.file_system(options.folder) == "tmpfs":
        say(f"{options.folder} is in memory: syncs cost nothing there")
    results = run_all(options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    say(f"all figures: {options.json}")


if __name__ == "__main__":
    main()
