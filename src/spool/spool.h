// spool/spool.h: where an accepted message lives until each of its recipients has an outcome.
//
// The problem: a reply of 250 is a promise that survives the loss of power, for many sessions at
// once, without a sync for each. All commits go as records into one log (segments of fixed size,
// written before use and used again), and one write and one sync serve all who wait.
//
// Promise (house rules 1, 2, 3 and 5; docs/spool-format.md has the bytes, README.md the states)
//   1. When commit() answers a value, all of the request is on stable storage: messages, changes,
//      large files and their names. When it answers an error, no part of it will ever be seen
//      without the rest, and none at all once a later commit has been answered.
//   2. Each message is found again by the next recover(), with every change that was acknowledged.
//   3. After a failed write or sync nothing more is appended to that segment; what was synced
//   before
//      stays valid and is moved on.
//   4. Damage is told and its bytes are kept in damaged/; it is never taken for a torn tail.
//   5. Outcomes can be written when the disk is full: spare segments are kept for them.
//
// Invariants: at most one write is in flight; a recipient's final state never changes again.
//
// Failure: SpoolError, see error.h. Nothing here waits without end: a commit that has not begun to
// be written is withdrawn at its deadline; what is being written ends with the disk's answer.
//
// Threads: commit(), begin(), read(), record_lazily(), note_attempt() and stats() may be called
// from any shard and answer there. open() makes the calling shard the owner; recover() and close()
// are called there, and have ended before the Spool is destroyed.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/limits.h"
#include "base/task.h"
#include "base/time.h"
#include "mail/envelope.h"
#include "mail/outcome.h"
#include "spool/draft.h"
#include "spool/error.h"
#include "spool/stored_message.h"
#include "world/world.h"

namespace postrider::spool {

struct SpoolOptions {
    std::string directory;  // made if it is not there

    // What changes behaviour.
    uint64_t min_free_octets = 256ull << 20;    // new messages are refused (Full) below this
    uint64_t waiting_octets_max = 64ull << 20;  // commits waiting for the disk; above it Busy
    int reserve_segments = 2;                   // kept for outcomes; at least 1

    // What changes speed and the size on disk.
    uint64_t segment_octets = 32ull << 20;  // at least 64 KiB, at most 1 GiB; for new segments
    int spare_segments = 1;                 // prepared ahead of use, beside the reserve; at least 1
    int segments_before_moving = 8;         // live messages are moved on only when the log has more
};

// A new message. `content` is a draft or, for what we compose ourselves, a string.
struct Incoming {
    Envelope envelope;  // with its id and at least one recipient
    std::variant<std::string, Draft> content;
    uint32_t header_octets = 0;
};

// Stored together or not at all: a report with the outcome that caused it, say.
struct CommitRequest {
    std::vector<Incoming> messages;
    std::vector<RecipientChange> changes;  // of messages stored before
};

// One live message found by recover(); where its recipients stand is told by read().
struct RecoveredMessage {
    MessageId id;
    uint8_t unfinished_attempts = 0;  // see Spool::note_attempt
};

// A stretch of a segment that could not be read where readable records were promised.
struct Damage {
    std::string path;
    uint64_t offset = 0;
    uint64_t octets = 0;
    std::string kept_as;  // the copy in damaged/; empty after check(), which writes nothing
    std::string reason;
};

// What was found at the start; also the answer of check().
struct SpoolReport {
    uint64_t segments = 0;          // files
    uint64_t segments_in_use = 0;   // with records that count
    uint64_t generation_first = 0;  // of those in use; 0 = none
    uint64_t generation_last = 0;
    uint64_t torn_octets = 0;  // cut off at the end: never acknowledged
    std::vector<Damage> damage;
    bool clean_stop = false;  // closed in order the last time
    MessageId highest_id;     // ever seen: the floor of MessageIdSource

