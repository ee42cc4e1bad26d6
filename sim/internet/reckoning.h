// sim/internet/reckoning.h: the day of reckoning: what lies in mailboxes and at foreign hosts, held
// against what was promised.
//
// REQUIRES: nothing is under way: queues empty, clients idle, every server up.
//
// What is checked
//   - whatever lies somewhere is a letter that was sent, octet for octet, behind the trace fields
//     that its way asks for, or a report;
//   - each recipient of each letter that was answered 250 has exactly one outcome: copies, or a
//     report if its sender is owed one, or neither when none is owed and the server's log says
//     Failed; or it was set aside and the operator was told;
//   - a copy more than one is explained by an accident at the moment that allows it, and counted;
//   - a letter has no more ids than final dots were sent;
//   - no id lies in one mailbox twice, ever; none comes again after it was settled;
//   - there is a report for each failure that owes one and for nothing else.
// What was checked is taken away.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "sim/internet/internet.h"

namespace postrider::sim {

struct Totals {
    uint64_t copies = 0;
    uint64_t repeats = 0;        // copies more than one, each explained
    uint64_t reports = 0;        // of failure
    uint64_t delay_notices = 0;  //
    uint64_t silent = 0;         // failed, and nobody was owed a report
    uint64_t set_aside = 0;      // and the operator was told
    uint64_t excused = 0;        // lost by bit rot or an old backup, as told
    uint64_t checked = 0;        // recipients held against their outcome
};

class Reckoning {
public:
    explicit Reckoning(Internet& net) : net_(net) {}

    void run();
    const Totals& totals() const { return totals_; }

private:
    // A message by the server that took it first, and one of its recipients.
    struct Key {
        int server = 0;
        MessageId id;
        std::string to;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Copy {
        const Host* place = nullptr;
        std::optional<Monotonic> at;  // taken; unknown if nobody said so
        bool replied = true;
    };
    struct ReportCopies {
        std::map<MessageId, std::vector<Copy>> failed;  // by the report's id
        std::set<MessageId> delayed;
    };
    struct Hop {
        int server = 0;
        MessageId id;
    };

    void collect_mailboxes(int server);
    void collect_file(int server, const std::string& user, const std::string& name,
                      const std::string& text);
    void collect_foreign(ForeignHost& host);
    void collect_report(const std::string& text, const Copy& copy);
    // The way of the letter whose content this is, newest hop first; empty = a violation was told.
    bool came_back(const std::string& text) const;
    std::vector<Hop> read_letter(const std::string& text, bool with_lf, const std::string& where);

    void check_letter(const Letter& letter);
    bool was_turned_away(const Letter& letter, MessageId id, const Target& target) const;
    void check_recipient(const Letter& letter, MessageId id, Fate fate, const std::string& to);
    void check_alias(const Letter& letter, MessageId id, const Target& target);
    void check_repeats(const Key& key, std::vector<Copy> copies);
    void check_rest();
    bool is_excused(const Letter& letter, MessageId id, const std::string& to);
    void count_excuses();
    int64_t excuses_total() const;
    const ServerBook& book(int server) const { return net_.ledger.books[std::size_t(server)]; }
    // What the server's log says about a message.
    std::string story(int server, MessageId id) const;
    void wrong(std::string text) { net_.ledger.violation(std::move(text)); }

    Internet& net_;
    Totals totals_;
    std::set<std::pair<std::string, MessageId>> seen_;  // mailbox and id, of all runs

    // Of this run.
    std::map<Key, std::vector<Copy>> copies_;
    std::map<uint64_t, std::set<MessageId>> ids_of_mark_;
    std::map<uint64_t, uint64_t> circles_;  // by mark: reports that it went round
    std::map<Key, ReportCopies> reports_;   // by the message that they are about
    std::vector<int64_t> excuses_;          // by server: messages that may be missing there
};

}  // namespace postrider::sim
