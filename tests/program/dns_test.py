"""What the DNS says, Postrider does: NSD serves zones/next.test.zone, scripted next hosts listen at
port 25 of several loopback addresses. Runs in a network namespace of its own (see the end)."""

import json
import os
import socket
import subprocess
import sys
import unittest

from name_server import NameServer
from next_host import Scripted, but, polite
from server import Server, wait_until

MESSAGE = ("From: <alice@our.test>\r\n"
           "To: <x@far.test>\r\n"
           "Subject: onward\r\n"
           "Message-ID: <dns@our.test>\r\n"
           "\r\n"
           "text\r\n")

# As in the zone.
A, B, US, NEWS, TWIN, OUT = (f"127.0.0.{n}" for n in (2, 3, 8, 20, 21, 22))
SILENT = "127.0.0.10"
SIX, BOTH, OUT_SIX = "::1", "fd00::25", "fd00::22"

SETTINGS = """
[resolver]
forwarders = ["127.0.0.1:53"]
"""

names = None


def setUpModule():
    global names
    names = NameServer("next.test")
    names.start()


def tearDownModule():
    names.__exit__()


def host(address, answer=polite):
    return Scripted(answer, address, 25)


def sending(more="", queue="", networks='["127.0.0.0/8"]', **settings):
    """A server of ours that asks NSD and tries again soon."""
    return Server(smtp_networks=networks, domain=SETTINGS + more,
                  queue=f'backoff_first = "1s"\nbackoff_max = "1s"\n{queue}', **settings)


def hand_in(server, *recipients, sender="alice@our.test", count=1):
    with server.connect() as client:
        for _ in range(count):
            client.deliver(list(recipients), MESSAGE, sender=sender)


class Case(unittest.TestCase):
    def arrives(self, recipient, at, answers=None, more=""):
        """A message to the recipient arrives, at the first attempt, at the address `at`; `answers`:
        address to script, of others that listen besides."""
        others = [host(address, answer) for address, answer in (answers or {}).items()]
        try:
            with host(at) as far, sending(more) as server:
                hand_in(server, recipient)
                content = wait_until(lambda: far.messages, f"the message at {at}")[0].decode()
                self.assertEqual(content[content.index("From: "):], MESSAGE)
                wait_until(lambda: server.events("Delivered"), "the outcome in the log")
                self.assertEqual(server.events("Deferred"), [])
                self.assertEqual([other.messages for other in others], [[]] * len(others))
                return [other.connections for other in others]
        finally:
            for other in others:
                other.__exit__()

    def bounces(self, recipient, status, words, more=""):
        """A message to the recipient goes back at once."""
        with sending(more) as server:
            hand_in(server, recipient)
            bounce = server.wait_for_messages("alice", 1)[0].read_text()
            self.assertIn(f"Final-Recipient: rfc822; {recipient}\nAction: failed\n"
                          f"Status: {status}\n", bounce)
            self.assertIn(words, bounce)
            self.assertEqual(server.events("Deferred"), [])


