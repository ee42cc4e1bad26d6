#include "world/real/socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

namespace postrider::world::real {

Socket::Wait::~Wait() {
    auto& slot = socket.waiting_[index(side)];
    if (slot == this) slot = nullptr;
}

bool Socket::Wait::await_ready() {
    if (socket.closed_) {
        wake = Wake::Closed;
    } else if (socket.usable_[index(side)]) {
        wake = Wake::Ready;
    } else if (!deadline.is_never() && deadline.reached(monotonic_now())) {
        wake = Wake::TimedOut;
    } else {
        return false;
    }
    return true;
}

Socket::Socket(Loop& loop, Fd fd, Kind kind) : loop_(loop), fd_(std::move(fd)), kind_(kind) {
    if (kind_ == Kind::Door) loop_.add_door(*this);
    if (kind_ == Kind::Client) loop_.note_client();
}

Socket::~Socket() { finish_close(); }

void Socket::begin(Wait& wait) {
    assert(!waiting_[index(wait.side)]);
    calls_ = 0;
    if (!watch()) {
        // The loop takes no more descriptors; the connection cannot be served.
        wait.wake = Wake::Closed;
        loop_.post(wait.waiting);
        return;
    }
    waiting_[index(wait.side)] = &wait;
    if (!wait.deadline.is_never()) ring_by(wait.deadline.at);
}

// False when the system refuses to watch the descriptor.
bool Socket::watch() {
    if (kind_ == Kind::Door && !loop_.is_open()) return true;
    if (!watched_) watched_ = loop_.watch(fd_.get(), *this);
    return watched_;
}

void Socket::set_watched(bool watched) {
    if (watched) {
        watch();
    } else if (std::exchange(watched_, false)) {
        loop_.unwatch(fd_.get(), *this);
    }
}

void Socket::handle_events(uint32_t events) {
    SocketRef self(this);
    // The peer's end of its side leaves ours open.
    hung_[index(Side::Read)] |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    hung_[index(Side::Write)] |= (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (hung_[index(Side::Read)] || (events & EPOLLIN) != 0) handle_usable(Side::Read);
    if (hung_[index(Side::Write)] || (events & EPOLLOUT) != 0) handle_usable(Side::Write);
}

void Socket::handle_usable(Side side) {
    usable_[index(side)] = true;
    if (Wait* wait = std::exchange(waiting_[index(side)], nullptr)) {
        wait->wake = Wake::Ready;
        wait->waiting.resume();
    } else if (lingers() && side == Side::Read) {
        drain();
    }
}

void Socket::ring_by(Monotonic moment) {
    if (!listed() || moment < Node::moment()) loop_.schedule(*this, moment);
}

void Socket::fire() {
    SocketRef self(this);
    Monotonic now = monotonic_now();
    if (lingers()) {
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
    if (!written_ || ended_ || loop_.lingering().size() >= kLingeringPerLoopMax) {
        return finish_close();
    }
    if (!write_shut_) ::shutdown(fd_.get(), SHUT_WR);
    linger();
}

void Socket::linger() {
    SocketRef self(this);
    place_ = loop_.lingering().size();
    loop_.lingering().push_back(self);
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
        if (got < 0 && errno == EAGAIN && watch()) {
            note_exhausted(Side::Read);
            return ring_by(linger_until_);
        }
        break;
    }
    finish_close();
}

void Socket::finish_close() {
    closed_ = true;
    if (std::exchange(watched_, false)) {
        // A listener may have copies, which would be watched on.
        if (kind_ == Kind::Door) {
            loop_.unwatch(fd_.get(), *this);
        } else {
            loop_.forget(*this);
        }
    }
    if (fd_) {
        if (kind_ == Kind::Door) loop_.remove_door(*this);
        if (kind_ == Kind::Client) loop_.note_client_gone();
    }
    fd_.reset();
    if (!lingers()) return;
    auto& lingering = loop_.lingering();
    SocketRef self(this);  // may be the last
    lingering.back()->place_ = place_;
    std::swap(lingering[place_], lingering.back());
    lingering.pop_back();
    place_ = kNotLingering;
}

}  // namespace postrider::world::real
