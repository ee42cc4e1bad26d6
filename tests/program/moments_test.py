"""Moments that a client sets for its message: not before (FUTURERELEASE), not after (DELIVERBY); and
what is asked besides: ETRN, VRFY, EXPN, and a host or domain that takes no mail."""

import datetime
import unittest

from esmtp_test import begin, finish, offering, report_of
from next_host import Scripted, but, polite
from onward_test import relaying
from peer import free_port
from server import Server, wait_until


def by_of(far):
    """The BY parameters of the MAIL commands that the host has heard."""
    return [word for visit in far.visits for line in visit.said("MAIL")
            for word in line.split() if word.startswith("BY=")]


def report_to_alice(server):
    return wait_until(lambda: [path for path in server.messages("alice")
                               if b"multipart/report" in path.read_bytes()], "the report")


class DeliverBy(unittest.TestCase):
    def send(self, server, by, *recipients):
        with server.connect() as client:
            begin(client, f"<alice@our.test> BY={by}", *recipients)
            finish(client)

    def test_what_is_left_is_told_to_a_host_that_offers_it(self):
        with Scripted(offering("DELIVERBY 30")) as far, relaying(far.port) as server:
            self.send(server, "120;R", "<x@far.test>")
            wait_until(lambda: far.messages, "the message")
            seconds, mode = by_of(far)[0][3:].split(";")
            self.assertEqual(mode, "R")
            self.assertTrue(0 < int(seconds) <= 120, seconds)

    def test_mode_r_is_given_back_where_the_host_lacks_it(self):
        with Scripted(polite) as far, relaying(far.port) as server:
            self.send(server, "120;R", "<x@far.test>")
            message, recipient = report_of(report_to_alice(server)[0])
            self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "5.3.3"))
            self.assertIsNotNone(message["Deliver-By-Date"])
            self.assertIsNotNone(message["Arrival-Date"])
            self.assertEqual(far.messages, [])

    def test_mode_r_is_given_back_where_the_hosts_minimum_is_above_what_is_left(self):
        with Scripted(offering("DELIVERBY 240")) as far, relaying(far.port) as server:
            self.send(server, "120;R", "<x@far.test>")
            _, recipient = report_of(report_to_alice(server)[0])
            self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "5.4.7"))

    def test_mode_r_is_given_back_when_its_time_is_over(self):
        dead = free_port()
        with relaying(dead) as server:
            self.send(server, "3;R", "<x@far.test>")
            _, recipient = report_of(report_to_alice(server)[0])
            self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "5.4.7"))
            wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")

    def test_mode_n_is_told_when_its_time_is_over_and_tried_on(self):
        late = but(MAIL=b"450 4.2.0 later\r\n", EHLO=b"250-far.test\r\n250 DELIVERBY\r\n")
        with Scripted(late) as far, relaying(far.port) as server:
            self.send(server, "3;N", "<x@far.test>")
            message, recipient = report_of(report_to_alice(server)[0])
            self.assertEqual((recipient["Action"], recipient["Status"]), ("delayed", "4.4.7"))
            self.assertIsNotNone(message["Deliver-By-Date"])
            # The by-time goes on below zero.
            wait_until(lambda: any(int(by[3:].split(";")[0]) < 0 for by in by_of(far)),
                       "an attempt after its time")
            self.assertEqual(len(report_to_alice(server)), 1)

    def test_mode_n_to_a_host_without_it_is_told_relayed_and_asks_for_delays(self):
        with Scripted(offering("DSN")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> BY=600;N", "<x@far.test>",
                      "<y@far.test> NOTIFY=SUCCESS", "<z@far.test> NOTIFY=NEVER")
                finish(client)
            groups = report_of(report_to_alice(server)[0])
            told = {group["Final-Recipient"]: group["Action"] for group in groups[1:]}
            self.assertEqual(told, {"rfc822; x@far.test": "relayed",
                                    "rfc822; y@far.test": "relayed"})
            said = [line for visit in far.visits for line in visit.said("RCPT")]
            self.assertEqual([line.split("NOTIFY=")[1] for line in said],
                             ["FAILURE,DELAY", "SUCCESS,DELAY", "NEVER"])

    def test_a_trace_is_told_by_each_host(self):
        with Scripted(offering("DELIVERBY", "DSN")) as far, relaying(far.port) as server:
            self.send(server, "600;NT", "<x@far.test>")
            _, recipient = report_of(report_to_alice(server)[0])
            self.assertEqual(recipient["Action"], "relayed")
            self.assertTrue(by_of(far)[0].endswith(";NT"))

    def test_what_was_asked_survives_a_restart(self):
        dead = free_port()
        with relaying(dead, queue='\nexpiry = "1h"\n') as server:
            self.send(server, "6;R", "<x@far.test>")
            wait_until(lambda: server.events("Deferred"), "a first attempt")
            server.kill()
            server.start()
            _, recipient = report_of(report_to_alice(server)[0])
            self.assertEqual(recipient["Status"], "5.4.7")

    def test_the_announced_minimum_holds(self):
        with Server(smtp='deliver_by_min = "60s"') as server, server.connect() as client:
            self.assertIn("DELIVERBY 60", client.say("EHLO a.example.org"))
            self.assertTrue(client.say("MAIL FROM:<alice@our.test> BY=59;R").startswith("555 5.5.4"))
            self.assertTrue(client.say("MAIL FROM:<alice@our.test> BY=0;R").startswith("501 5.5.4"))
            self.assertTrue(client.say("MAIL FROM:<alice@our.test> BY=-5;N").startswith("250"))


