"""AUTH: real clients prove who they are, and those who cannot are kept out."""

import base64
import hashlib
import hmac
import os
import shutil
import smtplib
import subprocess
import unittest

from server import LIMIT, ROOT, wait_until
from submitting import PASSWORD, SubmissionServer, b64, offered, plain

MESSAGE = "From: alice@our.test\r\nTo: bob@our.test\r\nSubject: hello\r\n\r\ntext\r\n"


def run(*words, check=True, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=LIMIT, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class RealClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = SubmissionServer()
        cls.server.start()
        cls.server.add("alice@our.test")
        cls.count = cls.logins = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def arrived(self):
        """One more message for bob, whose trace says that it came from an account."""
        type(self).count += 1
        newest = max(self.server.wait_for_messages("bob", self.count),
                     key=lambda path: path.stat().st_mtime_ns)
        self.assertIn(b"with ESMTPA", newest.read_bytes())

    def logged_in_by(self, mechanism):
        type(self).logins += 1
        lines = wait_until(lambda: len(self.server.events("LoggedIn")) >= self.logins and
                           self.server.events("LoggedIn"), "the login in the log")
        self.assertIn(f"mechanism={mechanism}", lines[-1])
        self.assertIn("account=alice@our.test", lines[-1])

    def test_smtplib(self):
        for mechanism in ("PLAIN", "LOGIN"):
            with smtplib.SMTP("127.0.0.1", self.server.submission_port, timeout=LIMIT) as client:
                client.ehlo()
                client.user, client.password = "alice@our.test", PASSWORD
                client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
                client.sendmail("alice@our.test", ["bob@our.test"], MESSAGE)
            self.arrived()
            self.logged_in_by(mechanism)

    def test_swaks(self):
        for mechanism in ("PLAIN", "LOGIN"):
            run("swaks", "--server", f"127.0.0.1:{self.server.submission_port}", "--from",
                "alice@our.test", "--to", "bob@our.test", "--auth", mechanism, "--auth-user",
                "alice@our.test", "--auth-password", PASSWORD)
            self.arrived()
            self.logged_in_by(mechanism)

    def test_msmtp(self):
        for mechanism in ("plain", "login", "scram-sha-256"):
            run("msmtp", "--host=127.0.0.1", f"--port={self.server.submission_port}", "--tls=off",
                f"--auth={mechanism}", "--user=alice@our.test", f"--passwordeval=echo '{PASSWORD}'",
                "--from=alice@our.test", "bob@our.test", input=MESSAGE.replace("\r\n", "\n"))
            self.arrived()
            self.logged_in_by(mechanism.upper())

    def test_curl(self):
        for mechanism in ("PLAIN", "LOGIN"):
            run("curl", "--silent", "--show-error", "--url",
                f"smtp://127.0.0.1:{self.server.submission_port}", "--mail-from", "alice@our.test",
                "--mail-rcpt", "bob@our.test", "--user", f"alice@our.test:{PASSWORD}",
                "--login-options", f"AUTH={mechanism}", "--upload-file", "-", input=MESSAGE)
            self.arrived()
            self.logged_in_by(mechanism)

    def test_gsasl(self):
        if not shutil.which("gsasl"):
            self.fail("gsasl is missing (packaging/debian-packages.txt)")
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            run("gsasl", "--client", "--smtp", "--no-starttls", "--connect",
                       f"127.0.0.1:{self.server.submission_port}", "--mechanism", mechanism,
                       "--authentication-id", "alice@our.test", "--authorization-id", "alice@our.test",
                       "--password", PASSWORD, "--quiet", check=False, input="")
            self.logged_in_by(mechanism)

    def test_postfix_and_exim_speak_scram_or_plain_to_us(self):
        # Their own suites are in peers_test.py; here it is enough that the offer is one they parse.
        with self.server.submit() as client:
            self.assertEqual(offered(client), ["SCRAM-SHA-256", "PLAIN", "LOGIN"])


class Scram:
    """A client of RFC 5802 written for these tests: hashlib and hmac, and no code of ours."""

    def __init__(self, user, password, name="sha256"):
        self.hash, self.password = name, password.encode()
        self.nonce = b64(os.urandom(15))
        self.bare = f"n={user},r={self.nonce}"
        self.first = "n,," + self.bare

    def final(self, server_first, binding=None):
        fields = dict(field.split("=", 1) for field in server_first.split(","))
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, _decode(fields["s"]),
                                     int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", self.hash)
        without = f"c={binding or b64('n,,')},r={fields['r']}"
        message = f"{self.bare},{server_first},{without}".encode()
        signature = hmac.digest(hashlib.new(self.hash, key).digest(), message, self.hash)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        server_key = hmac.digest(salted, b"Server Key", self.hash)
        self.wanted = "v=" + b64(hmac.digest(server_key, message, self.hash))
        return f"{without},p={b64(proof)}"


def _decode(text):
    return base64.b64decode(text)


def challenge(reply):
    assert reply.startswith("334"), reply
    return _decode(reply[4:]).decode()


class Refusals(unittest.TestCase):
    def test_nothing_with_a_password_in_the_clear(self):
        with SubmissionServer(closed=True) as server:
            server.add("alice@our.test")
            with server.submit() as client:
                self.assertEqual(offered(client), ["SCRAM-SHA-256"])
                for mechanism in ("PLAIN", "LOGIN"):
                    reply = client.say(f"AUTH {mechanism} {plain('alice@our.test')}")
                    self.assertTrue(reply.startswith("538 5.7.11"), reply)
                self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("530 5.7.0"))
            self.assertEqual(server.events("LoggedIn"), [])

    def test_the_dialogue_of_auth(self):
        with SubmissionServer() as server:
            server.add("alice@our.test")
            with server.submit() as client:
                say = client.say
                self.assertTrue(say("MAIL FROM:<alice@our.test>").startswith("530 5.7.0"))
                self.assertTrue(say("AUTH CRAM-MD5").startswith("504 5.5.4"))
                self.assertTrue(say("AUTH EXTERNAL =").startswith("504 5.5.4"))
                self.assertTrue(say("AUTH PLAIN ====").startswith("501 5.5.2"))
                self.assertTrue(say("AUTH PLAIN").startswith("334"))
                self.assertTrue(say("!broken!").startswith("501 5.5.2"))
                self.assertTrue(say("AUTH PLAIN").startswith("334"))
                self.assertTrue(say("*").startswith("501 5.7.0"))
                self.assertTrue(say("AUTH PLAIN").startswith("334"))
                self.assertTrue(say("QUFB" * 3100).startswith("500 5.5.6"))
                self.assertTrue(
                    say(f"AUTH PLAIN {plain('alice@our.test', act_as='bob@our.test')}")
                    .startswith("535 5.7.8"))
                self.assertTrue(say(f"AUTH PLAIN {plain('alice@our.test')}").startswith("235 2.7.0"))
                self.assertTrue(say(f"AUTH PLAIN {plain('alice@our.test')}").startswith("503 5.5.1"))
                self.assertTrue(say("MAIL FROM:<alice@our.test>").startswith("250"))
            with server.logged_in("ALICE@our.test") as client:
                self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("250"))

    def test_auth_within_a_transaction(self):
        with SubmissionServer(submission='networks = ["127.0.0.1"]') as server:
            with server.submit() as client:
                self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("250"))
                self.assertTrue(client.say(f"AUTH PLAIN {plain('a')}").startswith("503 5.5.1"))

    def test_there_is_no_auth_on_port_25(self):
        with SubmissionServer() as server:
            with server.connect() as client:
                self.assertNotIn("AUTH", client.say("EHLO client.example.org"))
                self.assertTrue(client.say(f"AUTH PLAIN {plain('alice@our.test')}")
                                .startswith("502"))

    def test_scram_replayed_nonce_and_unknown_users(self):
        with SubmissionServer() as server:
            server.add("alice@our.test")
            with server.submit() as client:
                scram = Scram("alice@our.test", PASSWORD)
                final = scram.final(challenge(client.say(f"AUTH SCRAM-SHA-256 {b64(scram.first)}")))
                self.assertEqual(challenge(client.say(b64(final))), scram.wanted)
                self.assertTrue(client.say("").startswith("235"))
            with server.submit() as client:
                # The same messages again: the server's nonce is another one.
                challenge(client.say(f"AUTH SCRAM-SHA-256 {b64(scram.first)}"))
                self.assertTrue(client.say(b64(final)).startswith("535 5.7.8"))
            salts = []
            for _ in range(2):
                with server.submit() as client:
                    scram = Scram("nobody@our.test", PASSWORD)
                    first = challenge(client.say(f"AUTH SCRAM-SHA-256 {b64(scram.first)}"))
                    salts.append(first.split(",")[1:])
                    self.assertTrue(client.say(b64(scram.final(first))).startswith("535 5.7.8"))
            self.assertEqual(salts[0], salts[1])

    def test_whoever_guesses_is_shut_out(self):
        with SubmissionServer(accounts="failures_max = 2") as server:
            server.add("alice@our.test")
            for _ in range(2):
                with server.submit() as client:
                    reply = client.say(f"AUTH PLAIN {plain('alice@our.test', 'guess-8412')}")
                    self.assertTrue(reply.startswith("535 5.7.8"), reply)
            with server.submit() as client:
                reply = client.say(f"AUTH PLAIN {plain('alice@our.test')}")
                self.assertTrue(reply.startswith("421 4.7.0"), reply)
            wait_until(lambda: server.events("LoginShutOut"), "the log")
            wait_until(lambda: len(server.events("LoginFailed")) == 2, "the log")
            self.assertNotIn("guess-8412", server.log())
            self.assertNotIn(PASSWORD, server.log())


