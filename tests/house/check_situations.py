"""Each row of the catalogue of rare moments (src/base/situation.h) is used in src/."""

import re

import tree

CATALOGUE = "src/base/situation_catalogue.inc"
_ROW = re.compile(r"POSTRIDER_(SITUATION|SWITCH)\(\s*(\w+),")
_USES = {
    "SITUATION": (re.compile(r"\bSituation::(\w+)"), "nothing reaches"),
    "SWITCH": (re.compile(r"\bSwitch::(\w+)"), "nothing asks for"),
}


def find_problems(root):
    catalogue = root / CATALOGUE
    if not catalogue.exists():
        return []
    used = {kind: set() for kind in _USES}
    for path in tree.sources(root, ("src",)):
        if path.name.endswith("_test.cc"):
            continue
        code = tree.without_comments_and_text(tree.read(path))
        for kind, (use, _) in _USES.items():
            used[kind].update(use.findall(code))
    problems = []
    text = tree.without_comments_and_text(tree.read(catalogue))
    for match in _ROW.finditer(text):
        kind, name = match.groups()
        if name not in used[kind]:
            line = text.count("\n", 0, match.start()) + 1
            problems.append(f"{CATALOGUE}:{line}: {_USES[kind][1]} {name}")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
