"""A message's way through the real program: what a client sends is what the mailbox holds."""

import subprocess
import tempfile
import unittest

from server import PEERS, Client, Server, wait_until
import socket

MESSAGE = ("From: <sender@example.org>\r\n"
           "To: <alice@our.test>\r\n"
           "Subject: a test\r\n"
           "\r\n"
           "first line\r\n"
           ".begins with a dot\r\n"
           "..two dots\r\n"
           "\r\n"
           "last line\r\n")


def split_trace(stored):
    """(trace fields, what the client sent), where the client's part begins with From:."""
    begin = stored.index(b"From: <sender@example.org>")
    return stored[:begin].decode(), stored[begin:]


class AMessage(unittest.TestCase):
    def test_arrives_octet_for_octet_with_its_trace_fields(self):
        with Server() as server:
            with server.connect() as client:
                reply = client.deliver("alice@our.test", MESSAGE)
                self.assertRegex(reply, r"^250 2\.0\.0 Queued as [0-9A-Z]{13}$")
                identity = reply.split()[-1]
            path = server.wait_for_messages("alice", 1)[0]
            trace, content = split_trace(path.read_bytes())
            self.assertEqual(content, MESSAGE.replace("\r\n", "\n").encode())
            lines = trace.splitlines()
            self.assertEqual(lines[0], "Return-Path: <sender@example.org>")
            self.assertEqual(lines[1], "Delivered-To: alice@our.test")
            received = " ".join(line.strip() for line in lines[2:])
            self.assertRegex(received,
                             r"^Received: from client\.example\.org \(.*\[127\.0\.0\.1\]\) by "
                             r"mail\.our\.test (\(.*\) )?with ESMTP id " + identity +
                             r" for <alice@our\.test>; \w{3}, \d+ \w{3} \d{4} "
                             r"\d\d:\d\d:\d\d \+0000$")
            self.assertIn(identity, path.name)
            server.told("MessageAccepted", identity)
            wait_until(lambda: any(identity in line for line in server.events("Delivered")),
                       "the log to say that it was delivered")

    def test_keeps_crlf_when_so_configured(self):
        with Server(delivery='line_ends = "crlf"') as server:
            with server.connect() as client:
                client.deliver("alice@our.test", MESSAGE)
            path = server.wait_for_messages("alice", 1)[0]
            _, content = split_trace(path.read_bytes())
            self.assertEqual(content, MESSAGE.encode())

    def test_goes_to_everyone_behind_an_alias_once(self):
        with Server() as server:
            with server.connect() as client:
                client.deliver(["all@our.test", "alice@our.test", "sales+x@our.test"], MESSAGE)
            for user in ("alice", "bob", "carol"):
                server.wait_for_messages(user, 1)
            wait_until(lambda: len(server.events("Delivered")) == 3, "three deliveries")
            for user in ("alice", "bob", "carol"):
                self.assertEqual(len(server.messages(user)), 1, user)

    def test_of_ten_megabytes_arrives_whole(self):
        body = "".join(f"{number:07d} 0123456789 abcdefghijklmnopqrstuvwxyz\r\n"
                       for number in range(220_000))
        message = MESSAGE + body
        with Server() as server:
            with server.connect() as client:
                reply = client.deliver("alice@our.test", message)
                self.assertTrue(reply.startswith("250"), reply)
            path = server.wait_for_messages("alice", 1)[0]
            _, content = split_trace(path.read_bytes())
            self.assertEqual(content, message.replace("\r\n", "\n").encode())
            wait_until(lambda: not list((server.data / "spool/large").iterdir()),
                       "the large file to be removed")

    def test_comes_in_by_lmtp_with_a_reply_for_each_recipient(self):
        with Server() as server:
            path = str(server.data / "lmtp.socket")
            with Client(None, socket.AF_UNIX, path) as client:
                self.assertTrue(client.say("LHLO client.example.org").startswith("250"))
                self.assertTrue(client.say("MAIL FROM:<sender@example.org>").startswith("250"))
                for user in ("alice", "bob"):
                    self.assertTrue(client.say(f"RCPT TO:<{user}@our.test>").startswith("250"))
                self.assertTrue(client.say("RCPT TO:<nobody@our.test>").startswith("550"))
                self.assertTrue(client.say("DATA").startswith("354"))
                client.send(MESSAGE + ".\r\n")
                self.assertTrue(client.reply().startswith("250"))
                self.assertTrue(client.reply().startswith("250"))
                self.assertTrue(client.say("QUIT").startswith("221"))
            server.wait_for_messages("alice", 1)
            server.wait_for_messages("bob", 1)


