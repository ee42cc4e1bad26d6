"""What a next host cannot take: each extension a message uses, against a host without it. It is given
back with the code that its RFC names, told, tunnelled, or converted where that was asked for; never
changed silently."""

import email
import email.policy
import unittest

from esmtp_test import begin, chunk, finish, offering, report_of
from next_host import Scripted, but
from onward_test import relaying
from server import ROOT, wait_until

PLAIN = "From: <alice@our.test>\r\nSubject: s\r\n\r\ntext\r\n"
EIGHT = ("From: <alice@our.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
         "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße = schön \r\n")
SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=our.test; s=x; h=from; bh=; b=\r\n" + EIGHT
MULTIPART = ("From: <alice@our.test>\r\nMIME-Version: 1.0\r\n"
             "Content-Type: multipart/mixed; boundary=\"x y\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             "--x y\r\nContent-Type: text/html; charset=utf-8\r\n"
             "Content-Transfer-Encoding: 8bit\r\n\r\n<p>äöü</p>\r\n"
             "--x y\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             "Subject: within\r\nContent-Type: application/x-data\r\n"
             "Content-Transfer-Encoding: 8bit\r\n\r\n" + "ÿþ" * 200 + "\r\n\r\n--x y--\r\n")

OLD = but(EHLO=b"250-far.test\r\n250 SIZE\r\n")   # nothing that a message may need
NO_EHLO = but(EHLO=b"500 what\r\n")               # HELO only

# What is sent, to a host that offers what, and what its sender is told: the parameters of MAIL, the
# content, the keywords of the host, and action and status.
GIVEN_BACK = [
    ("8BITMIME", " BODY=8BITMIME", EIGHT, [], "5.6.3"),
    ("SMTPUTF8", " BODY=8BITMIME SMTPUTF8", EIGHT.replace("alice@", "ålice@"), ["8BITMIME"], "5.6.7"),
    ("SMTPUTF8 and DSN", " SMTPUTF8 RET=HDRS", EIGHT.replace("alice@", "ålice@"),
     ["8BITMIME", "DSN"], "5.6.7"),
    ("DELIVERBY", " BY=100;R", PLAIN, ["8BITMIME", "DSN"], "5.3.3"),
    ("DELIVERBY and 8BITMIME", " BODY=8BITMIME BY=100;R", EIGHT, ["DELIVERBY"], "5.6.3"),
    ("SIZE", "", PLAIN + "x" * 70 + "\r\n" + "y" * 900 + "\r\n", ["SIZE 500"], "5.3.4"),
]


def parts_of(octets):
    """Every leaf's type and decoded content, as Python's email reads it."""
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [(part.get_content_type(), part.get_payload(decode=True))
            for part in message.walk() if not part.is_multipart()]


class GivenBack(unittest.TestCase):
    def test_with_the_code_of_its_rfc(self):
        for name, parameters, content, keywords, status in GIVEN_BACK:
            with self.subTest(name), Scripted(but(EHLO="".join(
                    f"250-{word}\r\n" for word in ["far.test", *keywords]).encode()
                    + b"250 HELP\r\n")) as far, relaying(far.port) as server:
                with server.connect() as client:
                    begin(client, f"<alice@our.test>{parameters}", "<x@far.test>")
                    finish(client, content)
                _, recipient = report_of(server.wait_for_messages("alice", 1)[0])
                self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", status))
                self.assertEqual(far.messages, [])
                self.assertEqual([v.said("MAIL") for v in far.visits], [[]])

    def test_binary_content_needs_both_chunking_and_binarymime(self):
        for keywords in (b"250-CHUNKING\r\n", b"250-BINARYMIME\r\n", b""):
            answer = but(EHLO=b"250-far.test\r\n" + keywords + b"250 8BITMIME\r\n")
            with self.subTest(keywords), Scripted(answer) as far, relaying(far.port) as server:
                with server.connect() as client:
                    begin(client, "<alice@our.test> BODY=BINARYMIME", "<x@far.test>")
                    reply = chunk(client, b"MIME-Version: 1.0\r\n\r\n\0\n\r\xff", last=True)
                    self.assertTrue(reply.startswith("250"), reply)
                _, recipient = report_of(server.wait_for_messages("alice", 1)[0])
                self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "5.6.3"))
                self.assertEqual(far.messages, [])

    def test_a_host_that_knows_only_helo(self):
        with Scripted(NO_EHLO) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> BODY=8BITMIME", "<x@far.test>")
                finish(client, PLAIN)  # declared, and not so
                begin(client, "<alice@our.test> BODY=8BITMIME", "<y@far.test>")
                finish(client, EIGHT)
            _, recipient = report_of(server.wait_for_messages("alice", 1)[0])
            self.assertEqual((recipient["Final-Recipient"], recipient["Status"]),
                             ("rfc822; y@far.test", "5.6.3"))
            wait_until(lambda: len(far.messages) == 1, "the other")
            self.assertTrue(far.messages[0].decode().endswith(PLAIN))


