// sim/smtp_delivery_test.cc: the sender of deliver/ over the simulated net, against written hosts.
//
// Goal: deadlines, reuse of connections, content octet by octet, broken peers. Method: the next
// host is a list of steps (say this, then read until that); streams are cut by the net's seed; time
// is virtual, so the RFC's minutes pass at once.

#include "deliver/smtp_delivery.h"

#include <gtest/gtest.h>

#include "sim/smtp_scene.h"

namespace postrider::sim {
namespace {

using Verdict = RecipientResult::Verdict;

TEST(SmtpDelivery, AMessageArrivesOctetByOctetHoweverItIsReadAndCut) {
    for (std::size_t segment : {1, 7, 1460}) {
        for (std::size_t read_most : {0, 1, 5, 1000}) {
            Scene scene(segment);
            scene.sim.net().faults.segment_max = segment;
            scene.serve({{kGreets, kPipelines, kGo, kTakes, kBye}});
            std::string text(kContent);
            std::shared_ptr<ContentReader> content = std::make_shared<InMemory>(text);
            if (read_most > 0) content = std::make_shared<InFile>(text, read_most);
            SmtpAttempt got = scene.send(job(content));
            ASSERT_EQ(got.results.size(), 1u);
            EXPECT_EQ(got.results[0].verdict, Verdict::Relayed);
            EXPECT_EQ(got.results[0].reason, "250 2.0.0 taken");
            EXPECT_EQ(got.results[0].remote_host, "mx.example");
            EXPECT_EQ(scene.heard[0],
                      "EHLO me.example\r\nMAIL FROM:<a@o.example>\r\nRCPT TO:<b@x.example>\r\n"
                      "DATA\r\n" +
                          std::string(kWire) + "QUIT\r\n");
        }
    }
}

TEST(SmtpDelivery, ALargeMessageFlowsThroughBoundedBuffers) {
    std::string text, wire = "X: y\r\n";
    for (int i = 0; i < 60'000; ++i) {
        text += i % 3 ? "some text of a line\r\n" : ".dot\r\n";
        wire += i % 3 ? "some text of a line\r\n" : "..dot\r\n";
    }
    Scene scene;
    scene.serve({{kGreets, kPipelines, kGo, kTakes, kBye}});
    SmtpAttempt got = scene.send(job(std::make_shared<InFile>(text, SIZE_MAX)));
    EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed);
    EXPECT_NE(scene.heard[0].find("DATA\r\n" + wire + ".\r\nQUIT\r\n"), std::string::npos);
}

TEST(SmtpDelivery, TheDialogueHasTimesAndNoContent) {
    Scene scene;
    scene.serve({{kGreets, kPipelines, kGo, kTakes, kBye}});
    SmtpAttempt got = scene.send(job());
    EXPECT_EQ(got.dialogue.text(),
              "-- connecting to 192.0.2.1:25\nS: 220 mx\nC: EHLO me.example\n"
              "S: 250-mx\nS: 250-PIPELINING\nS: 250 8BITMIME\n"
              "C: MAIL FROM:<a@o.example>\nC: RCPT TO:<b@x.example>\nC: DATA\n"
              "S: 250 ok\nS: 250 ok\nS: 354 go\n-- content of 41 octets sent\n"
              "S: 250 2.0.0 taken\n");
    std::optional<Wall> last;
    for (const smtp::Transcript::Line& line : got.dialogue.lines()) {
        ASSERT_TRUE(line.at) << line.text;
        EXPECT_TRUE(!last || *last <= *line.at);
        last = line.at;
    }
}

TEST(SmtpDelivery, AConnectionIsUsedAgainAndAClosedOneCostsNoFailure) {
    Scene scene;
    scene.serve({{kGreets,
                  kPipelines,
                  kGo,
                  kTakesAndGoesOn,
                  kGo,
                  {"250 2.0.0 taken\r\n", ""},
                  {kClose, ""}},
                 {kGreets,
                  kPipelines,
                  kGo,
                  kTakesAndGoesOn,
                  {"421 4.3.2 too many messages\r\n", ""},
                  {kClose, ""}},
                 {kGreets, kPipelines, kGo, kTakes, kBye}});
    scene.run(scene.client, to(kMx), [&](World& world, SmtpConnection& connection) -> Task<void> {
        for (int i = 0; i < 4; ++i) {
            SmtpAttempt got = co_await connection.send(job());
            EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed) << i << got.dialogue.text();
            EXPECT_TRUE(connection.is_open());
            co_await world.clock.sleep_for(2s);
        }
        co_await connection.close();
        EXPECT_FALSE(connection.is_open());
    });
    EXPECT_EQ(scene.peers.size(), 3u);
}

