"""What everybody was told, and what lies where in the end: the reckoning of sim/internet/reckoning.h,
for real servers. It asks no server whether it has lost something.

Who runs the hosts notes letters, accidents and log lines in a Ledger, and gives what it finds in
mailboxes and at foreign hosts as Found; reckon() says what is wrong. Times are those of
time.monotonic().
"""

import datetime
import email.utils
import pathlib
import random
import re
from collections import defaultdict
from dataclasses import dataclass, field

# From when a sender died until what it had written before is read at the other end.
ON_ITS_WAY = 2.0
LOG_RESOLUTION = 1.0  # of the time that a Deferred line names
ARRIVES, FAILS, CIRCLES, SET_ASIDE = "arrives", "fails", "circles", "set aside"
DEATHS_MIN = 3        # in a row, until a message is set aside as poisonous
FAR_FUTURE = float("inf")
ID = r"[0-9A-HJKMNP-TV-Z]{13}"
REPORT = re.compile(rb'boundary="report\.(%s)\.(%s)' % (ID.encode(), ID.encode()))
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


@dataclass
class Target:
    to: str
    fate: str = ARRIVES
    finals: list = None  # where it arrives: `to`, or what an alias stands for

    def __post_init__(self):
        self.finals = self.finals or [self.to]

    def wants_no_mail(self):
        """RFC 7505: its sender is told at once when the server knows it already, else by a report."""
        return self.fate == FAILS and self.to.endswith("@nomail.example")


