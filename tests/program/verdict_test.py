"""Mail from outside is judged by SPF, DKIM and DMARC: NSD serves zones that the test writes, clients come
from several loopback addresses, dkimpy signs. Runs in a network namespace of its own."""

import json
import re
import socket
import subprocess
import unittest

import dkim

from judging import (AUTHOR, FAR, FORGER, FRIEND, LIST, From, arrived, judging, keys, message,
                     run_inside, send, signed, start_names, stop_names)
from next_host import Scripted, polite
from server import LIMIT, Server, wait_until

setUpModule, tearDownModule = start_names, stop_names


class Judged(unittest.TestCase):
    def arrives(self, source, content, results, path="", verdict="", **more):
        """It comes in, and its Authentication-Results hold these."""
        with judging(verdict) as server:
            reply = send(server, source, content, **more)
            self.assertTrue(reply.startswith("250"), reply)
            text = arrived(server, path)
            field = re.search(r"^Authentication-Results: mail\.our\.test;(?:.*\n)(?:[ \t].*\n)*",
                              text, re.M)
            self.assertIsNotNone(field, text)
            self.assertLess(field.start(), text.index("Received:"))
            for result in results:
                self.assertIn(result, field.group())
            return text

    def test_pass_by_spf(self):
        self.arrives(AUTHOR, message("a@author.test"),
                     ["spf=pass", "smtp.mailfrom=author.test", "dkim=none", "dmarc=pass"],
                     sender="a@author.test")

    def test_softfail(self):
        self.arrives(FORGER, message("a@plain.test"), ["spf=softfail", "dmarc=none"],
                     sender="a@soft.test")

    def test_fail(self):
        self.arrives(FORGER, message("a@plain.test"), ["spf=fail", "dmarc=none"],
                     sender="a@watch.test")

    def test_pass_by_a_signature_although_spf_fails(self):
        self.arrives(FORGER, signed("a@author.test"),
                     ["spf=fail", "dkim=pass", "header.d=author.test", "dmarc=pass"],
                     sender="a@author.test")

    def test_a_forged_author_under_each_policy(self):
        for domain, path in (("author.test", ".Junk"), ("soft.test", ".Junk"), ("watch.test", "")):
            with self.subTest(domain):
                text = self.arrives(FORGER, message(f"a@{domain}"), ["dmarc=fail"], path)
                self.assertEqual("X-Postrider-Quarantine:" in text, path != "")

    def test_a_signature_that_a_list_broke(self):
        content = signed("a@author.test").replace("hello", "hello\r\n-- \r\nthe list")
        self.arrives(LIST, content, ["dkim=fail", "dmarc=fail"], ".Junk", sender="l@plain.test")

    def test_what_a_list_does_to_a_subject_and_a_signature_of_its_own(self):
        content = signed("a@author.test").replace("a test", "[list] a test")
        content = dkim.sign(content.encode(), b"good", b"list.test", keys["good"],
                            include_headers=[b"from", b"subject"]).decode() + content
        text = self.arrives(LIST, content, ["dkim=pass", "header.d=list.test", "dkim=fail",
                                            "header.d=author.test", "dmarc=fail"], ".Junk",
                            sender="l@plain.test")
        self.assertIn("DMARC fails for author.test", text)
        # The operator knows the list.
        self.arrives(LIST, content, ["dmarc=fail"], sender="l@plain.test",
                     verdict='trusted_signers = ["list.test"]')

    def test_a_list_that_is_trusted(self):
        content = signed("a@author.test").replace("hello", "hello\r\n-- \r\nthe list")
        self.arrives(LIST, content, ["dkim=fail", "dmarc=fail"], sender="l@plain.test",
                     verdict=f'trusted_networks = ["{LIST}/32"]')

    def test_an_international_domain(self):
        self.arrives(AUTHOR, message("a@xn--bcher-kva.test"),
                     ["spf=pass", "smtp.mailfrom=xn--bcher-kva.test", "dmarc=pass"],
                     sender="a@xn--bcher-kva.test")

    def test_an_international_domain_in_its_own_letters(self):
        content = "From: jos\u00e9@b\u00fccher.test\r\nSubject: gr\u00fc\u00dfe\r\n\r\nhello\r\n"
        signature = dkim.sign(content.encode(), b"good", b"xn--bcher-kva.test", keys["good"])
        with judging() as server, From(server.port, FORGER) as client:
            for line in ("EHLO client.test",
                         "MAIL FROM:<jos\u00e9@b\u00fccher.test> SMTPUTF8 BODY=8BITMIME",
                         "RCPT TO:<alice@our.test>", "DATA"):
                self.assertIn(client.say(line)[:1], "23", line)
            client.send(signature + content.encode() + b".\r\n")
            self.assertTrue(client.reply().startswith("250"))
            text = arrived(server)
            self.assertRegex(text, r"(?s)spf=fail.*dkim=pass.*header\.d=xn--bcher-kva\.test")
            self.assertRegex(text, r"(?s)dmarc=pass.*header\.from=(xn--bcher-kva|b\u00fccher)\.test")

    def test_a_key_of_8192_bits(self):
        self.arrives(FORGER, signed("a@author.test", "huge"), ["dkim=pass", "dmarc=pass"])

    def judged_thousand(self, content, results, path=""):
        """The work that they cause is bounded: keys asked for and results written."""
        with judging() as server:
            reply = send(server, FORGER, content)
            self.assertTrue(reply.startswith("250"), reply)
            text = arrived(server, path)
            for result in results:
                self.assertIn(result, text)
            self.assertEqual(text.count("header.s="), 10)
            asked = int(re.search(r"questions=(\d+)", server.told("MessageJudged")).group(1))
            # Ten keys; SPF of the sender and of HELO; DMARC's walk of the author.
            self.assertLessEqual(asked, 10 + 2 + 8)

    def test_a_thousand_signatures(self):
        # Each whole, of a selector of its own, over every field a thousand times.
        false = ("DKIM-Signature: v=1; a=rsa-sha256; d=author.test; s=s{};\r\n h=" +
                 "From:To:Subject:" * 20 + "From;\r\n bh=" + "A" * 43 + "=; b=" + "A" * 342 + "==\r\n")
        many = "".join(false.format(n) for n in range(1000))
        self.judged_thousand(many + message("a@watch.test"), ["dmarc=fail"])
        # A true one behind them is not reached, before them it counts.
        true = signed("a@author.test")
        self.judged_thousand(many + true, ["dmarc=fail"], ".Junk")
        field, rest = true[:true.index("From:")], true[true.index("From:"):]
        self.judged_thousand(field + many + rest, ["dkim=pass", "dmarc=pass"])

    def test_a_body_of_50_megabytes(self):
        body = ("x" * 76 + "\r\n") * (50_000_000 // 78 + 1)
        self.arrives(FORGER, signed("a@author.test", text=body), ["dkim=pass", "dmarc=pass"])

    def test_what_claims_to_be_ours_is_taken_out(self):
        forged = "Authentication-Results: MAIL.our.test; dmarc=pass header.from=forged.test\r\n"
        with judging() as server:
            for source in (FORGER, FRIEND):
                send(server, source, message("a@plain.test", more=forged))
            texts = [path.read_text() for path in server.wait_for_messages("alice", 2)]
            self.assertNotIn("forged.test", "".join(texts))

    def test_the_log_and_the_rows_say_why(self):
        with judging() as server:
            send(server, FORGER, message("a@author.test"))
            arrived(server, ".Junk")
            judged = server.told("MessageJudged")
            for part in ("spf=none", "author=author.test", "dmarc=fail", "policy=reject",
                         "action=quarantine"):
                self.assertIn(part, judged)
            row = json.loads(wait_until(
                lambda: "".join(path.read_text() for path in (server.data / "dmarc").glob("*")),
                "a row"))
            self.assertEqual(row["source_ip"], FORGER)
            self.assertEqual(row["policy_published"]["p"], "reject")
            self.assertEqual(row["policy_evaluated"]["disposition"], "quarantine")
            self.assertEqual(row["identifiers"]["header_from"], "author.test")

    def test_show_tells_what_happened_and_why(self):
        def show(server, delivered):
            return server.command("show", re.search(r"\bid=(\S+)", delivered).group(1), "--socket",
                                  str(server.admin_socket)).stdout

        with judging() as server:
            send(server, FORGER, message("a@author.test"))
            arrived(server, ".Junk")
            delivered = wait_until(lambda: server.events("Delivered"), "the outcome")[0]
            self.assertIn("state=quarantined", delivered)
            told = show(server, delivered)
            for part in ("<alice@our.test> quarantined", "Judged     Authentication-Results: mail",
                         "dmarc=fail", "policy.dmarc=quarantine",
                         "X-Postrider-Quarantine: DMARC fails for author.test"):
                self.assertIn(part, told)
            # Also after a restart; and what was true is not quarantined.
            self.assertEqual(server.stop(), 0)
            server.start()
            self.assertIn("dmarc=fail", show(server, delivered))
        with judging() as server:
            send(server, AUTHOR, message("a@author.test"), "a@author.test")
            arrived(server)
            delivered = wait_until(lambda: server.events("Delivered"), "the outcome")[0]
            self.assertIn("state=delivered", delivered)
            told = show(server, delivered)
            self.assertIn("<alice@our.test> delivered", told)
            self.assertIn("dmarc=pass", told)

    def test_a_forwarded_copy_is_marked(self):
        with Scripted(polite, FAR, 25) as far, judging() as server:
            send(server, FORGER, message("a@author.test"), to="away@our.test")
            content = wait_until(lambda: far.messages, "the forwarded copy")[0].decode()
            self.assertIn("X-Postrider-Quarantine: DMARC fails for author.test", content)
            self.assertIn("Authentication-Results: mail.our.test;", content)


class ForEachRecipient(unittest.TestCase):
    DOMAINS = """
[[domain]]
name = "strict.test"
mailboxes = ["s"]
dmarc = "reject"

[[domain]]
name = "mild.test"
mailboxes = ["m"]
dmarc = "accept"
"""
    ALL = ["alice@our.test", "s@strict.test", "m@mild.test"]

    def where(self, server, address):
        """The one message of this mailbox, and the folder where it lies."""
        user, _, domain = address.partition("@")
        mailbox = server.data / "mail" / domain / user
        found = wait_until(lambda: mailbox.is_dir() and list(mailbox.rglob("new/*")), address)
        self.assertEqual(len(found), 1, found)
        text = found[0].read_text()
        self.assertIn("dmarc=fail", text)
        return found[0].parent.parent.relative_to(mailbox).as_posix(), text

    def test_what_is_done_is_that_of_his_domain(self):
        with judging(domain=self.DOMAINS) as server:
            reply = send(server, FORGER, message("a@author.test"), to=self.ALL)
            self.assertTrue(reply.startswith("250"), reply)
            for address, folder, policy in zip(self.ALL, (".Junk", ".Junk", "."),
                                               ("quarantine", "quarantine", "none")):
                found, text = self.where(server, address)
                self.assertEqual(found, folder, address)
                self.assertIn(f"policy.dmarc={policy}", text)
                self.assertEqual("X-Postrider-Quarantine:" in text, folder == ".Junk")

    def test_it_is_refused_where_all_of_them_refuse_it(self):
        with judging(domain=self.DOMAINS) as server:
            reply = send(server, FORGER, message("a@author.test"), to="s@strict.test")
            self.assertTrue(reply.startswith("550 5.7.1"), reply)
            # Without a policy of reject nothing is refused.
            reply = send(server, FORGER, message("a@soft.test"), to="s@strict.test")
            self.assertTrue(reply.startswith("250"), reply)
            self.assertEqual(self.where(server, "s@strict.test")[0], ".Junk")


class Refused(unittest.TestCase):
    def test_by_a_setting(self):
        with judging('reject_domains = ["author.test"]') as server:
            self.assertEqual(
                send(server, FORGER, message("a@author.test")),
                "550 5.7.1 Message refused: DMARC fails for author.test, whose policy is reject")
            self.assertTrue(send(server, FORGER, message("a@soft.test")).startswith("250"))

    def test_by_a_setting_for_a_network(self):
        with judging(f'reject_networks = ["{FORGER}/32"]') as server:
            reply = send(server, FORGER, message("a@author.test"))
            self.assertTrue(reply.startswith("550 5.7.1 Message refused: DMARC fails"), reply)
            self.assertTrue(send(server, LIST, message("a@author.test")).startswith("250"))
            # What was refused has a row too.
            row = json.loads(wait_until(
                lambda: "".join(path.read_text() for path in (server.data / "dmarc").glob("*")),
                "a row").splitlines()[0])
            self.assertEqual(row["policy_evaluated"]["disposition"], "reject")

    def test_for_spf_without_any_signature(self):
        with judging('spf_fail_unsigned = "reject"') as server:
            reply = send(server, FORGER, message("a@plain.test"), sender="a@watch.test")
            self.assertTrue(reply.startswith("550 5.7.1 Message refused: SPF fails"), reply)

    def test_swaks_is_told_why(self):
        with judging('dmarc = "reject"') as server:
            done = subprocess.run(
                ["swaks", "--server", f"127.0.0.1:{server.port}", "--local-interface", FORGER,
                 "--from", "x@plain.test", "--to", "alice@our.test", "--h-From", "a@author.test"],
                capture_output=True, text=True, timeout=LIMIT)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("550 5.7.1 Message refused: DMARC fails for author.test", done.stdout)


class Silence(unittest.TestCase):
    def test_mail_is_taken_when_the_dns_says_nothing(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.77", 53))
            resolver = '[resolver]\nforwarders = ["127.0.0.77:53"]\n'
            with Server(verdict='time_max = "2s"', domain=resolver) as server:
                reply = send(server, FORGER, message("a@author.test"))
                self.assertTrue(reply.startswith("250"), reply)
                text = arrived(server)
                self.assertIn("spf=temperror", text)
                self.assertIn("dmarc=temperror", text)
            with Server(verdict='time_max = "2s"\nunknown = "defer"', domain=resolver) as server:
                reply = send(server, FORGER, message("a@author.test"))
                self.assertTrue(reply.startswith("451 4.7.0"), reply)
                self.assertEqual(server.messages("alice"), [])


if __name__ == "__main__":
    run_inside()
