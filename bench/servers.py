"""The servers under load, each set up for one kind of work.

    kind        what happens to a message after its 250
    accept      nothing: its delivery is held; only receiving and storing count
    relay       it is sent on to the sink
    maildir     it is written into one Maildir

All keep their queue and mailboxes below one folder, on the same disk. All are as durable as they come
and keep their logs. What is changed from the defaults of their tests (tests/program/peers.py) is
written here, and only here.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/program"))

import costs  # noqa: E402
from peer import IS_ROOT, NEEDS_ROOT, PEERS  # noqa: E402
from peers import Exim, Haraka, OpenSmtpd, Postfix  # noqa: E402
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
sessions_max = 100000
sessions_per_address_max = 100000  # the load comes from one address
{smtp}

[queue]
backoff_first = "{backoff}"
backoff_max = "{backoff}"
{queue}

[relay]
smarthost = "{next_host}"

# Its mail is taken from outside, too.
[[route]]
domain = "far.test"
host = "{next_host}"
relay = true

[[domain]]
name = "our.test"
mailboxes = ["alice"]
{more}
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

EXIM = """
smtp_accept_max = 200
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 1000
smtp_accept_max_per_connection = 0
queue_run_max = 20
remote_max_parallel = 20
split_spool_directory = true
smtp_enforce_sync = false
"""
EXIM_HOLD = "queue_only = true\n"

HARAKA_RELAY = """
exports.hook_rcpt = function (next, connection) {{ connection.relaying = true; next(OK); }};
exports.hook_get_mx = (next) => next(OK, [{{
    priority: 0, exchange: '127.0.0.1', port: {port}, auth_user: '', auth_pass: '' }}]);
"""


class BenchPostrider(Server):
    NAME = "postrider"

    def __init__(self, binary, work, sink_port, trace=None, smtp="", more="", sign_for=None):
        """smtp, more: lines of the section [smtp], and sections. sign_for: a domain of ours."""
        super().__init__(binary=binary)
        self.work = work
        self.sign_for = sign_for
        self.recipient = "alice@our.test" if work.kind == "maildir" else "user@far.test"
        next_host = f"[127.0.0.1]:{sink_port}" if work.kind == "relay" else DEAD
        # After the first failures the site waits, and so does every message for it.
        backoff = "3d" if work.kind == "accept" else "5m"
        self.config.write_text(POSTRIDER.format(data=self.data, next_host=next_host, backoff=backoff,
                                                queue=work.queue, smtp=smtp, more=more))
        if trace:
            self.wrapper = costs.traced([], self.directory / "trace", trace)

    @staticmethod
    def missing():
        return ""

    def start(self):
        super().start()
        if self.sign_for:
            self.ask("domain", "add", self.sign_for)

    @property
    def pid(self):
        return self.process.pid

    @property
    def mailbox(self):
        return self.maildir("alice") / "new"

    def status(self):
        return json.loads(self.ask("status", "--json"))


class BenchPeer:
    """What the others have in common; each is a Peer besides."""

    def __init__(self, _binary, work, sink_port, trace=None, tls=None):
        super().__init__(onward=sink_port, tls=tls)
        self.work = work
        self.trace = trace
        # Mail for far.test stays in the peers of the tests.
        self.recipient = "user@far.test" if work.kind == "maildir" else "user@other.test"

    @classmethod
    def missing(cls):
        """Why it cannot run here; empty when it can."""
        if not IS_ROOT and cls.needs_root(cls):
            return f"{cls.NAME} {NEEDS_ROOT}"
        if not (PEERS / cls.NAME).exists():
            return f"{PEERS / cls.NAME} is missing: run tools/peers {cls.NAME}"
        return ""

    def command(self):
        words = super().command()
        return costs.traced(words, self.directory / "trace", self.trace) if self.trace else words

    @property
    def pid(self):
        return self.process.pid

    @property
    def mailbox(self):
        return self.directory / "mail/inbox/new"


class BenchPostfix(BenchPeer, Postfix):
    def configure(self):
        super().configure()
        changes = POSTFIX + (POSTFIX_HOLD if self.work.kind == "accept" else "")
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


class BenchExim(BenchPeer, Exim):
    def configure(self):
        super().configure()
        changes = EXIM + (EXIM_HOLD if self.work.kind == "accept" else "")
        path = self.directory / "exim.conf"
        path.write_text(changes + path.read_text())

    def command(self):
        words = super().command()
        # The queue is run once a second in the tests; a held queue is not run, others as usual.
        return [word for word in words if word != "-q1s"] + (
            [] if self.work.kind == "accept" else ["-q30m"])


class BenchOpenSmtpd(BenchPeer, OpenSmtpd):
    def command(self):
        return super().command() + (["-P", "mta"] if self.work.kind == "accept" else [])

    def configure(self):
        if self.work.kind == "accept":
            self.onward = 1  # so that it takes the mail
        super().configure()


class BenchHaraka(BenchPeer, Haraka):
    """One process for each core, as its documentation advises; its outbound queue holds the mail."""

    @classmethod
    def missing(cls):
        return "" if cls.is_there() else cls.MISSING

    def configure(self):
        super().configure()
        self.write("config/smtp.ini", f"listen=127.0.0.1:{self.port}\nnodes=cpus\n")
        if self.work.kind == "maildir":
            return
        self.write("config/plugins", "open\n")
        self.write("plugins/open.js", HARAKA_RELAY.format(port=self.onward or 1))
        held = "true" if self.work.kind == "accept" else "false"
        self.write("config/outbound.ini", f"disabled={held}\n")


SERVERS = {cls.NAME: cls for cls in (BenchPostrider, BenchPostfix, BenchExim, BenchOpenSmtpd,
                                     BenchHaraka)}


def share(name, kind):
    """Of the usual number of messages, so that each is busy for about as long."""
    if (name, kind) == ("opensmtpd", "relay"):
        return 0.01
    return {"postfix": 0.2, "exim": 0.05, "opensmtpd": 0.1, "haraka": 0.05, "sink": 2.0}.get(name, 1.0)
