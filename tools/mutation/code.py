"""C++ as far as the mutator must know it: tokens, blocks and statements of clang-format'ed code.

Comments, texts, preprocessor lines and assertions are blanked first, so nothing is ever found in
them. What is not understood is left out: a site too few is better than a mutant that is nonsense.
"""

import re
from dataclasses import dataclass, field

_TEXT = re.compile(
    r'R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*|/\*.*?\*/",
    re.S,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\[^\n]|\\\n)*", re.M)
_ASSERTION = re.compile(r"\b(?:static_)?assert\(")
_TOKEN = re.compile(
    r"(?P<word>[A-Za-z_]\w*)|(?P<number>\.?\d(?:[\w.']|(?<=[eEpP])[+-])*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign><=>|<<=|>>=|\.\.\.|->\*|::|->|\+\+|--|<<|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\S)"
)
_OPEN = {"(": ")", "[": "]", "{": "}"}
_CONTAINERS = {"namespace", "class", "struct", "union", "extern"}
_CONTROL = {"if", "for", "while", "switch", "else", "do", "try", "catch"}
# After one of these a brace begins a list of values, not a block.
_BEFORE_VALUES = {"=", ",", "(", "[", "return", "co_return", "?", "<<", "+", "&&", "||", "!", "<"}
_BESIDE_A_TYPE = {
    "inline", "static", "constexpr", "virtual", "explicit", "public", "private", "protected", ":",
}
_NO_EXPRESSION = {
    "return", "co_return", "co_yield", "break", "continue", "goto", "throw", "using", "static",
    "const", "constexpr", "auto", "typename", "struct", "class", "enum", "union", "template",
    "typedef", "extern", "namespace", "public", "private", "protected", "case", "default",
    "unsigned", "signed", "int", "bool", "char", "double", "float", "long", "short", "friend",
}


@dataclass
class Token:
    kind: str
    text: str
    at: int
    end: int


@dataclass
class Block:
    """A brace pair: kind is block, values, container, or enum."""

    kind: str
    open: int  # tokens
    close: int
    header: tuple = (0, 0)  # tokens of what stands before the brace
    parent: "Block | None" = None


@dataclass
class Statement:
    kind: str  # expression, declaration, jump, if, for, while, do, switch, block, label, empty
    first: int  # tokens, both inclusive
    last: int
    condition: tuple = ()  # tokens of what stands between the parentheses
    body: "Statement | None" = None
    other: "Statement | None" = None  # else
    block: "Block | None" = None  # in which it stands directly; None as the bare body of an if
    next: "Statement | None" = None  # the statement after it in the same block
    inside: list = field(default_factory=list)