@dataclass
class Letter:
    mark: int
    through: int  # which of our servers it is given to
    sender: str   # empty: null
    to: list
    octets: int = 400
    hops: int = 0             # Received fields that it comes with
    is_refused: bool = False  # since these are too many
    ends: int = 0             # final dots sent: so many copies there may be
    accepted: list = field(default_factory=list)  # ids that were answered 250
    turned_away: dict = field(default_factory=dict)  # by such an id: recipients refused with it
    maybe_turned_away: set = field(default_factory=set)  # in one of the transactions or another

    def content(self):
        """The same each time, with CRLF; some lines begin with dots."""
        out = [f"Received: from h{hop}.example by h{hop + 1}.example; "
               "Sun, 1 Nov 2026 00:00:00 +0000\r\n" for hop in range(self.hops)]
        out.append(f"From: <sender@client.example>\r\nSubject: mark {self.mark}\r\n"
                   f"X-Mark: {self.mark}\r\n\r\n")
        chance = random.Random(self.mark)
        size = sum(map(len, out))
        while size < self.octets:
            dot = "." if chance.randrange(20) == 0 else ""
            word = f"{dot}{chance.getrandbits(64):016x}\r\n"
            out.append(word * min(64, -(-(self.octets - size) // len(word))))
            size += len(out[-1])
        return "".join(out).encode()


@dataclass
class Accident:
    kind: str
    a: str         # a host
    b: str = None  # none: a alone, whomever it talks to
    begin: float = 0.0
    end: float = FAR_FUTURE


@dataclass
class Found:
    """A message in a mailbox of ours, or a take at a foreign host for one recipient."""
    place: str  # the host
    to: str
    text: bytes
    name: str = None          # of the file; none: a foreign host has it
    at: float = None          # taken; none: nobody said so
    replied: bool = True      # the 250 was written
    confirmed: bool = False   # the client showed that it was done with it


class Book:
    """What one of our servers said in its log, over all its lives."""

    def __init__(self):
        self.accepted = {}  # id to time
        self.outcomes = defaultdict(int)  # (id, recipient) to final lines
        self.failed = set()
        self.set_aside = set()
        self.kept_aside = []  # octets of those that were there at several deaths
        self.not_recorded = set()
        self.kills = 0


class Ledger:
    def __init__(self, servers):
        self.domains = [f"p{number + 1}.example" for number in range(servers)]
        self.letters = {}
        self.books = [Book() for _ in range(servers)]
        self.accidents = []
        self.violations = []

    def wrong(self, text):
        self.violations.append(text)

    def server_of(self, address):
        domain = address.rpartition("@")[2]
        return self.domains.index(domain) if domain in self.domains else -1

    def begin(self, kind, a, b, now):
        self.accidents.append(Accident(kind, a, b, now))
        return self.accidents[-1]

    def explains(self, sender, place, first, again):
        """Whether an accident may be why what `place` took at `first` came once more at `again`."""
        def concerns(one):
            if one.b:
                return {one.a, one.b} == {sender, place}
            return one.a in (sender, place)
        return any(concerns(one) and one.begin <= again and one.end >= first - ON_ITS_WAY
                   for one in self.accidents)

    def hear_log(self, number, lines, now, wall):
        """Everything that a server has logged; `now` and `wall` are one moment on two clocks."""
        book, due = self.books[number], {}
        for line in lines:
            fields = {key: value.strip('"') for key, value in FIELD.findall(line)}
            event, identity = fields.get("event"), fields.get("id")
            if event == "SpoolOpened":
                due = {}  # another life
            elif event in ("MessagePoisonous", "MessageSetAside") and identity:
                book.set_aside.add(identity)
                if event == "MessagePoisonous" and pathlib.Path(fields["kept"]).exists():
                    book.kept_aside.append(pathlib.Path(fields["kept"]).read_bytes())
            elif event == "OutcomeNotRecorded" and identity:
                book.not_recorded.add(identity)
            elif event == "MessageAccepted":
                book.accepted[identity] = time_of(fields["time"]) - wall + now
            elif event in ("Delivered", "Deferred", "Failed"):
                self.hear_result(number, event, fields, due)

    def hear_result(self, number, event, fields, due):
        """Each recipient has one final line, and none is tried before the time that was said."""
        book, key = self.books[number], (fields["id"], fields["to"])
        what = f"{self.domains[number]}: {key[0]} to {key[1]}"
        at = time_of(fields["time"])
        if event != "Failed" and at + LOG_RESOLUTION < due.pop(key, 0):
            self.wrong(f"{what} was tried before the time that was said")
        again = book.outcomes[key] > 0 and key[0] not in book.not_recorded
        if event == "Deferred":
            if again:
                self.wrong(f"{what} is tried after its outcome")
            due[key] = email.utils.parsedate_to_datetime(fields["next"]).timestamp()
            return
        if again:
            self.wrong(f"{what} has two outcomes")
        book.outcomes[key] += 1
        if event == "Failed":
            book.failed.add(key)


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def id_of_trace(text):
    """The id in the first Received field, or in the boundary of a report of ours; none: not ours."""
    report = REPORT.search(text[:text.find(b"\r\n\r\n")])
    if report:
        return report.group(1).decode()
    found = re.search(rb"[ \t]id (%s)" % ID.encode(), text[:1000])
    return found.group(1).decode() if found else None


def hop_in(received):
    """(domain of the server, id) of one Received field of ours."""
    found = re.search(r"by mx\.(p\d+\.example)[\s;]", received)
    identity = found and re.compile(rf"\sid ({ID})").search(received, found.end() - 1)
    return (found.group(1), identity.group(1)) if identity else None


class Reckoning:
    """Holds what was found against a ledger. Each figure is counted in recipients."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.copies = defaultdict(list)       # (server, id, recipient) to Found
        self.reports = defaultdict(dict)      # the same, to {id of the report: [Found]}
        self.notices = defaultdict(set)       # the same, to ids of notices of delay
        self.ids_of_mark = defaultdict(set)
        self.circles = defaultdict(int)       # by mark: reports that it went round
        self.in_mailbox = set()
        self.checked = self.copies_count = self.reports_count = 0
        self.repeats = self.set_aside = self.silent = 0

    def reckon(self, found):
        for one in found:
            self.collect(one)
        for letter in self.ledger.letters.values():
            self.check_letter(letter)
        for (_, identity, to) in self.copies:
            self.wrong(f"{identity} lies at {to}, to whom it was not sent")
        for (_, identity, to) in [*self.reports, *self.notices]:
            self.wrong(f"a report about {identity} to {to}, which was not sent")

    def wrong(self, text):
        self.ledger.wrong(text)

    # --- what lies where

    def collect(self, one):
        if one.name is not None:
            self.collect_file(one)
            return
        header = one.text[:one.text.find(b"\r\n\r\n")]
        if REPORT.search(header):
            self.collect_report(one)
            return
        hops = self.read_letter(one, f"{one.place}: {id_of_trace(one.text)}")
        if len(hops) > 1:
            self.wrong(f"{one.place}: {hops} came over two of our servers")
        if hops:
            self.copies[(*hops[-1], one.to)].append(one)

    def collect_file(self, one):
        """A file "<seconds>.<id>R<recipient>.<host>" of a mailbox."""
        server = self.ledger.server_of(one.to)
        name = re.match(rf"\d+\.({ID})R", one.name)
        if not name:
            self.wrong(f"{one.to} has the file {one.name}")
            return
        identity = name.group(1)
        if (one.to, identity) in self.in_mailbox:
            self.wrong(f"{one.to} has {identity} twice")
            return
        self.in_mailbox.add((one.to, identity))
        one.at = self.ledger.books[server].accepted.get(identity)
        if REPORT.search(one.text[:one.text.find(b"\n\n")]):
            self.collect_report(one)
            return
        if not one.text.startswith(b"Return-Path: <") or \
                b"\nDelivered-To: %s\n" % one.to.encode() not in one.text:
            self.wrong(f"{one.to}: {identity} has other trace fields")
        hops = self.read_letter(one, f"{one.to}: {identity}")
        if not hops:
            return
        if hops[0] != (server, identity):
            self.wrong(f"{one.to}: {identity} does not say so in its trace fields")
        self.copies[(*hops[-1], one.to)].append(one)

    def read_letter(self, one, where):
        """The way of the letter, newest (server, id) first; empty: something was wrong."""
        mark = re.search(rb"\nX-Mark: (\d+)", one.text)
        letter = self.ledger.letters.get(int(mark.group(1))) if mark else None
        if letter is None:
            self.wrong(f"{where} was never sent")
            return []
        content = letter.content()
        if one.name is not None:
            content = content.replace(b"\r\n", b"\n")
        if not one.text.endswith(content):
            self.wrong(f"{where} (mark {letter.mark}) has other octets")
            return []
        trace = one.text[:len(one.text) - len(content)].decode()
        if re.search(r"\n\r?\n", trace):
            self.wrong(f"{where} has an empty line in its trace")
        hops = [hop_in(part) for part in trace.split("Received: ")[1:]]
        hops = [(self.ledger.server_of(hop[0]), hop[1]) for hop in hops if hop]
        if len(hops) not in (1, 2) or hops[-1][0] != letter.through:
            self.wrong(f"{where} (mark {letter.mark}) has other trace fields")
            return []
        self.ids_of_mark[letter.mark].add(hops[-1][1])
        return hops

    def collect_report(self, one):
        own, about = (part.decode() for part in REPORT.search(one.text).groups())
        text = one.text.replace(b"\r\n", b"\n").decode()
        host = re.search(r"\nReporting-MTA: dns; mx\.(\S+)", text)
        server = self.ledger.server_of(host.group(1)) if host else -1
        if server < 0:
            self.wrong(f"not a report: {text[:2000]}")
            return
        if "\nAuto-Submitted: auto-" not in text:
            self.wrong(f"a report without Auto-Submitted: {own}")
        mark = int((re.search(r"\nX-Mark: (\d+)", text) or [0, 0])[1])
        letter = self.ledger.letters.get(mark)
        if letter and letter.to[0].fate == CIRCLES:
            self.circles[mark] += 1
            return
        self.ids_of_mark[mark].add(about)
        for to, action in re.findall(
                r"\nFinal-Recipient: rfc822; (\S+)\n(?:\S[^\n]*\n)*?Action: (\S+)", text):
            if action == "failed":
                self.reports[(server, about, to)].setdefault(own, []).append(one)
            elif action == "delayed":
                self.notices[(server, about, to)].add(own)
            else:
                self.wrong(f"a report with the action {action}")

    # --- what it means

    def check_letter(self, letter):
        ids = self.ids_of_mark[letter.mark] | set(letter.accepted)  # also when the 250 was lost
        if len(ids) > letter.ends:
            self.wrong(f"mark {letter.mark}: {len(ids)} ids for {letter.ends} final dots")
        if letter.to[0].fate == CIRCLES:
            reports = self.circles[letter.mark]
            if bool(letter.sender and letter.accepted) != (reports > 0):
                self.wrong(f"mark {letter.mark} went in circles: {reports} reports")
            return
        for identity in sorted(ids):
            for target in letter.to:
                if self.was_turned_away(letter, identity, target):
                    continue
                for to in target.finals:
                    self.check_recipient(letter, identity, target.fate, to)

    def was_turned_away(self, letter, identity, target):
        """Its sender heard it at once, so nothing may come of it. Of a transaction whose answer was
        lost it is not known."""
        if identity in letter.turned_away:
            return target.to in letter.turned_away[identity]
        key = (letter.through, identity, target.to)
        return (target.to in letter.maybe_turned_away
                and key not in self.copies and key not in self.reports)

    def check_recipient(self, letter, identity, fate, to):
        key = (letter.through, identity, to)
        copies, reports = self.copies.pop(key, []), self.reports.pop(key, {})
        notices = self.notices.pop(key, set())
        book = self.ledger.books[letter.through]
        what = (f"{identity} of {self.ledger.domains[letter.through]} (mark {letter.mark}) to {to}")
        self.checked += 1
        self.copies_count += len(copies)
        self.reports_count += len(reports)
        owed = letter.sender != ""
        if not owed and (reports or notices):
            self.wrong(f"{what}: a report although its sender is null")
        if len(reports) > 1:
            self.wrong(f"{what}: two reports of failure")
        if len(notices) > 1:
            self.wrong(f"{what}: two notices of delay")
        for own, places in reports.items():
            self.check_repeats((letter.through, own, to), places)
        said_failed = (identity, to) in book.failed
        # A kill may fall between what is written and the log's line about it.
        may_fail = fate in (FAILS, CIRCLES)
        failed = bool(reports) if owed else said_failed or (may_fail and book.kills > 0)
        if copies:
            self.check_copies(key, copies, what, fate, failed if owed else said_failed)
        elif not failed:
            # Whoever is there at several deaths in a row is taken for their reason.
            if identity in book.set_aside and book.kills >= DEATHS_MIN:
                self.set_aside += 1
            elif owed and said_failed and any(to.encode() in one for one in book.kept_aside):
                self.set_aside += 1  # its report was there
            elif fate == FAILS and owed:
                self.wrong(f"{what}: no report")
            else:
                self.wrong(f"{what}: lost")
        elif fate == ARRIVES:
            self.wrong(f"{what}: failed although it must arrive")
        elif fate == SET_ASIDE:
            self.wrong(f"{what}: failed instead of being set aside")
        elif not owed:
            self.silent += 1

    def check_copies(self, key, copies, what, fate, failed):
        last = copies[-1]
        if failed and last.replied and last.at and not self.ledger.explains(
                self.ledger.domains[key[0]], last.place, last.at, FAR_FUTURE):
            self.wrong(f"{what}: arrived, and failed as well")
        if fate in (FAILS, SET_ASIDE):
            self.wrong(f"{what}: arrived although it must not")
        self.check_repeats(key, copies)

    def check_repeats(self, key, copies):
        """Each copy but the last was followed by an accident that let it come again."""
        if len(copies) < 2:
            return
        copies = sorted(copies, key=lambda copy: copy.at or 0.0)
        domain = self.ledger.domains[key[0]]
        not_recorded = key[1] in self.ledger.books[key[0]].not_recorded
        for copy, again in zip(copies, copies[1:]):
            self.repeats += 1
            if not_recorded:
                continue
            if copy.confirmed:
                self.wrong(f"{key[1]} to {key[2]} came again after it was settled")
            if not copy.replied or copy.at is None:
                continue
            if not self.ledger.explains(domain, copy.place, copy.at, again.at):
                self.wrong(f"{key[1]} to {key[2]}: came {len(copies)} times, and no accident "
                           f"explains it; first at {copy.at:.3f} s, again at {again.at:.3f} s")