    // Known when all is read, by recover() or check(); more damage may be found until then.
    uint64_t records = 0;
    uint64_t live_messages = 0;
    uint64_t waiting_recipients = 0;
    uint64_t large_files = 0;                     // referenced
    std::vector<std::string> large_missing;       // ids whose file is not there
    std::vector<std::string> large_unreferenced;  // names of files
};

struct Recovered {
    std::vector<RecoveredMessage> messages;  // by id, oldest first
    SpoolReport report;
};

struct SpoolStats {
    uint64_t live_messages = 0;
    uint64_t live_octets = 0;        // of records in the log
    uint64_t segments = 0;           // files of the log
    uint64_t segments_prepared = 0;  // written and synced ahead, the reserve included
    uint64_t groups = 0;             // writes with their sync
    uint64_t commits = 0;
    uint64_t octets_written = 0;
    uint64_t moved_messages = 0;
    uint64_t failed_groups = 0;
    uint64_t repeated_changes = 0;  // of recipients that had their outcome already
    uint64_t waiting_commits = 0;
    uint64_t waiting_octets = 0;
    uint64_t waits_for_segment = 0;  // times a group had to wait for the next segment
    bool failing = false;
    bool full = false;        // new messages are refused for want of space
    bool recovering = false;  // messages of earlier lives are not counted yet
};

class Spool {
public:
    // Takes the lock, finds out where the log ended, and is ready for commits, however much lies
    // there; the calling shard becomes the owner. Errors: Locked, NewerVersion, Full, DiskFailing.
    static Task<SpoolResult<std::unique_ptr<Spool>>> open(world::World& world, SpoolOptions options,
                                                          SpoolReport& out);

    // Reads what earlier lives left, beside whatever goes on; what was committed since open() is
    // not among it. Once, on the owner's shard, and again only after an error: DiskFailing, or
    // Closed by a close() meanwhile.
    Task<SpoolResult<Recovered>> recover();

    ~Spool();

    // A draft for the content of message `id`, on the calling shard.
    Draft begin(MessageId id);

    // Stores everything in `request`, durably, and answers the new messages in their order, for
    // delivery without reading the disk. After an error the request's drafts are gone; who wants to
    // try changes again keeps a copy. Errors: Full (never for changes alone while the reserve
    // lasts), Busy, CallerDeadline, DiskFailing, TooLarge, Closed. Changes of messages that are not
    // live, or of recipients that have their outcome, are left out.
    Task<SpoolResult<std::vector<std::shared_ptr<const StoredMessage>>>> commit(
        CommitRequest request, Deadline deadline);

    // A deferral: counts at once in memory and is written with the next group; nobody waits, and a
    // crash may forget it. REQUIRES: change.state is Waiting.
    void record_lazily(RecipientChange change);

    // Durably says that an attempt to deliver `id` begins. The next change of one of its recipients
    // takes it back. What was begun and never ended is counted in
    // RecoveredMessage::unfinished_attempts: a message that brings the process down again and again
    // is seen there. Meant for messages recovered after a stop that was not clean, few at a time.
    Task<SpoolStatus> note_attempt(MessageId id, Deadline deadline);

    // A live message, from disk. Errors: NotFound, Damaged (it was set aside: its waiting
    // recipients are SetAside now), DiskFailing; Recovering until recover() has ended.
    Task<SpoolResult<std::shared_ptr<const StoredMessage>>> read(MessageId id);

    // Takes a live message out though it can be read: it does harm. Its record and its large file
    // go to damaged/, with `why`; its waiting recipients are SetAside.
    Task<SpoolStatus> set_aside(MessageId id, std::string why);

    Task<SpoolStats> stats();

    // Refuses what comes from now on (Closed), ends what is being written, marks a clean stop.
    Task<void> close();

private:
    explicit Spool(std::shared_ptr<Core> core) : core_(std::move(core)) {}

    std::shared_ptr<Core> core_;
};

// Reads the whole spool in `directory` and changes nothing. With a server running, what it writes
// meanwhile may be told as a torn tail. Errors: NotFound, NewerVersion, DiskFailing.
Task<SpoolResult<SpoolReport>> check(world::World& world, std::string directory);

}  // namespace postrider::spool
