"""TLS with clients and next hosts that are other people's: STARTTLS and implicit TLS, what is
refused, what is never sent in plaintext, and certificates that change while sessions live."""

import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
import warnings
from pathlib import Path

from certificates import Authority
from messages import message
from next_host import Visit
from peer import IS_ROOT, NEEDS_ROOT, hand_in
from peers import Exim, Postfix
from server import LIMIT, Client, Server, wait_until

CONTENT = message("under tls", b"text\r\n")
IMPLICIT = '[[listener]]\naddress = "127.0.0.1:0"\ntls = "implicit"\n'
REQUIRED = '[[listener]]\naddress = "127.0.0.1:0"\ntls_required = true\n'
SOON = 'backoff_first = "1s"\nbackoff_max = "1s"'


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="postrider-tls-"))
        cls.folder.chmod(0o755)
        cls.authority = Authority(cls.folder)
        cls.ours = cls.authority.issue("mail.our.test", "our.test")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def server(self, domain="", certificate=None, **more):
        return Server(domain=(certificate or self.ours).lines() + domain, **more)

    def trusting(self):
        return ssl.create_default_context(cafile=str(self.authority.root))

    def run_client(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
        return done.returncode, done.stdout + done.stderr

    def letter(self):
        path = self.folder / "letter"
        path.write_bytes(CONTENT)
        return str(path)


class WithClients(Tls):
    def test_smtplib_in_both_versions(self):
        with self.server() as server:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = self.trusting()
                context.minimum_version = context.maximum_version = version
                with smtplib.SMTP("127.0.0.1", server.port, timeout=LIMIT) as client:
                    client._host = "mail.our.test"  # what the certificate is checked for
                    client.ehlo("client.example.org")
                    self.assertTrue(client.has_extn("starttls"))
                    client.starttls(context=context)
                    client.ehlo("client.example.org")
                    self.assertFalse(client.has_extn("starttls"))
                    client.sendmail("sender@example.org", ["alice@our.test"], CONTENT)
            for stored in server.wait_for_messages("alice", 2):
                trace = b" ".join(stored.read_bytes().split(b"Subject:")[0].split())
                self.assertIn(b"with ESMTPS", trace)
                self.assertRegex(trace, rb"\(TLSv1\.[23] TLS_\w+")

    def test_swaks_curl_and_msmtp(self):
        with self.server(IMPLICIT) as server:
            plain, implicit = server.ports
            letter = self.letter()
            root = str(self.authority.root)
            to = ["--to", "alice@our.test", "--from", "sender@example.org"]
            for words in (
                    ["swaks", "--server", "127.0.0.1", "--port", str(plain), "--tls", *to],
                    ["swaks", "--server", "127.0.0.1", "--port", str(implicit), "--tlsc", *to],
                    ["curl", "--ssl-reqd", "--cacert", root, "--resolve",
                     f"mail.our.test:{plain}:127.0.0.1", f"smtp://mail.our.test:{plain}",
                     "--mail-from", "sender@example.org", "--mail-rcpt", "alice@our.test", "-T",
                     letter],
                    ["curl", "--cacert", root, "--resolve",
                     f"mail.our.test:{implicit}:127.0.0.1", f"smtps://mail.our.test:{implicit}",
                     "--mail-from", "sender@example.org", "--mail-rcpt", "alice@our.test", "-T",
                     letter]):
                code, told = self.run_client(*words)
                self.assertEqual(code, 0, f"{words}: {told}")
            with open(letter, "rb") as content:
                done = subprocess.run(
                    ["msmtp", "--host=localhost", f"--port={plain}", "--tls=on", "--auth=off",
                     "--tls-certcheck=off", "--from=sender@example.org", "alice@our.test"],
                    stdin=content, capture_output=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 0, done.stderr)
            for stored in server.wait_for_messages("alice", 5):
                self.assertIn(b"ESMTPS", stored.read_bytes())

    def test_old_versions_are_refused_and_told(self):
        with self.server() as server:
            for version in ("-tls1", "-tls1_1"):
                code, told = self.run_client(
                    "openssl", "s_client", "-starttls", "smtp", version, "-cipher",
                    "DEFAULT@SECLEVEL=0", "-connect", f"127.0.0.1:{server.port}")
                self.assertNotEqual(code, 0)
                self.assertIn("alert protocol version", told)
            failed = wait_until(lambda: len(server.events("TlsFailed")) == 2 and
                                server.events("TlsFailed"), "both failures in the log")
            self.assertIn("unsupported protocol", failed[0])
            self.assertIn("offered=\"TLSv1 at most", failed[0])
            self.assertIn("offered=\"TLSv1.1 at most", failed[1])

    def test_commands_in_plaintext_behind_starttls_end_the_session(self):
        with self.server() as server, server.connect() as client:
            client.say("EHLO client.example.org")
            client.send("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
            self.assertRegex(client.reply(), "^421 4.7.0 ")
            self.assertEqual(client.reply(), "")
            with server.connect() as late:
                late.say("EHLO client.example.org")
                self.assertRegex(late.say("STARTTLS"), "^220 ")
                late.send("MAIL FROM:<evil@example.org>\r\nRCPT TO:<alice@our.test>\r\n")
                while late.socket.recv(1000):
                    pass
            self.assertIn("wrong version number",
                          wait_until(lambda: server.events("TlsFailed"), "a failure")[0])

    def test_without_tls_nothing_is_taken_where_it_is_required(self):
        with self.server(REQUIRED) as server:
            _, required = server.ports
            with Client(required) as client:
                client.say("EHLO client.example.org")
                self.assertRegex(client.say("MAIL FROM:<sender@example.org>"), "^530 5.7.0 ")
                self.assertRegex(client.say("STARTTLS now"), "^501 5.5.4 ")

    def shown(self, port, name):
        """The DNS names of the certificate that a client gets who asks for this host."""
        done = subprocess.run(
            ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}",
             *(["-servername", name] if name else ["-noservername"])],
            input=b"QUIT\r\n", capture_output=True, timeout=LIMIT)
        text = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"],
                              input=done.stdout, capture_output=True, timeout=LIMIT).stdout
        return sorted(re.findall(r"DNS:([^,\s]+)", text.decode()))

    def test_the_certificate_is_the_one_for_the_name(self):
        second = self.authority.issue("mx.second.test", "*.wild.test", rsa=True)
        with self.server(second.lines()) as server:
            for name, wanted in ((None, ["mail.our.test", "our.test"]),
                                 ("unknown.test", ["mail.our.test", "our.test"]),
                                 ("OUR.test", ["mail.our.test", "our.test"]),
                                 ("mx.second.test", ["*.wild.test", "mx.second.test"]),
                                 ("any.wild.test", ["*.wild.test", "mx.second.test"]),
                                 ("a.b.wild.test", ["mail.our.test", "our.test"])):
                self.assertEqual(self.shown(server.port, name), wanted, name)

    def test_each_client_gets_the_key_that_it_can_check(self):
        """Two certificates for the same names, one ECDSA, one RSA."""
        rsa = self.authority.issue("mail.our.test", "our.test", rsa=True)
        with self.server(rsa.lines()) as server:
            for takes, kind in (("RSA-PSS+SHA256", "rsaEncryption"),
                                ("ECDSA+SHA256", "id-ecPublicKey"),
                                ("ECDSA+SHA256:RSA-PSS+SHA256", "id-ecPublicKey")):
                done = subprocess.run(
                    ["openssl", "s_client", "-starttls", "smtp", "-sigalgs", takes, "-servername",
                     "mail.our.test", "-connect", f"127.0.0.1:{server.port}"],
                    input=b"QUIT\r\n", capture_output=True, timeout=LIMIT)
                text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=done.stdout,
                                      capture_output=True, timeout=LIMIT).stdout
                self.assertIn(f"Public Key Algorithm: {kind}", text.decode(), takes)

    def test_changed_files_are_read_and_no_session_is_dropped(self):
        own = self.authority.issue("mail.our.test")
        with self.server(certificate=own) as server:
            with smtplib.SMTP("127.0.0.1", server.port, timeout=LIMIT) as old:
                context = self.trusting()
                context.check_hostname = False
                old.ehlo("client.example.org")
                old.starttls(context=context)
                # A key that does not belong to it: the old pair stays.
                newer = self.authority.issue("mail.our.test", "newer.our.test")
                own.key.write_bytes(newer.key.read_bytes())
                reason = wait_until(lambda: server.events("CertificatesUnusable"), "a complaint")[0]
                self.assertIn("does not belong", reason)
                self.assertEqual(self.shown(server.port, None), ["mail.our.test"])
                asked = server.command("reload", "--socket", str(server.admin_socket), check=False)
                self.assertNotEqual(asked.returncode, 0)
                self.assertIn("does not belong", asked.stdout + asked.stderr)
                # With its certificate both are good, without a word to the server.
                own.chain.write_bytes(newer.chain.read_bytes())
                wait_until(lambda: self.shown(server.port, None) ==
                           ["mail.our.test", "newer.our.test"], "the new certificate")
                old.ehlo("client.example.org")
                old.sendmail("sender@example.org", ["alice@our.test"], CONTENT)
            server.wait_for_messages("alice", 1)

    def test_a_wrong_pair_is_refused_at_the_start(self):
        wrong = self.authority.issue("mail.our.test")
        wrong.key.write_bytes(self.ours.key.read_bytes())
        server = self.server(certificate=wrong)
        try:
            server.spawn()
            self.assertNotEqual(server.process.wait(LIMIT), 0)
            self.assertIn("does not belong to the certificate", server.log())
        finally:
            server.kill()

    def test_a_session_is_resumed(self):
        with self.server() as server:
            for version in ("-tls1_2", "-tls1_3"):
                session = self.folder / f"session{version}"
                for way, told in ((["-sess_out", str(session)], "New, "),
                                  (["-sess_in", str(session)], "Reused, ")):
                    client = subprocess.Popen(
                        ["openssl", "s_client", "-starttls", "smtp", version, "-ign_eof",
                         "-connect", f"127.0.0.1:{server.port}", *way], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                    out, _ = client.communicate(b"EHLO x\r\nNOOP\r\nQUIT\r\n", LIMIT)
                    self.assertIn(told, out.decode(errors="replace"))
            wait_until(lambda: len([line for line in server.events("TlsBegun")
                                    if "resumed=yes" in line]) == 2, "two resumed sessions")


class TlsHost:
    """A next host with TLS by Python's ssl, that may do some things wrong. Keeps what it is told, in
    plaintext and under TLS."""

    def __init__(self, issued, offers=True, behind_220=b"", breaks=False, implicit=False, old=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if old:  # speaks TLS 1.0 and 1.1 only
            self.context.set_ciphers("DEFAULT@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self.context.minimum_version = ssl.TLSVersion.TLSv1
                self.context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.context.load_cert_chain(issued.chain, issued.key)
        self.offers, self.behind_220, self.breaks = offers, behind_220, breaks
        self.implicit = implicit
        self.plain, self.secured, self.visits, self.resumed = [], [], [], []
        self.messages = []  # (secured, content)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, source = self.listener.accept()
            except OSError:
                return
            self.visits.append(Visit(source[0]))
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def shake(self, connection):
        tls = self.context.wrap_socket(connection, server_side=True)
        self.resumed.append(tls.session_reused)
        return tls

    def serve(self, connection):
        connection.settimeout(LIMIT)
        secured = False
        try:
            if self.implicit:
                connection, secured = self.shake(connection), True
            connection.sendall(b"220 far.test ESMTP\r\n")
            heard = b""
            while True:
                while b"\r\n" not in heard:
                    more = connection.recv(4096)
                    if not more:
                        return
                    heard += more
                line, heard = heard.split(b"\r\n", 1)
                line = line.decode()
                (self.secured if secured else self.plain).append(line)
                verb = line.split()[0].upper()
                if verb == "EHLO":
                    offer = b"250-STARTTLS\r\n" if self.offers and not secured else b""
                    connection.sendall(b"250-far.test\r\n" + offer + b"250 8BITMIME\r\n")
                elif verb == "STARTTLS":
                    connection.sendall(b"220 go\r\n" + self.behind_220)
                    if self.breaks:
                        connection.close()
                        return
                    connection, secured = self.shake(connection), True
                elif verb == "DATA":
                    connection.sendall(b"354 go\r\n")
                    while not heard.endswith(b"\r\n.\r\n"):
                        heard += connection.recv(4096)
                    self.messages.append((secured, heard))
                    heard = b""
                    connection.sendall(b"250 2.0.0 taken\r\n")
                elif verb == "QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return
                else:
                    connection.sendall(b"250 ok\r\n")
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()


class WithNextHosts(Tls):
    def relay(self, host, policy="", tls="", **more):
        rule = f'[[tls_policy]]\ndestinations = ["far.test"]\ntls = "{policy}"\n' if policy else ""
        return self.server(
            f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{host.port}"\n{rule}'
            f'[tls]\nroots_file = "{self.authority.root}"\n{tls}',
            queue=SOON, smtp_networks='["127.0.0.0/8"]', **more)

    def relay_by_name(self, host, policy, names="far.test"):
        return self.server(
            f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{host.port}"\n'
            f'[[tls_policy]]\ndestinations = ["far.test"]\ntls = "{policy}"\nnames = ["{names}"]\n'
            f'[tls]\nroots_file = "{self.authority.root}"\n',
            queue=SOON, smtp_networks='["127.0.0.0/8"]')

    def send(self, server):
        reply = hand_in(server.port, "x@far.test", CONTENT)
        self.assertRegex(reply, "^250 ")
        return reply.split()[-1]

    def assert_waits(self, server, host, reason):
        """The message was tried, waits for this reason, and nothing of it went out in plaintext."""
        identity = self.send(server)
        wait_until(lambda: len(server.events("Deferred")) >= 2, "two attempts")
        self.assertIn(reason, server.ask("show", identity))
        self.assertIn("status=4.7.", server.events("Deferred")[0])
        self.assertEqual(host.messages, [])
        self.assertEqual([line for line in host.plain if line.startswith("MAIL")], [])

    def test_a_verified_host_gets_the_mail_under_tls(self):
        with TlsHost(self.authority.issue("far.test")) as host, \
                self.relay_by_name(host, "verified") as server:
            identity = self.send(server)
            wait_until(lambda: host.messages, "the message")
            self.assertEqual([secured for secured, _ in host.messages], [True])
            wait_until(lambda: server.events("Delivered"), "the delivery")
            told = server.ask("show", identity)
            self.assertIn("TLS: verified (a [[tls_policy]] for far.test)", told)
            self.assertRegex(told, r"TLS: TLSv1\.3 TLS_\w+.*, certificate verified")

    def test_stripped_starttls_makes_the_mail_wait(self):
        for policy in ("required", "verified"):
            with TlsHost(self.authority.issue("far.test"), offers=False) as host, \
                    self.relay_by_name(host, policy) as server:
                self.assert_waits(server, host, "does not offer STARTTLS")

    def test_a_wrong_name_makes_the_mail_wait(self):
        with TlsHost(self.authority.issue("other.test")) as host, \
                self.relay_by_name(host, "verified") as server:
            self.assert_waits(server, host, "ostname mismatch")

    def test_an_expired_certificate_makes_the_mail_wait(self):
        with TlsHost(self.authority.issue("far.test", expired=True)) as host, \
                self.relay_by_name(host, "verified") as server:
            self.assert_waits(server, host, "certificate has expired")

    def test_an_unknown_root_makes_the_mail_wait(self):
        stranger = Authority(self.folder / "stranger")
        with TlsHost(stranger.issue("far.test")) as host, \
                self.relay_by_name(host, "verified") as server:
            self.assert_waits(server, host, "certificate verify failed")

    def test_opportunistic_tls_takes_any_certificate(self):
        with TlsHost(self.authority.issue("other.test", expired=True)) as host, \
                self.relay(host) as server:
            identity = self.send(server)
            wait_until(lambda: server.events("Delivered"), "the delivery")
            self.assertEqual([secured for secured, _ in host.messages], [True])
            self.assertIn("certificate not verified", server.ask("show", identity))

    def test_opportunistic_tls_that_fails_is_tried_in_plaintext(self):
        with TlsHost(self.authority.issue("far.test"), breaks=True) as host, \
                self.relay(host) as server:
            identity = self.send(server)
            wait_until(lambda: server.events("Delivered"), "the delivery")
            self.assertEqual([secured for secured, _ in host.messages], [False])
            self.assertEqual(len(host.visits), 2)
            self.assertIn("plaintext is tried", server.ask("show", identity))
            self.assertEqual(len(server.events("TlsFellBack")), 1)

    def test_a_host_that_knows_old_versions_only_has_no_tls_for_us(self):
        with TlsHost(self.authority.issue("far.test"), old=True) as host, \
                self.relay_by_name(host, "required") as server:
            self.assert_waits(server, host, "protocol version")
        with TlsHost(self.authority.issue("far.test"), old=True) as host, \
                self.relay(host) as server:
            self.send(server)
            wait_until(lambda: server.events("Delivered"), "the delivery")
            self.assertEqual([secured for secured, _ in host.messages], [False])

    def test_a_reply_behind_the_go_ahead_is_never_believed(self):
        with TlsHost(self.authority.issue("far.test"),
                     behind_220=b"250-far.test\r\n250 8BITMIME\r\n") as host, \
                self.relay_by_name(host, "required") as server:
            identity = self.send(server)
            wait_until(lambda: len(server.events("Deferred")) >= 1, "an attempt")
            self.assertEqual(host.messages, [])
            self.assertIn("answers no command", server.ask("show", identity))

    def test_a_smarthost_at_the_port_for_tls_gets_tls_first(self):
        with TlsHost(self.authority.issue("127.0.0.1"), implicit=True) as host:
            server = self.server(
                f'[relay]\nsmarthost = "127.0.0.1:{host.port}"\nsmarthost_tls = "implicit"\n'
                f'[tls]\nroots_file = "{self.authority.root}"\n',
                queue=SOON, smtp_networks='["127.0.0.0/8"]')
            with server:
                self.send(server)
                wait_until(lambda: host.messages, "the message")
                self.assertEqual(host.plain, [])

    def test_a_session_with_a_next_host_is_resumed(self):
        with TlsHost(self.authority.issue("far.test")) as host, self.relay(host) as server:
            for count in (1, 2):
                self.send(server)
                wait_until(lambda: len(server.events("Delivered")) == count, "the delivery")
                wait_until(lambda: host.secured.count("QUIT") == count, "the end")
            self.assertEqual(host.resumed, [False, True])


@unittest.skipUnless(IS_ROOT, f"each of them {NEEDS_ROOT}")
class WithServers(Tls):
    def exchange(self, kind):
        theirs = self.authority.issue("far.test")
        with kind(tls=theirs) as peer:
            domain = (f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{peer.port}"\n'
                      '[[tls_policy]]\ndestinations = ["far.test"]\ntls = "verified"\n'
                      'names = ["far.test"]\n'
                      f'[tls]\nroots_file = "{self.authority.root}"\n')
            with self.server(domain, queue=SOON, smtp_networks='["127.0.0.0/8"]') as server:
                hand_in(server.port, "x@far.test", CONTENT)
                arrived = peer.wait_for_messages(1)[0]
                self.assertRegex(arrived.split(b"by mail.our.test")[0], rb"TLS")
        # It asks for nothing less than TLS when it sends.
        with self.server(REQUIRED) as server, \
                kind(tls=theirs, onward=server.ports[1]) as peer:
            peer.take(CONTENT, "alice@our.test")
            stored = server.wait_for_messages("alice", 1)[0].read_bytes()
            self.assertIn(b"ESMTPS", stored)

    def test_postfix_both_ways(self):
        self.exchange(Postfix)

    def test_exim_both_ways(self):
        self.exchange(Exim)


if __name__ == "__main__":
    unittest.main()
