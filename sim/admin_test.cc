// sim/admin_test.cc: the operator's API, server and client, over the simulated net.

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "admin/client.h"
#include "admin/server.h"
#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using admin::Json;

const std::string kPath = "/run/admin.sock";

struct Scene {
    explicit Scene(uint64_t seed = 1) : sim(seed), host(sim.add_host("mx", {}, 1)) {
        host.boot([this](world::World& world) -> Task<void> {
            admin::Server server(world, commands());
            auto started = server.start(kPath, 0600);
            EXPECT_TRUE(started.has_value());
            while (!stop) co_await world.clock.sleep_for(10ms);
            server.close();
        });
        sim.run_for(1ms);
    }

    admin::Commands commands() {
        return {
            {"echo", [](Json args, admin::Rows&) -> Task<Result<Json>> { co_return args; }},
            {"broken",
             [](Json, admin::Rows&) -> Task<Result<Json>> { co_return fail("it is broken"); }},
            {"count",
             [this](Json args, admin::Rows& rows) -> Task<Result<Json>> {
                 int number = args.value("to", 0);
                 for (int i = 0; i < number; i++) {
                     auto written =
                         co_await rows.write({{"n", i}, {"text", std::string(100, 'x')}});
                     if (!written) {
                         stopped_at = i;
                         co_return std::unexpected(written.error());
                     }
                 }
                 co_return Json{{"rows", number}};
             }},
        };
    }

    struct Answer {
        std::optional<Result<Json>> last;
        std::vector<Json> rows;
    };
    std::shared_ptr<Answer> ask(std::string command, Json args = Json::object()) {
        auto answer = std::make_shared<Answer>();
        host.spawn(0, [answer, command, args](world::World& world) -> Task<void> {
            answer->last =
                co_await admin::call(world, kPath, {command, args},
                                     [answer](const Json& row) { answer->rows.push_back(row); });
        });
        return answer;
    }
    std::shared_ptr<Answer> answered(std::string command, Json args = Json::object()) {
        auto answer = ask(std::move(command), std::move(args));
        EXPECT_TRUE(sim.run_until([&] { return answer->last.has_value(); }, 10min));
        return answer;
    }

    // Writes raw octets and reads until the server closes; reads nothing before `pause` has passed.
    struct Raw {
        std::string heard;
        bool closed = false;
    };
    std::shared_ptr<Raw> raw(std::string wire, Duration pause = {}, bool leave = false) {
        auto result = std::make_shared<Raw>();
        host.spawn(0, [result, wire, pause, leave](world::World& world) -> Task<void> {
            Deadline deadline = Deadline::after(world.clock.now(), 1h);
            auto stream =
                co_await world.net.connect(world::UnixEndpoint{kPath}, std::nullopt, deadline);
            EXPECT_TRUE(stream.has_value());
            std::array<std::string_view, 1> pieces{wire};
            if (!wire.empty()) (void)co_await (*stream)->write(pieces, deadline);
            if (leave) co_return;
            if (pause > Duration{}) co_await world.clock.sleep_for(pause);
            std::array<char, 4096> part;
            while (true) {
                auto got = co_await (*stream)->read(part, deadline);
                if (!got || *got == 0) break;
                result->heard.append(part.data(), *got);
            }
            result->closed = true;
        });
        return result;
    }

    Simulation sim;
    Host& host;
    bool stop = false;
    std::optional<int> stopped_at;
};

TEST(AdminApi, AnswersWithTheSummary) {
    Scene scene;
    auto answer = scene.answered("echo", {{"a", 1}});
    ASSERT_TRUE(answer->last->has_value());
    EXPECT_EQ(**answer->last, (Json{{"a", 1}}));
}

TEST(AdminApi, ErrorsReachTheOperatorAsTheySay) {
    Scene scene;
    EXPECT_EQ(scene.answered("broken")->last->error().message, "it is broken");
    EXPECT_EQ(scene.answered("brew coffee")->last->error().message,
              "unknown command \"brew coffee\"");
}

