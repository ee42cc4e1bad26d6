"""The simulator and reality agree: short forms of sim/scenarios/ with the real program, real sockets
and SIGKILL; and that the reckoning over them can fail. Runs in a network and a mount namespace of
its own (see the end). What a real machine cannot be given is named and left out."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import accidents
import far_host
from name_server import NameServer
from reckoning import FAILS, SET_ASIDE, Accident, Found, Ledger, Letter, Reckoning, Target
from small_internet import Internet, Scenario

SEED = int(os.environ.get("POSTRIDER_SEED", "20261122"))
REST_MAX, REST_MAX_IN_ALL = 90.0, 400.0  # seconds: without any sign of progress, and at most
ACCEPTED_MIN = 60
LENGTH_MAX = 60.0  # seconds that mail and accidents go on, until there were enough of both
VIOLATIONS_SHOWN = 10


async def live(net, faults, kills_min):
    await net.start()
    try:
        net.begin_mailing()
        faults.start()
        begin = time.monotonic()
        end, end_in_all = begin + net.how.length, begin + LENGTH_MAX
        while (now := time.monotonic()) < end or (
                now < end_in_all and (net.accepted < ACCEPTED_MIN or faults.kills < kills_min)):
            await asyncio.sleep(0.05)
            for server in net.servers:
                server.note_its_end()
        net.mailing = False
        await faults.stop()
        await net.come_to_rest(REST_MAX, REST_MAX_IN_ALL)
    finally:
        await faults.stop()
        await net.stop()


def say_what_differs(how):
    words = {word for _, manners in how.foreign for word in manners}
    for fault in how.faults:
        for what, reasons in (("skipped", accidents.SKIPPED), ("instead", accidents.REPLACED)):
            if fault["kind"] in reasons:
                print(f"  {how.name}: {fault['kind']} {what}: {reasons[fault['kind']]}")
    for word in sorted(words & far_host.SKIPPED.keys()):
        print(f"  {how.name}: the manner {word} skipped: {far_host.SKIPPED[word]}")
    unknown = words - far_host.MANNERS.keys() - far_host.SKIPPED.keys()
    assert not unknown, f"manners that this test does not know: {unknown}"


class Scenarios(unittest.TestCase):
    """`pace`: how many seconds of the file pass in one real second."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="postrider-scenario-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def keeps_its_promises(self, name, length, pace, letters_max=1000, kills_min=0,
                           small_disks=False):
        how = Scenario(name, length, pace)
        say_what_differs(how)
        begin = time.monotonic()
        reckoning = asyncio.run(self.run_it(how, letters_max, kills_min, small_disks))
        ledger = reckoning.ledger
        print(f"scenario {name}: {self.net.accepted} accepted, {reckoning.copies_count} copies, "
              f"{reckoning.reports_count} reports, {reckoning.silent} failed with nobody to tell, "
              f"{reckoning.repeats} repeats, {self.faults.kills} kills, {reckoning.set_aside} set "
              f"aside, {reckoning.checked} recipients checked; accidents {self.faults.counts}; "
              f"seed {SEED}, {time.monotonic() - begin:.0f} s", flush=True)
        if ledger.violations:
            self.keep_logs()
        self.assertEqual(ledger.violations[:VIOLATIONS_SHOWN], [],
                         f"{len(ledger.violations)} violations")
        self.assertGreaterEqual(self.net.accepted, ACCEPTED_MIN)
        self.assertGreaterEqual(reckoning.checked, ACCEPTED_MIN)
        self.assertGreaterEqual(self.faults.kills, kills_min)
        return reckoning

    def keep_logs(self):
        """For whoever looks for the reason."""
        kept = Path(tempfile.mkdtemp(prefix="postrider-scenario-logs-"))
        for server in self.net.servers:
            shutil.copy(server.log_path, kept / server.domain)
        print(f"  the logs of its servers are in {kept}")

    async def run_it(self, how, letters_max, kills_min, small_disks):
        self.net = Internet(how, self.folder, SEED, letters_max)
        (self.folder / "example.zone").write_text(self.net.zone())
        for address in self.net.addresses():
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
        if small_disks:
            for server in self.net.servers:
                accidents.mount_disk(server.data)
                self.addCleanup(subprocess.run, ["umount", "-l", str(server.data)], check=True)
        with NameServer("example", folder=self.folder) as names:
            self.faults = accidents.Accidents(self.net, names)
            await live(self.net, self.faults, kills_min)
        reckoning = Reckoning(self.net.ledger)
        reckoning.reckon(self.net.collect())
        return reckoning

    def test_power_loss(self):
        self.keeps_its_promises("power-loss", 5, 1, letters_max=350, kills_min=4)

    def test_rough_days(self):
        self.keeps_its_promises("rough-days", 7, 1, letters_max=350, kills_min=4)

    def test_crash_loop(self):
        self.keeps_its_promises("crash-loop", 6, 4, letters_max=400, kills_min=4)

    def test_newsletter(self):
        self.keeps_its_promises("newsletter", 5, 2000, letters_max=120)

    def test_people(self):
        self.keeps_its_promises("people", 6, 3600, letters_max=500)

    def test_disk_full(self):
        self.keeps_its_promises("disk-full", 6, 3, letters_max=600, small_disks=True)
        self.assertGreater(self.faults.counts["disk-full"], 0)

    def test_flood(self):
        self.keeps_its_promises("flood", 4, 2)

    def test_poison(self):
        reckoning = self.keeps_its_promises("poison", 5, 120, letters_max=600)
        self.assertGreater(reckoning.set_aside, 0)

    def test_partition(self):
        self.keeps_its_promises("partition", 6, 600, letters_max=400)

    def test_manners(self):
        self.keeps_its_promises("manners", 6, 1200, letters_max=1000)


