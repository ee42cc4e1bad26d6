// STARTTLS of a ClientSession: when it is said, and what its answer means.

#include <fmt/format.h>

#include <cassert>
#include <utility>

#include "base/situation.h"
#include "smtp/client_session.h"

namespace postrider::smtp {

bool ClientSession::wants_tls() const {
    return !secured_ && options_.security != ClientSecurity::None;
}

// The hello was accepted. Without TLS where it is required, nothing more is said: a peer that does
// not offer it may be somebody in the middle who took it out.
void ClientSession::greeted() {
    if (!wants_tls()) return enter(options_.authenticate ? State::Auth : State::Ready);
    if (capabilities_.starttls) return enter(State::StartTls);
    if (options_.security == ClientSecurity::Opportunistic)
        return enter(options_.authenticate ? State::Auth : State::Ready);
    insecure({4, 7, 4}, "TLS is required, and the next host does not offer STARTTLS");
}

// RFC 3207 §4: 220; 501 and 454 leave the session as it was.
void ClientSession::on_start_tls(const Reply& reply) {
    if (reply.is_intermediate()) return bad_reply(reply, Stage::Tls, "is no answer to STARTTLS");
    if (reply.is_positive()) return enter(State::Handshake);
    if (options_.security == ClientSecurity::Opportunistic)
        return enter(options_.authenticate ? State::Auth : State::Ready);
    std::string text = fmt::format("TLS is required, and the next host refuses STARTTLS: {}",
                                   printable(reply.one_line(), 200));
    insecure({4, 7, 4}, std::move(text));
}

// What was known of the peer came in plaintext: it is asked anew.
void ClientSession::handle_secured() {
    assert(state_ == State::Handshake);
    secured_ = true;
    capabilities_ = {};
    enter(State::Hello);
}

void ClientSession::handshake_failed(std::string_view why) {
    assert(state_ == State::Handshake);
    close({CloseReason::Kind::Insecure,
           Stage::Tls,
           nullptr,
           {{4, 7, 5}, fmt::format("the TLS handshake failed: {}", why)}});
}

// No TLS, no mail; the session ends in order.
void ClientSession::insecure(EnhancedStatus status, std::string text) {
    reached(Situation::DeliverTlsMissing);
    transcript_.note(text);
    reason_ = {CloseReason::Kind::Insecure, Stage::Tls, nullptr, {status, std::move(text)}};
    enter(State::Quit);
}

}  // namespace postrider::smtp
