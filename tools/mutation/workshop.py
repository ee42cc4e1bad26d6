"""A copy of the tree in which one mutant after the other is built and checked, and its build folder.

The real tree is only read. A copy is brought up to date by content, so what did not change is not
built again; a file that was mutated comes back from the compiler's cache.
"""

import io
import os
import re
import resource
import shutil
import signal
import subprocess
import tarfile
import time
from dataclasses import dataclass

BUILD_SECONDS_MAX = 1200
MEMORY_OCTETS_MAX = 4 << 30
OUTPUT_OCTETS_MAX = 1 << 30  # of each file that a check writes
FLAGS = "-O1 -g0 -w -D_GLIBCXX_ASSERTIONS"


class Trouble(Exception):
    """Not the mutant's fault: the tool cannot go on."""


@dataclass
class Run:
    passed: bool
    timed_out: bool
    wall: float  # seconds
    cpu: float
    why: str  # what failed, in few words


def files_of(root, commit=None):
    """{path: octets} of a commit, or of what lies there now and git knows or would add."""
    git = ["git", "-C", str(root)]
    if commit:
        archive = subprocess.run([*git, "archive", commit], capture_output=True)
        if archive.returncode != 0:
            raise Trouble(archive.stderr.decode().strip())
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            return {e.name: tar.extractfile(e).read() for e in tar.getmembers() if e.isfile()}
    listing = [*git, "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True).stdout.decode().split("\0")
    paths = {name: root / name for name in sorted(set(names)) if name}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def bring_up_to_date(copy, files):
    """Makes the folder hold exactly these files; touches only what differs."""
    for name, octets in files.items():
        path = copy / name
        if not path.is_file() or path.read_bytes() != octets:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)
    for path in [path for path in copy.rglob("*") if path.is_file()]:
        if path.relative_to(copy).as_posix() not in files:
            path.unlink()


class Workshop:
    def __init__(self, folder, number, ninja_jobs):
        self.tree = folder / f"tree-{number}"
        self.build = folder / f"build-{number}"
        self.scratch = folder / f"scratch-{number}"
        self.log = folder / f"check-{number}.log"
        self.ninja_jobs = ninja_jobs
        self._process = None
        self.environment = dict(
            os.environ,
            CCACHE_DIR=str(folder / "ccache"),
            CCACHE_MAXSIZE="3G",
            CCACHE_SLOPPINESS="pch_defines,time_macros,include_file_mtime,include_file_ctime",
            TMPDIR=str(self.scratch),
        )

    def prepare(self, files):
        """Copies the files and makes the build folder ready."""
        bring_up_to_date(self.tree, files)
        command = ["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja"]
        command += ["-DCMAKE_CXX_COMPILER=clang++-19", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
        command += ["-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_FLAGS_DEBUG={FLAGS}"]
        done = self._run([str(word) for word in command], BUILD_SECONDS_MAX)
        if not done.passed:
            raise Trouble(f"cmake failed: see {self.log}")

    def compiles(self, target):
        """Builds the target. False when the compiler says that the code is wrong."""
        command = ["ninja", "-C", str(self.build), "-j", str(self.ninja_jobs), target]
        done = self._run(command, BUILD_SECONDS_MAX)
        if done.passed:
            return True
        if done.timed_out or not re.search(r"\berror: ", self._output()):
            raise Trouble(f"{target} was not built, and not for its code: see {self.log}")
        return False

    def check(self, command, wall_max=None, cpu_max=None):
        """Runs a program of the build folder, the first word of `command`, in the tree."""
        program, *arguments = command
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        words = [str(self.build / program), *arguments]
        return self._run(words, wall_max, cpu_max, MEMORY_OCTETS_MAX)

    def stop(self):
        """Ends what runs here, from another thread."""
        process = self._process
        if process and process.poll() is None:
            _kill_group(process.pid)

    # The limits are set by a shell, since Python may not run code of its own between fork and exec
    # while it has other threads.
    def _run(self, words, wall_max, cpu_max=None, memory=None):
        limits = "ulimit -c 0; "
        if memory:
            limits += f"ulimit -v {memory // 1024}; ulimit -f {OUTPUT_OCTETS_MAX // 512}; "
        if cpu_max is not None:
            limits += f"ulimit -t {int(cpu_max) + 1}; "
        self.log.parent.mkdir(parents=True, exist_ok=True)
        begun, cpu_begun = time.monotonic(), _cpu_of_children()
        with open(self.log, "wb") as log:
            self._process = process = subprocess.Popen(
                ["sh", "-c", limits + 'exec "$@"', "limited", *words],
                cwd=self.tree,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            late = False
            try:
                process.wait(wall_max)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                _kill_group(process.pid)  # with what a mutant left running
                process.wait()
        late = late or process.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
        failed = process.returncode != 0 or late
        return Run(
            passed=not failed,
            timed_out=late,
            wall=time.monotonic() - begun,
            cpu=_cpu_of_children() - cpu_begun,  # true while only one workshop works
            why=self._why(process.returncode) if failed else "",
        )

    def _output(self):
        with open(self.log, "rb") as log:
            log.seek(max(0, self.log.stat().st_size - 1_000_000))
            return log.read().decode("utf-8", "replace")

    # The failed test; a broken assertion or the test in which it died; the first violation that the
    # simulator tells, which is indented; or the last words.
    def _why(self, status):
        output = self._output()
        died = signal.Signals(-status).name if status < 0 else f"exit {status}"
        ran = re.findall(r"^\[ RUN      \] (\S+)$", output, re.M)
        for pattern in (r"^\[  FAILED  \] (\S+?)[,\s]", r"^(\S+: Assertion .*)$"):
            if found := re.search(pattern, output, re.M):
                return found[1][:200]
        if ran:
            return f"{died} {ran[-1]}"
        found = re.search(r"^  (\S.*)$", output, re.M)
        last = output.strip().splitlines()[-1:] or [""]
        return f"{died} {found[1] if found else last[0]}".strip()[:200]


def _cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _kill_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
