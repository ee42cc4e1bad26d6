"""The reader of bounces against other people's bounces, and other people's bounces against it."""

import json
import pathlib
import unittest

import bounce

DATA = pathlib.Path(__file__).parent / "testdata/dsn"

# The sample's own software concluded another status from the words of the diagnostic than the one
# that stands in the report's Status field, or counted the recipients otherwise: what RFC 3464 §2.3
# gives is what stands there.
CONCLUDED_FROM_WORDS = {
    "lhost-amazonses-01.eml", "lhost-amazonses-02.eml", "lhost-amazonses-17.eml",
    "lhost-courier-01.eml", "lhost-exchange2007-05.eml", "lhost-exim-43.eml",
    "lhost-opensmtpd-11.eml", "lhost-opensmtpd-13.eml", "lhost-opensmtpd-14.eml",
    "lhost-opensmtpd-17.eml", "lhost-postfix-44.eml", "lhost-sendmail-07.eml",
    "lhost-sendmail-08.eml", "lhost-sendmail-10.eml", "lhost-sendmail-38.eml",
    "lhost-sendmail-41.eml", "lhost-sendmail-56.eml", "rfc3464-28.eml", "rhost-franceptt-10.eml",
}


class Vectors(unittest.TestCase):
    def test_statuses_are_those_of_the_samples(self):
        wanted = json.loads((DATA / "sisimai/statuses.json").read_text())
        same, differ = 0, set()
        for name, statuses in wanted.items():
            octets = (DATA / "sisimai/eml" / name).read_bytes()
            got = [group.status for group in bounce.read(octets)]
            if got == statuses:
                same += 1
                continue
            differ.add(name)
            for status in got:  # but it stands there
                self.assertIn(f"status:{status}".encode(),
                              octets.lower().replace(b" ", b"").replace(b"\t", b""), name)
        print(f"vectors dsn/sisimai: {same} of {len(wanted)}, {len(differ)} differences")
        self.assertEqual(differ, CONCLUDED_FROM_WORDS)

    def test_reports_of_kumomta(self):
        wanted = {
            "1.eml": ["4.0.0"], "2.eml": ["5.0.0", "4.0.0", "5.0.0"], "3.eml": ["5.0.0"],
            "4.eml": ["4.0.0"], "5.eml": ["5.0.0"], "6.eml": ["5.0.0"],
            "obsolete_arrival_date.eml": ["5.1.1"],
        }
        for name, statuses in wanted.items():
            groups = bounce.read((DATA / "kumomta/rfc3464" / name).read_bytes())
            self.assertEqual([group.status for group in groups], statuses, name)
        print(f"vectors dsn/kumomta: {len(wanted)} of {len(wanted)}, 0 differences")

    def test_mails_that_are_no_bounces(self):
        others = [*(DATA / "sisimai/not").iterdir(), *(DATA / "kumomta/rfc5965").iterdir()]
        for path in others:
            with self.assertRaises(bounce.NotAReport, msg=path.name):
                bounce.read(path.read_bytes())
        print(f"vectors dsn/not: {len(others)} of {len(others)}, 0 differences")


REPORT = b"""MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.our.test

Final-Recipient: rfc822; x@far.test
Action: failed
Status: 5.1.1
--b
Content-Type: text/rfc822-headers

Subject: hello
--b--
"""


class Faults(unittest.TestCase):
    def test_a_right_one_has_none(self):
        self.assertEqual(bounce.faults(REPORT), [])

    def test_each_wrong_one_is_told(self):
        for old, new, words in (
                (b"multipart/report", b"multipart/mixed", "RFC 6522 §3: it is not"),
                (b"report-type=delivery-status; ", b"", "report-type"),
                (b"message/delivery-status", b"text/plain", "second part"),
                (b"text/rfc822-headers", b"image/png", "third part"),
                (b"Reporting-MTA: dns; mx.our.test", b"X: y", "Reporting-MTA"),
                (b"Final-Recipient", b"Recipient", "Final-Recipient"),
                (b"Action: failed", b"Action: broken", "the action"),
                (b"Status: 5.1.1", b"Status: 550", "the status"),
                (b"Status: 5.1.1", b"Status: 4.1.1", "failed with 4.1.1"),
                (b"Sorry.", b"x" * 1000, "too long")):
            self.assertIn(words, " ".join(bounce.faults(REPORT.replace(old, new))), words)


if __name__ == "__main__":
    unittest.main()
