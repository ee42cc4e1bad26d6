"""./dev mutate changes what it should as it should, and nothing else; its runs go on where they were."""

import pathlib
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

import mutate
from mutation import choice, operators, workshop

GONE_WITHIN = 10.0  # seconds, after SIGKILL
ENUMS = {"Verdict": [["Delivered", "Temporary", "Permanent"]]}


def function(body, head="void f(Thing& thing)"):
    return f"namespace postrider {{\n\n{head} {{\n{body}\n}}\n\n}}  // namespace postrider\n"


def mutants(text, operator=None, path="src/spool/a.cc"):
    found = operators.sites(path, text, ENUMS)
    return [mutant for mutant in found if operator in (None, mutant.operator)]


def results_of(body, operator, head="void f(Thing& thing)"):
    """The bodies that the operator makes of a function's body, in their order."""
    text = function(body, head)
    before, after = text.split(body)
    changed = [mutant.changed for mutant in mutants(text, operator)]
    return [each[len(before) : len(each) - len(after)] for each in changed]


class Operators(unittest.TestCase):
    def check(self, operator, body, expected, head="void f(Thing& thing)"):
        self.assertEqual(results_of(body, operator, head), expected)

    def test_StatementsAreDeletedAndDeclarationsNot(self):
        self.check(
            "delete-statement",
            "    int a = g(1);\n    a += 2;\n    thing.call(a,\n               [&] { a = 3; });",
            [
                "    int a = g(1);\n    ;\n    thing.call(a,\n               [&] { a = 3; });",
                "    int a = g(1);\n    a += 2;\n    ;",
                "    int a = g(1);\n    a += 2;\n    thing.call(a,\n               [&] { ; });",
            ],
        )

    def test_AJumpIsDeletedAndAReturnWithAValueNot(self):
        self.check("delete-statement", "    for (;;) break;\n    return 1;", ["    for (;;) ;\n    return 1;"])

    def test_RoomInAdvanceIsLeftAlone(self):
        self.check("delete-statement", "    out.reserve(4);", [])

    def test_AnAwaitIsDropped(self):
        self.check(
            "drop-await",
            "    if (home) co_await to(home);\n    done = co_await g();\n    int x = co_await g();\n    h();",
            [
                "    if (home) ;\n    done = co_await g();\n    int x = co_await g();\n    h();",
                "    if (home) co_await to(home);\n    ;\n    int x = co_await g();\n    h();",
            ],
        )

    def test_ConditionsAreNegated(self):
        self.check("negate", "    if (a == b) g();", ["    if (!(a == b)) g();"])
        self.check("negate", "    while (a) g();", ["    while (!(a)) g();"])
        self.check("negate", "    do g(); while (a);", ["    do g(); while (!(a));"])
        self.check("negate", "    if (auto e = g(); !e) h();", ["    if (auto e = g(); !(!e)) h();"])
        self.check("negate", "    if (auto e = g()) h();", ["    if (auto e = g(); !(e)) h();"])
        self.check("negate", "    while (auto e = g()) h();", [])
        self.check("negate", "    for (int i = 0; a(i); i++) g();", ["    for (int i = 0; !(a(i)); i++) g();"])
        self.check("negate", "    for (;;) g();\n    for (int i : all) g();", [])

    def test_AndBecomesOrAndReferencesStayReferences(self):
        self.check("negate", "    bool x = a && b;", ["    bool x = a || b;"])
        self.check("negate", "    auto&& x = a ||\n             b;", ["    auto&& x = a &&\n             b;"])

    def test_AChoiceIsSwapped(self):
        self.check("negate", "    x = a ? g(1, 2) : c;", ["    x = a ? c : g(1, 2);"])
        self.check(
            "negate",
            "    x = a ? b ? 1 : 2 : 3;",
            ["    x = a ? 3 : b ? 1 : 2;", "    x = a ? b ? 2 : 1 : 3;"],
        )

    def test_BoundsAreShifted(self):
        self.check("shift-bound", "    a = b < c;", ["    a = b <= c;"])
        self.check("shift-bound", "    a = b >= c;", ["    a = b > c;"])
        self.check("shift-bound", "    a = b > c && x->y;", ["    a = b >= c && x->y;"])
        self.check("shift-bound", "    std::vector<int> a;", [])
        self.check("shift-bound", "    a = 10'000;", ["    a = 10001;", "    a = 9999;"])
        self.check("shift-bound", "    a = 0x0Fu;", ["    a = 0x10u;", "    a = 0xeu;"])
        self.check("shift-bound", "    a = 0;", ["    a = 1;"])
        self.check("shift-bound", "    a = std::min(b, c);", ["    a = std::max(b, c);"])
        self.check("shift-bound", "    g(b.size());", ["    g(b.size() + 1);", "    g(b.size() - 1);"])
        self.check("shift-bound", "    a = 1.5;", [])

    def test_NamedNumbersAreShiftedAndThoseOfAnEnumNot(self):
        text = "constexpr int kMax = 4;\nenum class Verdict : uint8_t {\n    Delivered = 1,\n};\n"
        self.assertEqual(
            [mutant.changed.split("\n")[0] for mutant in mutants(text)],
            ["constexpr int kMax = 3;", "constexpr int kMax = 5;"],
        )

    def test_WhatAMemberIsAtFirstIsLeftAlone(self):
        text = "struct A {\n    int a = 4;\n    Verdict b = Verdict::Delivered;\n    int c{4};\n};\n"
        self.assertEqual(mutants(text), [])

    def test_ACheckThatLeavesIsSkipped(self):
        self.check(
            "skip-check",
            "    if (!done) return;\n    if (auto e = g(); !e) {\n        h();\n        return;\n    }\n"
            "    if (a) h();",
            [
                "    if ((!done) && false) return;\n    if (auto e = g(); !e) {\n        h();\n"
                "        return;\n    }\n    if (a) h();",
                "    if (!done) return;\n    if (auto e = g(); (!e) && false) {\n        h();\n"
                "        return;\n    }\n    if (a) h();",
            ],
        )

    def test_ASyncIsSkipped(self):
        ok = "world::DiskStatus{}"
        self.check("skip-sync", "    auto s = co_await (*file)->sync();", [f"    auto s = {ok};"])
        self.check("skip-sync", "    co_return co_await a.b().sync();", [f"    co_return {ok};"])
        self.check("skip-sync", "    s = co_await disk.sync_directory(g(a));", [f"    s = {ok};"])
        self.check("skip-sync", "    co_await run(sync());", [])

    def test_NeighboursChangePlaces(self):
        self.check("reorder", "    g();\n    // why\n    h(1);", ["    h(1);\n    // why\n    g();"])
        self.check("reorder", "    int a = 1;\n    g(a);\n    return;", [])

    def test_NeighboursThatHaveNothingToDoWithEachOtherStay(self):
        self.check("reorder", "    a.x = 1;\n    a.y = b.size();\n    ++c_;", [])
        self.check("reorder", "    a.x = 1;\n    a.y = a.x + 1;", ["    a.y = a.x + 1;\n    a.x = 1;"])
        self.check("reorder", "    failing_ = true;\n    g();", ["    g();\n    failing_ = true;"])

    def test_TheOtherBoolIsReturned(self):
        self.check("return-other", "    return true;", ["    return false;"], "bool f()")
        self.check("return-other", "    co_return false;", ["    co_return true;"], "Task<bool> f()")

    def test_FunctionsReturnEarlyAsTheirTypeAsks(self):
        for head, early in [
            ("void f(Thing& thing)", "return; "),
            ("Core::Core(int a) : a_(a), b_{a}", "return; "),
            ("std::string Core::f() const", "return {}; "),
            ("Task<void> Core::f(Self self)", "co_return; "),
            ("Task<Result<int, Failure>> f()", "co_return {}; "),
            ("bool f()", "return {}; "),
        ]:
            self.check("return-other", "    g();\n    h();", [f"    {early}g();\n    h();"], head)

    def test_OutcomesAreSwappedAndLabelsNot(self):
        self.check("swap-outcome", "    a = x::Verdict::Delivered;", ["    a = x::Verdict::Temporary;"])
        self.check("swap-outcome", "    a = Verdict::Permanent;", ["    a = Verdict::Delivered;"])
        self.check("swap-outcome", "    a = Verdict::Unheard;", [])
        self.check(
            "swap-outcome",
            "    switch (a) {\n        case Verdict::Delivered: g();\n    }",
            [],
        )

    def test_EnumsAreReadWithTheirComments(self):
        text = "enum class Verdict : uint8_t {\n    Delivered = 1,  // a, b\n    Failed = 2,\n};\n"
        self.assertEqual(operators.enums_in([text]), {"Verdict": [["Delivered", "Failed"]]})


