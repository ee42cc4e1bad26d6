"""Clients that are slow, rude or greedy on purpose (RFC 5321 section 7.8), against the whole program.

What takes minutes is tried in the simulator (sim/hostile_test.cc) with the deadlines of production;
here deadlines are short, and sockets and clocks are real."""

import socket
import unittest

from server import Client, Server, wait_until

# Loopback is not limited by default.
STRANGERS = "unlimited_networks = []\n"


def rest_of(client):
    """All that comes until the server closes."""
    heard = b""
    while True:
        try:
            octets = client.file.read1(65536)
        except ConnectionResetError:
            return heard
        if not octets:
            return heard
        heard += octets


class Hostile(unittest.TestCase):
    def still_serves(self, server):
        with Client(server.port) as client:
            self.assertIn("250", client.deliver("alice@our.test", "Subject: x\r\n\r\nstill here\r\n"))

    def trickle(self, server, client, octet):
        """Octets one by one until the server has enough; what it said last."""
        client.socket.settimeout(0.2)
        heard = b""
        for _ in range(300):
            try:
                client.send(octet)
                part = client.socket.recv(4096)
                heard += part
                if not part:
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        else:
            self.fail("it was not let go")
        return heard

    def test_octets_that_trickle_in_hold_no_session(self):
        with Server(smtp=STRANGERS + 'command_timeout = "2s"\ndata_timeout = "2s"\n'
                    "data_rate_min = 1000") as server:
            for begin in ((), ("EHLO c.example.org",), ("EHLO c.example.org", "MAIL FROM:<a@c.test>"),
                          ("EHLO c.example.org", "MAIL FROM:<a@c.test>", "RCPT TO:<alice@our.test>"),
                          ("EHLO c.example.org", "MAIL FROM:<a@c.test>", "RCPT TO:<alice@our.test>",
                           "DATA")):
                with self.subTest(behind=begin[-1:]), Client(server.port) as client:
                    for line in begin:
                        client.say(line)
                    self.assertIn(b"421 4.4.2", self.trickle(server, client, b"x"))
            wait_until(lambda: len(server.events("SessionClosed")) >= 5, "five ended sessions")
            self.assertEqual(server.events("MessageAccepted"), [])
            self.still_serves(server)

    def test_commands_of_200_kb_are_refused_one_by_one(self):
        with Server(smtp=STRANGERS) as server, Client(server.port) as client:
            client.say("EHLO c.example.org")
            for _ in range(5):
                self.assertTrue(client.say("NOOP " + "x" * 200_000).startswith("500"))
            self.assertTrue(client.say("NOOP").startswith("250"))

    def test_junk_ends_a_session(self):
        with Server(smtp=STRANGERS + "errors_max = 5") as server, Client(server.port) as client:
            replies = [client.say(f"JUNK{number}") for number in range(6)]
            self.assertEqual([reply[:3] for reply in replies[:5]], ["500"] * 5)
            self.assertEqual(replies[-1][:3], "421" if replies[-1].startswith("421") else "500")
            self.assertIn(b"421", (replies[-1].encode() + rest_of(client)))

    def test_20000_header_fields_are_refused_and_500_levels_of_parts_are_kept_as_they_are(self):
        fields = "".join(f"X-{number}: y\r\n" for number in range(20_000))
        parts = "".join(f"Content-Type: multipart/mixed; boundary=b{number}\r\n\r\n--b{number}\r\n"
                        for number in range(500))
        with Server() as server:
            with Client(server.port) as client:
                self.assertTrue(client.deliver("alice@our.test", fields + "\r\nx\r\n").startswith("554"))
            with Client(server.port) as client:
                self.assertTrue(client.deliver("alice@our.test", parts).startswith("250"))
            kept = server.wait_for_messages("alice", 1)[0].read_bytes()
            self.assertTrue(kept.endswith(parts.replace("\r\n", "\n").encode()))

    def test_who_speaks_before_the_greeting_is_refused(self):
        with Server(smtp=STRANGERS + 'greeting_pause = "2s"') as server:
            with Client(server.port, greet=False) as client:
                client.send("EHLO c.example.org\r\n")
                self.assertTrue(rest_of(client).startswith(b"554 5.5.1 "))
            wait_until(lambda: len(server.events("EarlyTalker")) == 1, "it to be logged")
            self.still_serves(server)

    def test_http_and_tls_on_the_port_of_mail_end_the_session(self):
        hello = bytes.fromhex("1603010200010001fc0303") + bytes(500)
        for octets in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\nEHLO x\r\n", hello):
            with self.subTest(octets=octets[:10]), Server() as server:
                with Client(server.port) as client:
                    client.send(octets)
                    self.assertIn(b"421 4.7.0", rest_of(client))
                self.still_serves(server)

    def test_an_address_and_a_network_have_their_limits(self):
        with Server(smtp=STRANGERS + "sessions_per_network_max = 3\n"
                    "connects_per_minute_per_address = 4") as server:
            held = [Client(server.port) for _ in range(3)]
            with Client(server.port) as client:
                self.assertIn("421 4.7.0 Too many connections from your network", client.greeting)
            for client in held:
                client.say("QUIT")
                client.close()
            wait_until(lambda: len(server.events("SessionClosed")) == 3, "three ended sessions")
            with Client(server.port) as client:
                self.assertTrue(client.greeting.startswith("220"))
            with Client(server.port) as client:
                self.assertIn("421 4.7.0 Your address connects too often", client.greeting)
            wait_until(lambda: len(server.events("ClientTurnedAway")) == 2, "both to be logged")

    def test_a_harvest_is_slowed_cut_and_remembered(self):
        with Server(smtp=STRANGERS + "unknown_recipients_max = 4") as server:
            with Client(server.port) as client:
                client.say("EHLO c.example.org")
                client.say("MAIL FROM:<a@c.test>")
                for number in range(4):
                    self.assertTrue(client.say(f"RCPT TO:<u{number}@our.test>").startswith("550 5.1.1"))
                self.assertIn(b"421 4.7.0", rest_of(client))
            wait_until(lambda: len(server.events("HarvestCut")) == 1, "the cut to be logged")
            with Client(server.port) as client:
                self.assertIn("421 4.7.0 You asked for too many unknown recipients", client.greeting)

    def test_a_thousand_that_open_and_go_leave_nothing(self):
        with Server(smtp="unlimited_networks = []") as server:
            for number in range(1000):
                other = socket.create_connection(("127.0.0.1", server.port))
                if number % 2:
                    other.sendall(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT")
                other.close()
            wait_until(lambda: len(server.events("SessionClosed")) == 1000, "all to be gone")
            self.still_serves(server)


if __name__ == "__main__":
    unittest.main()
