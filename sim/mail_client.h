// sim/mail_client.h: clients that send marked messages and remember what they were told.
//
// The problem: whether a server keeps its word is known only to somebody who wrote down what it
// said. These clients know nothing of our own SMTP code: they write their lines and read digits.
//
// What they do: compose a message with a mark of its own, send it, and send it again, as RFC 5321
// §4.5.4.1 has it, after a temporary refusal, a broken connection or a reply that did not come in
// time, until it is answered 250.
//
// Promise: for each mark the MailBook says what was sent, how often the final dot went out, and
// the ids under which it was accepted.
//
// Threads: one. The host of the clients is never killed.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/id.h"
#include "sim/seeded_random.h"
#include "sim/simulation.h"

namespace postrider::sim {

struct SentMessage {
    std::string reverse_path;             // without brackets; empty = null
    std::vector<std::string> recipients;  // each once
    std::string content;                  // CRLF line ends, no dots added
    uint64_t ends = 0;                    // final dots sent: so many copies there may be
    bool unanswered = false;              // no reply came to the last of them
    std::vector<MessageId> accepted;      // answered 250 with this id
};

struct MailBook {
    std::map<uint64_t, SentMessage> sent;  // by mark
    uint64_t accepted = 0;                 // answered 250
    uint64_t repeated = 0;                 // sent again because no reply came
    uint64_t refused_for_now = 0;          // 4yz to anything
    std::map<int, uint64_t> codes;         // how often each 4yz came
    std::vector<std::string> faults;       // what a client should never hear
};

struct MailClientOptions {
    int sessions = 20;                                     // at once
    Duration reply_time = std::chrono::milliseconds(120);  // longest wait for a reply
    Duration pause_max = std::chrono::milliseconds(20);    // before a new connection
    uint64_t messages_per_session_max = 6;
    uint64_t octets_max = 6'000;   // of a small message
    uint32_t large_per_1000 = 20;  // these have up to large_octets_max
    uint64_t large_octets_max = 260'000;
    uint32_t remote_per_1000 = 60;  // with a recipient elsewhere, whose host is not found
};

class MailClient {
public:
    // REQUIRES: sim outlives this. The client's host has the address 192.0.2.2.
    MailClient(Simulation& sim, MailClientOptions options);

    void start();
    // Begins no further messages; those begun are sent until they are accepted.
    void pause() { paused_ = true; }
    void resume() { paused_ = false; }
    bool is_idle() const { return busy_ == 0; }

    MailBook& book() { return book_; }
    Host& host() { return host_; }
    MailClientOptions options;

private:
    struct Session;

    Task<void> work(world::World& world, int number);
    Task<bool> hold_session(world::World& world, std::optional<uint64_t>& mark);
    Task<bool> send(Session& session, uint64_t mark);
    Task<bool> send_content(Session& session, SentMessage& message);
    uint64_t compose();

    Host& host_;
    SeededRandom random_;
    MailBook book_;
    uint64_t next_mark_ = 1;
    int busy_ = 0;  // sessions that have a message to send
    bool paused_ = false;
};

}  // namespace postrider::sim
