// deliver/pipe_test.cc: what a program gets, and what its end means. The programs are functions
// here; tests/contract shows that real ones behave so, tests/program runs the whole.

#include "deliver/pipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deliver/memory_disk.h"
#include "deliver/pipe_command.h"
#include "deliver/pipe_results.h"
#include "deliver/still_world.h"

namespace postrider::deliver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = world::ProcessEnd::Kind;
using Verdict = RecipientResult::Verdict;

// Remembers what it was asked, reads all input and ends as it was told.
class FakeProcess : public world::Process {
public:
    Task<world::ProcessEnd> run(world::ProcessRequest wanted, world::ProcessInput input) override {
        request = std::move(wanted);
        runs++;
        while (true) {
            auto piece = co_await input();
            if (!piece) {
                co_return world::ProcessEnd{.kind = Kind::InputFailed,
                                            .message = piece.error().message};
            }
            if (piece->empty()) break;
            read += *piece;
            largest_piece = std::max(largest_piece, piece->size());
        }
        co_return end;
    }

    world::ProcessRequest request;
    std::string read;
    std::size_t largest_piece = 0;
    int runs = 0;
    world::ProcessEnd end{.kind = Kind::Exited};
};

class PiecewiseContent : public ContentReader {
public:
    PiecewiseContent(std::string octets, std::size_t piece)
        : octets_(std::move(octets)), piece_(piece) {}
    uint64_t size() const override { return octets_.size() + missing; }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        if (offset >= fails_at) co_return fail("a bad sector");
        co_return octets_.copy(into.data(), std::min(piece_, into.size()), offset);
    }
    std::size_t missing = 0;
    uint64_t fails_at = UINT64_MAX;

private:
    std::string octets_;
    std::size_t piece_;
};

struct Rig {
    MemoryDisk disk;
    InlineExecutor executor;
    InlineWorker worker{executor};
    NoClock clock;
    NoRandom random;
    NoNet net;
    NoLog log;
    NoResolver resolver;
    FakeProcess process;
    NoTls tls;
    world::World world{clock, random, net, disk, executor, worker, log, resolver, process, tls};
    Envelope envelope;
    PipeJob job;

    Rig() {
        envelope.id = {32};
        envelope.variants = {{.reverse_path = {Mailbox{"ann", "a.example"}},
                              .prefix = "Received: by us\r\n",
                              .recipients = {{.mailbox = {"bob", "b.example"}}}}};
        envelope.client = {.address = "192.0.2.7", .helo = "client.example", .protocol = "ESMTP"};
        job.command = "/usr/bin/program -f {sender} --user={local} -- {recipient}";
        job.directory = "/var/lib/programs";
    }

    RecipientResult deliver(std::string content = "Subject: x\r\n\r\ntext\r\n",
                            std::size_t piece = 1000) {
        auto reader = std::make_shared<PiecewiseContent>(std::move(content), piece);
        return deliver(std::move(reader));
    }
    RecipientResult deliver(std::shared_ptr<ContentReader> content) {
        job.envelope = std::make_shared<Envelope>(envelope);
        job.content = std::move(content);
        std::optional<RecipientResult> result;
        auto body = [&]() -> Task<void> { result = co_await deliver_to_pipe(world, job); };
        auto task = body();
        auto handle = task.release();
        handle.resume();
        EXPECT_TRUE(handle.done());
        handle.destroy();
        return *result;
    }
};

std::vector<std::string> words(std::string_view command, const PipeAddresses& addresses = {}) {
    auto parsed = PipeCommand::parse(command);
    if (!parsed) return {"error", parsed.error().message};
    auto arguments = parsed->arguments(addresses);
    if (!arguments) return {"refused", arguments.error().message};
    return *arguments;
}

TEST(PipeCommand, WordsAreSplitWithoutAShell) {
    EXPECT_THAT(words("/bin/a  b\tc"), ElementsAre("/bin/a", "b", "c"));
    EXPECT_THAT(words(R"(/bin/a 'b c' "d e" f\ g)"), ElementsAre("/bin/a", "b c", "d e", "f g"));
    EXPECT_THAT(words(R"(/bin/a 'b\' "c\"d" '' x'y z'w)"),
                ElementsAre("/bin/a", "b\\", "c\"d", "", "xy zw"));
    EXPECT_THAT(words("/bin/a $HOME `id` ; | > *"),
                ElementsAre("/bin/a", "$HOME", "`id`", ";", "|", ">", "*"));
    EXPECT_THAT(words("/bin/a {{local}}"), ElementsAre("/bin/a", "{local}"));
}

