// Logins: what is offered on which line, who is let in and as whom, and what guessing costs, over
// the simulated clock.

#include <gtest/gtest.h>

#include <map>

#include "accounts/kept_users.h"
#include "accounts/login.h"
#include "accounts/password.h"
#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using accounts::Connection;
using accounts::Gate;
using accounts::Login;
using accounts::Progress;
using accounts::Proven;
using accounts::User;
using smtp::sasl::Hash;
using smtp::sasl::Mechanism;
using world::IpAddress;
using world::World;

std::string secret_of(std::string_view password) {
    return *accounts::hash(accounts::Scheme::ScramSha256, password, "0123456789abcdef");
}

class Users : public accounts::KeptUsers {
public:
    explicit Users(world::Worker& worker) : KeptUsers(worker, "key") {
        put({.name = "alice",
             .credentials = {{"", secret_of("pencil")}, {"phone", secret_of("ink")}}});
        put({.name = "gone", .credentials = {{"", secret_of("pencil")}}, .disabled = true});
    }
    void put(const User& user) { users_[user.name] = user; }
    accounts::StoreSkills skills() const override { return skills_; }

    accounts::StoreSkills skills_{.passwords = true, .scram_sha256 = true};
    bool breaks_ = false;

protected:
    Task<Result<std::optional<User>, accounts::StoreError>> fetch(std::string name) override {
        if (breaks_) co_return std::unexpected(accounts::StoreError{"no database"});
        auto found = users_.find(accounts::folded(name));
        co_return found == users_.end() ? std::nullopt : std::optional(found->second);
    }
    Task<std::optional<User>> any_user(uint64_t) override { co_return users_.at("alice"); }

private:
    std::map<std::string, User> users_;
};

const Connection kSecured{.address = IpAddress::parse("192.0.2.9"), .encrypted = true};

std::string plain(std::string_view user, std::string_view password, std::string_view as = "") {
    std::string out(as);
    out += '\0';
    out += user;
    out += '\0';
    out += password;
    return out;
}

// "alice/phone", the reply's code, or "..." while it goes on.
std::string text_of(const Progress& progress) {
    if (auto* proven = std::get_if<Proven>(&progress)) {
        return proven->account + (proven->label.empty() ? "" : "/" + proven->label);
    }
    if (auto* reply = std::get_if<smtp::Reply>(&progress)) return std::to_string(reply->code);
    return "...";
}

struct LoginScene {
    LoginScene() : sim(1), host(sim.add_host("house", {*IpAddress::parse("192.0.2.1")})) {}

    void run(std::function<Task<void>(World&, Gate&, Users&)> work) {
        host.boot([&](World& world) -> Task<void> {
            auto users = std::make_shared<Users>(world.worker);
            Gate gate{.store = users, .failures = {.failures_max = 3, .shut_out = 15min}};
            co_await work(world, gate, *users);
        });
        EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 100h));
    }
    // One login by one message.
    Task<std::string> enter(World& world, const Gate& gate, Mechanism mechanism,
                            std::string message, Connection connection = kSecured) {
        Login login(world, failures, std::make_shared<const Gate>(gate), std::move(connection),
                    mechanism);
        co_return text_of(co_await login.begin(std::move(message)));
    }

    Simulation sim;
    Host& host;
    accounts::Failures failures;
};

TEST(Login, TheOfferFollowsTheLineAndTheStore) {
    LoginScene scene;
    scene.run([](World&, Gate& gate, Users& users) -> Task<void> {
        using Names = std::vector<std::string>;
        const Names all = {"SCRAM-SHA-256", "PLAIN", "LOGIN"};
        Connection clear{.address = IpAddress::parse("192.0.2.9")};
        EXPECT_EQ(offer(gate, clear).mechanisms, Names{"SCRAM-SHA-256"});
        EXPECT_EQ(offer(gate, clear).after_tls, (Names{"PLAIN", "LOGIN"}));
        EXPECT_EQ(offer(gate, kSecured).mechanisms, all);
        EXPECT_EQ(offer(gate, Connection{}).mechanisms, all) << "a local socket";
        gate.open_networks = {*world::IpNetwork::parse("192.0.2.8/31")};
        EXPECT_EQ(offer(gate, clear).mechanisms, all);
        clear.address = IpAddress::parse("192.0.2.10");
        EXPECT_EQ(offer(gate, clear).mechanisms, Names{"SCRAM-SHA-256"});

        Connection bound = kSecured;
        bound.bindings = {{"tls-exporter", "x"}};
        bound.certificate_identity = "alice";
        EXPECT_EQ(offer(gate, bound).mechanisms,
                  (Names{"EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"}));
        users.skills_ = {.passwords = true};
        EXPECT_EQ(offer(gate, bound).mechanisms, (Names{"EXTERNAL", "PLAIN", "LOGIN"}));
        gate.store = nullptr;
        EXPECT_EQ(offer(gate, bound).mechanisms, Names{});
        co_return;
    });
}

