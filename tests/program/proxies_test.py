"""Proxies in front of us: HAProxy with the PROXY protocol, and XCLIENT and XFORWARD."""

import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from peer import free_port
from server import LIMIT, Client, Server, wait_until

MESSAGE = "From: <a@far.test>\r\nSubject: proxied\r\n\r\ntext\r\n"


def listening(proxies, more="", **settings):
    """A server whose first listener has these proxies."""
    top = f'\n[[listener]]\naddress = "127.0.0.1:0"\nproxy_protocol = {proxies}\n{more}'
    return Server(top=top, **settings)


class HaProxy:
    """Passes connections at self.port on to `port`, with a header as `send` says."""

    def __init__(self, port, send):
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="postrider-haproxy-"))
        config = self.directory / "haproxy.cfg"
        config.write_text(f"""
global
  maxconn 200
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen mail
  bind 127.0.0.1:{self.port}
  server postrider 127.0.0.1:{port} {send}
""")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(config)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(LIMIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, source):
        """From an address of loopback that is not the proxy's own."""
        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(listens, "HAProxy to listen")
        return Client(self.port, source=source)


class ProxyProtocol(unittest.TestCase):
    def passed_on(self, send):
        with listening('["127.0.0.1"]', smtp_networks='["127.0.0.9"]') as server:
            with HaProxy(server.port, send) as proxy:
                with proxy.connect("127.0.0.7") as client:
                    self.assertTrue(client.greeting.startswith("220 mail.our.test"))
                    reply = client.deliver("alice@our.test", MESSAGE)
                    self.assertTrue(reply.startswith("250"), reply)
                message = server.wait_for_messages("alice", 1)[0].read_text()
                self.assertRegex(message, r"Received: from client\.example\.org\s+"
                                          r"\(unknown \[127\.0\.0\.7\]\)")
                wait_until(lambda: any("client=127.0.0.7:" in line
                                       for line in server.events("SessionOpened")),
                           "the session of the told client in the log")
                # The told address counts for rules: 127.0.0.9 may relay, 127.0.0.7 not.
                for source, code in (("127.0.0.7", "550"), ("127.0.0.9", "250")):
                    with proxy.connect(source) as client:
                        client.say("EHLO client.example.org")
                        client.say("MAIL FROM:<a@far.test>")
                        reply = client.say("RCPT TO:<x@elsewhere.test>")
                        self.assertTrue(reply.startswith(code), reply)

    def test_haproxy_with_version_1(self):
        self.passed_on("send-proxy")

    def test_haproxy_with_version_2(self):
        self.passed_on("send-proxy-v2")

    def test_haproxy_with_version_2_a_checksum_and_more_fields(self):
        self.passed_on("send-proxy-v2 proxy-v2-options crc32c,unique-id")

    def test_limits_count_the_told_address(self):
        server = listening('["127.0.0.1"]')
        server.config.write_text(server.config.read_text().replace(
            "sessions_per_address_max = 1000",
            "sessions_per_address_max = 2\nunlimited_networks = []"))
        with server:
            with HaProxy(server.port, "send-proxy") as proxy:
                kept = [proxy.connect("127.0.0.7") for _ in range(2)]
                with proxy.connect("127.0.0.7") as third:
                    self.assertTrue(third.greeting.startswith("421 4.7.0"), third.greeting)
                with proxy.connect("127.0.0.8") as other:
                    self.assertTrue(other.greeting.startswith("220"), other.greeting)
                for client in kept:
                    client.close()

    def test_without_a_right_header_nothing_is_said(self):
        with listening('["127.0.0.1"]') as server:
            for octets in (b"EHLO client.example.org\r\n", b"PROXY TCP4 1.2.3.4\r\n",
                           b"PROXY TCP4 1.2.3.400 127.0.0.1 1 2\r\n", b"GET / HTTP/1.1\r\n\r\n",
                           b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x02xx"):
                with Client(server.port, greet=False) as client:
                    client.send(octets)
                    try:
                        self.assertEqual(client.reply(), "", octets)
                    except ConnectionResetError:
                        pass  # closed with octets that nobody has read
            wait_until(lambda: len(server.events("ProxyHeaderWrong")) == 5, "the log")

    def test_from_elsewhere_there_is_no_header(self):
        with listening('["127.0.0.3"]') as server:
            with Client(server.port) as client:
                self.assertTrue(client.greeting.startswith("220"))
                self.assertTrue(client.say("PROXY TCP4 1.2.3.4 127.0.0.1 1 2").startswith("500"))

    def test_the_header_and_commands_may_come_together(self):
        with listening('["127.0.0.1"]') as server:
            for header in (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n", b"PROXY UNKNOWN\r\n",
                           b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"):
                with Client(server.port, greet=False) as client:
                    client.send(header + b"EHLO client.example.org\r\nQUIT\r\n")
                    self.assertTrue(client.reply().startswith("220"))
                    self.assertTrue(client.reply().startswith("250"))
                    self.assertTrue(client.reply().startswith("221"))


class Told(unittest.TestCase):
    def test_xclient_makes_the_session_another_clients(self):
        with Server(smtp='xclient_networks = ["127.0.0.1"]',
                    smtp_networks='["192.0.2.0/24"]') as server, server.connect() as client:
            self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
                          client.say("EHLO proxy.example.org"))
            reply = client.say("XCLIENT NAME=c.example.net ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP "
                               "HELO=c.example.net")
            self.assertTrue(reply.startswith("220 mail.our.test"), reply)
            self.assertTrue(client.say("MAIL FROM:<a@far.test>").startswith("503"))
            client.say("EHLO c.example.net")
            client.say("MAIL FROM:<a@far.test>")
            self.assertTrue(client.say("RCPT TO:<x@elsewhere.test>").startswith("250"))
            client.say("RSET")
            # And back to one that may not relay.
            self.assertTrue(client.say("XCLIENT ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]")
                            .startswith("220"))
            client.say("EHLO d.example.net")
            client.say("MAIL FROM:<a@far.test>")
            self.assertTrue(client.say("RCPT TO:<x@elsewhere.test>").startswith("550 5.7.1"))
            self.assertTrue(client.say("RCPT TO:<bob@our.test>").startswith("250"))
            client.say("DATA")
            client.send(MESSAGE + ".\r\n")
            self.assertTrue(client.reply().startswith("250"))
            message = server.wait_for_messages("bob", 1)[0].read_text()
            self.assertIn("from d.example.net (unknown [0.0.0.0])", re.sub(r"\s+", " ", message))
            wait_until(lambda: len(server.events("ClientTold")) == 2, "the log")

    def test_xforward_is_logged_and_changes_no_rule(self):
        with Server(smtp='xforward_networks = ["127.0.0.1"]') as server, server.connect() as client:
            client.say("EHLO filter.example.org")
            reply = client.say("XFORWARD NAME=c.example.net ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP "
                               "HELO=c.example.net IDENT=4F2A SOURCE=REMOTE")
            self.assertTrue(reply.startswith("250"), reply)
            client.say("MAIL FROM:<a@far.test>")
            client.say("RCPT TO:<bob@our.test>")
            client.say("DATA")
            client.send(MESSAGE + ".\r\n")
            self.assertTrue(client.reply().startswith("250"))
            accepted = wait_until(lambda: server.events("MessageAccepted"), "the line of the log")[0]
            self.assertIn("ident=4F2A", accepted)
            self.assertIn("client=127.0.0.1", accepted)

    def test_others_may_not(self):
        with Server() as server, server.connect() as client:
            self.assertNotIn("XCLIENT", client.say("EHLO a.example.org"))
            for command in ("XCLIENT ADDR=192.0.2.7", "XFORWARD ADDR=192.0.2.7"):
                self.assertTrue(client.say(command).startswith("550 5.7.0"))


if __name__ == "__main__":
    unittest.main()
