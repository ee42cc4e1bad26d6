// sim/river_scenario.h: the whole river under bad days, from one seed.
//
// Clients send without a pause; at drawn moments the machine loses power, is killed, stopped in
// order, suspended, its clock set; after each ten or so such days the clients rest until the queue
// is empty, and the mailboxes are held against what the clients were told (mailbox_check.h).
//
// Promise: the same options give the same summary, trace hash included, in any process and build.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "sim/mail_client.h"

namespace postrider::sim {

struct RiverScenario {
    uint64_t seed = 1;
    uint64_t losses = 50;               // of power, or kills and stops instead of them
    uint32_t kills_per_1000 = 0;        // of these days, the program is killed and the system lives
    uint32_t stops_per_1000 = 0;        // it is asked to stop, while clients send
    uint32_t clock_jumps_per_1000 = 0;  // before the day ends the wall clock is set
    uint32_t suspensions_per_1000 = 0;  // the machine sleeps
    uint32_t failing_syncs_per_1000 = 0;                 // some syncs and writes fail
    bool forget_sync = false;                            // a lie, to prove that it is seen
    bool forget_directory_sync = false;                  // the same for names
    Duration life_max = std::chrono::milliseconds(300);  // from open to the end, at most
    MailClientOptions clients{};
};

struct RiverSummary {
    uint64_t losses = 0;
    uint64_t accepted = 0;   // messages answered 250
    uint64_t delivered = 0;  // copies in mailboxes
    uint64_t repeated = 0;   // sent again because no reply came
    uint64_t refused = 0;    // 4yz
    uint64_t reports = 0;
    uint64_t set_aside = 0;  // poisonous: was being tried when the program died, again and again
    uint64_t damage = 0;     // told by the spool
    uint64_t events = 0;
    uint64_t trace_hash = 0;
    uint64_t violations_count = 0;
    std::vector<std::string> violations;  // the first of them

    std::string text() const;  // one line
};

RiverSummary run_river(const RiverScenario& scenario);

}  // namespace postrider::sim
