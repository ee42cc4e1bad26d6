"""The sendmail front: what local programs call. With the server up, down, and down then up.

The front is run with -C, so it uses this test's socket and drop directory and no privilege.
"""

import os
import re
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from server import LIMIT, Server, program, wait_until

MESSAGE = "Subject: x\nTo: alice@our.test\n\nhello\n.dot\n"


class Front(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="postrider-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = self.directory / "data"
        self.drop = self.directory / "drop"
        self.drop.mkdir(mode=0o730)
        os.chmod(self.drop, 0o730)
        self.socket = self.data / "submit.socket"
        self.settings = self.directory / "sendmail.conf"
        self.settings.write_text(f"socket = {self.socket}\ndrop_directory = {self.drop}\n"
                                 f"hostname = host.our.test\n"
                                 f"admin_socket = {self.data}/admin.sock\n")
        self.binary = program("POSTRIDER_SENDMAIL", "build/release/postrider-sendmail")

    def server(self):
        return Server(directory=self.directory, top=f'drop_directory = "{self.drop}"',
                      domain=f'\n[[listener]]\naddress = "unix:{self.socket}"\n')

    def send(self, *words, message=MESSAGE, name=None):
        """Runs the front; returns the finished process."""
        command = [self.binary, "-C", str(self.settings), *words]
        if name:
            link = self.directory / name
            if not link.exists():
                link.symlink_to(self.binary)
            command[0] = str(link)
        return subprocess.run(command, input=message, capture_output=True, text=True, timeout=LIMIT)

    def assertCode(self, done, code):
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)

    def dropped(self):
        return sorted(path for path in self.drop.iterdir() if path.is_file())


class ServerUp(Front):
    def test_a_message_arrives_with_the_fields_it_lacked(self):
        with self.server() as server:
            self.assertCode(self.send("-i", "alice@our.test"), 0)
            text = server.wait_for_messages("alice", 1)[0].read_text()
            head, _, body = text.partition("\n\n")
            self.assertEqual(body, "hello\n.dot\n")
            self.assertRegex(head, r"\nDate: ")
            self.assertRegex(head, r"\nMessage-ID: <[^>]+@host.our.test>")
            self.assertRegex(head, r"\nFrom: .*@host.our.test>?\n")
            self.assertEqual(self.dropped(), [])

    def test_t_reads_the_recipients_and_hides_bcc(self):
        with self.server() as server:
            message = "To: Alice <alice@our.test>\nBcc: bob@our.test\nSubject: x\n\nbody\n"
            self.assertCode(self.send("-t", message=message), 0)
            for user in ("alice", "bob"):
                text = server.wait_for_messages(user, 1)[0].read_text()
                self.assertNotIn("Bcc", text)
                self.assertIn("To: Alice <alice@our.test>", text)

    def test_f_names_the_envelope_sender_and_a_dot_ends_the_message(self):
        with self.server() as server:
            done = self.send("-fme@example.org", "alice@our.test",
                             message="Subject: x\n\none\n.\ntwo\n")
            self.assertCode(done, 0)
            text = server.wait_for_messages("alice", 1)[0].read_text()
            self.assertTrue(text.startswith("Return-Path: <me@example.org>\n"), text)
            self.assertTrue(text.endswith("\n\none\n"), text)

    def test_a_refusal_is_told_at_once_and_nothing_is_dropped(self):
        with self.server():
            done = self.send("nobody@our.test")
            self.assertCode(done, 67)
            self.assertIn("nobody@our.test", done.stderr)
            self.assertEqual(self.dropped(), [])

    def test_one_bad_recipient_does_not_keep_the_others_from_theirs(self):
        with self.server() as server:
            self.assertCode(self.send("nobody@our.test", "alice@our.test"), 67)
            server.wait_for_messages("alice", 1)

    def test_bs_carries_a_session(self):
        with self.server() as server:
            done = self.send("-bs", message=(
                "EHLO local\nMAIL FROM:<a@b.example>\nRCPT TO:<alice@our.test>\n"
                "QUIT\n").replace("\n", "\r\n"))
            self.assertCode(done, 0)
            codes = [line[:3] for line in done.stdout.splitlines() if line[3:4] == " "]
            self.assertEqual(codes, ["220", "250", "250", "250", "221"])

    def test_mailq_shows_the_queue(self):
        with self.server():
            done = self.send(name="mailq", message="")
            self.assertCode(done, 0)
            self.assertIn("in the queue", done.stdout)


