"""Other people's mail servers hand mail in to Postrider as their smarthost: it arrives octet for
octet below the trace fields that each added."""

import re
import unittest

from messages import EIGHT_BIT, messages
from peer import IS_ROOT, NEEDS_ROOT
from peers import Dovecot, Exim, OpenSmtpd, Postfix
from peers_sendmail import Sendmail
from server import Server, wait_until

OURS = re.compile(r"Return-Path: <sender@example\.org>\n"
                  r"Delivered-To: (?P<recipient>[^\n]+)\n"
                  r"Received: from (?P<helo>\S+) \([^\n]*\[127\.0\.0\.1\]\)\s+by mail\.our\.test\s"
                  r"[^\n]*(\n[ \t][^\n]+)*\n")
THEIRS = re.compile(r"Received: from [^\n]*(\n[ \t][^\n]+)*\n")


class Alone(unittest.TestCase):
    """What a peer itself does to a message, so that a difference elsewhere is known to be ours."""

    def take_all(self, kind):
        sent = messages(to=b"x@far.test")
        with kind() as peer:
            for name, content in sent.items():
                peer.take(content, "x@far.test", " BODY=8BITMIME" if name in EIGHT_BIT else "")
            kept = peer.wait_for_messages(len(sent))
            self.assertEqual(len(kept), len(sent))
            for name, content in sent.items():
                with self.subTest(message=name):
                    content = content.replace(b"\r\n", b"\n")
                    self.assertEqual(sum(octets.endswith(content) for octets in kept), 1)

    def test_dovecot_keeps_every_message_unchanged(self):
        self.take_all(Dovecot)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_postfix_keeps_every_message_unchanged(self):
        self.take_all(Postfix)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_exim_keeps_every_message_unchanged(self):
        self.take_all(Exim)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_opensmtpd_keeps_every_message_unchanged(self):
        self.take_all(OpenSmtpd)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_sendmail_keeps_every_message_unchanged(self):
        self.take_all(Sendmail)


@unittest.skipUnless(IS_ROOT, f"each of them {NEEDS_ROOT}")
class HandsMailIn(unittest.TestCase):
    def check(self, stored, sent, peer, recipient):
        """`stored` is our trace fields, one Received field of the peer, and exactly `sent`."""
        sent = sent.replace(b"\r\n", b"\n")
        self.assertTrue(stored.endswith(sent), stored[:1000])
        trace = stored[:len(stored) - len(sent)].decode("ascii")
        ours = OURS.match(trace)
        self.assertIsNotNone(ours, trace)
        self.assertEqual(ours["recipient"], recipient)
        self.assertEqual(ours["helo"], peer.hostname)
        theirs = trace[ours.end():]
        self.assertIsNotNone(THEIRS.fullmatch(theirs), theirs)
        self.assertIn(f"by {peer.hostname}", theirs)

    def hand_in_all(self, kind):
        sent = messages()
        with Server() as server, kind(onward=server.port) as peer:
            for name, content in sent.items():
                peer.take(content, "alice@our.test",
                          " BODY=8BITMIME" if name in EIGHT_BIT else "")
            arrived = [path.read_bytes()
                       for path in server.wait_for_messages("alice", len(sent))]
            self.assertEqual(len(arrived), len(sent))
            for name, content in sent.items():
                with self.subTest(message=name):
                    found = [octets for octets in arrived
                             if f"\nSubject: {name}\n".encode() in octets[:2000]]
                    self.assertEqual(len(found), 1)
                    self.check(found[0], content, peer, "alice@our.test")
            self.assertEqual(server.events("MessageRefused"), [])

    def hand_in_to_many(self, kind):
        content = messages()["dots"]
        with Server() as server, kind(onward=server.port) as peer:
            peer.take(content, [f"{user}@our.test" for user in ("alice", "bob", "carol")])
            for user in ("alice", "bob", "carol"):
                self.check(server.wait_for_messages(user, 1)[0].read_bytes(), content, peer,
                           f"{user}@our.test")
            wait_until(lambda: len(server.events("Delivered")) == 3, "three deliveries")

    def hand_in_to_an_unknown_one(self, kind):
        """An unknown recipient is refused at RCPT; the peer then makes a bounce of its own, and the
        known recipient has the message."""
        content = messages()["plain"]
        with Server() as server, kind(onward=server.port) as peer:
            peer.take(content, ["nobody@our.test", "alice@our.test"], sender="sender@far.test")
            server.wait_for_messages("alice", 1)
            bounce = peer.wait_for_messages(1)[0]
            self.assertIn(b"nobody@our.test", bounce)
            self.assertIn(b"5.1.1", bounce)

    def test_postfix_hands_in_every_message_unchanged(self):
        self.hand_in_all(Postfix)

    def test_exim_hands_in_every_message_unchanged(self):
        self.hand_in_all(Exim)

    def test_opensmtpd_hands_in_every_message_unchanged(self):
        self.hand_in_all(OpenSmtpd)

    def test_sendmail_hands_in_every_message_unchanged(self):
        self.hand_in_all(Sendmail)

    def test_postfix_hands_in_for_several_recipients(self):
        self.hand_in_to_many(Postfix)

    def test_exim_hands_in_for_several_recipients(self):
        self.hand_in_to_many(Exim)

    def test_opensmtpd_hands_in_for_several_recipients(self):
        self.hand_in_to_many(OpenSmtpd)

    def test_sendmail_hands_in_for_several_recipients(self):
        self.hand_in_to_many(Sendmail)

    def test_postfix_understands_that_a_recipient_is_unknown(self):
        self.hand_in_to_an_unknown_one(Postfix)

    def test_exim_understands_that_a_recipient_is_unknown(self):
        self.hand_in_to_an_unknown_one(Exim)

    def test_opensmtpd_understands_that_a_recipient_is_unknown(self):
        self.hand_in_to_an_unknown_one(OpenSmtpd)

    def test_sendmail_understands_that_a_recipient_is_unknown(self):
        self.hand_in_to_an_unknown_one(Sendmail)


if __name__ == "__main__":
    unittest.main()
