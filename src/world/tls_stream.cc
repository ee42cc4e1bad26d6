#include "world/tls_stream.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>
#include <utility>

#include "world/signal.h"

namespace postrider::world {

namespace {

constexpr std::size_t kBlocksKeptMax = 16;  // per thread
// What one record carries: more in one write is cut, less is gathered.
constexpr std::size_t kRecordOctets = 16 * 1024;
constexpr Duration kGoodbyeTime = std::chrono::seconds(5);

std::vector<std::unique_ptr<char[]>>& pool() {
    thread_local std::vector<std::unique_ptr<char[]>> kept;
    return kept;
}

NetError closed_error(std::string_view verb) {
    return {NetError::Kind::Closed, fmt::format("{}: the stream was closed", verb)};
}

// What the stream and its calls share. The calls hold it, not the stream: a stream may be destroyed
// while somebody waits in it, and that one is then told Closed.
struct Core {
    Core(std::shared_ptr<Stream> stream, std::unique_ptr<TlsEngine> made, Executor& the_executor,
         Clock& the_clock)
        : below(std::move(stream)),
          engine(std::move(made)),
          executor(the_executor),
          clock(the_clock) {}

    std::shared_ptr<Stream> below;
    std::unique_ptr<TlsEngine> engine;
    Executor& executor;
    Clock& clock;
    TlsWires wires;
    TlsBlock in_block;            // wires.in lies in it
    bool sending = false;         // somebody writes below
    bool write_broken = false;    // a write did not end well: what the peer has is not known
    bool failed = false;          // the engine is of no use any more
    bool no_more_writes = false;  // shut_write() or close()
    bool closed = false;
    bool parting = false;  // part() is under way
    std::optional<Signal> sent;

    NetError engine_error() const {
        return {NetError::Kind::Reset, "TLS: " + engine->error().message};
    }

