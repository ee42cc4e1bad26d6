// sim/foreign_host.h: a next host that belongs to somebody else, with manners of its own.
//
// The problem: what a relay owes to each recipient shows only against hosts that refuse, put off,
// break off at every step, say nothing, or take a message and never say so. This host does what its
// Manners say and writes down what it really kept.
//
// It knows nothing of our own SMTP code. It is told from the Received field of a message, or the
// boundary of a report, which one it has in hand, so that a repeat is seen as one.
//
// A take is *confirmed* once the client has shown by what it said next (QUIT, or another message)
// that it heard the reply and is done with this one: from then on the message must not come again.
//
// Manners may be changed at any moment between events.
// Threads: one. The host is never killed.
// RFC 5321 §4 (the dialogue), RFC 6647 (greylisting).

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/seeded_random.h"
#include "sim/simulation.h"

namespace postrider::sim {

// Where in a dialogue something happens.
enum class FarStep : uint8_t {
    Greeting,
    Hello,
    Mail,
    Rcpt,
    Data,
    End,
};

struct Manners {
    Duration pause{};        // before each reply
    Duration end_pause{};    // before the reply to the final dot; then the message is kept already
    bool by_octets = false;  // replies go out octet by octet, with 10 ms between
    bool pipelining = true;
    bool hangs = false;         // takes connections and says nothing at all
    Duration greylisted{};      // RCPT gets 450 until so long after the recipient's first; 0 = not
    int put_off_times = 0;      // each recipient gets so many 450 before it is taken
    uint32_t recipients_max{};  // more in one transaction get 452; 0 = no limit
    uint32_t recipients_per_connection{};   // the same, for all its transactions together
    FarStep closes_at = FarStep::Greeting;  // says 421 there and closes ...
    uint32_t closes_per_1000 = 0;           // ... so often
    FarStep cuts_at = FarStep::Greeting;    // closes there without a word ...
    uint32_t cuts_per_1000 = 0;             // ... so often; at End nothing is kept
    uint32_t drops_reply_per_1000 = 0;      // keeps the message and closes before the reply
    bool many_lines = false;                // long replies, with lines that say nothing
    uint32_t wrong_codes_per_1000 = 0;      // MAIL, RCPT and DATA get a code that no RFC knows
    uint32_t garbage_per_1000 = 0;          // MAIL gets what is no reply at all
    uint32_t per_minute_max = 0;            // more messages in a minute get 450; 0 = no limit
    uint32_t connections_max = 0;           // more at once are told 421; 0 = no limit
    bool tls = false;                       // offers STARTTLS ...
    uint32_t tls_stripped_per_1000 = 0;     // ... but so often somebody takes the offer out,
    uint32_t tls_refused_per_1000 = 0;      // so often it says 454,
    uint32_t tls_failed_per_1000 = 0;       // so often the handshake fails, hangs or breaks off,
    uint32_t tls_wrong_per_1000 = 0;        // so often the certificate is another's or expired
};

// Recipients whose local part begins so are always refused with 550.
inline constexpr std::string_view kRefused = "refused";

// What every client has agreed with a host beforehand; what breaks it is a fault.
enum class Demand : uint8_t {
    Nothing,
    Tls,          // no envelope and no message in plaintext
    Certificate,  // and none for a domain that the host's certificate is not for
};

struct Take {
    Monotonic at;            // the simulation's clock
    bool replied = false;    // the 250 was written
    bool confirmed = false;  // see above
};

// A message that a foreign host keeps.
struct Kept {
    std::string id;
    std::string reverse_path;  // empty = null
    std::vector<std::string> recipients;
    const std::string& content;
};

class ForeignHost {
public:
    using Key = std::pair<std::string, std::string>;  // id of the message, recipient

    // Serves port 25 of `address` from now on. REQUIRES: sim outlives this.
    ForeignHost(Simulation& sim, std::string name, std::string_view address, Manners manners = {});

    Manners manners;
    Demand demand = Demand::Nothing;

    // May be empty. Called when a message is kept, and when a recipient is named.
    std::function<void(const Kept&)> on_keep;
    std::function<void(const std::string& recipient, const world::Endpoint& client)> on_recipient;
    // What a message is known by; several servers need more than id_of_trace().
    std::function<std::string(std::string_view content)> key_of;

    // What was kept, in order; a message that came twice has two takes for each recipient.
    const std::map<Key, std::deque<Take>>& taken() const { return taken_; }
    // Times of the RCPT commands for a recipient.
    const std::map<std::string, std::vector<Monotonic>>& asked() const { return asked_; }
    // The newest content that came under a message's id, with the trace fields of the way here.
    const std::map<std::string, std::string>& contents() const { return contents_; }
    const std::vector<std::string>& faults() const { return faults_; }  // what nobody should say
    uint64_t connections() const { return connections_; }
    // Forgets what was kept and asked, if nobody is connected.
    void forget();
    Host& host() { return host_; }

private:
    struct Session;

    Task<void> listen(world::World& world, world::IpEndpoint endpoint);
    Task<void> serve(world::World& world, std::unique_ptr<world::Stream> stream);
    Task<bool> say(Session& session, std::string reply);
    Task<bool> greet(Session& session);
    Task<bool> hear_command(Session& session, std::string line);
    Task<bool> hear_content(Session& session);
    Task<bool> shake_hands(Session& session);
    TlsOutcome draw_outcome();
    std::string extensions(const Session& session);
    void look_at_demand(const Session& session, const std::string& line);
    void fault(std::string what);
    std::string answer_recipient(Session& session, const std::string& recipient);
    void keep(Session& session, const std::string& content, bool replies);
    bool breaks(FarStep step, Session& session);
    bool is_wrong();

    Simulation& sim_;
    Host& host_;
    SeededRandom random_;
    std::map<Key, std::deque<Take>> taken_;
    std::map<std::string, std::vector<Monotonic>> asked_;
    std::map<std::string, std::string> contents_;
    std::vector<std::string> faults_;
    std::deque<Monotonic> newest_;  // messages of the last minute
    uint64_t connections_ = 0;
    std::shared_ptr<uint64_t> connected_ = std::make_shared<uint64_t>(0);  // now
};

// The id in the first Received field of a message, or the id that a report of ours has in its
// boundary; empty = there is none.
std::string id_of_trace(std::string_view content);

}  // namespace postrider::sim
