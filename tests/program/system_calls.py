"""Reads what strace wrote about the server and holds every 250 against the syncs before it.

The claim: when a thread sends "250 2.0.0 Queued as ID", then before that call began
  1. a write to a segment that holds ID had ended, and
  2. an fdatasync of that segment, begun after that write had ended, had ended well; and
  3. when the message has a file large/ID: an fdatasync of it, and an fsync of the folder large
     that began after the file was made, had ended well.
"""

import re
import subprocess

CALL = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")


class Call:
    def __init__(self, name, begin):
        self.name, self.begin, self.end = name, begin, None
        self.text = ""
        self.ok = False

    def path(self):
        """The path of the first descriptor, as strace -y shows it."""
        found = re.match(r"\d+<([^>]*)>", self.text)
        return found.group(1) if found else ""


def calls_of(lines):
    """Each call with the line numbers where it began and ended."""
    open_calls, finished = {}, []
    for number, line in enumerate(lines):
        found = CALL.match(line)
        if not found:
            continue
        thread, resumed, name, rest = found.groups()
        if resumed:
            call = open_calls.pop(thread, None)
            if call is None:
                continue
        else:
            call = Call(name, number)
        if rest.endswith("<unfinished ...>"):
            call.text += rest[:-len("<unfinished ...>")]
            open_calls[thread] = call
            continue
        call.text += rest
        call.end = number
        result = re.search(r"= (-?\d+)[^=]*$", rest)
        call.ok = bool(result) and int(result.group(1)) >= 0
        finished.append(call)
    return finished


class Trace:
    def __init__(self, lines):
        self.calls = calls_of(lines)
        self.writes = [c for c in self.calls if c.name.startswith("pwrite") and c.ok]
        self.syncs = [c for c in self.calls if c.name in ("fdatasync", "fsync") and c.ok]
        self.replies = [c for c in self.calls if c.name in ("sendmsg", "sendto", "write", "writev")
                        and "Queued as " in c.text]
        self.made = [c for c in self.calls if c.name == "openat" and c.ok and "O_CREAT" in c.text]

    def synced_between(self, path, after, before):
        return any(sync.path() == path and sync.begin > after and sync.end < before
                   for sync in self.syncs)

    def violations(self):
        """One sentence for each reply that came too early."""
        wrong = []
        for reply in self.replies:
            for identity in re.findall(r"Queued as ([0-9A-Z]{13})", reply.text):
                wrong += self.check(identity, reply.begin)
        return wrong

    def check(self, identity, before):
        wrong = []
        covered = any(
            "/segments/" in write.path() and identity in write.text and write.end < before and
            self.synced_between(write.path(), write.end, before) for write in self.writes)
        if not covered:
            wrong.append(f"{identity}: no finished sync of its record before its 250")
        for made in self.made:
            found = re.search(r'"([^"]*/large/' + identity + ')"', made.text)
            if not found:
                continue
            path = found.group(1)
            last = max((w.end for w in self.writes if w.path() == path), default=made.end)
            if not self.synced_between(path, last, before):
                wrong.append(f"{identity}: its large file was not synced before its 250")
            if not self.synced_between(path.rsplit("/", 1)[0], made.end, before):
                wrong.append(f"{identity}: the folder of its large file was not synced")
        return wrong


def tracer(path):
    """The words that put the server under strace, which sees no call that is made over an io_uring: so
    the system refuses that, as many containers do."""
    return ["strace", "-f", "-y", "-s", "200000", "-o", str(path), "-e",
            "trace=pwrite64,pwritev,pwritev2,fdatasync,fsync,sendmsg,sendto,write,writev,openat,"
            "io_uring_setup", "-e", "inject=io_uring_setup:error=EPERM", "--seccomp-bpf"]


def available():
    return subprocess.run(["strace", "-V"], capture_output=True).returncode == 0
