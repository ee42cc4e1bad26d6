// daemon/attempt_log.h: the attempts of each message, with their dialogues, for "why?".
//
// What became of each recipient is in the spool; this is the detail behind it, also of messages
// that have left the spool. It lies in a folder of a few files, of which the oldest goes when their
// limit is reached.
//
// Promise
//   1. add() neither waits nor fails: it appends to a buffer. The buffer is written in groups, once
//      a second or when kGroupOctets wait, and never synced: a kill loses what is younger than a
//      second, a loss of power what the system has not written.
//   2. No error of the disk touches mail. It is logged once per stretch; meanwhile the newest
//      kWaitingOctetsMax are kept in memory, and the disk is tried again.
//   3. Never more than octets_max on disk, and nothing when less than min_free_octets are free: the
//      reserve is the spool's.
//   4. Nothing is read at the start but the names of the files. of() reads the files through, on a
//      worker, one question at a time; no index takes memory, and damage costs what it hit.
//
// Threads: shard 0's.

#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/attempt_record.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::daemon {

struct AttemptLogOptions {
    std::string directory;
    uint64_t octets_max = 0;  // on disk; 0 = all stays in memory, as far as it goes
    uint64_t min_free_octets = 0;
};

class AttemptLog {
public:
    static constexpr std::size_t kWaitingOctetsMax = 16 * 1024 * 1024;
    static constexpr std::size_t kGroupOctets = 128 * 1024;
    static constexpr uint64_t kFiles = 8;  // that octets_max is cut into
    static constexpr auto kWriteEvery = std::chrono::seconds(1);
    static constexpr auto kTryAgain = std::chrono::seconds(30);

    // REQUIRES: world outlives it.
    AttemptLog(world::World& world, AttemptLogOptions options);

    // Looks, soon, for what earlier lives left.
    void start();

    void add(MessageId id, const AttemptNote& note);

    // Empty when nothing is remembered. Waits at most 20 s for its turn; then without the files.
    Task<AttemptStory> of(MessageId id);

    void reconfigure(AttemptLogOptions options);

    // Writes what waits. What is added later stays in memory.
    Task<void> close(Deadline deadline);

    std::size_t waiting_octets() const { return waiting_octets_; }

private:
    struct Place {
        uint64_t number = 0;  // makes its name; greater = newer
        uint64_t octets = 0;
    };

    void schedule();
    void begin_writing();
    Task<void> write_waiting();
    Task<world::DiskStatus> prepare();
    Task<world::DiskStatus> look();
    Task<world::DiskStatus> make_room(uint64_t octets);
    Task<world::DiskStatus> open_file(uint64_t octets);
    Task<world::DiskStatus> write_group(std::string_view group);
    void failed(const world::DiskError& error);
    void drop_oldest();
    std::string path_of(uint64_t number) const;

    world::World& world_;
    AttemptLogOptions options_;

    std::deque<std::string> groups_;  // oldest first; the last one grows
    std::string spare_;               // memory of a group that was written
    std::size_t waiting_octets_ = 0;

    std::deque<Place> files_;            // oldest first; the last one grows
    std::unique_ptr<world::File> file_;  // the last of files_, when it is open

    std::unique_ptr<world::Timer> timer_;
    world::Signal ended_;     // writing_ or searching_ has become false
    bool looked_ = false;     // files_ is what is there
    bool writing_ = false;    // write_waiting() runs, or will soon
    bool in_flight_ = false;  // the first group is being written
    bool searching_ = false;  // of() reads
    bool failing_ = false;    // the operator was told
    bool closed_ = false;
};

}  // namespace postrider::daemon
