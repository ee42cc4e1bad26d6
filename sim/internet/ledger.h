// sim/internet/ledger.h: what everybody was told, and what went wrong when: the memory of the one
// who checks.
//
// The problem: whether mail was lost or doubled is known only to somebody who wrote down what the
// clients heard, what each server said in its log, and which accidents happened at which moment.
//
// Nothing here asks the servers. Threads: one.

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "sim/host.h"
#include "sim/internet/scenario.h"

namespace postrider::sim {

// What must become of one recipient.
enum class Fate : uint8_t {
    Arrives,
    Fails,      // with a report, if the sender is not null
    Either,     // one of them
    Circles,    // a server finds that it has seen it, and reports so
    IsSetAside  // it kills who sends it
};

struct Target {
    std::string to;                   // as in RCPT
    Fate fate = Fate::Arrives;        // of each of the finals
    std::vector<std::string> finals;  // where it arrives: `to`, or what an alias stands for
};

struct Acceptance {
    MessageId id;
    Monotonic at;                       // the simulation's clock, as are all times here
    std::set<std::string> turned_away;  // recipients refused in the same transaction
};

struct Letter {
    uint64_t mark = 0;
    int through = 0;   // which of our servers it is given to
    std::string from;  // empty = null
    std::vector<Target> to;
    uint64_t octets = 0;               // about the size of the content
    int hops = 0;                      // Received fields that it comes with
    bool is_refused = false;           // since these are too many
    uint64_t ends = 0;                 // final dots sent: so many copies there may be
    bool unanswered = false;           // no reply came to the last of them
    std::vector<Acceptance> accepted;  // answered 250
    // Recipients that were refused in one of the transactions or another (RFC 7505 §4.1).
    std::set<std::string> maybe_turned_away;

    std::string content() const;  // the same each time, with CRLF
};

// An accident of one host, or of the link of two.
struct Disturbance {
    FaultKind kind;
    const Host* a = nullptr;
    const Host* b = nullptr;  // null: a alone, whomever it talks to
    Monotonic begin;
    Monotonic end;  // the far future while it goes on
};

// What one of our servers said since the last rest.
struct ServerBook {
    struct Recipient {
        Wall next;             // of the last deferral
        uint64_t life = 0;     // in which it was said
        uint64_t jumps = 0;    // of the clock, before it was said
        int outcomes = 0;      // final lines
        bool expired = false;  // the last of them was Failed
    };
    std::map<MessageId, Acceptance> accepted;
    std::map<MessageId, int64_t> live;  // recipients without a final line
    std::map<std::pair<MessageId, std::string>, Recipient, std::less<>> recipients;
    std::map<MessageId, Monotonic> set_aside;
    std::vector<std::string> kept_aside;  // records of those that were there at several deaths
    std::map<MessageId, Monotonic> not_recorded;
    uint64_t damage = 0;             // lines about it
    uint64_t rots = 0;               // that a fault has made
    std::vector<Monotonic> crashes;  // kills and losses of power
    uint64_t jumps = 0;
    // The spool was put back from a copy of `since` at `at`.
    struct Restore {
        Monotonic since, at;
    };
    std::vector<Restore> restores;
};

class Ledger {
public:
    explicit Ledger(int servers) : books(std::size_t(servers)) {}

    std::map<uint64_t, Letter> letters;  // by mark, since the last rest
    std::vector<ServerBook> books;       // by number of the server
    std::vector<Disturbance> disturbances;

    // Counts of the whole run.
    uint64_t accepted = 0;
    uint64_t repeated_by_clients = 0;
    uint64_t refused_for_now = 0;
    std::map<std::string, uint64_t> refusals;  // by the first words of the reply

    // A log line of server `number`.
    void hear(int number, Host& host, const LogLine& line);

    // Messages that the server has and has not finished.
    uint64_t in_flight(int number) const { return books[std::size_t(number)].live.size(); }

    // Begins an accident; ended by end().
    std::size_t begin(FaultKind kind, const Host* a, const Host* b, Monotonic now);
    // Those of the two hours around a moment, for whoever reads about a violation.
    std::string accidents_near(Monotonic moment) const;
    void end(std::size_t disturbance, Monotonic now) { disturbances[disturbance].end = now; }

    // Whether an accident between shortly before `first`, when `to` took a message from `from`, and
    // `patience` later may be why it came again.
    bool explains(const Host* from, const Host* to, Monotonic first, Duration patience) const;

    // Forgets letters and accidents: everything was looked at. Accidents that go on are kept.
    void forget(Monotonic now);

    // A promise that was broken; the first ones are kept.
    void violation(std::string text);
    uint64_t violations_count() const { return violations_count_; }
    const std::vector<std::string>& violations() const { return violations_; }

private:
    void hear_result(int number, Host& host, const LogLine& line, MessageId id);

    std::vector<std::string> violations_;
    uint64_t violations_count_ = 0;
};

// The value of `key` in a log line of the simulator; empty = none. Values end at the next key.
std::string_view log_value(std::string_view text, std::string_view key);

// What a server's log says about a message, a line each.
std::string story(const Host& host, MessageId id);

}  // namespace postrider::sim
