// sim/receive_scene.h: for tests: receive::Server over the simulated net, with a house that answers
// by a table, and a client that says lines and reads replies.
//
// Threads: one. Tests only.

#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "receive/server.h"
#include "sim/simulation.h"

namespace postrider::sim {

using namespace std::chrono_literals;  // NOLINT: for tests

// What the house says and saw. Words such as "RCPT b@x.example" have a refusal or are accepted.
struct House : receive::Host {
    std::map<std::string, smtp::Reply>
        refusals;  // greet, MAIL, RCPT <mailbox>, DATA, append, finish
    Duration finish_takes{};
    std::vector<std::string> said;      // in the order of the calls
    std::vector<std::string> messages;  // accepted
    std::vector<receive::ContentFacts> facts;
    std::size_t recipients = 0;  // of the transaction, for LMTP
    bool lmtp = false;
    int visits = 0;  // that live
    int sinks = 0;   // that live

    Status<smtp::Reply> verdict(const std::string& word) {
        said.push_back(word);
        auto found = refusals.find(word);
        if (found != refusals.end()) return std::unexpected(found->second);
        return {};
    }

    std::unique_ptr<receive::Visit> visit(ClientFacts) override;
    world::World* world = nullptr;
};

struct HouseSink : receive::Sink {
    explicit HouseSink(House& the_house) : house(the_house) { house.sinks++; }
    ~HouseSink() override { house.sinks--; }
    MessageId id() const override { return {1 << 20}; }
    Task<Status<smtp::Reply>> append(std::string_view piece) override {
        auto found = house.refusals.find("append");
        if (found != house.refusals.end()) co_return std::unexpected(found->second);
        text += piece;
        co_return Status<smtp::Reply>{};
    }
    Task<std::vector<smtp::Reply>> finish(receive::ContentFacts facts) override {
        if (house.finish_takes > Duration{}) {
            co_await house.world->clock.sleep_for(house.finish_takes);
        }
        auto verdict = house.verdict("finish");
        if (!verdict) co_return std::vector{verdict.error()};
        house.messages.push_back(text);
        house.facts.push_back(facts);
        std::vector<smtp::Reply> replies;
        for (std::size_t i = 0; i < (house.lmtp ? house.recipients : 1); i++) {
            replies.emplace_back(250, EnhancedStatus{2, 0, 0}, "Taken " + std::to_string(i));
        }
        co_return replies;
    }
    House& house;
    std::string text;
};

struct HouseVisit : receive::Visit {
    explicit HouseVisit(House& the_house) : house(the_house) { house.visits++; }
    ~HouseVisit() override { house.visits--; }
    Task<Status<smtp::Reply>> greet() override { co_return house.verdict("greet"); }
    void hello(std::string_view name, std::string_view protocol) override {
        house.said.push_back("hello " + std::string(name) + " " + std::string(protocol));
    }
    Task<Status<smtp::Reply>> mail(smtp::event::MailFrom) override {
        house.recipients = 0;
        co_return house.verdict("MAIL");
    }
    Task<Status<smtp::Reply>> rcpt(smtp::event::RcptTo rcpt) override {
        auto verdict = house.verdict("RCPT " + rcpt.mailbox.text());
        if (verdict) house.recipients++;
        co_return verdict;
    }
    Task<Result<std::unique_ptr<receive::Sink>, smtp::Reply>> data() override {
        if (auto verdict = house.verdict("DATA"); !verdict) {
            co_return std::unexpected(verdict.error());
        }
        co_return std::unique_ptr<receive::Sink>(std::make_unique<HouseSink>(house));
    }
    void reset() override {}
    House& house;
};

inline std::unique_ptr<receive::Visit> House::visit(ClientFacts) {
    return std::make_unique<HouseVisit>(*this);
}

struct ReceiveScene {
    explicit ReceiveScene(uint64_t seed = 1, std::function<void(smtp::ServerOptions&)> smtp = {},
                          std::function<void(receive::SessionSettings&)> settings = {})
        : sim(seed),
          mx(sim.add_host("mx", {*world::IpAddress::parse("192.0.2.1")}, 2)),
          client(sim.add_host("client", {*world::IpAddress::parse("192.0.2.2"),
                                         *world::IpAddress::parse("192.0.2.3")})) {
        smtp::ServerOptions options;
        options.hostname = "mx.example";
        if (smtp) smtp(options);
        house.lmtp = options.protocol == smtp::Protocol::Lmtp;
        smtp::ServerOptions normalising = options;
        normalising.bare_line_ends = smtp::BareLineEnds::Normalise;
        auto made = std::make_shared<receive::SessionSettings>();
        made->smtp = std::make_shared<smtp::ServerOptions>(options);
        made->smtp_normalising = std::make_shared<smtp::ServerOptions>(normalising);
        if (settings) settings(*made);
        mx.boot([this, made](world::World& world) -> Task<void> {
            house.world = &world;
            auto listener = world.net.listen(endpoint, {});
            EXPECT_TRUE(listener.has_value());
            auto own = std::make_unique<receive::Server>(world, house, "test", MessageId{});
            EXPECT_TRUE(own->start(std::move(*listener), made).has_value());
            server = own.get();
            while (!drain_time) co_await world.clock.sleep_for(1ms);
            server->begin_drain();
            co_await server->drained(Deadline::after(world.clock.now(), *drain_time));
            server = nullptr;  // and it is destroyed: nothing may be left that uses it
        });
        sim.run_for(10ms);
        client.boot([](world::World&) -> Task<void> { co_return; });
    }

