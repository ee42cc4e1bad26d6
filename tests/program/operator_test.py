"""What an operator does and meets: commands, signals, mistakes, bad days."""

import re
import shutil
import signal
import struct
import subprocess
import unittest
import zlib

from server import Server, program, wait_until

MESSAGE = "Subject: x\r\n\r\ntext\r\n"


class Commands(unittest.TestCase):
    def test_status_and_queue_list_answer(self):
        with Server() as server:
            with server.connect() as client:
                client.deliver("alice@our.test", MESSAGE)
            server.wait_for_messages("alice", 1)
            self.assertIn('"commits"', server.ask("status"))
            wait_until(lambda: "0 in the queue" in server.ask("queue", "list"), "an empty queue")

    def test_without_a_server_they_say_so(self):
        done = subprocess.run([program(), "status", "--socket", "/nonexistent/socket"],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 69)
        self.assertIn("/nonexistent/socket", done.stderr)

    def test_check_finds_every_mistake_with_line_and_column(self):
        server = Server()
        server.config.write_text('hostname = "mail.our.test"\nusr = "x"\n[[listner]]\n'
                                 'address = "127.0.0.1:0"\n')
        done = server.command("check", "--config", str(server.config), check=False)
        self.assertEqual(done.returncode, 78)
        self.assertIn(f'{server.config}:2:1: ', done.stderr)
        self.assertIn("did you mean 'user'", done.stderr)
        self.assertIn(f'{server.config}:3:', done.stderr)
        self.assertIn("did you mean 'listener'", done.stderr)
        shutil.rmtree(server.directory)

    def test_reload_takes_a_new_mailbox_and_refuses_a_broken_file(self):
        with Server() as server:
            before = server.config.read_text()
            with server.connect() as client:
                client.say("EHLO c.example.org")
                client.say("MAIL FROM:<a@b.example>")
                self.assertTrue(client.say("RCPT TO:<dave@our.test>").startswith("550"))
                server.config.write_text(before.replace('"carol"]', '"carol", "dave"]', 1))
                self.assertIn("reloaded", server.ask("reload"))
                client.say("RSET")
                client.say("MAIL FROM:<a@b.example>")
                self.assertTrue(client.say("RCPT TO:<dave@our.test>").startswith("250"))
            server.config.write_text("nonsense = 1\n")
            done = server.command("reload", "--socket", str(server.admin_socket), check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("nonsense", done.stderr)
            server.config.write_text(before.replace('"carol"]', '"carol", "frank"]', 1))
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.events("Reloaded")) == 2, "the reload by SIGHUP")

    def test_the_log_goes_on_in_a_new_file_after_rotation(self):
        server = Server(top="")
        log = server.directory / "rotated.log"
        text = server.config.read_text().replace("[log]", f'[log]\nfile = "{log}"')
        server.config.write_text(text)
        server.spawn()
        try:
            wait_until(lambda: log.exists() and "event=Listening" in log.read_text(), "the log")
            log.rename(server.directory / "old.log")
            server.process.send_signal(signal.SIGUSR1)
            server.port = int(re.search(r"127\.0\.0\.1:(\d+)",
                                        (server.directory / "old.log").read_text()).group(1))
            wait_until(log.exists, "the new file")
            with server.connect() as client:
                client.deliver("alice@our.test", MESSAGE)
            wait_until(lambda: "event=MessageAccepted" in log.read_text(), "a line in the new file")
        finally:
            server.kill()
            shutil.rmtree(server.directory)


class Stopping(unittest.TestCase):
    def test_sigterm_lets_a_transaction_finish_and_idle_clients_go(self):
        with Server() as server:
            idle = self.enterContext(server.connect())
            idle.say("EHLO idle.example.org")
            busy = self.enterContext(server.connect())
            busy.begin("alice@our.test")
            server.process.send_signal(signal.SIGTERM)
            self.assertTrue(idle.reply().startswith("421 4.3.2"))
            self.assertEqual(idle.file.read(), b"")
            busy.send(MESSAGE + ".\r\n")
            self.assertTrue(busy.reply().startswith("250"))
            self.assertEqual(server.process.wait(60), 0)
            self.assertTrue(server.events("Stopped"))
            server.process = None
            server.start()
            server.wait_for_messages("alice", 1)
            self.assertIn("clean=yes", server.events("SpoolOpened")[0])

    def test_a_second_server_on_the_same_spool_is_refused(self):
        with Server() as first:
            second = Server(directory=first.directory)
            second.log_path = first.directory / "log2"
            second.spawn()
            self.assertEqual(second.process.wait(60), 69)
            second.process = None
            self.assertRegex(second.log_path.read_text(), "another process|lock")


class BadDisks(unittest.TestCase):
    def test_a_spool_of_a_newer_program_is_refused_by_name(self):
        with Server() as server:
            with server.connect() as client:
                client.deliver("alice@our.test", MESSAGE)
            server.wait_for_messages("alice", 1)
            server.stop()
            segment = sorted((server.data / "spool/segments").iterdir())[0]
            self.set_version(segment, 999)
            server.spawn()
            self.assertEqual(server.process.wait(60), 69)
            server.process = None
            self.assertIn("999", server.log())

    def set_version(self, segment, version):
        """Writes the header anew with another version, as docs/spool-format.md describes it:
        version at octet 8, at octet 60 the CRC of all before it."""
        with open(segment, "r+b") as file:
            header = bytearray(file.read(64))
            struct.pack_into("<I", header, 8, version)
            struct.pack_into("<I", header, 60, zlib.crc32(bytes(header[:60])))
            file.seek(0)
            file.write(header)

    def test_a_damaged_segment_is_told_and_the_rest_is_delivered(self):
        with Server(queue='') as server:
            # Nothing can be delivered while the mailboxes' folder is a file, so all stays.
            server.stop()
            shutil.rmtree(server.data / "mail", ignore_errors=True)
            (server.data / "mail").write_text("in the way")
            server.start()
            with server.connect() as client:
                for number in range(3):
                    reply = client.deliver("alice@our.test", f"Subject: n{number}\r\n\r\ntext\r\n")
                    self.assertTrue(reply.startswith("250"), reply)
            server.kill()
            for segment in (server.data / "spool/segments").iterdir():
                octets = segment.read_bytes()
                at = octets.find(b"Subject: n1")
                if at >= 0:
                    with open(segment, "r+b") as file:
                        file.seek(at)
                        file.write(b"SUBJECT")
            checked = server.command("spool", "check", str(server.data / "spool"), check=False)
            self.assertEqual(checked.returncode, 1, checked.stdout)
            self.assertIn("DAMAGED", checked.stdout)
            (server.data / "mail").unlink()
            server.start()
            server.wait_for_messages("alice", 2)
            self.assertTrue(list((server.data / "spool/damaged").iterdir()))
            server.told("SpoolDamage")
            self.assertEqual(len(server.events("SpoolDamage")), 1)


if __name__ == "__main__":
    unittest.main()
