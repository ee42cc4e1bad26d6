"""Links between pages lead somewhere, and every page of docs/ is reachable from docs/README.md."""

import re

import tree

_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def links(text):
    """(line, target) of each link that stays in the tree; code blocks are left out."""
    text = re.sub(r"```.*?```", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
    for match in _LINK.finditer(text):
        target = match.group(1).partition("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            yield text.count("\n", 0, match.start()) + 1, target


def find_problems(root):
    problems = []
    reached = set()
    for path in tree.files(root, (".",), (".md",)):
        for line, target in links(tree.read(path)):
            full = (path.parent / target).resolve()
            if not full.exists():
                problems.append(f"{tree.show(root, path)}:{line}: {target} does not exist")
            if path == root / "docs/README.md":
                reached.add(full)
    for page in tree.files(root, ("docs",), (".md",)):
        if page != root / "docs/README.md" and page.resolve() not in reached:
            problems.append(f"{tree.show(root, page)}: not linked from docs/README.md")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
