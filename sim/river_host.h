// sim/river_host.h: a simulated machine on which the whole server runs.
//
// The problem: a test of the river wants to say "this configuration, on this machine, now the power
// fails, now it starts again", and to look at what is inside meanwhile.
//
// Promise: what runs is daemon::River over the host's world, made from the text of a configuration
// file by the same loader as in production. Nothing of the river is replaced.
//
// The mailboxes lie below /data/mail, the spool in /data/spool.
//
// Failure: a configuration with a mistake ends the program (a mistake of the test); a river that
// does not open leaves its reason in open_error().
// Threads: one.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/river.h"
#include "sim/simulation.h"
#include "world/signal.h"

namespace postrider::sim {

// A small server for river.example with the mailboxes alice, bob and carol on 192.0.2.1:25, which
// relays for 192.0.2.0/24. The arguments are lines added to the sections of the configuration.
std::string river_config(std::string_view general = "", std::string_view smtp = "",
                         std::string_view min_free = "0");

class RiverHost {
public:
    // Where a [[certificate]] may lie: one for the host, made before the river opens.
    static constexpr std::string_view kCertificateFile = "/tls/chain.pem";

    // REQUIRES: sim outlives this; config is a sound configuration. Without a name and address: the
    // one that river_config() is for.
    RiverHost(Simulation& sim, std::string_view config, int shards = 2, std::string name = "river",
              std::string_view address = "192.0.2.1");

    void boot();
    void kill() { host_.kill(); }
    void power_loss() { host_.power_loss(); }

    // Asks the river to stop, as SIGTERM does; is_up() until it has.
    void stop(Duration patience);
    bool has_stopped() const { return stopped_; }  // in the last life, in order

    bool is_open() const { return river_ != nullptr; }
    const std::string& open_error() const { return open_error_; }
    daemon::River& river() { return *river_; }  // REQUIRES: is_open()
    Host& host() { return host_; }

    // Whether nothing is left to do: no entry in the queue, no live message in the spool. Lets
    // virtual time pass until it is so, at most `limit`.
    bool run_until_empty(Duration limit);

    // Nothing if it is down. Lets a little virtual time pass.
    std::optional<spool::SpoolStats> ask_spool();

private:
    Task<void> run(world::World& world);
    Task<void> write_certificate(world::World& world);

    Simulation& sim_;
    Host& host_;
    std::shared_ptr<const daemon::Config> config_;
    daemon::River* river_ = nullptr;        // of this life
    world::Signal* stop_wanted_ = nullptr;  // of this life
    std::optional<Duration> stop_patience_;
    bool stopped_ = false;
    std::string open_error_;
};

}  // namespace postrider::sim
