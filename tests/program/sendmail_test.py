"""The sendmail front: what local programs call. With the server up, down, and down then up.

Most run it with -C, so it uses this test's socket and drop directory and no privilege; Installed
has it as an operator installs it.
"""

import grp
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from peer import IS_ROOT, NEEDS_ROOT
from server import LIMIT, ROOT, Server, program, wait_until

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


class Group:
    """What `groupadd` and `usermod` would have made, in an /etc that only the test's programs see
    (a mount namespace of their own): the users, and the group of which only the server is a
    member."""

    SERVER, MARA, NILS, DROP = range(4)
    NAMES = ["postrider-t", "mara", "nils", "postrider-drop-t"]

    def __init__(self, directory):
        used = {entry.pw_uid for entry in pwd.getpwall()}
        used |= {entry.gr_gid for entry in grp.getgrall()}
        free = (number for number in range(61000, 64000) if number not in used)
        self.ids = [next(free) for _ in self.NAMES]
        self.etc = directory / "etc"
        (self.etc / "postrider").mkdir(parents=True)
        for name in ("nsswitch.conf", "ld.so.cache", "localtime"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), self.etc)
        users = zip(self.NAMES[:self.DROP], self.ids)
        (self.etc / "passwd").write_text("root:x:0:0::/:/bin/sh\n" + "".join(
            f"{name}:x:{number}:{number}:{name.capitalize()} Test:/:/bin/sh\n"
            for name, number in users))
        members = [""] * self.DROP + [self.NAMES[self.SERVER]]
        (self.etc / "group").write_text("root:x:0:\n" + "".join(
            f"{name}:x:{number}:{member}\n"
            for name, number, member in zip(self.NAMES, self.ids, members)))

    def __getitem__(self, who):
        return self.ids[who]

    def wrapper(self, *words):
        return ["unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /etc; exec "$@"',
                str(self.etc), *words]

    def as_user(self, who):
        """Words before a command that make it this user's, with no group but his own."""
        number = self.ids[who]
        return self.wrapper("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups")


def folder_that_honours_setgid():
    for parent in (None, Path(ROOT, "build")):
        directory = Path(tempfile.mkdtemp(prefix="postrider-test-", dir=parent))
        if not os.statvfs(directory).f_flag & os.ST_NOSUID:
            return directory
        directory.rmdir()
    raise unittest.SkipTest("every folder at hand is mounted nosuid")


