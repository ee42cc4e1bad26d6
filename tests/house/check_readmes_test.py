"""check_readmes wants a README per folder: short, with the seven headings, naming what exists."""

import unittest

import check_readmes
from bad_tree import BadTree

GOOD = "# mail\n\n" + "".join(f"## {name}\n\nWords.\n\n" for name in check_readmes.HEADINGS)


class CheckReadmes(BadTree):
    def problems(self, readme, more=None):
        self.write({"src/mail/a.h": "class AddressKeepsItsCase;\n", **(more or {})})
        if readme is not None:
            self.write({"src/mail/README.md": readme})
        return check_readmes.find_problems(self.root)

    def test_AGoodReadmeIsQuiet(self):
        text = GOOD.replace("Words.", "See a.h, mail/a.h, *.h and `AddressKeepsItsCase`.")
        self.assertEqual(self.problems(text), [])

    def test_AMissingReadmeIsReported(self):
        self.assertEqual(self.problems(None), ["src/mail: has no README.md"])

    def test_AFolderWithoutSourcesNeedsNone(self):
        self.assertEqual(self.problems(GOOD, {"src/empty/notes.txt": ""}), [])

    def test_ALongReadmeIsReported(self):
        self.assertEqual(
            self.problems(GOOD + "More.\n" * 40),
            [f"src/mail/README.md: {len(GOOD.splitlines()) + 40} lines, the limit is 60"],
        )

    def test_AMissingHeadingIsReported(self):
        self.assertEqual(
            self.problems(GOOD.replace("## Never", "Never")),
            ["src/mail/README.md: lacks the heading Never"],
        )

    def test_AnotherHeadingIsReported(self):
        self.assertEqual(
            self.problems(GOOD + "## History\n"), ["src/mail/README.md: has the heading History"]
        )

    def test_HeadingsInAnotherOrderAreReported(self):
        text = GOOD.replace("## Never", "## X").replace("## Why so", "## Never").replace("## X", "## Why so")
        self.assertEqual(
            self.problems(text), ["src/mail/README.md: headings are not in the order of STYLE.md"]
        )

    def test_AFileThatDoesNotExistIsReported(self):
        self.assertEqual(
            self.problems(GOOD.replace("Words.", "Read a.h, then b.cc.", 1)),
            ["src/mail/README.md: names b.cc, which does not exist"],
        )

    def test_ATestThatDoesNotExistIsReported(self):
        text = GOOD.replace("## Promises\n\nWords.", "## Promises\n\n1. Case (`AddressLosesItsCase`).")
        self.assertEqual(
            self.problems(text),
            ["src/mail/README.md: names AddressLosesItsCase, which no source has"],
        )


if __name__ == "__main__":
    unittest.main()
