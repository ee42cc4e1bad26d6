"""AUTH under TLS: channel bindings, certificates as proof, a mail reader, and other people's servers in both
directions, with Dovecot as the store of accounts."""

import base64
import hashlib
import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from auth_test import Scram, challenge, run
from certificates import Authority
from peers import Dovecot
from peers_auth import SECRET, EximWithAuth, PostfixWithAuth
from server import LIMIT, wait_until
from submitting import SubmissionServer, b64, offered, plain

NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which the module ssl has no name for


def letter():
    return "From: alice@our.test\r\nSubject: logged in\r\n\r\ntext\r\n"


class UnderTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="postrider-auth-"))
        cls.folder.chmod(0o755)
        cls.authority = Authority(cls.folder)
        cls.ours = cls.authority.issue("mail.our.test", "127.0.0.1")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def server(self, more="", **settings):
        return SubmissionServer(closed=True, more=self.ours.lines() + more, **settings)

    def secured(self, server, **more):
        """A client of the test's own behind STARTTLS and a second EHLO."""
        return self.starttls(server.submit(), **more)

    def starttls(self, client, version=None, certificate=None, options=0, resumes=None):
        """`options`: of OpenSSL. `resumes`: another such client, whose session and settings this one
        goes on with."""
        context = resumes.socket.context if resumes else self.context(version, certificate, options)
        session = resumes.socket.session if resumes else None
        assert client.say("STARTTLS").startswith("220")
        client.file.close()
        client.socket = context.wrap_socket(client.socket, session=session)
        client.file = client.socket.makefile("rb")
        client.hello = client.say("EHLO client.example.org")
        return client

    def context(self, version, certificate, options):
        context = ssl.create_default_context(cafile=str(self.authority.root))
        context.check_hostname = False
        context.options |= options
        if version:
            context.minimum_version = context.maximum_version = version
        if certificate:
            context.load_cert_chain(certificate.chain, certificate.key)
        return context

    def refused(self, reply):
        self.assertTrue(reply.startswith("535 5.7.8"), reply)


