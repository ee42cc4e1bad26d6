"""Other people's mail servers take mail from Postrider: by SMTP for a [[route]], by LMTP for the
mailboxes of a domain. What they keep is what was handed in, below trace fields."""

import re
import unittest

from messages import EIGHT_BIT, message, messages
from peer import IS_ROOT, NEEDS_ROOT, hand_in
from peers import Dovecot, Exim, OpenSmtpd, Postfix
from peers_sendmail import Sendmail
from server import Server, wait_until

# The one field that we put in front; it is the last of the trace.
OURS = re.compile(r"Received: from client\.example\.org \([^\n]*\[127\.0\.0\.1\]\)\s+"
                  r"by mail\.our\.test\s[^\n]*(\n[ \t][^\n]+)*\n\Z")
TRACE_NAMES = {"Return-Path", "Return-path", "Received", "Delivered-To", "X-Original-To",
               "Envelope-to", "Delivery-date"}


def relaying(peer, queue="", **more):
    """A server of ours that hands far.test to the peer and tries again soon."""
    return Server(smtp_networks='["127.0.0.0/8"]',
                  queue=f'backoff_first = "1s"\nbackoff_max = "1s"\n{queue}',
                  domain=f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{peer.port}"\n',
                  **more)


def parameters_of(name):
    return " BODY=8BITMIME" if name in EIGHT_BIT else ""


class Kept(unittest.TestCase):
    """What both ways have in common."""

    def check(self, stored, sent):
        """`stored` is trace fields, ours the last, and exactly `sent`."""
        sent = sent.replace(b"\r\n", b"\n")
        self.assertTrue(stored.endswith(sent), stored[:1000])
        trace = stored[:len(stored) - len(sent)].decode("ascii")
        self.assertRegex(trace, OURS)
        self.assertEqual(trace.count("by mail.our.test"), 1, trace)
        names = {line.split(":")[0] for line in trace.splitlines() if line[0] not in " \t"}
        self.assertLessEqual(names, TRACE_NAMES, trace)

    def check_all(self, kept, sent):
        self.assertEqual(len(kept), len(sent))
        for name, content in sent.items():
            with self.subTest(message=name):
                found = [octets for octets in kept
                         if f"\nSubject: {name}\n".encode() in octets[:2000]]
                self.assertEqual(len(found), 1)
                self.check(found[0], content)

    def hand_in_all(self, server, to):
        sent = messages(to=to.encode())
        for name, content in sent.items():
            hand_in(server.port, to, content, parameters_of(name))
        return sent

    def wait_until_done(self, server):
        wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")


