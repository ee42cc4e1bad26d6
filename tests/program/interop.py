"""What other people's programs and Postrider do with each other, feature by feature, as seen on the
wire between them; docs/interop.md is made of it.

A cell says: "used" (the feature was used, and the message arrived whole), "arrived" (the message
arrived whole, without the feature), "returned" (it came back to its sender), "-" (does not apply).
"""

from pathlib import Path

from server import Client, ROOT, wait_until

PAGE = ROOT / "docs/interop.md"
FEATURES = ["plain", "8BITMIME", "SIZE", "PIPELINING", "CHUNKING", "BINARYMIME", "SMTPUTF8",
            "UTF-8 address", "DSN", "DELIVERBY", "STARTTLS", "AUTH", "XCLIENT", "XFORWARD", "three recipients", "5 MiB",
            "LMTP"]
# What a program must offer to be asked for it.
OFFERED = {name: name for name in ("8BITMIME", "BINARYMIME", "SMTPUTF8", "DSN", "DELIVERBY")}
OFFERED["UTF-8 address"] = "SMTPUTF8"
INTERNATIONAL = "j\u00fcrgen"
LARGE = b"".join(b"%07d %s\r\n" % (number, b"x" * 68) for number in range(5 * 1024 * 1024 // 78))


class Letter:
    """A message that proves a feature: what is said for it, and who shall have it."""

    def __init__(self, name, body=b"words\r\n", mail="", rcpt="", users=("alice",), subject=None):
        self.name = name
        self.body = f"This one is about {name}.\r\n".encode() + body
        self.mail = mail
        self.rcpt = rcpt
        self.users = users
        self.subject = f"Subject: {subject or name.replace(' ', '-')}".encode()

    def content(self, sender="sender@example.org"):
        return self.subject + f"\r\nFrom: <{sender}>\r\n\r\n".encode() + self.body


LETTERS = [
    Letter("plain"),
    Letter("8BITMIME", "gr\u00fc\u00dfe\r\n".encode(), " BODY=8BITMIME"),
    Letter("SMTPUTF8", "gr\u00fc\u00dfe\r\n".encode(), " SMTPUTF8 BODY=8BITMIME", subject="gr\u00fc\u00dfe"),
    Letter("UTF-8 address", mail=" SMTPUTF8", users=(INTERNATIONAL,)),
    Letter("DSN", mail=" RET=HDRS ENVID=e1", rcpt=" NOTIFY=SUCCESS,FAILURE"),
    Letter("BINARYMIME", b"octets: \x00 \xff, a bare\nline end\r\n", " BODY=BINARYMIME"),
    Letter("DELIVERBY", mail=" BY=7200;R"),
    Letter("three recipients", users=("alice", "bob", "carol")),
    Letter("5 MiB", LARGE),
]
# Sent where both sides have a certificate and let nobody in without a login.
SECURE = Letter("secure")


def hand_in(port, letter, domain, sender="sender@example.org", login=None):
    """Gives it to what listens there; False when a parameter was refused, "refused" when the
    message was, since SMTPUTF8 was not given on."""
    with Client(port) as client:
        offered = client.say("EHLO client.example.org").upper()
        if login:
            assert client.say(f"AUTH PLAIN {login}").startswith("235")
            offered = client.say("EHLO client.example.org").upper()
        if OFFERED.get(letter.name, "") not in offered:
            return False
        if not client.say(f"MAIL FROM:<{sender}>{letter.mail}").startswith("250"):
            return False
        for user in letter.users:
            reply = client.say(f"RCPT TO:<{user}@{domain}>{letter.rcpt}")
            assert reply.startswith("250"), reply
        content = letter.content(sender)
        if letter.name == "BINARYMIME":
            client.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
        else:
            assert client.say("DATA").startswith("354")
            client.send((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        reply = client.reply()
        if reply.startswith("550 5.6.7"):
            return "refused"
        assert reply.startswith("250"), reply
        return True


def was_used(feature, wire):
    lines = wire.commands()
    mails = [line for line in lines if line.upper().startswith("MAIL")]
    recipients = [line for line in lines if line.upper().startswith("RCPT")]
    return {
        "plain": True,
        "8BITMIME": any("BODY=8BITMIME" in line.upper() for line in mails),
        "SIZE": any("SIZE=" in line.upper() for line in mails),
        "PIPELINING": wire.together > 1,
        "CHUNKING": any(line.upper().startswith("BDAT") for line in lines),
        "BINARYMIME": any("BODY=BINARYMIME" in line.upper() for line in mails),
        "DELIVERBY": any(" BY=" in line.upper() for line in mails),
        "STARTTLS": any(line.upper() == "STARTTLS" for line in lines),
        "XCLIENT": any(line.upper().startswith("XCLIENT ") for line in lines),
        "XFORWARD": any(line.upper().startswith("XFORWARD ") for line in lines),
        "UTF-8 address": any(not line.isascii() for line in recipients),
        "SMTPUTF8": any("SMTPUTF8" in line.upper() for line in mails),
        "DSN": any("NOTIFY=" in line.upper() for line in recipients),
        "three recipients": len(recipients) >= 3,
        "5 MiB": True,
        "LMTP": any(line.upper().startswith("LHLO") for line in lines),
    }[feature]


def holds(octets, letter):
    """Whether a stored message is the letter, whatever was put in front, however lines end, and
    whatever empty line a client put behind."""
    want = b"\n\n" + letter.body.replace(b"\r\n", b"\n").rstrip(b"\n")
    return octets.replace(b"\r\n", b"\n").rstrip(b"\n").endswith(want)


def run(letters, wire, send, arrived):
    """Sends each letter with send(letter) and waits until arrived(letter). Returns the cells."""
    cells, all_lines, together = {}, [], 0
    for letter in letters:
        wire.forget()
        sent = send(letter)
        if not sent or sent == "refused":
            cells[letter.name] = sent or "-"
            continue
        what = wait_until(lambda: arrived(letter), f"what becomes of {letter.name}")
        used = was_used(letter.name, wire)
        cells[letter.name] = what if what in ("returned", "refused") else "used" if used else "arrived"
        all_lines += wire.commands()
        together = max(together, wire.together)
    wire.lines, wire.together = all_lines, together
    for feature in ("SIZE", "PIPELINING", "CHUNKING", "XCLIENT", "XFORWARD", "LMTP"):
        cells[feature] = "used" if was_used(feature, wire) else "-"
    return cells


HEAD = """# Other programs

Made by the tests (`tests/program/interop_test.py`): each program below and Postrider gave mail to each
other, and what they said was read on the wire between them.

*used*: the feature was used, and the message arrived whole. *arrived*: the message arrived whole,
without the feature, which one side does not have or did not need. *returned*: the feature is needed,
the other side does not have it, and the sender got the message back. *refused*: the same while it was
handed in. *-*: not asked for by the one, or not offered by the other.

Postrider sends by BDAT what is BINARYMIME only, and of the programs below none takes that from another
server. STARTTLS and AUTH are shown together, where the receiving side lets nobody in without both.
Sendmail as a server looks for passwords in a database of the system, and OpenSMTPD of Debian 12 fails
every handshake with OpenSSL 3: neither is shown. XCLIENT and XFORWARD are for proxies, and Postrider is
none. Haraka is no Debian package: its rows are made where it was put by hand.
"""


def table(title, rows):
    names = FEATURES
    lines = [f"\n## {title}\n", "| program | " + " | ".join(names) + " |",
             "|---" * (len(names) + 1) + "|"]
    for program, cells in rows:
        lines.append(f"| {program} | " + " | ".join(cells.get(name, "-") for name in names) + " |")
    return "\n".join(lines) + "\n"


def rows_of(page):
    """{(title, program): {feature: cell}} of a page that was written."""
    rows, title, names = {}, None, FEATURES
    for line in page.splitlines():
        if line.startswith("## "):
            title = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| program "):
            names = cells[1:]
        elif line.startswith("| "):
            rows[title, cells[0]] = dict(zip(names, cells[1:]))
    return rows


def write(path: Path, results):
    """results: {(title, program): cells}; rows of the page that were not run now stay."""
    rows = rows_of(path.read_text()) if path.exists() else {}
    rows.update(results)
    titles = sorted({title for title, _ in rows})
    text = HEAD
    for title in titles:
        text += table(title, sorted((program, cells) for (of, program), cells in rows.items()
                                    if of == title))
    path.write_text(text)
