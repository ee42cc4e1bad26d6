// world/resolver.h: questions to DNS.
//
// Promise
//   1. The answer comes by the deadline: Temporary with Timeout when it passes first. A deadline
//      further away than the resolver's own patience does not make it wait longer.
//   2. CNAMEs are followed. Names are asked as they are: no search list, no guess.
//   3. Answers may come from a cache, within their TTL; ttl_seconds is what is left of it.
//
// Threads: query() from a shard's thread; the answer comes on the calling shard.

#pragma once

#include "base/task.h"
#include "base/time.h"
#include "dns/answer.h"

namespace postrider::world {

class Resolver {
public:
    virtual ~Resolver() = default;

    virtual Task<dns::Answer> query(dns::Question question, Deadline deadline) = 0;
};

}  // namespace postrider::world
