// sim/trace_hash.h: one number that stands for everything that happened in a run.
//
// Each event of the loop, each write, segment and log line is mixed in. Two runs of one seed must
// end with the same number, in any process; where they do not, something real (a pointer's value,
// an iteration order, the machine's clock) has leaked into the simulated world.
//
// Threads: a value; the simulator has one thread.

#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace postrider::sim {

// The kinds of things that are mixed in; the numbers are part of the golden value in the tests.
enum class Trace : uint64_t {
    Event = 1,
    Boot = 2,
    Kill = 3,
    PowerLoss = 4,
    Disk = 5,
    Segment = 6,
    Connect = 7,
    Log = 8,
    Dns = 9,
};

class TraceHash {
public:
    void mix(uint64_t word) {
        value_ = (value_ ^ word) * 0x9FB21C651E98DF25u;
        value_ ^= value_ >> 29;
    }
    void mix(Trace kind, uint64_t a, uint64_t b = 0) {
        mix(static_cast<uint64_t>(kind));
        mix(a);
        mix(b);
    }
    void mix(std::string_view octets) {
        mix(octets.size());
        while (octets.size() >= sizeof(uint64_t)) {
            uint64_t word = 0;
            std::memcpy(&word, octets.data(), sizeof word);
            mix(word);
            octets.remove_prefix(sizeof word);
        }
        for (char c : octets) mix(uint64_t(uint8_t(c)));
    }

    uint64_t value() const { return value_; }

private:
    uint64_t value_ = 0x6A09E667F3BCC908u;
};

}  // namespace postrider::sim