class Reckoned(unittest.TestCase):
    """Made-up ledgers: what is wrong in them is told, and nothing else."""

    IDS = [f"{letter * 12}{digit}" for letter in "ABC" for digit in "123"]
    FAR, AT = "mx.far1.example", 100.0

    def letter(self, to, sender="u1@p1.example", ids=1):
        return Letter(7, 0, sender, [to if isinstance(to, Target) else Target(to)], ends=ids,
                      accepted=self.IDS[:ids])

    def received(self, identity, domain="p1.example"):
        return (f"Received: from clients1.example ([192.0.2.101])\r\n\tby mx.{domain} with ESMTP id "
                f"{identity};\r\n\tSun, 22 Nov 2026 00:00:00 +0000\r\n").encode()

    def at_far(self, letter, to="r@far1.example", at=AT, **more):
        return Found(self.FAR, to, self.received(self.IDS[0]) + letter.content(), at=at, **more)

    def in_mailbox(self, letter, to, text=None, identity=None):
        identity = identity or self.IDS[0]
        if text is None:
            text = self.received(identity) + letter.content()
        text = f"Return-Path: <x@y>\r\nDelivered-To: {to}\r\n".encode() + text
        return Found("p1.example", to, text.replace(b"\r\n", b"\n"), f"1.{identity}R0.mx.p1.example")

    def report(self, letter, about, own=None):
        own = own or self.IDS[3]
        text = (f'Content-Type: multipart/report;\r\n\tboundary="report.{own}.{self.IDS[0]}"\r\n'
                "Auto-Submitted: auto-replied\r\n\r\nReporting-MTA: dns; mx.p1.example\r\n\r\n"
                f"Final-Recipient: rfc822; {about}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
                f"Subject: x\r\nX-Mark: {letter.mark}\r\n").encode()
        return self.in_mailbox(letter, letter.sender or "u1@p1.example", text, own)

    def told(self, letter, *found, accident=None, failed=(), kills=0, set_aside=(),
             kept_aside=()):
        ledger = Ledger(1)
        ledger.letters[letter.mark] = letter
        ledger.accidents += [accident] if accident else []
        ledger.books[0].failed.update(failed)
        ledger.books[0].kills = kills
        ledger.books[0].set_aside.update(set_aside)
        ledger.books[0].kept_aside += kept_aside
        Reckoning(ledger).reckon(found)
        return ledger.violations

    def one_told(self, words, letter, *found, **more):
        told = self.told(letter, *found, **more)
        self.assertEqual(len(told), 1, told)
        self.assertIn(words, told[0])

    def test_what_arrived_once_or_failed_with_one_report_is_right(self):
        letter = self.letter("r@far1.example")
        self.assertEqual(self.told(letter, self.at_far(letter)), [])
        letter = self.letter("u2@p1.example")
        self.assertEqual(self.told(letter, self.in_mailbox(letter, "u2@p1.example")), [])
        letter = self.letter(Target("refused@far1.example", FAILS))
        self.assertEqual(self.told(letter, self.report(letter, "refused@far1.example")), [])
        letter = self.letter(Target("refused@far1.example", FAILS), sender="")
        self.assertEqual(self.told(letter, failed=[(self.IDS[0], "refused@far1.example")]), [])

    def test_what_was_set_aside_after_deaths_is_right_for_any_sender(self):
        for sender in ("u1@p1.example", ""):
            letter = self.letter(Target("poison@poison.example", SET_ASIDE), sender=sender)
            self.assertEqual(self.told(letter, kills=3, set_aside=self.IDS[:1]), [])
            self.one_told("lost", letter, kills=2, set_aside=self.IDS[:1])
            self.one_told("lost", letter, kills=3)

    def test_a_lost_copy_is_told(self):
        self.one_told("lost", self.letter("u2@p1.example"))
        self.one_told("lost", self.letter("r@far1.example"), kills=3)
        two = self.letter("r@far1.example", ids=2)
        self.one_told("lost", two, self.at_far(two))  # accepted twice, there once
        self.one_told("lost", self.letter(Target("poison@poison.example", SET_ASIDE)))

    def test_a_repeat_without_an_accident_between_is_told(self):
        letter = self.letter("r@far1.example")
        twice = [self.at_far(letter), self.at_far(letter, at=self.AT + 3)]
        self.one_told("no accident", letter, *twice)
        for accident in (Accident("kill", "p1.example", None, self.AT + 4, self.AT + 4),
                         Accident("kill", "p2.example", None, self.AT + 1, self.AT + 1),
                         Accident("reset", "p1.example", "mx.far2.example", self.AT, self.AT + 1),
                         Accident("kill", "p1.example", None, self.AT - 9, self.AT - 8)):
            self.one_told("no accident", letter, *twice, accident=accident)

    def test_a_repeat_that_an_accident_explains_is_right(self):
        letter = self.letter("r@far1.example")
        again = self.at_far(letter, at=self.AT + 3)
        kill = Accident("kill", "p1.example", None, self.AT + 1, self.AT + 1)
        self.assertEqual(self.told(letter, self.at_far(letter), again, accident=kill), [])
        self.assertEqual(self.told(letter, self.at_far(letter, replied=False), again), [])
        self.one_told("after it was settled", letter, self.at_far(letter, confirmed=True), again,
                      accident=kill)

    def test_a_copy_twice_in_one_mailbox_is_told_whatever_happened(self):
        letter = self.letter("u2@p1.example")
        twice = [self.in_mailbox(letter, "u2@p1.example") for _ in range(2)]
        kill = Accident("kill", "p1.example", None, 0.0)
        self.one_told("twice", letter, *twice, accident=kill)

    def test_a_missing_report_is_told(self):
        self.one_told("no report", self.letter(Target("refused@far1.example", FAILS)), kills=1,
                      failed=[(self.IDS[0], "refused@far1.example")])

    def test_a_report_that_was_set_aside_after_deaths_is_not_missing(self):
        letter = self.letter(Target("refused@far1.example", FAILS))
        more = {"failed": [(self.IDS[0], "refused@far1.example")], "kills": 3}
        kept = b"Final-Recipient: rfc822; refused@far1.example"
        self.assertEqual(self.told(letter, kept_aside=[kept], **more), [])
        self.one_told("no report", letter, kept_aside=[b"for somebody else"], **more)
        self.one_told("no report", letter, kept_aside=[kept], kills=3)

    def test_a_second_report_is_told(self):
        letter = self.letter(Target("refused@far1.example", FAILS))
        self.one_told("two reports", letter, self.report(letter, "refused@far1.example"),
                      self.report(letter, "refused@far1.example", self.IDS[4]))

    def test_a_report_for_a_null_sender_is_told(self):
        letter = self.letter(Target("refused@far1.example", FAILS), sender="")
        self.one_told("its sender is null", letter, self.report(letter, "refused@far1.example"),
                      failed=[(self.IDS[0], "refused@far1.example")])

    def test_a_report_on_what_arrived_or_must_arrive_is_told(self):
        letter = self.letter("r@far1.example")
        self.one_told("must arrive", letter, self.report(letter, "r@far1.example"))
        self.one_told("arrived, and failed", letter, self.at_far(letter),
                      self.report(letter, "r@far1.example"))

    def test_other_octets_are_told(self):
        letter = self.letter("r@far1.example")
        spoilt = self.at_far(letter)
        spoilt.text = spoilt.text.replace(b"Subject: mark", b"Subject: marK")
        told = self.told(letter, spoilt)
        self.assertTrue(any("other octets" in text for text in told), told)

    def test_what_nobody_sent_is_told(self):
        letter = self.letter("r@far1.example")
        self.one_told("not sent", letter, self.at_far(letter), self.at_far(letter, to="s@far1.example"))
        other = Letter(8, 0, "", [Target("r@far1.example")])
        self.one_told("never sent", letter, self.at_far(letter), self.at_far(other))

    def test_more_ids_than_final_dots_are_told(self):
        letter = self.letter("u2@p1.example")
        self.one_told("2 ids for 1 final dots", letter, *(
            self.in_mailbox(letter, "u2@p1.example", identity=identity) for identity in self.IDS[:2]))


INSIDE = "POSTRIDER_TEST_NETWORK"

if __name__ == "__main__":
    if INSIDE not in os.environ:
        # Namespaces of our own; without root, root of a user namespace.
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvpe("unshare", ["unshare", *as_root, "--net", "--mount", "--", sys.executable,
                               *sys.argv], {**os.environ, INSIDE: "1"})
    for words in (["link", "set", "lo", "up"],
                  # The local table comes after the rules of cut links.
                  ["rule", "add", "pref", "10", "lookup", "local"], ["rule", "del", "pref", "0"]):
        subprocess.run(["ip", *words], check=True)
    unittest.main()
