// sim/relay_scene.h: our server, a client with letters, and hosts of others.
//
// The problem: "each accepted recipient ends in exactly one outcome" must be judged from what the
// client was told, what the far hosts kept and what lies in the sender's mailbox, never by asking
// the server.
//
// Failure: everything that is not as promised is one of the faults().
// Threads: one.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/foreign_host.h"
#include "sim/river_host.h"
#include "world/signal.h"

namespace postrider::sim {

struct Letter {
    std::string from = "alice@river.example";  // empty = null
    std::vector<std::string> to;
    std::size_t octets = 200;
    // Filled in:
    std::string content = {};
    bool was_sent = false;                   // a final dot went out
    std::vector<std::string> accepted = {};  // ids that it was answered 250 with
    Monotonic accepted_at = {};              // the simulation's clock
};

// Sends letters in the order given, each until it is accepted.
class LetterClient {
public:
    LetterClient(Simulation& sim, int sessions);

    std::size_t post(Letter letter);  // says its number
    std::size_t accepted() const { return accepted_; }
    bool is_idle() const { return accepted_ == letters_.size(); }
    const std::deque<Letter>& letters() const { return letters_; }

    Duration reply_time = std::chrono::minutes(5);

private:
    struct Session;
    Task<void> work(world::World& world);
    Task<void> hold_session(world::World& world, std::optional<std::size_t>& number);
    Task<bool> send(Session& session, Letter& letter);

    Simulation& sim_;
    Host& host_;
    std::unique_ptr<world::Signal> posted_;  // a letter was
    std::deque<Letter> letters_;
    std::size_t next_ = 0;
    std::size_t accepted_ = 0;
};

struct ReportCount {
    int failed = 0, delayed = 0;
};

class RelayScene {
public:
    // `queue`: lines of the section [queue].
    explicit RelayScene(uint64_t seed, std::string_view queue = "", int sessions = 4);

    // A host that is the MX of `domain`.
    ForeignHost& add_far(const std::string& domain, Manners manners = {});

    void boot();
    void stop(Duration patience);         // in order; then the process ends
    void run_until_accepted();            // all letters
    void run_until_done(Duration limit);  // nothing is queued any more

    // Holds every recipient of every letter against far hosts and the sender's mailbox.
    // `fails`: whether a recipient must fail; else it must be taken.
    struct Sum {
        uint64_t taken = 0, repeats = 0, bounced = 0, delayed = 0, set_aside = 0;
        uint64_t silent = 0;     // failed, and the sender is null
        uint64_t confirmed = 0;  // the newest take is (foreign_host.h)
    };
    using Fails = std::function<bool(const std::string& recipient)>;
    Sum check(const Fails& fails = [](const std::string& to) { return to.starts_with(kRefused); });

    // Remembers what the server has set aside since; call before its log forgets.
    void note_set_aside();
    std::size_t set_aside_messages() const { return set_aside_.size(); }

    // Reports in alice's mailbox, by id of the original and recipient. Each call reads it anew.
    std::map<ForeignHost::Key, ReportCount> reports();

    const std::vector<std::string>& faults() const { return faults_; }  // the first of them

    Simulation sim;
    RiverHost server;
    LetterClient client;
    std::vector<std::unique_ptr<ForeignHost>> far;

private:
    void check_recipient(const std::string& id, const Letter& letter, const std::string& to,
                         bool must_fail, const ReportCount& told, Sum& sum);
    void check_content(const Letter& letter, const std::string& content);
    void fault(std::string text);

    std::vector<std::string> faults_;
    std::set<std::string> set_aside_;
    std::set<std::string> not_recorded_;  // the server has told its operator so
};

}  // namespace postrider::sim
