// deliver/maildir_test.cc: a copy in a Maildir, byte by byte, once, and durable before it is said.
//
// Method: a disk in memory that forgets what was not synced, with a fault at each of its steps.

#include "deliver/maildir.h"

#include <gtest/gtest.h>

#include <array>

#include "deliver/memory_disk.h"
#include "deliver/still_world.h"

namespace postrider::deliver {
namespace {

using Verdict = RecipientResult::Verdict;

// A content that is read in pieces of at most `piece` octets, or lies in memory.
class TestContent : public ContentReader {
public:
    TestContent(std::string octets, std::size_t piece)
        : octets_(std::move(octets)), piece_(piece) {}
    uint64_t size() const override { return octets_.size() + missing; }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        if (broken) co_return fail("checksum is wrong");
        std::size_t begin = std::min<std::size_t>(offset, octets_.size());
        co_return octets_.copy(into.data(), std::min(into.size(), piece_), begin);
    }
    std::optional<std::string_view> in_memory() const override {
        if (piece_ > 0) return std::nullopt;
        return octets_;
    }
    bool broken = false;
    uint64_t missing = 0;

private:
    std::string octets_;
    std::size_t piece_;
};

constexpr std::string_view kContent = "Subject: x\r\n\r\nline\r\n.\r\nlast\r\n";
constexpr std::string_view kFields =
    "Return-Path: <ann@a.example>\r\nDelivered-To: bob@b.example\r\nReceived: by us\r\n";
constexpr std::string_view kStoredLf =
    "Return-Path: <ann@a.example>\nDelivered-To: bob@b.example\nReceived: by us\n"
    "Subject: x\n\nline\n.\nlast\n";
const std::string kName = "1795295045.0000000000010R0.mx.example.org";

struct Rig {
    MemoryDisk disk;
    InlineExecutor executor;
    InlineWorker worker{executor};
    NoClock clock;
    NoRandom random;
    NoNet net;
    NoLog log;
    NoResolver resolver;
    NoProcess process;
    NoTls tls;
    world::World world{clock, random, net, disk, executor, worker, log, resolver, process, tls};
    std::shared_ptr<TestContent> content = std::make_shared<TestContent>(std::string(kContent), 0);
    Envelope envelope;
    MaildirJob job;