class Refused(unittest.TestCase):
    def test_are_relaying_and_unknown_recipients_at_rcpt(self):
        with Server() as server, server.connect() as client:
            client.say("EHLO client.example.org")
            client.say("MAIL FROM:<sender@example.org>")
            self.assertTrue(client.say("RCPT TO:<x@elsewhere.test>").startswith("550 5.7.1"))
            self.assertTrue(client.say("RCPT TO:<nobody@our.test>").startswith("550 5.1.1"))
            self.assertTrue(client.say("RCPT TO:<Postmaster>").startswith("250"))
            # Our reports come from there, and it is no domain of ours.
            self.assertTrue(client.say("RCPT TO:<postmaster@Mail.our.test>").startswith("250"))
            self.assertTrue(client.say("RCPT TO:<alice@mail.our.test>").startswith("550 5.7.1"))
            self.assertTrue(client.say("RCPT TO:<ALICE+tag@OUR.test>").startswith("250"))

    def test_is_a_message_that_has_gone_round(self):
        with Server(smtp="hops_max = 30") as server, server.connect() as client:
            hops = "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * 31
            reply = client.deliver("alice@our.test", hops + MESSAGE)
            self.assertTrue(reply.startswith("554 5.4.6"), reply)
            self.assertEqual(server.messages("alice"), [])
            self.assertTrue(client.deliver("alice@our.test", MESSAGE).startswith("250"))

    def test_are_bare_line_ends_and_nul_in_content(self):
        with Server() as server:
            for bad in (b"bare\nlf", b"bare\rcr", b"nul\0nul"):
                with server.connect() as client:
                    client.begin("alice@our.test")
                    client.send(b"Subject: x\r\n\r\n" + bad + b"\r\n.\r\n")
                    self.assertTrue(client.reply().startswith("554 5.6.0"), bad)
                    self.assertTrue(client.say("NOOP").startswith("250"))
            self.assertEqual(server.messages("alice"), [])

    def test_is_what_is_larger_than_the_limit(self):
        with Server(smtp='message_octets_max = "100 KiB"') as server:
            with server.connect() as client:
                client.say("EHLO client.example.org")
                reply = client.say("MAIL FROM:<a@b.example> SIZE=200000")
                self.assertTrue(reply.startswith("552 5.3.4"), reply)
            with server.connect() as client:
                client.begin("alice@our.test")
                client.send("Subject: x\r\n\r\n" + "line of text\r\n" * 20_000 + ".\r\n")
                self.assertTrue(client.reply().startswith("552 5.3.4"))
                self.assertEqual(client.say("NOOP")[:3], "250")
            self.assertEqual(server.messages("alice"), [])

    def test_is_a_client_that_vanishes_in_the_middle_and_nothing_is_kept(self):
        with Server() as server:
            for size in (10, 500_000):
                with server.connect() as client:
                    client.begin("alice@our.test")
                    client.send("Subject: x\r\n\r\n" + "line of text\r\n" * (size // 14))
            wait_until(lambda: len(server.events("SessionClosed")) == 2, "both sessions to end")
            wait_until(lambda: not list((server.data / "spool/large").iterdir()),
                       "the draft's file to be removed")
            self.assertEqual(server.messages("alice"), [])


class ForeignClients(unittest.TestCase):
    """Other people's programs hand in mail."""

    def run_client(self, words, text=None, **more):
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_swaks(self):
        with Server() as server:
            self.run_client(["swaks", "--server", f"127.0.0.1:{server.port}", "--from",
                             "sender@example.org", "--to", "alice@our.test", "--body", "by swaks"])
            stored = server.wait_for_messages("alice", 1)[0].read_bytes()
            self.assertIn(b"\n\nby swaks\n", stored)

    def test_msmtp(self):
        with Server() as server:
            self.run_client(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={server.port}",
                             "--from=sender@example.org", "--auth=off", "--tls=off",
                             "alice@our.test"],
                            MESSAGE.replace("\r\n", "\n"))
            stored = server.wait_for_messages("alice", 1)[0].read_bytes()
            _, content = split_trace(stored)
            self.assertEqual(content, MESSAGE.replace("\r\n", "\n").encode())

    def test_curl(self):
        with Server() as server, tempfile.NamedTemporaryFile("w") as file:
            file.write(MESSAGE)
            file.flush()
            self.run_client(["curl", "--silent", "--show-error",
                             f"smtp://127.0.0.1:{server.port}/client.example.org",
                             "--mail-from", "sender@example.org", "--mail-rcpt", "alice@our.test",
                             "--mail-rcpt", "bob@our.test", "--upload-file", file.name])
            for user in ("alice", "bob"):
                _, content = split_trace(server.wait_for_messages(user, 1)[0].read_bytes())
                self.assertEqual(content, MESSAGE.replace("\r\n", "\n").encode())

    def test_smtp_source_sends_a_thousand(self):
        with Server() as server:
            libraries = PEERS / "postfix" / "libraries.env"
            self.assertTrue(libraries.exists(), "unpack postfix with tools/peers")
            source = PEERS / "postfix/usr/sbin/smtp-source"
            self.run_client(["bash", "-c",
                             f". {libraries} && exec {source} -s 20 -m 1000 -l 10240 "
                             f"-f sender@example.org -t alice@our.test 127.0.0.1:{server.port}"])
            server.wait_for_messages("alice", 1000)
            sizes = {path.stat().st_size for path in server.messages("alice")}
            self.assertGreater(min(sizes), 10_000)

    def test_postrider_send_shows_its_dialogue(self):
        with Server() as server:
            done = server.command("send", "--server", f"127.0.0.1:{server.port}", "--from",
                                  "sender@example.org", "--to", "alice@our.test")
            self.assertIn("C: MAIL FROM:<sender@example.org>", done.stdout)
            self.assertRegex(done.stdout, r"S: 250 2\.0\.0 Queued as ")
            server.wait_for_messages("alice", 1)
            refused = server.command("send", "--server", f"127.0.0.1:{server.port}", "--from",
                                     "sender@example.org", "--to", "nobody@our.test", check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("550 5.1.1", refused.stderr)


if __name__ == "__main__":
    unittest.main()
