"""Holds every #include of src/, sim/ and bench/ against src/LAYERS. There are no exceptions.

Reports: a folder with sources that LAYERS does not name, a line that names an unknown folder, a
folder named twice, a cycle among the lines, an include that its folder may not have, and an include
of ours that is not written from src/ (or from the root, for sim/ and bench/).
"""

import re

import tree

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)


def read_layers(root):
    """Returns {folder: [allowed folders]} and the problems of the file itself."""
    layers, problems = {}, []
    for number, line in enumerate(tree.read(root / "src/LAYERS").splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, colon, allowed = line.partition(":")
        if not colon:
            problems.append(f"src/LAYERS:{number}: not of the form folder: folders")
        elif folder in layers:
            problems.append(f"src/LAYERS:{number}: {folder} is named twice")
        else:
            layers[folder] = allowed.split()
    for folder, allowed in layers.items():
        problems += [
            f"src/LAYERS: {folder} may include {other}, which has no line of its own"
            for other in allowed
            if other not in layers
        ]
    return layers, problems


def find_cycle(layers):
    """The first cycle as a list of folders, or None."""
    done, path = set(), []

    def visit(folder):
        if folder in path:
            return path[path.index(folder) :] + [folder]
        if folder in done:
            return None
        path.append(folder)
        for other in layers.get(folder, []):
            cycle = visit(other)
            if cycle:
                return cycle
        path.pop()
        done.add(folder)
        return None

    for folder in layers:
        cycle = visit(folder)
        if cycle:
            return cycle
    return None


def room_of(root, path):
    """The folder as LAYERS writes it: world/real for src/world/real/x.cc, sim for sim/x.cc."""
    return path.parent.relative_to(root).as_posix().removeprefix("src/")


def include_problems(root, path, room, layers):
    problems = []
    code = tree.without_comments_and_text(tree.read(path), keep_text=True)
    for match in _INCLUDE.finditer(code):
        kind, name = match.groups()
        where = f"{tree.show(root, path)}:{code.count(chr(10), 0, match.start()) + 1}"
        target = name.rpartition("/")[0]
        if kind == "<" and not ((root / "src" / name).exists() or (root / "sim" / name).exists()):
            continue
        if not target or ".." in name:
            problems.append(f'{where}: "{name}" is not written from src/')
        elif target not in layers:
            problems.append(f"{where}: includes {name}, and LAYERS does not name {target}")
        elif target != room and target not in layers[room]:
            problems.append(f"{where}: {room} may not include {name}")
    return problems


def find_problems(root):
    layers, problems = read_layers(root)
    cycle = find_cycle(layers)
    if cycle:
        problems.append("src/LAYERS: a cycle: " + " -> ".join(cycle))
    unnamed = set()
    for path in tree.files(root, ("src", "sim", "bench"), (".h", ".cc", ".inc")):
        room = room_of(root, path)
        if room in layers:
            problems += include_problems(root, path, room, layers)
        elif room not in unnamed:
            unnamed.add(room)
            problems.append(f"{tree.show(root, path.parent)}: not named in src/LAYERS")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
