"""docs/interop.md against what happens: Postrider and other people's programs, both directions.

With POSTRIDER_WRITE_DOCS=1 the page is written. Haraka runs where build/peers/haraka has it
(tools/peers does not: it is no Debian package); with POSTRIDER_INTEROP=all its absence is a failure.
"""

import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path
from urllib.parse import quote

import interop
from certificates import Authority
from interop import INTERNATIONAL, LETTERS, SECURE, hand_in, holds
from mailbox_test import MailboxServer
from peer import IS_ROOT, NEEDS_ROOT
from peers import Dovecot, Exim, Haraka, OpenSmtpd, Postfix
from peers_auth import (SECRET, USER, EximWithAuth, HarakaWithAuth, OpenSmtpdWithAuth,
                        PostfixWithAuth, SendmailWithAuth)
from peers_sendmail import Sendmail
from server import Server, wait_until
from submitting import SubmissionServer, plain
from wire import Wire

TO_US = "To Postrider"
FROM_US = "From Postrider"


def at_our_mailboxes(server):
    """For interop.run: whether each of its users has the letter."""
    def arrived(letter):
        # The names of folders are in ASCII.
        if all(any(holds(path.read_bytes(), letter) for path in server.messages(quote(user)))
               for user in letter.users):
            return "arrived"
        return None
    return arrived


def with_international(server):
    """The same with one mailbox more."""
    (server.directory / "users.txt").write_text(INTERNATIONAL + "\n")
    return server


MORE_USERS = 'mailboxes_file = "users.txt"\n'


class PostfixThatForwards(Postfix):
    """As in front of a filter: it says who its client is."""

    def write(self, name, text):
        if name == "main.cf":
            text += "smtp_send_xforward_command = yes\n"
        return super().write(name, text)


class PostfixByLmtp(Postfix):
    def write(self, name, text):
        if name == "main.cf":
            text += f"relayhost =\ndefault_transport = lmtp:inet:127.0.0.1:{self.onward}\n"
        return super().write(name, text)


class EximByLmtp(Exim):
    path = None

    def write(self, name, text):
        if name == "exim.conf":
            # Every address here is "local" to it: it hands them to a transport for local delivery.
            begin, rest = text.split("onward:\n  driver = manualroute\n", 1)
            rest = rest.split("begin transports", 1)[1].split("onward:\n", 1)[0]
            text = (f"{begin}onward:\n  driver = accept\n  transport = onward\nbegin transports{rest}"
                    f"onward:\n  driver = lmtp\n  socket = {self.path}\n  batch_max = 100\n"
                    "  user = Debian-exim\n  return_path_add = false\n"
                    "begin retry\n* * F,4d,1s\n")
        return super().write(name, text)


