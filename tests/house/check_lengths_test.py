"""check_lengths counts functions, files and columns, and its ratchet only ever turns one way."""

import unittest

import check_lengths
from bad_tree import BadTree


def body(lines):
    return "    step();\n" * lines


class CheckLengths(BadTree):
    def problems(self, code, ratchet=""):
        self.write({"src/mail/a.cc": code, "tests/house/lengths.txt": ratchet})
        return check_lengths.find_problems(self.root)

    def names(self, code):
        return [(name, size) for name, _, size in check_lengths.functions(code)]

    def test_AtTheLimitsAllIsQuiet(self):
        code = "void f() {\n" + body(68) + "}\n" + "// " + "x" * 97 + "\n"
        code += "\n" * (500 - len(code.splitlines()))
        self.assertEqual(self.problems(code), [])

    def test_ALongFunctionIsReported(self):
        self.assertEqual(
            self.problems("int a;\n\nvoid f() {\n" + body(69) + "}\n"),
            ["src/mail/a.cc:3: function f is 71 long, the limit is 70"],
        )

    def test_ALongFileIsReported(self):
        self.assertEqual(
            self.problems("int a;\n" * 501), ["src/mail/a.cc:1: file is 501 long, the limit is 500"]
        )

    def test_AWideLineIsReportedInCharactersNotOctets(self):
        self.assertEqual(self.problems("// " + "§" * 97 + "\n"), [])
        self.assertEqual(
            self.problems("\n// " + "§" * 98 + "\n"),
            ["src/mail/a.cc:2: columns is 101 long, the limit is 100"],
        )

    def test_AnExceptionWithTheRightSizeIsQuiet(self):
        code = "void f() {\n" + body(78) + "}\n"
        self.assertEqual(self.problems(code, "src/mail/a.cc: function f 80: one table\n"), [])

    def test_AnExceptionThatGrewIsReported(self):
        code = "void f() {\n" + body(79) + "}\n"
        self.assertEqual(
            self.problems(code, "src/mail/a.cc: function f 80: one table\n"),
            ["src/mail/a.cc:1: function f grew from 80 to 81"],
        )

    def test_AnExceptionThatShrankIsReported(self):
        code = "void f() {\n" + body(77) + "}\n"
        self.assertEqual(
            self.problems(code, "# comment\nsrc/mail/a.cc: function f 80: one table\n"),
            ["tests/house/lengths.txt:2: src/mail/a.cc function f shrank to 79; write that"],
        )

    def test_AnExceptionThatIsNotNeededIsReported(self):
        self.assertEqual(
            self.problems("void f() {\n}\n", "src/mail/a.cc: function f 80: one table\n"),
            ["tests/house/lengths.txt:1: src/mail/a.cc function f needs no exception"],
        )

    def test_AnExceptionWithoutAReasonIsReported(self):
        self.assertEqual(
            self.problems("", "src/mail/a.cc: file 600:\n"),
            ["tests/house/lengths.txt:1: not of the form path: thing size: reason"],
        )

    def test_FunctionsAreFoundInEveryShape(self):
        code = """
namespace postrider {
namespace {
struct Case { int a; };
constexpr Case cases[] = {
    {1},
};
const auto kTable = std::to_array<Case>({
    {2},
});
template <typename T>
T twice(T value) {
    return value + value;
}
}  // namespace
class Session : public Base<int> {
public:
    Session(int a) : a_{a}, b_(make(a)) {
        start();
    }
    Session() noexcept
        : a_([] {
              return 1;
          }()) {}
    int a() const { return a_; }
    Session& operator=(Session&& other) noexcept {
        return *this;
    }
    auto operator()() -> int {
        return 1;
    }
private:
    int a_{0};
};
Task<Result<Reply>> Session::handle(std::string_view line,
                                    Deadline deadline) {
    auto f = [](int x) {
        return x;
    };
    const char* text = "} {";
    const char brace = '{';
    int n = 10'000 + 1'000;
    const char* raw = R"({{{)";
    if (n) {
    }
}
TEST(SessionTest, ALongName) {
    run();
}
#define BLOCK(x) void x() {
}  // namespace postrider
"""
        self.assertEqual(
            self.names(code),
            [
                ("twice", 4),
                ("Session", 3),
                ("Session", 4),
                ("a", 1),
                ("operator=", 3),
                ("operator()", 3),
                ("Session::handle", 12),
                ("SessionTest.ALongName", 3),
            ],
        )


if __name__ == "__main__":
    unittest.main()
