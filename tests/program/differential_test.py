"""The same dialogue to us and to Postfix: the classes of replies must be alike, or the difference is
one that is named here, with its reason.

Dialogues are drawn from a grammar of commands, good and bad. A class is the first digit of the reply,
or "end" when the connection is closed. One seed is always the same, so that a change of ours shows at
once; another is drawn anew for each run and printed. POSTRIDER_SEED repeats a run with that one alone.
"""

import os
import random
import re
import unittest

from peers import Postfix
from server import Client, Server

DIALOGUES = 100  # of each seed
FIXED_SEED = 5321
COMMANDS_MAX = 14

# Where we and Postfix answer in different classes, and why ours is right. The first that matches a
# command (and the classes, ours first) counts.
DIFFERENCES = [
    (r"(?i)(HELO|EHLO)\s*$", "52", "RFC 5321 section 4.1.1.1: an argument is required"),
    (r"(?i)(HELO|EHLO)(  | \S+ +\S)", "52", "section 4.1.1.1: it is a domain or an address literal"),
    (r"(?i)(RSET|QUIT|DATA) +\S", "5.", "section 4.3.2, 4.1.1: no argument is allowed"),
    (r"(?i)NOOP", "2.", "section 4.1.1.9: a string may follow"),
    (r"(?i)VRFY", "..", "section 3.5: 252 tells nothing; Postfix looks the name up"),
    (r"(?i)EXPN", "25", "section 7.3: 252 where it is disabled; Postfix has it not"),
    (r"\t", "52", "section 4.1.1: a command begins with its verb"),
    (r"(?i)HELP", "25", "section 4.1.1.8: Postfix has it not"),
    (r"(?i)ETRN", "5.", "RFC 1985 is not offered without networks that may"),
    (r"(?i)(MAIL|RCPT) (FROM|TO):[^<]", "52",
     "section 3.3: no blank behind the colon, and addresses in angle brackets"),
    # All that is not plainly right.
    (r"(?i)(?!(MAIL FROM|RCPT TO):<[a-z0-9+]{1,64}(\.[a-z0-9+]+)*@far\.test>"
     r"( SIZE=\d{1,20})?( BODY=(7BIT|8BITMIME))?$)(MAIL|RCPT)", "52",
     "section 4.1.2: the grammar of paths and parameters is exact"),
    (r"(?i)MAIL FROM:<[^>]*> .*", "25", "a parameter that Postfix does not offer"),
    (r"(?i)RCPT", "25", "section 4.5.1: <Postmaster>, a quoted local-part or a source route"),
    (r"", "5e", "so many errors end the connection at Postfix (smtpd_hard_error_limit)"),
    (r"", "e5", "so many errors end the connection at ours (errors_max)"),
    (r"(?i)(GET|POST|CONNECT) ", "5.", "both end a client that speaks HTTP, at other moments"),
]

LOCAL_PARTS = ["a", "Alice", "a.b", '"a b"', '"a\\"b"', "a..b", ".a", "a.", "a@b", "", "ä", "x" * 64,
               "x" * 65, "a+b", "a b", "a%b", "a!b", "postmaster"]
DOMAINS = ["far.test", "FAR.test", "[127.0.0.1]", "[IPv6:::1]", "[300.1.1.1]", "far..test", "-far.test",
           "far_.test", "", "x" * 64 + ".test", "far.test.", "localhost"]
PARAMETERS = ["", "", "", " SIZE=100", " SIZE=x", " SIZE=", " BODY=7BIT", " BODY=8BITMIME", " BODY=9",
              " RET=FULL", " RET=X", " ENVID=a", " FOO", " FOO=BAR", " SIZE=1 SIZE=1", "  SIZE=1",
              " NOTIFY=NEVER", " size=1 body=8bitmime", " =", " SIZE=99999999999999999999"]


def path(draw):
    local, domain = draw.choice(LOCAL_PARTS), draw.choice(DOMAINS[:3] if draw.random() < .7 else DOMAINS)
    address = draw.choice([f"{local}@{domain}", f"{local}@{domain}", f"{local}@{domain}", local,
                           f"@x.test:{local}@{domain}", f"@x.test,@y.test:{local}@{domain}", ""])
    form = draw.random()
    if form < .85:
        return f"<{address}>"
    return draw.choice([address, f"<{address}", f"{address}>", f" <{address}>", f"<{address}>>",
                        f"< {address}>", f"<{address} >"])


def word(draw, text):
    return draw.choice([text, text, text, text.lower(), text.title()])