TEST(PipeCommand, EachMistakeIsNamed) {
    const std::pair<const char*, const char*> cases[] = {
        {"", "empty"},
        {"   ", "empty"},
        {"program", "absolute path"},
        {"{local}", "absolute path"},
        {"/bin/{local}", "absolute path"},
        {"/bin/a 'b", "' is not closed"},
        {"/bin/a \"b", "\" is not closed"},
        {"/bin/a \\", "backslash"},
        {"/bin/a {user}", "{user} is not known"},
        {"/bin/a {local", "{ is not closed"},
        {"/bin/a }", "} stands alone"},
        {"/bin/a b\nc", "control character"},
    };
    for (const auto& [command, mistake] : cases) {
        auto parsed = PipeCommand::parse(command);
        ASSERT_FALSE(parsed) << command;
        EXPECT_THAT(parsed.error().message, HasSubstr(mistake)) << command;
    }
}

TEST(PipeCommand, ACommandOfAnySizeCostsNoMemory) {
    std::string long_one = "/bin/a " + std::string(4089, 'x');
    EXPECT_TRUE(PipeCommand::parse(long_one));
    auto longer = PipeCommand::parse(long_one + "x");
    ASSERT_FALSE(longer);
    EXPECT_THAT(longer.error().message, HasSubstr("too long"));
}

TEST(PipeCommand, AddressesAreNeverSplitAgain) {
    PipeAddresses odd{.sender = "a 'b\"@x; rm -rf /", .local = "{domain} $(id)", .domain = "d"};
    EXPECT_THAT(words("/bin/a {sender} {local}.{domain}", odd),
                ElementsAre("/bin/a", "a 'b\"@x; rm -rf /", "{domain} $(id).d"));
}

TEST(PipeCommand, TheNullSenderIsAnEmptyWord) {
    EXPECT_THAT(words("/bin/a {sender} b"), ElementsAre("/bin/a", "", "b"));
}

TEST(PipeCommand, AnAddressNeverBecomesAnOption) {
    PipeAddresses odd{.sender = "-oProxyCommand=x@y", .local = "--help"};
    EXPECT_EQ(words("/bin/a {sender}", odd).front(), "refused");
    EXPECT_EQ(words("/bin/a {extension}{local}", odd).front(), "refused");
    EXPECT_THAT(words("/bin/a --user={local} x{local}", odd),
                ElementsAre("/bin/a", "--user=--help", "x--help"));
    EXPECT_THAT(words("/bin/a -v -- {local}", odd), ElementsAre("/bin/a", "-v", "--", "--help"));
}

TEST(PipeAddresses, TheExtensionStandsBehindTheDelimiter) {
    struct Case {
        const char* local;
        const char* delimiters;
        const char* base;
        const char* extension;
    };
    const Case cases[] = {
        {"bob", "+", "bob", ""},         {"bob+a", "+", "bob", "a"}, {"bob+a+b", "+", "bob", "a+b"},
        {"bob-a+b", "+-", "bob", "a+b"}, {"bob+a", "", "bob+a", ""}, {"+bob", "+", "+bob", ""},
        {"bob+", "+", "bob", ""},
    };
    Rig rig;
    for (const Case& one : cases) {
        rig.envelope.variants[0].recipients[0].mailbox.local_part = one.local;
        PipeAddresses addresses = pipe_addresses(rig.envelope, 0, one.delimiters);
        EXPECT_EQ(addresses.local, one.base) << one.local;
        EXPECT_EQ(addresses.extension, one.extension) << one.local;
        EXPECT_EQ(addresses.recipient, std::string(one.local) + "@b.example");
    }
}

