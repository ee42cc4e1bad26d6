"""Words and characters that do not belong: unfinished marks, tabs, and the wrong door.

What may not be written is in RULES: a pattern, the files it holds for, where it is allowed, and what
to do instead. Includes and code are searched without comments, so that a comment may say why.
"""

import re

import tree

_ALL = (".h", ".cc", ".inc", ".md", ".py", ".sh", ".txt", ".toml")
_CODE = (".h", ".cc", ".inc")

# (pattern, suffixes, only below, allowed for paths that match, in comments too, what to do)
RULES = [
    (r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b", _ALL, "", None, True, "finish it or leave it out"),
    (r"(?<![\w.~-])/wor" r"k/", _ALL, "", None, True, "a path of one machine"),
    (r"\bissue #?\d+\b", _ALL, "", None, True, "say the reason itself"),
    (r"\t", _CODE + (".md", ".py"), "", None, True, "a tab; indent with spaces, write \\t in text"),
    (
        r"\bstd::(?:cout|cerr|clog)\b",
        _CODE,
        "src/",
        r"^src/main/|_(?:test|fuzz|bench)\.cc$",
        False,
        "rooms speak through base/log.h",
    ),
    (r"#\s*include\s*<(?:format|print)>", _CODE, "", None, False, "libstdc++ 12 lacks it; use fmt"),
    (
        r"\basio::|<boost/asio",
        _CODE,
        "src/",
        r"^src/world/real/",
        False,
        "only world/real knows the event loop",
    ),
    (
        r"\b(?:std::this_thread::sleep\w*|usleep|nanosleep)\b",
        _CODE,
        "src/",
        None,
        False,
        "wait for the event, or on the world's clock",
    ),
]


def find_problems(root):
    problems = []
    for path in tree.files(root, (".",), _ALL):
        shown = tree.show(root, path)
        text = tree.read(path)
        bare = None
        for pattern, suffixes, below, allowed, in_comments, advice in RULES:
            if not shown.endswith(suffixes) or not shown.startswith(below):
                continue
            if allowed and re.search(allowed, shown):
                continue
            if not in_comments and bare is None:
                bare = tree.without_comments_and_text(text)
            searched = text if in_comments else bare
            for match in re.finditer(pattern, searched):
                line = searched.count("\n", 0, match.start()) + 1
                word = match.group(0).replace("\t", "tab")
                problems.append(f"{shown}:{line}: {word}: {advice}")
    return problems


if __name__ == "__main__":
    tree.main(find_problems, __doc__)
