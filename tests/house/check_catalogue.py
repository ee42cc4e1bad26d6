"""Each log event of the catalogue is used, and says something to the operator."""

import re

import tree

_EVENT = re.compile(r'POSTRIDER_EVENT\(\s*(\w+),\s*\w+,\s*"([^"]*)",\s*((?:"(?:\\.|[^"\\])*"\s*)+)\)')


def find_problems(root):
    catalogue = root / "src/base/log_catalogue.inc"
    if not catalogue.exists():
        return []
    used = set()
    for path in tree.sources(root, ("src", "sim")):
        if not path.name.endswith("_test.cc"):
            used.update(re.findall(r"\bEvent::(\w+)", tree.read(path)))
    problems = []
    text = tree.without_comments_and_text(tree.read(catalogue), keep_text=True)
    for match in _EVENT.finditer(text):
        name, _, paragraph = match.groups()
        where = f"src/base/log_catalogue.inc:{text.count(chr(10), 0, match.start()) + 1}"
        if name not in used:
            problems.append(f"{where}: nothing logs {name}")
        if len("".join(re.findall(r'"((?:\\.|[^"\\])*)"', paragraph)).split()) < 4:
            problems.append(f"{where}: {name} has no paragraph for the operator")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
