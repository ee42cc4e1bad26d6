"""Starts a real Postrider for a test, in a folder of its own, and looks into what it did.

Everything is on loopback with ports the system chooses. A test never sleeps for a guess: it waits
for a condition, at most LIMIT seconds.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

LIMIT = 60.0
ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(os.environ.get("POSTRIDER_PEERS", ROOT / "build/peers"))


def program(variable="POSTRIDER_RELEASE", default="build/release/postrider"):
    path = Path(os.environ.get(variable, ROOT / default))
    if not path.exists():
        raise RuntimeError(f"{path} is missing: build it first (./dev test does)")
    return str(path)


def wait_until(condition, what, limit=LIMIT):
    """Returns the first true value of condition(); an AssertionError says what was waited for."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit:g} s for {what}")
        time.sleep(0.01)


CONFIG = """
hostname = "mail.our.test"
user = "root"
data_directory = "{data}"
shards = 2
{top}

[[listener]]
address = "127.0.0.1:0"

[[listener]]
address = "unix:{data}/lmtp.socket"
protocol = "lmtp"

[smtp]
sessions_per_address_max = 1000
relay_networks = {smtp_networks}
{smtp}

[verdict]
{verdict}

[spool]
segment_octets = "{segment}"
min_free = "{min_free}"

[queue]
local_backoff_first = "1s"
local_backoff_max = "1s"
{queue}

[delivery]
{delivery}

[[domain]]
name = "our.test"
mailboxes = ["alice", "bob", "erin", "carol"]
aliases = {{ "all" = ["alice", "bob"], "sales" = ["carol"], "away" = ["x@far.test"], "erin" = ["erin", "x@far.test"] }}
postmaster = "alice"
{domain}

[log]
level = "debug"
"""


class Server:
    def __init__(self, binary=None, directory=None, wrapper=(), **settings):
        self.binary = binary or program()
        self.own_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="postrider-test-"))
        self.data = self.directory / "data"
        self.config = self.directory / "postrider.toml"
        self.log_path = self.directory / "log"
        self.wrapper = list(wrapper)
        values = {"top": "", "smtp": "", "queue": "", "delivery": "", "domain": "",
                  # Most tests are not about it, and have no DNS to ask.
                  "verdict": "check = false", "smtp_networks": "[]", "segment": "4 MiB", "min_free": "1 MiB"}
        values.update(settings)
        self.config.write_text(CONFIG.format(data=self.data, **values))
        self.process = None
        self.ports = []
        self.port = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and self.log_path.exists():
            print("--- end of the server's log ---")
            print(self.log_path.read_text(errors="replace")[-4000:])
        self.kill()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # --- its life

    def spawn(self):
        """Starts it without waiting."""
        with open(self.log_path, "ab") as log:
            self.log_begin = log.tell()
            self.process = subprocess.Popen(
                self.wrapper + [self.binary, "serve", "--config", str(self.config)],
                stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.spawn()
        self.wait_until_it_listens()

    def wait_until_it_listens(self, limit=LIMIT):
        """Until the log tells of each listener that has a port given: they stand in `ports`, in the
        order of the configuration, and the first in `port`."""
        self.ports = wait_until(self.given_ports, "the server to listen", limit)
        self.port = self.ports[0]

    def given_ports(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        # A line of the log may be there a moment before the next one.
        found = re.findall(r"event=Listening.*127\.0\.0\.1:(\d+)", self.log())
        listeners = self.config.read_text().count('address = "127.0.0.1:0"')
        return [int(port) for port in found] if (
            len(found) >= listeners and self.admin_socket.exists()) else None

    @property
    def admin_socket(self):
        return self.data / "admin.sock"

    def log(self):
        """The log of this life."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_begin)
            return log.read().decode(errors="replace")

    def events(self, name):
        """The lines of the log with this event."""
        return [line for line in self.log().splitlines() if f"event={name}" in line]

    def told(self, name, part=""):
        """The first line with this event and this part, once it is there: what it tells of may be seen
        by other ways a moment before."""
        return wait_until(lambda: [line for line in self.events(name) if part in line],
                          f"the log to tell of {name} {part}")[0]

    def stop(self):
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        self.process = None
        return code

    def kill(self):
        """SIGKILL to it and its wrapper."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT)
        self.process = None

    def command(self, *words, check=True):
        """Runs an operator's command; returns the finished process."""
        done = subprocess.run([self.binary, *words], capture_output=True, text=True, timeout=LIMIT)
        if check and done.returncode != 0:
            raise AssertionError(f"{words} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def ask(self, *words):
        return self.command(*words, "--socket", str(self.admin_socket)).stdout

    # --- talking to it

    def connect(self):
        return Client(self.port)

    # --- its mailboxes

    def maildir(self, user):
        return self.data / "mail" / "our.test" / user

    def messages(self, user):
        """Paths of the messages in new and cur."""
        found = []
        for folder in ("new", "cur"):
            path = self.maildir(user) / folder
            if path.is_dir():
                found += sorted(path.iterdir())
        return found

    def wait_for_messages(self, user, count, limit=LIMIT):
        return wait_until(lambda: len(self.messages(user)) >= count and self.messages(user),
                          f"{count} messages for {user}", limit)


class Client:
    """A socket that speaks lines, with the exact octets in the test's hands."""

    def __init__(self, port, family=socket.AF_INET, address="127.0.0.1", greet=True, source=None):
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((address, port) if family != socket.AF_UNIX else address)
        self.file = self.socket.makefile("rb")
        if greet:
            self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def reply(self):
        """One whole reply, as text with its lines joined by newlines; empty at the end."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return "\n".join(lines)
            assert line.endswith(b"\r\n"), f"a line that does not end with CRLF: {line!r}"
            lines.append(line[:-2].decode())
            if line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def begin(self, to, sender="sender@example.org"):
        """EHLO to 354."""
        assert self.say("EHLO client.example.org").startswith("250")
        assert self.say(f"MAIL FROM:<{sender}>").startswith("250")
        for recipient in [to] if isinstance(to, str) else to:
            reply = self.say(f"RCPT TO:<{recipient}>")
            assert reply.startswith("250"), reply
        assert self.say("DATA").startswith("354")

    def deliver(self, to, content, sender="sender@example.org"):
        """A whole transaction; `content` with CRLF. Returns the reply to the final dot."""
        self.begin(to, sender)
        stuffed = content.replace("\r\n.", "\r\n..")
        if stuffed.startswith("."):
            stuffed = "." + stuffed
        self.send(stuffed + ".\r\n")
        return self.reply()


def body_of(path):
    """A stored message without the trace fields that were put in front: from the first line that
    the sender wrote."""
    return path.read_bytes()
