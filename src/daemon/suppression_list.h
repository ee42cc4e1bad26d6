// daemon/suppression_list.h: recipients that are not written to again.
//
// The problem: whoever goes on sending to mailboxes that do not exist is taken for a spammer by the
// hosts that have to say so each time. An address that failed as "no such mailbox" or "no such
// domain" is remembered, until it expires or an operator takes it off.
//
// An entry holds for everybody (scope "") or for the senders of one domain. On disk: one line of
// JSON for each change, in {directory}/list.jsonl; what was cut short by a crash is passed over.
// The file is written anew, and renamed into place, when most of its lines have no meaning any
// more.
//
// Promise
//   1. add() and remove() count at once and neither wait nor fail; they are on stable storage when
//      written() has returned without an error, and at the latest a second later while the disk
//      works. A crash loses what is younger: such an address is learnt again.
//   2. No error of the disk touches mail; it is logged once per stretch, and tried again.
//   3. Memory is bounded: at entries_max the entry that expires first makes room.
//
// Threads: shard 0's.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mail/failure_class.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::daemon {

struct SuppressionOptions {
    std::string directory;
    uint64_t entries_max = 100'000;
    uint64_t min_free_octets = 0;
};

struct Suppressed {
    std::string address;  // as suppression_key() gives it
    std::string scope;    // the sender's domain, in lower case; empty = everybody
    FailureClass failure = FailureClass::Other;
    std::string reason;  // what was said, or who added it; one line
    Wall at;
    Wall until;
};

// Upper and lower case are alike here, also before the "@": an entry is a guess about a mailbox,
// and no host is known that has both.
std::string suppression_key(std::string_view address);

class SuppressionList {
public:
    static constexpr auto kWriteEvery = std::chrono::seconds(1);
    static constexpr std::size_t kReasonMax = 300;
    static constexpr uint64_t kFileOctetsMax = 512 * 1024 * 1024;

    // REQUIRES: world outlives it.
    SuppressionList(world::World& world, SuppressionOptions options);

    // Reads the file; without one the list is empty.
    Task<Status<Error>> load();

    // The entry that holds for a message from `sender_domain` ("" = the null reverse-path).
    const Suppressed* find(std::string_view address, std::string_view sender_domain) const;

    void add(Suppressed entry);
    bool remove(std::string_view address, std::string_view scope);

    // Entries in the order of their addresses, those that expired left out.
    template <typename Take>
    void visit(Take take) const {
        Wall now = world_.clock.wall();
        for (const auto& [key, entry] : entries_) {
            if (entry.until > now) take(entry);
        }
    }
    std::size_t size() const { return entries_.size(); }

    // Waits until every change so far is on stable storage.
    Task<Status<Error>> written(Deadline deadline);

    void reconfigure(SuppressionOptions options);
    Task<void> close(Deadline deadline);

private:
    using Key = std::pair<std::string, std::string>;  // address, scope

    void take_line(std::string_view line);
    void make_room();
    void schedule();
    Task<void> write_waiting();
    Task<world::DiskStatus> append(std::string_view lines);
    Task<world::DiskStatus> write_anew();
    bool wants_new_file() const;
    std::string path() const { return options_.directory + "/list.jsonl"; }

    world::World& world_;
    SuppressionOptions options_;
    std::map<Key, Suppressed, std::less<>> entries_;
    std::multimap<Wall, Key> by_expiry_;  // may have more than one of an entry; the last counts
    std::string waiting_;                 // lines to be written
    uint64_t file_octets_ = 0;
    std::size_t file_lines_ = 0;
    bool whole_ = false;  // the file ends with a whole line of ours
    std::unique_ptr<world::Timer> timer_;
    world::Signal ended_;  // writing_ has become false
    bool writing_ = false;
    bool failing_ = false;  // the operator was told
    std::string failure_;   // of the last write
};

}  // namespace postrider::daemon