// As OpenSMTPD does after its limit of messages; on a fresh connection the same reply counts.
TEST(SmtpDelivery, AConnectionThatIsUsedUpIsReplacedOnce) {
    Scene scene;
    const Step full{"452 4.5.3 Too many messages sent\r\n503 no MAIL\r\n503 no MAIL\r\n",
                    "QUIT\r\n"};
    scene.serve({{kGreets, kPipelines, kGo, kTakesAndGoesOn, full, kBye},
                 {kGreets, kPipelines, kGo, kTakesAndGoesOn, full, kBye},
                 {kGreets, kPipelines, full, kBye}});
    scene.run(scene.client, to(kMx), [&](World&, SmtpConnection& connection) -> Task<void> {
        for (int i = 0; i < 3; ++i) {
            SmtpAttempt got = co_await connection.send(job());
            EXPECT_EQ(got.results.at(0).verdict, i < 2 ? Verdict::Relayed : Verdict::Temporary)
                << i << got.dialogue.text();
        }
        co_await connection.close();
    });
    EXPECT_EQ(scene.peers.size(), 3u);
}

// Some hosts count recipients, not messages. In the midst of a message what was taken is settled
// first.
TEST(SmtpDelivery, AConnectionOverWhichNoMoreRecipientsAreTakenIsReplacedOnce) {
    Scene scene;
    const Step full{"250 ok\r\n452 4.5.3 enough for one visit\r\n554 no recipients\r\n",
                    "QUIT\r\n"};
    scene.serve({{kGreets, kPipelines, kGo, kTakesAndGoesOn, full, kBye},
                 {kGreets, kPipelines, full, kBye}});
    scene.run(scene.client, to(kMx), [&](World&, SmtpConnection& connection) -> Task<void> {
        for (bool is_first : {true, false}) {
            SmtpAttempt got = co_await connection.send(job());
            EXPECT_EQ(got.results.at(0).verdict, is_first ? Verdict::Relayed : Verdict::Temporary)
                << got.dialogue.text();
        }
        co_await connection.close();
    });
    EXPECT_EQ(scene.peers.size(), 2u);

    Scene midst;
    midst.serve({{kGreets, kPipelines, kGo, kTakesAndGoesOn, full, kBye}});
    midst.run(midst.client, to(kMx), [&](World&, SmtpConnection& connection) -> Task<void> {
        for (bool is_continued : {false, true}) {
            SmtpJob part = job();
            part.is_continued = is_continued;
            SmtpAttempt got = co_await connection.send(std::move(part));
            EXPECT_EQ(got.results.at(0).kind,
                      is_continued ? FailureKind::TooManyRecipients : FailureKind::Other)
                << got.dialogue.text();
        }
        co_await connection.close();
    });
    EXPECT_EQ(midst.peers.size(), 1u);
}

// "250" and "421" in one segment: the message was taken, and must not be sent again.
TEST(SmtpDelivery, AMessageThatWasTakenWithTheLastWordsIsNotSentAgain) {
    for (std::string last : {"421 4.3.2 enough", "250 what?", "nonsense"}) {
        Scene scene;
        scene.sim.net().faults.full_segments_per_1000 = 1000;
        Steps steps = {kGreets,         kPipelines, kGo,
                       kTakesAndGoesOn, kGo,        {"250 2.0.0 taken\r\n" + last + "\r\n", ""},
                       {kHang, ""}};
        scene.serve({steps, {kGreets, kPipelines, kGo, kTakes, kBye}});
        scene.run(scene.client, to(kMx), [&](World&, SmtpConnection& connection) -> Task<void> {
            for (int i = 0; i < 2; ++i) {
                SmtpAttempt got = co_await connection.send(job());
                EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed) << last;
                EXPECT_FALSE(got.try_next_host) << last;
            }
            EXPECT_FALSE(connection.is_open());
        });
        EXPECT_EQ(scene.peers.size(), 1u) << last;
    }
}

