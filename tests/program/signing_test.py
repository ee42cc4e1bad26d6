"""Mail of our own clients is signed, by the keys that the operator's commands make and change: NSD serves
the zones, dkimpy verifies at the far end. Runs in a network namespace of its own."""

import re
import unittest

import dkim

from judging import (FAR, FORGER, FRIEND, SETTINGS, judging, keys, make_key, make_record, message,
                     publish, run_inside, send, start_names, stop_names, strings, zone_text)
from next_host import Scripted, polite
from server import Server, wait_until
from submitting import SubmissionServer

setUpModule, tearDownModule = start_names, stop_names


class Signed(unittest.TestCase):
    def domain(self, server, *words, check=True):
        return server.command("domain", *words, "--socket", str(server.admin_socket), check=check)

    def verify_all(self, content, count):
        """dkimpy, with the DNS, finds so many signatures true, and no other."""
        content = content.encode() if isinstance(content, str) else content
        checker = dkim.DKIM(content)
        found = sum(1 for name, _ in checker.headers if name.lower() == b"dkim-signature")
        self.assertEqual(found, count)
        for number in range(found):
            self.assertTrue(dkim.DKIM(content).verify(number, dnsfunc=self.ask_names))

    @staticmethod
    def ask_names(name, timeout=5):
        name = (name.decode() if isinstance(name, bytes) else name).rstrip(".")
        zone = zone_text("our.test")
        for line in zone.splitlines():
            if line.startswith(name + ". "):
                return "".join(re.findall(r'"([^"]*)"', line)).encode()
        return None

    def records(self, output):
        return "".join(line + "\n" for line in output.splitlines() if " IN TXT " in line)

    def test_the_whole_life_of_keys(self):
        with Scripted(polite, FAR, 25) as far, judging() as server:
            def hand_in():
                far.messages.clear()
                self.assertTrue(send(server, FRIEND, message("alice@our.test"), "alice@our.test",
                                     "x@far.test").startswith("250"))
                return wait_until(lambda: far.messages, "the message at the far end")[0]

            self.assertNotIn(b"DKIM-Signature", hand_in())

            # Keys are made and their records printed; published, the check finds them.
            added = self.domain(server, "add", "our.test").stdout
            first = self.records(added)
            self.assertEqual(first.count("\n"), 4, added)
            for word in ("k=rsa", "k=ed25519", "v=spf1 mx a:mail.our.test", "_dmarc.our.test."):
                self.assertIn(word, added)
            missing = self.domain(server, "check", "our.test", check=False)
            self.assertEqual(missing.returncode, 1, missing.stdout)
            self.assertIn("missing  DKIM", missing.stdout)
            publish("our.test", first)
            # That there was no record is remembered for a second.
            wait_until(lambda: self.domain(server, "check", "our.test", check=False)
                       .returncode == 0, "the check to find all")
            self.assertEqual(self.records(self.domain(server, "add", "our.test").stdout), first)

            content = hand_in()
            self.verify_all(content, 2)
            self.assertEqual(content.decode().count("Received:"), 1)
            for path in (server.data / "dkim" / "our.test").iterdir():
                self.assertEqual(path.stat().st_mode & 0o777, 0o600)

            # New keys, which sign only when they are published.
            second = self.records(self.domain(server, "rotate", "our.test").stdout)
            self.assertEqual(second.count("\n"), 2)
            early = self.domain(server, "rotate", "our.test", "--switch", check=False)
            self.assertNotEqual(early.returncode, 0)
            self.assertIn("publish it", early.stderr)
            self.assertEqual(self.signers(hand_in()), self.selectors(first))
            publish("our.test", first + second)
            wait_until(lambda: self.domain(server, "rotate", "our.test", "--switch",
                                           check=False).returncode == 0, "the switch")
            content = hand_in()
            self.assertEqual(self.signers(content), self.selectors(second))
            self.verify_all(content, 2)
            self.assertIn(" old", self.domain(server, "list").stdout)
            self.domain(server, "rotate", "our.test", "--finish")
            self.assertNotIn(" old", self.domain(server, "list").stdout)

            # A restart finds them.
            self.assertEqual(server.stop(), 0)
            server.start()
            self.assertEqual(self.signers(hand_in()), self.selectors(second))

    def test_check_says_what_is_wrong(self):
        with judging() as server:
            added = self.records(self.domain(server, "add", "wrong.test").stdout)
            rsa = next(line for line in added.splitlines() if "k=rsa" in line)
            # Another key under the selector, two SPF records, a policy that there is not.
            _, other = make_key(2048)
            publish("wrong.test", rsa.split(" IN TXT ")[0] + " IN TXT " + strings(other) + "\n" +
                    '@ TXT "v=spf1 -all"\n@ TXT "v=spf1 mx -all"\n'
                    '_dmarc TXT "v=DMARC1; p=refuse"\n')
            found = self.domain(server, "check", "wrong.test", check=False)
            self.assertEqual(found.returncode, 1)
            for part in (r"wrong +DKIM +r\w+\._domainkey\.wrong\.test: the record holds another key",
                         r"missing +DKIM +e\w+\._domainkey\.wrong\.test",
                         r"wrong +SPF +wrong\.test: 2 SPF records", r"wrong +DMARC", "4 to mend"):
                self.assertRegex(found.stdout, part)

    def test_other_keys_for_some_of_the_mail(self):
        signer = ('[signing]\nexpires_after = "7d"\n'
                  '[[signer]]\ndomains = ["silent.our.test"]\nkeys = []\n'
                  '[[signer]]\ndomains = ["news.our.test"]\n'
                  'keys = ["author", "special._domainkey.our.test"]\n')
        self.addCleanup(publish, "our.test", "")
        with Scripted(polite, FAR, 25) as far, \
                Server(smtp_networks=f'["{FRIEND}/32"]', domain=SETTINGS + signer) as server:
            def hand_in(author):
                far.messages.clear()
                send(server, FRIEND, message(author), "alice@our.test", "x@far.test")
                return wait_until(lambda: far.messages, "the message at the far end")[0]

            added = self.records(self.domain(server, "add", "our.test").stdout)
            (server.data / "dkim" / "our.test" / "special.pem").write_bytes(keys["good"])
            server.command("reload", "--socket", str(server.admin_socket))
            _, record = make_record(keys["good"])
            publish("our.test", added + "special._domainkey.our.test. IN TXT " + strings(record) + "\n")

            content = hand_in("alice@our.test")
            self.assertEqual(self.signers(content), self.selectors(added))
            self.verify_all(content, 2)
            self.assertRegex(content.decode(), r"\bx=\d+;")
            content = hand_in("alice@news.our.test")
            self.assertEqual(self.signers(content), self.selectors(added) | {"special"})
            self.verify_all(content, 3)
            self.assertNotIn(b"DKIM-Signature", hand_in("alice@silent.our.test"))

            # A rotation leaves alone what a rule names.
            self.domain(server, "rotate", "our.test")
            self.domain(server, "rotate", "our.test", "--switch", "--force")
            self.assertRegex(self.domain(server, "list").stdout, r"special +rsa +2048 bits +signs")
            # A key that is named and is not there is told, and the others sign.
            (server.data / "dkim" / "our.test" / "special.pem").unlink()
            server.command("reload", "--socket", str(server.admin_socket))
            wait_until(lambda: "special" not in self.domain(server, "list").stdout, "the reload")
            self.assertEqual(len(self.signers(hand_in("alice@news.our.test"))), 2)
            self.assertIn("special._domainkey.our.test", server.told("MessageNotSigned"))

    def test_the_account_that_hands_in_chooses_the_keys(self):
        """Both accounts may write as alice; what tells their mail apart is who has logged in."""
        rule = ('[[signer]]\naccounts = ["news@our.test"]\n'
                'keys = ["special._domainkey.our.test"]\n'
                '[[signer]]\naccounts = ["silent@our.test"]\nkeys = []\n')
        self.addCleanup(publish, "our.test", "")
        with Scripted(polite, FAR, 25) as far, SubmissionServer(
                smtp_networks=f'["{FRIEND}/32"]', domain=SETTINGS, more=rule) as server:
            added = self.records(self.domain(server, "add", "our.test").stdout)
            (server.data / "dkim" / "our.test" / "special.pem").write_bytes(keys["good"])
            server.command("reload", "--socket", str(server.admin_socket))
            _, record = make_record(keys["good"])
            publish("our.test", added + "special._domainkey.our.test. IN TXT " + strings(record) + "\n")

            def hand_in(account):
                far.messages.clear()
                with server.logged_in(account) as client:
                    self.assertTrue(client.deliver("x@far.test", message("alice@our.test"),
                                                   sender="alice@our.test").startswith("250"))
                return wait_until(lambda: far.messages, "the message at the far end")[0]

            for account, selectors in (("alice@our.test", self.selectors(added)),
                                       ("news@our.test", {"special"}),
                                       ("silent@our.test", set())):
                server.add(account, "--send-as", "alice@our.test")
                content = hand_in(account)
                self.assertEqual(self.signers(content), selectors, account)
                self.verify_all(content, len(selectors))
            # What was completed at submission is what was signed; and no account, no rule.
            self.assertIn(b"\nDate: ", content)
            far.messages.clear()
            send(server, FRIEND, message("alice@our.test"), "alice@our.test", "x@far.test")
            content = wait_until(lambda: far.messages, "the message at the far end")[0]
            self.assertEqual(self.signers(content), self.selectors(added))

    def signers(self, content):
        return set(re.findall(r"\bs=(\w+);", content.decode()))

    def selectors(self, records):
        return set(re.findall(r"^(\w+)\._domainkey", records, re.M))

    def test_only_our_own_clients_mail_is_signed_and_our_reports(self):
        with Scripted(polite, FAR, 25) as far, judging() as server:
            self.domain(server, "add", "our.test")
            self.domain(server, "add", "mail.our.test")
            send(server, FORGER, message("alice@our.test"), to="away@our.test")
            forwarded = wait_until(lambda: far.messages, "the forwarded copy")[0]
            self.assertNotIn(b"DKIM-Signature", forwarded)
            far.messages.clear()
            send(server, FRIEND, message("alice@our.test"), "b@far.test", "x@nowhere.plain.test")
            report = wait_until(lambda: far.messages, "the report")[0].decode()
            self.assertIn("DKIM-Signature", report[:report.index("Content-Type")])
            self.assertIn("d=mail.our.test", report)


if __name__ == "__main__":
    run_inside()
