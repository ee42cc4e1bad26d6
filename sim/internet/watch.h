// sim/internet/watch.h: looks at running servers now and then: is everything bounded, does nobody
// starve?
//
// At each look, for each server that is up
//   - its memory account is within its limit;
//   - its spool on disk is within a multiple of what is live in it;
//   - nothing that is due waits for longer than a minute of virtual time while its site has a free
//     place.
// Servers that had an accident within the last minute are left alone: they are catching up.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/internet/internet.h"

namespace postrider::sim {

class Watch {
public:
    static constexpr Duration kEvery = std::chrono::seconds(20);

    explicit Watch(Internet& net) : net_(net), late_(std::size_t(net.server_count())) {}

    void start();
    uint64_t looks() const { return looks_; }
    std::size_t memory_peak() const { return memory_peak_; }
    uint64_t disk_peak() const { return disk_peak_; }
    std::size_t queue_peak() const { return queue_peak_; }

private:
    void look();
    void look_at(int server);
    void look_again(int server);
    // By index and generation of the entry: what to say about it.
    using Late = std::map<std::pair<uint32_t, uint32_t>, std::string>;
    Late late_entries(RiverHost& river);
    bool had_accident(const Host& host) const;

    Internet& net_;
    std::vector<Late> late_;  // by server: at the last look
    uint64_t looks_ = 0;
    std::size_t memory_peak_ = 0;
    uint64_t disk_peak_ = 0;  // octets of one spool
    std::size_t queue_peak_ = 0;
};

}  // namespace postrider::sim
