"""check_format sees a source that clang-format would write in another way."""

import pathlib
import unittest

import check_format
from bad_tree import BadTree

STYLE = (pathlib.Path(__file__).resolve().parents[2] / ".clang-format").read_text()


class CheckFormat(BadTree):
    def problems(self, code):
        self.write({".clang-format": STYLE, "src/mail/a.cc": code})
        return check_format.find_problems(self.root)

    def test_AFormattedSourceIsQuiet(self):
        self.assertEqual(self.problems("int twice(int a) { return a + a; }\n"), [])

    def test_AnUnformattedSourceIsReportedOnce(self):
        self.assertEqual(
            self.problems("int a;\nint  twice( int a ) {\n  return a+a;\n}\n"),
            ["src/mail/a.cc:2: run ./dev format"],
        )


if __name__ == "__main__":
    unittest.main()