@unittest.skipUnless(IS_ROOT, f"each of them {NEEDS_ROOT}")
class Installed(unittest.TestCase):
    """As docs/sendmail.md has it installed: the front setgid, the drop directory 0730, the server
    an ordinary user who is a member of the group, the callers users who are not."""

    def setUp(self):
        self.directory = folder_that_honours_setgid()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o755)
        self.group = group = Group(self.directory)
        self.drop = self.folder("drop", 0o730, group[group.DROP])
        self.run = self.folder("run", 0o2750, group[group.DROP])
        self.folder("data", 0o755, group[group.SERVER])
        self.socket = self.run / "submit.sock"
        (group.etc / "postrider/sendmail.conf").write_text(
            f"socket = {self.socket}\ndrop_directory = {self.drop}\nhostname = host.our.test\n")
        self.front = self.directory / "sbin/postrider-sendmail"
        self.front.parent.mkdir()
        shutil.copy(program("POSTRIDER_SENDMAIL", "build/release/postrider-sendmail"), self.front)
        os.chown(self.front, 0, group[group.DROP])
        self.front.chmod(0o2755)

    def folder(self, name, mode, gid):
        path = self.directory / name
        path.mkdir()
        os.chown(path, self.group[Group.SERVER], gid)
        path.chmod(mode)
        return path

    def server(self):
        route = '[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:1"\n'  # nobody answers there
        server = Server(directory=self.directory, wrapper=self.group.wrapper(),
                        top=f'drop_directory = "{self.drop}"',
                        domain=f'\n[[listener]]\naddress = "unix:{self.socket}"\n' + route)
        text = server.config.read_text()
        server.config.write_text(text.replace('"root"', f'"{Group.NAMES[Group.SERVER]}"'))
        return server

    def send(self, who, *words, message=MESSAGE):
        return subprocess.run([*self.group.as_user(who), str(self.front), *words], input=message,
                              capture_output=True, text=True, timeout=LIMIT)

    def assertCode(self, done, code):
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)

    def shell(self, who, script, *words):
        """Whether the user's shell can do it."""
        done = subprocess.run([*self.group.as_user(who), "sh", "-c", script, "sh", *map(str, words)],
                              capture_output=True, timeout=LIMIT)
        return done.returncode == 0

    def dropped(self):
        return sorted(path for path in self.drop.iterdir() if path.is_file())

    def test_a_drop_belongs_to_its_sender_and_the_server_delivers_it_in_his_name(self):
        group = self.group
        self.assertCode(self.send(Group.MARA, "alice@our.test"), 0)
        (path,) = self.dropped()
        info = path.stat()
        self.assertEqual(info.st_uid, group[Group.MARA])
        self.assertEqual(info.st_gid, group[Group.DROP])
        self.assertEqual(stat.S_IMODE(info.st_mode), 0o640)
        with self.server() as server:
            text = server.wait_for_messages("alice", 1)[0].read_text()
            wait_until(lambda: not self.dropped(), "an empty drop directory")
            status = Path(f"/proc/{server.process.pid}/status").read_text()
            self.assertEqual(re.search(r"\nUid:\t(.*)\n", status).group(1).split(),
                             [str(group[Group.SERVER])] * 4)
        self.assertTrue(text.startswith("Return-Path: <mara@host.our.test>\n"), text)
        self.assertRegex(text, r"\nFrom: .*mara@host.our.test>?\n")

    def test_another_user_cannot_list_read_write_or_remove_there(self):
        self.assertCode(self.send(Group.MARA, "alice@our.test"), 0)
        (path,) = self.dropped()
        before = path.read_bytes()
        own = self.directory / "own"
        own.write_bytes(before)
        own.chmod(0o644)
        # Nor can the sender himself; what he may do, the front does for him.
        for who in (Group.NILS, Group.MARA):
            for script in ('ls "$1"', 'cat "$2"', 'cp "$3" "$1"/forged', ': > "$1"/forged',
                           ': > "$2"', 'ln "$3" "$1"/forged', 'ln -s "$3" "$1"/forged',
                           'mv "$2" "$1"/forged', 'rm -f "$2"; test $? = 0', 'chmod 0666 "$2"'):
                self.assertFalse(self.shell(who, script, self.drop, path, own), (who, script))
        self.assertTrue(self.shell(Group.NILS, 'cat "$1"', own), "the commands themselves work")
        self.assertEqual(self.dropped(), [path])
        self.assertEqual(path.read_bytes(), before)

    def test_who_names_another_sender_is_still_known_by_the_owner_of_the_file(self):
        forged = "From: boss@our.test\nSender: boss@our.test\nReturn-Path: <boss@our.test>\n"
        done = self.send(Group.NILS, "-f", "boss@our.test", "alice@our.test", "x@far.test",
                         message=forged + "Subject: x\n\nhello\n")
        self.assertCode(done, 0)
        (path,) = self.dropped()
        self.assertEqual(path.stat().st_uid, self.group[Group.NILS])
        with self.server() as server:
            text = server.wait_for_messages("alice", 1)[0].read_text()
            # Any reverse-path, as over SMTP; but only one, and not from the header.
            self.assertEqual(text.count("Return-Path: "), 1, text)
            accepted = wait_until(lambda: server.events("MessageAccepted"), "the message")
            identity = re.search(r" id=(\w+)", accepted[0]).group(1)
            told = server.ask("show", identity, "--json")
            self.assertIn(f'"account":"uid:{self.group[Group.NILS]}"', told)

    def test_a_sender_that_is_no_address_leaves_nothing(self):
        for sender in ("a@b>\r\nRCPT TO:<evil@our.test", "a@b\nDATA\n", "two words@b.example",
                       "<a@b.example", "@", "a" * 65 + "@b.example"):
            with self.subTest(sender=sender):
                done = self.send(Group.NILS, "-f", sender, "alice@our.test")
                self.assertIn(done.returncode, (64, 65), done.stderr)
                self.assertEqual(self.dropped(), [])

    def test_with_the_server_up_the_group_reaches_its_socket_and_others_do_not(self):
        with self.server() as server:
            wait_until(lambda: self.socket.exists(), "the socket")
            self.assertEqual(self.socket.stat().st_gid, self.group[Group.DROP])
            self.assertCode(self.send(Group.MARA, "-v", "alice@our.test"), 0)
            server.wait_for_messages("alice", 1)
            self.assertFalse(server.events("DropDelayed"))
            self.assertFalse(self.shell(Group.MARA, 'ls "$1"', self.run))
            # Without the bit the same program reaches neither socket nor drop directory.
            self.front.chmod(0o755)
            self.assertCode(self.send(Group.MARA, "alice@our.test"), 75)
            self.assertEqual(self.dropped(), [])

    def test_who_chooses_the_settings_loses_the_group_first(self):
        own = self.directory / "own.conf"
        own.write_text((self.group.etc / "postrider/sendmail.conf").read_text())
        own.chmod(0o644)
        self.assertCode(self.send(Group.MARA, "-C", str(own), "alice@our.test"), 75)
        self.assertEqual(self.dropped(), [])

    def test_programs_that_the_front_runs_do_not_get_the_group(self):
        told = self.front.parent / "postrider"
        told.write_text('#!/bin/sh\ngrep -E "^(Gid|Groups):" /proc/self/status\n')
        told.chmod(0o755)
        done = self.send(Group.MARA, "-bp", message="")
        self.assertCode(done, 0)
        gid = self.group[Group.MARA]
        self.assertEqual(done.stdout.split(), ["Gid:", *[str(gid)] * 4, "Groups:"])

    def test_a_server_that_is_no_member_leaves_the_drop_and_says_so(self):
        self.assertCode(self.send(Group.MARA, "alice@our.test"), 0)
        groups = self.group.etc / "group"
        groups.write_text(groups.read_text().replace(f":{Group.NAMES[Group.SERVER]}\n", ":\n"))
        with self.server() as server:
            wait_until(lambda: server.events("DropDelayed"), "the complaint")
            self.assertEqual(len(self.dropped()), 1)
            self.assertEqual(server.messages("alice"), [])


class MainBinary(unittest.TestCase):
    def test_it_is_built_without_setuid_and_setgid(self):
        for path in (program(), program("POSTRIDER_SENDMAIL", "build/release/postrider-sendmail")):
            self.assertEqual(os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID), 0, path)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_with_either_bit_it_refuses_to_run(self):
        directory = folder_that_honours_setgid()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)
        group = Group(directory)
        binary = directory / "postrider"
        shutil.copy(program(), binary)
        os.chown(binary, 0, group[Group.DROP])
        for mode in (0o4755, 0o2755, 0o6755):
            binary.chmod(mode)
            done = subprocess.run([*group.as_user(Group.NILS), str(binary), "--version"],
                                  capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 78, (oct(mode), done))
            self.assertIn("setuid", done.stderr)
            self.assertEqual(done.stdout, "")
        binary.chmod(0o755)
        done = subprocess.run([*group.as_user(Group.NILS), str(binary), "--version"],
                              capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 0, done)


if __name__ == "__main__":
    unittest.main()
