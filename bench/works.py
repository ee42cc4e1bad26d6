"""The works: what each is, who does it, and how it is measured. docs/performance.md explains them."""

from collections.abc import Callable
from dataclasses import dataclass

import full
import limits
import measure
import recycled
import sessions
import store
import tls
import waiting
from load import Load

OURS = ("postrider",)
BOTH = ("postrider", "postfix")
BOUNDS = ("sink", "keeper", "smtp-sink")
PEERS = ("postrider", "postfix", "exim", "opensmtpd", "haraka")


@dataclass(frozen=True)
class Work:
    name: str               # its part before the slash is the group that --works may name
    kind: str = "accept"    # what becomes of a message: servers.py
    load: Load = Load()
    servers: tuple = BOTH
    messages: float = 1.0   # times the usual number
    once: bool = False      # in the first round only, since it takes long
    traced: bool = False    # count system calls too, in runs of their own
    smoke: bool = True      # whether the smoke has it
    fed: bool = False       # at a rate that comes of an earlier work
    program: str = "postrider"
    queue: str = ""         # settings of Postrider's queue
    emptied: bool = False   # Postrider's queue, after each turn: it uses its space again
    new_space: bool = False  # the disk alone writes into such, too
    point: str = ""         # which of its ways full.py, sessions.py, store.py or tls.py is to go
    beside: str = ""        # works of the same name here take turns with each other
    opened: Callable = measure.opened
    run: Callable = None    # in place of turns: all of it at once

    @property
    def group(self):
        return self.name.partition("/")[0]


def grown(kind, what, value):
    # Many destinations share no connection; so neither do messages for one.
    queue = "messages_per_connection = 1" if kind == "relay" else ""
    servers = OURS + ("sink", "keeper") if what == "sessions" else OURS
    return Work(f"growth/{kind}/{what}-{value}", kind, Load(**{what: value}), servers,
                queue=queue, smoke=value >= 1000, beside=f"growth/{kind}/{what}")


WORKS = (
    Work("limits", servers=("disk",), run=limits.run),
    Work("accept", servers=PEERS + BOUNDS, traced=True),
    Work("accept-100", load=Load(sessions=100), servers=BOTH + BOUNDS),
    Work("accept-many", load=Load(per_connection=10_000)),
    Work("accept-one", load=Load(sessions=1), servers=BOTH + ("disk", "keeper"), messages=0.1),
    Work("recycled", load=Load(sessions=100), servers=OURS, messages=1 / 3, run=recycled.run),
    Work("slow-disk", load=Load(sessions=100), servers=OURS, program="postrider_slow_disk"),
    Work("relay", "relay", servers=PEERS, traced=True),
    Work("relay-fed", "relay", Load(timed=True), fed=True),
    Work("relay-idle", "relay", Load(sessions=1, rate=20, timed=True)),
    Work("maildir", "maildir", servers=PEERS, traced=True),
    Work("full/accept-verified", servers=OURS, point="verified",
         opened=full.opened),
    Work("full/relay-verified", "relay", servers=OURS, point="verified", opened=full.opened),
    Work("full/relay-signed", "relay", servers=OURS, point="signed", opened=full.opened),
    Work("large/100-kib", load=Load(octets=100 << 10), servers=BOTH + ("disk", "sink", "keeper"),
         messages=0.2, traced=True, emptied=True),
    Work("large/100-kib-new", load=Load(octets=100 << 10), servers=OURS + ("disk", "sink"),
         messages=0.2, traced=True, new_space=True),
    Work("large/10-mib", load=Load(octets=10 << 20), servers=BOTH + ("disk", "sink"), messages=0.01,
         traced=True),
    Work("large/memory-100-kib", load=Load(sessions=400, octets=100 << 10), servers=OURS, once=True,
         point="content", run=sessions.run),
    Work("large/memory-10-mib", load=Load(sessions=400, octets=10 << 20), servers=OURS, once=True,
         point="content", run=sessions.run),
    Work("tls/plain", load=Load(octets=1024), servers=BOTH + ("sink",), beside="tls"),
    *(Work(f"tls/{kind}", load=Load(octets=1024), servers=BOTH + ("sink",), messages=0.2,
           point=kind, opened=tls.opened, smoke=kind == "ecdsa", beside="tls")
      for kind in ("ecdsa", "rsa")),
    Work("idle/plaintext", load=Load(sessions=10_000), servers=OURS, once=True, point="idle",
         run=sessions.run),
    Work("idle/tls", load=Load(sessions=10_000), servers=OURS, once=True, point="tls",
         run=sessions.run),
    *(grown("accept", "sessions", value) for value in (20, 100, 300, 1000)),
    *(grown("accept", "domains", value) for value in (1, 100, 10_000)),
    *(grown("relay", "domains", value) for value in (1, 100, 10_000)),
    *(Work(f"waiting/{domains}", once=True, servers=OURS, run=waiting.run,
           load=Load(sessions=100, octets=1024, per_connection=100, domains=domains),
           smoke=domains == 1000) for domains in (1, 1000, 100_000)),
    *(Work(f"store/{point}", load=Load(sessions=100), servers=tuple(store.PROGRAMS), point=point,
           run=store.run) for point in ("kept", "finished")),
    Work("tools", load=Load(tool="smtp-source"), servers=OURS + ("sink", "smtp-sink")),
)


def chosen(names):
    """The works with these names, or of these groups, with those that they need."""
    out = [work for work in WORKS if not names or work.name in names or work.group in names]
    if any(work.fed for work in out) and all(work.name != "relay" for work in out):
        out = [work for work in WORKS if work.name == "relay" or work in out]
    return out


def in_turns(works):
    """Lists of those that take turns with each other."""
    lists = {}
    for work in works:
        lists.setdefault(work.beside or work.name, []).append(work)
    return lists.values()


def names():
    return list(dict.fromkeys(name for work in WORKS for name in (work.group, work.name)))
