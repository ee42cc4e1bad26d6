"""What load is put on a server, by whom, and where its mail goes: our source and sink, and Postfix's
smtp-source and smtp-sink, as processes."""

import json
import os
import select
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import costs
from peer import PEERS, free_port
from server import LIMIT, wait_until


ARRIVE_S = 600


@dataclass(frozen=True)
class Load:
    """What stands here is the usual load; a work changes what it is about."""

    sessions: int = 20
    octets: int = 10240
    per_connection: int = 1
    domains: int = 1
    rate: float = 0         # sessions begun in a second; 0: as fast as they end
    starttls: bool = False
    timed: bool = False     # number the messages, to know how long each was under way
    sender: str = "sender@example.org"
    content: Path = None    # a file instead of a made message
    tool: str = "source"    # or "smtp-source"


def run_source(options, load, port, messages, to, times=None):
    """What the source says of itself, once all messages were accepted."""
    if load.tool == "smtp-source":
        return run_smtp_source(load, port, messages, to)
    words = [str(options.programs / "postrider_bench_source"), f"127.0.0.1:{port}",
             "-m", str(messages), "-s", str(load.sessions), "-l", str(load.octets),
             "-c", str(load.per_connection), "--domains", str(load.domains),
             "--from", load.sender, "--to", to]
    if load.starttls:
        words.append("--starttls")
    for name, value in (("--rate", load.rate), ("--content", load.content), ("--times", times)):
        if value:
            words += [name, str(value)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise AssertionError(f"the source ended with {done.returncode}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def run_smtp_source(load, port, messages, to):
    """The same figures as ours, as far as they can be seen from outside."""
    words = [str(PEERS / "postfix/usr/sbin/smtp-source"), "-s", str(load.sessions),
             "-m", str(messages), "-l", str(load.octets), "-f", load.sender, "-t", to,
             f"127.0.0.1:{port}"]
    begun = time.monotonic()
    process = subprocess.Popen(words, env=postfix_environment())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"smtp-source ended with {process.returncode}")
    return {"messages": messages, "begun_at": begun, "seconds": time.monotonic() - begun,
            "cpu_seconds": used.ru_utime + used.ru_stime}


def postfix_environment():
    folders = {str(path.parent) for path in (PEERS / "postfix").rglob("*.so*") if path.is_file()}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(folders)), "MAIL_CONFIG": "/nowhere"}


class Sink:
    """Our sink as a process. As the next host it says what it cost when so many messages have come;
    it may also stand in a server's place, since it has what Run asks of one."""

    def __init__(self, programs, tell_at=(), times=None, tls=None, keep=None):
        words = [str(programs / "postrider_bench_sink")]
        for count in tell_at:
            words += ["--tell-at", str(count)]
        if times:
            words += ["--times", str(times)]
        if keep:
            words += ["--keep", str(keep)]
        if tls:
            words += ["--chain-file", str(tls.chain), "--key-file", str(tls.key)]
        self.words = words
        self.times = times
        self.recipient = "user@far.test"

    def __enter__(self):
        # Unbuffered, so that a line which has come is seen by select.
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, bufsize=0)
        self.pid = self.process.pid
        self.port = int(json.loads(self.process.stdout.readline())["listening"].split(":")[1])
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()
        self.process = None

    def next_figures(self):
        """Waits for the next of the counts."""
        ready, _, _ = select.select([self.process.stdout], [], [], ARRIVE_S)
        assert ready, f"not all messages came to the sink within {ARRIVE_S} s"
        return json.loads(self.process.stdout.readline())


class SmtpSink:
    """Postfix's, in a server's place."""

    def __init__(self):
        self.recipient = "user@far.test"

    @staticmethod
    def missing():
        path = PEERS / "postfix/usr/sbin/smtp-sink"
        return "" if path.exists() else f"{path} is missing: run tools/peers postfix"

    def __enter__(self):
        self.port = free_port()
        words = [str(PEERS / "postfix/usr/sbin/smtp-sink")]
        if os.geteuid() == 0:
            words += ["-u", "nobody"]
        self.process = subprocess.Popen([*words, f"127.0.0.1:{self.port}", "1000"],
                                        env=postfix_environment())
        self.pid = self.process.pid
        wait_until(lambda: costs.listens(self.port), "smtp-sink to listen", 20)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(LIMIT)
            self.process = None


def median_delay_ms(accepted, arrived):
    """From a message's 250 to the sink's final dot, by the files that both have written."""
    at = {}
    for path in (accepted, arrived):
        for line in path.read_text().splitlines():
            number, seconds = line.split()
            at.setdefault(number, []).append(float(seconds))
    delays = [both[1] - both[0] for both in at.values() if len(both) == 2]
    if len(delays) != len(at):
        raise AssertionError(f"of {len(at)} numbered messages {len(delays)} came to the sink")
    return statistics.median(delays) * 1000
