"""check_docs sees a link that leads nowhere and a page that nothing leads to."""

import unittest

import check_docs
from bad_tree import BadTree


class CheckDocs(BadTree):
    def problems(self, files):
        self.write({"docs/README.md": "[a](a.md)\n", "docs/a.md": "", **files})
        return check_docs.find_problems(self.root)

    def test_LinksThatLeadSomewhereAreQuiet(self):
        text = "[docs](docs/README.md#a) [web](https://example.net/x) [here](#there)\n```\n[x](y)\n```\n"
        self.assertEqual(self.problems({"README.md": text}), [])

    def test_ALinkThatLeadsNowhereIsReported(self):
        self.assertEqual(
            self.problems({"README.md": "\n[gone](docs/gone.md)\n"}),
            ["README.md:2: docs/gone.md does not exist"],
        )

    def test_APageThatNothingLeadsToIsReported(self):
        self.assertEqual(
            self.problems({"docs/lost.md": ""}), ["docs/lost.md: not linked from docs/README.md"]
        )


if __name__ == "__main__":
    unittest.main()