@unittest.skipUnless(IS_ROOT, f"each of them {NEEDS_ROOT}")
class BySmtp(Kept):
    def keeps_every_message(self, kind):
        with kind() as peer, relaying(peer) as server:
            sent = self.hand_in_all(server, "x@far.test")
            self.check_all(peer.wait_for_messages(len(sent)), sent)
            self.wait_until_done(server)
            self.assertEqual(server.events("Deferred"), [])
            self.assertEqual(server.messages("alice"), [])

    def test_postfix_keeps_every_message_unchanged(self):
        self.keeps_every_message(Postfix)

    def test_exim_keeps_every_message_unchanged(self):
        self.keeps_every_message(Exim)

    def test_opensmtpd_keeps_every_message_unchanged(self):
        self.keeps_every_message(OpenSmtpd)

    def test_sendmail_keeps_every_message_unchanged(self):
        self.keeps_every_message(Sendmail)

    def refuses_one_of_three(self, kind, words):
        """The others have it, once; the sender is told of the one in the peer's words."""
        content = messages()["dots"]
        with kind() as peer, relaying(peer) as server:
            hand_in(server.port, ["x@far.test", "refused@far.test", "y@far.test"], content,
                    sender="alice@our.test")
            bounce = server.wait_for_messages("alice", 1)[0].read_text()
            self.wait_until_done(server)
            self.assertIn("Final-Recipient: rfc822; refused@far.test\nAction: failed\n", bounce)
            self.assertIn("Diagnostic-Code: smtp; 550", bounce)
            self.assertIn(words, bounce)
            self.assertEqual(bounce.count("Final-Recipient:"), 1)
            # One transaction for both; whether that makes one copy or two is the peer's matter.
            for octets in peer.wait_for_messages(1):
                self.check(octets, content)
            for user in ("x", "y"):
                server.told("Delivered", f"to={user}@far.test")
                self.assertEqual(len([line for line in server.events("Delivered")
                                      if f"to={user}@far.test" in line]), 1)

    def test_postfix_refuses_one_of_three(self):
        self.refuses_one_of_three(Postfix, "nobody wants this")

    def test_exim_refuses_one_of_three(self):
        self.refuses_one_of_three(Exim, "nobody wants this")

    def test_opensmtpd_refuses_one_of_three(self):
        self.refuses_one_of_three(OpenSmtpd, "Invalid recipient")

    def test_sendmail_refuses_one_of_three(self):
        self.refuses_one_of_three(Sendmail, "nobody wants this")

    def takes_no_8_bit(self, kind):
        """What is 8-bit goes back unsent; what was only declared so is sent."""
        sent = messages(to=b"x@far.test")
        with kind(eight_bit=False) as peer, relaying(peer) as server:
            hand_in(server.port, "x@far.test", sent["8-bit"], " BODY=8BITMIME",
                    sender="alice@our.test")
            bounce = server.wait_for_messages("alice", 1)[0].read_bytes()
            self.assertIn(b"Status: 5.6.3\n", bounce)
            self.assertIn(b"Final-Recipient: rfc822; x@far.test\nAction: failed\n", bounce)
            hand_in(server.port, "x@far.test", sent["dots"], " BODY=8BITMIME")
            self.check_all(peer.wait_for_messages(1), {"dots": sent["dots"]})
            self.wait_until_done(server)
            self.assertEqual(len(peer.messages()), 1)

    def test_postfix_without_8bitmime_gets_no_8_bit(self):
        self.takes_no_8_bit(Postfix)

    def test_exim_without_8bitmime_gets_no_8_bit(self):
        self.takes_no_8_bit(Exim)

    def takes_no_large_ones(self, kind):
        """Its SIZE is believed (RFC 1870): what is larger goes back unsent."""
        large = message("large", b"0123456789abcdef\r\n" * 4000)
        small = message("small", b"0123456789abcdef\r\n" * 400)
        with kind(size_max=50_000) as peer, relaying(peer) as server:
            hand_in(server.port, "x@far.test", large, sender="alice@our.test")
            bounce = server.wait_for_messages("alice", 1)[0].read_text()
            self.assertIn("Status: 5.3.4\n", bounce)
            failed = server.told("Failed")
            identity = re.search(r" id=(\S+)", failed).group(1)
            dialogue = server.ask("show", identity)
            self.assertIn("SIZE 50000", dialogue)
            self.assertNotIn("MAIL FROM", dialogue)
            hand_in(server.port, "x@far.test", small)
            self.check_all(peer.wait_for_messages(1), {"small": small})

    def test_postfix_gets_no_larger_one_than_its_size_allows(self):
        self.takes_no_large_ones(Postfix)

    def test_exim_gets_no_larger_one_than_its_size_allows(self):
        self.takes_no_large_ones(Exim)

    def test_opensmtpd_gets_no_larger_one_than_its_size_allows(self):
        self.takes_no_large_ones(OpenSmtpd)

    def test_sendmail_gets_no_larger_one_than_its_size_allows(self):
        self.takes_no_large_ones(Sendmail)

    def takes_many(self, kind, connected, queue="", count=300):
        """They wait until it is there. `connected`: what its log says of each connection. Returns
        the deferrals."""
        sent = {f"number {i}": message(f"number {i}", b"text\r\n") for i in range(count)}
        with kind() as peer, relaying(peer, queue) as server:
            peer.stop()
            with server.connect() as client:
                for content in sent.values():
                    client.deliver("x@far.test", content.decode())
            peer.start()
            before = len(re.findall(connected, peer.log()))
            self.check_all(peer.wait_for_messages(count), sent)
            self.wait_until_done(server)
            connections = len(re.findall(connected, peer.log())) - before
            self.assertGreater(connections, 0)
            self.assertLess(connections, count / 5)
            return server.events("Deferred")

    def test_postfix_takes_many_over_few_connections(self):
        self.takes_many(Postfix, r" connect from ")

    def test_opensmtpd_takes_many_over_few_connections(self):
        # Its queue of new connections has 5 places; of one that comes when it is full, the system
        # tells the client that it is open (SYN cookies), and nobody else.
        self.takes_many(OpenSmtpd, r"smtp connected ", "connections_per_site = 4\n")

    def test_opensmtpd_takes_100_over_one_connection_and_the_rest_over_others(self):
        """Then it answers MAIL with 452 4.5.3, which costs no message anything."""
        queue = "messages_per_connection = 1000\nconnections_per_site = 1\n"
        deferred = self.takes_many(OpenSmtpd, r"smtp connected ", queue, 250)
        self.assertEqual([line for line in deferred if "4.5.3" in line], [])

    def comes_back(self, kind):
        """Stopped, everything waits; started again, it gets everything."""
        sent = messages(to=b"x@far.test")
        with kind() as peer, relaying(peer) as server:
            peer.stop()
            for name in ("plain", "dots", "8-bit"):
                hand_in(server.port, "x@far.test", sent[name], parameters_of(name))
            wait_until(lambda: server.events("Deferred"), "a first failure")
            self.assertIn("Connection", server.ask("queue", "list"))
            peer.start()
            kept = peer.wait_for_messages(3)
            self.check_all(kept, {name: sent[name] for name in ("plain", "dots", "8-bit")})
            self.wait_until_done(server)

    def test_postfix_stops_and_comes_back(self):
        self.comes_back(Postfix)

    def test_exim_stops_and_comes_back(self):
        self.comes_back(Exim)

    def test_opensmtpd_stops_and_comes_back(self):
        self.comes_back(OpenSmtpd)


