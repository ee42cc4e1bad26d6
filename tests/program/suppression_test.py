"""Recipients that failed for good are not written to again, where the operator wants it; what
failures mean stands in the log, the queue and the story of a message."""

import json
import unittest

import bounce
from next_host import Scripted, but
from server import Client, Server, wait_until

ON = '[suppression]\nenabled = true\nbounce_addresses = ["carol@our.test"]\n'
CONTENT = "Subject: x\r\n\r\nwords\r\n"


def server_for(host, suppression=ON, **more):
    way = f'[[route]]\ndomain = "far.test"\nhost = "[127.0.0.1]:{host.port}"\n'
    return Server(smtp_networks='["127.0.0.0/8"]', queue='backoff_first = "1s"\nbackoff_max = "1s"',
                  domain=way + suppression, **more)


def send(server, to, sender="bob@our.test", content=CONTENT):
    with Client(server.port) as client:
        assert client.deliver(to, content, sender).startswith("250")


def entries(server, *words):
    return [json.loads(line) for line in server.ask("suppression", "list", "--json", *words).splitlines()]


def report(recipient, status="5.1.1", diagnostic="550 5.1.1 no such user"):
    return ("From: MAILER-DAEMON@far.test\r\nTo: carol@our.test\r\nSubject: failure\r\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            "--b\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            f"Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\n"
            f"Action: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {diagnostic}\r\n--b--\r\n")


class Suppression(unittest.TestCase):
    def test_a_dead_address_is_tried_once(self):
        refusing = but(RCPT=b"550 5.1.1 no such user here\r\n")
        with Scripted(refusing) as host, server_for(host) as server:
            send(server, "dead@far.test")
            server.wait_for_messages("bob", 1)
            wait_until(lambda: server.events("Failed"), "the failure to be logged")
            self.assertIn("class=bad-mailbox", server.events("Failed")[0])
            wait_until(lambda: server.events("Suppressed"), "the address to be learnt")
            visits = host.connections
            send(server, "Dead@Far.Test")
            # Its sender is told, with the reason, and nobody was asked.
            reports = server.wait_for_messages("bob", 2)
            texts = [path.read_bytes() for path in reports]
            self.assertTrue(any(b"suppressed, not tried" in text for text in texts))
            self.assertEqual([fault for text in texts for fault in bounce.faults(text)], [])
            self.assertEqual(host.connections, visits)
            self.assertEqual([(entry["address"], entry["class"]) for entry in entries(server)],
                             [("dead@far.test", "bad-mailbox")])

    def test_off_by_default_and_full_is_not_dead(self):
        with Scripted(but(RCPT=b"550 5.1.1 no such user\r\n")) as host:
            with server_for(host, suppression="") as server:
                for _ in range(2):
                    send(server, "dead@far.test")
                server.wait_for_messages("bob", 2)
                self.assertEqual(entries(server), [])
                self.assertGreaterEqual(host.connections, 1)
        with Scripted(but(RCPT=b"552 5.2.2 mailbox is full\r\n")) as host, server_for(host) as server:
            send(server, "full@far.test")
            server.wait_for_messages("bob", 1)
            wait_until(lambda: server.events("Failed"), "the failure to be logged")
            self.assertIn("class=full", server.events("Failed")[0])
            self.assertEqual(entries(server), [])

    def test_the_list_outlives_a_kill_and_an_operator_edits_it(self):
        with Scripted(but()) as host, server_for(host) as server:
            server.ask("suppression", "add", "one@far.test", "--reason", "asked us to stop")
            server.ask("suppression", "add", "two@far.test", "--sender-domain", "news.test")
            self.assertEqual(server.ask("suppression", "list").splitlines()[-1], "2 entries")
            server.kill()
            server.start()
            self.assertEqual([entry["address"] for entry in entries(server)],
                             ["one@far.test", "two@far.test"])
            socket = ("--socket", str(server.admin_socket))
            check = server.command("suppression", "check", "ONE@far.test", *socket, check=False)
            self.assertEqual(check.returncode, 1)
            self.assertIn("asked us to stop", check.stdout)
            # Of the second one only senders of that domain are kept away.
            self.assertIn("written to", server.ask("suppression", "check", "two@far.test"))
            check = server.command("suppression", "check", "two@far.test", "--sender-domain",
                                   "news.test", *socket, check=False)
            self.assertEqual(check.returncode, 1)
            server.ask("suppression", "remove", "one@far.test")
            again = server.command("suppression", "remove", "one@far.test", *socket, check=False)
            self.assertNotEqual(again.returncode, 0)
            send(server, "one@far.test")
            wait_until(lambda: host.messages, "the message to arrive")
            wait_until(lambda: len(server.events("SuppressionChanged")) == 1, "it to be logged")

    def test_reports_that_come_back_are_read(self):
        with Scripted(but()) as host, server_for(host) as server:
            send(server, "carol@our.test", sender="", content=report("gone@far.test"))
            wait_until(lambda: len(entries(server)) == 1, "the report to be read")
            # With a tag, only of the recipient in it.
            send(server, "carol+bob=far.test@our.test", sender="", content=report("other@far.test"))
            send(server, "carol+bob=far.test@our.test", sender="", content=report("bob@far.test"))
            wait_until(lambda: len(entries(server)) == 2, "the second one")
            self.assertEqual([entry["address"] for entry in entries(server)],
                             ["bob@far.test", "gone@far.test"])
            # Not from somebody with a reverse-path, not at another address, and not when it is full.
            send(server, "carol@our.test", sender="x@far.test", content=report("a@far.test"))
            send(server, "alice@our.test", sender="", content=report("b@far.test"))
            send(server, "carol@our.test", sender="", content=report(
                "c@far.test", "5.2.2", "552 5.2.2 mailbox full"))
            server.wait_for_messages("carol", 5)
            wait_until(lambda: len(server.events("Delivered")) >= 6, "all deliveries")
            self.assertEqual(len(entries(server)), 2)

    def test_classes_stand_in_the_queue_and_in_the_story(self):
        def answer(word):
            if word.upper().startswith("RCPT TO:<FULL"):
                return b"452 4.2.2 mailbox is full\r\n"
            if word.upper().startswith("RCPT TO:<SLOW"):
                return b"450 4.7.1 greylisted, come again\r\n"
            return but()(word)
        with Scripted(answer) as host, server_for(host) as server:
            send(server, "full@far.test")
            send(server, "slow@far.test")
            wait_until(lambda: len(server.events("Deferred")) >= 2, "both to be put off")
            self.assertIn("1 in the queue", server.ask("queue", "list", "--class", "full"))
            self.assertIn("1 in the queue", server.ask("queue", "list", "--class", "rate"))
            self.assertIn("0 in the queue", server.ask("queue", "list", "--class", "bad-mailbox"))
            wrong = server.command("queue", "list", "--class", "nonsense", "--socket",
                                   str(server.admin_socket), check=False)
            self.assertNotEqual(wrong.returncode, 0)
            id_of_full = json.loads(server.ask("queue", "list", "--class", "full", "--json")
                                    .splitlines()[0])["id"]
            self.assertIn("[full]", server.ask("show", id_of_full))


if __name__ == "__main__":
    unittest.main()
