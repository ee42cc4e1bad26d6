"""Extensions through the whole program: what a client asked for is stored, and honoured at the end."""

import email
import email.policy
import unittest

from next_host import Scripted, but
from onward_test import relaying
from server import Server, wait_until

MESSAGE = ("From: <alice@our.test>\r\n"
           "Subject: extended\r\n"
           "\r\n"
           "text\r\n")


def offering(*keywords, **more):
    hello = "".join(f"250-{keyword}\r\n" for keyword in keywords)
    return but(EHLO=f"250-far.test\r\n{hello}250 PIPELINING\r\n".encode(), **more)


def begin(client, mail, *recipients):
    """EHLO, MAIL and each RCPT, all of which are taken."""
    assert client.say("EHLO client.example.org").startswith("250")
    for line in [f"MAIL FROM:{mail}", *(f"RCPT TO:{one}" for one in recipients)]:
        reply = client.say(line)
        assert reply.startswith("250"), (line, reply)


def finish(client, content=MESSAGE):
    assert client.say("DATA").startswith("354")
    client.send(content + ".\r\n")
    reply = client.reply()
    assert reply.startswith("250"), reply


def chunk(client, octets, last=False):
    client.send(f"BDAT {len(octets)}{' LAST' if last else ''}\r\n".encode() + octets)
    return client.reply()


