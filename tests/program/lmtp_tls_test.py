"""LMTP under TLS: as a client of Dovecot's, and as a server for a client by Python's smtplib."""

import shutil
import smtplib
import ssl
import tempfile
import unittest
from pathlib import Path

from certificates import Authority
from messages import message
from peer import hand_in
from peers import Dovecot
from server import LIMIT, Client, Server, wait_until

CONTENT = message("under tls", b"text\r\n")
SOON = 'local_backoff_first = "1s"\nlocal_backoff_max = "1s"'


class LmtpUnderTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="postrider-lmtp-"))
        cls.folder.chmod(0o755)
        cls.authority = Authority(cls.folder)
        cls.ours = cls.authority.issue("mail.our.test")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)


class ToDovecot(LmtpUnderTls):
    def delivering(self, peer, policy="", tls=""):
        rule = f'[[tls_policy]]\ndestinations = ["our.test"]\n{policy}\n' if policy else ""
        return Server(domain=f'deliver_to = "lmtp:127.0.0.1:{peer.port}"\n{rule}'
                             f'[tls]\nroots_file = "{self.authority.root}"\n{tls}')

    def taken_by(self, peer, told, **more):
        with self.delivering(peer, **more) as server:
            identity = hand_in(server.port, "alice@our.test", CONTENT).split()[-1]
            kept = peer.wait_for_messages(1)[0]
            wait_until(lambda: server.events("Delivered"), "the delivery")
            shown = server.ask("show", identity)
            self.assertRegex(shown, told)
            return kept, shown

    def test_a_verified_one_gets_mail_under_tls(self):
        issued = self.authority.issue("127.0.0.1")
        with Dovecot(tls=issued) as peer:
            kept, shown = self.taken_by(peer, r"TLS: TLSv1\.3 TLS_\w+.*, certificate verified",
                                        policy='tls = "verified"\nnames = ["127.0.0.1"]')
            self.assertIn("C: STARTTLS", shown)
            self.assertIn("C: LHLO", shown.split("C: STARTTLS")[1])
            # What Dovecot says about the connection that it came by.
            self.assertRegex(kept.split(b"by mail.our.test")[0], rb"with LMTPS?\b")
            self.assertIn(b"with LMTPS", kept)

    def test_a_wrong_name_makes_the_mail_wait(self):
        with Dovecot(tls=self.authority.issue("other.test")) as peer:
            with self.delivering(peer, 'tls = "verified"\nnames = ["dovecot.test"]') as server:
                identity = hand_in(server.port, "alice@our.test", CONTENT).split()[-1]
                wait_until(lambda: server.events("Deferred"), "an attempt")
                self.assertIn("ostname mismatch", server.ask("show", identity))
                self.assertEqual(peer.messages(), [])

    def test_opportunistic_is_the_default(self):
        with Dovecot(tls=self.authority.issue("other.test")) as peer:
            kept, _ = self.taken_by(peer, "certificate not verified")
            self.assertIn(b"with LMTPS", kept)

    def test_without_tls_where_it_is_required_the_mail_waits(self):
        with Dovecot() as peer, self.delivering(peer, 'tls = "required"') as server:
            identity = hand_in(server.port, "alice@our.test", CONTENT).split()[-1]
            wait_until(lambda: server.events("Deferred"), "an attempt")
            self.assertIn("does not offer STARTTLS", server.ask("show", identity))
            self.assertEqual(peer.messages(), [])


class FromClients(LmtpUnderTls):
    LISTENER = '[[listener]]\naddress = "127.0.0.1:0"\nprotocol = "lmtp"\n'

    def server(self, more=""):
        return Server(domain=self.ours.lines() + self.LISTENER + more)

    def context(self):
        context = ssl.create_default_context(cafile=str(self.authority.root))
        context.check_hostname = False
        return context

    def test_smtplib_says_starttls_and_hears_a_reply_for_each(self):
        with self.server() as server:
            with smtplib.LMTP("127.0.0.1", server.ports[1]) as client:
                client.sock.settimeout(LIMIT)
                client.ehlo("client.example.org")
                self.assertTrue(client.has_extn("starttls"))
                client.starttls(context=self.context())
                client.ehlo("client.example.org")
                self.assertFalse(client.has_extn("starttls"))
                self.assertEqual(client.mail("sender@example.org")[0], 250)
                for recipient in ("alice@our.test", "bob@our.test"):
                    self.assertEqual(client.rcpt(recipient)[0], 250)
                self.assertEqual(client.docmd("DATA")[0], 354)
                client.send(CONTENT + b".\r\n")
                for recipient in (b"alice@our.test", b"bob@our.test"):
                    code, text = client.getreply()
                    self.assertEqual(code, 250, text)
            for user in ("alice", "bob"):
                trace = server.wait_for_messages(user, 1)[0].read_bytes().split(b"Subject:")[0]
                self.assertIn(b"with LMTPS", trace)
                self.assertRegex(b" ".join(trace.split()), rb"\(TLSv1\.3 TLS_\w+")

    def test_what_stands_in_plaintext_behind_starttls_ends_the_session(self):
        with self.server() as server, Client(server.ports[1]) as client:
            client.say("LHLO client.example.org")
            client.send("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
            self.assertRegex(client.reply(), "^421 4.7.0 ")
            self.assertEqual(client.reply(), "")

    def test_where_tls_is_required_nothing_is_taken_without_it(self):
        with self.server("tls_required = true\n") as server, Client(server.ports[1]) as client:
            client.say("LHLO client.example.org")
            self.assertRegex(client.say("MAIL FROM:<sender@example.org>"), "^530 5.7.0 ")


if __name__ == "__main__":
    unittest.main()
