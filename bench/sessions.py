"""Resident memory of sessions that are open: idle ones, in plaintext and under TLS, and ones that are
in the middle of a message."""

import contextlib
import resource
import ssl
import tempfile
from pathlib import Path

import costs
from certificates import Authority
from idle_test import Idle
from server import wait_until
from servers import BenchPostrider

FIRST = 100  # sessions that are open before the count begins


def run(options, work, _name, _results):
    """Opens the sessions of the work's load, each brought to the point that the work names."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The server keeps some files for deliveries.
    count = min(max(2 * FIRST, round(work.load.sessions * options.share)), hard - 2000)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        context, lines = (None, "") if work.point != "tls" else certificate(folder)
        server = stack.enter_context(BenchPostrider(
            options.programs / work.program, work, None,
            smtp='command_timeout = "1h"\ndata_timeout = "1h"', more=lines))
        clients = []
        stack.callback(lambda: [client.close() for client in clients])

        def open_until(number):
            while len(clients) < number:
                clients.append(Idle().connect_tls(server.port, len(clients), context) if context
                               else Idle.connect(server.port, len(clients)))
                if work.point == "content":
                    send_half(clients[-1], server.recipient, work.load.octets)

        open_until(FIRST)
        before = costs.memory(server.pid)
        open_until(count)
        wait_until(lambda: server.status()["sessions"] == count, "all to be counted")
        return {"sessions": count,
                "memory_per_session": (costs.memory(server.pid) - before) / (count - FIRST)}


def certificate(folder):
    """A client's context that trusts it, and the section of the configuration."""
    authority = Authority(folder)
    context = ssl.create_default_context(cafile=str(authority.root))
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context, authority.issue("mail.our.test").lines()


def send_half(client, recipient, octets):
    for line in ("MAIL FROM:<sender@example.org>", f"RCPT TO:<{recipient}>", "DATA"):
        client.sendall(line.encode() + b"\r\n")
        reply = client.recv(4096)
        assert reply[:1] in b"23", reply
    line = b"x" * 70 + b"\r\n"
    client.sendall(line * (octets // 2 // len(line)))
