"""check_catalogue sees an event that nothing logs and one that says nothing."""

import unittest

import check_catalogue
from bad_tree import BadTree

CATALOGUE = "src/base/log_catalogue.inc"
USED = 'POSTRIDER_EVENT(Used, Info, "id to", "It happened, "\n    "and nothing is to do.")\n'


class CheckCatalogue(BadTree):
    def problems(self, catalogue, code="log(Event::Used);\n"):
        self.write({CATALOGUE: catalogue, "src/queue/a.cc": code})
        return check_catalogue.find_problems(self.root)

    def test_AnEventThatIsLoggedIsQuiet(self):
        self.assertEqual(self.problems("// POSTRIDER_EVENT(Name, ...)\n" + USED), [])

    def test_AnEventThatNothingLogsIsReported(self):
        self.assertEqual(self.problems(USED, ""), [f"{CATALOGUE}:1: nothing logs Used"])

    def test_AnEventThatOnlyATestNamesIsReported(self):
        self.write({"src/queue/a_test.cc": "Event::Used"})
        self.assertEqual(self.problems(USED, ""), [f"{CATALOGUE}:1: nothing logs Used"])

    def test_AnEventWithoutAParagraphIsReported(self):
        self.assertEqual(
            self.problems('POSTRIDER_EVENT(Used, Info, "id", "Used.")\n'),
            [f"{CATALOGUE}:1: Used has no paragraph for the operator"],
        )


if __name__ == "__main__":
    unittest.main()
