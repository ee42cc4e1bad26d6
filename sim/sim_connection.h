// sim/sim_connection.h: one connection: two sides, and what is between them.
//
// Octets written go to the outbox of a side, are cut into segments, are in flight for a while, and
// land in the inbox of the other side. What is in flight and in the inbox is bounded, so a reader
// that does not read stops the writer.
//
// Invariants
//   1. Segments of one direction arrive in order; each octet once.
//   2. A side is heard of no more when it is silent (power lost) or finished.
//   3. What had arrived before a reset can still be read; then read answers Reset.
//
// Threads: one.

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "sim/host_state.h"
#include "world/net.h"

namespace postrider::sim {

// A queue of octets that does not move them at each take.
class Octets {
public:
    std::size_t size() const { return text_.size() - head_; }
    bool empty() const { return size() == 0; }
    void append(std::string_view octets) { text_.append(octets); }
    std::string_view front(std::size_t count) const {
        return std::string_view(text_).substr(head_, count);
    }
    void drop(std::size_t count) {
        head_ += count;
        if (head_ == text_.size()) {
            clear();
        } else if (head_ > 64 * 1024) {
            text_.erase(0, head_);
            head_ = 0;
        }
    }
    void clear() {
        text_.clear();
        head_ = 0;
    }

private:
    std::string text_;
    std::size_t head_ = 0;
};

struct Segment {
    std::string octets;  // empty: the end of the stream
    Monotonic due;
};

struct Side {
    HostState* host = nullptr;
    world::Endpoint local;
    world::Endpoint peer;

    Octets inbox;
    bool end_arrived = false;
    Octets outbox;
    bool is_shut = false;  // no more writes
    bool end_sent = false;
    bool is_closed = false;   // by its program
    Monotonic lingers_until;  // closed: until then what comes is dropped, not answered
    bool is_broken = false;   // reset
    bool is_silent = false;   // its machine lost power
    std::string why_broken;

    std::deque<Segment> in_flight;  // towards the other side
    std::size_t in_flight_octets = 0;
    bool is_scheduled = false;  // the next arrival
    bool is_stalled = false;    // the next segment does not get through
    uint64_t stalls = 0;

    WaitPoint readable;
    WaitPoint writable;

    bool is_gone() const { return is_silent || is_broken || (is_closed && end_sent); }
};

struct Connection : std::enable_shared_from_this<Connection> {
    Network* network = nullptr;  // null when the simulation is over
    uint64_t id = 0;
    std::array<Side, 2> sides;

    // Moves octets of `side` from its outbox into flight, as far as the other side has room.
    void pump(int side);
    // Ends the writing of `side` after what is in its outbox.
    void shut_write(int side);
    void close(int side);
    // The program that had the side is dead: closed, and the system answers what comes.
    void abandon(int side);
    // The side hears of a reset now.
    void break_side(int side, std::string why);
    // Tells the side, one latency later or as soon as it can be reached.
    void send_reset(int to_side, std::string why);
    void retry(int side);  // after a cut has healed
    // The network forgets it when nobody is left at either side.
    void forget_if_over();

private:
    bool gets_through(int side) const;
    void schedule(int side);
    void arrive(int side);
    void stall(int side);
    void answer_by_reset(int to_side, std::string why, Monotonic until);
};

// A listening socket, shared by its handles.
struct ListenerState {
    HostState* host = nullptr;
    world::Endpoint local;
    std::size_t backlog = 0;
    bool is_listening = false;  // false again when the host died or the last handle closed
    std::deque<std::shared_ptr<Connection>> waiting;  // the server is side 1
    std::vector<WaitPoint*> handles;                  // of the open handles, oldest first

    void add(std::shared_ptr<Connection> connection);
    void wake_one();  // any of the handles that wait, drawn
};

// The program's end of one side of a connection.
std::unique_ptr<world::Stream> make_stream(std::shared_ptr<Connection> connection, int side);

}  // namespace postrider::sim
