"""The spool alone beside RocksDB with synced group commit, on the same work: bench/store/."""

import json
import subprocess
import tempfile
from pathlib import Path

import costs

PROGRAMS = {"spool": "postrider_bench_spool", "rocksdb": "postrider_bench_rocksdb"}
TRACED = 1000  # messages under strace, at most


def path_of(programs, name):
    """Built with the benchmarks, beside the release; RocksDB's only where it is installed."""
    return programs.parent / "bench" / PROGRAMS[name]


def missing(programs, name):
    path = path_of(programs, name)
    return "" if path.exists() else f"{path} is missing: ./dev bench builds it, where librocksdb-dev is"


def run(options, work, name, _results):
    messages = max(work.load.sessions, round(options.messages * work.messages))
    before = costs.device_octets(options.folder)
    done = store(options, work, name, messages)
    after = costs.device_octets(options.folder)
    figures = {"messages": messages, "messages_per_second": messages / done["seconds"],
               "cpu_ms_per_message": done["cpu_seconds"] * 1000 / messages}
    if before is not None:
        figures["disk_share"] = (after - before) / (messages * work.load.octets)
    if not options.smoke:
        traced = min(TRACED, messages)
        calls = store(options, work, name, traced, costs.SYNC_CALLS)["calls"]
        figures["syncs_per_message"] = sum(calls.values()) / traced
    return figures


def store(options, work, name, messages, trace=None):
    with tempfile.TemporaryDirectory() as made:
        folder, log = Path(made) / "store", Path(made) / "trace"
        folder.mkdir()
        words = [str(path_of(options.programs, name)), str(folder), "-m", str(messages),
                 "-s", str(work.load.sessions), "-l", str(work.load.octets)]
        if work.point == "finished":
            words.append("--finished")
        done = subprocess.run(costs.traced(words, log, trace) if trace else words,
                              capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{name} ended with {done.returncode}: {done.stderr}"
        out = json.loads(done.stdout)
        if trace:
            out["calls"] = costs.count_calls(log, 0, float("inf"))
        return out