class Converted(unittest.TestCase):
    def relayed(self, content, parameters=" BODY=8BITMIME"):
        """What a host without 8BITMIME gets, without our trace, or None and the report's status."""
        with Scripted(OLD) as far, relaying(far.port, top="") as server:
            server.config.write_text(server.config.read_text() + "\n[relay]\nconvert_8bit = true\n")
            server.kill()
            server.start()
            with server.connect() as client:
                begin(client, f"<alice@our.test>{parameters}", "<x@far.test>")
                assert client.say("DATA").startswith("354")
                stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
                client.send(stuffed + b".\r\n")
                reply = client.reply()
                self.assertTrue(reply.startswith("250"), reply)
            wait_until(lambda: far.messages or server.messages("alice"), "an end")
            if not far.messages:
                return None, report_of(server.messages("alice")[0])[1]["Status"]
            return far.messages[0], far.visits[-1].said("MAIL")[0]

    def test_parts_read_as_they_were_sent(self):
        for content in (EIGHT, MULTIPART):
            got, mail = self.relayed(content.encode())
            self.assertTrue(all(octet < 128 for octet in got))
            self.assertNotIn("8BITMIME", mail)
            self.assertEqual(parts_of(got), parts_of(content.encode()))
            self.assertTrue(all(len(line) <= 998 for line in got.split(b"\r\n")))

    def test_what_is_signed_is_given_back(self):
        self.assertEqual(self.relayed(SIGNED.encode()), (None, "5.6.3"))

    def test_others_messages_decode_alike(self):
        """Messages that other people have collected, with 8-bit content in them."""
        folder = ROOT / "tests/program/testdata/mime"
        converted = 0
        for path in sorted(folder.glob("*.eml")):
            content = path.read_bytes()
            with self.subTest(path.name):
                got, _ = self.relayed(content)
                if got is None:
                    continue
                converted += 1
                self.assertTrue(all(octet < 128 for octet in got))
                self.assertEqual(parts_of(got), parts_of(content))
        print(f"vectors mime/8bit: {converted} of {len(list(folder.glob('*.eml')))} converted, "
              "the others given back")
        self.assertGreater(converted, 0)


class Tunnelled(unittest.TestCase):
    def relayed(self, parameters, header, *keywords):
        with Scripted(offering("8BITMIME", *keywords)) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, f"<alice@our.test>{parameters}", "<x@far.test>")
                finish(client, header + PLAIN)
            got = wait_until(lambda: far.messages, "the message")[0]
            fields = email.message_from_bytes(got).get_all("MT-Priority", [])
            return fields, [w for w in far.visits[0].said("MAIL")[0].split() if "PRIO" in w], got

    def test_a_priority_travels_in_the_header_where_the_host_has_no_parameter(self):
        fields, parameters, got = self.relayed(" MT-PRIORITY=3", "")
        self.assertEqual((fields, parameters), (["3"], []))
        self.assertTrue(got.decode().endswith(PLAIN))
        # RFC 6758 section 3.3: fields that are there go.
        fields, parameters, _ = self.relayed(" MT-PRIORITY=3", "MT-Priority: 1\r\nMT-Priority:\r\n 2\r\n")
        self.assertEqual((fields, parameters), (["3"], []))

    def test_a_priority_in_the_header_counts_and_is_told_where_it_can_be(self):
        fields, parameters, _ = self.relayed("", "MT-Priority: 4 (ultra)\r\n", "MT-PRIORITY")
        self.assertEqual((fields, parameters), (["4 (ultra)"], ["MT-PRIORITY=4"]))
        fields, parameters, got = self.relayed("", "MT-Priority: 4 (ultra)\r\n")
        self.assertEqual((fields, parameters), (["4 (ultra)"], []))
        self.assertTrue(got.decode().endswith("MT-Priority: 4 (ultra)\r\n" + PLAIN))

    def test_without_a_priority_nothing_is_added(self):
        self.assertEqual(self.relayed("", "")[0], [])


if __name__ == "__main__":
    unittest.main()