def masked(text):
    """The same text with all that is not code blanked; every place keeps its number."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    def blank_text(match):
        token = match.group(0)
        if token.startswith("/"):
            return blank(match)
        quote = "'" if token.startswith("'") else '"'
        return quote + re.sub(r"[^\n]", " ", token[1:-1]) + quote

    text = _DIRECTIVE.sub(blank, _TEXT.sub(blank_text, text))
    for match in reversed(list(_ASSERTION.finditer(text))):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        end = at + 1 if text[at : at + 1] == ";" else at
        text = text[: match.start()] + re.sub(r"[^\n]", " ", text[match.start() : end]) + text[end:]
    return text


class Code:
    def __init__(self, text):
        self.text = text
        self.masked = masked(text)
        self.tokens = [
            Token(m.lastgroup, m.group(), m.start(), m.end()) for m in _TOKEN.finditer(self.masked)
        ]
        self.partner = {}  # of each bracket, both ways; tokens
        self._match_brackets()
        self.blocks = []
        self._find_blocks()
        self.statements = []
        for block in self.blocks:
            if block.kind == "block":
                self._statements_of(block)

    def word(self, at):
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def source(self, first, last):
        """The text of the tokens first to last, both inclusive."""
        return self.text[self.tokens[first].at : self.tokens[last].end]

    def spaced(self, at):
        """Has the token a blank or line's end on both sides? Operators have, templates have not."""
        token = self.tokens[at]
        return self.masked[token.at - 1].isspace() and self.masked[token.end].isspace()

    def line(self, at):
        return self.text.count("\n", 0, at) + 1

    def _match_brackets(self):
        open_ones = []
        for at, token in enumerate(self.tokens):
            if token.text in _OPEN:
                open_ones.append(at)
            elif token.text in _OPEN.values():
                if not open_ones or _OPEN[self.word(open_ones[-1])] != token.text:
                    raise ValueError(f"line {self.line(token.at)}: {token.text} closes nothing")
                self.partner[at] = open_ones.pop()
                self.partner[self.partner[at]] = at
        if open_ones:
            raise ValueError(f"line {self.line(self.tokens[open_ones[-1]].at)}: not closed")

    # Blocks stand in the order of their braces, so a parent stands before what it holds.
    def _find_blocks(self):
        stack = []
        header = 0  # where the current statement or declaration began
        for at, token in enumerate(self.tokens):
            parent = stack[-1] if stack else None
            if token.text == ";" and not self._in_parentheses(at, parent):
                header = at + 1
            elif token.text == "{":
                kind = self._kind_of(at, header, parent)
                block = Block(kind, at, self.partner[at], (header, at - 1), parent)
                self.blocks.append(block)
                stack.append(block)
                if kind != "values":
                    header = at + 1
            elif token.text == "}":
                closed = stack.pop()
                # A lambda among arguments does not end its statement.
                if closed.kind != "values":
                    inside = self._in_parentheses(at, closed.parent)
                    header = closed.header[0] if inside else at + 1

    def _in_parentheses(self, at, parent):
        start = parent.open + 1 if parent else 0
        at -= 1
        while at >= start:
            if self.word(at) in ("(", "["):
                return True
            at = self.partner[at] - 1 if self.word(at) in (")", "]", "}") else at - 1
        return False

    def _kind_of(self, at, header, parent):
        before = self.word(at - 1)
        if at and not self.masked[self.tokens[at].at - 1].isspace():
            return "values"
        if before in _BEFORE_VALUES or (parent and parent.kind in ("values", "enum")):
            return "values"
        words = [self.word(i) for i in range(header, at)]
        while len(words) > 1 and words[0] in ("public", "private", "protected") and words[1] == ":":
            words = words[2:]
        if words[:1] == ["template"]:
            return "container" if _CONTAINERS & set(words) and "(" not in words else "block"
        words = [word for word in words if word not in ("inline", "typedef", "export")]
        if words[:1] == ["enum"]:
            return "enum"
        if words[:1] and words[0] in _CONTAINERS and "(" not in words:
            return "container"
        return "block"

    def ending_of(self, block):
        """How the function whose body the block is may end early; None for other blocks."""
        words = [self.word(i) for i in range(block.header[0], block.header[1] + 1)]
        if block.kind != "block" or not words or words[0] in _CONTROL or "(" not in words:
            return None
        if block.parent and block.parent.kind != "container":
            return None
        if "]" in words[: words.index("(")] or "operator" in words:
            return None  # a lambda; or a name that is not one word
        kind = [w for w in words[: words.index("(")] if w not in _BESIDE_A_TYPE][:-1]
        while kind[-1:] == ["::"]:
            kind = kind[:-2]  # the class of the member
        if not kind or kind == ["~"] or kind[-1] == "void":
            return "return;"
        if "Task" in kind:
            return "co_return;" if "".join(kind).endswith("Task<void>") else "co_return {};"
        return "return {};"

    def _statements_of(self, block):
        at, before = block.open + 1, None
        while at < block.close:
            statement = self._statement(at, block.close)
            statement.block = block
            if before:
                before.next = statement
            before, at = statement, statement.last + 1

    def _statement(self, at, end):
        word = self.word(at)
        done = None
        if word == ";":
            done = Statement("empty", at, at)
        elif word == "{":
            done = Statement("block", at, self.partner[at])
        elif word in ("if", "for", "while", "switch"):
            done = self._control(word, at, end)
        elif word == "do":
            body = self._statement(at + 1, end)
            close = self.partner[body.last + 2]
            done = Statement("do", at, close + 1, (body.last + 3, close - 1), body)
        elif word in ("case", "default"):
            last = at
            while self.word(last) != ":" and last < end:
                last += 1
            done = Statement("label", at, last)
        else:
            last = at
            while self.word(last) != ";":
                last = self.partner[last] + 1 if self.word(last) in _OPEN else last + 1
                if last >= end:
                    return Statement("unknown", at, end - 1)
            done = Statement(self._simple_kind(at, last), at, last)
        self.statements.append(done)
        return done

    def _control(self, word, at, end):
        open_at = at + 1 if self.word(at + 1) == "(" else at + 2  # if constexpr (
        close = self.partner[open_at]
        body = self._statement(close + 1, end)
        done = Statement(word, at, body.last, (open_at + 1, close - 1), body)
        if word == "if" and self.word(body.last + 1) == "else":
            done.other = self._statement(body.last + 2, end)
            done.last = done.other.last
        return done

    def _simple_kind(self, first, last):
        word = self.word(first)
        if word in ("return", "co_return", "break", "continue"):
            return "jump"
        if word in _NO_EXPRESSION:
            return "declaration"
        if word in ("++", "--", "*", "(", "co_await"):
            return "expression"
        at = first
        while self.tokens[at].kind == "word" and self.word(at + 1) == "::":
            at += 2
        if self.tokens[at].kind != "word":
            return "unknown"
        after = self.word(at + 1)
        if after in ("(", ".", "->", "[", "++", "--", "<<", "=") or re.fullmatch(r"\S+=", after):
            return "expression"
        return "declaration"
