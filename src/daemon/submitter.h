// daemon/submitter.h: a client of a submission listener: who it is, and what it may send.
//
// A client proves itself by AUTH, or it is a program in a network that need not. Before that no
// mail is taken (530); afterwards the reverse-path and the From field must be its own, and its
// limits hold.
//
// Threads: lives on its session's shard.
// RFC 6409 §4.3 (authorised), §6.1 (who may send as whom); RFC 4954 §4.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "accounts/login.h"
#include "daemon/account_desk.h"
#include "daemon/settings.h"
#include "mail/envelope.h"
#include "receive/visit.h"
#include "seal/submission.h"
#include "world/tls.h"
#include "world/world.h"

namespace postrider::daemon {

class Submitter {
public:
    // REQUIRES: world, desk and settings outlive it.
    Submitter(world::World& world, AccountDesk& desk, SettingsSource& settings,
              const ClientFacts& client);

    smtp::AuthOffer auth_offer() const;
    Task<receive::AuthStep> auth_begin(std::string mechanism, std::optional<std::string> initial);
    Task<receive::AuthStep> auth_respond(std::string response);
    void auth_cancelled() { login_.reset(); }

    // The connection is under TLS: what may be said over it, and how it can be bound to.
    void secured(const world::TlsStream& tls);

    // A proxy speaks for another client now (XCLIENT), who has proved nothing yet.
    void client_told(const ClientFacts& client);

    bool is_authorised() const;
    const std::string& account() const;  // empty: a program, or nobody yet

    // May this be said in MAIL, and is there still room for a message?
    Status<smtp::Reply> check_mail(const smtp::event::MailFrom& mail, const Settings& settings);
    uint64_t recipients_max(const Settings& settings) const;
    uint64_t octets_max() const;
    seal::SubmissionRules rules(const Envelope& envelope, const ReversePath& reverse_path,
                                const Settings& settings) const;

private:
    receive::AuthStep step_of(accounts::Progress progress);
    bool may_send_as(std::string_view address, const Settings& settings) const;
    bool is_program() const;

    world::World& world_;
    AccountDesk& desk_;
    SettingsSource& settings_;
    accounts::Connection connection_;
    std::unique_ptr<accounts::Login> login_;
    std::optional<accounts::Proven> proven_;
};

}  // namespace postrider::daemon
