"""What the mutator changes: each operator finds its places in a Code and says the new text.

OPERATORS names them all. sites(path, text, enums) gives every mutant of one file, in the order of
its text; each is one edit (from, to, new text) with an id that stays as long as the lines around it.
"""

import difflib
import hashlib
import re
from dataclasses import dataclass

from mutation.code import Code

_OUTCOMES = ("RecipientState", "Verdict", "Outcome", "EntryState", "Health", "Effect", "Room", "Kind",
             "FailureKind")  # fmt: skip
_SYNC = re.compile(r"(?:fdata|f)?sync|sync_directory")
_COMPARED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_JOINED = {"&&": "||", "||": "&&"}
_ENUM = re.compile(r"\benum class (\w+)[^{;]*\{([^}]*)\}")


@dataclass(frozen=True)
class Mutant:
    id: str
    path: str
    line: int
    operator: str
    start: int
    end: int
    new: str
    text: str  # of the whole file, before

    @property
    def changed(self):
        return self.text[: self.start] + self.new + self.text[self.end :]

    @property
    def diff(self):
        lines = [part.splitlines(keepends=True) for part in (self.text, self.changed)]
        return "".join(difflib.unified_diff(*lines, f"a/{self.path}", f"b/{self.path}", n=2))

    @property
    def source(self):
        return source_hash(self.text)


def source_hash(text):
    return hashlib.sha1(text.encode()).hexdigest()[:16]