TEST(SmtpDelivery, AHalfOpenConnectionCostsNoFailure) {
    Scene scene;
    Steps steps = {kGreets, kPipelines, kGo, kTakesAndGoesOn, kGo, kTakes, kBye};
    scene.serve({steps});
    scene.run(scene.client, to(kMx), [&](World& world, SmtpConnection& connection) -> Task<void> {
        SmtpAttempt got = co_await connection.send(job());
        EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed);
        // The next host loses power and comes back: we are not told.
        scene.sim.call_after(1s, [&] { scene.mx.power_loss(); });
        scene.sim.call_after(2s, [&] { scene.serve_on(scene.mx, kMx); });
        co_await world.clock.sleep_for(1min);
        EXPECT_TRUE(connection.is_open());
        got = co_await connection.send(job());
        EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed) << got.dialogue.text();
    });
    EXPECT_EQ(scene.peers.size(), 2u);
}

struct Silence {
    std::string_view name;
    Steps steps;
    Duration want;
    std::string_view want_reason;
};

TEST(SmtpDelivery, EachSilenceEndsAtItsOwnDeadline) {
    const Step plain{"250 mx\r\n", "\r\n"}, ok{"250 ok\r\n", "\r\n"}, hang{kHang, ""};
    const Silence cases[] = {
        {"Greeting", {hang}, 5min, "no greeting within 300 seconds"},
        {"Ehlo", {kGreets, hang}, 5min, "no reply to EHLO within 300 seconds"},
        {"Mail", {kGreets, plain, hang}, 5min, "no reply to MAIL within 300 seconds"},
        {"Rcpt", {kGreets, plain, ok, hang}, 5min, "no reply to RCPT within 300 seconds"},
        {"Data", {kGreets, plain, ok, ok, hang}, 2min, "no reply to DATA within 120 seconds"},
        {"Final",
         {kGreets, kPipelines, kGo, hang},
         10min,
         "no reply to the end of data within 600 seconds"},
    };
    for (const Silence& c : cases) {
        Scene scene;
        scene.serve({c.steps});
        SmtpAttempt got = scene.send(job());
        ASSERT_EQ(got.results.size(), 1u) << c.name;
        EXPECT_EQ(got.results[0].verdict, Verdict::Temporary) << c.name;
        EXPECT_EQ(got.results[0].reason, c.want_reason);
        EXPECT_EQ(got.results[0].status, (EnhancedStatus{4, 4, 2}));
        EXPECT_EQ(got.may_double, c.name == "Final");
        EXPECT_GE(scene.took, c.want) << c.name;
        EXPECT_LT(scene.took, c.want + 2s) << c.name;
    }
}

TEST(SmtpDelivery, OctetsThatTrickleInDoNotMoveADeadline) {
    Scene scene;
    scene.script = {{}};
    scene.heard.resize(1);
    scene.mx.boot([](World& world) -> Task<void> {
        auto listener = world.net.listen(kMx, {});
        auto stream = co_await (*listener)->accept();
        for (char c : std::string_view("220-this greeting takes its time")) {
            std::string_view pieces[] = {{&c, 1}};
            if (!(co_await (*stream)->write(pieces, Deadline::never()))) break;
            co_await world.clock.sleep_for(1min);
        }
    });
    scene.sim.run_for(1ms);
    SmtpAttempt got = scene.send(job());
    EXPECT_EQ(got.results.at(0).reason, "no greeting within 300 seconds");
    EXPECT_LT(scene.took, 302s);
}