class Accounts(unittest.TestCase):
    def test_the_operators_commands(self):
        with SubmissionServer() as server:
            server.add("alice@our.test", "--send-as", "@our.test")
            again = server.account("add", "alice@our.test", password="x", check=False)
            self.assertNotEqual(again.returncode, 0)
            self.assertIn("is there already", again.stderr)
            server.account("password", "alice@our.test", "--app", "phone", password="app secret")
            self.assertIn("never used", server.account("list").stdout)
            server.logged_in("alice@our.test", "app secret").close()
            wait_until(lambda: "label=phone" in server.log(), "the label in the log")
            wait_until(lambda: "last used" in server.account("list").stdout, "its last use")
            server.account("password", "alice@our.test", "--app", "phone", "--remove")
            with server.submit() as client:
                self.assertTrue(client.say(f"AUTH PLAIN {plain('alice@our.test', 'app secret')}")
                                .startswith("535"))
            server.account("password", "alice@our.test", password="new one")
            server.logged_in("alice@our.test", "new one").close()
            self.assertEqual((server.data / "users").stat().st_mode & 0o777, 0o600)
            self.assertNotIn("new one", (server.data / "users").read_text())
            server.account("remove", "alice@our.test")
            with server.submit() as client:
                self.assertTrue(client.say(f"AUTH PLAIN {plain('alice@our.test', 'new one')}")
                                .startswith("535"))

    def test_a_hash_without_scram_keys_takes_scram_away(self):
        with SubmissionServer() as server:
            server.add("alice@our.test")
            server.add("bob@our.test", "--scheme", "argon2id")
            with server.submit() as client:
                self.assertEqual(offered(client), ["PLAIN", "LOGIN"])
            self.assertIn("SCRAM-SHA-256 is not offered", server.account("list").stdout)
            server.logged_in("bob@our.test").close()

    def test_tokens(self):
        folder = ROOT / "src/smtp/sasl/testdata/jwt"
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
        import json
        import tempfile
        import time
        key = ed25519.Ed25519PrivateKey.generate()
        with tempfile.NamedTemporaryFile("wb", suffix=".pem") as keys:
            keys.write((folder / "keys.pem").read_bytes() + key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
            keys.flush()
            os.chmod(keys.name, 0o644)

            def token(**claims):
                def part(octets):
                    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
                text = (part(b'{"alg":"EdDSA"}') + "." + part(json.dumps(
                    {"iss": "https://id.our.test", "email": "alice@our.test",
                     "exp": time.time() + 600, **claims}).encode()))
                return text + "." + part(key.sign(text.encode()))

            with SubmissionServer(accounts=f'token_keys_file = "{keys.name}"\n'
                                           'token_issuer = "https://id.our.test"') as server:
                server.add("alice@our.test")
                port = server.submission_port
                run("curl", "--silent", "--show-error", "--url", f"smtp://127.0.0.1:{port}",
                    "--mail-from", "alice@our.test", "--mail-rcpt", "bob@our.test", "--user",
                    "alice@our.test:", "--oauth2-bearer", token(), "--upload-file", "-",
                    input=MESSAGE)
                wait_until(lambda: "mechanism=OAUTHBEARER" in server.log(), "the login")
                # msmtp tries no token without TLS, and curl prefers OAUTHBEARER.
                with server.submit() as client:
                    text = f"user=alice@our.test\x01auth=Bearer {token()}\x01\x01"
                    self.assertTrue(client.say(f"AUTH XOAUTH2 {b64(text)}").startswith("235"))
                for bad in (token(exp=1), token(iss="https://evil.test"), token(email="x@our.test")):
                    with server.submit() as client:
                        text = f"n,a=alice@our.test,\x01auth=Bearer {bad}\x01\x01"
                        reply = client.say(f"AUTH OAUTHBEARER {b64(text)}")
                        if reply.startswith("334"):
                            self.assertIn("invalid_token", challenge(reply))
                            reply = client.say("AQ==")
                        self.assertTrue(reply.startswith("535 5.7.8"), reply)


if __name__ == "__main__":
    unittest.main()