def submission(**more):
    return Server(top='\n[submission]\nnetworks = ["127.0.0.0/8"]\n\n[[listener]]\naddress = "127.0.0.1:0"\n'
                  'kind = "submission"\nfuture_release_max = "1h"\n', **more)


class FutureRelease(unittest.TestCase):
    def test_nothing_is_there_before_its_time_also_after_a_restart(self):
        with submission() as server:
            with server.connect() as client:
                hello = client.say("EHLO a.example.org")
                self.assertRegex(hello, r"FUTURERELEASE 3600 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
                begun = datetime.datetime.now(datetime.timezone.utc)
                begin(client, "<alice@our.test> HOLDFOR=5", "<bob@our.test>")
                finish(client)
                begin(client, "<alice@our.test>", "<carol@our.test>")
                finish(client)
            server.wait_for_messages("carol", 1)
            # A kill before her outcome is recorded would only have her copy delivered again.
            wait_until(lambda: '"entries": 1' in server.ask("status"), "carol's outcome")
            self.assertEqual(server.messages("bob"), [])
            server.kill()
            server.start()
            self.assertIn('"entries": 1', server.ask("status"))
            server.wait_for_messages("bob", 1)
            taken = datetime.datetime.now(datetime.timezone.utc)
            self.assertGreaterEqual((taken - begun).total_seconds(), 5)

    def test_until_a_moment_and_what_is_refused(self):
        with submission() as server, server.connect() as client:
            client.say("EHLO a.example.org")
            now = datetime.datetime.now(datetime.timezone.utc)

            def at(seconds):
                return (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for wrong in ("HOLDFOR=3601", "HOLDFOR=0", f"HOLDUNTIL={at(4000)}", "HOLDUNTIL=tomorrow",
                          f"HOLDFOR=10 HOLDUNTIL={at(10)}", "HOLDFOR=100 BY=50;R"):
                reply = client.say(f"MAIL FROM:<alice@our.test> {wrong}")
                self.assertTrue(reply.startswith("501 5.5.4"), (wrong, reply))
            client.say(f"MAIL FROM:<alice@our.test> HOLDUNTIL={at(3)}")
            client.say("RCPT TO:<bob@our.test>")
            finish(client)
            self.assertEqual(server.messages("bob"), [])
            server.wait_for_messages("bob", 1)
            self.assertGreaterEqual(datetime.datetime.now(datetime.timezone.utc),
                                    (now + datetime.timedelta(seconds=3)).replace(microsecond=0))

    def test_a_report_names_the_request(self):
        dead = free_port()
        with submission(smtp_networks='["127.0.0.0/8"]', queue='expiry = "1m"\nbackoff_max = "1s"\n'
                        'backoff_first = "1s"\n',
                        domain=f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{dead}"\n') as server:
            with server.connect() as client:
                client.say("EHLO a.example.org")
                begin(client, "<alice@our.test> HOLDFOR=1 BY=3;R", "<x@far.test>")
                finish(client)
            message, _ = report_of(report_to_alice(server)[0])
            self.assertEqual(message["Future-Release-Request"], "for;1")

    def test_it_is_not_offered_elsewhere(self):
        with Server() as server, server.connect() as client:
            self.assertNotIn("FUTURERELEASE", client.say("EHLO a.example.org"))
            self.assertTrue(client.say("MAIL FROM:<a@our.test> HOLDFOR=5").startswith("555 5.5.4"))


class Asked(unittest.TestCase):
    def test_etrn_starts_what_waits_for_a_relayed_domain(self):
        port = free_port()
        with Server(queue='backoff_first = "1h"\nbackoff_max = "1h"\n',
                    smtp='etrn_networks = ["127.0.0.1"]\n', smtp_networks='["127.0.0.0/8"]',
                    domain=f'[[route]]\ndomain = "far.test"\nhost = "127.0.0.1:{port}"\n'
                           'relay = true\n') as server, server.connect() as client:
            self.assertIn("ETRN", client.say("EHLO far.test").replace("-", " ").split())
            self.assertTrue(client.say("ETRN far.test").startswith("251"))
            begin(client, "<alice@our.test>", "<x@far.test>")
            finish(client)
            wait_until(lambda: server.events("Deferred"), "a first attempt")
            with Scripted(polite, port=port) as far:
                reply = client.say("ETRN FAR.test")
                self.assertTrue(reply.startswith("253 2.0.0 1 pending"), reply)
                wait_until(lambda: far.messages, "the message, an hour early")
            self.assertTrue(client.say("ETRN our.test").startswith("459"))
            self.assertTrue(client.say("ETRN").startswith("500"))
            self.assertTrue(client.say("ETRN a b").startswith("501"))

    def test_vrfy_and_expn_are_answered_to_listed_networks_only(self):
        with Server(smtp='verify_networks = ["127.0.0.1"]\n') as server, server.connect() as client:
            client.say("EHLO a.example.org")
            for command, want in (("VRFY bob", "250 2.1.5 <bob@our.test>"),
                                  ("VRFY <bob@our.test>", "250 2.1.5"),
                                  ("VRFY nobody", "550 5.1.1"), ("VRFY x@far.test", "252"),
                                  ("VRFY <", "553"), ("VRFY", "501"), ("VRFY postmaster", "250"),
                                  ("EXPN all", "250-2.1.5 <alice@our.test>\n250 2.1.5 <bob@our.test>"),
                                  ("EXPN nobody", "550 5.1.1"), ("EXPN", "501")):
                reply = client.say(command)
                self.assertTrue(reply.startswith(want), (command, reply))
        with Server() as server, server.connect() as client:
            client.say("EHLO a.example.org")
            for command in ("VRFY bob", "VRFY nobody", "EXPN all", "EXPN nobody"):
                self.assertTrue(client.say(command).startswith("252"), command)

    def test_a_host_and_a_domain_that_take_no_mail(self):
        with Server(top='\n[[listener]]\naddress = "127.0.0.1:0"\ntakes_mail = false\n') as server:
            with server.connect() as client:
                self.assertTrue(client.greeting.startswith("521 5.3.2"), client.greeting)
                self.assertTrue(client.say("EHLO a.example.org").startswith("521"))
                self.assertTrue(client.say("QUIT").startswith("221"))
        with Server(smtp='no_mail_domains = ["none.test"]\n',
                    smtp_networks='["127.0.0.0/8"]') as server, server.connect() as client:
            client.say("EHLO a.example.org")
            client.say("MAIL FROM:<alice@our.test>")
            self.assertTrue(client.say("RCPT TO:<x@None.test>").startswith("556 5.1.2"))
            self.assertTrue(client.say("RCPT TO:<bob@our.test>").startswith("250"))


if __name__ == "__main__":
    unittest.main()
