"""Messages that a mail server must carry unchanged, as the octets that go over the wire."""

import random


def message(subject, body, to=b"alice@our.test"):
    """A whole message. It has every field that a server could think missing and add."""
    return (b"From: <sender@example.org>\r\n"
            b"To: <" + to + b">\r\n"
            b"Subject: " + subject.encode() + b"\r\n"
            b"Date: Mon, 02 Feb 2026 10:00:00 +0000\r\n"
            b"Message-ID: <" + subject.replace(" ", ".").encode() + b"@example.org>\r\n"
            b"\r\n" + body)


def mebibyte_of_lines():
    """1 MiB of lines of every length up to 200, with every octet but NUL, CR and LF. The seed makes
    it the same each time."""
    octets = bytes(set(range(1, 256)) - {10, 13})
    source = random.Random(20260202)
    lines = []
    size = 0
    while size < 1024 * 1024:
        line = bytes(source.choices(octets, k=source.randrange(200))) + b"\r\n"
        lines.append(line)
        size += len(line)
    return b"".join(lines)


# Each goes through any server without 8-bit conversion or a cut line: content that is 8-bit is
# listed in EIGHT_BIT, and no line is longer than 998 octets (RFC 5321 §4.5.3.1.6).
BODIES = {
    "plain": b"first line\r\n\r\nlast line\r\n",
    "dots": b".\r\n..\r\n...\r\n.begins with a dot\r\n..begins with two\r\nx.\r\n.\r\n",
    "empty body": b"",
    "one empty line": b"\r\n",
    "many empty lines": b"\r\n\r\ntext\r\n\r\n\r\n\r\n",
    "spaces and tabs": b" leading\r\n\ttab\r\ntrailing \r\n \r\n\t\r\ntrailing tab\t\r\n",
    "looks like mbox": b"From sender Mon Feb  2 10:00:00 2026\r\n>From x\r\n\r\nFrom: y\r\n",
    "looks like a dialogue": b"QUIT\r\nDATA\r\nMAIL FROM:<x@example.org>\r\n250 ok\r\n",
    "longest lines": b"a" * 998 + b"\r\n" + b"." * 998 + b"\r\n" + b"b" * 997 + b" \r\n",
    "controls": bytes(set(range(1, 32)) - {10, 13}) + b"\x7f\r\n",
    "8-bit": bytes(range(128, 256)) + b"\r\n" + "Grüße, 世界".encode() + b"\r\n\xff\xfe\r\n",
    "a mebibyte": mebibyte_of_lines(),
}
EIGHT_BIT = {"8-bit", "a mebibyte"}


def messages(to=b"alice@our.test"):
    """All of them: name to octets."""
    return {name: message(name, body, to) for name, body in BODIES.items()}
