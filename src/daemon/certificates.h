// daemon/certificates.h: the TLS certificates and roots of the configuration, read from their
// files.
//
// The problem: certificates are renewed every few weeks by other programs, at any hour, one file
// after the other, and nobody restarts a mail server for that.
//
// Promise
//   1. The files are looked at every kLookTime; when one has changed, all are read again. Clients
//      that come from then on get the new ones; no session is dropped.
//   2. What cannot be used (a key that does not belong to its certificate, a file that is gone) is
//      told, and what was read before stays in force. At the start it is an error.
//   3. Who expires within kExpiryNotice is told once a day.
//
// Threads: shard 0's; contexts() is an immutable value for all.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/config.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::daemon {

struct TlsContexts {
    std::shared_ptr<const world::TlsServerContext> server;  // null without a [[certificate]]
    std::shared_ptr<const world::TlsClientContext> client;  // for next hosts
};

class Certificates {
public:
    static constexpr auto kLookTime = std::chrono::seconds(10);
    static constexpr auto kExpiryNotice = std::chrono::days(14);

    // REQUIRES: world outlives it and its tasks.
    explicit Certificates(world::World& world) : world_(world) {}

    // Reads what `config` names. On failure nothing has changed.
    Task<Status<Error>> load(std::shared_ptr<const Config> config);

    // Looks after the files from now on; `changed` is called when new contexts are in force.
    void watch(std::function<void()> changed);
    Task<void> stop(Deadline deadline);

    const TlsContexts& contexts() const { return contexts_; }

private:
    struct Stamp {
        uint64_t size = 0;
        Wall modified;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    struct Read {
        TlsContexts contexts;
        std::map<std::string, Stamp> stamps;  // by path
    };

    Task<Result<Read>> read_all(std::shared_ptr<const Config> config);
    Task<Result<std::string>> read_file(std::string path, Read& read);
    Task<bool> anything_changed();
    Task<void> run();
    void tell_all(Event event, bool expiring_only);

    world::World& world_;
    std::shared_ptr<const Config> config_;
    TlsContexts contexts_;
    std::map<std::string, Stamp> stamps_;
    std::function<void()> changed_;
    world::Signal wake_{world_.executor, world_.clock};
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace postrider::daemon
