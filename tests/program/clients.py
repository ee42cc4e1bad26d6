"""Those who give mail to one of our servers (sim/internet/clients.h), and note what they heard. They
know nothing of our own SMTP code: they write their lines and read digits."""

import asyncio
import random

PAUSE_MAX = 0.25  # seconds, after a failed session
LETTERS_PER_SESSION = 6


class NoReply(Exception):
    """The session is over before its time."""


class Clients:
    """Those who give mail to one of our servers: a letter is sent again until it is answered 250."""

    def __init__(self, net, name, address, server, sessions, reply_time, compose=lambda: None):
        """From one address to another. `compose` gives another letter, or None."""
        self.net, self.name, self.address, self.server = net, name, address, server
        self.reply_time, self.compose = reply_time, compose
        self.waiting = asyncio.Queue()
        self.in_hand = 0
        self.put_off = 0
        self.tasks = [asyncio.create_task(self.work()) for _ in range(sessions)]

    def post(self, letter):
        self.waiting.put_nowait(letter)

    def is_idle(self):
        return self.waiting.empty() and self.in_hand == 0

    def next(self):
        letter = self.compose() if self.waiting.empty() else self.waiting.get_nowait()
        self.in_hand += letter is not None
        return letter

    async def work(self):
        pause, hand = 0.005, []
        while True:
            if not hand:
                letter = self.next()
                if letter is None:
                    await asyncio.sleep(0.01)
                    continue
                hand.append(letter)
            try:
                await self.hold_session(hand)
                pause = 0.005
            except (NoReply, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(random.uniform(0.001, pause))
                pause = min(2 * pause, PAUSE_MAX)

    async def hold_session(self, hand):
        reader, writer = await asyncio.wait_for(asyncio.open_connection(
            self.server, 25, local_addr=(self.address, 0)), self.reply_time)
        try:
            await self.want(reader, "220")
            writer.write(f"EHLO {self.name}.example\r\n".encode())
            await self.want(reader, "250")
            for _ in range(random.randint(1, LETTERS_PER_SESSION)):
                letter = hand[0] if hand else self.next()
                if letter is None:
                    break
                hand[:] = [letter]
                await self.send(reader, writer, letter)
                hand.clear()
                self.in_hand -= 1
            writer.write(b"QUIT\r\n")
            await self.want(reader, "221")
        finally:
            writer.close()

    async def hear(self, reader):
        while True:
            line = (await asyncio.wait_for(reader.readuntil(b"\r\n"), self.reply_time)).decode()
            if line[3:4] != "-":
                return line.rstrip()

    async def want(self, reader, code):
        return self.wanted(await self.hear(reader), code)

    def wanted(self, reply, code):
        if reply.startswith(code):
            return reply
        self.put_off += 1
        if reply.startswith("5"):
            self.net.ledger.wrong(f"{self.name} heard {reply}")
        raise NoReply

    async def send(self, reader, writer, letter):
        """One transaction, which ends with the letter accepted."""
        lines = [f"MAIL FROM:<{letter.sender}>"]
        lines += [f"RCPT TO:<{target.to}>" for target in letter.to]
        lines.append("DATA")
        pipelined = random.random() < 0.5
        if pipelined:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())
        turned_away = set()
        for line, target in zip(lines, [None, *letter.to, None]):
            if not pipelined:
                writer.write(f"{line}\r\n".encode())
            reply = await self.hear(reader)
            if target and reply.startswith("556") and target.wants_no_mail():
                turned_away.add(target.to)
            elif line == "DATA" and len(turned_away) == len(letter.to) and reply.startswith("5"):
                writer.write(b"RSET\r\n")
                await self.want(reader, "250")
                return
            else:
                self.wanted(reply, "354" if line == "DATA" else "250")
        writer.write((b"\r\n" + letter.content()).replace(b"\r\n.", b"\r\n..")[2:])
        await asyncio.wait_for(writer.drain(), self.reply_time)
        letter.ends += 1  # from here on it may be kept, whatever we hear
        letter.maybe_turned_away |= turned_away
        writer.write(b".\r\n")
        if letter.is_refused:
            reply = await self.hear(reader)
            if reply.startswith("554"):
                return
            if reply.startswith("250"):
                self.net.ledger.wrong("a letter that had travelled too far was taken")
            raise NoReply
        reply = await self.want(reader, "250")
        letter.accepted.append(reply.split()[-1])
        letter.turned_away[letter.accepted[-1]] = turned_away
        self.net.accepted += 1
