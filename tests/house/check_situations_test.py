"""check_situations sees a row that no code uses."""

import unittest

import check_situations
from bad_tree import BadTree

CATALOGUE = check_situations.CATALOGUE
ROWS = (
    "// POSTRIDER_SITUATION(Name, ...)\n"
    'POSTRIDER_SITUATION(QueueTorn, "It tore.")\n'
    'POSTRIDER_SWITCH(\n    QueueEarly, "It goes early.")\n'
)
CODE = "reached(Situation::QueueTorn);\nif (forced(Switch::QueueEarly)) go();\n"


class CheckSituations(BadTree):
    def problems(self, code, path="src/queue/a.cc"):
        self.write({CATALOGUE: ROWS, path: code})
        return check_situations.find_problems(self.root)

    def test_RowsThatAreUsedAreQuiet(self):
        self.assertEqual(self.problems(CODE), [])

    def test_ASituationThatNothingReachesIsReported(self):
        code = CODE.replace("Situation::", "Switch::")
        self.assertEqual(self.problems(code), [f"{CATALOGUE}:2: nothing reaches QueueTorn"])

    def test_ASwitchThatNothingAsksForIsReported(self):
        code = CODE.replace("QueueEarly", "QueueEarlyOnce")
        self.assertEqual(self.problems(code), [f"{CATALOGUE}:3: nothing asks for QueueEarly"])

    def test_WhatOnlyATestOrACommentNamesIsReported(self):
        self.assertEqual(len(self.problems(CODE, "src/queue/a_test.cc")), 2)
        self.assertEqual(len(self.problems("// Situation::QueueTorn Switch::QueueEarly\n")), 2)

    def test_WhatOnlyTheSimulatorNamesIsReported(self):
        self.assertEqual(len(self.problems(CODE, "sim/a.cc")), 2)


if __name__ == "__main__":
    unittest.main()
