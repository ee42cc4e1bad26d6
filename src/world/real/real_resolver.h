// world/real/real_resolver.h: DNS over libunbound, which follows names, validates and caches.
//
// libunbound runs on a thread of its own, made by the first question; all calls to it come from
// shard 0, and its answers arrive there through a descriptor that shard 0's loop watches.
//
// Promise
//   1. A question that is already open is not asked again: who comes later waits for its answer.
//   2. An answer is kept (answer_cache.h) and given again until its TTL ends; failures are not.
//   3. Who waits leaves at his deadline, at the latest after kQueryTimeMax; when nobody waits any
//      more the question is cancelled.
//   4. At most outstanding_max questions are open; further ones wait for room, and get TooMany when
//      their deadline passes first.
//
// What libunbound calls SERVFAIL may be a failure that the servers reported, or silence of all of
// them that outlasted its own patience: it does not say. The reason tells how long it took.
//
// Failure: options that cannot be (prepare()) make every answer Temporary with Broken.
// Threads: query() from any shard; made and destroyed by the owner when no loop runs.
// RFC 1034 §5, RFC 2308, RFC 4035 §4.3, RFC 6761 (names of special use).

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "world/clock.h"
#include "world/executor.h"
#include "world/real/answer_cache.h"
#include "world/real/loop.h"
#include "world/resolver.h"
#include "world/signal.h"

struct ub_ctx;
struct ub_result;

namespace postrider::world::real {

// Where Debian's package dns-root-data keeps the key of the root.
inline constexpr const char* kRootKeyFile = "/usr/share/dns/root.key";

inline constexpr Duration kQueryTimeMax = std::chrono::seconds(60);

struct ResolverOptions {
    // Recursive servers to ask, "192.0.2.1" or "192.0.2.1@5353"; none: the root servers and on.
    // With forwarders private address ranges and the name "test" are asked too.
    std::vector<std::string> forwarders;
    // Keys to validate by, in a zone file's form. Not set: kRootKeyFile where it exists, unless
    // there are forwarders (one that drops signatures would make every answer bogus). Empty: no
    // validation.
    std::optional<std::string> trust_anchor_file;
    std::string root_hints;  // file; empty: those built in
    std::size_t outstanding_max = 2000;
    std::size_t cache_entries_max = 20'000;
};

class RealResolver : public Resolver, private Watched {
public:
    // Does nothing yet: a program that asks nothing pays nothing.
    RealResolver(ResolverOptions options, Executor& executor, Clock& clock, Loop& shard0);
    ~RealResolver() override;
    RealResolver(const RealResolver&) = delete;
    RealResolver& operator=(const RealResolver&) = delete;

    // Reads the options, once; says what is wrong with them. The first question does it too: this
    // is for a start that should fail early. On shard 0, or when no loop runs.
    const Status<Error>& prepare();

    Task<dns::Answer> query(dns::Question question, Deadline deadline) override;

private:
    struct Flight;
    struct Seat;
    struct FreeContext {
        void operator()(ub_ctx* context) const;
    };

    Status<Error> configure();
    Task<dns::Answer> ask(dns::Question question, Deadline deadline);
    std::shared_ptr<Flight> take_off(const dns::Question& question);
    void land(Flight& flight, dns::Answer answer);
    void leave(Flight& flight);
    bool has_room() const { return flights_.size() < options_.outstanding_max; }
    void offer_room();
    void handle_events(uint32_t events) override;
    static void handle_answer(void* flight, int error, ub_result* result);

    const ResolverOptions options_;
    Executor& executor_;
    Clock& clock_;
    AnswerCache cache_;
    std::unique_ptr<ub_ctx, FreeContext> context_;
    std::optional<Status<Error>> prepared_;
    std::unordered_map<dns::Question, std::shared_ptr<Flight>> flights_;
    Signal room_{executor_, clock_};
    Loop& shard0_;
    bool watched_ = false;  // from the first question on
};

}  // namespace postrider::world::real