class InOrder(Case):
    def test_the_preferred_host_gets_it(self):
        self.assertEqual(self.arrives("x@ordered.next.test", A, {B: polite}), [0])

    def test_equals_share_the_load(self):
        with host(A) as a, host(B) as b:
            with sending(queue="messages_per_connection = 1") as server:
                hand_in(server, "x@equal.next.test", count=40)
                wait_until(lambda: len(a.messages) + len(b.messages) == 40, "all messages")
                # All at one of them: once in 10^12 runs.
                self.assertGreater(len(a.messages), 0)
                self.assertGreater(len(b.messages), 0)

    def test_a_dead_host_is_passed_over(self):
        self.arrives("x@dead-first.next.test", B)

    def test_a_host_that_does_not_answer_at_all_is_passed_over(self):
        # Its queue of connections is full, and the system drops what else comes.
        with socket.create_server((SILENT, 25), backlog=0) as listener:
            with socket.create_connection(listener.getsockname()):
                self.arrives("x@silent-first.next.test", B)

    def test_a_host_that_does_not_want_to_talk_is_passed_over(self):
        for verb in ("HELLO", "EHLO", "MAIL"):
            with self.subTest(verb):
                refusing = but(**{verb: b"421 4.3.2 not now\r\n"})
                self.assertEqual(self.arrives("x@ordered.next.test", B, {A: refusing}), [1])

    def test_a_host_without_an_address_is_passed_over(self):
        for domain in ("gone-first", "no-address-first", "null-and-more"):
            with self.subTest(domain):
                self.arrives(f"x@{domain}.next.test", B)

    def test_what_a_host_puts_off_goes_to_the_next(self):
        for verb in ("MAIL", "RCPT", "DATA", "DOT"):
            for reply in (b"450 4.3.2 not now\r\n", b"421 4.3.2 going down\r\n"):
                with self.subTest(verb, reply=reply):
                    answer = but(**{verb: reply})
                    self.assertEqual(self.arrives("x@ordered.next.test", B, {A: answer}), [1])
        with self.subTest("hangs up before the message is over"):
            self.arrives("x@ordered.next.test", B, {A: but(DATA=None)})

    def test_only_for_those_recipients_whom_it_puts_off(self):
        replies = [b"250 ok\r\n", b"450 4.2.1 not now\r\n"]
        with host(A, but(RCPT=replies)) as a, host(B) as b, sending() as server:
            hand_in(server, "x@ordered.next.test", "y@ordered.next.test")
            wait_until(lambda: len(server.events("Delivered")) == 2, "both outcomes")
            self.assertEqual((len(a.messages), len(b.messages)), (1, 1))
            self.assertEqual(b.visits[0].said("RCPT"), ["RCPT TO:<y@ordered.next.test>"])

    def test_those_put_off_before_a_connection_broke_are_not_passed_over(self):
        # One recipient at a time; the first is put off, at the second the host hangs up, twice.
        a_script = but(EHLO=b"250-a.next.test\r\n250 LIMITS RCPTMAX=1\r\n",
                       RCPT=b"450 4.2.1 not now\r\n", MAIL=[b"250 ok\r\n", None, None])
        with host(A, a_script) as a, host(B) as b, sending() as server:
            hand_in(server, "x@ordered.next.test", "y@ordered.next.test")
            wait_until(lambda: len(server.events("Delivered")) == 2, "both outcomes")
            self.assertEqual(a.connections, 2)
            self.assertEqual(sorted(b.visits[0].said("RCPT")),
                             ["RCPT TO:<x@ordered.next.test>", "RCPT TO:<y@ordered.next.test>"])
            self.assertEqual(server.events("Deferred"), [])

    def test_no_other_host_is_asked_where_the_message_may_have_been_taken(self):
        with host(A, but(DOT=[None])) as a, host(B) as b, sending() as server:
            hand_in(server, "x@ordered.next.test")
            wait_until(lambda: server.events("Delivered"), "the outcome")
            self.assertEqual((a.connections, b.connections), (2, 0))

    def test_a_host_that_refuses_to_talk_does_not_end_what_another_put_off(self):
        put_off = but(RCPT=b"450 4.2.1 come again\r\n")
        with host(A, put_off) as a, host(B, but(HELLO=b"554 5.7.1 not you\r\n")) as b:
            with sending() as server:
                hand_in(server, "x@ordered.next.test")
                deferred = wait_until(lambda: server.events("Deferred"), "the deferral")
                self.assertIn("come again", deferred[0])
                self.assertEqual(server.events("Failed"), [])
                self.assertGreaterEqual(a.connections, 1)
                self.assertGreaterEqual(b.connections, 1)

    def test_the_second_host_is_not_asked_for_what_the_first_refused(self):
        with host(A, but(RCPT=b"550 5.1.1 nobody\r\n")) as a, host(B) as b, sending() as server:
            hand_in(server, "x@ordered.next.test")
            bounce = server.wait_for_messages("alice", 1)[0].read_text()
            self.assertIn("Remote-MTA: dns; a.next.test", bounce)
            self.assertEqual((a.connections, b.connections), (1, 0))


class Families(Case):
    def test_a_host_with_ipv6_only(self):
        self.arrives("x@six-only.next.test", SIX)

    def test_ipv6_comes_first(self):
        self.assertEqual(self.arrives("x@both-families.next.test", BOTH, {A: polite}), [0])

    def test_ipv4_is_tried_when_ipv6_is_dead(self):
        self.arrives("x@both-families.next.test", A)


class Found(Case):
    def test_without_mx_by_the_address_of_the_domain(self):
        self.arrives("x@implicit.next.test", A)

    def test_without_mx_by_its_ipv6_address(self):
        self.arrives("x@implicit-six.next.test", SIX)

    def test_by_an_alias_of_the_domain(self):
        self.arrives("x@alias.next.test", A)

    def test_by_an_alias_of_the_host(self):
        self.arrives("x@alias-of-host.next.test", A)

    def test_by_an_address_literal(self):
        self.arrives(f"x@[{A}]", A)

    def test_by_an_ipv6_address_literal(self):
        self.arrives(f"x@[IPv6:{SIX}]", SIX)

    def test_before_us_where_we_are_second(self):
        self.arrives("x@us-second.next.test", A, more=f'[[listener]]\naddress = "{US}:25"\n')


