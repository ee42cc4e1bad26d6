#include "world/real/socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

namespace postrider::world::real {

namespace {

constexpr std::size_t index(Socket::Side side) { return static_cast<std::size_t>(side); }

}  // namespace

Socket::Wait::~Wait() {
    auto& slot = socket.waiting_[index(side)];
    if (slot == this) slot = nullptr;
}

bool Socket::Wait::await_ready() {
    if (socket.closed_) {
        wake = Wake::Closed;
    } else if (!deadline.is_never() && deadline.reached(monotonic_now())) {
        wake = Wake::TimedOut;
    } else {
        return false;
    }
    return true;
}

Socket::~Socket() { finish_close(); }

void Socket::begin(Wait& wait) {
    assert(!waiting_[index(wait.side)]);
    calls_ = 0;
    wait.stale = watched_[index(wait.side)];
    if (!wait.stale && !watch(wait.side)) {
        // The loop takes no more descriptors; the connection cannot be served.
        wait.wake = Wake::Closed;
        loop_.post(wait.waiting);
        return;
    }
    waiting_[index(wait.side)] = &wait;
    if (!wait.deadline.is_never()) ring_by(wait.deadline.at);
}

// False when the system refuses to watch the descriptor.
bool Socket::watch(Side side) {
    if (!descriptor_) {
        descriptor_.emplace(loop_.context());
        boost::system::error_code error;
        descriptor_->assign(fd_.get(), error);
        if (error) {
            descriptor_.reset();
            return false;
        }
    }
    watched_[index(side)] = true;
    auto type = side == Side::Read ? Descriptor::wait_read : Descriptor::wait_write;
    descriptor_->async_wait(type,
                            [self = SocketRef(this), side](const boost::system::error_code& error) {
                                if (!error) self->handle_ready(side);
                            });
    return true;
}

void Socket::handle_ready(Side side) {
    watched_[index(side)] = false;
    if (side == Side::Read) emptied_ = false;
    if (Wait* wait = std::exchange(waiting_[index(side)], nullptr)) {
        wait->wake = Wake::Ready;
        wait->waiting.resume();
    } else if (lingering_ && side == Side::Read) {
        drain();
    }
}

void Socket::ring_by(Monotonic moment) {
    if (!listed() || moment < Node::moment()) loop_.schedule(*this, moment);
}

void Socket::fire() {
    SocketRef self(this);
    Monotonic now = monotonic_now();
    if (lingering_) {
        if (now >= linger_until_) return finish_close();
        return ring_by(linger_until_);
    }
    for (Wait* wait : waiting_) {
        if (wait && !wait->deadline.is_never() && !wait->deadline.reached(now)) {
            ring_by(wait->deadline.at);
        }
    }
    // Looked up anew each time: whoever is resumed may end the other wait.
    for (std::size_t i = 0; i < waiting_.size(); i++) {
        Wait* wait = waiting_[i];
        if (!wait || wait->deadline.is_never() || !wait->deadline.reached(now)) continue;
        waiting_[i] = nullptr;
        wait->wake = Wake::TimedOut;
        wait->waiting.resume();
    }
}

void Socket::shut_write() {
    if (closed_ || write_shut_) return;
    write_shut_ = true;
    ::shutdown(fd_.get(), SHUT_WR);
}

void Socket::close() {
    if (closed_) return;
    closed_ = true;
    for (Wait*& slot : waiting_) {
        if (Wait* wait = std::exchange(slot, nullptr)) {
            wait->wake = Wake::Closed;
            loop_.post(wait->waiting);
        }
    }
    if (!written_ || ended_ || loop_.lingering >= kLingeringPerLoopMax) return finish_close();
    if (!write_shut_) ::shutdown(fd_.get(), SHUT_WR);
    lingering_ = true;
    loop_.lingering++;
    linger_until_ = monotonic_now() + kLingerTime;
    drain();
}

void Socket::drain() {
    std::array<char, 4096> dropped;
    while (drained_ < kLingerOctetsMax) {
        ssize_t got = ::recv(fd_.get(), dropped.data(), dropped.size(), MSG_DONTWAIT);
        if (got > 0) {
            drained_ += static_cast<std::size_t>(got);
            continue;
        }
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN && (watched_[index(Side::Read)] || watch(Side::Read))) {
            return ring_by(linger_until_);
        }
        break;
    }
    finish_close();
}

void Socket::finish_close() {
    closed_ = true;
    if (std::exchange(lingering_, false)) loop_.lingering--;
    if (descriptor_) {
        fd_.release();  // the descriptor closes it, after it has left the reactor
        boost::system::error_code ignored;
        descriptor_->close(ignored);
        descriptor_.reset();
    }
    fd_.reset();
}

}  // namespace postrider::world::real