    // One connection: writes `wire` at once, then reads until the server closes, `wait` passes, or
    // `until` was heard.
    struct Dialogue {
        std::string heard;
        bool closed = false;  // by the server
        bool done = false;
        std::unique_ptr<world::Stream> stream;
    };
    std::shared_ptr<Dialogue> begin(std::string wire, std::string_view source = "192.0.2.2") {
        auto dialogue = std::make_shared<Dialogue>();
        auto from = *world::IpAddress::parse(source);
        client.spawn(0, [this, dialogue, wire, from](world::World& world) -> Task<void> {
            Deadline deadline = Deadline::after(world.clock.now(), 100h);
            auto stream = co_await world.net.connect(endpoint, from, deadline);
            if (!stream) co_return;
            dialogue->stream = std::move(*stream);
            std::array<std::string_view, 1> pieces{wire};
            if (!wire.empty()) (void)co_await dialogue->stream->write(pieces, deadline);
            std::array<char, 4096> part;
            while (true) {
                auto got = co_await dialogue->stream->read(part, deadline);
                if (!got || *got == 0) break;
                dialogue->heard.append(part.data(), *got);
            }
            dialogue->closed = true;
        });
        return dialogue;
    }
    void say(Dialogue& dialogue, std::string text) {
        client.spawn(0, [&dialogue, text](world::World& world) -> Task<void> {
            std::array<std::string_view, 1> pieces{text};
            (void)co_await dialogue.stream->write(pieces, Deadline::after(world.clock.now(), 1h));
        });
    }
    bool hear(const Dialogue& dialogue, std::string_view words, Duration within = 1min) {
        return sim.run_until([&] { return dialogue.heard.find(words) != std::string::npos; },
                             within);
    }
    // The whole conversation, to its end.
    std::string talk(std::string wire, std::string_view source = "192.0.2.2") {
        auto dialogue = begin(std::move(wire), source);
        EXPECT_TRUE(sim.run_until([&] { return dialogue->closed; }, 48h));
        sim.run_for(1s);
        return dialogue->heard;
    }

    const world::Endpoint endpoint{world::IpEndpoint{*world::IpAddress::parse("192.0.2.1"), 25}};
    Simulation sim;
    House house;
    Host& mx;
    Host& client;
    receive::Server* server = nullptr;
    std::optional<Duration> drain_time;
};

// The replies' codes, one word for each last line.
inline std::string codes(const std::string& heard) {
    std::string out;
    for (std::size_t at = 0; at + 4 <= heard.size();) {
        std::size_t end = std::min(heard.find("\r\n", at), heard.size());
        if (heard[at + 3] != '-') out += (out.empty() ? "" : " ") + heard.substr(at, 3);
        at = end + 2;
    }
    return out;
}

}  // namespace postrider::sim
