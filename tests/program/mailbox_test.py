"""What Postrider puts into a Maildir, read back by Dovecot over IMAP and POP3 with curl as the
reader: octet for octet what the client sent, after our trace fields."""

import os
import pwd
import re
import shutil
import unittest

from messages import EIGHT_BIT, message, messages
from peer import IS_ROOT, MAIL_USER, hand_in
from peers import Dovecot
from server import Server, wait_until

TRACE = re.compile(
    rb"Return-Path: <(?P<sender>[^>\r\n]*)>\r\n"
    rb"Delivered-To: (?P<recipient>[^\r\n]+)\r\n"
    rb"Received: from client\.example\.org [^\r\n]*(\r\n[ \t][^\r\n]+)*\r\n")


class MailboxServer(Server):
    """As an operator runs it: started as root, it becomes the user whom the mailboxes belong to."""

    def __init__(self, **settings):
        super().__init__(**settings)
        user = MAIL_USER if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
        if IS_ROOT:
            shutil.chown(self.directory, user)
        self.config.write_text(self.config.read_text().replace('user = "root"', f'user = "{user}"'))

    def reader(self):
        return Dovecot(mailboxes=self.data / "mail" / "our.test")

    def accept(self, to, content, parameters=""):
        reply = hand_in(self.port, to, content, parameters)
        assert reply.startswith("250"), reply
        return reply.split()[-1]


def subject_of(octets):
    return re.search(rb"^Subject: (.*)\r\n", octets, re.MULTILINE).group(1).decode()


class Mailbox(unittest.TestCase):
    maxDiff = 1000

    def check(self, got, sent, recipient="alice@our.test"):
        """`got`, a message as a reader has it, is trace fields and then exactly `sent`."""
        trace, content = got[:len(got) - len(sent)], got[len(got) - len(sent):]
        if content != sent:
            self.fail(f"{subject_of(sent)}: {len(got)} octets were read of {len(sent)} sent; "
                      f"they end with {got[-100:]!r}")
        fields = TRACE.fullmatch(trace)
        self.assertIsNotNone(fields, trace[-500:])
        self.assertEqual(fields["sender"], b"sender@example.org")
        self.assertEqual(fields["recipient"], recipient.encode())

    def check_all(self, read, sent, recipient="alice@our.test"):
        self.assertEqual(len(read), len(sent))
        by_subject = {subject_of(octets): octets for octets in read}
        for name, content in sent.items():
            with self.subTest(message=name):
                self.check(by_subject[name], content, recipient)

    def read_back(self, line_ends):
        sent = messages()
        with MailboxServer(delivery=f'line_ends = "{line_ends}"') as server:
            for name, content in sent.items():
                server.accept("alice@our.test", content,
                              " BODY=8BITMIME" if name in EIGHT_BIT else "")
            server.wait_for_messages("alice", len(sent))
            with server.reader() as reader:
                self.check_all(reader.all_by_imap(), sent)
                by_pop3 = reader.all_by_pop3()
                self.check_all(by_pop3, sent)
                # What POP3 announces (RFC 1939 §5, LIST) is what it sends.
                sizes = [int(line.split()[1]) for line in reader.pop3().splitlines() if line]
                self.assertEqual(sorted(sizes), sorted(len(octets) for octets in by_pop3))

    def test_with_lf_is_read_as_it_was_sent(self):
        self.read_back("lf")

    def test_with_crlf_is_read_as_it_was_sent(self):
        self.read_back("crlf")

    def test_holds_eight_bit_content_that_was_not_announced(self):
        content = messages()["8-bit"]
        with MailboxServer() as server:
            server.accept("alice@our.test", content)
            server.wait_for_messages("alice", 1)
            with server.reader() as reader:
                self.check(reader.all_by_imap()[0], content)
                self.check(reader.all_by_pop3()[0], content)

    def test_of_each_of_a_hundred_recipients_holds_one_copy(self):
        users = [f"user{number}" for number in range(100)]
        content = messages()["dots"]
        server = MailboxServer(domain='mailboxes_file = "users.txt"')
        (server.directory / "users.txt").write_text("\n".join(users) + "\n")
        with server:
            # all stands for alice and bob; sales for carol.
            server.accept([f"{user}@our.test" for user in users] +
                          ["all@our.test", "bob@our.test", "sales+x@our.test"], content)
            users += ["alice", "bob", "carol"]
            wait_until(lambda: len(server.events("Delivered")) == len(users), "every delivery")
            with server.reader() as reader:
                for user in users:
                    read = reader.all_by_imap(user)
                    self.assertEqual(len(read), 1, user)
                    trace = TRACE.match(read[0])
                    self.assertIsNotNone(trace, user)
                    self.assertEqual(read[0][trace.end():], content, user)
                for user in ("user0", "user99", "alice"):
                    self.assertEqual(len(reader.all_by_pop3(user)), 1, user)

    def test_names_no_recipient_to_another(self):
        content = messages()["plain"]
        with MailboxServer() as server:
            server.accept(["alice@our.test", "bob@our.test"], content)
            for user in ("alice", "bob"):
                server.wait_for_messages(user, 1)
            with server.reader() as reader:
                self.assertNotIn(b"bob@", reader.all_by_imap("alice")[0])
                trace = TRACE.match(reader.all_by_imap("bob")[0])
                self.assertEqual(trace["recipient"], b"bob@our.test")
                self.assertNotIn(b"alice@", trace.group(0))


class RepeatedDelivery(unittest.TestCase):
    def test_finds_the_copy_that_a_reader_has_moved_and_flagged(self):
        """The process dies after a copy got its name and before that was recorded; meanwhile a
        reader has taken the copy from new to cur. To hold that moment, strace delays the sync of
        the folder new until the process is killed."""
        with MailboxServer() as server:
            server.accept("alice@our.test", message("first", b"makes the Maildir\r\n"))
            wait_until(lambda: server.events("Delivered"), "the first message")
            self.assertEqual(server.stop(), 0)

            server.wrapper = ["strace", "-f", "-qq", "-o", str(server.directory / "calls"),
                              "-P", str(server.maildir("alice") / "new"),
                              "-e", "trace=fsync,fdatasync",
                              "-e", "inject=fsync,fdatasync:delay_enter=600s"]
            server.start()
            identity = server.accept("alice@our.test", message("second", b"comes once\r\n"))
            wait_until(lambda: any(identity in path.name for path in server.messages("alice")),
                       "the second message to be seen")
            with server.reader() as reader:
                reader.imap("INBOX", "--request", "STORE 1:* +FLAGS (\\Seen \\Flagged)")
                moved = list((server.maildir("alice") / "cur").glob(f"*{identity}*"))
                self.assertEqual(len(moved), 1)
                self.assertTrue(moved[0].name.endswith(":2,FS"), moved[0].name)
                self.assertEqual(server.events("Delivered"), [])
                server.kill()

                server.wrapper = []
                server.start()
                wait_until(lambda: any(identity in line for line in server.events("Delivered")),
                           "the second delivery of the second message")
                self.assertEqual(sorted(path.parent.name for path in server.messages("alice")),
                                 ["cur", "cur"])
                read = reader.all_by_imap()
                self.assertEqual(sorted(subject_of(octets) for octets in read),
                                 ["first", "second"])
                self.assertEqual(len(reader.all_by_pop3()), 2)
                flagged = reader.imap("INBOX", "--request", "SEARCH FLAGGED SEEN")
                self.assertEqual(len(flagged.split()[2:]), 2)


if __name__ == "__main__":
    unittest.main()