class ServerDown(Front):
    def test_the_message_is_left_as_a_whole_file_of_the_sender(self):
        self.assertCode(self.send("-i", "-f", "me@example.org", "alice@our.test"), 0)
        (path,) = self.dropped()
        info = path.stat()
        self.assertEqual(stat.S_IMODE(info.st_mode), 0o640)
        self.assertEqual(info.st_uid, os.getuid())
        octets = path.read_bytes()
        self.assertTrue(octets.startswith(
            b"POSTRIDER-DROP 1\r\nMAIL FROM:<me@example.org>\r\n"
            b"RCPT TO:<alice@our.test>\r\nDATA\r\n"), octets)
        self.assertTrue(octets.endswith(b"\r\n\r\nhello\r\n.dot\r\n"), octets)
        self.assertFalse(re.search(rb"(?<!\r)\n", octets))

    def test_bs_says_that_the_server_does_not_answer(self):
        done = self.send("-bs", message="QUIT\r\n")
        self.assertCode(done, 75)
        self.assertTrue(done.stdout.startswith("421 4.3.2 "), done.stdout)

    def test_without_a_drop_directory_the_caller_is_told_to_keep_his_message(self):
        self.drop.rmdir()
        done = self.send("alice@our.test")
        self.assertCode(done, 75)
        self.assertIn(str(self.drop), done.stderr)

    def test_mistakes_have_the_codes_of_sysexits(self):
        self.assertCode(self.send(), 64)
        self.assertCode(self.send("-z", "a@b.example"), 64)
        self.assertCode(self.send("-t", message="Subject: x\n\n"), 64)
        self.assertCode(self.send("a b@c@d"), 65)
        self.assertCode(self.send("-t", message="To: <open\n\n"), 65)
        self.settings.write_text("nonsense\n")
        self.assertCode(self.send("a@b.example"), 78)

    def test_q_and_newaliases_say_how_it_is_done_here(self):
        self.assertCode(self.send("-q", message=""), 0)
        done = self.send(name="newaliases", message="")
        self.assertCode(done, 0)
        self.assertIn("postrider reload", done.stderr)


class DownThenUp(Front):
    def test_what_was_left_is_delivered_when_the_server_starts(self):
        self.assertCode(self.send("-t", message="To: alice@our.test\nBcc: bob@our.test\n\nx\n"), 0)
        with self.server() as server:
            for user in ("alice", "bob"):
                self.assertNotIn("Bcc", server.wait_for_messages(user, 1)[0].read_text())
            wait_until(lambda: self.dropped() == [], "an empty drop directory")

    def test_what_is_left_while_it_runs_is_found_too(self):
        with self.server() as server:
            settings = self.settings.read_text()
            self.settings.write_text(settings.replace(str(self.socket), "/nonexistent"))
            self.assertCode(self.send("alice@our.test"), 0)
            server.wait_for_messages("alice", 1)

    def test_a_refused_one_is_kept_and_told(self):
        self.assertCode(self.send("nobody@our.test"), 0)
        with self.server() as server:
            wait_until(lambda: server.events("DropRefused"), "the refusal in the log")
            self.assertEqual(len(list((self.drop / "refused").iterdir())), 1)
            self.assertEqual(self.dropped(), [])

    def test_a_link_is_not_followed(self):
        secret = self.directory / "secret"
        secret.write_bytes(b"POSTRIDER-DROP 1\r\nMAIL FROM:<a@b.example>\r\n"
                           b"RCPT TO:<alice@our.test>\r\nDATA\r\nA: b\r\n\r\nsecret\r\n")
        (self.drop / "1").symlink_to(secret)
        with self.server() as server:
            wait_until(lambda: server.events("DropRefused"), "the refusal in the log")
            self.assertEqual(server.messages("alice"), [])


if __name__ == "__main__":
    unittest.main()