class Sites(unittest.TestCase):
    def test_CommentsTextsDirectivesAndAssertionsAreNeverTouched(self):
        text = (
            "// if (a < 1) g();\n#define X(a) \\\n    if (a < 1) g();\n/* a = 1; */\n"
            'const char* kText = "if (a < 1) g();";\nchar kSign = \';\';\n'
            "static_assert(sizeof(int) < 9);\n"
            'auto kRaw = R"(a = 1; if (b) c();)";\n'
            "void f() {\n    assert(a < 1);\n    // a = 1;\n    const char* b = \"x = 1;\";\n}\n"
        )
        self.assertEqual(mutants(text), [])

    def test_MarksForTheSimulatorAreLeftAlone(self):
        text = function(
            "    reached(Situation::A);\n    if (a < 1) reached(b ? Situation::A : Situation::B);\n"
            "    if (a < 2) {\n        reached(Situation::C);\n    }\n    g();\n    reached(Situation::D);"
        )
        self.assertEqual([mutant.operator for mutant in mutants(text)], ["return-other", "delete-statement"])

    def test_EveryMutantChangesOnlyItsPlace(self):
        text = function("    if (a < 1 && b) g(c ? 1 : 2);\n    h();\n    ++d;")
        found = mutants(text)
        self.assertGreater(len(found), 10)
        for mutant in found:
            self.assertNotEqual(mutant.changed, text)
            self.assertTrue(mutant.changed.startswith(text[: mutant.start] + mutant.new))
            self.assertTrue(mutant.changed.endswith(text[mutant.end :]))

    def test_IdsDifferAndStayWhenOtherLinesChange(self):
        text = function("    g();\n    g();\n    g();\n    g();\n    h(2);\n    k();")
        before = {mutant.id: mutant.line for mutant in mutants(text)}
        self.assertEqual(len(before), len(mutants(text)))
        after = {mutant.id: mutant.line for mutant in mutants("// More.\nint z;\n" + text)}
        self.assertEqual({name: line + 2 for name, line in before.items()}, after)

    def test_OnlyTheRoomsOwnCodeIsMutated(self):
        code = function("    a = b < c;").encode()
        names = ["a.cc", "a.h", "a_test.cc", "a_bench.cc", "a_fuzz.cc", "testing.h", "memory_disk.h"]
        files = {f"src/deliver/{name}": code for name in names}
        files |= {"src/deliver/README.md": b"a < b", "src/smtp/a.cc": code, "sim/spool/a.cc": code}
        paths = {mutant.path for mutant in choice.all_mutants(files)}
        self.assertEqual(paths, {"src/deliver/a.cc", "src/deliver/a.h"})


