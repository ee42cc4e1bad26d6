#include "daemon/intake.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/limits.h"
#include "base/situation.h"
#include "daemon/intake_queries.h"
#include "daemon/intake_sink.h"
#include "daemon/moments.h"
#include "daemon/submitter.h"
#include "mail/domain.h"
#include "mail/trace.h"
#include "route/address_key.h"
#include "seal/received.h"

namespace postrider::daemon {

namespace {

// RFC 6531 §4.3 and the registry of mail transmission types: ESMTPS is UTF8SMTPS, LMTP UTF8LMTP.
std::string international(std::string_view protocol) {
    if (protocol.starts_with("ESMTP")) return "UTF8" + std::string(protocol.substr(1));
    if (protocol.starts_with("LMTP")) return "UTF8" + std::string(protocol);
    return std::string(protocol);
}

// With A-labels where that makes the whole address ASCII, so that a message which needs no UTF-8
// does not get any from its trace.
Mailbox in_ascii(const Mailbox& mailbox) {
    auto domain = ascii_domain(mailbox.domain);
    Mailbox ascii{mailbox.local_part, domain.value_or("")};
    return domain && ascii.is_ascii() ? ascii : mailbox;
}

}  // namespace

// One client's session.
class IntakeVisit : public receive::Visit {
public:
    IntakeVisit(Intake& house, ClientFacts client, ListenerConfig::Kind kind)
        : house_(house), client_(std::move(client)) {
        if (kind != ListenerConfig::Kind::Submission) return;
        submitter_ =
            std::make_unique<Submitter>(house_.world_, house_.accounts_, house_.settings_, client_);
    }

    Task<Status<smtp::Reply>> greet() override {
        if (is_tight()) {
            co_return std::unexpected(
                smtp::Reply{421, EnhancedStatus{4, 3, 2}, "Short of memory, come again soon"});
        }
        co_return Status<smtp::Reply>{};
    }

    void secured(const world::TlsStream& tls) override {
        const world::TlsFacts& facts = tls.facts();
        client_.tls = facts.version + " " + facts.cipher;
        if (!facts.group.empty()) client_.tls += " " + facts.group;
        client_.helo.clear();
        if (submitter_) submitter_->secured(tls);
    }

    void hello(std::string_view name, std::string_view protocol) override {
        client_.helo = name;
        client_.protocol = protocol;
    }

    smtp::AuthOffer auth_offer() override {
        return submitter_ ? submitter_->auth_offer() : smtp::AuthOffer{};
    }
    Task<receive::AuthStep> auth_begin(std::string mechanism,
                                       std::optional<std::string> initial) override {
        return submitter_->auth_begin(std::move(mechanism), std::move(initial));
    }
    Task<receive::AuthStep> auth_respond(std::string response) override {
        return submitter_->auth_respond(std::move(response));
    }
    void auth_cancelled() override { submitter_->auth_cancelled(); }

    void client_told(const ClientFacts& client) override {
        std::string tls = std::move(client_.tls);  // the connection is the same
        client_ = client;
        client_.tls = std::move(tls);
        if (submitter_) submitter_->client_told(client_);
    }
    void forwarded(std::string_view origin) override { origin_ = origin; }

    Task<smtp::Reply> verify(std::string text) override {
        co_return verify_reply(*house_.settings_.now(), text);
    }
    Task<smtp::Reply> expand(std::string text) override {
        co_return expand_reply(*house_.settings_.now(), text);
    }
    Task<smtp::Reply> run_queue(std::string domain, bool below) override {
        auto entries = co_await house_.dispatcher_.run_queue(domain, below);
        house_.world_.log.write(Event::QueueRunAsked,
                                {{"client", client_.address},
                                 {"domain", domain},
                                 {"entries", static_cast<int64_t>(entries.value_or(0))}});
        co_return queue_run_reply(domain, entries);
    }

    Task<Status<smtp::Reply>> mail(smtp::event::MailFrom mail) override {
        if (is_tight()) co_return std::unexpected(memory_tight());
        reset();
        settings_ = house_.settings_.now();
        if (submitter_) {
            auto checked = submitter_->check_mail(mail, *settings_);
            if (!checked) co_return std::unexpected(refused(mail.reverse_path, checked.error()));
        }
        variant_.reverse_path = std::move(mail.reverse_path);
        body_ = mail.parameters.body.value_or(BodyType::SevenBit);
        octets_told_ = mail.parameters.size.value_or(0);
        smtputf8_ = mail.parameters.smtputf8;
        dsn_return_ = mail.parameters.ret;
        dsn_envid_ = std::move(mail.parameters.envid);
        priority_ = mail.parameters.priority;
        // RFC 6710 §4.1: only those who may relay are believed when they want to be first.
        lowered_ = priority_.value_or(0) > 0 && !is_own();
        if (lowered_) priority_ = int8_t{0};
        moments_ = moments_of(mail.parameters, house_.world_.clock.wall());
        requiretls_ = mail.parameters.requiretls;
        co_return Status<smtp::Reply>{};
    }