class Bindings(UnderTls):
    def test_gsasl_binds_itself_in_both_versions(self):
        with self.server() as server:
            server.add("alice@our.test", password=SECRET)
            logins = 0
            # Without --no-cb it wants the -PLUS that is offered.
            for version, mechanism, more in (("1.2", "SCRAM-SHA-256-PLUS", []),
                                             ("1.3", "SCRAM-SHA-256-PLUS", []),
                                             ("1.3", "SCRAM-SHA-256", ["--no-cb"]),
                                             ("1.3", "PLAIN", [])):
                run("gsasl", "--client", "--smtp", *more, "--connect",
                    f"127.0.0.1:{server.submission_port}", "--mechanism", mechanism,
                    "--authentication-id", "alice@our.test", "--authorization-id", "alice@our.test",
                    "--password", SECRET, "--quality-of-protection", "qop-auth",
                    "--x509-ca-file", self.authority.root,
                    "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", check=False, input="")
                logins += 1
                seen = wait_until(lambda: len(server.events("LoggedIn")) == logins and
                                  server.events("LoggedIn"), (version, mechanism))
                self.assertIn(f"mechanism={mechanism} ", seen[-1] + " ")

    def end_point(self, client):
        return hashlib.sha256(client.socket.getpeercert(binary_form=True)).digest()

    def bound(self, client, kind, data, hash_name="sha256"):
        scram = Scram("alice@our.test", SECRET, hash_name)
        scram.first = f"p={kind},,{scram.bare}"
        reply = client.say(f"AUTH SCRAM-SHA-{hash_name[3:]}-PLUS {b64(scram.first)}")
        if not reply.startswith("334"):
            return reply
        header = base64.b64encode(f"p={kind},,".encode() + data).decode()
        final = scram.final(challenge(reply), header)
        reply = client.say(b64(final))
        if reply.startswith("334"):
            self.assertEqual(challenge(reply), scram.wanted)
            reply = client.say("")
        return reply

    def test_server_end_point_unique_and_their_mismatch(self):
        with self.server() as server:
            server.add("alice@our.test", password=SECRET)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.secured(server, version=version) as client:
                    self.assertEqual(offered(client), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256",
                                                       "PLAIN", "LOGIN"])
                    reply = self.bound(client, "tls-server-end-point", self.end_point(client))
                    self.assertTrue(reply.startswith("235"), reply)
            with self.secured(server, version=ssl.TLSVersion.TLSv1_2) as client:
                unique = client.socket.get_channel_binding("tls-unique")
                self.assertTrue(self.bound(client, "tls-unique", unique).startswith("235"))
            with self.secured(server) as client:
                self.refused(self.bound(client, "tls-server-end-point", b"x" * 32))
            with self.secured(server, version=ssl.TLSVersion.TLSv1_3) as client:
                # Of no use in TLS 1.3 (RFC 9266).
                self.refused(self.bound(client, "tls-unique", b"x" * 12))
            with self.secured(server) as client:
                # "y": the client could bind itself and says that it saw no offer.
                first = "y,,n=alice@our.test,r=nonce"
                self.refused(client.say(f"AUTH SCRAM-SHA-256 {b64(first)}"))

    def test_smtplib_and_what_received_says(self):
        with self.server() as server:
            server.add("alice@our.test", password=SECRET)
            with smtplib.SMTP("127.0.0.1", server.submission_port, timeout=LIMIT) as client:
                client.starttls(context=ssl.create_default_context(cafile=self.authority.root))
                client.login("alice@our.test", SECRET)
                client.sendmail("alice@our.test", ["bob@our.test"], letter())
            self.assertIn(b"with ESMTPSA", server.wait_for_messages("bob", 1)[0].read_bytes())

    def test_a_login_before_starttls_counts_no_more_behind_it(self):
        with SubmissionServer(more=self.ours.lines()) as server:
            server.add("alice@our.test", password=SECRET)
            with server.submit() as client:
                reply = client.say(f"AUTH PLAIN {plain('alice@our.test', SECRET)}")
                self.assertTrue(reply.startswith("235"), reply)
                self.starttls(client)
                reply = client.say("MAIL FROM:<alice@our.test>")
                self.assertTrue(reply.startswith("530 5.7.0"), reply)
                reply = client.say(f"AUTH PLAIN {plain('alice@our.test', SECRET)}")
                self.assertTrue(reply.startswith("235"), reply)
                self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("250"))

    def test_tls_unique_is_worth_nothing_without_the_extended_master_secret(self):
        """RFC 7627 section 5.4. tls-server-end-point does not need it."""
        with self.server() as server:
            server.add("alice@our.test", password=SECRET)
            for kind in ("tls-unique", "tls-server-end-point"):
                with self.secured(server, version=ssl.TLSVersion.TLSv1_2,
                                  options=NO_EXTENDED_MASTER_SECRET) as client:
                    if kind == "tls-unique":
                        unique = client.socket.get_channel_binding(kind)
                        self.refused(self.bound(client, kind, unique))
                    else:
                        reply = self.bound(client, kind, self.end_point(client))
                        self.assertTrue(reply.startswith("235"), reply)

    def test_sha_1_where_the_accounts_have_its_keys(self):
        with self.server() as server:
            server.add("alice@our.test", "--scheme", "scram-sha-1", password=SECRET)
            with self.secured(server) as client:
                self.assertEqual(offered(client),
                                 ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN"])
                self.refused(self.bound(client, "tls-server-end-point", b"x" * 32, "sha1"))
                reply = self.bound(client, "tls-server-end-point", self.end_point(client), "sha1")
                self.assertTrue(reply.startswith("235"), reply)


class Certificates(UnderTls):
    """Certificates of clients, and what they prove."""

    def server_that(self, wants):
        return self.server(more=f"""
[tls]
client_certificates = "{wants}"
client_roots_file = "{self.authority.root}"
""")

    def stranger(self, name):
        """One for this name by an authority that the server does not know."""
        return Authority(self.folder / f"stranger-{name}").issue(name)

    def test_a_client_certificate_proves_an_account(self):
        alice = self.authority.issue("alice@our.test")
        nobody = self.authority.issue("nobody@our.test")
        with self.server_that("ask") as server:
            server.add("alice@our.test", password=SECRET)
            with self.secured(server) as client:
                self.assertNotIn("EXTERNAL", offered(client))
                self.assertTrue(client.say("AUTH EXTERNAL =").startswith("504"))
            with self.secured(server, certificate=alice) as client:
                self.assertEqual(offered(client)[0], "EXTERNAL")
                self.refused(client.say(f"AUTH EXTERNAL {b64('bob@our.test')}"))
                self.assertTrue(client.say("AUTH EXTERNAL =").startswith("235"))
                self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("250"))
            with self.secured(server, certificate=nobody) as client:
                self.refused(client.say("AUTH EXTERNAL ="))

    def test_one_by_another_authority_or_expired_proves_nothing(self):
        expired = self.authority.issue("alice@our.test", expired=True)
        with self.server_that("ask") as server:
            server.add("alice@our.test", password=SECRET)
            for certificate in (self.stranger("alice@our.test"), expired):
                # The session goes on as that of a client without one.
                with self.secured(server, certificate=certificate) as client:
                    self.assertNotIn("EXTERNAL", offered(client))
                    self.assertTrue(client.say("AUTH EXTERNAL =").startswith("504"))
                    self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("530"))
                    reply = client.say(f"AUTH PLAIN {plain('alice@our.test', SECRET)}")
                    self.assertTrue(reply.startswith("235"), reply)

    def test_a_resumed_session_proves_what_its_first_one_did(self):
        alice, stranger = self.authority.issue("alice@our.test"), self.stranger("carol@our.test")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.server_that("ask") as server:
                for user in ("alice@our.test", "carol@our.test"):
                    server.add(user, password=SECRET)
                for certificate, is_known in ((alice, True), (stranger, False), (None, False)):
                    with self.secured(server, version=version, certificate=certificate) as first, \
                            self.secured(server, resumes=first) as client:
                        self.assertTrue(client.socket.session_reused)
                        self.assertEqual("EXTERNAL" in offered(client), is_known)
                        code = "235" if is_known else "504"
                        self.assertTrue(client.say("AUTH EXTERNAL =").startswith(code))

    def shown_by_openssl(self, server, certificate=None):
        """What s_client, which says EHLO itself, hears behind its handshake with this certificate."""
        more = ["-cert", certificate.chain, "-key", certificate.key] if certificate else []
        done = subprocess.run(
            [str(word) for word in ("openssl", "s_client", "-starttls", "smtp", "-quiet",
                                    "-verify_quiet", "-connect",
                                    f"127.0.0.1:{server.submission_port}", *more)],
            input=b"EHLO client.example.org\r\nAUTH EXTERNAL =\r\nMAIL FROM:<alice@our.test>\r\nQUIT\r\n",
            capture_output=True, timeout=LIMIT)
        return (done.stdout + done.stderr).decode(errors="replace")

    def test_where_one_is_required_none_and_a_wrong_one_end_the_handshake(self):
        alice = self.authority.issue("alice@our.test")
        with self.server_that("require") as server:
            server.add("alice@our.test", password=SECRET)
            told = self.shown_by_openssl(server, alice)
            self.assertIn("250-AUTH EXTERNAL ", told)
            self.assertIn("235 2.7.0 ", told)
            self.assertIn("250 2.1.0 ", told)
            for certificate, reason in (
                    (None, "peer did not return a certificate"),
                    (self.stranger("bob@our.test"), "unable to get local issuer certificate"),
                    (self.authority.issue("alice@our.test", expired=True),
                     "certificate has expired")):
                failures = len(server.events("TlsFailed"))
                told = self.shown_by_openssl(server, certificate)
                self.assertNotIn("235", told)
                self.assertNotIn("250 2.1.0", told)
                failed = wait_until(lambda: len(server.events("TlsFailed")) > failures and
                                    server.events("TlsFailed"), "the failure in the log")
                self.assertIn(reason, failed[-1])


