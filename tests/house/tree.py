"""The tree that the checks of the house read, and how each of them reports.

A check is a module with find_problems(root) -> list of lines, each "path:line: what is wrong". Run as
a program it prints them and ends with 1 if there are any. Tests call find_problems on a small tree
of their own.
"""

import argparse
import os
import pathlib
import re
import sys

SKIPPED = {".git", "build", "var", "corpus", "testdata", "__pycache__", "node_modules"}


def files(root, folders, suffixes):
    """Files below root/FOLDER whose name ends in one of the suffixes, sorted by path."""
    found = []
    for folder in folders:
        for here, below, names in os.walk(root / folder):
            below[:] = sorted(name for name in below if name not in SKIPPED)
            found += [pathlib.Path(here) / name for name in names if name.endswith(suffixes)]
    return sorted(set(found))


def sources(root, folders=("src", "sim", "bench", "tests")):
    return files(root, folders, (".h", ".cc"))


def show(root, path):
    return path.relative_to(root).as_posix()


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


_TOKEN = re.compile(
    r'R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'  # string
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'"  # character, but not the ' of 10'000
    r"|//[^\n]*|/\*.*?\*/",
    re.S,
)


def without_comments_and_text(code, keep_text=False):
    """The same code with comments blanked, and texts too unless kept; line numbers stay."""

    def blank(match):
        token = match.group(0)
        if keep_text and not token.startswith("/"):
            return token
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        return '"' + re.sub(r"[^\n]", " ", token[1:-1]) + '"'

    return _TOKEN.sub(blank, code)


def main(find_problems, purpose):
    parser = argparse.ArgumentParser(description=purpose)
    here = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=here)
    problems = find_problems(parser.parse_args().root.resolve())
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
