// Logging in at a next host.

#include <algorithm>
#include <array>

#include "deliver/smtp_delivery.h"

namespace postrider::deliver {

namespace {

namespace sasl = smtp::sasl;

// On a worker: SCRAM hashes the password some thousand times.
Task<Result<std::string>> respond(sasl::ClientExchange& exchange, std::string challenge) {
    co_return exchange.respond(challenge);
}

bool offers_plus(const std::vector<std::string>& offered) {
    return std::ranges::any_of(offered, [](const std::string& name) {
        const auto mechanism = sasl::mechanism_named(name);
        return mechanism && sasl::is_plus(*mechanism);
    });
}

}  // namespace

// What is said first, if something may be said at all.
void SmtpConnection::begin_login() {
    const std::vector<std::string>& offered = session_->capabilities().auth;
    const sasl::Credentials credentials{.user = host_.login->user,
                                        .password = host_.login->password};
    const Cover cover = this->cover();
    const auto mechanism = sasl::choose(offered, credentials, cover.bindings, cover.is_encrypted);
    if (!mechanism) {
        return session_->auth_failed(
            offered.empty() ? "the next host offers no login"
            : cover.is_encrypted
                ? "the next host offers no mechanism that we know"
                : "the next host offers no mechanism that hides the password, and no TLS");
    }
    std::array<std::byte, 18> random{};
    host_.login->random->fill(random);
    exchange_.emplace(*mechanism, credentials,
                      sasl::nonce_of({reinterpret_cast<const char*>(random.data()), random.size()}),
                      cover.bindings, offers_plus(offered));
    auto initial = exchange_->initial_response();
    if (!initial) return session_->auth_failed(initial.error().message);
    session_->auth_begin(name_of(*mechanism), *initial, exchange_->server_proved());
}

Task<void> SmtpConnection::log_in(smtp::action::Authenticate ask) {
    if (!ask.challenge) {
        begin_login();
        co_return;
    }
    auto response =
        co_await host_.login->worker->run(respond(*exchange_, std::move(*ask.challenge)));
    if (response) {
        session_->auth_respond(*response, exchange_->server_proved());
    } else {
        session_->auth_failed(response.error().message);
    }
}

// The strongest binding first (RFC 9266 §1; tls-unique needs TLS 1.2).
SmtpConnection::Cover SmtpConnection::cover() const {
    const auto* tls = dynamic_cast<const world::TlsStream*>(stream_.get());
    if (!tls) return {};
    Cover out{.is_encrypted = true};
    constexpr std::pair<world::ChannelBinding, const char*> kBindings[] = {
        {world::ChannelBinding::TlsExporter, "tls-exporter"},
        {world::ChannelBinding::TlsUnique, "tls-unique"},
        {world::ChannelBinding::TlsServerEndPoint, "tls-server-end-point"}};
    for (auto [kind, name] : kBindings) {
        if (auto octets = tls->channel_binding(kind)) out.bindings.push_back({name, *octets});
    }
    return out;
}

}  // namespace postrider::deliver