class Agents(UnderTls):
    """Programs that people and scripts send their mail with; each checks the certificate."""

    RC = """set smtp_url = "{scheme}://alice%40our.test@127.0.0.1:{port}/"
set smtp_pass = "{password}"
set smtp_authenticators = "{mechanism}"
set ssl_starttls = yes
set ssl_force_tls = yes
set ssl_ca_certificates_file = "{root}"
set from = "alice@our.test"
set use_envelope_from = yes
set hostname = "client.example.org"
set copy = no
"""

    def neomutt(self, server, scheme, mechanism, password=SECRET, root=None):
        rc = self.folder / "neomuttrc"
        rc.write_text(self.RC.format(scheme=scheme, port=server.submission_port, password=password,
                                     mechanism=mechanism, root=root or self.authority.root))
        return subprocess.run(
            ["neomutt", "-n", "-F", str(rc), "-s", "from a mail reader", "--", "bob@our.test"],
            input="text\n", capture_output=True, text=True, timeout=LIMIT,
            env=dict(os.environ, HOME=str(self.folder), TERM="dumb", LC_ALL="C"))

    def test_neomutt_by_starttls_and_with_tls_first(self):
        for scheme, listener in (("smtp", "tls_required = true"), ("smtps", 'tls = "implicit"')):
            with self.server(listener=listener) as server:
                server.add("alice@our.test", password=SECRET)
                for count, mechanism in enumerate(("plain", "login"), 1):
                    done = self.neomutt(server, scheme, mechanism)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    stored = server.wait_for_messages("bob", count)
                    seen = wait_until(lambda: len(server.events("LoggedIn")) == count and
                                      server.events("LoggedIn"), (scheme, mechanism))
                    self.assertIn(f"mechanism={mechanism.upper()}", seen[-1])
                for path in stored:
                    text = path.read_text()
                    self.assertIn("with ESMTPSA", text)
                    self.assertIn("Subject: from a mail reader", text)
                    self.assertTrue(text.endswith("\n\ntext\n"), text)
                # A wrong password, and a certificate that it cannot check: it sends nothing.
                self.assertNotEqual(self.neomutt(server, scheme, "plain", "wrong").returncode, 0)
                other = Authority(self.folder / f"other-{scheme}").root
                self.assertNotEqual(self.neomutt(server, scheme, "plain", root=other).returncode, 0)
                wait_until(lambda: len(server.events("SessionClosed")) == 4, "all sessions to end")
                self.assertEqual(len(server.events("LoggedIn")), 2)
                self.assertEqual(len(server.messages("bob")), 2)

    def commands(self, port, implicit):
        root, to = self.authority.root, ["alice@our.test", "bob@our.test"]
        yield "PLAIN", ["swaks", "--server", "127.0.0.1", "--port", port, "--from", to[0], "--to", to[1],
                        "--auth", "PLAIN", "--auth-user", to[0], "--auth-password", SECRET,
                        "--tlsc" if implicit else "--tls", "--tls-verify", "--tls-ca-path", root]
        yield "SCRAM-SHA-256", [
            "msmtp", "--host=127.0.0.1", f"--port={port}", "--tls=on",
            f"--tls-starttls={'off' if implicit else 'on'}", f"--tls-trust-file={root}",
            "--auth=scram-sha-256", f"--user={to[0]}", f"--passwordeval=echo {SECRET}",
            f"--from={to[0]}", to[1]]
        yield "LOGIN", [
            "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", root, "--url",
            f"{'smtps' if implicit else 'smtp'}://127.0.0.1:{port}", "--mail-from", to[0],
            "--mail-rcpt", to[1], "--user", f"{to[0]}:{SECRET}", "--login-options", "AUTH=LOGIN",
            "--upload-file", "-"]

    def test_swaks_msmtp_and_curl_by_starttls_and_with_tls_first(self):
        for implicit, listener in ((False, "tls_required = true"), (True, 'tls = "implicit"')):
            with self.server(listener=listener) as server:
                server.add("alice@our.test", password=SECRET)
                for count, (mechanism, words) in enumerate(
                        self.commands(server.submission_port, implicit), 1):
                    # curl sends lines as they are.
                    run(*words, input=letter() if words[0] == "curl" else
                        letter().replace("\r\n", "\n"))
                    stored = server.wait_for_messages("bob", count)
                    seen = wait_until(lambda: len(server.events("LoggedIn")) == count and
                                      server.events("LoggedIn"), words[0])
                    self.assertIn(f"mechanism={mechanism}", seen[-1])
                for path in stored:
                    self.assertIn(b"with ESMTPSA", path.read_bytes())