class NotFound(Case):
    def test_null_mx(self):
        self.bounces("x@null.next.test", "5.1.10", "takes no mail")

    def test_null_mx_at_rcpt_once_it_is_known(self):
        with sending() as server:
            hand_in(server, "x@null.next.test")
            server.wait_for_messages("alice", 1)
            with server.connect() as client:
                client.say("EHLO client.example.org")
                client.say("MAIL FROM:<alice@our.test>")
                for known in ("y@null.next.test", "y@NULL.next.test"):
                    reply = client.say(f"RCPT TO:<{known}>")
                    self.assertTrue(reply.startswith("556 5.1.10"), reply)
                self.assertTrue(client.say("RCPT TO:<y@gone.next.test>").startswith("250"))

    def test_no_such_domain(self):
        self.bounces("x@gone.next.test", "5.1.2", "does not exist")

    def test_an_alias_that_leads_nowhere(self):
        self.bounces("x@dangling.next.test", "5.1.2", "does not exist")

    def test_a_domain_without_an_address(self):
        self.bounces("x@no-address.next.test", "5.4.4", "address")

    def test_a_host_that_does_not_exist(self):
        self.bounces("x@gone-host.next.test", "5.4.4", "address")

    def test_the_domains_own_address_is_no_host_where_there_is_an_mx(self):
        with host(A) as a:
            self.bounces("x@gone-but-here.next.test", "5.4.4", "address")
            with sending() as server:
                hand_in(server, "x@dead-but-here.next.test")
                wait_until(lambda: server.events("Deferred"), "the deferral")
            self.assertEqual(a.connections, 0)

    def test_ourselves_by_name(self):
        self.bounces("x@us-by-name.next.test", "5.4.6", "not set up for it")

    def test_ourselves_by_address(self):
        listener = f'[[listener]]\naddress = "{US}:25"\n'
        self.bounces("x@us-by-address.next.test", "5.4.6", "not set up for it", listener)

    def test_ourselves_before_another(self):
        listener = f'[[listener]]\naddress = "{US}:25"\n'
        with host(A) as a:
            self.bounces("x@us-first.next.test", "5.4.6", "not set up for it", listener)
            self.assertEqual(a.connections, 0)


class Outage(Case):
    def test_without_an_answer_mail_waits_and_goes_when_there_is_one(self):
        with host(A) as a, sending() as server:
            names.stop()
            try:
                hand_in(server, "x@ordered.next.test")
                deferred = wait_until(lambda: server.events("Deferred"), "a first failure")
                self.assertIn("status=4.4.3", deferred[0])
                self.assertIn("Dns", server.ask("queue", "list"))
            finally:
                names.start()
            # A failure to look a domain up is remembered for half a minute.
            wait_until(lambda: a.messages, "the message", limit=90)
            self.assertEqual(server.messages("alice"), [])

    def test_what_is_known_serves_through_it(self):
        with host(A) as a, sending() as server:
            hand_in(server, "x@ordered.next.test")
            wait_until(lambda: len(a.messages) == 1, "the first message")
            names.stop()
            try:
                hand_in(server, "x@ordered.next.test")
                wait_until(lambda: len(a.messages) == 2, "the second message")
                self.assertEqual(server.events("Deferred"), [])
            finally:
                names.start()


class Sites(Case):
    def sites(self, server):
        rows = [json.loads(line) for line in server.ask("queue", "sites", "--json").splitlines()]
        return {row["site"]: row for row in rows if "site" in row}

    def test_domains_with_the_same_hosts_share_one(self):
        later = but(RCPT=b"451 4.7.1 later\r\n")
        with host(A, later), sending(queue='delay_notice = "0s"') as server:
            hand_in(server, "x@twin1.next.test")
            hand_in(server, "x@twin2.next.test")
            wait_until(lambda: len(server.events("Deferred")) >= 2, "two deferrals")
            shared = "mx:a.next.test,b.next.test"
            wait_until(lambda: self.sites(server).get(shared, {}).get("entries") == 2, "one site")
            self.assertEqual(list(self.sites(server)), [shared])

    def test_recipients_of_both_go_in_one_transaction(self):
        with host(A) as a, sending() as server:
            hand_in(server, "x@twin1.next.test")  # then the hosts are known
            wait_until(lambda: server.events("Delivered"), "the first")
            hand_in(server, "x@twin2.next.test")
            wait_until(lambda: len(server.events("Delivered")) == 2, "the second")
            hand_in(server, "x@twin1.next.test", "x@twin2.next.test")
            wait_until(lambda: len(server.events("Delivered")) == 4, "the third, for both")
            self.assertEqual(len(a.messages), 3)