    Rig() {
        envelope.id = {32};
        envelope.received = {1795295045'000000};
        envelope.variants = {{.reverse_path = {Mailbox{"ann", "a.example"}},
                              .prefix = "Received: by us\r\n",
                              .recipients = {{.mailbox = {"bob", "b.example"}}}}};
        job.directory = "/mail/bob";
        job.host = "mx.example.org";
    }

    RecipientResult deliver() {
        job.envelope = std::make_shared<Envelope>(envelope);
        job.content = content;
        auto handle = deliver_to_maildir(world, job).release();
        handle.resume();
        EXPECT_TRUE(handle.done());
        RecipientResult result = handle.promise().take();
        handle.destroy();
        return result;
    }
    std::string stored() {
        auto at = disk.files.find("/mail/bob/new/" + kName);
        return at == disk.files.end() ? "(none)" : at->second->octets;
    }
    std::size_t copies() {
        return disk.names("/mail/bob/new").size() + disk.names("/mail/bob/cur").size();
    }
};

TEST(Maildir, CopyHasItsFieldsAndLfLineEnds) {
    Rig rig;
    RecipientResult result = rig.deliver();
    EXPECT_EQ(result.verdict, Verdict::Delivered);
    EXPECT_EQ(result.status, (EnhancedStatus{2, 0, 0}));
    EXPECT_EQ(rig.stored(), kStoredLf);
    EXPECT_EQ(rig.disk.names("/mail/bob/new"), std::vector<std::string>{kName});
    EXPECT_TRUE(rig.disk.names("/mail/bob/tmp").empty());
    EXPECT_EQ(rig.worker.journeys, 1);
}

TEST(Maildir, CrlfIsKeptWhenAskedFor) {
    Rig rig;
    rig.job.line_end = LineEnd::Crlf;
    rig.deliver();
    EXPECT_EQ(rig.stored(), std::string(kFields) + std::string(kContent));
}

TEST(Maildir, BinaryMimeIsStoredUnconverted) {
    Rig rig;
    std::string binary = "Subject: x\r\n\r\n\r\n\n\r" + std::string(1, '\0') + "\xFF";
    rig.envelope.body = BodyType::BinaryMime;
    rig.content = std::make_shared<TestContent>(binary, 0);
    rig.deliver();
    EXPECT_EQ(rig.stored(), std::string(kFields) + binary);
    rig.disk.files.clear();
    rig.content = std::make_shared<TestContent>(binary, 3);
    rig.deliver();
    EXPECT_EQ(rig.stored(), std::string(kFields) + binary);
}

TEST(Maildir, NullReversePathIsWrittenEmpty) {
    Rig rig;
    rig.envelope.variants[0].reverse_path = {};
    rig.deliver();
    EXPECT_TRUE(rig.stored().starts_with("Return-Path: <>\nDelivered-To: "));
}

TEST(Maildir, AnyCutOfTheContentGivesTheSameFile) {
    for (std::size_t piece = 1; piece <= kContent.size(); piece++) {
        Rig rig;
        rig.content = std::make_shared<TestContent>(std::string(kContent), piece);
        EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
        EXPECT_EQ(rig.stored(), kStoredLf) << piece;
    }
}

TEST(Maildir, CrThatIsNoLineEndStaysInAnyCut) {
    std::string odd = "a\rb\r\r\nc\r\n\r";
    for (std::size_t piece = 0; piece <= odd.size(); piece++) {
        Rig rig;
        rig.content = std::make_shared<TestContent>(odd, piece);
        rig.deliver();
        EXPECT_TRUE(rig.stored().ends_with("by us\na\rb\r\nc\n\r")) << piece;
    }
}

TEST(Maildir, EmptyContentIsDelivered) {
    for (std::size_t piece : {0, 1}) {
        Rig rig;
        rig.content = std::make_shared<TestContent>("", piece);
        EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
        EXPECT_TRUE(rig.stored().ends_with("Received: by us\n"));
    }
}

TEST(Maildir, LargeContentIsWrittenInBoundedBlocks) {
    Rig rig;
    std::string large;
    for (int i = 0; i < 60'000; i++) large += "line " + std::to_string(i) + "\r\n";
    rig.content = std::make_shared<TestContent>(large, large.size());
    EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
    EXPECT_LE(rig.disk.largest_write, 64u * 1024 + 1000);
    std::string want = large;
    std::erase(want, '\r');
    EXPECT_TRUE(rig.stored().ends_with("by us\n" + want));
}

TEST(Maildir, DeliveredSurvivesALossOfPower) {
    Rig rig;
    EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
    rig.disk.power_loss();
    EXPECT_EQ(rig.stored(), kStoredLf);
}

TEST(Maildir, OctetsAreSyncedBeforeTheNameAndTheNameBeforeTheAnswer) {
    Rig rig;
    rig.deliver();
    std::string tmp = "/mail/bob/tmp/" + kName, fresh = "/mail/bob/new/" + kName;
    EXPECT_EQ(rig.disk.log,
              (std::vector<std::string>{"info " + fresh, "open " + tmp, "make /mail/bob/cur",
                                        "make /mail/bob/new", "make /mail/bob/tmp", "open " + tmp,
                                        "write", "sync", "rename " + tmp + " " + fresh,
                                        "sync_directory /mail/bob/new"}));
}

TEST(Maildir, SecondDeliveryMakesNoSecondCopy) {
    Rig rig;
    rig.deliver();
    rig.job.repeated = true;
    EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
    EXPECT_EQ(rig.copies(), 1u);
}

TEST(Maildir, CopyThatAReaderMovedToCurCountsWithAnyFlags) {
    for (std::string flags : {"", ":2,", ":2,FS"}) {
        Rig rig;
        rig.deliver();
        auto copy = rig.disk.files.extract("/mail/bob/new/" + kName);
        copy.key() = "/mail/bob/cur/" + kName + flags;
        rig.disk.files.insert(std::move(copy));
        rig.job.repeated = true;
        EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
        EXPECT_EQ(rig.copies(), 1u) << flags;
        rig.disk.power_loss();
        EXPECT_EQ(rig.disk.names("/mail/bob/cur").size(), 1u) << flags;
    }
}

TEST(Maildir, NameThatOnlyBeginsAlikeIsAnotherMessage) {
    Rig rig;
    rig.deliver();
    auto copy = rig.disk.files.extract("/mail/bob/new/" + kName);
    copy.key() = "/mail/bob/cur/" + kName + "x:2,S";
    rig.disk.files.insert(std::move(copy));
    rig.job.repeated = true;
    rig.deliver();
    EXPECT_EQ(rig.copies(), 2u);
}

TEST(Maildir, WhatACrashLeftInTmpIsOverwritten) {
    Rig rig;
    rig.disk.folders = {"/mail/bob/tmp", "/mail/bob/new", "/mail/bob/cur"};
    rig.disk.files["/mail/bob/tmp/" + kName] =
        std::make_shared<MemoryDisk::Node>(MemoryDisk::Node{std::string(5000, 'z'), ""});
    EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
    EXPECT_EQ(rig.stored(), kStoredLf);
}

TEST(Maildir, HalfMadeMaildirIsCompleted) {
    Rig rig;
    rig.disk.folders = {"/mail/bob/tmp"};
    EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
    EXPECT_EQ(rig.stored(), kStoredLf);
}

TEST(Maildir, EachRecipientHasItsOwnFile) {
    Rig rig;
    rig.envelope.variants[0].recipients.push_back({.mailbox = {"bob", "b.example"}});
    rig.deliver();
    rig.job.recipient = 1;
    rig.deliver();
    EXPECT_EQ(rig.copies(), 2u);
}

// Every step fails once, in every way: temporary, nothing half-done is left in new, and the next
// attempt delivers one whole copy.
TEST(Maildir, FaultAtAnyStepIsTemporaryAndRepairedByTheNextAttempt) {
    using Kind = DiskError::Kind;
    for (std::size_t piece : {0, 7}) {
        for (Kind kind : {Kind::Full, Kind::ReadOnly, Kind::NotPermitted, Kind::Broken}) {
            Rig whole;
            whole.content = std::make_shared<TestContent>(std::string(kContent), piece);
            whole.deliver();
            std::size_t steps = whole.disk.log.size();
            ASSERT_GE(steps, 10u);
            for (std::size_t failing = 0; failing < steps; failing++) {
                Rig rig;
                rig.content = std::make_shared<TestContent>(std::string(kContent), piece);
                rig.disk.fault = [&](const std::string&) -> std::optional<Kind> {
                    if (rig.disk.log.size() == failing + 1) return kind;
                    return std::nullopt;
                };
                RecipientResult result = rig.deliver();
                ASSERT_EQ(result.verdict, Verdict::Temporary) << rig.disk.log[failing];
                EXPECT_EQ(result.status.klass, 4);
                EXPECT_EQ(result.kind == FailureKind::Full, kind == Kind::Full);
                EXPECT_NE(result.detail.find("fault at"), std::string::npos);
                EXPECT_EQ(result.reason.find('/'), std::string::npos);  // no path for the sender
                EXPECT_EQ(rig.copies(), 0u) << rig.disk.log[failing];
                EXPECT_TRUE(rig.disk.names("/mail/bob/tmp").empty()) << rig.disk.log[failing];
                rig.disk.fault = nullptr;
                rig.job.repeated = true;
                EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
                EXPECT_EQ(rig.copies(), 1u);
                rig.disk.power_loss();
                EXPECT_EQ(rig.stored(), kStoredLf);
            }
        }
    }
}

TEST(Maildir, CrashAtAnyStepLosesNothingAndDoublesNothing) {
    // The process ends (power is lost, or it is only killed) after each step; the spool tries
    // again.
    for (bool power : {false, true}) {
        for (std::size_t last = 1; last <= 11; last++) {
            Rig rig;
            std::optional<decltype(rig.disk.files)> files, durable;
            std::map<std::string, MemoryDisk::Node> nodes;
            rig.disk.fault = [&](const std::string&) -> std::optional<DiskError::Kind> {
                if (rig.disk.log.size() == last) {  // what stands before this step
                    files = rig.disk.files;
                    durable = rig.disk.durable;
                    for (auto& [path, node] : rig.disk.files) nodes[path] = *node;
                }
                return std::nullopt;
            };
            rig.deliver();
            if (files) {
                rig.disk.files = *files;
                rig.disk.durable = *durable;
                for (auto& [path, node] : rig.disk.files) *node = nodes[path];
            }
            if (power) rig.disk.power_loss();
            rig.disk.fault = nullptr;
            rig.job.repeated = true;
            EXPECT_EQ(rig.deliver().verdict, Verdict::Delivered);
            EXPECT_EQ(rig.copies(), 1u) << last;
            rig.disk.power_loss();
            EXPECT_EQ(rig.copies(), 1u) << last;
            EXPECT_EQ(rig.stored(), kStoredLf) << last;
        }
    }
}

TEST(Maildir, UnreadableStoredMessageIsNeverDeliveredInPart) {
    Rig broken;
    broken.content = std::make_shared<TestContent>(std::string(kContent), 7);
    broken.content->broken = true;
    RecipientResult result = broken.deliver();
    EXPECT_EQ(result.verdict, Verdict::Temporary);
    EXPECT_EQ(result.detail, "checksum is wrong");
    EXPECT_EQ(broken.copies(), 0u);

    Rig shorter;
    shorter.content = std::make_shared<TestContent>(std::string(kContent), 7);
    shorter.content->missing = 3;
    EXPECT_EQ(shorter.deliver().verdict, Verdict::Temporary);
    EXPECT_EQ(shorter.copies(), 0u);
    EXPECT_TRUE(shorter.disk.names("/mail/bob/tmp").empty());
}

TEST(MaildirName, HostCannotLeaveTheFolderNorLookLikeFlags) {
    Envelope envelope;
    envelope.id = {32};
    envelope.received = {5'000'000};
    EXPECT_EQ(maildir_name(envelope, 7, "mx"), "5.0000000000010R7.mx");
    EXPECT_EQ(maildir_name(envelope, 0, "../a:2,b\n"), "5.0000000000010R0...\\057a\\0722,b_");
    EXPECT_EQ(maildir_name(envelope, 0, std::string(500, 'h')).size(), 180u);
}

}  // namespace
}  // namespace postrider::deliver