class Interop(unittest.TestCase):
    results = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="postrider-interop-"))
        cls.folder.chmod(0o755)
        cls.authority = Authority(cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)
        if os.environ.get("POSTRIDER_WRITE_DOCS"):
            interop.write(interop.PAGE, cls.results)

    def check(self, title, program, cells):
        self.results[title, program] = cells
        if os.environ.get("POSTRIDER_WRITE_DOCS"):
            return
        page = interop.rows_of(interop.PAGE.read_text())
        self.assertEqual(page.get((title, program)),
                         {name: cells.get(name, "-") for name in interop.FEATURES})

    # --- servers hand in

    def hands_in(self, name, kind, kind_with_auth=None):
        proxies = 'xforward_networks = ["127.0.0.1"]\nxclient_networks = ["127.0.0.1"]'
        with with_international(Server(smtp=proxies, domain=MORE_USERS)) as server, Wire(server.port) as wire, \
                kind(onward=wire.port) as peer:
            cells = interop.run(
                LETTERS, wire, lambda letter: hand_in(peer.port, letter, "our.test"),
                at_our_mailboxes(server))
        if kind_with_auth:
            cells |= self.logs_in(lambda port: kind_with_auth(
                onward=port, tls=self.authority.issue("peer.test")))
        self.check(TO_US, name, cells)

    def logs_in(self, peer_for):
        """Where only STARTTLS and AUTH let anybody in."""
        ours = self.authority.issue("mail.our.test", "127.0.0.1").lines()
        with SubmissionServer(closed=True, more=ours) as server:
            server.add(USER, password=SECRET)
            with Wire(server.submission_port) as wire, peer_for(wire.port) as peer:
                return self.secure_cells(
                    wire, lambda: hand_in(peer.port, SECURE, "our.test", USER),
                    at_our_mailboxes(server), lambda: server.events("LoggedIn"))

    def secure_cells(self, wire, send, arrived, logged_in):
        """arrived: see at_our_mailboxes; logged_in() is waited for, None where nobody does."""
        send()
        wait_until(lambda: arrived(SECURE), "the letter under TLS")
        self.assertTrue(interop.was_used("STARTTLS", wire))
        if logged_in is None:
            return {"STARTTLS": "used"}
        wait_until(logged_in, "the login")
        return {"STARTTLS": "used", "AUTH": "used"}

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_postfix_hands_in(self):
        self.hands_in("Postfix", PostfixThatForwards, PostfixWithAuth)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_exim_hands_in(self):
        self.hands_in("Exim", Exim, EximWithAuth)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_opensmtpd_hands_in(self):
        self.hands_in("OpenSMTPD", OpenSmtpd, OpenSmtpdWithAuth)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_sendmail_hands_in(self):
        self.hands_in("Sendmail", Sendmail, SendmailWithAuth)

    @unittest.skipUnless(Haraka.is_there(), Haraka.MISSING)
    def test_haraka_hands_in(self):
        self.hands_in("Haraka", Haraka, HarakaWithAuth)

    def test_haraka_is_there_where_all_are_asked_for(self):
        if os.environ.get("POSTRIDER_INTEROP") == "all":
            self.assertTrue(Haraka.is_there(), Haraka.MISSING)

    def hands_in_by_lmtp(self, name, wire_for, kind, without=None):
        lmtp = '[[listener]]\naddress = "127.0.0.1:0"\nprotocol = "lmtp"'
        with with_international(Server(top=lmtp, domain=MORE_USERS)) as server, \
                wire_for(server) as wire, kind(wire) as peer:
            chosen = [letter for letter in LETTERS if letter.name != without]
            cells = interop.run(
                chosen, wire, lambda letter: hand_in(peer.port, letter, "our.test"),
                at_our_mailboxes(server))
            if without:
                wire.forget()
                hand_in(peer.port, next(one for one in LETTERS if one.name == without), "our.test")
                wait_until(lambda: [line for line in wire.commands() if line.startswith("RCPT")
                                    and not line.isascii()], "the recipient")
                wait_until(lambda: "RSET" in wire.commands() or "QUIT" in wire.commands(), "the end")
                self.assertEqual(server.messages(quote(INTERNATIONAL)), [])
                cells[without] = "refused"
            self.check(TO_US, name, cells)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_postfix_hands_in_by_lmtp(self):
        def kind(wire):
            return PostfixByLmtp(onward=wire.port)
        self.hands_in_by_lmtp("Postfix (LMTP over TCP)", lambda server: Wire(server.port), kind)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_exim_hands_in_by_lmtp(self):
        def kind(wire):
            return type("ByLmtp", (EximByLmtp,), {"path": wire.path})(onward=1)
        # Its transport knows no SMTPUTF8, and gives the address on all the same.
        self.hands_in_by_lmtp("Exim (LMTP over a Unix socket)", lambda server: Wire(
            server.data / "lmtp.socket", self.folder), kind, without="UTF-8 address")

    def test_dovecot_submits_for_its_users(self):
        """It says who they are with XCLIENT, and logs in itself."""
        with with_international(SubmissionServer(smtp='xclient_networks = ["127.0.0.1"]',
                                                 domain=MORE_USERS)) as server:
            server.add(USER, password=SECRET)
            with Wire(server.submission_port) as wire, \
                    Dovecot(onward=wire.port, relay_login=(USER, SECRET)) as peer:
                cells = interop.run(
                    LETTERS, wire, lambda letter: hand_in(
                        peer.submission_port, letter, "our.test", USER, plain("alice", "secret")),
                    at_our_mailboxes(server))
                wait_until(lambda: server.events("LoggedIn"), "the login")
                self.check(TO_US, "Dovecot (submission)", cells | {"AUTH": "used"})

    # --- we hand on

    def hands_on(self, name, kind, protocol="smtp", secured=None):
        """secured(): the peer where STARTTLS is offered, and whether it asks for a login."""
        with kind() as peer, Wire(peer.port) as wire:
            way = f'[[route]]\ndomain = "far.test"\nhost = "[127.0.0.1]:{wire.port}"'
            domain = "far.test"
            if protocol == "lmtp":
                way, domain = "", "our.test"
            # In plaintext, so that the wire can be read.
            server = Server(smtp_networks='["127.0.0.0/8"]', domain=MORE_USERS
                            + self.lmtp_to(wire, protocol) + way + '\n[tls]\noutbound = "off"\n')
            with with_international(server):
                cells = interop.run(
                    LETTERS, wire,
                    lambda letter: hand_in(server.port, letter, domain, "erin@our.test"),
                    self.arrived_or_returned(peer, server))
        if secured:
            cells |= self.we_log_in(*secured())
        self.check(FROM_US, name, cells)

    @staticmethod
    def arrived_or_returned(peer, server):
        def arrived(letter):
            # By LMTP the sender's own mailbox is there too.
            kept = peer.messages()
            if any(holds(octets, letter) for octets in kept):
                return "arrived"
            kept += [path.read_bytes() for path in server.messages("erin")]
            if any(b"Action: failed" in octets and letter.subject in octets for octets in kept):
                return "returned"
            return None
        return arrived

    def we_log_in(self, peer, password):
        """password: of USER there, or None where nobody logs in."""
        with peer, Wire(peer.port) as wire:
            way = f'[relay]\nsmarthost = "[127.0.0.1]:{wire.port}"\nsmarthost_tls = "required"\n'
            if password:
                file = self.folder / "password"
                file.write_text(password + "\n")
                way += f'smarthost_user = "{USER}"\nsmarthost_password_file = "{file}"\n'
            with Server(smtp_networks='["127.0.0.0/8"]', domain=way) as server:
                # It takes nothing without one.
                return self.secure_cells(
                    wire, lambda: hand_in(server.port, SECURE, "far.test", USER),
                    self.arrived_or_returned(peer, server), (lambda: True) if password else None)

    @staticmethod
    def lmtp_to(wire, protocol):
        return f'deliver_to = "lmtp:127.0.0.1:{wire.port}"\n' if protocol == "lmtp" else ""

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_postfix_takes(self):
        with Dovecot() as dovecot:
            socket = dovecot.directory / "run/auth-client"
            wait_until(socket.exists, "Dovecot's socket")
            kind = type("WithDovecot", (PostfixWithAuth,), {"dovecot": socket})
            self.hands_on("Postfix", Postfix, secured=lambda: (
                kind(tls=self.authority.issue("peer.test")), "secret"))

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_exim_takes(self):
        kind = type("ClosedExim", (EximWithAuth,), {"closed": True})
        self.hands_on("Exim", Exim, secured=lambda: (
            kind(tls=self.authority.issue("peer.test")), SECRET))

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_opensmtpd_takes(self):
        # This build of it offers STARTTLS and cannot do it (README.md), and AUTH needs TLS there.
        self.hands_on("OpenSMTPD", OpenSmtpd)

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_sendmail_takes(self):
        self.hands_on("Sendmail", Sendmail, secured=lambda: (
            Sendmail(tls=self.authority.issue("peer.test")), None))

    @unittest.skipUnless(Haraka.is_there(), Haraka.MISSING)
    def test_haraka_takes(self):
        kind = type("ClosedHaraka", (HarakaWithAuth,), {"closed": True})
        self.hands_on("Haraka", Haraka, secured=lambda: (
            kind(tls=self.authority.issue("peer.test")), SECRET))

    @unittest.skipUnless(IS_ROOT, NEEDS_ROOT)
    def test_dovecot_takes_by_lmtp(self):
        self.hands_on("Dovecot (LMTP)", Dovecot, "lmtp")

    def test_dovecot_reads_our_maildirs(self):
        """Over IMAP and POP3; nothing of SMTP is between."""
        with MailboxServer() as server:
            # Without literal8 (RFC 3516) IMAP can show no NUL; what a Maildir holds of such a message
            # is shown by esmtp_test.py.
            chosen = [letter for letter in LETTERS
                      if letter.name not in ("BINARYMIME", "UTF-8 address")]
            cells = {}
            for letter in chosen:
                self.assertTrue(hand_in(server.port, letter, "our.test"))
                wait_until(lambda letter=letter: at_our_mailboxes(server)(letter), letter.name)
            with server.reader() as reader:
                for letter in chosen:
                    ways = (reader.all_by_imap, reader.all_by_pop3)
                    whole = all(any(holds(octets, letter) for octets in way(user))
                                for way in ways for user in letter.users)
                    self.assertTrue(whole, letter.name)
                    about_content = letter.name not in ("DSN", "DELIVERBY")
                    cells[letter.name] = "used" if about_content else "arrived"
            self.check(FROM_US, "Dovecot (IMAP and POP3 over our Maildir)", cells)

    # --- clients

    def client(self, name, send, letters):
        """send(letter, port, file, login): login says whether STARTTLS and AUTH are wanted."""
        def hand(letter, port, sender="sender@example.org", login=False):
            with tempfile.NamedTemporaryFile(suffix=".eml") as file:
                file.write(letter.content(sender))
                file.flush()
                return send(letter, port, Path(file.name), sender, login) is not False

        with with_international(Server(domain=MORE_USERS)) as server, Wire(server.port) as wire:
            chosen = [letter for letter in LETTERS if letter.name in letters]
            cells = interop.run(chosen, wire, lambda letter: hand(letter, wire.port),
                                at_our_mailboxes(server))
        ours = self.authority.issue("mail.our.test", "127.0.0.1").lines()
        with SubmissionServer(closed=True, more=ours) as server:
            server.add(USER, password=SECRET)
            with Wire(server.submission_port) as wire:
                cells |= self.secure_cells(
                    wire, lambda: hand(SECURE, wire.port, USER, True), at_our_mailboxes(server),
                    lambda: server.events("LoggedIn"))
        self.check(TO_US, name, cells)

    COMMON = ("plain", "8BITMIME", "three recipients", "5 MiB")

    @staticmethod
    def recipients(letter):
        return [f"{user}@our.test" for user in letter.users]

    def test_swaks(self):
        def send(letter, port, file, sender, login):
            more = ["--pipeline"] if letter.name == "plain" else []
            if login:
                more = ["--tls", "--auth", "PLAIN", "--auth-user", USER, "--auth-password", SECRET]
            subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", sender,
                            "--to", ",".join(self.recipients(letter)), "--helo", "c.example.org",
                            "--data", f"@{file}", "--silent", "3", *more], check=True)
        self.client("swaks", send, self.COMMON)

    def test_msmtp(self):
        def send(letter, port, file, sender, login):
            more = ["--tls=off"]
            if letter.name == "DSN":
                more += ["--dsn-notify=success,failure", "--dsn-return=hdrs"]
            if login:
                more = ["--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "--auth=plain",
                        f"--user={USER}", f"--passwordeval=echo {SECRET}"]
            with open(file, "rb") as content:
                subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={port}", f"--from={sender}",
                                "--domain=c.example.org", *more, "--", *self.recipients(letter)],
                               stdin=content, check=True)
        self.client("msmtp", send, self.COMMON + ("DSN",))

    def test_curl(self):
        def send(letter, port, file, sender, login):
            more = [word for to in self.recipients(letter) for word in ("--mail-rcpt", to)]
            if login:
                more += ["--ssl-reqd", "--insecure", "--user", f"{USER}:{SECRET}"]
            subprocess.run(["curl", "--silent", "--show-error", f"smtp://127.0.0.1:{port}/c.example.org",
                            "--mail-from", sender, *more, "--upload-file", str(file)], check=True)
        self.client("curl", send, self.COMMON)

    def test_smtplib(self):
        def send(letter, port, file, sender, login):
            with smtplib.SMTP("127.0.0.1", port, "c.example.org") as client:
                client.ehlo()
                if login:
                    client.starttls(context=ssl._create_unverified_context())
                    client.login(USER, SECRET)
                client.sendmail(sender, self.recipients(letter), file.read_bytes(),
                                mail_options=letter.mail.split(), rcpt_options=letter.rcpt.split())
        # It has no BDAT.
        self.client("Python's smtplib", send, [letter.name for letter in LETTERS
                                               if letter.name != "BINARYMIME"])


if __name__ == "__main__":
    unittest.main()
