"""check_tidy sees a slip with our .clang-tidy, and picks the sources that stand for what changed."""

import json
import pathlib
import subprocess
import unittest

import check_tidy
from bad_tree import BadTree

CHOSEN = (pathlib.Path(__file__).resolve().parents[2] / ".clang-tidy").read_text()
GOOD = "int twice(int a) { return a + a; }\n"
BAD = """#include <string>
#include <utility>
std::size_t twice(std::string a) {
    std::string b = std::move(a);
    return a.size() + b.size();
}
"""


class CheckTidy(BadTree):
    def setUp(self):
        super().setUp()
        self.write({".clang-tidy": CHOSEN, "src/a.cc": GOOD, "src/b.cc": GOOD, "build/x": ""})

    def compiled(self, names):
        self.write(
            {
                "build/compile_commands.json": json.dumps(
                    [
                        {
                            "directory": str(self.root),
                            "file": str(self.root / name),
                            "command": f"clang++-19 -std=c++23 -c {name}",
                        }
                        for name in names
                    ]
                )
            }
        )
        return check_tidy.compiled_sources(self.root / "build")

    def git(self, *arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.net", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
        )

    def test_AGoodSourceIsQuiet(self):
        self.compiled(["src/a.cc"])
        self.assertEqual(check_tidy.find_problems(self.root, self.root / "build", 1, True), [])

    def test_AUseAfterMoveIsReported(self):
        self.write({"src/a.cc": BAD})
        self.compiled(["src/a.cc"])
        self.assertEqual(
            check_tidy.find_problems(self.root, self.root / "build", 1, True),
            [
                "src/a.cc:5: 'a' used after it was moved "
                "[bugprone-use-after-move,-warnings-as-errors]",
                "src/a.cc:5: Method called on moved-from object 'a' of type 'std::basic_string' "
                "[clang-analyzer-cplusplus.Move,-warnings-as-errors]",
            ],
        )

    def test_ASourceThatDoesNotCompileIsReported(self):
        self.write({"src/a.cc": "int twice(\n"})
        self.compiled(["src/a.cc"])
        problems = check_tidy.find_problems(self.root, self.root / "build", 1, True)
        self.assertEqual(len(problems), 2, problems)
        self.assertIn("[clang-diagnostic-error]", problems[0])

    def test_OnlyWhatChangedIsChecked(self):
        self.git("init", "-q")
        self.git("add", "src")
        self.git("commit", "-qm", "one")
        self.git("commit", "-qm", "two", "--allow-empty")
        self.write({"src/b.cc": GOOD + "int c;\n", "src/c.cc": GOOD})
        compiled = self.compiled(["src/a.cc", "src/b.cc", "src/c.cc"])
        changed = check_tidy.changed_files(self.root)
        self.assertIn("src/b.cc", changed)
        self.assertEqual(
            check_tidy.to_check(self.root, compiled, changed),
            [self.root / "src/b.cc", self.root / "src/c.cc"],
        )

    def test_AChangedHeaderIsCheckedThroughItsSource(self):
        compiled = self.compiled(["src/a.cc", "src/b.cc"])
        self.assertEqual(
            check_tidy.to_check(self.root, compiled, ["src/b.h"]), [self.root / "src/b.cc"]
        )

    def test_WithNothingToCompareWithAllAreChecked(self):
        compiled = self.compiled(["src/a.cc", "src/b.cc"])
        self.git("init", "-q")
        changed = check_tidy.changed_files(self.root)
        self.assertEqual(check_tidy.to_check(self.root, compiled, changed), compiled)


if __name__ == "__main__":
    unittest.main()