def command(draw):
    kind = draw.random()
    if kind < .2:
        return f"{word(draw, 'MAIL')} {word(draw, 'FROM')}:{path(draw)}{draw.choice(PARAMETERS)}"
    if kind < .3:
        return "MAIL FROM:<a@far.test>"
    if kind < .5:
        return f"{word(draw, 'RCPT')} {word(draw, 'TO')}:{path(draw)}{draw.choice(PARAMETERS[:4])}"
    if kind < .6:
        return "RCPT TO:<a@far.test>"
    if kind < .75:
        return draw.choice(["EHLO a.example", "HELO a.example", "EHLO", "HELO", "EHLO [127.0.0.1]",
                            "EHLO a b", "HELO  a.example", "ehlo A.example "])
    if kind < .85:
        return draw.choice(["RSET", "NOOP", "RSET x", "NOOP x y", "rset ", "VRFY a", "VRFY", "EXPN a",
                            "HELP", "HELP MAIL", "ETRN far.test", "QUIT x"])
    if kind < .93:
        return draw.choice(["DATA", "DATA", "data", "DATA x"])
    return draw.choice(["", " ", "FOO", "MAIL", "RCPT", "MAIL FROM", "RCPT TO:", "MAILFROM:<a@far.test>",
                        "MAIL FROM:<a@far.test>x", "x" * 600, "TURN", "SEND FROM:<a@far.test>",
                        "STARTTLS", "AUTH PLAIN", "BDAT", "BDAT x", "\tNOOP", "NOOP\t"])


def dialogue(draw):
    lines = ["EHLO a.example"] if draw.random() < .8 else []
    return lines + [command(draw) for _ in range(draw.randrange(2, COMMANDS_MAX))]


def classes(port, lines):
    """For each command the class of its reply. A 354 is answered with a message at once, whose own
    reply is told behind it."""
    out = []
    with Client(port) as client:
        for line in lines:
            try:
                client.send(line.encode() + b"\r\n")
                reply = client.reply()
                if reply.startswith("354"):
                    client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                    reply += client.reply()[:1]
            except OSError:
                reply = ""
            if not reply:
                out.append("e")
                break
            out.append(reply[0] + (reply[-1] if reply.startswith("354") else ""))
    return out


def reason_for(lines, ours, theirs):
    line = lines[-1]
    if theirs == "e" and any(re.match("(?i)BDAT", before) for before in lines[:-1]):
        return "Postfix ends the connection behind a BDAT that it cannot read"
    greeted = any(re.match(r"(?i)(HELO|EHLO) ([\w.]+|\[127\.0\.0\.1\]) *$", before)
                  for before in lines[:-1])
    if not greeted and ours + theirs == "52" and re.match("(?i)MAIL", line):
        return "section 4.1.4: 503 without a hello, which Postfix asks for by a setting only"
    for pattern, both, reason in DIFFERENCES:
        if re.match(pattern, line) and re.fullmatch(both, ours[0] + theirs[0]):
            return reason
    return None


class Differential(unittest.TestCase):
    def test_postfix_and_we_answer_in_the_same_classes(self):
        given = os.environ.get("POSTRIDER_SEED")
        fresh = int(given) if given else random.SystemRandom().randrange(2**32)
        seeds = [fresh] if given else [FIXED_SEED, fresh]
        print(f"seeds: {', '.join(map(str, seeds))}")
        dialogues = []
        for seed in seeds:
            draw = random.Random(seed)
            dialogues += [dialogue(draw) for _ in range(DIALOGUES)]
        same, named, unknown = 0, {}, []
        with Postfix(hostname="mail.our.test") as postfix, \
                Server(smtp_networks='["127.0.0.0/8"]',
                       domain='[[domain]]\nname = "far.test"\nmailboxes = ["a", "x"]\ncatch_all = "a"\n'
                       ) as server:
            for lines in dialogues:
                ours, theirs = classes(server.port, lines), classes(postfix.port, lines)
                for number, (a, b) in enumerate(zip(ours, theirs)):
                    if a == b:
                        same += 1
                        continue
                    reason = reason_for(lines[:number + 1], a, b)
                    if reason is None:
                        unknown.append(f"{lines[number]!r}: {a} here, {b} at Postfix, behind "
                                       f"{lines[:number]}")
                    else:
                        named.setdefault(reason, []).append(f"{lines[number]!r} {a}{b}")
                    # From here on the two are in different states.
                    break
        total = sum(len(found) for found in named.values())
        print(f"replies of the same class: {same}; named differences: {total}")
        for reason, found in sorted(named.items(), key=lambda item: -len(item[1])):
            print(f"  {len(found):4} {reason}, such as {found[0][:70]}")
        self.assertEqual(unknown, [], "\n".join(unknown))
        self.assertGreater(same, total)


if __name__ == "__main__":
    unittest.main()
