// receive/drop.h: takes in what the sendmail front left while the server was down.
//
// The problem: a local program that sends mail must not fail because the server is being restarted.
// So the front leaves the message as a file (mail/drop_file.h) in a directory into which its group
// may write and which only the server may list; here such files become messages.
//
// Promise
//   1. A file is handed to the house as a session would hand it (Visit), with its owner's uid as
//   the
//      account ("uid:1000"), and removed only after Sink::finish has accepted it. A crash between
//      the two hands it in again.
//   2. A file that is refused is moved to the folder `refused` below the directory and logged with
//      the reason; so is one of which a recipient was refused. Nothing is dropped silently.
//   3. A temporary refusal of anything, also of one recipient, leaves the file for later, whole.
//   4. Only regular files of bounded size are opened, of owners who may send; links, folders and
//   the
//      like are refused. The content keeps the rules of a session: only CRLF ends lines, no NUL, a
//      bounded header block, a bounded number of hops.
//   5. An unfinished file of a front that died is removed after kDropTemporaryAge.
//   6. Memory: one block and, while it is read, the header block. One file at a time.
//
// What a local user may: any sender address, as over SMTP from this host; the account says who it
// was. The house decides by the account and the empty client address what such a user may do.
//
// Threads: one shard's; shard 0 by custom.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "mail/header.h"
#include "receive/visit.h"
#include "smtp/command.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::receive {

struct DropOptions {
    std::string directory;
    uint64_t message_octets_max = 50 * 1024 * 1024;  // of the content
    std::size_t recipients_max = 1000;
    std::size_t hops_max = 100;
    Duration poll = std::chrono::seconds(5);   // between two looks at the directory
    Duration retry = std::chrono::minutes(1);  // of a file that was refused for now
    std::vector<uint32_t> owners;              // uids that may leave messages; empty = all
};

inline constexpr auto kDropTemporaryAge = std::chrono::hours(24);

class Drop {
public:
    // REQUIRES: world and host outlive the Drop and its tasks.
    Drop(world::World& world, Host& host, DropOptions options);

    // Looks at once, then every options.poll and after each wake(), until stop().
    void start();
    void wake() { changed_.notify_all(); }

    // Returns when the file that is being taken has been, or the deadline passes.
    Task<void> stop(Deadline deadline);

    // One look at the directory; what start() does again and again. Says how many were accepted.
    Task<std::size_t> scan();

private:
    // What became of a file.
    struct Outcome {
        enum class Kind : uint8_t {
            Accepted,
            Refused,
            Later
        };
        Kind kind = Kind::Accepted;
        std::string reason;
    };
    struct Letter;

    Task<void> run();
    Task<void> take(const world::DirectoryEntry& entry);
    Task<Outcome> hand_in(std::string path, uint32_t owner, uint64_t size);
    Task<Outcome> envelope(Visit& visit, Letter& letter);
    Task<Outcome> content(Sink& sink, Letter& letter);
    Task<void> refuse(const std::string& name, uint32_t owner, std::string reason);
    Task<void> remove(const std::string& name);
    Task<void> remove_if_old(const std::string& name);
    void later(const std::string& name, std::string_view reason);

    world::World& world_;
    Host& host_;
    const DropOptions options_;
    world::Signal changed_;
    world::Signal ended_;
    std::map<std::string, Monotonic> not_before_;  // files that were refused for now
    std::set<std::string> accepted_;               // in the spool, but their file is still there
    std::string list_error_;                       // told already
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace postrider::receive