class Peers(UnderTls):
    def sent_by(self, kind, mechanism):
        with self.server() as server:
            server.add("alice@our.test", password=SECRET)
            with kind(onward=server.submission_port, tls=self.authority.issue("peer.test")) as peer:
                peer.take(letter().encode(), "bob@our.test", sender="alice@our.test")
                text = server.wait_for_messages("bob", 1)[0].read_bytes()
            self.assertIn(b"with ESMTPSA", text)
            wait_until(lambda: f"mechanism={mechanism}" in server.log(), "the login in the log")

    def test_exim_logs_in_at_ours(self):
        self.sent_by(EximWithAuth, "PLAIN")

    def test_postfix_logs_in_at_ours(self):
        self.sent_by(PostfixWithAuth, "SCRAM-SHA-256")

    def smarthost(self, port, password=SECRET, user="alice@our.test", tls="required"):
        file = self.folder / f"password-{password}"
        file.write_text(password + "\n")
        return f"""
[relay]
smarthost = "[127.0.0.1]:{port}"
smarthost_user = "{user}"
smarthost_password_file = "{file}"
smarthost_tls = "{tls}"
"""

    def send_out(self, server):
        server.add("alice@our.test", password=SECRET)
        with self.secured(server) as client:
            assert client.say(f"AUTH PLAIN {plain('alice@our.test', SECRET)}").startswith("235")
            client.deliver("x@far.test", letter(), sender="alice@our.test")

    def test_exim_as_smarthost(self):
        kind = type("ClosedExim", (EximWithAuth,), {"closed": True})
        with kind(tls=self.authority.issue("peer.test")) as peer:
            with self.server(more=self.smarthost(peer.port)) as server:
                self.send_out(server)
                wait_until(peer.messages, "the message at the smarthost")
                self.assertNotIn(SECRET, server.log())
                self.assertNotIn(plain("alice@our.test", SECRET), server.log())

    def test_postfix_as_smarthost_and_dovecot_behind_both(self):
        with Dovecot() as dovecot:
            socket = dovecot.directory / "run/auth-client"
            wait_until(socket.exists, "Dovecot's socket")
            kind = type("WithDovecot", (PostfixWithAuth,), {"dovecot": socket})
            with kind(tls=self.authority.issue("peer.test")) as peer:
                with self.server(more=self.smarthost(peer.port, "secret", "alice"),
                                 accounts=f'dovecot_socket = "{socket}"') as server:
                    with self.secured(server) as client:
                        self.assertEqual(offered(client), ["PLAIN", "LOGIN"])
                        self.refused(client.say(f"AUTH PLAIN {plain('alice@our.test', 'no')}"))
                        reply = client.say(f"AUTH PLAIN {plain('alice@our.test', 'secret')}")
                        self.assertTrue(reply.startswith("235"), reply)
                        client.deliver("x@far.test", letter(), sender="alice@our.test")
                    wait_until(peer.messages, "the message at the smarthost")

    def test_a_wrong_password_at_the_smarthost_makes_mail_wait(self):
        kind = type("ClosedExim", (EximWithAuth,), {"closed": True})
        with kind(tls=self.authority.issue("peer.test")) as peer:
            with self.server(more=self.smarthost(peer.port, "wrong")) as server:
                self.send_out(server)
                wait_until(lambda: "refused our login" in server.ask("queue", "list") + server.log(),
                           "the reason")
                self.assertEqual(peer.messages(), [])

    def test_scram_between_two_of_ours_and_nothing_without_tls(self):
        with self.server() as far:
            far.add("alice@our.test", password=SECRET)
            with self.server(more=self.smarthost(far.submission_port)) as server:
                server.add("alice@our.test", password=SECRET)
                with self.secured(server) as client:
                    client.say(f"AUTH PLAIN {plain('alice@our.test', SECRET)}")
                    client.deliver("x@far.test", letter(), sender="alice@our.test")
                wait_until(lambda: "mechanism=SCRAM-SHA-256-PLUS" in far.log(), "the login")
        with SubmissionServer() as far:
            far.add("alice@our.test", "--scheme", "argon2id", password=SECRET)
            with self.server(more=self.smarthost(far.submission_port, tls="off")) as server:
                self.send_out(server)
                wait_until(lambda: "no mechanism that hides the password" in server.log(),
                           "the reason")
                self.assertEqual(far.events("LoggedIn"), [])


if __name__ == "__main__":
    unittest.main()
