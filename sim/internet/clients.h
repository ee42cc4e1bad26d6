// sim/internet/clients.h: those who give mail to one of our servers, and remember what they heard.
//
// They know nothing of our own SMTP code: they write their lines and read digits. A letter is sent
// again, as RFC 5321 §4.5.4.1 has it, after a temporary refusal, a broken connection or a reply
// that did not come in time, until it is answered 250.
//
// Threads: one. Their host is never killed.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "sim/internet/ledger.h"
#include "sim/seeded_random.h"
#include "sim/simulation.h"
#include "world/signal.h"

namespace postrider::sim {

struct ClientsOptions {
    std::string name;
    std::string address;
    world::IpEndpoint server;
    int sessions = 10;
    Duration reply_time = std::chrono::minutes(5);
    Duration pause_max = std::chrono::milliseconds(20);
    uint64_t letters_per_session_max = 6;
};

class Clients {
public:
    // REQUIRES: sim and ledger outlive this. `compose`, when it is not empty, gives another letter
    // whenever a session is free and nothing is posted: its mark.
    Clients(Simulation& sim, Ledger& ledger, ClientsOptions options,
            std::function<std::optional<uint64_t>()> compose);

    void post(uint64_t mark);  // a letter of the ledger
    void wake();               // compose() may have something now
    bool is_idle() const { return waiting_.empty() && in_hand_ == 0; }
    Host& host() { return host_; }

private:
    struct Session;

    std::optional<uint64_t> next();
    Task<void> work(world::World& world);
    Task<bool> hold_session(world::World& world, std::optional<uint64_t>& mark);
    Task<bool> send(Session& session, Letter& letter);
    Task<bool> send_content(Session& session, Letter& letter, std::set<std::string> turned_away);
    bool refused(Session& session);

    Simulation& sim_;
    Ledger& ledger_;
    const ClientsOptions options_;
    std::function<std::optional<uint64_t>()> compose_;
    Host& host_;
    SeededRandom random_;
    std::unique_ptr<world::Signal> posted_;
    std::deque<uint64_t> waiting_;
    int in_hand_ = 0;
};

}  // namespace postrider::sim
