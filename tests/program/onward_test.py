"""Mail goes on: to the next host, again after a failure, or back to its sender."""

import bounce as bounce_reader
import json
import re
import shutil
import socket
import tempfile
import unittest
from pathlib import Path

from next_host import Scripted, but, polite
from server import Server, wait_until

MESSAGE = ("From: <alice@our.test>\r\n"
           "To: <x@far.test>\r\n"
           "Subject: onward\r\n"
           "Message-ID: <onward@our.test>\r\n"
           "\r\n"
           ".a dot\r\n"
           "text\r\n")


def relaying(port, **more):
    """A server of ours that hands far.test to 127.0.0.1:port and retries soon."""
    queue = more.pop("queue", "") + '\nbackoff_first = "1s"\nbackoff_max = "1s"\n'
    domain = more.pop("domain", "")
    route = f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{port}"\n'
    return Server(smtp_networks='["127.0.0.0/8"]', queue=queue, domain=domain + "\n" + route, **more)


class Relayed(unittest.TestCase):
    def test_octet_for_octet_with_our_received_in_front(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            with server.connect() as client:
                reply = client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
                identity = reply.split()[-1]
            content = wait_until(lambda: far.messages, "the message at the far end")[0].decode()
            begin = content.index("From: ")
            self.assertEqual(content[begin:], MESSAGE)
            self.assertTrue(content.startswith("Received: from client.example.org"))
            self.assertIn(identity, content[:begin])
            wait_until(lambda: server.events("Delivered"), "the outcome in the log")
            self.assertIn('"entries": 0', server.ask("status"))

    def test_many_messages_over_few_connections(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            with server.connect() as client:
                for _ in range(200):
                    client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
            wait_until(lambda: len(far.messages) == 200, "all messages at the far end")
            self.assertLess(far.connections, 200)

    def test_again_after_a_temporary_failure_of_one_recipient_only(self):
        replies = [b"250 ok\r\n", b"451 4.7.1 greylisted, come again\r\n"]
        with Scripted(but(RCPT=replies)) as far, relaying(far.port) as server:
            with server.connect() as client:
                client.deliver(["x@far.test", "y@far.test"], MESSAGE, sender="alice@our.test")
            wait_until(lambda: len(far.messages) == 2, "both transactions")
            deferred = wait_until(lambda: server.events("Deferred"), "the deferral in the log")
            self.assertEqual(len(deferred), 1)
            self.assertIn("to=y@far.test", deferred[0])

    def test_after_the_next_host_took_it_but_its_answer_was_lost(self):
        with Scripted(but(DOT=[None])) as far, relaying(far.port) as server:
            with server.connect() as client:
                client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
            wait_until(lambda: len(far.messages) == 1, "the second attempt")

    def test_after_421_anywhere(self):
        for verb in ("HELLO", "EHLO", "MAIL", "RCPT", "DATA", "DOT"):
            with self.subTest(verb), Scripted(but(**{verb: [b"421 4.3.2 going down\r\n"]})) as far:
                with relaying(far.port) as server:
                    with server.connect() as client:
                        client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
                    wait_until(lambda: len(far.messages) == 1, "the message after " + verb)

    def test_when_a_dead_host_comes_back(self):
        with socket.create_server(("127.0.0.1", 0)) as placeholder:
            port = placeholder.getsockname()[1]
        with relaying(port) as server:
            with server.connect() as client:
                client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
            wait_until(lambda: server.events("Deferred"), "a first failure")
            listing = server.ask("queue", "list")
            self.assertIn("Connection", listing)
            with Scripted(polite, port=port) as far:
                server.ask("queue", "retry", "--domain", "far.test")
                wait_until(lambda: far.messages, "the message")


class Forwarded(unittest.TestCase):
    def test_a_copy_stays_and_one_goes_on_with_a_mark(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            with server.connect() as client:
                client.deliver(["erin@our.test", "bob@our.test"], MESSAGE, sender="s@else.test")
            content = wait_until(lambda: far.messages, "the forwarded copy")[0].decode()
            self.assertTrue(content.startswith("Delivered-To: erin@our.test\r\nReceived: "), content)
            self.assertEqual(content[content.index("From: "):], MESSAGE)
            for user in ("erin", "bob"):
                kept = server.wait_for_messages(user, 1)[0].read_text()
                self.assertIn(f"Delivered-To: {user}@our.test\n", kept)

    def test_a_message_that_comes_back_is_not_forwarded_again(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            with server.connect() as client:
                client.deliver("away@our.test", "Delivered-To: away@our.test\r\n" + MESSAGE,
                               sender="alice@our.test")
            bounce = server.wait_for_messages("alice", 1)[0].read_text()
            self.assertIn("Status: 5.4.6", bounce)
            self.assertIn("mail loop", bounce)
            self.assertEqual(far.messages, [])


class Piped(unittest.TestCase):
    """Mail for a program: what it reads, and what its exit code means."""

    def server(self, script):
        folder = Path(tempfile.mkdtemp(prefix="postrider-pipe-"))
        self.addCleanup(shutil.rmtree, folder)
        program = folder / "program"
        program.write_text("#!/bin/sh\n" + script.format(folder=folder))
        program.chmod(0o755)
        self.folder = folder
        domain = (f'[[domain]]\nname = "pipe.test"\nmailboxes = ["p"]\n'
                  f'deliver_to = "pipe:{program} {{sender}} {{recipient}}"\n')
        return Server(domain=domain, smtp_networks='["127.0.0.0/8"]')

    def test_it_reads_the_message_and_exit_0_is_delivered(self):
        with self.server("cat > {folder}/got; echo \"$1 $2 $SENDER $USER_NOT_SET\" > {folder}/words\n") \
                as server:
            with server.connect() as client:
                client.deliver("p@pipe.test", MESSAGE, sender="alice@our.test")
            wait_until(lambda: server.events("Delivered"), "the delivery")
            got = (self.folder / "got").read_text()
            self.assertTrue(got.startswith("Return-Path: <alice@our.test>\nDelivered-To: p@pipe.test\n"))
            self.assertTrue(got.endswith(MESSAGE.replace("\r\n", "\n")))
            self.assertEqual((self.folder / "words").read_text(),
                             "alice@our.test p@pipe.test alice@our.test \n")

    def test_exit_67_is_a_bounce_with_its_last_words(self):
        with self.server("cat > /dev/null; echo no such person here; exit 67\n") as server:
            with server.connect() as client:
                client.deliver("p@pipe.test", MESSAGE, sender="alice@our.test")
            bounce = server.wait_for_messages("alice", 1)[0].read_text()
            self.assertIn("Status: 5.1.1", bounce)
            self.assertIn("no such person here", bounce)

    def test_exit_75_is_tried_again(self):
        script = ("cat > /dev/null; test -e {folder}/again && exit 0; "
                  "touch {folder}/again; echo later; exit 75\n")
        with self.server(script) as server:
            with server.connect() as client:
                client.deliver("p@pipe.test", MESSAGE, sender="alice@our.test")
            wait_until(lambda: server.events("Delivered"), "the second attempt")
            self.assertEqual(len(server.events("Deferred")), 1)


class Bounced(unittest.TestCase):
    def bounce_of(self, server, count=1):
        return server.wait_for_messages("alice", count)[-1].read_text()

    def assert_is_a_report(self, text, recipient, action, status):
        """As a program reads it that was tried on other people's bounces (bounce_test.py)."""
        self.assertEqual(bounce_reader.faults(text.encode()), [])
        groups = bounce_reader.read(text.encode())
        self.assertEqual([(g.recipient, g.action, g.status) for g in groups],
                         [(recipient, action, status)])

    def test_with_the_words_of_the_next_host(self):
        with Scripted(but(RCPT=b"550 5.1.1 nobody of that name\r\n")) as far:
            with relaying(far.port) as server:
                with server.connect() as client:
                    client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
                bounce = self.bounce_of(server)
        self.assertTrue(bounce.startswith("Return-Path: <>\n"), bounce[:100])
        self.assertIn("Subject: Your message could not be delivered", bounce)
        self.assertIn("Final-Recipient: rfc822; x@far.test\nAction: failed\nStatus: 5.1.1\n", bounce)
        self.assertIn("nobody of that name", bounce)
        self.assert_is_a_report(bounce, "x@far.test", "failed", "5.1.1")
        self.assertIn("In-Reply-To: <onward@our.test>", bounce)
        self.assertIn(MESSAGE.replace("\r\n", "\n"), bounce)

    def test_never_when_its_sender_is_null(self):
        with Scripted(but(RCPT=b"550 no\r\n")) as far, relaying(far.port) as server:
            with server.connect() as client:
                client.deliver("x@far.test", MESSAGE, sender="")
            wait_until(lambda: server.events("Failed"), "the failure")
            wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")
            self.assertEqual(server.messages("alice"), [])

    def test_a_notice_of_delay_says_what_the_next_host_said(self):
        with Scripted(but(RCPT=b"452 4.2.2 the mailbox is full\r\n")) as far:
            with relaying(far.port, queue='delay_notice = "1s"') as server:
                with server.connect() as client:
                    client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
                notice = self.bounce_of(server)
        self.assert_is_a_report(notice, "x@far.test", "delayed", "4.2.2")
        self.assertIn("Diagnostic-Code: smtp; 452 4.2.2 the mailbox is full", notice)

    def test_when_it_is_too_old(self):
        with relaying(1, queue='expiry = "1m"\ndelay_notice = "2s"') as server:
            with server.connect() as client:
                client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
            first = self.bounce_of(server)
            self.assertIn("Action: delayed", first)
            self.assert_is_a_report(first, "x@far.test", "delayed", "4.4.1")
            server.wait_for_messages("alice", 2, limit=90)
            all_texts = [path.read_text() for path in server.messages("alice")]
            self.assertTrue(any("Action: failed" in text for text in all_texts))


class Operated(unittest.TestCase):
    def test_held_released_removed_and_given_back(self):
        with Scripted(but(RCPT=b"451 later\r\n")) as far:
            with relaying(far.port, queue="") as server:
                with server.connect() as client:
                    for user in ("x", "y", "z"):
                        client.deliver(f"{user}@far.test", MESSAGE, sender="alice@our.test")
                wait_until(lambda: len(server.events("Deferred")) >= 3, "three deferrals")
                preview = server.ask("queue", "hold", "--all", "--preview")
                self.assertIn("3 would be touched", preview)
                self.assertNotIn("held", server.ask("queue", "list"))

                def held():
                    server.ask("queue", "hold", "--all")
                    return "3 in the queue" in server.ask("queue", "list", "--state", "held")
                wait_until(held, "all to be held")
                listing = server.ask("queue", "list", "--limit", "2")
                self.assertIn("3 in the queue, of which the first 2 are shown", listing)
                self.assertEqual(listing.count(" held "), 2)
                rows = [json.loads(line) for line in
                        server.ask("queue", "list", "--limit", "4", "--json").splitlines()]
                self.assertEqual(len(rows), 3)
                for row in rows:
                    self.assertEqual((row["site"], row["sender"], row["recipients"], row["state"],
                                      row["last_failure"]),
                                     (f"host:[127.0.0.1]:{far.port}", "our.test", 1, "held",
                                      "Mailbox"))
                    self.assertGreaterEqual(row["attempts"], 1)
                    self.assertGreater(row["age_seconds"], 0)
                self.assert_is_the_table(listing, rows)
                again = [json.loads(line) for line in
                         server.ask("queue", "hold", "--all", "--json").splitlines()]
                self.assertEqual([row["done"] for row in again[:3]], [True] * 3)
                self.assertEqual((again[3]["matched"], again[3]["changed"]), (3, 3))
                self.assertIn("1 of 1 done", server.ask("queue", "remove", "--recipient",
                                                        "x@far.test"))
                self.assertIn("1 of 1 done", server.ask("queue", "bounce", "--recipient",
                                                        "y@far.test"))
                self.assertIn("z@far.test",
                              server.ask("queue", "list", "--json") and
                              server.ask("queue", "show", self.only_id(server)))
                self.assertIn("451 later", server.ask("show", self.only_id(server)))
                far.answer = polite
                server.ask("queue", "release", "--error", "later")
                wait_until(lambda: far.messages, "the released message")
                self.assertEqual(len(far.messages), 1)
                bounce = server.wait_for_messages("alice", 1)[0].read_text()
                self.assertIn("y@far.test", bounce)
                wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")
                self.assertEqual(len(server.messages("alice")), 1)

    def assert_is_the_table(self, listing, rows):
        """The first of the rows, each value below the heading of its column."""
        head, *lines = listing.splitlines()
        for line, row in zip(lines[:2], rows):
            self.assertEqual(line.split()[:3], [row["id"], "held", "1"])
            for title, value in (("ID", row["id"]), ("STATE", "held"), ("SITE", row["site"]),
                                 ("LAST FAILURE", "Mailbox")):
                self.assertTrue(line[head.index(title):].startswith(value), listing)
            for title, value in (("RCPT", "1"), ("TRY", str(row["attempts"]))):
                self.assertTrue(line[:head.index(title) + len(title)].endswith(value), listing)

    def test_a_domain_is_found_among_others_of_its_site(self):
        routes = "".join(f'[[route]]\ndomain = "{name}.test"\nhost = "127.0.0.1:{{port}}"\n'
                         for name in ("near", "third"))
        with Scripted(but(RCPT=b"451 later\r\n")) as far:
            with relaying(far.port, domain=routes.format(port=far.port)) as server:
                with server.connect() as client:
                    for recipients in (["x@near.test"], ["x@far.test"],
                                       ["y@far.test", "y@NEAR.test"], ["z@third.test"]):
                        client.deliver(recipients, MESSAGE, sender="alice@our.test")
                for domain, count in (("near.test", 2), ("FAR.test", 2), ("third.test", 1),
                                      ("fourth.test", 0)):
                    with self.subTest(domain):
                        self.assertIn(f"{count} in the queue",
                                      server.ask("queue", "list", "--domain", domain))

    def only_id(self, server):
        return re.search(r'"id":"([0-9A-Z]{13})"', server.ask("queue", "list", "--state", "held", "--json")).group(1)


class Restarted(unittest.TestCase):
    def test_it_remembers_what_waits_and_when(self):
        with Scripted(but(RCPT=b"451 later\r\n")) as far:
            with relaying(far.port, queue="") as server:
                with server.connect() as client:
                    client.deliver("x@far.test", MESSAGE, sender="alice@our.test")
                wait_until(lambda: server.events("Deferred"), "a first failure")
                server.kill()
                far.answer = polite
                server.start()
                wait_until(lambda: far.messages, "the message after the restart")


class Remembered(unittest.TestCase):
    """What postrider show knows of a message that is finished, or of an earlier life."""

    def attempts(self, server):
        """The files of attempts and what is in them; the oldest may go at any moment."""
        found = {}
        for path in sorted((server.data / "spool/attempts").glob("*.log")):
            try:
                found[path] = path.read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                pass
        return found

    def octets(self, server):
        return sum(len(octets) for octets in self.attempts(server).values())

    def deliver(self, server, to):
        with server.connect() as client:
            return client.deliver(to, MESSAGE, sender="alice@our.test").split()[-1]

    def wait_until_written(self, server, identity):
        wanted = self.number(identity).to_bytes(8, "little")
        wait_until(lambda: any(wanted in octets for octets in self.attempts(server).values()),
                   f"the attempts of {identity} on disk")

    def number(self, identity):
        """base/id.h: Crockford's base 32."""
        value = 0
        for letter in identity:
            value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
        return value

    def test_a_finished_message_is_told_with_what_became_of_each_recipient(self):
        replies = [b"250 ok\r\n", b"550 5.1.1 nobody of that name\r\n"]
        with Scripted(but(RCPT=replies)) as far, relaying(far.port) as server:
            identity = self.deliver(server, ["x@far.test", "y@far.test", "bob@our.test"])
            server.wait_for_messages("bob", 1)
            server.wait_for_messages("alice", 1)  # the report on y
            wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")
            self.check_finished(server, identity)
            self.assertEqual(server.stop(), 0)
            server.start()
            self.check_finished(server, identity)

    def check_finished(self, server, identity):
        told = server.ask("show", identity)
        self.assertIn(f"Message    {identity}\n", told)
        self.assertIn("Sender     <alice@our.test>\n", told)
        self.assertIn("no longer in the spool\n", told)
        self.assertIn("Recipient  <x@far.test> relayed\n", told)
        self.assertIn("Recipient  <y@far.test> failed\n", told)
        self.assertIn("Recipient  <bob@our.test> delivered\n", told)
        self.assertEqual(told.count("\nAttempt 1  "), 2, told)  # at far.test, and here
        self.assertIn("C: RCPT TO:<y@far.test>", told)
        self.assertIn("S: 550 5.1.1 nobody of that name", told)
        rows = server.ask("show", identity, "--json").splitlines()
        self.assertTrue(any('"finished"' in row for row in rows), rows)

    def test_after_a_kill_what_was_written_is_there_and_new_attempts_come_behind(self):
        with Scripted(but(RCPT=b"451 4.7.1 come again\r\n")) as far:
            with relaying(far.port) as server:
                identity = self.deliver(server, "x@far.test")
                self.wait_until_written(server, identity)
                server.kill()
                server.start()
                told = server.ask("show", identity)
                self.assertIn("Recipient  <x@far.test> waiting", told)
                self.assertIn("\nAttempt 1  ", told)
                self.assertIn("S: 451 4.7.1 come again", told)
                far.answer = polite
                wait_until(lambda: far.messages, "the message")
                wait_until(lambda: "Recipient  <x@far.test> relayed" in
                           server.ask("show", identity), "its end")
                told = server.ask("show", identity)
                self.assertIn("\nAttempt 1  ", told)
                self.assertIn("S: 354", told)

    def test_what_an_operator_ended_says_so(self):
        with Scripted(but(RCPT=b"451 later\r\n")) as far:
            with relaying(far.port) as server:
                identity = self.deliver(server, ["x@far.test"])
                wait_until(lambda: server.events("Deferred"), "a failure")
                wait_until(lambda: "1 of 1" in server.ask("queue", "remove", "--id", identity) or
                           "no longer" in server.ask("show", identity), "the removal")
                told = server.ask("show", identity)
                self.assertIn("Recipient  <x@far.test> removed\n", told)
                self.assertIn("\nEnded  ", told)
                self.assertRegex(told, r"removed by \S+")

    def test_damaged_files_cost_what_they_held_and_nothing_else(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            lost, kept = (self.deliver(server, "x@far.test") for _ in range(2))
            self.wait_until_written(server, kept)
            self.assertEqual(server.stop(), 0)
            (path, octets), = self.attempts(server).items()
            at = octets.index(self.number(lost).to_bytes(8, "little"))
            path.write_bytes(octets[:at + 40] + b"#" + octets[at + 41:] + octets[:100])  # torn end
            (path.parent / "00000000.log").write_bytes(b"no attempts" * 1000)
            (path.parent / "99999999.log").mkdir()
            (path.parent / "stranger").write_text("left alone")
            server.start()
            self.assertIn("relayed", server.ask("show", kept))
            told = server.command("show", lost, "--socket", str(server.admin_socket), check=False)
            self.assertNotEqual(told.returncode, 0)
            self.assertIn("stands in the log", told.stderr)
            another = self.deliver(server, "x@far.test")
            self.wait_until_written(server, another)
            for identity in (kept, another):
                self.assertIn("relayed", server.ask("show", identity))
            self.assertEqual((path.parent / "stranger").read_text(), "left alone")
            self.assertFalse(server.events("AttemptsNotWritten"))

    def test_a_folder_that_cannot_be_written_is_told_once_and_mail_goes_on(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            self.assertEqual(server.stop(), 0)
            folder = server.data / "spool/attempts"
            shutil.rmtree(folder)
            folder.write_text("in the way")
            server.start()
            first = self.deliver(server, "x@far.test")
            second = self.deliver(server, "bob@our.test")
            wait_until(lambda: len(far.messages) == 1, "the message")
            server.wait_for_messages("bob", 1)
            for identity in (first, second):
                wait_until(lambda: "no longer in the spool" in server.ask("show", identity),
                           "its end, from memory")
            server.told("AttemptsNotWritten")
            self.assertEqual(len(server.events("AttemptsNotWritten")), 1)

    def test_with_0_nothing_is_on_disk_and_with_a_limit_no_more_than_that(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            identity = self.deliver(server, "x@far.test")
            self.wait_until_written(server, identity)
            text = server.config.read_text()
            server.config.write_text(text.replace("[spool]", '[spool]\nattempts_max = "0"'))
            self.assertIn("reloaded", server.ask("reload"))
            wait_until(lambda: not self.attempts(server), "the files to go")
            identity = self.deliver(server, "x@far.test")
            wait_until(lambda: "relayed" in server.ask("show", identity), "it, from memory")
            self.assertEqual(self.octets(server), 0)
            server.config.write_text(text.replace("[spool]", '[spool]\nattempts_max = "64 KiB"'))
            self.assertIn("reloaded", server.ask("reload"))
            with server.connect() as client:
                for _ in range(400):
                    client.deliver("bob@our.test", MESSAGE)
            last = self.deliver(server, "bob@our.test")
            self.wait_until_written(server, last)
            self.assertLessEqual(self.octets(server), 64 * 1024)
            self.assertIn("delivered", server.ask("show", last))


if __name__ == "__main__":
    unittest.main()