TEST(PipeAddresses, ATagThatWasTakenOffOnTheWayIsStillTheExtension) {
    Rig rig;
    Recipient& to = rig.envelope.variants[0].recipients[0];
    to.original = Mailbox{"bob+news", "b.example"};
    EXPECT_EQ(pipe_addresses(rig.envelope, 0, "+").extension, "news");
    to.original = Mailbox{"alias+news", "b.example"};
    EXPECT_EQ(pipe_addresses(rig.envelope, 0, "+").extension, "") << "another mailbox's tag";
    EXPECT_EQ(pipe_addresses(rig.envelope, 0, "+").original, "alias+news@b.example");
}

TEST(Pipe, TheProgramReadsTheMessageWithItsFieldsAndLfLineEnds) {
    Rig rig;
    RecipientResult result = rig.deliver("Subject: x\r\n\r\n.\r\na\rb\r\n");
    EXPECT_EQ(result.verdict, Verdict::Delivered);
    EXPECT_EQ(result.status, (EnhancedStatus{2, 0, 0}));
    EXPECT_EQ(rig.process.read,
              "Return-Path: <ann@a.example>\nDelivered-To: bob@b.example\nReceived: by us\n"
              "Subject: x\n\n.\na\rb\n");
}

TEST(Pipe, AnyCutOfTheContentGivesTheSameOctets) {
    std::string content = "A: b\r\n\r\n\r\r\nx\r\n\ry\r\n\r";
    for (std::size_t piece : {1, 2, 3, 5, 1000}) {
        Rig rig;
        rig.deliver(content, piece);
        EXPECT_TRUE(rig.process.read.ends_with("A: b\n\n\r\nx\n\ry\n\r")) << piece;
    }
}

TEST(Pipe, BinaryMimeIsGivenUnconverted) {
    Rig rig;
    rig.envelope.body = BodyType::BinaryMime;
    rig.deliver("A: b\r\n\r\n\n\r\n");
    EXPECT_TRUE(rig.process.read.ends_with("Received: by us\r\nA: b\r\n\r\n\n\r\n"));
}

TEST(Pipe, LargeContentFlowsInBoundedPieces) {
    Rig rig;
    rig.deliver("A: b\r\n\r\n" + std::string(1'000'000, 'x'), 1'000'000);
    EXPECT_LE(rig.process.largest_piece, 64u * 1024 + 1);
    EXPECT_GT(rig.process.read.size(), 1'000'000u);
}

TEST(Pipe, AMessageThatCannotBeReadWholeIsTemporaryAndNotGivenAsWhole) {
    for (bool is_short : {true, false}) {
        Rig rig;
        auto content = std::make_shared<PiecewiseContent>("A: b\r\n\r\ntext\r\n", 5);
        if (is_short) {
            content->missing = 100;
        } else {
            content->fails_at = 10;
        }
        RecipientResult result = rig.deliver(content);
        EXPECT_EQ(result.verdict, Verdict::Temporary);
        EXPECT_THAT(result.reason, HasSubstr("cannot be read"));
    }
}

