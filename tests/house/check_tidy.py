"""clang-tidy-19 with .clang-tidy on the sources that changed, or on all of them.

Changed means: different from origin/main, or from the commit before when origin/main is where we
stand, or not yet committed. A changed header is checked through the source or test of its name. At
most FILES_MAX sources are checked unless --all is given; what is left out is said. Of tests the
analyzer's paths are left out: they multiply with each assertion (a minute for a file of 400 lines,
8 seconds without) and have found nothing there.

  check_tidy.py --build build/asan [--all] [--jobs N] [ROOT]
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

FILES_MAX = 60
SECONDS_MAX = 600  # for one source, on a busy machine
_FINDING = re.compile(r"^([^\s:][^:\n]*):(\d+):\d+: (?:warning|error): (.*)$", re.M)


def _git(root, *arguments):
    run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return run.stdout.split() if run.returncode == 0 else None


def changed_files(root):
    """Paths from the root, or None when there is nothing to compare with (then all count)."""
    head, main = _git(root, "rev-parse", "HEAD"), _git(root, "rev-parse", "origin/main")
    base = _git(root, "merge-base", "HEAD", "origin/main") if main and main != head else ["HEAD~"]
    changed = _git(root, "diff", "--name-only", base[0]) if base else None
    if changed is None:
        return None
    return changed + (_git(root, "ls-files", "--others", "--exclude-standard") or [])


def compiled_sources(build):
    """The sources of the build, in the order of its compile_commands.json."""
    commands = json.loads((build / "compile_commands.json").read_text())
    found = [pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in commands]
    return [path for path in dict.fromkeys(found) if path.exists()]


def to_check(root, compiled, changed):
    """The compiled sources that stand for the changed paths."""
    ours = [p for p in compiled if p.is_relative_to(root) and not p.is_relative_to(root / "build")]
    if changed is None:
        return ours
    wanted = {root / path for path in changed}
    for path in [path for path in wanted if path.suffix in (".h", ".inc")]:
        wanted |= {path.with_suffix(".cc"), path.with_name(path.stem + "_test.cc")}
    return [path for path in ours if path in wanted]


def tidy(root, build, source):
    """The findings of one source, as lines "path:line: text [check]"."""
    command = ["clang-tidy-19", "--quiet", "-p", str(build), str(source)]
    if source.name.endswith("_test.cc"):
        command.append("--checks=-clang-analyzer-*")
    try:
        run = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        return [f"{source.relative_to(root)}: took more than {SECONDS_MAX} s"]
    findings = []
    for path, line, text in _FINDING.findall(run.stdout):
        shown = path.removeprefix(f"{root}/")
        findings.append(f"{shown}:{line}: {text}")
    if run.returncode != 0 and not findings:
        findings.append(f"{source.relative_to(root)}: {(run.stdout + run.stderr).strip()}")
    return findings


def find_problems(root, build, jobs, everything=False):
    changed = None if everything else changed_files(root)
    sources = to_check(root, compiled_sources(build), changed)
    if not everything and len(sources) > FILES_MAX:
        print(f"{len(sources)} sources; {FILES_MAX} checked, the others only with --all")
        sources = sources[:FILES_MAX]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda source: tidy(root, build, source), sources)
        return list(dict.fromkeys(line for lines in results for line in lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    problems = find_problems(
        pathlib.Path(options.root).resolve(), options.build.resolve(), options.jobs, options.all
    )
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
