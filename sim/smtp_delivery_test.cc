// sim/smtp_delivery_test.cc: the sender of deliver/ over the simulated net, against written hosts.
//
// Goal: deadlines, reuse of connections, content octet by octet, broken peers. Method: the next
// host is a list of steps (say this, then read until that); streams are cut by the net's seed; time
// is virtual, so the RFC's minutes pass at once.

#include "deliver/smtp_delivery.h"

#include <gtest/gtest.h>

#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using deliver::SmtpAttempt;
using deliver::SmtpConnection;
using deliver::SmtpHost;
using deliver::SmtpJob;
using world::Endpoint;
using world::IpAddress;
using world::IpEndpoint;
using world::World;
using Verdict = RecipientResult::Verdict;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }
const IpEndpoint kMx{address("192.0.2.1"), 25};
constexpr std::string_view kContent = "Subject: dots\r\n\r\n.\r\n.leading\r\nend\r\n";
constexpr std::string_view kWire = "X: y\r\nSubject: dots\r\n\r\n..\r\n..leading\r\nend\r\n.\r\n";

// Says `say`, then reads until what was heard since ends with `until`.
struct Step {
    std::string say, until;
};
const std::string kHang = "<hang>";    // until the client goes away
const std::string kClose = "<close>";  // at once
using Steps = std::vector<Step>;

const Step kGreets{"220 mx\r\n", "EHLO me.example\r\n"};
const Step kPipelines{"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n", "DATA\r\n"};
const Step kGo{"250 ok\r\n250 ok\r\n354 go\r\n", "\r\n.\r\n"};
const Step kTakes{"250 2.0.0 taken\r\n", "QUIT\r\n"};
const Step kTakesAndGoesOn{"250 2.0.0 taken\r\n", "DATA\r\n"};
const Step kBye{"221 bye\r\n", ""};

class InMemory : public ContentReader {
public:
    explicit InMemory(std::string text) : text_(std::move(text)) {}
    uint64_t size() const override { return text_.size(); }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        co_return text_.copy(into.data(), into.size(), offset);
    }
    std::optional<std::string_view> in_memory() const override { return text_; }

private:
    std::string text_;
};

// As if from a file: never more than `most` octets at once, and an error at `fails_at`.
class InFile : public ContentReader {
public:
    InFile(std::string text, std::size_t most, uint64_t fails_at = UINT64_MAX)
        : text_(std::move(text)), most_(most), fails_at_(fails_at) {}
    uint64_t size() const override { return text_.size(); }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        if (offset >= fails_at_) co_return fail("the disk is broken");
        co_return text_.copy(into.data(), std::min(into.size(), most_), offset);
    }

private:
    std::string text_;
    std::size_t most_;
    uint64_t fails_at_;
};

SmtpJob job(std::shared_ptr<ContentReader> content, std::vector<std::string> locals = {"b"},
            BodyType body = BodyType::SevenBit) {
    auto envelope = std::make_shared<Envelope>();
    Variant variant;
    variant.reverse_path.mailbox = Mailbox{"a", "o.example"};
    variant.prefix = "X: y\r\n";
    SmtpJob out;
    for (const std::string& local : locals) {
        out.recipients.push_back(static_cast<uint32_t>(variant.recipients.size()));
        variant.recipients.push_back({.mailbox = {local, "x.example"}});
    }
    envelope->variants.push_back(std::move(variant));
    envelope->body = body;
    out.envelope = std::move(envelope);
    out.content = std::move(content);
    return out;
}
SmtpJob job() { return job(std::make_shared<InMemory>(std::string(kContent))); }

SmtpHost to(Endpoint endpoint) {
    SmtpHost host;
    host.endpoint = std::move(endpoint);
    host.name = "mx.example";
    host.hello_name = "me.example";
    return host;
}

Task<void> play(World& world, std::unique_ptr<world::Stream> stream, Steps steps,
                std::string& heard) {
    char part[4096];
    Deadline never = Deadline::after(world.clock.now(), 1000h);
    for (const Step& step : steps) {
        if (step.say == kClose) co_return;
        std::string_view pieces[] = {step.say};
        if (step.say != kHang && !(co_await stream->write(pieces, never))) co_return;
        std::size_t since = heard.size();
        while (step.say == kHang || !std::string_view(heard).substr(since).ends_with(step.until)) {
            auto count = co_await stream->read(part, never);
            if (!count || *count == 0) co_return;
            heard.append(part, *count);
        }
    }
}

struct Scene {
    explicit Scene(uint64_t seed = 1)
        : sim(seed),
          mx(sim.add_host("mx", {kMx.address})),
          client(sim.add_host("client", {address("192.0.2.2"), address("192.0.2.3")})) {}

    // Each connection plays the next list of steps; what it hears is kept apart.
    void serve(std::vector<Steps> connections) {
        script = std::move(connections);
        heard.resize(script.size());
        serve_on(mx, kMx);
    }
    void serve_on(Host& host, Endpoint endpoint) {
        host.boot([this, endpoint](World& world) -> Task<void> {
            auto listener = world.net.listen(endpoint, {});
            EXPECT_TRUE(listener.has_value());
            for (std::size_t i = 0; i < script.size(); ++i) {
                auto stream = co_await (*listener)->accept();
                if (!stream) co_return;
                peers.push_back(world::text((*stream)->peer()));
                world.executor.spawn(play(world, std::move(*stream), script[i], heard[i]));
            }
            co_await world.clock.sleep_for(1000h);
        });
        sim.run_for(1ms);
    }

    using Work = std::function<Task<void>(World&, SmtpConnection&)>;
    void run(Host& host, SmtpHost next, Work work) {
        host.boot([this, next, work](World& world) -> Task<void> {
            SmtpConnection connection(world.net, world.clock, next);
            Monotonic start = world.clock.now();
            co_await work(world, connection);
            took = world.clock.now() - start;
        });
        EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 100h));
    }

    // One job on a connection of its own.
    SmtpAttempt send(SmtpJob one, SmtpHost next = to(kMx)) {
        SmtpAttempt attempt;
        run(client, std::move(next), [&](World&, SmtpConnection& connection) -> Task<void> {
            attempt = co_await connection.send(one);
            co_await connection.close();
        });
        return attempt;
    }

    Simulation sim;
    Host& mx;
    Host& client;
    std::vector<Steps> script;
    std::vector<std::string> heard;
    std::vector<std::string> peers;
    Duration took{};
};

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
        auto reader = [&](std::string text) -> std::shared_ptr<ContentReader> {
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