    // Gives the block back when nothing is left in it.
    void tidy() {
        if (wires.in.empty()) in_block.release();
        if (wires.out_octets == 0) wires.out_block.release();
    }
};

using CoreRef = std::shared_ptr<Core>;

// Sends what the engine has put out. If somebody is sending already, he takes it along.
Task<Status<NetError>> send_out(CoreRef core, Deadline deadline) {
    if (core->sending) co_return {};
    while (core->wires.out_octets > 0 && !core->write_broken) {
        TlsBlock block = std::move(core->wires.out_block);
        std::size_t octets = std::exchange(core->wires.out_octets, 0);
        std::array<std::string_view, 1> pieces{std::string_view(block.borrow(), octets)};
        core->sending = true;
        auto wrote = co_await core->below->write(pieces, deadline);
        core->sending = false;
        if (core->sent) core->sent->notify_all();
        if (!wrote) {
            core->write_broken = true;
            co_return wrote;
        }
    }
    if (core->write_broken) {
        co_return std::unexpected(
            NetError{NetError::Kind::Reset, "write: an earlier one broke off"});
    }
    co_return {};
}

// As send_out, but waits until somebody else's sending is over.
Task<Status<NetError>> send_in_turn(CoreRef core, Deadline deadline) {
    while (core->sending) {
        if (!core->sent) core->sent.emplace(core->executor, core->clock);
        if (!co_await core->sent->wait(deadline)) {
            core->write_broken = true;
            co_return std::unexpected(
                NetError{NetError::Kind::TimedOut, "write: the deadline passed"});
        }
    }
    co_return co_await send_out(core, deadline);
}

// Gets more octets from below. Holds no block while nothing comes.
Task<Status<NetError>> fill(CoreRef core, Deadline deadline) {
    assert(core->wires.in.empty());
    core->tidy();
    auto readable = co_await core->below->wait_readable(deadline);
    if (!readable) co_return readable;
    TlsBlock block;  // the core's own, while it is empty, may be given back by who writes
    auto got = co_await core->below->read({block.borrow(), TlsBlock::kOctets}, deadline);
    if (!got) co_return std::unexpected(got.error());
    core->in_block = std::move(block);
    core->wires.in = {core->in_block.borrow(), *got};
    core->wires.in_ended = *got == 0;
    co_return {};
}

// Waits until the engine can go on reading after `step`.
Task<Status<NetError>> go_on(CoreRef core, TlsStep step, Deadline deadline) {
    if (core->wires.out_octets > 0) {
        auto sent = co_await send_out(core, deadline);
        if (!sent && step == TlsStep::WantRoom) co_return sent;
    }
    if (step == TlsStep::WantRoom) co_return co_await send_in_turn(core, deadline);
    co_return co_await fill(core, deadline);
}

bool must_wait(TlsStep step) { return step == TlsStep::WantInput || step == TlsStep::WantRoom; }

Task<Status<NetError>> wait_readable_on(CoreRef core, Deadline deadline) {
    while (true) {
        if (core->closed) co_return std::unexpected(closed_error("wait"));
        if (core->failed) co_return {};  // read() says why
        TlsStep step = core->engine->peek(core->wires);
        core->failed = step == TlsStep::Failed;
        if (!must_wait(step)) {
            if (core->wires.out_octets > 0) (void)co_await send_out(core, deadline);
            core->tidy();
            co_return {};
        }
        auto ready = co_await go_on(core, step, deadline);
        if (!ready) co_return ready;
    }
}

Task<Result<std::size_t, NetError>> read_from(CoreRef core, std::span<char> into,
                                              Deadline deadline) {
    assert(!into.empty());
    while (true) {
        if (core->closed) co_return std::unexpected(closed_error("read"));
        if (core->failed) co_return std::unexpected(core->engine_error());
        TlsProgress progress = core->engine->read(core->wires, into);
        core->failed = progress.step == TlsStep::Failed;
        if (!must_wait(progress.step)) {
            // An alert, or the answer to a new key: the peer waits for it, the reader does not.
            if (core->wires.out_octets > 0) (void)co_await send_out(core, deadline);
            core->tidy();
            if (core->failed) co_return std::unexpected(core->engine_error());
            co_return progress.step == TlsStep::Ended ? 0 : progress.octets;
        }
        auto ready = co_await go_on(core, progress.step, deadline);
        if (!ready) co_return std::unexpected(ready.error());
    }
}

// Encrypts one chunk, which lives until the end.
Task<Status<NetError>> write_chunk(CoreRef core, std::string_view chunk, Deadline deadline) {
    while (!chunk.empty()) {
        if (core->no_more_writes) co_return std::unexpected(closed_error("write"));
        if (core->failed) co_return std::unexpected(core->engine_error());
        TlsProgress progress = core->engine->write(core->wires, chunk);
        switch (progress.step) {
            case TlsStep::Done:
                chunk.remove_prefix(progress.octets);
                break;
            case TlsStep::WantRoom: {
                auto sent = co_await send_in_turn(core, deadline);
                if (!sent) co_return sent;
                break;
            }
            default:
                core->failed = true;
                co_return std::unexpected(core->engine_error());
        }
    }
    co_return {};
}

Task<Status<NetError>> write_to(CoreRef core, std::span<const std::string_view> pieces,
                                Deadline deadline) {
    if (core->no_more_writes) co_return std::unexpected(closed_error("write"));
    TlsBlock gathered;
    std::size_t octets = 0;  // in gathered
    for (std::size_t i = 0; i < pieces.size(); i++) {
        std::string_view rest = pieces[i];
        while (!rest.empty()) {
            bool is_alone = octets == 0 && (i + 1 == pieces.size() || rest.size() >= kRecordOctets);
            std::string_view chunk = rest.substr(0, kRecordOctets - (is_alone ? 0 : octets));
            rest.remove_prefix(chunk.size());
            if (!is_alone) {
                std::memcpy(gathered.borrow() + octets, chunk.data(), chunk.size());
                octets += chunk.size();
                if (octets < kRecordOctets) continue;
                chunk = {gathered.borrow(), std::exchange(octets, 0)};
            }
            auto wrote = co_await write_chunk(core, chunk, deadline);
            if (!wrote) {
                core->write_broken = true;
                co_return wrote;
            }
        }
    }
    if (octets > 0) {
        auto wrote = co_await write_chunk(core, {gathered.borrow(), octets}, deadline);
        if (!wrote) {
            core->write_broken = true;
            co_return wrote;
        }
    }
    gathered.release();
    auto sent = co_await send_in_turn(core, deadline);
    core->tidy();
    co_return sent;
}

// close_notify, then the end of the connection, or of our side.
Task<void> part(CoreRef core) {
    // A reader may have taken it along and be sending still. The peer may be gone: then there is
    // nobody to tell.
    (void)co_await send_in_turn(core, Deadline::after(core->clock.now(), kGoodbyeTime));
    core->parting = false;
    core->tidy();
    core->closed ? core->below->close() : core->below->shut_write();
}

void begin_parting(const CoreRef& core) {
    bool first = !std::exchange(core->no_more_writes, true);
    if (core->parting) return;  // part() looks whether to close
    // No shard: the loops have stopped, and nothing can be sent any more.
    bool can_tell = first && !core->sending && !core->write_broken && !core->failed &&
                    core->executor.current_shard() >= 0;
    if (!can_tell) {
        core->closed ? core->below->close() : core->below->shut_write();
        return;
    }
    core->engine->say_end(core->wires);
    core->parting = true;
    core->executor.spawn(part(core));
}

class EngineStream : public TlsStream {
public:
    explicit EngineStream(CoreRef core) : core_(std::move(core)), facts_(core_->engine->facts()) {}
    ~EngineStream() override { EngineStream::close(); }

