"""Which mutants are tried: drawn evenly over rooms, files and operators, the same for the same seed."""

import random
import re
from collections import Counter

from mutation import operators

ROOMS = ("spool", "queue", "deliver", "report")
# What tests only: beside the tests, and the worlds made for them.
_TESTING = re.compile(r"_(test|bench|fuzz)\.cc$|/(testing|memory_disk|still_world)\.h$")


def room_of(path):
    """The room of src/ in which the file lies, if it is one of ours and not there for tests."""
    parts = path.split("/")
    if len(parts) != 3 or parts[0] != "src" or parts[1] not in ROOMS or _TESTING.search(path):
        return None
    return parts[1] if path.endswith((".cc", ".h")) else None


def all_mutants(files):
    """Every mutant of the rooms, by path and place; `files` is {path: octets} of the whole tree."""
    declaring = [f"src/{name}/" for name in ("mail", "world", *ROOMS)]
    headers = [
        files[path].decode()
        for path in sorted(files)
        if path.endswith(".h") and path.startswith(tuple(declaring))
    ]
    enums = operators.enums_in(headers)
    found = []
    for path in sorted(files):
        if room_of(path):
            found += operators.sites(path, files[path].decode(), enums)
    return found


def drawn(mutants, seed):
    """All mutants in the order in which they are tried; a longer draw begins like a shorter one.

    The rooms take turns; then comes the file of the room that was drawn least (a header and its .cc
    are one), then the operator that was drawn least among those that find something in it, then a
    place by chance.
    """
    chance = random.Random(seed)
    left = {}
    for mutant in mutants:
        of_room = left.setdefault(room_of(mutant.path), {})
        of_file = of_room.setdefault(mutant.path.rpartition(".")[0], {})
        of_file.setdefault(mutant.operator, []).append(mutant)
    files, used = Counter(), Counter()
    while left:
        for room in [room for room in ROOMS if room in left]:
            file = min(left[room], key=lambda f: (files[f], chance.random()))
            operator = min(left[room][file], key=lambda o: (used[o], chance.random()))
            places = left[room][file][operator]
            mutant = places.pop(chance.randrange(len(places)))
            files[file] += 1
            used[operator] += 1
            if not places:
                del left[room][file][operator]
            if not left[room][file]:
                del left[room][file]
            if not left[room]:
                del left[room]
            yield mutant
