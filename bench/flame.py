"""./dev bench --flame WORK: where the CPU of one work goes, as a flame graph to look at.

Runs the work once with Postrider under perf(1), which must be installed (Debian: linux-perf), and writes
build/bench/flame-WORK.svg: below the whole, above each box what it called; as wide as its share of all
samples. Boxes narrower than a thousandth are left out.
"""

import contextlib
import shutil
import subprocess
import sys
from collections import Counter
from xml.sax.saxutils import escape

from server import ROOT, wait_until

HERTZ = 2000
WIDTH, ROW = 1400, 17
LEAST = 0.001
DEPTH_MAX = 60
# What every stack of the same thread begins with.
TRIVIAL = ("_start", "__libc_start", "main", "[unknown]", "start_thread", "clone", "postrider::serve",
           "CLI::", "std::_Function_handler", "std::thread::", "postrider::(anonymous namespace)::Command")


class Recorder:
    """perf on one process, from begin() to end()."""

    def __init__(self, path):
        self.path, self.process = path, None

    def begin(self, pid):
        """Returns when perf is there."""
        self.process = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "-g", "-o", str(self.path),
             "-p", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.path.exists, f"{self.path}", 30)

    def end(self):
        self.process.terminate()
        self.process.wait(60)


def stacks(path):
    """Each stack that was seen, the outermost first, with how often."""
    said = subprocess.run(["perf", "script", "-i", str(path), "-F", "comm,ip,sym"], capture_output=True,
                          text=True, errors="replace", check=True).stdout
    seen = Counter()
    for block in said.split("\n\n"):
        lines = block.strip().splitlines()
        if len(lines) < 2:
            continue
        frames = [line.strip().partition(" ")[2] for line in lines[1:]]
        frames = [frame for frame in reversed(frames) if not frame.startswith(TRIVIAL)]
        seen[(lines[0].strip().rstrip("0123456789"), *frames)] += 1
    return seen


def tree_of(seen):
    """Nested: {name: [samples, children]}."""
    root = {}
    for stack, count in seen.items():
        level = root
        for frame in stack[:DEPTH_MAX]:
            node = level.setdefault(frame, [0, {}])
            node[0] += count
            level = node[1]
    return root


def is_ours(frame):
    return frame.startswith(("postrider", "std::", "worker", "shard"))


def boxes(level, left, depth, whole, out):
    for frame, (count, children) in sorted(level.items()):
        width = WIDTH * count / whole
        if count >= LEAST * whole:
            colour = "#7fb2d9" if is_ours(frame) else "#e8b06a"
            words = escape(f"{frame} ({100 * count / whole:.1f} %)", {'"': "&quot;"})
            out.append((depth, f'<g><title>{words}</title><rect x="{left:.1f}" y="@{depth}@" '
                               f'width="{max(width - 0.5, 0.3):.1f}" height="{ROW - 1}" '
                               f'fill="{colour}"/>' + label(frame, left, depth, width) + "</g>"))
            boxes(children, left, depth + 1, whole, out)
        left += width


def label(frame, left, depth, width):
    room = int(width / 6.2)
    short = frame.replace("postrider::", "")
    return (f'<text x="{left + 2:.1f}" y="#{depth}#">{escape(short[:room])}</text>' if room > 3 else "")


def svg(seen, title):
    whole = sum(seen.values())
    out = []
    boxes(tree_of(seen), 0, 0, whole, out)
    height = (max(depth for depth, _ in out) + 3) * ROW
    lines = []
    for depth, line in out:
        y = height - (depth + 1) * ROW
        lines.append(line.replace(f"@{depth}@", str(y)).replace(f"#{depth}#", str(y + 12)))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            'font-family="monospace" font-size="10"><rect width="100%" height="100%" fill="white"/>'
            f'<text x="4" y="14" font-size="12">{escape(title)}, {whole} samples; blue: ours, '
            'brown: the system and libraries</text>' + "\n".join(lines) + "</svg>\n")


def flame(options, work):
    """Says where the picture lies; None when perf is missing."""
    if not shutil.which("perf"):
        sys.exit("bench: perf is missing; type: apt-get install linux-perf")
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    record = Recorder(folder / "perf.data")
    options.turns = 1
    with contextlib.ExitStack() as stack:
        figures = work.opened(stack, options, work, "postrider", None, recorder=record).turn()
    seen = stacks(record.path)
    record.path.unlink()
    path = folder / f"flame-{work.name.replace('/', '-')}.svg"
    path.write_text(svg(seen, f"{work.name}: {figures['cpu_ms_per_message'] * 1000:.0f} µs of CPU per "
                              f"message"))
    return path