TEST(Pipe, ArgumentsAndEnvironmentNameTheMessage) {
    Rig rig;
    rig.envelope.variants[0].recipients[0].mailbox = {"bob+news", "b.example"};
    rig.envelope.client.helo = "bad\x01helo";
    rig.job.time_max = std::chrono::seconds(7);
    rig.deliver();
    const world::ProcessRequest& request = rig.process.request;
    EXPECT_THAT(request.arguments, ElementsAre("/usr/bin/program", "-f", "ann@a.example",
                                               "--user=bob", "--", "bob+news@b.example"));
    EXPECT_THAT(
        request.environment,
        ElementsAre("PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/var/lib/programs",
                    "SENDER=ann@a.example", "RECIPIENT=bob+news@b.example",
                    "ORIGINAL_RECIPIENT=bob+news@b.example", "LOCAL=bob", "EXTENSION=news",
                    "DOMAIN=b.example", "MESSAGE_ID=0000000000010", "CLIENT_ADDRESS=192.0.2.7",
                    "CLIENT_HELO=bad?helo", "CLIENT_PROTOCOL=ESMTP"));
    EXPECT_EQ(request.directory, "/var/lib/programs");
    EXPECT_EQ(request.deadline, (Deadline{Monotonic{7'000'000'000}}));
    EXPECT_EQ(request.output_octets_max, kPipeOutputOctetsMax);
}

TEST(Pipe, AMisconfiguredCommandIsTemporaryAndRunsNothing) {
    Rig rig;
    rig.job.command = "program {local}";
    RecipientResult result = rig.deliver();
    EXPECT_EQ(result.verdict, Verdict::Temporary);
    EXPECT_EQ(result.status, (EnhancedStatus{4, 3, 5}));
    EXPECT_EQ(rig.process.runs, 0);
}

TEST(Pipe, AnAddressThatWouldBeAnOptionIsRefusedAndRunsNothing) {
    Rig rig;
    rig.job.command = "/usr/bin/program {local}";
    rig.envelope.variants[0].recipients[0].mailbox.local_part = "-rf";
    RecipientResult result = rig.deliver();
    EXPECT_EQ(result.verdict, Verdict::Permanent);
    EXPECT_EQ(result.status, (EnhancedStatus{5, 1, 3}));
    EXPECT_EQ(rig.process.runs, 0);
}

TEST(PipeResults, ExitCodesMeanWhatSysexitsSays) {
    struct Case {
        int code;
        Verdict verdict;
        EnhancedStatus status;
    };
    constexpr auto kT = Verdict::Temporary;
    constexpr auto kP = Verdict::Permanent;
    const Case cases[] = {
        {0, Verdict::Delivered, {2, 0, 0}},
        {1, kT, {4, 3, 0}},
        {63, kT, {4, 3, 0}},
        {64, kT, {4, 3, 5}},
        {65, kP, {5, 6, 0}},
        {66, kP, {5, 3, 0}},
        {67, kP, {5, 1, 1}},
        {68, kP, {5, 1, 2}},
        {69, kP, {5, 3, 0}},
        {70, kP, {5, 3, 0}},
        {71, kT, {4, 3, 0}},
        {72, kT, {4, 3, 5}},
        {73, kP, {5, 2, 0}},
        {74, kT, {4, 3, 0}},
        {75, kT, {4, 3, 0}},
        {76, kP, {5, 5, 0}},
        {77, kP, {5, 7, 0}},
        {78, kT, {4, 3, 5}},
        {79, kT, {4, 3, 0}},
        {126, kT, {4, 3, 0}},
        {127, kT, {4, 3, 0}},
        {255, kT, {4, 3, 0}},
    };
    for (const Case& one : cases) {
        RecipientResult result = pipe_result(3, {.kind = Kind::Exited, .code = one.code});
        EXPECT_EQ(result.recipient, 3u);
        EXPECT_EQ(result.verdict, one.verdict) << one.code;
        EXPECT_EQ(result.status, one.status) << one.code;
        EXPECT_NE(result.reason, "") << one.code;
    }
    EXPECT_EQ(pipe_result(0, {.kind = Kind::Exited, .code = 67}).kind, FailureKind::Mailbox);
    EXPECT_EQ(pipe_result(0, {.kind = Kind::Exited, .code = 77}).kind, FailureKind::Policy);
}

TEST(PipeResults, EveryOtherEndIsTemporaryAndSaysWhy) {
    for (Kind kind :
         {Kind::Signalled, Kind::NotStarted, Kind::TimedOut, Kind::InputFailed, Kind::Lost}) {
        RecipientResult result = pipe_result(0, {.kind = kind, .code = 9, .message = "because"});
        EXPECT_EQ(result.verdict, Verdict::Temporary);
        EXPECT_EQ(result.status.klass, 4);
        EXPECT_NE(result.reason, "");
        EXPECT_NE(result.detail, "");
    }
}

TEST(PipeResults, TheLastLineOfTheOutputIsTheDiagnosis) {
    auto said = [](std::string output) {
        return pipe_result(0, {.kind = Kind::Exited, .code = 67, .output = std::move(output)})
            .reason;
    };
    EXPECT_EQ(said("first\nno mailbox for bob\n\n \n"), "no such user: no mailbox for bob");
    EXPECT_EQ(said("only"), "no such user: only");
    EXPECT_EQ(said("\n\n"), "no such user");
    EXPECT_EQ(said("a\x1b[31mred\r\n"), "no such user: a?[31mred");
    EXPECT_EQ(said("\xc3\xa4"), "no such user: ??");
    EXPECT_LE(said(std::string(5000, 'x')).size(), 400u);
}

}  // namespace
}  // namespace postrider::deliver