class Relaying(Case):
    def test_a_smarthost_gets_everything(self):
        with host(A) as a, host(B) as b, sending('[relay]\nsmarthost = "b.next.test"\n') as server:
            hand_in(server, "x@ordered.next.test", "x@gone.next.test", f"x@[{A}]")
            wait_until(lambda: len(server.events("Delivered")) == 3, "three outcomes")
            self.assertEqual((a.connections, len(b.messages)), (0, 1))
            self.assertEqual(len(b.visits[0].said("RCPT")), 3)

    def test_a_relay_domain_is_taken_from_everyone_and_nothing_else(self):
        relay = '[relay]\ndomains = ["ordered.next.test"]\nsmarthost = "b.next.test"\n'
        with host(A) as a, sending(relay, networks="[]") as server:
            with server.connect() as client:
                client.say("EHLO client.example.org")
                client.say("MAIL FROM:<s@else.test>")
                for stranger in ("x@twin1.next.test", "x@sub.ordered.next.test", f"x@[{A}]",
                                 "x%ordered.next.test@else.test"):
                    self.assertTrue(client.say(f"RCPT TO:<{stranger}>").startswith("550 5.7.1"),
                                    stranger)
            hand_in(server, "x@ordered.next.test", sender="s@else.test")
            # To its own hosts: we are its second MX, and the smarthost is for mail of ours.
            wait_until(lambda: a.messages, "the message at its first MX")


class Pools(Case):
    POOLS = f"""
[relay]
hello_name = "out.our.test"
source_v4 = "{OUT}"
source_v6 = "{OUT_SIX}"
[[pool]]
senders = ["news.test"]
hello_name = "news.our.test"
source_v4 = "{NEWS}"
[[pool]]
destinations = ["twin2.next.test"]
hello_name = "twin.our.test"
source_v4 = "{TWIN}"
"""

    def seen(self, visits):
        """(name, source, sender, domain of the recipient) of each transaction."""
        out = []
        for visit in visits:
            sender = None
            for line in visit.lines:
                if line.upper().startswith("MAIL FROM:"):
                    sender = line.split("<")[1].split(">")[0]
                elif line.upper().startswith("RCPT TO:"):
                    domain = line.split("@")[1].split(">")[0]
                    out.append((visit.hello_name, visit.source, sender, domain))
        return out

    def expected(self, sender, domain):
        name, source = (("news.our.test", NEWS) if sender.endswith("@news.test") else
                        ("twin.our.test", TWIN) if domain == "twin2.next.test" else
                        ("out.our.test", OUT))
        return (name, source, sender, domain)

    def test_name_and_source_are_those_of_sender_and_destination(self):
        with host(A) as a, sending(self.POOLS) as server:
            want = []
            for sender in ("alice@our.test", "daily@news.test"):
                for domain in ("twin1.next.test", "twin2.next.test"):
                    hand_in(server, f"x@{domain}", sender=sender)
                    want.append(self.expected(sender, domain))
                    wait_until(lambda: len(a.messages) == len(want), "the message")
            self.assertEqual(sorted(self.seen(a.visits)), sorted(want))

    def test_a_connection_that_is_kept_carries_no_other_pools_mail(self):
        answer = but(RCPT=b"451 later\r\n")
        with host(A, lambda word: answer(word)) as a:
            with sending(self.POOLS, queue="connections_per_site = 1") as server:
                want = []
                for i in range(12):
                    sender = ("alice@our.test", "daily@news.test")[i % 2]
                    domains = [f"twin{n}.next.test" for n in (1, 2)]
                    hand_in(server, *[f"x{i}@{domain}" for domain in domains], sender=sender)
                    want += [self.expected(sender, domain) for domain in domains]
                wait_until(lambda: len(server.events("Deferred")) >= 24, "all to have failed once")
                answer = polite
                wait_until(lambda: len(server.events("Delivered")) == 24, "all outcomes")
                self.assertEqual(set(self.seen(a.visits)), set(want))
                self.assertLess(len(a.visits), len(self.seen(a.visits)), "no connection was kept")

    def test_an_ipv6_source_for_an_ipv6_host(self):
        with host(SIX) as six, sending(self.POOLS) as server:
            hand_in(server, "x@six-only.next.test")
            wait_until(lambda: six.messages, "the message")
            self.assertEqual((six.visits[0].hello_name, six.visits[0].source),
                             ("out.our.test", OUT_SIX))


INSIDE = "POSTRIDER_TEST_NETWORK"

if __name__ == "__main__":
    if INSIDE not in os.environ:
        # A network namespace of our own; without root, root of a user namespace.
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvpe("unshare", ["unshare", *as_root, "--net", "--", sys.executable, *sys.argv],
                   {**os.environ, INSIDE: "1"})
    for words in (["link", "set", "lo", "up"],
                  *(["address", "add", f"{address}/128", "dev", "lo", "nodad"]
                    for address in (BOTH, OUT_SIX))):
        subprocess.run(["ip", *words], check=True)
    unittest.main()
