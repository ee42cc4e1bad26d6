// world/random.h: the only source of chance. The real one is the system's (unpredictable, fit for
// nonces); the simulator's comes from the seed.
//
// Threads: from anywhere.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace postrider::world {

class Random {
public:
    virtual ~Random() = default;

    virtual void fill(std::span<std::byte> bytes) = 0;

    uint64_t next() {
        uint64_t value = 0;
        fill(std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }

    // A number below `bound`. REQUIRES: bound > 0. Bias is below 2^-32 for bounds below 2^32.
    uint64_t below(uint64_t bound) { return next() % bound; }
};

}  // namespace postrider::world
