"""Each folder of src/, sim/ and bench/ with sources has a README.md that is short, complete and true.

At most 60 lines; the seven headings in their order; every source or page that it names exists; every
test that its promises name in backticks exists.
"""

import re

import tree

LINES_MAX = 60
HEADINGS = [
    "What it is",
    "Place in the river",
    "Promises",
    "Never",
    "Reading order",
    "How it is tested",
    "Why so",
]
_FILE = re.compile(r"(?<![\w/.*<-])([\w./*-]*\w\.(?:h|cc|inc|md|py))(?![\w*])")
_TEST = re.compile(r"`(?:[A-Z]\w+\.)?([A-Z][a-z0-9]\w{10,})`")


def _headings(text):
    return [
        re.sub(r"^\d+\.\s*", "", match.strip())
        for match in re.findall(r"^#{2,3} +(.+?)\s*$", text, re.M)
    ]


def _section(text, name):
    match = re.search(rf"^#{{2,3}} +(?:\d+\.\s*)?{name}\s*$(.*?)(?=^#{{2,3}} |\Z)", text, re.M | re.S)
    return match.group(1) if match else ""


def _exists(root, folder, name):
    for base in (folder, root / "src", root):
        if "*" in name:
            if any(base.glob(name)):
                return True
        elif (base / name).exists():
            return True
    return False


def readme_problems(root, path, words):
    shown = tree.show(root, path)
    text = tree.read(path)
    problems = []
    if len(text.splitlines()) > LINES_MAX:
        problems.append(f"{shown}: {len(text.splitlines())} lines, the limit is {LINES_MAX}")
    found = _headings(text)
    if found != HEADINGS:
        missing = [name for name in HEADINGS if name not in found]
        other = [name for name in found if name not in HEADINGS]
        if missing:
            problems.append(f"{shown}: lacks the heading " + ", ".join(missing))
        if other:
            problems.append(f"{shown}: has the heading " + ", ".join(other))
        if not missing and not other:
            problems.append(f"{shown}: headings are not in the order of STYLE.md")
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    for name in dict.fromkeys(_FILE.findall(prose)):
        if "://" not in name and not _exists(root, path.parent, name):
            problems.append(f"{shown}: names {name}, which does not exist")
    for name in dict.fromkeys(_TEST.findall(_section(text, "Promises"))):
        if name not in words:
            problems.append(f"{shown}: names {name}, which no source has")
    return problems


def find_problems(root):
    everything = tree.files(root, ("src", "sim", "bench", "tests"), (".h", ".cc", ".inc", ".py", ".sh"))
    words = set()
    for path in everything:
        words.update(re.findall(r"\w+", tree.read(path)))
    problems = []
    folders = {p.parent for p in tree.files(root, ("src", "sim", "bench"), (".h", ".cc"))}
    for folder in sorted(folders):
        readme = folder / "README.md"
        if readme.exists():
            problems += readme_problems(root, readme, words)
        else:
            problems.append(f"{tree.show(root, folder)}: has no README.md")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
