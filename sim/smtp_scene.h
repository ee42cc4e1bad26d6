// sim/smtp_scene.h: for tests: a sender of mail and a written next host on the simulated net.
//
// The next host is a list of steps for each connection: say this, then read until that. What it
// hears is kept. Streams are cut by the net's seed; time is virtual, so minutes pass at once.
//
// Threads: one. Tests only.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "deliver/smtp_delivery.h"
#include "sim/simulation.h"

namespace postrider::sim {

using namespace std::chrono_literals;  // NOLINT: for tests
using deliver::SmtpAttempt;
using deliver::SmtpConnection;
using deliver::SmtpHost;
using deliver::SmtpJob;
using world::Endpoint;
using world::IpAddress;
using world::IpEndpoint;
using world::World;

inline IpAddress address(std::string_view text) { return *IpAddress::parse(text); }
inline const IpEndpoint kMx{address("192.0.2.1"), 25};
inline constexpr std::string_view kContent = "Subject: dots\r\n\r\n.\r\n.leading\r\nend\r\n";
inline constexpr std::string_view kWire =
    "X: y\r\nSubject: dots\r\n\r\n..\r\n..leading\r\nend\r\n.\r\n";

// Says `say`, then reads until what was heard since ends with `until`.
struct Step {
    std::string say, until;
};
inline const std::string kHang = "<hang>";    // until the client goes away
inline const std::string kClose = "<close>";  // at once
inline const std::string kTls = "<tls>";      // shakes hands; the rest is under TLS
using Steps = std::vector<Step>;

inline const Step kGreets{"220 mx\r\n", "EHLO me.example\r\n"};
inline const Step kPipelines{"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n", "DATA\r\n"};
inline const Step kGo{"250 ok\r\n250 ok\r\n354 go\r\n", "\r\n.\r\n"};
inline const Step kTakes{"250 2.0.0 taken\r\n", "QUIT\r\n"};
inline const Step kTakesAndGoesOn{"250 2.0.0 taken\r\n", "DATA\r\n"};
inline const Step kBye{"221 bye\r\n", ""};

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

inline SmtpJob job(std::shared_ptr<ContentReader> content,
                   const std::vector<std::string>& locals = {"b"},
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
inline SmtpJob job() { return job(std::make_shared<InMemory>(std::string(kContent))); }

inline SmtpHost to(Endpoint endpoint) {
    SmtpHost host;
    host.endpoint = std::move(endpoint);
    host.name = "mx.example";
    host.hello_name = "me.example";
    return host;
}

inline Task<void> play(World& world, std::shared_ptr<world::Stream> stream, Steps steps,
                       std::string& heard) {
    char part[4096];
    Deadline never = Deadline::after(world.clock.now(), 1000h);
    for (const Step& step : steps) {
        if (step.say == kClose) co_return;
        if (step.say == kTls) {
            auto context = world.tls.server_context({.certificates = {
                                                         sim_certificate("mx.example,x.example"),
                                                     }});
            auto tls = co_await world.tls.accept(stream, *context, never);
            if (!tls) co_return;
            stream = std::move(*tls);
        }
        std::string_view pieces[] = {step.say};
        if (step.say != kHang && step.say != kTls && !(co_await stream->write(pieces, never)))
            co_return;
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
        sim.run_for(1ms);
    }
    void serve_on(Host& host, const Endpoint& endpoint) {
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
    }

    using Work = std::function<Task<void>(World&, SmtpConnection&)>;
    void run(Host& host, const SmtpHost& next, const Work& work) {
        host.boot([this, next, work](World& world) -> Task<void> {
            SmtpConnection connection(world.net, world.clock, next);
            Monotonic start = world.clock.now();
            co_await work(world, connection);
            took = world.clock.now() - start;
        });
        EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 100h));
    }

    // One job on a connection of its own.
    SmtpAttempt send(SmtpJob one, const SmtpHost& next = to(kMx)) {
        SmtpAttempt attempt;
        run(client, next, [&](World&, SmtpConnection& connection) -> Task<void> {
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

}  // namespace postrider::sim