class Draw(unittest.TestCase):
    def setUp(self):
        body = "    if (a < 1) return;\n    g();\n    h();\n    x = co_await k();"
        names = [("spool", "a"), ("spool", "b"), ("queue", "c"), ("report", "d")]
        files = {f"src/{room}/{name}.cc": function(body).encode() for room, name in names}
        self.mutants = choice.all_mutants(files)

    def test_TheSameSeedDrawsTheSameAndALongerDrawBeginsLikeAShorterOne(self):
        drawn = [mutant.id for mutant in choice.drawn(self.mutants, 1)]
        self.assertEqual(drawn, [mutant.id for mutant in choice.drawn(self.mutants, 1)])
        self.assertNotEqual(drawn, [mutant.id for mutant in choice.drawn(self.mutants, 2)])
        self.assertEqual(sorted(drawn), sorted(mutant.id for mutant in self.mutants))

    def test_RoomsFilesAndOperatorsHaveTheirShare(self):
        drawn = list(choice.drawn(self.mutants, 1))[:12]
        for room in ("spool", "queue", "report"):
            self.assertEqual(sum(choice.room_of(m.path) == room for m in drawn), 4)
        self.assertEqual(sum(mutant.path == "src/spool/a.cc" for mutant in drawn), 2)
        self.assertEqual({m.operator for m in drawn}, {m.operator for m in self.mutants})


