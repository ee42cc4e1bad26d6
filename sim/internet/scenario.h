// sim/internet/scenario.h: a story of the simulated Internet, as data: who is there, who writes to
// whom, and what goes wrong. The files are sim/scenarios/*.toml; docs/simulator.md explains them.
//
// The problem: a bug shows where a workload meets a fault that nobody thought of together. So both
// are data, and any of one kind may be mixed with any of the other.
//
// Failure: parse() answers a sentence with the place. Threads: values.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sim/foreign_host.h"

namespace postrider::sim {

// Our servers: p1.example, p2.example ..., each with a domain, mailboxes and clients of its own.
struct PostriderPlan {
    int count = 1;  // 1 to 9
    int shards = 2;
    bool tls = false;  // certificates of their own; a handshake in twenty fails
    // Lines of the configuration, added to the sections of that name.
    std::string general, smtp, queue;
};

// Other people's hosts: each the MX of a domain of its own (name1.example, name2.example ...).
struct ForeignPlan {
    std::string name;
    int count = 1;
    std::vector<std::string> manners;  // words of kManners
    Demand demand =
        Demand::Nothing;  // "tls", "certificate"; what the servers are configured to keep
};

// Where a letter goes: shares, of which a recipient draws one. See Internet for what each means.
enum class Goal : uint8_t {
    Mailbox,    // of the server that it is given to
    Neighbour,  // a mailbox of another of our servers
    Foreign,    // a domain of another host
    List,       // an alias for a mailbox, a neighbour and a foreign address
    Refused,    // a foreign host says 550
    Unknown,    // a neighbour says 550
    Nowhere,    // a domain that does not exist, wants no mail, or points back to us
    Dead,       // hosts that never answer
    Bounced,    // a foreign host takes it and sends it back as a mail of its own
    Poison,     // our server dies each time that it sends it
    Circle,     // an alias for an alias of a neighbour, which stands for the first one
};
inline constexpr int kGoals = 11;

struct MailPlan {
    int sessions = 10;      // at once, for each of our servers
    uint32_t per_hour = 0;  // letters for each server; 0 = always another one
    uint32_t burst = 1;     // letters that come together
    int recipients_max = 3;
    uint32_t octets_max = 6'000;
    uint32_t large_per_1000 = 20;         // up to 260,000 octets
    uint32_t null_per_1000 = 200;         // no sender
    uint32_t far_travelled_per_1000 = 0;  // over too many hosts already: they must be refused
    uint32_t foreign_sender_per_1000 = 100;
    uint32_t neighbour_sender_per_1000 = 100;
    Duration reply_time = std::chrono::minutes(5);
    Duration pause_max = std::chrono::milliseconds(20);  // after a failed session
    uint32_t shares[kGoals] = {1};
};

enum class FaultKind : uint8_t {
    PowerLoss,
    Kill,
    Stop,           // in order, with little time
    CrashLoop,      // killed again and again, soon after each start
    Suspend,        // the machine sleeps
    ClockJump,      // the wall clock is set
    DiskFull,       //
    DiskSlow,       //
    DiskFails,      // some syncs and writes
    DiskReadFails,  // some reads
    BitRot,         // in the spool of a host
    Backup,         // the spool is copied, and later the machine comes back with the copy
    Cut,            // the link between two hosts
    Partition,      // one of our servers from all others
    BlackHole,      // a foreign address says nothing
    Reset,          // the connections between two hosts break
    DnsDown,        //
    DnsFails,       // some questions
    DnsChanges,     // a domain moves to another host
    DnsLies,        // a host's address is wrong
    Manners,        // a foreign host takes other manners
};
inline constexpr int kFaultKinds = 21;

struct FaultPlan {
    FaultKind kind = FaultKind::PowerLoss;
    Duration every = std::chrono::seconds(1);  // on average
    Duration lasts = std::chrono::seconds(1);  // at most
};

struct Scenario {
    std::string name;
    std::string about;                                // one sentence
    Duration length = std::chrono::minutes(10);       // of mail and accidents; rests come on top
    Duration soak_length = std::chrono::minutes(10);  // of each run of a soak
    int soak_runs = 1;
    Duration rest_every = std::chrono::minutes(1);  // then all comes to rest, and is looked at
    Duration rest_max = std::chrono::hours(24);     // longest way to rest
    Duration latency_max = std::chrono::milliseconds(3);
    std::size_t segment_max = 1460;  // octets; 1 cuts every stream at every octet
    bool may_expire = false;         // what must be relayed may come back instead
    bool expects_violations = false;
    bool forget_sync = false;  // a lie of the disks, to see that it is caught
    bool forget_directory_sync = false;
    PostriderPlan postriders;
    std::vector<ForeignPlan> foreign;
    MailPlan mail;
    std::vector<FaultPlan> faults;

    static Result<Scenario> parse(std::string_view text, const std::string& name);
    std::string text() const;  // parse() gives it back
};

std::string_view word(FaultKind kind);
std::string_view word(Goal goal);

// Adds what `word` means to `manners`. False: there is no such word.
bool add_manner(Manners& manners, std::string_view word);
// The words of add_manner, for drawing one.
std::vector<std::string_view> manner_words();

}  // namespace postrider::sim
