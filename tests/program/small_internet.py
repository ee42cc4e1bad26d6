"""The Internet of a scenario (sim/internet/internet.h) as real processes on real sockets: our servers,
other people's hosts, clients, and what goes wrong among them. The addresses are the simulator's, on
the loopback device of a network namespace of its own; the names are NSD's. One asyncio loop.
"""

import asyncio
import json
import random
import re
import subprocess
import time
import tomllib
from pathlib import Path

from clients import Clients
from far_host import MANNERS, FarHost
from reckoning import ARRIVES, CIRCLES, FAILS, SET_ASIDE, Found, Ledger, Letter, Target
from server import LIMIT, ROOT, program

USERS, LISTS = 10, 5
TOO_MANY_HOPS = 150
LARGE = (130_000, 260_000)
OPENS_WITHIN = 60.0
START_AGAIN = 0.2  # seconds until what did not come up is tried again
UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}


def server_address(number):
    return f"192.0.2.{11 + number}"


def clients_address(number):
    return f"192.0.2.{101 + number}"


def outside_address(number):
    return f"203.0.113.{1 + number}"


def seconds(text):
    """A duration such as "1h30m"."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[wdhms])", text))


def chosen(chance, per_1000):
    return chance.randrange(1000) < per_1000


class Scenario:
    """A file of sim/scenarios/, with its times `pace` times as fast, cut to `length` real seconds."""

    def __init__(self, name, length, pace):
        file = tomllib.loads((ROOT / f"sim/scenarios/{name}.toml").read_text())
        self.name, self.length, self.pace = name, length, pace
        self.postriders = {"count": 1, "shards": 2, "general": "", "smtp": "", "queue": ""}
        self.postriders.update(file.get("postriders", {}))
        self.mail = {"sessions": 10, "per_hour": 0, "burst": 1, "recipients_max": 3,
                     "octets_max": 6000, "large_per_1000": 20, "null_per_1000": 200,
                     "far_travelled_per_1000": 0, "foreign_sender_per_1000": 100,
                     "neighbour_sender_per_1000": 100, "reply_time": "5m", **file["mail"]}
        self.foreign = [(f"{plan['name']}{number}.example", plan.get("manners", []))
                        for plan in file.get("foreign", ())
                        for number in range(1, plan.get("count", 1) + 1)]
        self.faults = [{"every": "1s", "lasts": "1s", **fault} for fault in file.get("fault", ())]

    def span(self, text):
        """A duration of the file, in real seconds."""
        return seconds(text) / self.pace

    def queue_lines(self):
        """Its lines of [queue], with waits so short that the run ends."""
        values = tomllib.loads(self.postriders["queue"])
        values |= {"backoff_first": "1s", "backoff_max": "2s",
                   "local_backoff_first": "1s", "local_backoff_max": "2s"}
        rate = "messages_per_minute_per_site"
        if rate in values:
            values[rate] = min(1_000_000, int(values[rate] * self.pace))
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


CONFIG = """hostname = "mx.{domain}"
user = "root"
data_directory = "{data}"
shards = {shards}
{general}
[[listener]]
address = "{address}:25"
[relay]
source_v4 = "{address}"
[resolver]
forwarders = ["127.0.0.1:53"]
[smtp]
relay_networks = ["{clients}/32"]
recipients_max = 1000
unlimited_networks = ["0.0.0.0/0"]
{smtp}
[queue]
{queue}
[spool]
segment_octets = "1 MiB"
min_free = "0"
[[domain]]
name = "{domain}"
mailboxes = {mailboxes}
[domain.aliases]
{aliases}
"""


class Postrider:
    """One process of ours, started again by its supervisor until close()."""

    def __init__(self, net, number, folder):
        self.net, self.number = net, number
        self.domain, self.address = net.domain(number), server_address(number)
        self.folder = folder / self.domain
        self.data, self.log_path = self.folder / "data", self.folder / "log"
        self.data.mkdir(parents=True)
        self.log_path.touch()
        self.config = self.folder / "postrider.toml"
        self.config.write_text(self.config_text())
        self.process = None
        self.is_open = False
        self.turn = 0  # starts of earlier turns are over
        self.life = 0  # where its log of this life begins

    def config_text(self):
        plan, net = self.net.how.postriders, self.net
        smtp = plan["smtp"]
        if "sessions_per_address_max" not in smtp:
            smtp += "\nsessions_per_address_max = 1000"
        aliases = {f"list{n}": net.members_of_list(self.number, n) for n in range(LISTS)}
        if net.count > 1:
            aliases["circle"] = [f"circle@{net.domain((self.number + 1) % net.count)}"]
        return CONFIG.format(
            domain=self.domain, data=self.data, shards=plan["shards"], general=plan["general"],
            address=self.address, clients=clients_address(self.number), smtp=smtp,
            queue=net.how.queue_lines(), mailboxes=json.dumps([f"u{n}" for n in range(USERS)]),
            aliases="".join(f"{name} = {json.dumps(to)}\n" for name, to in aliases.items()))

    @property
    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def log_since(self, begin):
        with open(self.log_path, "rb") as log:
            log.seek(begin)
            return log.read()

    async def start(self):
        """As a supervisor does: what does not come up is started again a little later."""
        self.turn += 1
        turn, end = self.turn, time.monotonic() + OPENS_WITHIN
        while turn == self.turn and not self.is_open:
            if not self.is_up:
                self.spawn()
            elif b"event=Listening" in self.log_since(self.life):
                self.is_open = True
                return
            if time.monotonic() > end:
                self.net.ledger.wrong(f"{self.domain} does not open: "
                                      f"{self.log_since(self.life)[-500:]}")
                return
            await asyncio.sleep(0.005 if self.is_up else START_AGAIN)

    def spawn(self):
        self.life = self.log_path.stat().st_size
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", program(), "serve", "--config",
                 str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def note_its_end(self):
        """Nobody ended it: so it should be there."""
        if self.is_open and not self.is_up:
            self.is_open = False
            self.net.ledger.wrong(f"{self.domain} ended by itself with {self.process.returncode}")

    def kill(self):
        self.turn += 1
        self.is_open = False
        if self.is_up:
            self.process.kill()
            self.process.wait(LIMIT)

    async def ask(self, *words):
        return await asyncio.to_thread(
            lambda: subprocess.run([program(), *words, "--socket", str(self.data / "admin.sock")],
                                   capture_output=True, text=True, timeout=LIMIT, check=True).stdout)


class Internet:
    """Everybody of a scenario, in `folder`. `letters_max`: of a server's own clients."""

    def __init__(self, how, folder, seed, letters_max):
        self.how, self.chance = how, random.Random(seed)
        self.count = how.postriders["count"]
        self.letters_max = letters_max
        self.composed = [0] * self.count
        self.mailing = False
        self.began = 0.0
        self.accepted = 0
        self.ledger = Ledger(self.count)
        self.folder = Path(folder)
        self.foreign_domains = [domain for domain, _ in how.foreign]
        self.foreign = []
        for domain, words in [*how.foreign, ("poison.example", [])]:
            host = FarHost(f"mx.{domain}", f"198.51.100.{len(self.foreign) + 1}",
                           [word for word in words if word in MANNERS], self.chance)
            host.on_keep = self.send_back
            self.foreign.append(host)
        self.servers = [Postrider(self, number, self.folder) for number in range(self.count)]
        shares = how.mail["to"]
        self.goals = [goal for goal, share in shares.items() for _ in range(share)]
        self.first_goals = [[goal for goal, share in shares.items() if share]
                            for _ in range(self.count)]  # each comes at least once

    def domain(self, number):
        return f"p{number + 1}.example"

    def server_at(self, address):
        return next((one for one in self.servers if one.address == address), None)

    def members_of_list(self, server, number):
        out, neighbour = [f"u{number}@{self.domain(server)}"], (server + 1) % self.count
        if neighbour != server:
            out.append(f"u{number + 1}@{self.domain(neighbour)}")
        if self.foreign_domains:
            out.append(f"member{number}@{self.foreign_domains[number % len(self.foreign_domains)]}")
        return out

    def zone(self):
        """The names; every second foreign domain has a first host that is not there."""
        lines = ["$ORIGIN example.", "$TTL 300",
                 "@ SOA ns.example. root.example. 1 3600 600 86400 300", "@ NS ns.example.",
                 "ns A 127.0.0.1", "nomail MX 0 .", "loop MX 10 mx.p1", "mx.gone A 203.0.113.249"]
        for name, address in [(one.domain, one.address) for one in self.servers] + \
                [(one.name.removeprefix("mx."), one.address) for one in self.foreign]:
            name = name.removesuffix(".example")
            lines += [f"{name} MX 10 mx.{name}", f"mx.{name} A {address}"]
        lines += [f"{domain.removesuffix('.example')} MX 5 mx.gone"
                  for domain in self.foreign_domains[1::2]]
        return "\n".join(lines) + "\n"

    def addresses(self):
        return [address(number) for number in range(self.count)
                for address in (server_address, clients_address, outside_address)] + \
            [one.address for one in self.foreign]

    # --- its life

    async def start(self):
        for host in self.foreign:
            await host.start()
        await asyncio.gather(*(server.start() for server in self.servers))
        mail = self.how.mail
        # A reply that comes late is the machine's affair: a little more patience than there.
        patience = min(10.0, max(2.0, self.how.span(mail["reply_time"])))
        always = mail["per_hour"] == 0
        self.clients = [Clients(self, f"clients{n + 1}", clients_address(n), server_address(n),
                                mail["sessions"], patience,
                                (lambda n=n: self.compose(n)) if always else lambda: None)
                        for n in range(self.count)]
        self.outside = [Clients(self, f"outside{n + 1}", outside_address(n), server_address(n), 2,
                                patience)
                        for n in range(self.count)]
        self.schedules = [] if always else [asyncio.create_task(self.schedule(n))
                                            for n in range(self.count)]

    async def stop(self):
        for one in self.clients + self.outside:
            ended = [task.exception() for task in one.tasks if task.done()]
            await end_tasks(one.tasks)
            if ended:
                self.ledger.wrong(f"{one.name} gave up: {ended}")
        await end_tasks(self.schedules)
        for server in self.servers:
            server.kill()
        for host in self.foreign:
            await host.stop()

    async def schedule(self, server):
        """Bursts of letters, after a drawn time with the wanted mean."""
        mail = self.how.mail
        mean = 3600 / mail["per_hour"] * mail["burst"] / self.how.pace
        while True:
            await asyncio.sleep(self.chance.uniform(0, 2 * mean))
            for _ in range(mail["burst"]):
                if letter := self.compose(server):
                    self.clients[server].post(letter)

    def begin_mailing(self):
        self.mailing, self.began = True, time.monotonic()

    async def come_to_rest(self, limit, limit_in_all):
        """Waits until every letter is taken and every queue empty, three times one after another. A
        slow machine gets more time as long as something goes on: `limit` counts from the last sign."""
        begin = last_sign = time.monotonic()
        quiet, seen = 0, None
        while quiet < 3:
            for server in self.servers:
                server.note_its_end()
                if not server.is_open:
                    await server.start()
            idle = all(one.is_idle() for one in self.clients + self.outside)
            queues = [json.loads(await one.ask("status", "--json"))["queue"]["entries"]
                      for one in self.servers] if idle else []
            quiet = quiet + 1 if idle and not any(queues) else 0
            now, signs = time.monotonic(), (self.accepted, queues)
            if signs != seen:
                last_sign, seen = now, signs
            if now > last_sign + limit or now > begin + limit_in_all:
                self.ledger.wrong(f"no rest after {now - begin:.0f} s: clients idle: {idle}, in the "
                                  f"queues: {queues}")
                return
            await asyncio.sleep(0.05)

    def collect(self):
        """What lies in mailboxes and at foreign hosts, as Found; what the logs say into the ledger."""
        now, wall = time.monotonic(), time.time()
        found = []
        for server in self.servers:
            self.ledger.hear_log(server.number,
                                 server.log_since(0).decode(errors="replace").splitlines(), now, wall)
            for path in sorted((server.data / "mail").glob("*/*/new/*")):
                to = f"{path.parts[-3]}@{path.parts[-4]}"
                found.append(Found(f"{server.domain}", to, path.read_bytes(), path.name))
        for host in self.foreign:
            found += host.found
            for fault in host.faults:
                self.ledger.wrong(f"{host.name}: {fault}")
        return found

    # --- letters

    def new_letter(self, through, sender, to, **more):
        letter = Letter(len(self.ledger.letters) + 1, through, sender, to, **more)
        self.ledger.letters[letter.mark] = letter
        return letter

    def elapsed(self):
        """The part of the time of mail that is over: letters come all the time."""
        return min(1.0, (time.monotonic() - self.began) / self.how.length)

    def compose(self, server):
        if not self.mailing or self.composed[server] >= self.letters_max * self.elapsed():
            return None
        self.composed[server] += 1
        mail, chance = self.how.mail, self.chance
        mark, to = len(self.ledger.letters) + 1, []
        for _ in range(chance.randint(1, mail["recipients_max"])):
            target = self.draw_target(server, mark)
            taken = {final for other in to for final in other.finals}
            if target is None or taken.intersection(target.finals):
                continue
            to.append(target)
            if target.fate == CIRCLES:  # goes alone
                to = [target]
                break
        if not to:
            to = [Target(self.draw_user(server))]
        travelled = chosen(chance, mail["far_travelled_per_1000"])
        large = chosen(chance, mail["large_per_1000"])
        octets = chance.randint(*LARGE) if large else chance.randint(60, mail["octets_max"])
        return self.new_letter(server, self.draw_sender(server), to, octets=octets,
                               hops=TOO_MANY_HOPS if travelled else 0, is_refused=travelled)

    def draw_user(self, server):
        return f"u{self.chance.randrange(USERS)}@{self.domain(server)}"

    def draw_neighbour(self, server):
        if self.count == 1:
            return server
        return (server + 1 + self.chance.randrange(self.count - 1)) % self.count

    def draw_sender(self, server):
        mail = self.how.mail
        if chosen(self.chance, mail["null_per_1000"]):
            return ""
        if self.foreign_domains and chosen(self.chance, mail["foreign_sender_per_1000"]):
            return f"sender@{self.chance.choice(self.foreign_domains)}"
        if chosen(self.chance, mail["neighbour_sender_per_1000"]):
            server = self.draw_neighbour(server)
        return self.draw_user(server)

    def draw_target(self, server, mark):
        first = self.first_goals[server]
        goal = first.pop() if first else self.chance.choice(self.goals)
        neighbour = self.draw_neighbour(server)
        if goal in ("foreign", "refused", "bounced"):
            if not self.foreign_domains:
                return None
            who = "r" if goal == "foreign" else goal
            address = (f"{who}{mark}-{self.chance.randrange(1000)}@"
                       f"{self.chance.choice(self.foreign_domains)}")
            return Target(address, FAILS if goal == "refused" else ARRIVES)
        if goal in ("unknown", "circle") and neighbour == server:
            return None
        if goal == "list":
            number = self.chance.randrange(LISTS)
            return Target(f"list{number}@{self.domain(server)}", ARRIVES,
                          self.members_of_list(server, number))
        nowhere = self.chance.choice(("nowhere", "nomail", "loop"))
        return {"mailbox": lambda: Target(self.draw_user(server)),
                "neighbour": lambda: Target(self.draw_user(neighbour)),
                "unknown": lambda: Target(f"nobody{mark}@{self.domain(neighbour)}", FAILS),
                "nowhere": lambda: Target(f"r{mark}@{nowhere}.example", FAILS),
                "poison": lambda: Target("poison@poison.example", SET_ASIDE),
                "circle": lambda: Target(f"circle@{self.domain(server)}", CIRCLES)}[goal]()

    def send_back(self, reverse_path, recipients):
        """A foreign host that has taken a message sends it back to its sender, if that is ours."""
        server = self.ledger.server_of(reverse_path)
        if server >= 0 and any(to.startswith("bounced") for to in recipients):
            self.outside[server].post(self.new_letter(server, "", [Target(reverse_path)]))


async def end_tasks(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
