"""Messages of nasty shapes, the same ones for the same seed."""

import random

_WORDS = ["the", "quick", "brown", "fox", "Zürich", "日本", "a", "lazy-dog", "=20", "x" * 60, "."]
_SPACES = [" ", "  ", "\t", " \t ", "    "]
_FIELDS = ["X-Test", "Received", "Comments", "List-Id", "References", "X-UPPER", "x-lower", "Cc"]


def _text(rng, words):
    """Words with odd white space between them, as octets; sometimes Latin-1 instead of UTF-8."""
    out = ""
    for _ in range(words):
        out += rng.choice(_WORDS) + rng.choice(_SPACES if rng.random() < 0.4 else [" "])
    out = out if rng.random() < 0.3 else out.rstrip()
    return out.encode("utf-8") if rng.random() < 0.8 else out.encode("latin-1", "ignore")


def _value(rng):
    """A field's value: folded in odd places, or plain, or very long."""
    kind = rng.randrange(6)
    if kind == 0:
        return b"x" * rng.choice([900, 997, 5000])
    lines = [_text(rng, rng.randrange(1, 8)) for _ in range(rng.randrange(1, 5))]
    lines = [line if line.strip() else b"x" for line in lines]
    return b"\r\n".join([lines[0]] + [rng.choice([b" ", b"\t", b"   \t"]) + l for l in lines[1:]])


def _header(rng):
    fields = [
        (b"From", b"Some Body <some@example.org>"),
        (b"To", rng.choice([b"a@example.net, b@example.net", b"a@example.net,\r\n\t b@example.net"])),
        (b"Subject", _value(rng)),
        (b"Date", b"Sat, 21 Nov 2026 12:00:00 +0000"),
        (b"Message-ID", b"<%d@example.org>" % rng.randrange(10**9)),
    ]
    if rng.random() < 0.3:
        fields.append((b"subJECT" if rng.random() < 0.5 else b"Subject", _value(rng)))
    for _ in range(rng.randrange(6)):
        name = rng.choice(_FIELDS).encode()
        fields += [(name, _value(rng))] * rng.choice([1, 1, 1, 3])
    rng.shuffle(fields)
    out = b""
    for name, value in fields:
        out += name + rng.choice([b": ", b":", b":  ", b":\t", b":\r\n "]) + value + b"\r\n"
    return out


def _body(rng):
    kind = rng.randrange(10)
    if kind == 0:
        return b""
    if kind == 1:
        return b"\r\n" * rng.randrange(1, 5)
    if kind == 2:
        return rng.choice([b"\t", b" \r\n", b"\r\n \r\n\t\r\n", b"  \t  \r\n\r\n"])
    if kind == 3:
        return b"one very long line " + b"y  z" * rng.randrange(1000, 9000) + b"\r\n"
    lines = []
    for _ in range(rng.randrange(1, 40)):
        lines.append(
            rng.choice([b"", b" ", b".", b"\t"]) if rng.random() < 0.3 else _text(rng, rng.randrange(12))
        )
    body = b"\r\n".join(lines)
    if rng.random() < 0.1:
        return body + rng.choice([b"", b"\r\n\t", b" "])
    return body + rng.choice([b"\r\n", b"\r\n\r\n\r\n", b"\r\n \r\n"])


def messages(count, seed):
    rng = random.Random(seed)
    return [_header(rng) + b"\r\n" + _body(rng) for _ in range(count)]