class Rounds(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="postrider-mutate-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.mutants = mutants(function("    a = b < c;\n    g();\n    h();"))
        self.said = []
        self.addCleanup(setattr, mutate, "say", mutate.say)
        mutate.say = self.said.append

    def results(self):
        return mutate.Results(self.folder / "results.jsonl")

    def record(self, mutant, verdict="caught"):
        return {
            "id": mutant.id, "file": mutant.path, "line": mutant.line, "operator": mutant.operator,
            "verdict": verdict, "check": "spool_test" if verdict in mutate.CAUGHT else "", "why": "",
            "seconds": 1, "source": mutant.source, "diff": mutant.diff,
        }  # fmt: skip

    def run_round(self, count, verdict="caught", order=None, again=()):
        """Tries what a round hands out; returns what was tried."""
        round_ = mutate.Round(order or self.mutants, count, self.results(), again)
        tried = []
        while mutant := round_.take():
            tried.append(mutant.id)
            round_.give(self.record(mutant, verdict))
        self.assertEqual(round_.under_way, 0)
        return tried

    def test_WhatHasAResultIsNotTriedAgain(self):
        names = [mutant.id for mutant in self.mutants]
        self.assertEqual(self.run_round(2), names[:2])
        self.assertEqual(self.run_round(2), [])
        self.assertEqual(self.run_round(4), names[2:4])

    def test_AnotherTextOfTheFileAsksForAnotherTry(self):
        self.run_round(1)
        changed = mutants("int z;\n" + self.mutants[0].text)
        self.assertEqual(changed[0].id, self.mutants[0].id)
        self.assertEqual(self.run_round(1, order=changed), [changed[0].id])

    def test_WhatDoesNotCompileIsReplacedByTheNext(self):
        self.assertEqual(len(self.run_round(1, "does not compile")), len(self.mutants))

    def test_SurvivorsAreTriedAgainWhenAsked(self):
        names = [mutant.id for mutant in self.mutants]
        self.assertEqual(self.run_round(2, "survived"), names[:2])
        self.assertEqual(self.run_round(2), [])
        self.assertEqual(self.run_round(2, again=["survived"]), names[:2])

    def test_ManyWorkersTryTheSameMutantsAsOne(self):
        odd = {mutant.id for mutant in self.mutants[::2]}

        def try_one(_shop, mutant, _times):
            return self.record(mutant, "does not compile" if mutant.id in odd else "caught")

        self.addCleanup(setattr, mutate, "try_mutant", mutate.try_mutant)
        mutate.try_mutant = try_one
        round_ = mutate.Round(self.mutants, 2, self.results())
        workers = [threading.Thread(target=mutate.work, args=(None, round_, {})) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        self.assertIsNone(round_.trouble)
        tried = {record["id"] for record in round_.records}
        self.assertEqual(tried, {mutant.id for mutant in self.mutants[:4]})

    def test_TheTreeIsAsItWasAfterATry(self):
        class Shop:
            tree = self.folder
            seen = []

            def compiles(self, _program):
                self.seen.append((self.tree / "src/spool/a.cc").read_text())
                return False

        mutant = self.mutants[0]
        path = self.folder / mutant.path
        path.parent.mkdir(parents=True)
        path.write_text(mutant.text)
        record = mutate.try_mutant(Shop(), mutant, {})
        self.assertEqual(Shop.seen, [mutant.changed])
        self.assertEqual(path.read_text(), mutant.text)
        self.assertEqual((record["verdict"], record["id"]), ("does not compile", mutant.id))

    def test_WhatWasStoppedHasNoResult(self):
        round_ = mutate.Round(self.mutants, 2, self.results())
        mutant = round_.take()
        round_.stop(workshop.Trouble("stopped"))
        round_.give(self.record(mutant, "timed out"))
        self.assertIsNone(round_.take())
        self.assertEqual(self.results().of, {})

    def test_ALineCutByAKillIsForgottenAlone(self):
        self.run_round(2)
        path = self.folder / "results.jsonl"
        path.write_text(path.read_text()[:-20])
        self.assertEqual(self.run_round(2), [self.mutants[1].id])
        self.assertEqual(self.run_round(2), [])

    def test_TheReportCountsHarmlessOnesAsSurvivors(self):
        verdicts = ["caught", "timed out", "survived", "survived", "does not compile"]
        records = [self.record(*pair) for pair in zip(self.mutants, verdicts)]
        first, second = records[2]["id"], records[3]["id"]
        text = mutate.report(records, {first: "says nothing", "0123": "old"}, {first, second})
        self.assertIn("all                 50.0 %  2 caught of 4 that compile; 1 do not compile", text)
        self.assertIn("  says nothing\n", text)
        self.assertEqual(text.count("NO REASON YET"), 1)
        self.assertIn("survivors without a reason: 1; caught by their time: 1", text)
        self.assertIn("gives reasons for what is no mutant now: 0123", text)


def is_running(process):
    """Not one that has ended and that nobody has asked for its end yet."""
    try:
        return ") Z " not in pathlib.Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Limits(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="postrider-mutate-")
        self.addCleanup(folder.cleanup)
        self.shop = workshop.Workshop(pathlib.Path(folder.name), 1, 1)
        self.shop.tree.mkdir()
        self.shop.build.mkdir()

    def check(self, script, **limits):
        program = self.shop.build / "check"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        return self.shop.check(("check",), **limits)

    def test_WhatPassesPasses(self):
        self.assertTrue(self.check("exit 0").passed)

    def test_TheFirstFailedTestIsNamed(self):
        done = self.check("echo '[  FAILED  ] Suite.Verdict (3 ms)'; exit 1")
        self.assertEqual((done.passed, done.timed_out, done.why), (False, False, "Suite.Verdict"))

    def test_TheTestInWhichItDiedIsNamed(self):
        done = self.check("echo '[ RUN      ] Suite.Verdict'; echo '  what()'; kill -ABRT $$")
        self.assertEqual((done.passed, done.why), (False, "SIGABRT Suite.Verdict"))

    def test_AnEndlessLoopIsStoppedByItsProcessorTime(self):
        done = self.check("while :; do :; done", wall_max=100, cpu_max=0)
        self.assertEqual((done.passed, done.timed_out), (False, True))

    def test_WhatHangsIsStoppedWithItsChildren(self):
        done = self.check("sleep 1000 & echo $!; wait", wall_max=0.5)
        self.assertEqual((done.passed, done.timed_out), (False, True))
        child = int(self.shop.log.read_text())
        end = time.monotonic() + GONE_WITHIN
        while is_running(child) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertFalse(is_running(child))

    def test_ACopyHoldsExactlyTheFilesAndLeavesAloneWhatIsTheSame(self):
        tree = self.shop.tree
        workshop.bring_up_to_date(tree, {"a/b.cc": b"1", "c.h": b"2"})
        moment = (tree / "c.h").stat().st_mtime_ns
        workshop.bring_up_to_date(tree, {"a/d.cc": b"1", "c.h": b"2"})
        self.assertEqual([p.name for p in sorted(tree.rglob("*.*"))], ["d.cc", "c.h"])
        self.assertEqual((tree / "c.h").stat().st_mtime_ns, moment)


if __name__ == "__main__":
    unittest.main()
