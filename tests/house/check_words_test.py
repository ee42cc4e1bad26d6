"""check_words sees every rule broken, and nothing where the rule does not hold."""

import unittest

import check_words
from bad_tree import BadTree

UNFINISHED = "TO" + "DO"
PATH = "/wor" + "k/notes"


class CheckWords(BadTree):
    def problems(self, files):
        self.write(files)
        return check_words.find_problems(self.root)

    def test_OrdinaryTextIsQuiet(self):
        files = {
            "src/mail/a.cc": "// <format> is not there, asio::any neither.\nfmt::print(out, x);\n",
            "src/main/postrider_main.cc": "std::cout << x;\n",
            "src/mail/a_test.cc": "std::cout << x;\n",
            "src/world/real/loop.cc": "#include <boost/asio.hpp>\nboost::asio::io_context c;\n",
            "README.md": "See src/a.h and https://example.net/b.\n",
            "src/mail/testdata/a.txt": UNFINISHED,
        }
        self.assertEqual(self.problems(files), [])

    def test_UnfinishedMarksAreReported(self):
        self.assertEqual(
            self.problems({"docs/a.md": f"\n{UNFINISHED}: more\n"}),
            [f"docs/a.md:2: {UNFINISHED}: finish it or leave it out"],
        )

    def test_PathsOfOneMachineAreReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.cc": f'open("{PATH}");\n'}),
            [f"src/mail/a.cc:1: {PATH[:6]}: a path of one machine"],
        )

    def test_NumbersOfATrackerAreReported(self):
        word = "issue " + "12"
        self.assertEqual(
            self.problems({"src/mail/a.cc": f"// see {word}\n"}),
            [f"src/mail/a.cc:1: {word}: say the reason itself"],
        )

    def test_TabsAreReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.cc": "int a;\n\tint b;\n"}),
            ["src/mail/a.cc:2: tab: a tab; indent with spaces, write \\t in text"],
        )

    def test_RoomsDoNotWriteToTheTerminal(self):
        self.assertEqual(
            self.problems({"src/spool/a.cc": "std::cerr << 1;\n"}),
            ["src/spool/a.cc:1: std::cerr: rooms speak through base/log.h"],
        )

    def test_HeadersThatTheLibraryLacksAreReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.cc": "#include <format>\n"}),
            ["src/mail/a.cc:1: #include <format>: libstdc++ 12 lacks it; use fmt"],
        )

    def test_TheEventLoopStaysBehindTheDoor(self):
        self.assertEqual(
            self.problems({"src/receive/a.cc": "\nboost::asio::steady_timer t;\n"}),
            ["src/receive/a.cc:2: asio::: only world/real knows the event loop"],
        )

    def test_SleepingIsReported(self):
        self.assertEqual(
            self.problems({"src/receive/a_test.cc": "std::this_thread::sleep_for(1s);\n"}),
            [
                "src/receive/a_test.cc:1: std::this_thread::sleep_for: "
                "wait for the event, or on the world's clock"
            ],
        )


if __name__ == "__main__":
    unittest.main()
