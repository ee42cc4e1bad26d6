"""The servers under load, each set up for one kind of work.

    work        what happens to a message after its 250
    accept      nothing: its delivery is held; only receiving and storing count
    relay       it is sent on to the sink
    maildir     it is written into one Maildir

Both servers keep their queue and mailboxes below one folder, on the same disk. Both are durable and
keep their logs, as they come. What is changed from the defaults is written here, and only this.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/program"))

import costs  # noqa: E402
from peer import IS_ROOT, NEEDS_ROOT, PEERS  # noqa: E402
from peers import Postfix  # noqa: E402
from server import Server  # noqa: E402

# A next host where nobody listens.
DEAD = "[127.0.0.1]:1"

POSTRIDER = """
hostname = "mail.our.test"
user = "root"
data_directory = "{data}"

[[listener]]
address = "127.0.0.1:0"

[smtp]
sessions_per_address_max = 2000  # the load comes from one address

[queue]
backoff_first = "{backoff}"
backoff_max = "{backoff}"

[[route]]
domain = "far.test"
host = "{next_host}"

[[domain]]
name = "our.test"
mailboxes = ["alice"]
"""

# In place of or beside the settings of tests/program/peers.py.
POSTFIX = """
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
initial_destination_concurrency = 20
qmgr_message_active_limit = 100000
queue_run_delay = 300s
minimal_backoff_time = 300s
maximal_backoff_time = 4000s
smtpd_recipient_restrictions =
"""
# The message stays where cleanup has put it, without the queue manager's work.
POSTFIX_HOLD = "smtpd_data_restrictions = check_sender_access static:HOLD\n"


class BenchPostrider(Server):
    NAME = "Postrider"

    def __init__(self, binary, work, sink_port, trace=None):
        super().__init__(binary=binary)
        self.work = work
        next_host = f"[127.0.0.1]:{sink_port}" if work == "relay" else DEAD
        # After the first failures the site waits, and so does every message for it.
        backoff = "3d" if work == "accept" else "5m"
        self.config.write_text(
            POSTRIDER.format(data=self.data, next_host=next_host, backoff=backoff))
        if trace:
            self.wrapper = costs.traced([], self.directory / "trace", trace)

    @property
    def pid(self):
        return self.process.pid

    @property
    def recipient(self):
        return "alice@our.test" if self.work == "maildir" else "user@far.test"

    @property
    def mailbox(self):
        return self.maildir("alice") / "new"

    def syncs(self):
        """Syncs of the spool so far, by its own count."""
        return json.loads(self.ask("status", "--json"))["spool"]["syncs"]


class BenchPostfix(Postfix):
    NAME = "postfix"

    def __init__(self, _binary, work, sink_port, trace=None):
        super().__init__(onward=sink_port)
        self.work = work
        self.trace = trace

    @staticmethod
    def missing():
        """Why it cannot run here; empty when it can."""
        if not IS_ROOT:
            return f"Postfix {NEEDS_ROOT}"
        if not (PEERS / "postfix").exists():
            return f"{PEERS / 'postfix'} is missing: run tools/peers postfix"
        return ""

    def configure(self):
        super().configure()
        changes = POSTFIX + (POSTFIX_HOLD if self.work == "accept" else "")
        path = self.directory / "main.cf"
        # Each key once: every program of Postfix warns of one that comes twice, and its log service,
        # which warns too, would wait for itself.
        changed = {line.partition(" =")[0] for line in changes.splitlines()}
        kept, keep = [], True
        for line in path.read_text().splitlines():
            if not line[:1].isspace():
                keep = line.partition(" =")[0] not in changed
            if keep:
                kept.append(line)
        path.write_text("\n".join(kept) + "\n" + changes)

    def command(self):
        words = super().command()
        return costs.traced(words, self.directory / "trace", self.trace) if self.trace else words

    @property
    def pid(self):
        return self.process.pid

    @property
    def recipient(self):
        return "user@far.test" if self.work == "maildir" else "user@other.test"

    @property
    def mailbox(self):
        return self.directory / "mail/inbox/new"

    def syncs(self):
        return None
