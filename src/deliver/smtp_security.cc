// TLS of a connection to a next host: the handshake, and what follows when it fails.

#include <fmt/format.h>

#include "base/situation.h"
#include "deliver/smtp_delivery.h"

namespace postrider::deliver {

namespace {

using smtp::LocalReason;
using smtp::Stage;

// "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519, certificate verified".
std::string words_of(const world::TlsFacts& facts) {
    std::string out = facts.version + " " + facts.cipher;
    if (!facts.group.empty()) out += " " + facts.group;
    if (facts.resumed) out += ", resumed";
    switch (facts.peer) {
        case world::TlsFacts::Peer::None:
            return out + ", no certificate";
        case world::TlsFacts::Peer::Verified:
            return out + ", certificate verified";
        case world::TlsFacts::Peer::NotVerified:
            break;
    }
    return fmt::format("{}, certificate not verified: {}", out, facts.not_verified);
}

}  // namespace

smtp::ClientSecurity SmtpConnection::session_security() const {
    const TlsPolicy& policy = host_.security.policy;
    if (policy.comes_first || policy.level == TlsLevel::Off || plaintext_) {
        return smtp::ClientSecurity::None;
    }
    return policy.allows_plaintext() ? smtp::ClientSecurity::Opportunistic
                                     : smtp::ClientSecurity::Required;
}

// Connects up to the answer to EHLO. Opportunistic TLS that fails costs one connection: the next
// one does without (RFC 7435 §4.2), until this object ends.
Task<std::optional<SmtpAttempt>> SmtpConnection::open(const SmtpJob& job) {
    for (;;) {
        std::optional<smtp::TransactionResult> failure;
        if (std::optional<LocalReason> reason = co_await connect()) {
            failure = smtp::result_of(*reason, Stage::Connect);
        } else {
            smtp::Action action = co_await run(nullptr);
            if (auto* closed = std::get_if<smtp::action::Closed>(&action)) {
                failure = smtp::result_of(closed->reason);
            }
        }
        bool tls_failed = failure && failure->stage == Stage::Tls;
        if (!tls_failed || plaintext_ || !host_.security.policy.allows_plaintext()) {
            if (tls_failed) reached(Situation::DeliverTlsMissing);
            if (!failure) co_return std::nullopt;
            co_return failed(job, *failure);
        }
        reached(Situation::DeliverTlsFellBack);
        plaintext_ = true;
        fell_back_ = failure->text();
        session_->transcript().note("TLS failed; plaintext is tried, as the policy allows");
        carried_ = session_->take_transcript();
        stream_.reset();
    }
}

// After the peer's 220 to STARTTLS.
Task<void> SmtpConnection::shake_hands() {
    auto error = co_await secure(deadline_for(smtp::ClientWait::Handshake));
    error ? session_->handshake_failed(*error) : session_->handle_secured();
}

// Before the greeting (RFC 8314 §3.3).
Task<std::optional<LocalReason>> SmtpConnection::shake_hands_first(Deadline deadline) {
    auto error = co_await secure(deadline);
    if (!error) co_return std::nullopt;
    reached(Situation::DeliverTlsMissing);
    LocalReason reason{{4, 7, 5}, "the TLS handshake failed: " + *error};
    session_->transcript().note(reason.text);
    stream_.reset();
    co_return reason;
}

// Puts the stream under TLS; the reason where that fails.
Task<std::optional<std::string>> SmtpConnection::secure(Deadline deadline) {
    const TlsPolicy& policy = host_.security.policy;
    bool verified = policy.level == TlsLevel::Verified;
    world::TlsPeer peer{
        .name = host_.security.name,
        .check = verified ? world::TlsPeer::Check::Name : world::TlsPeer::Check::None,
        .names = policy.names,
        .session_key = world::text(host_.endpoint)};
    auto tls = co_await host_.security.tls->connect(stream_, host_.security.context,
                                                    std::move(peer), deadline);
    if (!tls) co_return tls.error().message;
    session_->transcript().note("TLS: " + words_of((*tls)->facts()));
    stream_ = std::move(*tls);
    co_return std::nullopt;
}

}  // namespace postrider::deliver
