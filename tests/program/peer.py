"""What other people's mail servers have in common when a test starts one; peers.py has each.

Every peer runs in the foreground in a folder and namespaces of its own and listens on loopback
only. Where it has users or paths compiled in, it gets them in its mount namespace, so that nothing on the system
changes. Leaving the block ends every process that it started, and so does the end of the test's
process.
"""

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from server import LIMIT, PEERS, Client, wait_until

IS_ROOT = os.geteuid() == 0
NEEDS_ROOT = "gives up root for users of its own, so it must be started as root"

# Users that every Debian has, whose rights the peers use when started as root. Names are needed
# only where a peer insists on one.
MAIL_USER = "nobody"
SERVICE_USER = "daemon"

# Users that exist only in the mount namespace of a peer that was built for their names.
MADE_UP_USERS = {"Debian-exim": 63001, "opensmtpd": 63002, "opensmtpq": 63003, "keeper": 63004}
MOUNT_USERS = """
mount --bind {own}/passwd /etc/passwd
mount --bind {own}/group /etc/group
if [ -e /etc/resolv.conf ]; then mount --bind {own}/resolv.conf /etc/resolv.conf; fi
if [ -e /etc/hosts ]; then mount --bind {own}/hosts /etc/hosts; fi
"""


def free_port():
    """A port that nobody listens at, below those that the system gives to clients."""
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise RuntimeError("no free port on 127.0.0.1")


def hand_in(port, to, content, parameters="", sender="sender@example.org"):
    """A whole SMTP transaction with the octets as they are; returns the reply to the final dot."""
    with Client(port) as client:
        client.say("EHLO client.example.org")
        reply = client.say(f"MAIL FROM:<{sender}>{parameters}")
        assert reply.startswith("250"), reply
        for recipient in [to] if isinstance(to, str) else to:
            reply = client.say(f"RCPT TO:<{recipient}>")
            assert reply.startswith("250"), reply
        assert client.say("DATA").startswith("354")
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        client.send(stuffed + b".\r\n")
        reply = client.reply()
        client.say("QUIT")
        return reply


def readable_by_all(path):
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


