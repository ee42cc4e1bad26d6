"""Functions over 70 lines, files over 500, lines over 100 columns; a ratchet for the rest.

tests/house/lengths.txt names what may be longer, one line each, with its size now and the reason:

    src/smtp/grammar.cc: file 612: one grammar, read as one
    src/smtp/grammar.cc: function parse_path 84: follows the rule line by line
    src/mail/table.cc: columns 130: a table that wraps cannot be read

An entry is an error when the thing grew, when it shrank (write the smaller number), and when it is no
longer needed. A function counts from the line on which its declaration starts to its closing brace.
The scan relies on clang-format's shapes: a body's brace has a space before it, an initialiser's has not.
"""

import re

import tree

LIMITS = {"function": 70, "file": 500, "columns": 100}
_ENTRY = re.compile(r"^(\S+): (?:function (\S+)|(file)|(columns)) (\d+): (.*\S)$")
_CONTAINER = re.compile(r"^(?:inline |typedef |export )*(?:namespace|class|struct|union|enum|extern)\b")
_ACCESS = re.compile(r"^ *(?:public|private|protected):$", re.M)
_TEMPLATE = re.compile(r"template <[^{};]*?>\s*(?=[\w\[:~]|$)")


def _blank_directives(code):
    """Preprocessor lines, with their continuations, made empty."""
    return re.sub(
        r"^[ \t]*#(?:[^\n\\]|\\[^\n]|\\\n)*", lambda m: "\n" * m.group(0).count("\n"), code, flags=re.M
    )


def _name(header):
    before, _, inside = header.partition("(")
    if before.endswith("operator"):
        return before.split()[-1] + "()"
    words = re.findall(r"operator\S+|~?[\w:]+", before)
    name = words[-1] if words else "(unnamed)"
    if re.fullmatch(r"(?:TYPED_)?(?:TEST|TEST_F|TEST_P|TEST_CASES|BENCHMARK\w*)", name):
        arguments = inside.partition(")")[0].replace(" ", "").replace("\n", "")
        return arguments.replace(",", ".") or name
    return name


def _is_function(header):
    plain = re.sub(r"operator\s*(?:\(\)|[^\s\w(]+)", "operator", header)
    if "(" not in plain or plain.endswith(("=", "(", ",", "return", "[", "{")):
        return False
    return re.search(r"[^=!<>]=[^=]", plain.partition("(")[0] + " ") is None or "](" in plain


def functions(code):
    """Yields (name, first line, length in lines) for each function at namespace or class level."""
    code = _blank_directives(tree.without_comments_and_text(code))
    code = _ACCESS.sub(lambda match: " " * len(match.group()), code)
    containers = 0  # how many namespaces and classes are open
    start = 0  # where the current declaration begins
    at = 0
    while at < len(code):
        char = code[at]
        if char == ";":
            start = at + 1
        elif char == "}":
            containers -= 1
            start = at + 1
        elif char == "{":
            header = " ".join(_TEMPLATE.sub("", code[start:at]).split())
            # An argument, such as a lambda among a constructor's initialisers, ends with its call.
            argument = header.count("(") > header.count(")")
            initialiser = argument or not code[at - 1 : at].isspace()
            if not initialiser and _CONTAINER.match(header) and not header.endswith("="):
                containers += 1
                start = at + 1
            else:
                end = _closing(code, at)
                if not initialiser and _is_function(header):
                    first = start + len(code[start:at]) - len(code[start:at].lstrip())
                    line = code.count("\n", 0, first) + 1
                    yield _name(header), line, code.count("\n", first, end) + 1
                    start = end + 1
                at = end
        at += 1


def _closing(code, at):
    """Where the brace that opens at `at` is closed; the end of the code if it never is."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, at):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def measure(root):
    """{(path, kind, name): (size, line)} of everything above a limit."""
    long = {}

    def note(path, kind, name, size, line):
        key = (tree.show(root, path), kind, name)
        if size > LIMITS[kind] and size > long.get(key, (0, 0))[0]:
            long[key] = (size, line)

    for path in tree.sources(root):
        code = tree.read(path)
        lines = code.splitlines()
        note(path, "file", "", len(lines), 1)
        for number, line in enumerate(lines, 1):
            note(path, "columns", "", len(line), number)
        for name, line, size in functions(code):
            note(path, "function", name, size, line)
    return long


def read_ratchet(root):
    entries, problems = {}, []
    path = root / "tests/house/lengths.txt"
    for number, line in enumerate(tree.read(path).splitlines() if path.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _ENTRY.match(line)
        if not match:
            problems.append(f"tests/house/lengths.txt:{number}: not of the form path: thing size: reason")
            continue
        where, function, file, columns, size, _ = match.groups()
        kind = "function" if function else file or columns
        entries[(where, kind, function or "")] = (int(size), number)
    return entries, problems


def find_problems(root):
    entries, problems = read_ratchet(root)
    long = measure(root)
    for key, (size, line) in sorted(long.items()):
        path, kind, name = key
        thing = f"{kind} {name}".strip()
        allowed, number = entries.get(key, (None, 0))
        if allowed is None:
            problems.append(f"{path}:{line}: {thing} is {size} long, the limit is {LIMITS[kind]}")
        elif size > allowed:
            problems.append(f"{path}:{line}: {thing} grew from {allowed} to {size}")
        elif size < allowed:
            problems.append(
                f"tests/house/lengths.txt:{number}: {path} {thing} shrank to {size}; write that"
            )
    for (path, kind, name), (_, number) in sorted(entries.items()):
        if (path, kind, name) not in long:
            thing = f"{kind} {name}".strip()
            problems.append(f"tests/house/lengths.txt:{number}: {path} {thing} needs no exception")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