    const Endpoint& peer() const override { return core_->below->peer(); }
    const Endpoint& local() const override { return core_->below->local(); }
    Task<Status<NetError>> wait_readable(Deadline deadline) override {
        return wait_readable_on(core_, deadline);
    }
    Task<Result<std::size_t, NetError>> read(std::span<char> into, Deadline deadline) override {
        return read_from(core_, into, deadline);
    }
    Task<Status<NetError>> write(std::span<const std::string_view> pieces,
                                 Deadline deadline) override {
        return write_to(core_, pieces, deadline);
    }
    void shut_write() override {
        if (!core_->no_more_writes) begin_parting(core_);
    }
    void close() override {
        if (std::exchange(core_->closed, true)) return;
        begin_parting(core_);
    }
    const TlsFacts& facts() const override { return facts_; }
    std::optional<std::string> channel_binding(ChannelBinding kind) const override {
        return core_->engine->channel_binding(kind);
    }

private:
    CoreRef core_;
    TlsFacts facts_;
};

TlsError lost(const NetError& error) {
    bool late = error.kind == NetError::Kind::TimedOut;
    return {.kind = late ? TlsError::Kind::TimedOut : TlsError::Kind::Lost,
            .message = late ? "the TLS handshake did not end in time"
                            : "the connection was lost in the TLS handshake: " + error.message};
}

}  // namespace

TlsBlock& TlsBlock::operator=(TlsBlock&& other) noexcept {
    release();
    octets_ = std::move(other.octets_);
    return *this;
}

char* TlsBlock::borrow() {
    if (octets_) return octets_.get();
    if (pool().empty()) {
        octets_ = std::make_unique_for_overwrite<char[]>(kOctets);
    } else {
        octets_ = std::move(pool().back());
        pool().pop_back();
    }
    return octets_.get();
}

void TlsBlock::release() {
    if (octets_ && pool().size() < kBlocksKeptMax) pool().push_back(std::move(octets_));
    octets_.reset();
}

std::size_t TlsWires::put(std::string_view octets) {
    std::size_t taken = std::min(octets.size(), TlsBlock::kOctets - out_octets);
    if (taken > 0) std::memcpy(out_block.borrow() + out_octets, octets.data(), taken);
    out_octets += taken;
    return taken;
}

Task<Result<std::unique_ptr<TlsStream>, TlsError>> tls_handshake(std::shared_ptr<Stream> stream,
                                                                 std::unique_ptr<TlsEngine> engine,
                                                                 Executor& executor, Clock& clock,
                                                                 Deadline deadline) {
    auto core = std::make_shared<Core>(std::move(stream), std::move(engine), executor, clock);
    std::optional<TlsError> error;
    while (!error) {
        TlsStep step = core->engine->handshake(core->wires);
        auto sent = co_await send_out(core, deadline);
        if (step == TlsStep::Done && sent) break;
        if (step == TlsStep::Failed) {
            error = core->engine->error();
            if (core->wires.in_ended) error->kind = TlsError::Kind::Lost;
        } else if (!sent) {
            error = lost(sent.error());
        } else if (step == TlsStep::WantInput) {
            auto filled = co_await fill(core, deadline);
            if (!filled) error = lost(filled.error());
        }
    }
    core->tidy();
    if (error) {
        if (error->offered.empty()) error->offered = core->engine->error().offered;
        core->below->close();
        co_return std::unexpected(*std::move(error));
    }
    co_return std::unique_ptr<TlsStream>(std::make_unique<EngineStream>(std::move(core)));
}

}  // namespace postrider::world