class Peer:
    """What they have in common. A subclass says NAME, writes its configuration in configure() and
    returns the words to start it in the foreground in command()."""

    NAME = None
    # Each runs in a mount and a process namespace of its own. For a peer with paths or users
    # compiled in: shell lines that make them there. {root} is where it is unpacked, {own} its
    # folder for this test.
    NAMESPACE = ":"

    # The shell stays, as the namespace's first process: a peer that changes its user is no longer
    # killed with its parent, but a shell is, and the whole namespace with it.
    SUPERVISE = '"$@" &\ntrap "kill $!" TERM\nwait $! || true\nwait $!\n'

    def __init__(self, onward=None, hostname=None, size_max=100 * 1024 * 1024, eight_bit=True,
                 tls=None):
        """size_max: octets of the largest message taken. eight_bit: whether 8BITMIME is offered.
        tls: a certificate (certificates.Issued) with which it offers STARTTLS; then it also sends
        under TLS only."""
        self.hostname = hostname or f"{self.NAME}.test"
        self.onward = onward
        self.size_max = size_max
        self.eight_bit = eight_bit
        self.tls = tls
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.root = PEERS / self.NAME
        if not self.root.exists():
            raise RuntimeError(f"{self.root} is missing: run tools/peers {self.NAME}")
        if self.needs_root() and not IS_ROOT:
            raise RuntimeError(f"{self.NAME} {NEEDS_ROOT}")
        self.directory = Path(tempfile.mkdtemp(prefix=f"postrider-{self.NAME}-"))
        self.directory.chmod(0o755)
        try:
            self.environment = self.find_libraries()
            self.configure()
            self.start()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(f"--- end of {self.NAME}'s log ---")
            print(self.log()[-4000:])
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def needs_root(self):
        return True

    def find_libraries(self):
        """The environment it starts in. A checkout that only its owner may enter is of no use to a
        server that gives up root; then it runs from a copy."""
        if IS_ROOT and not readable_by_all(self.root):
            shutil.copytree(self.root, self.directory / "root", symlinks=True)
            self.root = self.directory / "root"
        folders = sorted({str(path.parent) for path in self.root.rglob("*.so*") if path.is_file()})
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        if folders:
            environment["LD_LIBRARY_PATH"] = ":".join(folders)
        return environment

    def make_folder(self, name, owner=None, mode=0o755):
        """A folder of the peer, for a user's name or number."""
        path = self.directory / name
        path.mkdir(parents=True)
        if IS_ROOT and owner is not None:
            shutil.chown(path, owner, owner if isinstance(owner, int) else None)
        path.chmod(mode)
        return path

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    # --- its life

    def start(self):
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.in_namespace(self.command())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment,
                start_new_session=True, cwd=self.directory)
        for port in self.ports():
            wait_until(lambda port=port: self.answers(port), f"{self.NAME} to listen at {port}")

    def ports(self):
        return [self.port]

    def answers(self, port):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.NAME} ended with {self.process.returncode}:\n{self.log()}")
        try:
            with socket.create_connection(("127.0.0.1", port), LIMIT) as probe:
                probe.settimeout(5)
                return probe.recv(1) != b""
        except OSError:
            return False

    def stop(self):
        """SIGTERM, then SIGKILL to what is left of it."""
        if self.process is None:
            return
        first = self.first_process()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(first, number)
                self.process.wait(10)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT)
        self.process = None

    def first_process(self):
        """Who passes SIGTERM on. In a namespace that is the child of unshare; when it ends, so does
        every process of the namespace, and unshare after them."""
        if self.process.poll() is None:
            pid = self.process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children:
                return int(children[0])
        return self.process.pid

    def in_namespace(self, words):
        """The words to start it where NAMESPACE holds; in a process namespace besides, which takes
        every process with it when its first one ends."""
        lines = self.NAMESPACE.format(root=shlex.quote(str(self.root)),
                                      own=shlex.quote(str(self.directory)))
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        if not IS_ROOT:
            # A user namespace allows the mounts; a second one gives the user's own number back.
            unshare += ["--user", "--map-root-user"]
            words = ["unshare", "--user", f"--map-user={os.geteuid()}",
                     f"--map-group={os.getegid()}", "--", *words]
        return [*unshare, "--", "sh", "-c", f"set -e\n{lines}\n{self.SUPERVISE}", "sh", *words]

    def write_users(self):
        """Copies of the system's lists of users and groups, with those it was built for."""
        users = Path("/etc/passwd").read_text()
        groups = Path("/etc/group").read_text()
        for name, number in MADE_UP_USERS.items():
            users += f"{name}:x:{number}:{number}::{self.directory}:/bin/sh\n"
            groups += f"{name}:x:{number}:\n"
        self.write("passwd", users)
        self.write("group", groups)
        # No name server: a question fails at once instead of leaving the machine.
        self.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.write("hosts", f"127.0.0.1 localhost {self.hostname}\n")

    # --- mail

    def take(self, content, to, parameters="", sender="sender@example.org"):
        """Hands it a message by SMTP, which it must accept."""
        reply = hand_in(self.port, to, content, parameters, sender)
        assert reply.startswith("250"), reply

    def messages(self):
        """The contents of what it delivered into its Maildir."""
        inbox = self.directory / "mail" / "inbox"
        return [path.read_bytes() for folder in ("new", "cur")
                for path in sorted((inbox / folder).glob("*"))]

    def wait_for_messages(self, count):
        return wait_until(lambda: len(self.messages()) >= count and self.messages(),
                          f"{count} messages at {self.NAME}")

    def log(self):
        return "".join(path.read_text(errors="replace") for path in self.log_files()
                       if path.exists())

    def log_files(self):
        return [self.directory / "output", self.directory / "log"]
