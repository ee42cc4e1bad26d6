"""Every source is as clang-format-19 would write it; ./dev format makes it so."""

import re
import subprocess

import tree


def find_problems(root):
    paths = [str(path) for path in tree.sources(root)]
    if not paths:
        return []
    run = subprocess.run(
        ["clang-format-19", "--dry-run", *paths], capture_output=True, text=True, check=False, cwd=root
    )
    if run.returncode != 0:
        return [run.stderr.strip()]
    first = {}
    for match in re.finditer(r"^(.+?):(\d+):\d+: warning: code should be", run.stderr, re.M):
        first.setdefault(match.group(1), int(match.group(2)))
    return [f"{p.removeprefix(str(root) + '/')}:{n}: run ./dev format" for p, n in first.items()]


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