    Task<Status<smtp::Reply>> rcpt(smtp::event::RcptTo rcpt) override {
        // RFC 7504 §4.
        if (auto key = route::domain_key(rcpt.mailbox.domain);
            key && settings_->no_mail_domains.contains(*key)) {
            co_return std::unexpected(
                smtp::Reply{556, EnhancedStatus{5, 1, 2}, "The domain takes no mail"});
        }
        if (submitter_ && accepted_.size() >= submitter_->recipients_max(*settings_)) {
            co_return std::unexpected(
                smtp::Reply{452, EnhancedStatus{4, 5, 3}, "Too many recipients for your account"});
        }
        route::Decision decision = settings_->table->resolve(rcpt.mailbox);
        if (auto* local = std::get_if<route::Local>(&decision)) {
            co_return add(rcpt, std::move(local->targets));
        }
        if (auto* relay = std::get_if<route::Relay>(&decision)) {
            if (!relay->open_to_all && !is_own()) {
                co_return std::unexpected(
                    smtp::Reply{550, EnhancedStatus{5, 7, 1}, "Relaying denied"});
            }
            if (takes_no_mail(rcpt.mailbox)) {
                co_return std::unexpected(smtp::Reply{556, EnhancedStatus{5, 1, 10},
                                                      "The domain takes no mail (null MX)"});
            }
            co_return add(rcpt, {rcpt.mailbox});
        }
        if (auto* unknown = std::get_if<route::UnknownRecipient>(&decision)) {
            co_return std::unexpected(smtp::Reply{550, unknown->status, unknown->reason});
        }
        auto& error = std::get<route::AliasError>(decision);
        house_.world_.log.write(Event::AliasBroken,
                                {{"recipient", rcpt.mailbox.text()}, {"reason", error.reason}});
        co_return std::unexpected(smtp::Reply{451, error.status, error.reason});
    }

    Task<Result<std::unique_ptr<receive::Sink>, smtp::Reply>> data() override {
        if (is_tight()) co_return std::unexpected(memory_tight());
        Envelope envelope;
        envelope.id = house_.next_id();
        envelope.received = house_.world_.clock.wall();
        envelope.body = body_;
        envelope.smtputf8 = smtputf8_;
        envelope.dsn_return = dsn_return_;
        envelope.dsn_envid = dsn_envid_;
        envelope.priority = priority_.value_or(0);
        envelope.priority_given = priority_.has_value();
        envelope.requiretls = requiretls_;
        moments_.write_into(envelope);
        envelope.client = client_;
        if (submitter_) tell_submitter(envelope.client);
        if (smtputf8_) envelope.client.protocol = international(envelope.client.protocol);
        const Mailbox* only = accepted_.size() == 1 ? &accepted_.front() : nullptr;
        Mailbox ascii;
        if (only && !only->is_ascii()) {
            ascii = in_ascii(*only);
            only = &ascii;
        }
        // RFC 6409 §8: who it was stays in the envelope and the log.
        ClientFacts shown = envelope.client;
        if (submitter_ && settings_->submission.hide_client) {
            shown.address.clear();
            shown.helo.clear();
        }
        std::string received = seal::received_field({.client = shown,
                                                     .host = settings_->hostname,
                                                     .id = envelope.id,
                                                     .recipient = only,
                                                     .priority = priority_,
                                                     .at = envelope.received});
        for (auto& [named, forward] : forwards_) {
            // The mark by which a loop through other hosts is seen (dispatcher.h).
            forward.prefix = delivered_to_field(named) + received;
            forward.reverse_path = variant_.reverse_path;
            envelope.variants.push_back(std::move(forward));
        }
        variant_.prefix = std::move(received);
        if (!variant_.recipients.empty()) {
            envelope.variants.insert(envelope.variants.begin(), std::move(variant_));
        }
        Handover handover{.settings = settings_,
                          .origin = origin_,
                          .is_own = is_own(),
                          .priority_lowered = lowered_,
                          .octets_told = octets_told_};
        if (submitter_) {
            handover.submission =
                submitter_->rules(envelope, envelope.variants.front().reverse_path, *settings_);
            handover.octets_max = submitter_->octets_max();
        }
        handover.envelope = std::move(envelope);
        co_return open_sink(house_, std::move(handover));
    }

    void reset() override {
        variant_ = {};
        forwards_.clear();
        accepted_.clear();
        seen_.clear();
        moments_ = {};
    }

private:
    bool is_tight() const {
        if (!house_.account_.is_tight() && !forced(Switch::DaemonSaysMemoryTight)) return false;
        reached(Situation::DaemonMemoryTight);
        return true;
    }

    // RFC 7505 §4.1, as far as it is known without a look-up.
    bool takes_no_mail(const Mailbox& mailbox) const {
        if (!std::holds_alternative<RemoteDestination>(settings_->destination(mailbox))) {
            return false;
        }
        auto key = route::domain_key(mailbox.domain);
        return key && house_.dispatcher_.null_mx().contains(*key, house_.world_.clock.now());
    }

