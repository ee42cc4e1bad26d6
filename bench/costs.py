"""What things cost: CPU of a tree of processes, system calls, memory and octets written."""

import os
import re
import time
from pathlib import Path

SYNC_CALLS = "fsync,fdatasync,sync_file_range,syncfs,sync,msync"
_TICKS = os.sysconf("SC_CLK_TCK")


# --- CPU

def descendants(pid):
    """The process and all below it that live, by the parents that the system names."""
    children = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _cgroup_root():
    """A folder below which groups can be made that count CPU, and the file that holds the count."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path.lstrip("/")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind == "cgroup" and "cpuacct" in options.split(","):
            for controllers, path in own.items():
                if "cpuacct" in controllers.split(","):
                    return Path(folder) / path, "cpuacct.usage"
        if kind == "cgroup2" and folder == "/sys/fs/cgroup":
            return Path(folder) / own.get("", ""), "cpu.stat"
    return None, None


class CpuMeter:
    """CPU seconds of a process and all that came from it, those that ended included.

    By a control group of its own where the user may make one: the kernel counts nanoseconds there.
    Otherwise by /proc: each living process's own time and that of its ended children which it has
    waited for, in ticks of 10 ms."""

    def __init__(self, pid):
        self.pid = pid
        self.group = None
        folder, self.file = _cgroup_root()
        if folder is None:
            return
        group = folder / f"postrider-bench-{os.getpid()}-{pid}"
        try:
            group.mkdir()
        except OSError:
            return
        self.group = group
        try:
            # A process that begins between two rounds is found in the second.
            for _ in range(3):
                for one in descendants(pid):
                    try:
                        (group / "cgroup.procs").write_text(str(one))
                    except ProcessLookupError:
                        pass
        except OSError:
            self.close()

    @property
    def method(self):
        return "control group" if self.group else "/proc, ticks of 10 ms"

    def seconds(self):
        if self.group is None:
            return sum(map(self._ticks, descendants(self.pid))) / _TICKS
        text = (self.group / self.file).read_text()
        if self.file == "cpuacct.usage":
            return int(text) / 1e9
        return int(re.search(r"usage_usec (\d+)", text).group(1)) / 1e6

    @staticmethod
    def _ticks(pid):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return sum(map(int, fields[11:15]))  # own user and system time, and that of ended children

    def close(self):
        """Once its processes have ended."""
        if self.group is None:
            return
        end = time.monotonic() + 5
        while True:
            try:
                self.group.rmdir()
                break
            except OSError:
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
        self.group = None


# --- system calls

def traced(words, into, calls):
    """The words under strace, which writes each of the named calls ("all") into a file. When only
    some are named, the others run at full speed."""
    chosen = [] if calls == "all" else ["--seccomp-bpf", "-e", f"trace={calls}"]
    # -I 2: SIGTERM ends strace and is passed on; with a file it would be held back.
    return ["strace", "-f", "-I", "2", "-ttt", "-s", "0", *chosen, "-o", str(into), *words]


def count_calls(path, begin, end):
    """{name: how often it was called} between two moments of the wall clock."""
    counts = {}
    with open(path, errors="replace") as lines:
        for line in lines:
            found = re.match(r"\d+ +(\d+\.\d+) (\w+)\(", line)
            if found and begin <= float(found.group(1)) <= end:
                counts[found.group(2)] = counts.get(found.group(2), 0) + 1
    return counts


# --- one process

def memory(pid):
    """Resident octets."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s*(\d+) kB", text, re.M).group(1)) * 1024


def listens(port):
    """Without being seen by whoever listens."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        if state == "0A" and int(local.rpartition(":")[2], 16) == port:
            return True
    return False


# --- the disk

def device_octets(folder):
    """Octets that the disk below a folder has taken in so far, from everybody on this machine; None
    where the file system lies on no single disk."""
    device = os.stat(folder).st_dev
    try:
        os.sync()  # what waits in memory belongs to the past
        fields = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text()
    except FileNotFoundError:
        return None
    return int(fields.split()[6]) * 512
