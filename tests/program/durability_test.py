"""250 means durable: shown on the real process by its system calls, and by killing it."""

import random
import re
import threading
import unittest

import system_calls
from server import Server, program, wait_until


def send_until_it_ends(server, name, accepted, stop, message_octets=1500):
    """Sends messages one after the other and notes each that was answered 250."""
    number = 0
    try:
        with server.connect() as client:
            while not stop.is_set():
                mark = f"{name}-{number}"
                number += 1
                text = f"Subject: {mark}\r\n\r\n" + "x" * 70 + "\r\n"
                text += ("y" * 70 + "\r\n") * (message_octets // 72)
                if client.deliver("alice@our.test", text).startswith("250"):
                    accepted.append(mark)
    except (OSError, AssertionError):
        pass  # the server was killed in the middle: what it had said stands


def load(server, senders, name):
    """Starts senders; returns (accepted, stop()), where stop() ends and joins them."""
    accepted, stop = [], threading.Event()
    threads = [threading.Thread(target=send_until_it_ends,
                                args=(server, f"{name}-{i}", accepted, stop)) for i in range(senders)]
    for thread in threads:
        thread.start()

    def end():
        stop.set()
        for thread in threads:
            thread.join(60)

    return accepted, end


def marks_in_mailbox(server):
    marks = []
    for path in server.messages("alice"):
        found = re.search(rb"^Subject: (\S+)$", path.read_bytes(), re.M)
        if found:
            marks.append(found.group(1).decode())
    return marks


class SystemCalls(unittest.TestCase):
    def traced(self, binary):
        """(replies seen, violations) of a run under load."""
        server = Server(binary=binary)
        trace = server.directory / "trace"
        server.wrapper = system_calls.tracer(trace)
        with server:
            accepted, end = load(server, 8, "m")
            wait_until(lambda: len(accepted) >= 200, "200 messages to be accepted")
            end()
            with server.connect() as client:  # two that have files of their own
                for number in range(2):
                    text = f"Subject: large-{number}\r\n\r\n" + "z" * 70 + "\r\n" * 2
                    text += ("z" * 70 + "\r\n") * 6000
                    self.assertTrue(client.deliver("alice@our.test", text).startswith("250"))
            server.kill()
            lines = trace.read_text(errors="replace").splitlines()
        trace = system_calls.Trace(lines)
        return len(trace.replies), trace.violations()

    def test_every_250_follows_a_finished_sync_of_its_record(self):
        replies, violations = self.traced(program())
        self.assertGreaterEqual(replies, 202)
        self.assertEqual(violations, [])

    def test_a_build_without_sync_is_caught(self):
        binary = program("POSTRIDER_NOSYNC", "build/release/postrider_nosync")
        replies, violations = self.traced(binary)
        self.assertGreaterEqual(replies, 202)
        self.assertGreaterEqual(len(violations), replies)


class Killed(unittest.TestCase):
    KILLS = 200

    def test_at_any_moment_it_has_kept_what_it_said_it_keeps(self):
        chance = random.Random(20261121)
        server = Server()
        accepted = []
        try:
            for life in range(self.KILLS):
                server.start()
                here, end = load(server, 4, f"life{life}")
                stop = threading.Event()
                stop.wait(chance.uniform(0.01, 0.25))
                server.kill()
                end()
                accepted += here
            server.start()
            wait_until(lambda: "0 in the queue" in server.ask("queue", "list"),
                       "everything to be delivered", limit=240)
            found = marks_in_mailbox(server)
            self.assertGreater(len(accepted), self.KILLS)
            missing = set(accepted) - set(found)
            self.assertEqual(missing, set())
            self.assertEqual(len(found), len(set(found)), "a message was delivered twice")
            print(f"kills {self.KILLS}, accepted {len(accepted)}, found {len(found)}, "
                  f"not acknowledged but kept {len(set(found) - set(accepted))}")
        finally:
            server.kill()
        server.__exit__(None, None, None)


if __name__ == "__main__":
    unittest.main()
