"""Each header opens with its own name and its purpose, and is guarded by #pragma once.

The first line is `// folder/name.h: what it is for.`, with the path as an #include writes it.
"""

import re

import tree


def find_problems(root):
    problems = []
    for path in tree.files(root, ("src", "sim", "bench", "tests"), (".h",)):
        shown = tree.show(root, path)
        name = shown.removeprefix("src/")
        lines = tree.read(path).splitlines() or [""]
        purpose = re.match(rf"// {re.escape(name)}: (.*)", lines[0])
        if not purpose:
            problems.append(f"{shown}:1: does not open with // {name}: and its purpose")
        elif len(purpose.group(1).split()) < 2:
            problems.append(f"{shown}:1: the purpose is missing after the name")
        code = [line for line in lines if line.strip() and not line.startswith("//")]
        if not code or code[0].strip() != "#pragma once":
            problems.append(f"{shown}: #pragma once is not the first line after the comment")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
