// verdict/verdict.h: is this message what it says it is? SPF, DKIM and DMARC, while it flows in.
//
// The problem: three methods ask the DNS a dozen times, one needs every octet of the message, and
// one needs what the others found; the client waits meanwhile. So look-ups begin as early as what
// they need is known, run side by side, and the content is hashed as it passes.
//
//     Verdict verdict(doors, keys, facts);       when the content begins; SPF is asked
//     verdict.take_header(block);                as it came: DKIM keys and the DMARC record are
//     if (verdict.wants_body()) verdict.take_body(chunk); ...
//     Evidence evidence = co_await verdict.finish();
//
// Promise
//   1. Each question is asked once for a message; DKIM keys that the cache knows are not asked for.
//   2. A message without a signature that can be checked is not hashed.
//   3. finish() takes at most facts.time_max; what is not known by then is a temporary error.
//   4. Destroyed before finish(), it asks nothing more.
//
// What is done with the message is not decided here (disposition.h).
// Failure: none but results. Threads: one shard's.
// RFC 7208 §2.3, §2.4, §4.6.4; RFC 6376 §6; RFC 9989 §5.3.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/task.h"
#include "mail/mailbox.h"
#include "mailauth/dkim/key_cache.h"
#include "mailauth/ip_address.h"
#include "verdict/evidence.h"
#include "verdict/lookups.h"

namespace postrider::verdict {

struct Facts {
    mailauth::IpAddress client;
    std::string helo;
    ReversePath reverse_path;
    std::string hostname;  // ours, for SPF's explanations
    Duration time_max = std::chrono::seconds(20);
};

class Verdict {
public:
    // REQUIRES: the doors and keys, which is this shard's, outlive it.
    Verdict(Doors doors, mailauth::dkim::KeyCache& keys, Facts facts);
    ~Verdict();
    Verdict(const Verdict&) = delete;
    Verdict& operator=(const Verdict&) = delete;

    // All fields as they came, before any edit. Once, before the body.
    void take_header(std::string_view block);

    bool wants_body() const;
    void take_body(std::string_view chunk);

    // The content has ended. REQUIRES: take_header() was called; called once.
    Task<Evidence> finish();

private:
    class Inquest;
    std::unique_ptr<Inquest> inquest_;
};

}  // namespace postrider::verdict