// RFC 4422 §3.4.1
TEST(Login, NobodyActsAsSomebodyElse) {
    LoginScene scene;
    scene.run([&](World& world, Gate& gate, Users&) -> Task<void> {
        gate.failures.failures_max = 100;
        Connection with_certificate = kSecured;
        with_certificate.certificate_identity = "alice";
        struct Case {
            const char* as;
            const char* want;
        };
        for (const Case& one : {Case{"", "alice"}, Case{"ALICE", "alice"}, Case{"bob", "535"},
                                Case{"gone", "535"}, Case{"alic", "535"}}) {
            EXPECT_EQ(co_await scene.enter(world, gate, Mechanism::Plain,
                                           plain("Alice", "pencil", one.as)),
                      one.want)
                << one.as;
            EXPECT_EQ(
                co_await scene.enter(world, gate, Mechanism::External, one.as, with_certificate),
                one.want)
                << one.as;
        }
    });
}

TEST(Login, EachPasswordIsThatOfItsLabel) {
    LoginScene scene;
    scene.run([&](World& world, Gate& gate, Users&) -> Task<void> {
        gate.failures.failures_max = 100;
        struct Case {
            const char* user;
            const char* password;
            const char* want;
        };
        for (const Case& one :
             {Case{"alice", "pencil", "alice"}, Case{"alice", "ink", "alice/phone"},
              Case{"alice/phone", "ink", "alice/phone"}, Case{"alice/phone", "pencil", "535"},
              Case{"alice/other", "ink", "535"}, Case{"alice", "chalk", "535"},
              Case{"bob", "pencil", "535"}, Case{"bob/phone", "ink", "535"}}) {
            EXPECT_EQ(
                co_await scene.enter(world, gate, Mechanism::Plain, plain(one.user, one.password)),
                one.want)
                << one.user << " " << one.password;
        }
    });
}

TEST(Login, ADisabledAccountIsOutWhateverItShows) {
    LoginScene scene;
    scene.run([&](World& world, Gate& gate, Users& users) -> Task<void> {
        EXPECT_EQ(co_await scene.enter(world, gate, Mechanism::Plain, plain("gone", "pencil")),
                  "535");
        Connection with_certificate = kSecured;
        with_certificate.certificate_identity = "gone";
        EXPECT_EQ(co_await scene.enter(world, gate, Mechanism::External, "", with_certificate),
                  "535");
        auto found = co_await users.scram_keys("gone", Hash::Sha256);
        EXPECT_TRUE(found && !found->whose);
    });
}

// What an attacker sees of an account that does not exist is what he would see of another one.
TEST(Login, AnUnknownUsersSaltStaysTheSame) {
    LoginScene scene;
    scene.run([](World&, Gate&, Users& users) -> Task<void> {
        auto first = co_await users.scram_keys("nobody", Hash::Sha256);
        auto again = co_await users.scram_keys("NoBody", Hash::Sha256);
        auto other = co_await users.scram_keys("somebody", Hash::Sha256);
        auto known = co_await users.scram_keys("alice", Hash::Sha256);
        EXPECT_FALSE(first->whose);
        EXPECT_EQ(first->keys.salt, again->keys.salt);
        EXPECT_NE(first->keys.salt, other->keys.salt);
        EXPECT_EQ(first->keys.salt.size(), known->keys.salt.size());
        EXPECT_EQ(first->keys.iterations, known->keys.iterations);
        EXPECT_TRUE(known->whose);
    });
}

TEST(Login, GuessesCostMoreAndMoreAndThenTheAddressIsShutOut) {
    LoginScene scene;
    scene.run([&](World& world, Gate& gate, Users&) -> Task<void> {
        auto timed = [&](std::string_view password, std::string& came) -> Task<Duration> {
            Monotonic begun = world.clock.now();
            came = co_await scene.enter(world, gate, Mechanism::Plain, plain("alice", password));
            co_return std::chrono::round<std::chrono::seconds>(world.clock.now() - begun);
        };
        std::string came;
        EXPECT_EQ(co_await timed("guess", came), 1s);
        EXPECT_EQ(co_await timed("guess", came), 2s);
        EXPECT_EQ(came, "535");
        // A right one forgets them.
        EXPECT_EQ(co_await timed("pencil", came), 0s);
        EXPECT_EQ(came, "alice");
        for (Duration want : {1s, 2s, 4s}) EXPECT_EQ(co_await timed("guess", came), want);
        EXPECT_EQ(co_await timed("pencil", came), 0s);
        EXPECT_EQ(came, "421") << "even the right one";
        Connection elsewhere = kSecured;
        elsewhere.address = IpAddress::parse("192.0.2.10");
        EXPECT_EQ(co_await scene.enter(world, gate, Mechanism::Plain, plain("alice", "pencil"),
                                       elsewhere),
                  "alice");
        co_await world.clock.sleep_for(15min);
        EXPECT_EQ(co_await timed("pencil", came), 0s);
        EXPECT_EQ(came, "alice");
    });
}

TEST(Login, AStoreThatCannotBeAskedIsNoFailureOfTheClient) {
    LoginScene scene;
    scene.run([&](World& world, Gate& gate, Users& users) -> Task<void> {
        users.breaks_ = true;
        for (int i = 0; i < 5; i++) {
            EXPECT_EQ(co_await scene.enter(world, gate, Mechanism::Plain, plain("alice", "pencil")),
                      "454");
        }
        users.breaks_ = false;
        EXPECT_EQ(co_await scene.enter(world, gate, Mechanism::Plain, plain("alice", "pencil")),
                  "alice");
    });
}

}  // namespace
}  // namespace postrider::sim
