// sim/sim_resolver.h: the DNS of the simulated Internet: zones as data, and what can be wrong with
// them.
//
// The problem: where mail goes depends on servers that are slow, silent, broken or lie, and change
// their minds between two questions. Here the whole of DNS is one table that a scenario fills and
// spoils.
//
//     sim.dns().add("example.org", dns::Mx{10, *dns::Name::parse("mx.example.org")});
//     sim.dns().add("mx.example.org", dns::A{{192, 0, 2, 1}});
//     sim.dns().faults.is_down = true;                       // nobody gets an answer
//     sim.dns().break_names("example.org", Failure::ServFail);
//
// What happens to a question, in this order: nothing while is_down (the asker's deadline passes);
// else a drawn latency; then a fault of the whole, drawn; then the fault of the nearest broken name
// at or above; then the script of the question, if there is one; then the table. A name exists if
// there is a record at or below it. CNAMEs are followed, at most kCnamesMax.
//
// Everything is a setting and may be changed at any moment between events. Nothing is cached.
// Threads: one.

#pragma once

#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "dns/answer.h"
#include "sim/seeded_random.h"
#include "world/resolver.h"

namespace postrider::sim {

struct HostState;

struct DnsFaults {
    Duration latency_min = std::chrono::microseconds(100);
    Duration latency_max = std::chrono::milliseconds(200);
    uint32_t timeouts_per_1000 = 0;
    uint32_t servfails_per_1000 = 0;
    bool is_down = false;
};

class Dns {
public:
    static constexpr int kCnamesMax = 8;
    static constexpr Duration kPatience = std::chrono::seconds(60);  // of a resolver

    explicit Dns(uint64_t seed) : random_(seed, /*label=*/5) {}
    Dns(const Dns&) = delete;
    Dns& operator=(const Dns&) = delete;

    DnsFaults faults;

    // Adds a record. The TTL of a set is the smallest of its records.
    // REQUIRES: `name` is a name.
    void add(std::string_view name, dns::Rdata rdata, uint32_t ttl_seconds = 3600);

    // Takes away all records of a type, or of the name.
    void remove(std::string_view name, dns::Type type);
    void remove(std::string_view name);

    // DNSSEC vouches for names at or below.
    void sign(std::string_view name);

    // Questions for names at or below fail so, until mend(). Timeout: the asker's deadline passes.
    void break_names(std::string_view name, dns::Answer::Failure failure);
    void mend(std::string_view name);

    // The next answers to one question, whatever the table says; the last one stays. An empty
    // script ends it.
    void script(std::string_view name, dns::Type type, std::vector<dns::Answer> answers);

    uint64_t asked() const { return asked_; }

    // From here on: for the resolvers of the hosts.
    struct Reply {
        Duration latency{};
        bool is_silent = false;
        dns::Answer answer;
    };
    Reply ask(const dns::Question& question);

private:
    struct Set {
        std::vector<dns::Rdata> records;
        uint32_t ttl_seconds = 0;
    };

    static dns::Name read(std::string_view name);
    bool exists(const dns::Name& name) const;
    bool is_signed(const dns::Name& name) const;
    const dns::Answer::Failure* failure_of(const dns::Name& name) const;
    dns::Answer look_up(const dns::Question& question) const;

    SeededRandom random_;
    std::map<dns::Question, Set> sets_;
    std::vector<dns::Name> signed_;
    std::map<dns::Name, dns::Answer::Failure> broken_;
    std::map<dns::Question, std::deque<dns::Answer>> scripts_;
    uint64_t asked_ = 0;
};

// The door of one host.
class SimResolver : public world::Resolver {
public:
    SimResolver(HostState& host, Dns& dns) : host_(host), dns_(dns) {}

    Task<dns::Answer> query(dns::Question question, Deadline deadline) override;

private:
    HostState& host_;
    Dns& dns_;
};

}  // namespace postrider::sim
