// tests/contract/process_contract.cc: what Process promises.

#include <gmock/gmock.h>

#include "contract/contract_world.h"

namespace postrider::contract {
namespace {

using Kind = ProcessEnd::Kind;

class ProcessContract : public Contract {
protected:
    // A request for `program` with a deadline that only a hanging test reaches.
    static ProcessRequest request(World& world, std::vector<std::string> arguments) {
        return {.arguments = std::move(arguments),
                .environment = {"PATH=/usr/bin:/bin"},
                .deadline = patience(world)};
    }
};

// Input of `count` pieces.
ProcessInput pieces(int count, std::string piece) {
    return [count, piece = std::move(piece)]() mutable -> Task<Result<std::string_view>> {
        if (count == 0) co_return std::string_view();
        count--;
        co_return std::string_view(piece);
    };
}

TEST_F(ProcessContract, InputReachesTheProgramAndItsOutputComesBack) {
    std::string echo = contract().program(Program::Echo);
    run([&](World& world) -> Task<void> {
        ProcessEnd end = co_await world.process.run(request(world, {echo}), pieces(3, "ab\n"));
        EXPECT_EQ(end, (ProcessEnd{.kind = Kind::Exited, .code = 0, .output = "ab\nab\nab\n"}))
            << end.message;
    });
}

TEST_F(ProcessContract, InputLargerThanAnyPipeFlowsWhileOutputFlowsBack) {
    std::string echo = contract().program(Program::Echo);
    run([&](World& world) -> Task<void> {
        std::string piece(64 * 1024, 'x');
        ProcessRequest wanted = request(world, {echo});
        wanted.output_octets_max = 4 * 1024 * 1024;
        ProcessEnd end = co_await world.process.run(std::move(wanted), pieces(32, piece));
        EXPECT_EQ(end.kind, Kind::Exited) << end.message;
        EXPECT_EQ(end.output.size(), 32 * piece.size());
    });
}

TEST_F(ProcessContract, TheExitCodeIsTold) {
    std::string exit = contract().program(Program::Exit);
    run([&](World& world) -> Task<void> {
        for (int code : {0, 1, 75, 255}) {
            ProcessEnd end = co_await world.process.run(
                request(world, {exit, std::to_string(code)}), pieces(0, ""));
            EXPECT_EQ(end, (ProcessEnd{.kind = Kind::Exited, .code = code})) << end.message;
        }
    });
}

TEST_F(ProcessContract, TheSignalIsTold) {
    std::string die = contract().program(Program::Die);
    run([&](World& world) -> Task<void> {
        ProcessEnd end = co_await world.process.run(request(world, {die}), pieces(1, "x"));
        EXPECT_EQ(end, (ProcessEnd{.kind = Kind::Signalled, .code = 15})) << end.message;
    });
}

TEST_F(ProcessContract, AProgramThatDoesNotReadItsInputIsNoFailure) {
    std::string exit = contract().program(Program::Exit);
    run([&](World& world) -> Task<void> {
        ProcessEnd end = co_await world.process.run(request(world, {exit, "0"}),
                                                    pieces(64, std::string(16 * 1024, 'x')));
        EXPECT_EQ(end, (ProcessEnd{.kind = Kind::Exited, .code = 0})) << end.message;
    });
}

TEST_F(ProcessContract, TheProgramGetsWhatWasAskedAndNothingElse) {
    std::string tell = contract().program(Program::Tell);
    run([&](World& world) -> Task<void> {
        ProcessRequest wanted = request(world, {tell, "one", "two words", "", "$HOME; *"});
        wanted.environment = {"PATH=/usr/bin:/bin", "B=2", "A=1"};
        wanted.directory = "/";
        ProcessEnd end = co_await world.process.run(std::move(wanted), pieces(0, ""));
        EXPECT_EQ(end.output, "one\ntwo words\n\n$HOME; *\n/\nA=1\nB=2\nPATH=/usr/bin:/bin\n");
    });
}

TEST_F(ProcessContract, OnlyTheEndOfALongOutputIsKept) {
    std::string chatter = contract().program(Program::Chatter);
    run([&](World& world) -> Task<void> {
        ProcessRequest wanted = request(world, {chatter});
        wanted.output_octets_max = 19;
        ProcessEnd end = co_await world.process.run(std::move(wanted), pieces(0, ""));
        EXPECT_EQ(end.kind, Kind::Exited) << end.message;
        EXPECT_EQ(end.output, "99998\n99999\n100000\n");
    });
}

TEST_F(ProcessContract, AtTheDeadlineItIsKilled) {
    for (Program which : {Program::Hang, Program::Deaf}) {
        make(1);
        std::string path = contract().program(which);
        run([&](World& world) -> Task<void> {
            ProcessRequest wanted = request(world, {path});
            wanted.deadline = Deadline::after(world.clock.now(), 50ms);
            Deadline deadline = wanted.deadline;
            ProcessEnd end = co_await world.process.run(std::move(wanted),
                                                        pieces(4, std::string(64 * 1024, 'x')));
            EXPECT_EQ(end.kind, Kind::TimedOut);
            EXPECT_TRUE(deadline.reached(world.clock.now()));
        });
    }
}

TEST_F(ProcessContract, WhatCannotRunSaysWhy) {
    std::string nothing = path("nothing");
    run([&](World& world) -> Task<void> {
        std::string large(kProcessRequestOctetsMax, 'x');
        std::vector<std::vector<std::string>> cases = {
            {nothing}, {"relative"}, {}, {nothing, std::string("a\0b", 3)}, {nothing, large}};
        for (auto& arguments : cases) {
            ProcessEnd end =
                co_await world.process.run(request(world, std::move(arguments)), pieces(0, ""));
            EXPECT_EQ(end.kind, Kind::NotStarted);
            EXPECT_NE(end.message, "");
        }
    });
}

TEST_F(ProcessContract, InputThatFailsKillsTheProgram) {
    std::string echo = contract().program(Program::Echo);
    run([&](World& world) -> Task<void> {
        int asked = 0;
        ProcessInput input = [&asked]() -> Task<Result<std::string_view>> {
            if (asked++ == 0) co_return std::string_view("the first part\n");
            co_return fail("the rest is gone");
        };
        ProcessEnd end = co_await world.process.run(request(world, {echo}), std::move(input));
        EXPECT_EQ(end.kind, Kind::InputFailed);
        EXPECT_EQ(end.message, "the rest is gone");
    });
}

TEST_F(ProcessContract, ManyRunAtOnceOnAllShards) {
    make(2);
    std::string echo = contract().program(Program::Echo);
    run([&](World& world) -> Task<void> {
        constexpr int kRuns = 20;
        Gathering gathering(world, kRuns);
        for (int i = 0; i < kRuns; i++) {
            world.executor.post_to(i % 2, [&, i] {
                spawn(world, [&, i]() -> Task<void> {
                    std::string text = std::to_string(i);
                    ProcessEnd end =
                        co_await world.process.run(request(world, {echo}), pieces(1, text));
                    EXPECT_EQ(end.output, text) << end.message;
                    EXPECT_EQ(world.executor.current_shard(), i % 2);
                    gathering.arrive();
                });
            });
        }
        CO_ASSERT(co_await gathering.all(patience(world)));
    });
}

}  // namespace
}  // namespace postrider::contract
