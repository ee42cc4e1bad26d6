#include "daemon/submitter.h"

#include <algorithm>

#include <fmt/format.h>

namespace postrider::daemon {

using smtp::Reply;

Submitter::Submitter(world::World& world, AccountDesk& desk, SettingsSource& settings,
                     const ClientFacts& client)
    : world_(world), desk_(desk), settings_(settings) {
    connection_.address = world::IpAddress::parse(client.address);
}

void Submitter::client_told(const ClientFacts& client) {
    connection_.address = world::IpAddress::parse(client.address);
    connection_.certificate_identity.clear();
    login_.reset();
    proven_.reset();
}

// RFC 3207 §4.2: a login before the handshake counts no more; it may have been somebody else's.
void Submitter::secured(const world::TlsStream& tls) {
    login_.reset();
    proven_.reset();
    connection_.encrypted = true;
    connection_.bindings.clear();
    constexpr std::pair<world::ChannelBinding, const char*> kBindings[] = {
        {world::ChannelBinding::TlsExporter, "tls-exporter"},
        {world::ChannelBinding::TlsUnique, "tls-unique"},
        {world::ChannelBinding::TlsServerEndPoint, "tls-server-end-point"}};
    for (auto [kind, name] : kBindings) {
        if (auto octets = tls.channel_binding(kind)) {
            connection_.bindings.push_back({name, std::move(*octets)});
        }
    }
    // RFC 4422 appendix A: whom the certificate names, by an address of mail.
    const world::TlsFacts& facts = tls.facts();
    const bool names = facts.peer == world::TlsFacts::Peer::Verified && !facts.peer_emails.empty();
    connection_.certificate_identity = names ? facts.peer_emails.front() : "";
}

smtp::AuthOffer Submitter::auth_offer() const {
    return accounts::offer(*desk_.gate(), connection_);
}

Task<receive::AuthStep> Submitter::auth_begin(std::string mechanism,
                                              std::optional<std::string> initial) {
    auto known = smtp::sasl::mechanism_named(mechanism);
    auto gate = desk_.gate();
    // A reload may have taken away what was offered.
    const auto now = accounts::offer(*gate, connection_).mechanisms;
    if (!known || std::ranges::find(now, name_of(*known)) == now.end()) {
        co_return Reply{504, EnhancedStatus{5, 5, 4}, "This mechanism is not offered any more"};
    }
    login_ = std::make_unique<accounts::Login>(world_, desk_.failures(), std::move(gate),
                                               connection_, *known);
    co_return step_of(co_await login_->begin(std::move(initial)));
}

Task<receive::AuthStep> Submitter::auth_respond(std::string response) {
    co_return step_of(co_await login_->respond(std::move(response)));
}

receive::AuthStep Submitter::step_of(accounts::Progress progress) {
    if (auto* challenge = std::get_if<accounts::Challenge>(&progress)) {
        return receive::AuthChallenge{std::move(challenge->octets)};
    }
    login_.reset();
    if (auto* reply = std::get_if<Reply>(&progress)) return std::move(*reply);
    proven_ = std::move(std::get<accounts::Proven>(progress));
    desk_.last_use().record(proven_->account, proven_->label);
    return receive::AuthDone{proven_->account};
}

const std::string& Submitter::account() const {
    static const std::string kNobody;
    return proven_ ? proven_->account : kNobody;
}

bool Submitter::is_program() const {
    // Over a Unix socket, which its file's mode guards.
    if (!connection_.address) return true;
    const auto settings = settings_.now();
    return std::ranges::any_of(settings->submission.networks, [&](const auto& network) {
        return network.contains(*connection_.address);
    });
}

bool Submitter::is_authorised() const { return proven_ || is_program(); }

bool Submitter::may_send_as(std::string_view address, const Settings& settings) const {
    if (proven_) return proven_->rights.may_send_as(proven_->account, address);
    const std::size_t at = address.rfind('@');
    return at != std::string_view::npos && settings.table->is_local(address.substr(at + 1));
}

Status<Reply> Submitter::check_mail(const smtp::event::MailFrom& mail, const Settings& settings) {
    if (!is_authorised()) {
        return std::unexpected(Reply{530, EnhancedStatus{5, 7, 0}, "Authentication required"});
    }
    // The null path is for reports that a mail program makes (RFC 8098 §3).
    const ReversePath& path = mail.reverse_path;
    if (path.mailbox && !may_send_as(path.text(), settings)) {
        return std::unexpected(
            Reply{550, EnhancedStatus{5, 7, 1}, "This is not an address of your account"});
    }
    if (mail.parameters.size.value_or(0) > octets_max()) {
        return std::unexpected(Reply{552, EnhancedStatus{5, 3, 4},
                                     "The message is larger than your account may send"});
    }
    uint64_t per_hour = settings.submission.messages_per_hour;
    if (proven_) per_hour = proven_->rights.messages_per_hour.value_or(per_hour);
    const std::string sender = proven_
                                   ? accounts::folded(proven_->account)
                                   : "@" + (connection_.address ? connection_.address->text() : "");
    if (per_hour > 0 && !desk_.quota().take(sender, world_.clock.now(), per_hour)) {
        return std::unexpected(
            Reply{450, EnhancedStatus{4, 7, 1},
                  fmt::format("Your account may send {} messages in an hour, come again later",
                              per_hour)});
    }
    return {};
}

uint64_t Submitter::recipients_max(const Settings& settings) const {
    const uint64_t usual = settings.submission.recipients_max;
    return proven_ ? proven_->rights.recipients_max.value_or(usual) : usual;
}

uint64_t Submitter::octets_max() const {
    return proven_ ? proven_->rights.message_octets_max.value_or(UINT64_MAX) : UINT64_MAX;
}

seal::SubmissionRules Submitter::rules(const Envelope& envelope, const ReversePath& reverse_path,
                                       const Settings& settings) const {
    std::string own = reverse_path.text();
    if (own.empty() && proven_ && may_send_as(proven_->account, settings)) own = proven_->account;
    return {.is_own = [this, &settings](
                          std::string_view address) { return may_send_as(address, settings); },
            .adds_sender = settings.submission.adds_sender,
            .sender = std::move(own),
            .domain = settings.submission.domain,
            .hostname = settings.hostname,
            .id = envelope.id,
            .now = envelope.received};
}

}  // namespace postrider::daemon
