// accounts/quota.h: how many messages each account may send in an hour.
//
// A bucket that fills at the allowed rate and holds one hour's worth: who was silent may send an
// hour's messages at once, and nobody sends more than that in an hour for long.
//
// Promise: at most kSendersMax senders are remembered; when it is full, the one that sent least
// lately goes first, and begins anew. A restart forgets all.
// Threads: from any shard (a small lock).

#pragma once

#include <list>
#include <map>
#include <mutex>
#include <string>

#include "base/time.h"

namespace postrider::accounts {

class Quota {
public:
    static constexpr std::size_t kSendersMax = 10'000;

    // Takes one message out of the sender's bucket; false: it is empty. REQUIRES: per_hour > 0.
    bool take(const std::string& sender, Monotonic now, uint64_t per_hour);

private:
    struct Bucket {
        std::string sender;
        double messages = 0;
        Monotonic at;
    };

    std::mutex lock_;
    std::list<Bucket> buckets_;  // the one that sent last in front
    std::map<std::string, std::list<Bucket>::iterator> places_;
};

}  // namespace postrider::accounts
