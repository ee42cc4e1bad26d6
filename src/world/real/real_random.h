// world/real/real_random.h: the system's random octets, fit for nonces and keys.
//
// Small requests are served from a buffer per thread, so that an id does not cost a system call;
// what was given out is wiped from the buffer. A process forked from this one must not go on using
// it without an exec: it would repeat what the buffer holds.
//
// Failure: a system that gives no random octets ends the process; nothing safe can be done then.
// Threads: from anywhere.

#pragma once

#include "world/random.h"

namespace postrider::world::real {

class RealRandom : public Random {
public:
    void fill(std::span<std::byte> bytes) override;
};

}  // namespace postrider::world::real
