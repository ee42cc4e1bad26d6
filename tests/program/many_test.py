"""Much at once: a hundred thousand messages for a host that hangs, ten thousand domains while DNS is
down; and mail for others goes on as if nothing were."""

import re
import subprocess
import unittest
from pathlib import Path

from next_host import Scripted, but, polite
from server import PEERS, Server, wait_until

MESSAGE = "Subject: x\r\n\r\ntext\r\n"


def route(domain, port):
    return f'[[route]]\ndomain = "{domain}"\nhost = "127.0.0.1:{port}"\n'


def resident_mib(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


class Many(unittest.TestCase):
    WAITING = 100_000

    def test_messages_for_a_hanging_host_do_not_hold_up_another(self):
        # Takes connections, never says a word, and holds them for longer than the load lasts.
        hanging = Scripted(but(HELLO=b""), patience=600)
        with hanging, Scripted(polite) as other:
            routes = route("far.test", hanging.port) + route("other.test", other.port)
            with Server(smtp_networks='["127.0.0.0/8"]', domain=routes, segment="32 MiB") as server:
                libraries = PEERS / "postfix" / "libraries.env"
                source = PEERS / "postfix/usr/sbin/smtp-source"
                subprocess.run(
                    ["bash", "-c", f". {libraries} && exec {source} -d -s 20 -m {self.WAITING} "
                     f"-l 1000 -f s@else.test -t x@far.test 127.0.0.1:{server.port}"],
                    check=True, timeout=600)
                self.assertIn(f'"entries": {self.WAITING}', server.ask("status"))
                memory = resident_mib(server)
                with server.connect() as client:
                    for user in ("x@other.test", "alice@our.test"):
                        client.deliver(user, MESSAGE, sender="alice@our.test")
                wait_until(lambda: other.messages, "the message for the other host")
                server.wait_for_messages("alice", 1)
                # An order, not a time: the hanging host has let go of none of its connections.
                self.assertEqual(server.events("Deferred"), [])
                self.assertIn(f'"entries": {self.WAITING}', server.ask("status"))
                print(f"{self.WAITING} waiting for a host that hangs on "
                      f"{hanging.connections} connections: {memory:.0f} MiB resident")
                self.assertLess(memory, 512)

    def test_domains_while_dns_is_down(self):
        resolver = '[resolver]\nforwarders = ["127.0.0.1:9"]\n'
        with Server(smtp_networks='["127.0.0.0/8"]', domain=resolver) as server:
            with server.connect() as client:
                for block in range(10):
                    client.deliver([f"x@d{block}-{number}.test" for number in range(1000)], MESSAGE,
                                   sender="alice@our.test")
                client.deliver("bob@our.test", MESSAGE, sender="alice@our.test")
            server.wait_for_messages("bob", 1)
            wait_until(lambda: len(server.events("Deferred")) >= 1000, "deferrals", limit=240)
            self.assertEqual(server.events("Failed"), [])
            self.assertIn('"entries": 10000', server.ask("status"))


if __name__ == "__main__":
    unittest.main()
