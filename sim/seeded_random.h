// sim/seeded_random.h: chance that can be repeated.
//
// Everything that a run leaves to chance is drawn from generators of this type, each made from the
// run's seed and a label, so that the disk of one host and the latencies of the net do not disturb
// one another. The generator is xoshiro256**, filled by splitmix64; the standard library's
// distributions are not used, since their results differ between libraries.
//
// Threads: a value; the simulator has one thread.

#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/time.h"

namespace postrider::sim {

constexpr uint64_t splitmix64(uint64_t& state) {
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

class SeededRandom {
public:
    // Generators of one seed with different labels are independent of each other.
    explicit SeededRandom(uint64_t seed, uint64_t label = 0) {
        uint64_t state = seed;
        uint64_t mixed = splitmix64(state) ^ (label * 0xD1342543DE82EF95u);
        for (uint64_t& word : state_) word = splitmix64(mixed);
    }

    uint64_t next() {
        uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    // A number below `bound`. REQUIRES: bound > 0.
    uint64_t below(uint64_t bound) {
        assert(bound > 0);
        return next() % bound;
    }

    // A number from `low` to `high`, both included. REQUIRES: low <= high, not the whole range.
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }

    Duration between(Duration low, Duration high) {
        if (high <= low) return low;
        return low + Duration(int64_t(below(uint64_t((high - low).count()) + 1)));
    }

    bool chance(uint32_t per_1000) { return per_1000 > 0 && below(1000) < per_1000; }

    void fill(std::span<std::byte> bytes) {
        while (!bytes.empty()) {
            uint64_t word = next();
            std::size_t count = bytes.size() < sizeof word ? bytes.size() : sizeof word;
            std::memcpy(bytes.data(), &word, count);
            bytes = bytes.subspan(count);
        }
    }

private:
    std::array<uint64_t, 4> state_;
};

}  // namespace postrider::sim
