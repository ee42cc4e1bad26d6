"""check_headers wants the header's own name, a purpose and #pragma once."""

import unittest

import check_headers
from bad_tree import BadTree


class CheckHeaders(BadTree):
    def problems(self, files):
        self.write(files)
        return check_headers.find_problems(self.root)

    def test_AGoodHeaderIsQuiet(self):
        files = {
            "src/mail/a.h": "// mail/a.h: what an address is.\n//\n// More.\n\n#pragma once\nint a;\n",
            "sim/b.h": "// sim/b.h: a disk that forgets.\n\n#pragma once\n",
        }
        self.assertEqual(self.problems(files), [])

    def test_AHeaderWithoutACommentIsReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.h": "#pragma once\nint a;\n"}),
            ["src/mail/a.h:1: does not open with // mail/a.h: and its purpose"],
        )

    def test_ACommentThatNamesAnotherFileIsReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.h": "// mail/b.h: what it is.\n#pragma once\n"}),
            ["src/mail/a.h:1: does not open with // mail/a.h: and its purpose"],
        )

    def test_ANameWithoutAPurposeIsReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.h": "// mail/a.h: address\n#pragma once\n"}),
            ["src/mail/a.h:1: the purpose is missing after the name"],
        )

    def test_AMissingGuardIsReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.h": "// mail/a.h: what an address is.\nint a;\n"}),
            ["src/mail/a.h: #pragma once is not the first line after the comment"],
        )


if __name__ == "__main__":
    unittest.main()