    // One of our own clients: it may relay, is believed, and its mail is signed.
    bool is_own() const {
        if (submitter_) return submitter_->is_authorised();
        // From this machine: over a Unix socket, guarded by its file's mode, or by a dropped file.
        if (client_.address.empty()) return true;
        auto address = world::IpAddress::parse(client_.address);
        return address && std::ranges::any_of(settings_->relay_networks, [&](const auto& network) {
                   return network.contains(*address);
               });
    }

    // RFC 3848: ESMTPA, ESMTPSA.
    void tell_submitter(ClientFacts& client) const {
        client.account = submitter_->account();
        if (!client.account.empty() && client.protocol.starts_with("ESMTP")) client.protocol += "A";
    }

    smtp::Reply refused(const ReversePath& from, smtp::Reply reply) {
        house_.world_.log.write(Event::SubmissionRefused, {{"account", submitter_->account()},
                                                           {"client", client_.address},
                                                           {"from", from.text()},
                                                           {"reply", reply.one_line()}});
        return reply;
    }

    // A mailbox that is reached twice, by two names, gets one copy.
    Status<smtp::Reply> add(const smtp::event::RcptTo& rcpt, std::vector<Mailbox> targets) {
        const Mailbox& named = rcpt.mailbox;
        if (seen_.size() + targets.size() > kRecipientsAfterExpansionMax) {
            return std::unexpected(
                smtp::Reply{452, EnhancedStatus{4, 5, 3}, "Too many recipients"});
        }
        // RFC 3461 §5.2.7: what the sender asked for goes on; of several, one tells of success.
        std::optional<DsnNotify> notify = rcpt.parameters.notify;
        for (Mailbox& target : targets) {
            if (!seen_.insert(target.text()).second) continue;
            Recipient recipient;
            recipient.notify = notify;
            recipient.orcpt = rcpt.parameters.orcpt;
            if (notify) notify->success = false;
            bool forwarded = target != named && Onward::is_onward(settings_->destination(target)) &&
                             !settings_->table->is_local(target.domain);
            if (target != named) recipient.original = named;
            recipient.mailbox = std::move(target);
            Variant& variant = forwarded ? forwards_[named] : variant_;
            variant.recipients.push_back(std::move(recipient));
        }
        accepted_.push_back(named);
        return {};
    }

    Intake& house_;
    ClientFacts client_;
    std::unique_ptr<Submitter> submitter_;      // at a listener of kind submission
    std::shared_ptr<const Settings> settings_;  // of the transaction
    Variant variant_;
    std::map<Mailbox, Variant> forwards_;   // by the address of ours that is forwarded
    std::vector<Mailbox> accepted_;         // as the client named them
    std::unordered_set<std::string> seen_;  // what they lead to
    BodyType body_ = BodyType::SevenBit;
    bool smtputf8_ = false;
    std::optional<DsnReturn> dsn_return_;
    std::string dsn_envid_;
    uint64_t octets_told_ = 0;
    std::optional<int8_t> priority_;
    bool lowered_ = false;
    bool requiretls_ = false;
    Moments moments_;
    std::string origin_;  // who has handed the message in, as a filter told
};

Intake::Intake(world::World& world, spool::Spool& spool, MemoryAccount& account,
               SettingsSource& settings, Dispatcher& dispatcher, const DomainKeys& keys,
               DmarcRows& rows, AccountDesk& accounts, MessageId id_floor)
    : world_(world),
      spool_(spool),
      account_(account),
      settings_(settings),
      dispatcher_(dispatcher),
      keys_(keys),
      rows_(rows),
      accounts_(accounts),
      public_keys_(static_cast<std::size_t>(world.executor.shard_count())) {
    for (int shard = 0; shard < world.executor.shard_count(); shard++) {
        ids_.emplace_back(shard, id_floor);
    }
}

std::unique_ptr<receive::Visit> Intake::visit(ClientFacts client) {
    return std::make_unique<IntakeVisit>(*this, std::move(client), ListenerConfig::Kind::Mx);
}

std::unique_ptr<receive::Visit> Intake::SubmissionDoor::visit(ClientFacts client) {
    return std::make_unique<IntakeVisit>(intake_, std::move(client),
                                         ListenerConfig::Kind::Submission);
}

receive::Host& Intake::door(ListenerConfig::Kind kind) {
    if (kind == ListenerConfig::Kind::Submission) return submission_door_;
    return *this;
}

mailauth::dkim::KeyCache& Intake::public_keys() {
    return public_keys_[static_cast<std::size_t>(world_.executor.current_shard())];
}

MessageId Intake::next_id() {
    return ids_[static_cast<std::size_t>(world_.executor.current_shard())].next(
        world_.clock.wall());
}

}  // namespace postrider::daemon
