"""Submission: mail of our own people is completed and held to their own addresses; mail that only
passes through is left alone."""

import unittest

from next_host import Scripted, polite
from server import wait_until
from submitting import SubmissionServer

WHOLE = ("From: Alice <alice@our.test>\r\nTo: bob@our.test\r\n"
         "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n")


def send(client, content, sender="alice@our.test", to="bob@our.test"):
    assert client.say(f"MAIL FROM:<{sender}>").startswith("250")
    assert client.say(f"RCPT TO:<{to}>").startswith("250")
    assert client.say("DATA").startswith("354")
    client.send(content + ".\r\n")
    return client.reply()


class Completion(unittest.TestCase):
    def test_what_is_missing_is_added_and_bcc_is_gone(self):
        with SubmissionServer(submission='domain = "our.test"') as server:
            server.add("alice@our.test")
            with server.logged_in("alice@our.test") as client:
                reply = send(client, "From: alice\r\nTo: bob, carol@x.test\r\nBcc: eve@x.test\r\n"
                                     "Subject: s\r\n\r\nbody\r\n")
                self.assertTrue(reply.startswith("250"), reply)
            text = server.wait_for_messages("bob", 1)[0].read_text()
            self.assertIn("From: alice@our.test\n", text)
            self.assertIn("To: bob@our.test, carol@x.test\n", text)
            self.assertIn("\nDate: ", text)
            self.assertIn("\nMessage-ID: <", text)
            self.assertNotIn("eve@x.test", text)
            self.assertTrue(text.endswith("\n\nbody\n"), text)

    def test_without_a_domain_unqualified_addresses_are_refused(self):
        with SubmissionServer() as server:
            server.add("alice@our.test")
            with server.logged_in("alice@our.test") as client:
                reply = send(client, "From: alice\r\n\r\nbody\r\n")
                self.assertTrue(reply.startswith("554 5.6.2"), reply)
                self.assertTrue(client.say("MAIL FROM:<alice>").startswith("501"))

    def test_large_messages_too(self):
        with SubmissionServer() as server:
            server.add("alice@our.test")
            body = ("x" * 76 + "\r\n") * 20_000
            with server.logged_in("alice@our.test") as client:
                reply = send(client, "From: alice@our.test\r\nBcc: eve@x.test\r\n\r\n" + body)
                self.assertTrue(reply.startswith("250"), reply)
            text = server.wait_for_messages("bob", 1)[0].read_text()
            self.assertNotIn("eve@x.test", text)
            self.assertTrue(text.endswith("\n\n" + body.replace("\r\n", "\n")))

    def test_mail_that_passes_through_is_not_rewritten(self):
        content = "From: alice\r\nBcc: eve@x.test\r\n\r\nbody\r\n"
        with SubmissionServer() as server:
            with server.connect() as client:
                self.assertTrue(client.deliver("bob@our.test", content).startswith("250"))
            text = server.wait_for_messages("bob", 1)[0].read_bytes()
            self.assertTrue(text.endswith(content.replace("\r\n", "\n").encode()), text)


class Identity(unittest.TestCase):
    def test_only_ones_own_addresses(self):
        with SubmissionServer() as server:
            server.add("alice@our.test", "--send-as", "alice@our.test", "--send-as", "@sales.test")
            with server.logged_in("alice@our.test") as client:
                reply = client.say("MAIL FROM:<bob@our.test>")
                self.assertTrue(reply.startswith("550 5.7.1"), reply)
                reply = send(client, WHOLE.replace("<alice@our.test>", "<bob@our.test>"))
                self.assertTrue(reply.startswith("550 5.7.1"), reply)
                reply = send(client, WHOLE.replace("<alice@our.test>", "<x@SALES.test>"),
                             sender="y@sales.test")
                self.assertTrue(reply.startswith("250"), reply)
            wait_until(lambda: len(server.events("SubmissionRefused")) == 2, "the log")

    def test_a_sender_field_where_that_is_wanted(self):
        with SubmissionServer(submission='foreign_from = "add_sender"') as server:
            server.add("alice@our.test")
            with server.logged_in("alice@our.test") as client:
                reply = send(client, WHOLE.replace("<alice@our.test>", "<boss@x.test>"))
                self.assertTrue(reply.startswith("250"), reply)
            self.assertIn("\nSender: <alice@our.test>\n",
                          server.wait_for_messages("bob", 1)[0].read_text())

    def test_the_client_is_left_out_where_that_is_wanted(self):
        with SubmissionServer(submission="hide_client = true") as server:
            server.add("alice@our.test")
            with server.logged_in("alice@our.test") as client:
                self.assertTrue(send(client, WHOLE).startswith("250"))
            text = server.wait_for_messages("bob", 1)[0].read_text()
            self.assertNotIn("127.0.0.1", text)
            self.assertNotIn("client.example.org", text)
            self.assertIn("with ESMTPA", text)

    def test_programs_in_listed_networks_need_not_log_in(self):
        with SubmissionServer(submission='networks = ["127.0.0.1"]') as server:
            with server.submit() as client:
                reply = client.say("MAIL FROM:<app@elsewhere.test>")
                self.assertTrue(reply.startswith("550 5.7.1"), reply)
                reply = send(client, WHOLE.replace("alice", "app"), sender="app@our.test")
                self.assertTrue(reply.startswith("250"), reply)
            server.wait_for_messages("bob", 1)


class Lines(unittest.TestCase):
    def test_have_the_rules_of_port_25(self):
        with SubmissionServer() as server:
            server.add("alice@our.test")
            with server.logged_in("alice@our.test") as client:
                for body, code in (("x" * 998, "250"), ("x" * 999, "5"), ("a bare\nLF", "5"),
                                   ("a bare\rCR", "5"), ("NUL \0", "554 5.6.0")):
                    reply = send(client, WHOLE + body + "\r\n")
                    self.assertTrue(reply.startswith(code), (body[-20:], reply))

    def test_eight_bit_text_is_kept_and_sent_on_as_such_although_nobody_said_so(self):
        body = "gr\u00fc\u00dfe"
        with Scripted(polite) as far, SubmissionServer(
                domain=f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{far.port}"\n') as server:
            server.add("alice@our.test")
            with server.logged_in("alice@our.test") as client:
                reply = send(client, WHOLE + body + "\r\n", to="x@far.test")
                self.assertTrue(reply.startswith("250"), reply)
            content = wait_until(lambda: far.messages, "the message at the far end")[0]
            self.assertIn(body.encode(), content)
            self.assertIn(" BODY=8BITMIME", far.visits[-1].said("MAIL")[0])


class Limits(unittest.TestCase):
    def test_of_an_account(self):
        with SubmissionServer() as server:
            server.add("alice@our.test", "--recipients-max", "1", "--messages-per-hour", "2",
                       "--message-octets-max", "1000")
            with server.logged_in("alice@our.test") as client:
                reply = client.say("MAIL FROM:<alice@our.test> SIZE=1001")
                self.assertTrue(reply.startswith("552 5.3.4"), reply)
                self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("250"))
                self.assertTrue(client.say("RCPT TO:<bob@our.test>").startswith("250"))
                reply = client.say("RCPT TO:<carol@our.test>")
                self.assertTrue(reply.startswith("452 4.5.3"), reply)
                client.say("RSET")
                reply = send(client, WHOLE + "x" * 900 + "\r\n")
                self.assertTrue(reply.startswith("552 5.3.4"), reply)
                reply = client.say("MAIL FROM:<alice@our.test>")
                self.assertTrue(reply.startswith("450 4.7.1"), reply)


if __name__ == "__main__":
    unittest.main()