TEST(AdminApi, ManyRowsFlowInTheirOrder) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Scene scene(seed);
        auto answer = scene.answered("count", {{"to", 20'000}});
        ASSERT_TRUE(answer->last->has_value());
        EXPECT_EQ((**answer->last)["rows"], 20'000);
        ASSERT_EQ(answer->rows.size(), 20'000u);
        for (int i = 0; i < 20'000; i++) ASSERT_EQ(answer->rows[std::size_t(i)]["n"], i);
    }
}

TEST(AdminApi, WhatIsNoRequestIsAnsweredWithAnError) {
    Scene scene;
    for (std::string wire : {"\n", "hello\n", "{\"command\": 1}\n", "GET / HTTP/1.1\r\n\r\n"}) {
        auto raw = scene.raw(wire);
        ASSERT_TRUE(scene.sim.run_until([&] { return raw->closed; }, 1min));
        EXPECT_TRUE(raw->heard.starts_with("{\"error\":\"")) << raw->heard;
        EXPECT_TRUE(raw->heard.ends_with("\"}\n")) << raw->heard;
    }
}

TEST(AdminApi, ALineWithoutEndIsRefusedAtItsLimit) {
    Scene scene;
    auto raw = scene.raw(std::string(admin::kAdminLineOctetsMax + 100'000, 'x'));
    ASSERT_TRUE(scene.sim.run_until([&] { return raw->closed; }, 1min));
    EXPECT_NE(raw->heard.find("the request is too long"), std::string::npos) << raw->heard;
}

TEST(AdminApi, AClientThatSaysNothingIsLetGoAfterTenSeconds) {
    Scene scene;
    auto raw = scene.raw("{\"command\":");
    scene.sim.run_for(9s);
    EXPECT_FALSE(raw->closed);
    scene.sim.run_for(2s);
    EXPECT_TRUE(raw->closed);
    EXPECT_TRUE(raw->heard.starts_with("{\"error\":\"")) << raw->heard;
}

TEST(AdminApi, AClientThatDoesNotReadStopsItsCommandAndNobodyElses) {
    Scene scene;
    auto raw = scene.raw("{\"command\":\"count\",\"args\":{\"to\":100000}}\n", 5min);
    scene.sim.run_for(1s);
    EXPECT_TRUE(scene.answered("echo")->last->has_value());
    ASSERT_TRUE(scene.sim.run_until([&] { return scene.stopped_at.has_value(); }, 2min));
    EXPECT_LT(*scene.stopped_at, 10'000) << "its rows were not kept in memory";
}

TEST(AdminApi, AClientThatLeavesStopsItsCommand) {
    Scene scene;
    scene.raw("{\"command\":\"count\",\"args\":{\"to\":100000}}\n", {}, /*leave=*/true);
    EXPECT_TRUE(scene.sim.run_until([&] { return scene.stopped_at.has_value(); }, 1min));
}

TEST(AdminApi, PlacesAreBoundedAndGivenBack) {
    Scene scene;
    std::vector<std::shared_ptr<Scene::Raw>> idle;
    for (int i = 0; i < 40; i++) idle.push_back(scene.raw(""));
    scene.sim.run_for(1s);
    auto closed = std::ranges::count_if(idle, [](const auto& raw) { return raw->closed; });
    EXPECT_EQ(closed, 8) << "32 have a place";
    scene.sim.run_for(15s);
    EXPECT_TRUE(scene.answered("echo")->last->has_value());
}

TEST(AdminApi, WithoutAServerTheClientSaysWhatToDo) {
    Scene scene;
    scene.stop = true;
    scene.sim.run_for(1s);
    auto answer = scene.answered("echo");
    ASSERT_FALSE(answer->last->has_value());
    EXPECT_NE(answer->last->error().message.find(kPath), std::string::npos)
        << answer->last->error().message;
}

TEST(AdminApi, AServerMayBeDestroyedWhileItAnswers) {
    Scene scene;
    auto slow = scene.raw("{\"command\":\"count\",\"args\":{\"to\":100000}}\n", 5s);
    auto half = scene.raw("{");
    scene.sim.run_for(1s);
    scene.stop = true;
    scene.sim.run_for(2min);
    EXPECT_TRUE(half->closed);
    EXPECT_TRUE(slow->closed);
}

}  // namespace
}  // namespace postrider::sim