TEST(SmtpDelivery, APeerThatStopsReadingEndsTheContent) {
    Scene scene;
    Steps steps = {kGreets, kPipelines, {"250 ok\r\n250 ok\r\n354 go\r\n", "X: y\r\n"}};
    scene.script = {steps};
    scene.heard.resize(1);
    scene.mx.boot([&](World& world) -> Task<void> {
        auto listener = world.net.listen(kMx, {});
        auto stream = co_await (*listener)->accept();
        char part[64];
        for (const Step& step : steps) {
            std::string_view pieces[] = {step.say};
            co_await (*stream)->write(pieces, Deadline::never());
            while (!scene.heard[0].contains(step.until)) {
                auto count = co_await (*stream)->read(part, Deadline::never());
                if (!count || *count == 0) co_return;
                scene.heard[0].append(part, *count);
            }
        }
        co_await world.clock.sleep_for(10h);
    });
    scene.sim.run_for(1ms);
    std::string text;
    for (int i = 0; i < 50'000; ++i) text += "some text of a line\r\n";
    SmtpAttempt got = scene.send(job(std::make_shared<InFile>(text, SIZE_MAX)));
    EXPECT_EQ(got.results.at(0).reason, "no progress in sending the content within 180 seconds");
    EXPECT_FALSE(got.may_double);
}

TEST(SmtpDelivery, HostsThatCannotBeReachedLeaveItToTheNextOne) {
    Scene refused;
    refused.mx.boot([](World& world) -> Task<void> { co_await world.clock.sleep_for(10h); });
    SmtpAttempt got = refused.send(job());
    EXPECT_EQ(got.results.at(0).status, (EnhancedStatus{4, 4, 1}));
    EXPECT_EQ(got.results[0].kind, FailureKind::Connection);
    EXPECT_TRUE(got.try_next_host);

    Scene silent;
    silent.sim.net().black_hole(kMx.address);
    got = silent.send(job());
    EXPECT_EQ(got.results.at(0).status, (EnhancedStatus{4, 4, 1}));
    EXPECT_TRUE(got.try_next_host);
    EXPECT_GE(silent.took, 60s);
    EXPECT_LT(silent.took, 61s);

    Scene busy;
    busy.serve({{{"554 5.7.1 not you\r\n", "QUIT\r\n"}, kBye}});
    got = busy.send(job());
    EXPECT_EQ(got.results.at(0).reason, "554 5.7.1 not you");
    EXPECT_EQ(got.results[0].kind, FailureKind::Greeting);
    EXPECT_TRUE(got.try_next_host);
}

TEST(SmtpDelivery, ARefusedRecipientIsNoReasonForAnotherHost) {
    Scene scene;
    scene.serve({{kGreets,
                  kPipelines,
                  {"250 ok\r\n550 5.1.1 who?\r\n554 5.5.1 nobody\r\n", "QUIT\r\n"},
                  kBye}});
    SmtpAttempt got = scene.send(job());
    EXPECT_EQ(got.results.at(0).verdict, Verdict::Permanent);
    EXPECT_EQ(got.results[0].kind, FailureKind::Mailbox);
    EXPECT_FALSE(got.try_next_host);
}

TEST(SmtpDelivery, AcceptedAndCutBeforeTheReplyMayDouble) {
    Scene scene;
    scene.serve({{kGreets, kPipelines, kGo, {kClose, ""}}});
    SmtpAttempt got = scene.send(job());
    EXPECT_EQ(got.results.at(0).verdict, Verdict::Temporary);
    EXPECT_TRUE(got.may_double);
    EXPECT_FALSE(got.try_next_host);
}

TEST(SmtpDelivery, ContentThatMustNotGoOnIsNeverEnded) {
    struct Case {
        std::shared_ptr<ContentReader> content;
        Verdict want;
        EnhancedStatus want_status;
        std::string_view want_reason;
    };
    std::string text(kContent);
    const Case cases[] = {
        {std::make_shared<InFile>(text, 4, 20),
         Verdict::Temporary,
         {4, 3, 0},
         "the stored message cannot be read: the disk is broken"},
        {std::make_shared<InMemory>("a: b\r\n\r\n.\nc\r\n"),
         Verdict::Permanent,
         {5, 6, 0},
         "bare LF at octet 15 of the content"},
        {std::make_shared<InMemory>("a: b\r\n\r\nc\r"),
         Verdict::Permanent,
         {5, 6, 0},
         "bare CR at octet 15 of the content"},
    };
    for (const Case& c : cases) {
        Scene scene;
        scene.serve({{kGreets, kPipelines, kGo}});
        SmtpAttempt got = scene.send(job(c.content));
        ASSERT_EQ(got.results.size(), 1u);
        EXPECT_EQ(got.results[0].verdict, c.want) << c.want_reason;
        EXPECT_EQ(got.results[0].status, c.want_status);
        EXPECT_EQ(got.results[0].reason, c.want_reason);
        EXPECT_EQ(scene.heard[0].find("\n.\r"), std::string::npos) << scene.heard[0];
        EXPECT_EQ(scene.heard[0].find(".\n"), std::string::npos) << scene.heard[0];
    }
}

TEST(SmtpDelivery, LmtpOverAUnixSocketGivesEachRecipientItsOwnResult) {
    Scene scene;
    scene.script = {{{"220 lmtp\r\n", "LHLO me.example\r\n"},
                     {"250-lmtp\r\n250 PIPELINING\r\n", "DATA\r\n"},
                     {"250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", ""}}};
    scene.script[0][2] = {"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "\r\n.\r\n"};
    scene.script[0].push_back({"250 2.1.5 b has it\r\n452 4.2.2 c is full\r\n", "QUIT\r\n"});
    scene.script[0].push_back(kBye);
    scene.heard.resize(1);
    Endpoint endpoint = world::UnixEndpoint{"/run/lmtp"};
    scene.serve_on(scene.client, endpoint);
    scene.sim.run_for(1ms);
    SmtpHost host = to(endpoint);
    host.mode = smtp::ClientMode::Lmtp;
    SmtpAttempt got;
    bool ended = false;
    scene.client.spawn(0, [&](World& world) -> Task<void> {
        SmtpConnection connection(world.net, world.clock, host);
        got = co_await connection.send(
            job(std::make_shared<InMemory>(std::string(kContent)), {"b", "c"}));
        co_await connection.close();
        ended = true;
    });
    ASSERT_TRUE(scene.sim.run_until([&] { return ended; }, 1h));
    ASSERT_EQ(got.results.size(), 2u);
    EXPECT_EQ(got.results[0].verdict, Verdict::Delivered);
    EXPECT_EQ(got.results[1].verdict, Verdict::Temporary);
    EXPECT_EQ(got.results[1].kind, FailureKind::Full);
}

TEST(SmtpDelivery, RecipientsBeyondTheLimitAreLeftForTheNextTransaction) {
    Scene scene;
    scene.serve({{kGreets, kPipelines, kGo, kTakes, kBye}});
    SmtpHost host = to(kMx);
    host.recipients_max = 1;
    SmtpAttempt got =
        scene.send(job(std::make_shared<InMemory>(std::string(kContent)), {"b", "c"}), host);
    EXPECT_EQ(got.results.size(), 1u);
    EXPECT_EQ(got.left, (std::vector<uint32_t>{1}));
}

TEST(SmtpDelivery, OnlyRealEightBitContentNeeds8BitMime) {
    const Step seven_bit_only{"250-mx\r\n250 PIPELINING\r\n", "DATA\r\n"};
    for (std::size_t read_most : {0, 3}) {
        auto reader = [&](const std::string& text) -> std::shared_ptr<ContentReader> {
            if (read_most == 0) return std::make_shared<InMemory>(text);
            return std::make_shared<InFile>(text, read_most);
        };
        Scene ascii;
        ascii.serve({{kGreets, seven_bit_only, kGo, kTakes, kBye}});
        SmtpAttempt got =
            ascii.send(job(reader(std::string(kContent)), {"b"}, BodyType::EightBitMime));
        EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed);
        EXPECT_EQ(ascii.heard[0].find("BODY="), std::string::npos);

        Scene eight;
        eight.serve({{kGreets, {"250-mx\r\n250 PIPELINING\r\n", "QUIT\r\n"}, kBye}});
        got = eight.send(job(reader("a: b\r\n\r\n\xc3\xa9\r\n"), {"b"}, BodyType::EightBitMime));
        EXPECT_EQ(got.results.at(0).verdict, Verdict::Permanent);
        EXPECT_EQ(got.results[0].status, (EnhancedStatus{5, 6, 3}));
    }
}

TEST(SmtpDelivery, AnEightBitMessageIsEncodedForAHostThatTakesSevenIfTheOperatorWants) {
    const std::string header = "Subject: x\r\nMIME-Version: 1.0\r\n";
    const std::string text =
        "Gr\xC3\xBC\xC3\x9F"
        "e\r\n.\r\n";
    const std::string encoded = "X: y\r\n" + header +
                                "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                                "Gr=C3=BC=C3=9Fe\r\n..\r\n.\r\n";
    struct Case {
        const char* name;
        bool wanted;
        std::string fields, prefix;
        bool goes;
    };
    for (const Case& c :
         {Case{"as it is", true, header, "X: y\r\n", true},
          Case{"not wanted", false, header, "X: y\r\n", false},
          Case{"signed", true, "DKIM-Signature: v=1\r\n" + header, "X: y\r\n", false},
          Case{"by us", true, header, "DKIM-Signature: v=1\r\n", false}}) {
        for (std::size_t read_most : {0, 3}) {
            std::string content = c.fields + "\r\n" + text;
            std::shared_ptr<ContentReader> reader = std::make_shared<InMemory>(content);
            if (read_most > 0) reader = std::make_shared<InFile>(content, read_most);
            SmtpJob one = job(reader, {"b"}, BodyType::EightBitMime);
            auto envelope = std::make_shared<Envelope>(*one.envelope);
            envelope->variants[0].prefix = c.prefix;
            one.envelope = envelope;
            Scene scene;
            const Step seven{"250-mx\r\n250 PIPELINING\r\n", c.goes ? "DATA\r\n" : "QUIT\r\n"};
            scene.serve(
                {c.goes ? Steps{kGreets, seven, kGo, kTakes, kBye} : Steps{kGreets, seven, kBye}});
            SmtpHost host = to(kMx);
            host.convert_8bit = c.wanted;
            SmtpAttempt got = scene.send(one, host);
            ASSERT_EQ(got.results.size(), 1u);
            EXPECT_EQ(got.results[0].verdict, c.goes ? Verdict::Relayed : Verdict::Permanent)
                << c.name << got.dialogue.text();
            EXPECT_EQ(scene.heard[0].contains("DATA\r\n" + encoded), c.goes) << c.name;
            EXPECT_FALSE(scene.heard[0].contains("BODY=")) << c.name;
            EXPECT_EQ(got.dialogue.text().contains("not converted to 7 bits: it is signed"),
                      c.name == std::string("signed"));
        }
    }
}

// RFC 6758 §3.3.
TEST(SmtpDelivery, APriorityGoesOnAsAParameterOrElseInTheHeader) {
    for (bool knows : {true, false}) {
        SmtpJob one = job();
        auto envelope = std::make_shared<Envelope>(*one.envelope);
        envelope->priority = 3;
        envelope->priority_given = true;
        one.envelope = envelope;
        Scene scene;
        const Step hello{knows ? "250-mx\r\n250-PIPELINING\r\n250 MT-PRIORITY\r\n"
                               : "250-mx\r\n250 PIPELINING\r\n",
                         "DATA\r\n"};
        scene.serve({{kGreets, hello, kGo, kTakes, kBye}});
        SmtpAttempt got = scene.send(one);
        EXPECT_EQ(got.results.at(0).verdict, Verdict::Relayed) << got.dialogue.text();
        EXPECT_EQ(scene.heard[0].contains("MT-PRIORITY=3"), knows);
        EXPECT_EQ(scene.heard[0].contains("X: y\r\nMT-Priority: 3\r\nSubject: dots\r\n"), !knows);
        EXPECT_EQ(scene.heard[0].contains(kWire), knows);
    }
}

TEST(SmtpDelivery, TheSourceAddressIsOurs) {
    Scene scene;
    scene.serve({{kGreets, kPipelines, kGo, kTakes, kBye}});
    SmtpHost host = to(kMx);
    host.source = address("192.0.2.3");
    scene.send(job(), host);
    ASSERT_EQ(scene.peers.size(), 1u);
    EXPECT_TRUE(scene.peers[0].starts_with("192.0.2.3:")) << scene.peers[0];
}

}  // namespace
}  // namespace postrider::sim