def enums_in(texts):
    """{name: [enumerators of one enum, ...]} of the outcome-like enums that the texts declare."""
    found = {}
    for text in texts:
        for name, body in _ENUM.findall(re.sub(r"//[^\n]*", "", text)):
            if name in _OUTCOMES:
                found.setdefault(name, []).append(re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", body))
    return found


def sites(path, text, enums):
    try:
        code = Code(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    edits = []
    marks = [_place(code, s.first, s.last) for s in code.statements if _is_mark(code, s)]
    for operator, find in OPERATORS.items():
        found = find(code, enums) if operator == "swap-outcome" else find(code)
        edits += [
            (start, end, operator, new)
            for start, end, new in found
            if not any(begin <= start < after for begin, after in marks)
        ]
    seen = {}
    mutants = []
    lines = text.split("\n")
    for start, end, operator, new in sorted(set(edits)):
        line = code.line(start)
        near = [each.strip() for each in lines[max(line - 2, 0) : line + 1]]
        key = "\0".join([path, *near, operator, text[start:end], new])
        seen[key] = seen.get(key, 0) + 1
        name = hashlib.sha1(f"{key}\0{seen[key]}".encode()).hexdigest()[:10]
        mutants.append(Mutant(name, path, line, operator, start, end, new, text))
    return mutants


# --- the operators: each yields (start, end, new text) -----------------------------------------------


def _place(code, first, last):
    return code.tokens[first].at, code.tokens[last].end


def _is_mark(code, statement):
    """Does it only tell the simulator which situation was reached? No promise hangs on that."""
    if statement.kind == "if" and not statement.other:
        return _is_mark(code, statement.body)
    if statement.kind == "block":
        inside = [s for s in code.statements if s.block and s.block.open == statement.first]
        return bool(inside) and all(_is_mark(code, each) for each in inside)
    return statement.kind == "expression" and code.word(statement.first) == "reached"


def _has_await(code, statement):
    """Does the statement await, outside of lambdas' bodies in it?"""
    at = statement.first
    while at <= statement.last:
        if code.word(at) == "co_await":
            return True
        at = code.partner[at] + 1 if code.word(at) == "{" else at + 1
    return False


def _without_effect(code, statement):
    # More room in advance is never needed for what a function promises.
    return re.search(r"\breserve\([^;]*\);$", code.source(statement.first, statement.last))


def delete_statement(code):
    for statement in code.statements:
        plain = statement.kind == "expression" and not _has_await(code, statement)
        jump = statement.kind == "jump" and statement.first + 1 == statement.last
        if (plain and not _without_effect(code, statement)) or jump:
            yield *_place(code, statement.first, statement.last), ";"


def drop_await(code):
    for statement in code.statements:
        if statement.kind == "expression" and _has_await(code, statement):
            yield *_place(code, statement.first, statement.last), ";"


def _parts(code, condition):
    """Splits `init; condition`: the tokens of the condition, and whether it declares a name."""
    first, last = condition
    at = first
    declares = False
    while at <= last:
        if code.word(at) == ";":
            first, declares = at + 1, False
        elif code.word(at) == "=":
            declares = True
        elif code.word(at) in ("(", "[", "{"):
            at = code.partner[at]
        at += 1
    return first, last, declares


def _wrapped(code, condition, before, after):
    """The condition between two texts, which see its value."""
    first, last, declares = _parts(code, condition)
    start, end = _place(code, first, last)
    if not declares:
        return start, end, before + code.text[start:end] + after
    sign = next(at for at in range(first, last) if code.word(at) == "=")
    return end, end, f"; {before}{code.word(sign - 1)}{after}"


def negate(code):
    for statement in code.statements:
        if statement.kind in ("if", "while", "do") and statement.condition:
            first, last, declares = _parts(code, statement.condition)
            if code.word(first) == "true" or (statement.kind != "if" and declares):
                continue
            yield _wrapped(code, statement.condition, "!(", ")")
        elif statement.kind == "for" and (middle := _middle(code, statement.condition)):
            start, end = _place(code, *middle)
            yield start, end, f"!({code.text[start:end]})"
    for at, token in enumerate(code.tokens):
        if token.text in _JOINED and code.spaced(at):
            yield token.at, token.end, _JOINED[token.text]
        elif token.text == "?":
            edit = _swapped_choice(code, at)
            if edit:
                yield edit


def _middle(code, condition):
    """The tokens between the two semicolons of a for; None when there is nothing."""
    first, last = condition
    signs = []
    at = first
    while at <= last:
        if code.word(at) == ";":
            signs.append(at)
        at = code.partner[at] + 1 if code.word(at) in ("(", "[", "{") else at + 1
    return (signs[0] + 1, signs[1] - 1) if len(signs) == 2 and signs[0] + 1 < signs[1] else None


def _swapped_choice(code, question):
    at, depth, colon = question + 1, 0, None
    while code.word(at) not in (";", ",", ")", "]", "}", ""):
        word = code.word(at)
        if word in ("(", "[", "{"):
            at = code.partner[at]
        elif word == "?":
            depth += 1
        elif word == ":" and colon is None and depth == 0:
            colon = at
        elif word == ":" and (depth := depth - 1) < 0:
            break
        at += 1
    if colon is None or colon == question + 1:
        return None
    start, end = code.tokens[question + 1].at, code.tokens[at - 1].end
    first = code.source(question + 1, colon - 1)
    return start, end, f"{code.source(colon + 1, at - 1)} : {first}"


def shift_bound(code):
    for at, token in enumerate(code.tokens):
        if token.text in _COMPARED and code.spaced(at):
            yield token.at, token.end, _COMPARED[token.text]
        elif token.text in ("min", "max") and code.word(at - 2) == "std" and code.word(at + 1) in "(<":
            yield token.at, token.end, "max" if token.text == "min" else "min"
        elif token.text == "size" and code.word(at + 1) == "(" and code.word(at + 2) == ")":
            if code.word(at + 3) in (";", ")", ",", "<", "<=", ">", ">=", "+", "-", "==", "!="):
                end = code.tokens[at + 2].end
                yield end, end, " + 1"
                yield end, end, " - 1"
        elif token.kind == "number" and _is_value(code, at):
            yield from _neighbours(token)


def _neighbours(token):
    match = re.fullmatch(r"(0[xX][\da-fA-F']+|\d[\d']*)([uUlLzZ]*|s|ms|h|min)", token.text)
    if not match:
        return
    digits = match[1].replace("'", "")
    value = int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
    for other in (value + 1, value - 1):
        if other >= 0:
            shown = hex(other) if digits[:2] in ("0x", "0X") else str(other)
            yield token.at, token.end, shown + match[2]


def _in_function(code, at):
    around = [block.kind for block in code.blocks if block.open < at < block.close]
    return "block" in around and "enum" not in around


def _is_value(code, at):
    """Is the number in a function, or the value of a named constant? A member's first value is not."""
    if _in_function(code, at):
        return not any(s.kind == "label" and s.first <= at <= s.last for s in code.statements)
    equals = False
    while at >= 0 and code.word(at) not in (";", "}") and code.word(at) != "enum":
        if code.word(at) == "constexpr":
            return equals
        equals = equals or code.word(at) == "="
        at -= 1
    return False


def _leaves(statement):
    """Does the statement, or the block's last one, leave the function or loop?"""
    return statement is not None and statement.kind == "jump"


def skip_check(code):
    last_in = {}
    for statement in code.statements:
        if statement.block and not statement.next:
            last_in[statement.block.open] = statement
    for statement in code.statements:
        if statement.kind != "if" or statement.other:
            continue
        body = statement.body
        end = last_in.get(body.first) if body.kind == "block" else body
        if _leaves(end):
            yield _wrapped(code, statement.condition, "(", ") && false")


def skip_sync(code):
    for at, token in enumerate(code.tokens):
        if not _SYNC.fullmatch(token.text) or code.word(at + 1) != "(":
            continue
        first = at
        while code.word(first - 1) in (".", "->", "::"):
            first -= 2
            while code.word(first) in (")", "]"):
                first = code.partner[first]
                if code.tokens[first - 1].kind == "word" and code.word(first - 1) != "co_await":
                    first -= 1
        if code.word(first - 1) == "co_await":
            yield *_place(code, first - 1, code.partner[at + 1]), "world::DiskStatus{}"


_ASSIGNMENT = re.compile(r"((?:[\w.]|->)+) ([-+|&]?=) ([^;={}]+|\{\});", re.S)
_COUNT = re.compile(r"(?:\+\+|--)((?:[\w.]|->)+);|((?:[\w.]|->)+)(?:\+\+|--);")
_READS_ONLY = {"size", "data", "empty", "text", "front", "back", "now", "wall", "take_at", "min", "max"}


def _written(text):
    """The name that a plain assignment writes; None when the statement may do more than that."""
    match = _COUNT.fullmatch(text)
    if match:
        return match[1] or match[2]
    match = _ASSIGNMENT.fullmatch(text)
    if not match or set(re.findall(r"(\w+)(?:<[\w:]+>)?\(", match[3])) - _READS_ONLY:
        return None
    return None if re.search(r"\+\+|--|co_await", match[3]) else match[1]


def _independent(first, second):
    """Two plain assignments, neither of which reads or writes what the other writes."""
    names = [_written(text) for text in (first, second)]
    if None in names:
        return False
    return not any(
        re.search(rf"(?<![\w.>]){re.escape(name)}\b", other)
        for name, other in zip(names, (second, first))
    )


def reorder(code):
    for statement in code.statements:
        after = statement.next
        if statement.kind != "expression" or not after or after.kind != "expression":
            continue
        texts = [code.source(s.first, s.last) for s in (statement, after)]
        if _is_mark(code, after) or texts[0] == texts[1] or _independent(*texts):
            continue
        start, middle = _place(code, statement.first, statement.last)
        again, end = _place(code, after.first, after.last)
        yield start, end, texts[1] + code.text[middle:again] + texts[0]


def return_other(code):
    for statement in code.statements:
        if statement.kind == "jump" and statement.first + 2 == statement.last:
            value = code.tokens[statement.first + 1]
            if value.text in ("true", "false"):
                yield value.at, value.end, "false" if value.text == "true" else "true"
    endings = {block.open: code.ending_of(block) for block in code.blocks}
    for statement in code.statements:
        ending = endings.get(statement.block.open) if statement.block else None
        # Before the last statement it would be the same as to delete that one.
        if ending and statement.next and statement.kind in ("expression", "if", "for", "while", "switch"):
            start = code.tokens[statement.first].at
            yield start, start, f"{ending} "


def swap_outcome(code, enums):
    for at, token in enumerate(code.tokens):
        if token.text not in enums or code.word(at + 1) != "::" or not _in_function(code, at):
            continue
        first = at
        while code.word(first - 1) == "::":
            first -= 2
        if code.word(first - 1) == "case":
            continue
        value = code.tokens[at + 2]
        for names in enums[token.text]:
            if value.text in names and len(names) > 1:
                other = names[(names.index(value.text) + 1) % len(names)]
                yield value.at, value.end, other
                break


OPERATORS = {
    "delete-statement": delete_statement,
    "drop-await": drop_await,
    "negate": negate,
    "shift-bound": shift_bound,
    "skip-check": skip_check,
    "skip-sync": skip_sync,
    "reorder": reorder,
    "return-other": return_other,
    "swap-outcome": swap_outcome,
}
