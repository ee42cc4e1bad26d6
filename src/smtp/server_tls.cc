// STARTTLS, and what a session forgets when TLS is there.

#include <cassert>

#include "smtp/server_session.h"

namespace postrider::smtp {

// RFC 3207 §4. Octets that came together with STARTTLS were sent before the handshake by whoever
// could write into the connection; to read them as commands under TLS is how sessions were taken
// over. They are thrown away, and the session with them.
std::optional<Event> ServerSession::start_tls(const Command& command) {
    if (secured_) {
        say_error(503, {5, 5, 1}, "TLS is active already");
        return std::nullopt;
    }
    if (!command.argument.empty()) {
        say_error(501, {5, 5, 4}, "STARTTLS takes no argument");
        return std::nullopt;
    }
    if (behind_ != Behind::Nothing) {
        close_with_421(event::Reason::EarlyTls, {4, 7, 0}, "octets came behind STARTTLS");
        return std::nullopt;
    }
    return owe(Owed::StartTls, event::StartTls{});
}

// RFC 3207 §4: "every command other than NOOP, EHLO, STARTTLS, or QUIT"; hellos of older clients
// are let through, too, so that they hear the answer where they can understand it.
bool ServerSession::must_secure_first(Verb verb) const {
    if (!options_->tls_required || secured_ || state_ == State::Rejected) return false;
    switch (verb) {
        case Verb::Ehlo:
        case Verb::Helo:
        case Verb::Lhlo:
        case Verb::Noop:
        case Verb::Quit:
        case Verb::StartTls:
        case Verb::Unknown:
        case Verb::NotImplemented:
        case Verb::Foreign:
            return false;
        default:
            return true;
    }
}

// RFC 3207 §4.2: "the server MUST discard any knowledge obtained from the client".
void ServerSession::handle_secured() {
    assert(state_ == State::Handshake || (state_ == State::Opening && !started_));
    assert(owed_ == 0 && !secured_);
    secured_ = true;
    extended_ = false;
    auth_offer_ = {};
    authenticated_ = false;
    if (state_ == State::Handshake) enter(Transition::HandshakeEnded);
}

}  // namespace postrider::smtp
