"""Another's host with manners of its own: those of sim/foreign_host.h, over real sockets. It keeps
what it is given, and when. Part of an asyncio loop."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass, field, replace

from reckoning import Found, id_of_trace

FAULTS_MAX = 20
PATIENCE = 120.0


@dataclass
class Manners:
    pause: float = 0.0
    end_pause: float = 0.0
    by_octets: bool = False
    pipelining: bool = True
    greylisted: float = 0.0
    put_off_times: int = 0
    recipients_max: int = 0
    per_connection_max: int = 0
    closes: tuple = ("", 0)  # says 421 at this step, so often in 1000
    cuts: tuple = ("", 0)    # hangs up without a word there
    drops_reply: int = 0     # in 1000
    many_lines: bool = False
    wrong_codes: int = 0
    garbage: int = 0
    per_second_max: int = 0
    connections_max: int = 0


# The words of kManners in sim/internet/scenario.cc. The simulator's 90 s of greylisting and 5 s
# before a 250 are a little shorter here, and what it counts in a minute is counted in a second.
MANNERS = {
    "polite": {},
    "greylisting": {"greylisted": 1.5},
    "busy": {"put_off_times": 2},
    "few-recipients": {"recipients_max": 2},
    "few-per-connection": {"per_connection_max": 3},
    "slow": {"pause": 0.04},
    "slow-end": {"end_pause": 0.5},
    "by-octets": {"by_octets": True},
    "no-pipelining": {"pipelining": False},
    "many-lines": {"many_lines": True},
    "says-421": {"closes": ("rcpt", 100)},
    "says-421-at-greeting": {"closes": ("greeting", 300)},
    "says-421-at-end": {"closes": ("end", 100)},
    "cuts": {"cuts": ("data", 100)},
    "cuts-at-end": {"cuts": ("end", 100)},
    "drops-reply": {"drops_reply": 60},
    "wrong-codes": {"wrong_codes": 50},
    "garbage": {"garbage": 50},
    "throttles": {"per_second_max": 30},
    "few-connections": {"connections_max": 2},
}
SKIPPED = {"hangs": "a client waits minutes of real time for a greeting"}


@dataclass
class Session:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    source: str  # the client's address
    has_mail: bool = False
    reverse_path: str = ""
    recipients: list = field(default_factory=list)
    taken: int = 0  # recipients, in all its transactions
    open: list = field(default_factory=list)  # (id, Found), not confirmed yet


class Over(Exception):
    """The dialogue ends here."""


class FarHost:
    def __init__(self, name, address, words, chance):
        self.name, self.address, self.chance = name, address, chance
        self.manners = Manners()
        for word in words:
            self.add_manner(word)
        self.found = []
        self.faults = []       # what nobody should say
        self.asked = {}        # recipient to (first time, how often)
        self.newest = []       # times of messages of the last second
        self.sessions = {}     # task to Session
        self.on_keep = lambda reverse_path, recipients: None
        self.on_recipient = lambda recipient, source: None

    def add_manner(self, word):
        self.manners = replace(self.manners, **MANNERS[word])

    async def start(self):
        self.server = await asyncio.start_server(self.serve, self.address, 25, limit=8 << 20)

    async def stop(self):
        self.server.close()
        for task in list(self.sessions):
            task.cancel()
        await asyncio.gather(*self.sessions, return_exceptions=True)

    def reset(self, source):
        """Breaks the connections of a client with RST."""
        for session in self.sessions.values():
            if session.source == source:
                session.writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                session.writer.transport.abort()

    async def serve(self, reader, writer):
        session = Session(reader, writer, writer.get_extra_info("peername")[0])
        self.sessions[asyncio.current_task()] = session
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.greet(session)
            while line := await asyncio.wait_for(reader.readline(), PATIENCE):
                await self.hear(session, line.decode().rstrip("\r\n"))
        except (Over, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError,
                asyncio.CancelledError):
            pass
        finally:
            del self.sessions[asyncio.current_task()]
            writer.close()

    def is_hit(self, per_1000):
        return per_1000 > 0 and self.chance.randrange(1000) < per_1000

    async def say(self, session, reply):
        if self.manners.many_lines:
            reply = f"{reply[:3]}-\r\n{reply[:3]}-and more\r\n" * 5 + reply
        await asyncio.sleep(self.manners.pause)
        octets = f"{reply}\r\n".encode()
        step = 1 if self.manners.by_octets else len(octets)
        for at in range(0, len(octets), step):
            session.writer.write(octets[at:at + step])
            await session.writer.drain()
            await asyncio.sleep(0)

    async def say_last(self, session, reply):
        await self.say(session, reply)
        raise Over

    async def step(self, session, name):
        """The dialogue may end here."""
        if self.manners.closes[0] == name and self.is_hit(self.manners.closes[1]):
            await self.say_last(session, "421 4.3.2 not now")
        if self.manners.cuts[0] == name and self.is_hit(self.manners.cuts[1]):
            raise Over

    async def greet(self, session):
        await self.step(session, "greeting")
        if 0 < self.manners.connections_max < len(self.sessions):
            await self.say_last(session, "421 4.7.0 too many connections from you")
        await self.say(session, "220 far.example ESMTP")

    async def hear(self, session, line):
        if line.startswith("EHLO "):
            more = "250-PIPELINING\r\n" if self.manners.pipelining else ""
            await self.say(session, f"250-far.example\r\n{more}250 8BITMIME")
        elif line.startswith("MAIL FROM:"):
            await self.hear_mail(session, line)
        elif line.startswith("RCPT TO:") and session.has_mail:
            await self.step(session, "rcpt")
            wrong = self.is_hit(self.manners.wrong_codes)
            await self.say(session, "499" if wrong else self.answer_recipient(session, line))
        elif line == "DATA" and session.has_mail:
            await self.hear_data(session)
        elif line == "RSET":
            session.has_mail, session.recipients = False, []
            await self.say(session, "250 2.0.0 forgotten")
        elif line == "QUIT":
            for _, found in session.open:
                found.confirmed = True
            await self.say_last(session, "221 2.0.0 bye")
        elif self.manners.pipelining and (line == "DATA" or line.startswith("RCPT TO:")):
            await self.say(session, "503 5.5.1 no MAIL")  # sent before MAIL's refusal was heard
        else:
            if len(self.faults) < FAULTS_MAX:
                self.faults.append(f"unexpected: {line}")
            await self.say(session, "500 5.5.1 what?")

    async def hear_mail(self, session, line):
        if self.is_hit(self.manners.wrong_codes):
            return await self.say(session, "477 4.1.0 hm")
        if self.is_hit(self.manners.garbage):
            return await self.say(session, "<html>it works</html>")
        now = time.monotonic()
        self.newest = [at for at in self.newest if at > now - 1.0]
        if 0 < self.manners.per_second_max <= len(self.newest):
            return await self.say(session, "450 4.7.0 too fast")
        session.has_mail, session.recipients = True, []
        session.reverse_path = path_of(line)
        await self.say(session, "250 2.1.0 go on")

    def answer_recipient(self, session, line):
        to, now = path_of(line), time.monotonic()
        first, times = self.asked.get(to, (now, 0))
        self.asked[to] = (first, times + 1)
        self.on_recipient(to, session.source)
        if to.startswith("refused"):
            return "550 5.1.1 no such mailbox"
        if now < first + self.manners.greylisted:
            return "450 4.7.1 greylisted, come back later"
        if times < self.manners.put_off_times:
            return "450 4.2.1 mailbox busy"
        if 0 < self.manners.recipients_max <= len(session.recipients):
            return "452 4.5.3 too many recipients"
        if 0 < self.manners.per_connection_max <= session.taken:
            return "452 4.5.3 enough for one visit"
        session.recipients.append(to)
        session.taken += 1
        return "250 2.1.5 known"

    async def hear_data(self, session):
        await self.step(session, "data")
        if not session.recipients:
            return await self.say(session, "554 5.5.1 no recipients")
        if self.is_hit(self.manners.wrong_codes):
            return await self.say(session, "250 2.0.0 fine, or not")
        await self.say(session, "354 go on")
        # A message of ours has more lines than one.
        content = await asyncio.wait_for(session.reader.readline(), PATIENCE)
        if content != b".\r\n":
            content += await asyncio.wait_for(session.reader.readuntil(b"\r\n.\r\n"), PATIENCE)
        content = (b"\r\n" + content[:-3]).replace(b"\r\n.", b"\r\n")[2:]
        session.has_mail = False
        await self.step(session, "end")
        replies = not self.is_hit(self.manners.drops_reply)
        self.keep(session, content, replies)
        if not replies:
            raise Over
        await asyncio.sleep(self.manners.end_pause)
        await self.say(session, "250 2.0.0 taken")

    def keep(self, session, content, replies):
        identity, now = id_of_trace(content), time.monotonic()
        if identity is None and len(self.faults) < FAULTS_MAX:
            self.faults.append(f"no id: {content[:500]}")
        for other, found in session.open:  # another message: the client is done with those before
            found.confirmed = found.confirmed or other != identity
        for to in session.recipients:
            found = Found(self.name, to, content, at=now, replied=replies)
            self.found.append(found)
            session.open.append((identity, found))
        self.newest.append(now)
        self.on_keep(session.reverse_path, session.recipients)
        session.recipients = []


def path_of(line):
    return line[line.index("<") + 1:line.index(">")]