def report_of(path):
    """The groups of fields of a report: the message's first, then one for each recipient."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert message.get_content_type() == "multipart/report", message
    status = message.get_payload()[1]
    if status.get_content_type() == "message/delivery-status":
        return status.get_payload()
    # To Python a message/global-delivery-status is a message whose text are the other groups.
    first = status.get_payload()[0]
    others = first.get_payload().replace("\r\n", "\n").strip().split("\n\n")
    return [first, *(email.message_from_string(group) for group in others)]


class Reports(unittest.TestCase):
    def test_success_is_told_where_the_mailbox_is(self):
        with Server() as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> RET=HDRS ENVID=QQ+20314159",
                      "<bob@our.test> NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Bx@Our.Test",
                      "<carol@our.test> NOTIFY=NEVER", "<alice@our.test>")
                finish(client)
            message, bob = report_of(wait_until(
                lambda: [path for path in server.messages("alice")
                         if b"multipart/report" in path.read_bytes()], "the report")[0])
            self.assertEqual(message["Original-Envelope-Id"], "QQ 314159")
            self.assertEqual(bob["Original-Recipient"], "rfc822; Bob+x@Our.Test")
            self.assertEqual(bob["Final-Recipient"], "rfc822; bob@our.test")
            self.assertEqual((bob["Action"], bob["Status"]), ("delivered", "2.0.0"))

    def test_a_host_without_dsn_is_told_nothing_and_the_sender_hears_relayed(self):
        with Scripted(offering("8BITMIME")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> ENVID=x",
                      "<a@far.test> NOTIFY=SUCCESS,FAILURE", "<b@far.test> NOTIFY=FAILURE")
                finish(client)
            _, a = report_of(server.wait_for_messages("alice", 1)[0])
            self.assertEqual((a["Final-Recipient"], a["Action"]), ("rfc822; a@far.test", "relayed"))
            self.assertEqual(a["Diagnostic-Code"].split()[:2], ["smtp;", "250"])
            self.assertEqual(far.visits[0].said("RCPT"),
                             ["RCPT TO:<a@far.test>", "RCPT TO:<b@far.test>"])

    def test_a_host_with_dsn_gets_all_of_it_and_tells_the_sender_itself(self):
        with Scripted(offering("DSN")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> RET=HDRS ENVID=QQ314159",
                      "<a@far.test> NOTIFY=SUCCESS ORCPT=rfc822;A@Far.Test",
                      "<b@far.test> NOTIFY=NEVER", "<c@far.test>")
                finish(client)
            wait_until(lambda: len(server.events("Delivered")) == 3, "the outcomes in the log")
            self.assertEqual(far.visits[0].said("MAIL"),
                             ["MAIL FROM:<alice@our.test> RET=HDRS ENVID=QQ314159"])
            self.assertEqual(far.visits[0].said("RCPT"),
                             ["RCPT TO:<a@far.test> NOTIFY=SUCCESS ORCPT=rfc822;A@Far.Test",
                              "RCPT TO:<b@far.test> NOTIFY=NEVER", "RCPT TO:<c@far.test>"])
            self.assertEqual(server.messages("alice"), [])

    def test_what_was_asked_for_outlives_a_kill(self):
        later = [b"451 4.3.0 later\r\n"] * 2
        with Scripted(offering("DSN", "MT-PRIORITY", MAIL=later)) as far, \
                relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> RET=FULL ENVID=x+2By MT-PRIORITY=2",
                      "<a@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A@Far.Test")
                finish(client)
            wait_until(lambda: server.events("Deferred"), "a first failure")
            server.kill()
            server.start()
            wait_until(lambda: far.messages, "the message at the far end")
            self.assertEqual(far.visits[-1].said("MAIL"), [
                "MAIL FROM:<alice@our.test> RET=FULL ENVID=x+2By MT-PRIORITY=2"])
            self.assertEqual(far.visits[-1].said("RCPT"), [
                "RCPT TO:<a@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A@Far.Test"])

    def test_never_is_never_even_when_it_fails(self):
        refusing = offering("8BITMIME", RCPT=b"550 5.1.1 nobody\r\n")
        with Scripted(refusing) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test>", "<a@far.test> NOTIFY=NEVER",
                      "<b@far.test> NOTIFY=SUCCESS")
                finish(client)
            wait_until(lambda: len(server.events("Failed")) == 2, "the outcomes in the log")
            self.assertEqual(server.messages("alice"), [])

    def test_of_an_alias_for_several_one_tells_of_success(self):
        with Server() as server:
            with server.connect() as client:
                begin(client, "<carol@our.test>", "<all@our.test> NOTIFY=SUCCESS")
                finish(client)
            for user in ("alice", "bob"):
                server.wait_for_messages(user, 1)
            _, told = report_of(server.wait_for_messages("carol", 1)[0])
            self.assertEqual(told["Final-Recipient"], "rfc822; all@our.test")
            wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")
            self.assertEqual(len(server.messages("carol")), 1)


class Chunks(unittest.TestCase):
    BINARY = b"Subject: binary\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n\n.\n\r.\r\n\xff\r"

    def test_text_comes_in_chunks_cut_anywhere(self):
        octets = ("Subject: chunks\r\n\r\n.dot\r\n" + "line\r\n" * 50000).encode()
        with Server() as server:
            with server.connect() as client:
                begin(client, "<s@else.test> BODY=8BITMIME", "<alice@our.test>")
                for at in range(0, len(octets), 70001):
                    self.assertTrue(chunk(client, octets[at:at + 70001]).startswith("250"))
                self.assertTrue(chunk(client, b"", last=True).startswith("250 2.0.0"))
            kept = server.wait_for_messages("alice", 1)[0].read_bytes()
            self.assertEqual(kept[kept.index(b"Subject:"):], octets.replace(b"\r\n", b"\n"))

    def test_binary_lies_in_a_mailbox_octet_for_octet(self):
        with Server() as server:
            with server.connect() as client:
                begin(client, "<s@else.test> BODY=BINARYMIME", "<alice@our.test>")
                self.assertTrue(client.say("DATA").startswith("503"))
                chunk(client, self.BINARY[:61])
                self.assertTrue(chunk(client, self.BINARY[61:], last=True).startswith("250"))
            kept = server.wait_for_messages("alice", 1)[0].read_bytes()
            self.assertTrue(kept.endswith(self.BINARY), kept)

    def test_binary_goes_on_in_one_chunk_or_back(self):
        with Scripted(offering("CHUNKING", "BINARYMIME")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> BODY=BINARYMIME", "<a@far.test>")
                self.assertTrue(chunk(client, self.BINARY, last=True).startswith("250"))
            content = wait_until(lambda: far.messages, "the message at the far end")[0]
            self.assertTrue(content.startswith(b"Received: "))
            self.assertTrue(content.endswith(self.BINARY), content)
        with Scripted(offering("CHUNKING", "8BITMIME")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> BODY=BINARYMIME", "<a@far.test>")
                self.assertTrue(chunk(client, self.BINARY, last=True).startswith("250"))
            _, a = report_of(server.wait_for_messages("alice", 1)[0])
            self.assertEqual((a["Action"], a["Status"]), ("failed", "5.6.3"))
            self.assertEqual(far.messages, [])

    def test_a_refused_chunk_is_never_read_as_commands(self):
        with Server() as server:
            with server.connect() as client:
                begin(client, "<s@else.test>", "<alice@our.test>")
                smuggled = b"a\nb\r\n.\r\nMAIL FROM:<evil@else.test>\r\nQUIT\r\n"
                self.assertTrue(chunk(client, smuggled, last=True).startswith("554 5.6.0"))
                self.assertTrue(client.say("NOOP").startswith("250"))
            self.assertEqual(server.messages("alice"), [])


class International(unittest.TestCase):
    HEADER = "From: <jürgen@else.test>\r\nSubject: grüße\r\n\r\ntext\r\n"

    def test_it_is_asked_for_and_named_in_the_trace(self):
        with Scripted(offering("SMTPUTF8", "8BITMIME")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<jürgen@else.test> SMTPUTF8 BODY=8BITMIME", "<ä@far.test>")
                finish(client, self.HEADER)
            content = wait_until(lambda: far.messages, "the message at the far end")[0].decode()
            self.assertTrue(content.endswith(self.HEADER), content)
            self.assertIn("with UTF8SMTP", content.split("From:")[0])
            self.assertIn("for <ä@far.test>", content.split("From:")[0])
            mail = far.visits[0].said("MAIL")[0]
            self.assertTrue(mail.startswith("MAIL FROM:<jürgen@else.test> "), mail)
            self.assertEqual(set(mail.split()[2:]), {"BODY=8BITMIME", "SMTPUTF8"})

    def test_without_it_at_the_next_host_it_comes_back(self):
        with Scripted(offering("8BITMIME")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> SMTPUTF8 BODY=8BITMIME", "<ä@far.test>")
                finish(client)
            path = server.wait_for_messages("alice", 1)[0]
            _, failed = report_of(path)
            self.assertEqual((failed["Action"], failed["Status"]), ("failed", "5.6.7"))
            self.assertIn("Content-Type: message/global-delivery-status", path.read_text())
            self.assertEqual(far.messages, [])

    def test_what_needs_no_utf8_goes_to_a_host_without(self):
        with Scripted(offering("8BITMIME")) as far, \
                relaying(far.port, domain='[[route]]\ndomain = "bücher.test"\n'
                                          f'host = "127.0.0.1:{far.port}"\n') as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> SMTPUTF8", "<a@bücher.test>")
                finish(client)
            content = wait_until(lambda: far.messages, "the message at the far end")[0]
            self.assertTrue(content.isascii(), content)
            self.assertEqual(far.visits[0].said("MAIL"), ["MAIL FROM:<alice@our.test>"])
            self.assertEqual(far.visits[0].said("RCPT"), ["RCPT TO:<a@xn--bcher-kva.test>"])

    def test_without_the_parameter_it_is_refused(self):
        with Server() as server, server.connect() as client:
            client.say("EHLO client.example.org")
            self.assertTrue(client.say("MAIL FROM:<jürgen@else.test>").startswith("550 5.6.7"))
            self.assertTrue(client.say("MAIL FROM:<a@else.test>").startswith("250"))
            self.assertTrue(client.say("RCPT TO:<jürgen@our.test>").startswith("553 5.6.7"))


class Priorities(unittest.TestCase):
    def test_one_of_ours_is_honoured_and_handed_on(self):
        with Scripted(offering("MT-PRIORITY")) as far, relaying(far.port) as server:
            with server.connect() as client:
                begin(client, "<alice@our.test> MT-PRIORITY=4", "<a@far.test>")
                finish(client)
            content = wait_until(lambda: far.messages, "the message at the far end")[0].decode()
            self.assertEqual(far.visits[0].said("MAIL"),
                             ["MAIL FROM:<alice@our.test> MT-PRIORITY=4"])
            self.assertIn("PRIORITY 4;", content.split("From:")[0])

    def test_a_stranger_is_lowered_and_told(self):
        with Server() as server, server.connect() as client:
            begin(client, "<s@else.test> MT-PRIORITY=4", "<alice@our.test>")
            assert client.say("DATA").startswith("354")
            client.send(MESSAGE + ".\r\n")
            self.assertTrue(client.reply().startswith("250 2.3.6 0 is the new priority"))
            begin(client, "<s@else.test> MT-PRIORITY=-4", "<alice@our.test>")
            finish(client)


class Offers(unittest.TestCase):
    def test_what_is_offered_is_what_the_page_says(self):
        with Server() as server, server.connect() as client:
            words = [line[4:] for line in client.say("EHLO client.example.org").splitlines()[1:]]
            self.assertEqual({word.split()[0] for word in words},
                             {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING",
                              "BINARYMIME", "DSN", "SMTPUTF8", "MT-PRIORITY", "DELIVERBY", "LIMITS",
                              "HELP"})
            self.assertIn("LIMITS RCPTMAX=1000", words)


if __name__ == "__main__":
    unittest.main()
