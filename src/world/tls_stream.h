// world/tls_stream.h: drives a TLS engine over a stream.
//
// The problem: a TLS library turns octets into octets and knows nothing of coroutines, deadlines
// and our stream's promises. What lies between (buffers lent for the moment, a handshake that reads
// and writes in turn, an answer to the peer that arises while reading, goodbyes) is written once
// here, over an engine that does no input or output. The real engine is OpenSSL's, the simulator's
// a toy; so this file runs under the simulator's cuts, too.
//
// Promise: those of tls.h; buffers are 32 KiB blocks out of a pool of the thread, held only while a
// call is under way or octets are left over from one.
//
// Threads: one shard's.

#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "world/clock.h"
#include "world/executor.h"
#include "world/tls.h"

namespace postrider::world {

// A block out of the thread's pool; given back when destroyed or released.
class TlsBlock {
public:
    static constexpr std::size_t kOctets = 32 * 1024;

    TlsBlock() = default;
    TlsBlock(TlsBlock&&) noexcept = default;
    TlsBlock& operator=(TlsBlock&& other) noexcept;
    ~TlsBlock() { release(); }

    bool empty() const { return !octets_; }
    char* borrow();  // the block, which is taken from the pool if it is not here yet
    void release();

private:
    std::unique_ptr<char[]> octets_;
};

// The octets of the connection, as an engine sees them.
struct TlsWires {
    std::string_view in;    // came and was not used; the engine takes from the front
    bool in_ended = false;  // nothing comes behind it
    TlsBlock out_block;
    std::size_t out_octets = 0;  // to be sent

    // Takes as much of `octets` as there is room for.
    std::size_t put(std::string_view octets);
};

enum class TlsStep : uint8_t {
    Done,       // read and write: `octets` were moved, at least one
    WantInput,  // more of wires.in
    WantRoom,   // wires' out must be sent first
    Ended,      // read: the peer said close_notify
    Failed,     // see error(); the engine is of no use any more
};

struct TlsProgress {
    TlsStep step = TlsStep::Done;
    std::size_t octets = 0;
};

class TlsEngine {
public:
    virtual ~TlsEngine() = default;

    virtual TlsStep handshake(TlsWires& wires) = 0;

    // After the handshake.
    virtual TlsProgress read(TlsWires& wires, std::span<char> into) = 0;
    virtual TlsStep peek(TlsWires& wires) = 0;  // what read() would answer
    virtual TlsProgress write(TlsWires& wires, std::string_view from) = 0;
    virtual void say_end(TlsWires& wires) = 0;  // close_notify; if there is no room, nothing

    virtual TlsError error() const = 0;  // after Failed
    virtual TlsFacts facts() const = 0;
    virtual std::optional<std::string> channel_binding(ChannelBinding kind) const = 0;
};

// The handshake, and the stream that comes of it. REQUIRES: executor and clock outlive both.
Task<Result<std::unique_ptr<TlsStream>, TlsError>> tls_handshake(std::shared_ptr<Stream> stream,
                                                                 std::unique_ptr<TlsEngine> engine,
                                                                 Executor& executor, Clock& clock,
                                                                 Deadline deadline);

}  // namespace postrider::world
