"""What goes wrong in a small_internet: the faults of a scenario (sim/internet/faults.h) that a real
machine can be given. Each is told to the ledger with its beginning and end."""

import asyncio
import signal
import subprocess
import time

from far_host import MANNERS
from small_internet import end_tasks

DOWN_MAX = 0.05         # seconds between a kill and the next start
SOON_AFTER_START = 3.0  # of a crash loop, in the scenario's time
PATIENCE_MIN = 0.3      # of one who stops a server in order
PAGE = 4096
ROOM = 1 << 30          # of a disk that has space; a tmpfs takes what is used

SKIPPED = {
    "clock-jump": "the clock of the machine is everybody's",
    "disk-slow": "the disk is the machine's", "disk-fails": "the disk is the machine's",
    "disk-read-fails": "the disk is the machine's", "bit-rot": "the disk is the machine's",
    "backup": "the simulator's alone",
    "dns-fails": "NSD answers always", "dns-changes": "NSD's zones stand still",
    "dns-lies": "NSD's zones stand still",
}
REPLACED = {"power-loss": "as kill: a process cannot take the machine's disk its power",
            "reset": "only of connections to foreign hosts, whose sockets are ours to break"}


class Accidents:
    def __init__(self, net, names):
        """`names`: the name server."""
        self.net, self.how, self.names = net, net.how, names
        self.chance, self.ledger = net.chance, net.ledger
        self.on = False
        self.tasks = []     # what may be broken off
        self.machines = []  # what must come to its end
        self.lasting = {}  # number to (Accident, what ends it)
        self.counts = {}
        self.kills = 0
        self.cuts = {}     # two addresses to how many cuts lie on the link
        net.foreign[-1].on_recipient = self.poison

    def start(self):
        self.on = True
        self.tasks = [asyncio.create_task(self.schedule(plan)) for plan in self.how.faults
                      if plan["kind"] not in SKIPPED]

    async def stop(self):
        """No more begin, and those that go on end. The caller then starts the servers."""
        self.on = False
        await end_tasks(self.tasks)
        await asyncio.gather(*self.machines)
        self.machines = []
        for number in list(self.lasting):
            self.undo(number)

    async def schedule(self, plan):
        every, lasts = self.how.span(plan["every"]), self.how.span(plan["lasts"])
        while True:
            await asyncio.sleep(self.chance.uniform(0, 2 * every))
            await self.happen(plan["kind"], self.chance.uniform(0.001, max(lasts, 0.002)))

    async def happen(self, kind, lasts):
        server = self.chance.choice(self.net.servers)
        to_server = {"power-loss": self.crash_and_back, "kill": self.crash_and_back,
                     "stop": self.stop_in_order, "crash-loop": self.crash_loop,
                     "suspend": self.suspend, "disk-full": self.fill_disk}
        to_net = {"cut": self.cut, "partition": self.partition, "reset": self.reset}
        to_others = {"black-hole": self.black_hole, "manners": self.change_manners,
                     "dns-down": self.silence_names}
        if kind in to_server and not server.is_open:
            return  # it has its trouble
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind in to_server:
            self.machines.append(asyncio.create_task(to_server[kind](server, lasts)))
        elif kind in to_net:
            to_net[kind](server, lasts)
        else:
            to_others[kind](lasts)

    # --- what ends by itself

    def last_for(self, kind, a, b, lasts, undo):
        """`undo` after `lasts`, or at stop()."""
        accident = self.ledger.begin(kind, a, b, time.monotonic())
        self.lasting[id(accident)] = (accident, undo)

        async def later():
            await asyncio.sleep(lasts)
            self.undo(id(accident))
        self.tasks.append(asyncio.create_task(later()))

    def undo(self, number):
        accident, undo = self.lasting.pop(number, (None, None))
        if accident:
            undo()
            accident.end = time.monotonic()

    def is_going(self, kind, host=None):
        return any(one.kind == kind and host in (None, one.a) for one, _ in self.lasting.values())

    # --- machines

    def crash(self, server, kind="kill"):
        accident = self.ledger.begin(kind, server.domain, None, time.monotonic())
        server.kill()
        accident.end = time.monotonic()
        self.ledger.books[server.number].kills += 1
        self.kills += 1

    async def crash_and_back(self, server, down):
        self.crash(server)
        await self.come_back(server, down)

    async def come_back(self, server, down):
        await asyncio.sleep(down)
        await server.start()

    async def crash_loop(self, server, _):
        for _ in range(4):
            if not (self.on and server.is_open):
                return
            await self.crash_and_back(server, self.chance.uniform(0.001, DOWN_MAX))
            await asyncio.sleep(self.chance.uniform(DOWN_MAX, SOON_AFTER_START / self.how.pace))

    async def stop_in_order(self, server, patience):
        accident = self.ledger.begin("stop", server.domain, None, time.monotonic())
        server.turn += 1
        server.is_open = False
        server.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + max(patience, PATIENCE_MIN)
        while server.is_up and time.monotonic() < end:
            await asyncio.sleep(0.01)
        if server.is_up:
            self.crash(server)  # it takes too long for its supervisor
        elif server.process.returncode != 0:
            self.ledger.wrong(f"{server.domain} stopped with {server.process.returncode}")
        accident.end = time.monotonic()
        await server.start()

    async def suspend(self, server, lasts):
        process = server.process
        process.send_signal(signal.SIGSTOP)
        self.last_for("suspend", server.domain, None, lasts,
                      lambda: process.poll() is None and process.send_signal(signal.SIGCONT))

    def poison(self, to, source):
        """Whose server names poison to its host dies at once."""
        server = self.net.server_at(source)
        if to.startswith("poison@") and server and server.is_up:
            self.crash(server)
            self.machines.append(asyncio.create_task(
                self.come_back(server, self.chance.uniform(0.001, DOWN_MAX))))

    # --- disks

    async def fill_disk(self, server, lasts):
        """The disk of a server, a tmpfs, has a few pages left."""
        if self.is_going("disk-full", server.domain):
            return
        left = self.chance.randrange(600) * PAGE
        used = int(subprocess.run(["df", "--output=used", "-B1", str(server.data)], check=True,
                                  capture_output=True, text=True).stdout.split()[1])
        if resize_disk(server.data, used + left):
            self.last_for("disk-full", server.domain, None, lasts,
                          lambda: resize_disk(server.data, ROOM))

    # --- the net

    def others(self, server):
        return [one.domain for one in self.net.servers if one is not server] + \
            [host.name for host in self.net.foreign[:-1]]

    def address_of(self, name):
        return next(one.address for one in self.net.servers + self.net.foreign
                    if name in (getattr(one, "domain", None), getattr(one, "name", None)))

    def part(self, pairs, on):
        """Nothing gets from one of a pair to the other any more; or it does again."""
        for a, b in pairs:
            ends = (self.address_of(a), self.address_of(b))
            before = self.cuts.get(ends, 0) + self.cuts.get(ends[::-1], 0)
            self.cuts[ends] = self.cuts.get(ends, 0) + (1 if on else -1)
            if before == (0 if on else 1):
                for source, target in (ends, ends[::-1]):
                    subprocess.run(["ip", "rule", "add" if on else "del", "pref", "1", "from", source,
                                    "to", target, "blackhole"], check=True)

    def cut_for(self, kind, a, b, pairs, lasts):
        self.part(pairs, True)
        self.last_for(kind, a, b, lasts, lambda: self.part(pairs, False))

    def cut(self, server, lasts):
        other = self.chance.choice(self.others(server))
        self.cut_for("cut", server.domain, other, [(server.domain, other)], lasts)

    def partition(self, server, lasts):
        self.cut_for("partition", server.domain, None,
                     [(server.domain, other) for other in self.others(server)], lasts)

    def black_hole(self, lasts):
        far = self.chance.choice(self.net.foreign[:-1])
        if not self.is_going("black-hole", far.name):
            self.cut_for("black-hole", far.name, None,
                         [(one.domain, far.name) for one in self.net.servers], lasts)

    def reset(self, server, _):
        far = self.chance.choice(self.net.foreign[:-1])
        accident = self.ledger.begin("reset", server.domain, far.name, time.monotonic())
        far.reset(server.address)
        accident.end = time.monotonic()

    # --- other people

    def change_manners(self, lasts):
        far = self.chance.choice(self.net.foreign[:-1])
        if self.is_going("manners", far.name):
            return
        before = far.manners
        far.add_manner(self.chance.choice(list(MANNERS)))
        self.last_for("manners", far.name, None, lasts,
                      lambda: setattr(far, "manners", before))

    def silence_names(self, lasts):
        if self.is_going("dns-down"):
            return
        self.names.stop()
        self.last_for("dns-down", "names", None, lasts, self.names.start)


def resize_disk(path, octets):
    """False: more is used by now."""
    return subprocess.run(["mount", "-o", f"remount,size={octets}", str(path)],
                          stderr=subprocess.DEVNULL).returncode == 0


def mount_disk(path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(path)], check=True)