class ByLmtp(Kept):
    """Dovecot keeps the mailboxes of our.test."""

    def delivering(self, endpoint):
        return Server(domain=f'deliver_to = "lmtp:{endpoint}"')

    def keeps_every_message(self, endpoint_of):
        with Dovecot() as peer, self.delivering(endpoint_of(peer)) as server:
            sent = self.hand_in_all(server, "alice@our.test")
            self.check_all(peer.wait_for_messages(len(sent)), sent)
            self.wait_until_done(server)
            self.assertEqual(server.events("Deferred"), [])
            self.assertEqual(server.messages("alice"), [])

    def test_over_tcp_every_message_is_kept_unchanged(self):
        self.keeps_every_message(lambda peer: f"127.0.0.1:{peer.port}")

    def test_over_a_unix_socket_every_message_is_kept_unchanged(self):
        self.keeps_every_message(lambda peer: f"unix:{peer.socket}")

    def test_each_recipient_has_a_reply_and_an_outcome_of_its_own(self):
        """bob's mailbox is full, the others' are not; all three are in one transaction, and the
        difference comes after the final dot (RFC 2033 section 4.2)."""
        content = messages()["dots"]
        with Dovecot(full=["bob"]) as peer:
            with self.delivering(f"127.0.0.1:{peer.port}") as server:
                hand_in(server.port, ["alice@our.test", "bob@our.test", "carol@our.test"], content,
                        sender="erin@our.test")
                kept = peer.wait_for_messages(3)
                self.wait_until_done(server)
                bounces = [octets for octets in kept if b"multipart/report" in octets]
                self.assertEqual(len(bounces), 1)
                self.assertIn(b"Final-Recipient: rfc822; bob@our.test\nAction: failed\n"
                              b"Status: 5.2.2\n", bounces[0])
                self.assertEqual(bounces[0].count(b"Final-Recipient:"), 1)
                for octets in kept:
                    if octets is not bounces[0]:
                        self.check(octets, content)
                self.assertEqual(len(peer.messages()), 3)

    def test_stopped_and_started_again_it_gets_what_waited(self):
        sent = messages()
        with Dovecot() as peer, self.delivering(f"127.0.0.1:{peer.port}") as server:
            peer.stop()
            for name in ("plain", "dots"):
                hand_in(server.port, "alice@our.test", sent[name])
            wait_until(lambda: server.events("Deferred"), "a first failure")
            peer.start()
            self.check_all(peer.wait_for_messages(2),
                           {name: sent[name] for name in ("plain", "dots")})
            self.wait_until_done(server)

    def test_many_go_over_few_connections(self):
        sent = {f"number {i}": message(f"number {i}", b"text\r\n") for i in range(300)}
        with Dovecot() as peer, self.delivering(f"127.0.0.1:{peer.port}") as server:
            peer.stop()
            with server.connect() as client:
                for content in sent.values():
                    client.deliver("alice@our.test", content.decode())
            peer.start()
            before = peer.log().count(": Connect from ")
            self.check_all(peer.wait_for_messages(300), sent)
            self.wait_until_done(server)
            connections = peer.log().count(": Connect from ") - before
            self.assertGreater(connections, 0)
            self.assertLess(connections, 60)


if __name__ == "__main__":
    unittest.main()
