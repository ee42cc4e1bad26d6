#include "daemon/intake.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/limits.h"
#include "mail/trace.h"
#include "seal/received.h"

namespace postrider::daemon {

namespace {

// A commit that could not begin to be written in this time is withdrawn; RFC 5321 §4.5.3.2.6 gives
// us 10 minutes, after which the client would send the message again.
constexpr auto kCommitTime = std::chrono::minutes(2);

smtp::Reply refusal_of(const spool::SpoolError& error) {
    using Kind = spool::SpoolError::Kind;
    switch (error.kind) {
        case Kind::Full:
            return {452, EnhancedStatus{4, 3, 1}, "Insufficient system storage, come again later"};
        case Kind::Busy:
        case Kind::CallerDeadline:
            return {452, EnhancedStatus{4, 3, 1}, "The storage is too busy, come again soon"};
        case Kind::TooLarge:
            return {552, EnhancedStatus{5, 3, 4},
                    "The message has too many recipients or is too large"};
        case Kind::Closed:
            return {421, EnhancedStatus{4, 3, 2}, "The server is stopping, come again soon"};
        default:
            return {451, EnhancedStatus{4, 3, 0}, "The storage failed, come again later"};
    }
}

const smtp::Reply kMemoryTight{452, EnhancedStatus{4, 3, 1}, "Short of memory, come again soon"};

}  // namespace

// One message on its way into the spool.
class IntakeSink : public receive::Sink {
public:
    IntakeSink(Intake& house, Envelope envelope)
        : house_(house),
          envelope_(std::move(envelope)),
          draft_(house.spool_.begin(envelope_.id)),
          charge_(house.account_) {}

    MessageId id() const override { return envelope_.id; }

    Task<Status<smtp::Reply>> append(std::string_view piece) override {
        std::size_t held =
            std::min<uint64_t>(draft_.size() + piece.size(), spool::kDraftMemoryOctetsMax);
        if (!charge_.grow_to(held)) co_return std::unexpected(kMemoryTight);
        if (draft_.append_at_once(piece)) co_return Status<smtp::Reply>{};
        auto appended = co_await draft_.append(piece);
        if (!appended) {
            house_.world_.log.write(Event::MessageNotKept, {{"id", envelope_.id.text()},
                                                            {"reason", appended.error().message}});
            co_return std::unexpected(refusal_of(appended.error()));
        }
        co_return Status<smtp::Reply>{};
    }

    Task<std::vector<smtp::Reply>> finish(receive::ContentFacts facts) override {
        world::World& world = house_.world_;
        std::string id = envelope_.id.text();
        std::string from = envelope_.variants.front().reverse_path.text();
        std::string client = envelope_.client.address;
        auto recipients = static_cast<int64_t>(envelope_.recipient_count());

        spool::CommitRequest request;
        request.messages.push_back({std::move(envelope_), std::move(draft_), facts.header_octets});
        // THE COMMIT POINT of what comes in: nothing is told 250 before this has answered.
        auto stored = co_await house_.spool_.commit(
            std::move(request), Deadline::after(world.clock.now(), kCommitTime));
        if (!stored) {
            world.log.write(Event::MessageNotKept,
                            {{"id", id}, {"reason", stored.error().message}});
            co_return std::vector{refusal_of(stored.error())};
        }
        world.log.write(Event::MessageAccepted, {{"id", id},
                                                 {"client", client},
                                                 {"from", from},
                                                 {"recipients", recipients},
                                                 {"octets", static_cast<int64_t>(facts.octets)}});
        house_.dispatcher_.accept(std::move(stored->front()));
        co_return std::vector{smtp::Reply{250, EnhancedStatus{2, 0, 0}, "Queued as " + id}};
    }

private:
    Intake& house_;
    Envelope envelope_;
    spool::Draft draft_;
    MemoryCharge charge_;
};

// One client's session.
class IntakeVisit : public receive::Visit {
public:
    IntakeVisit(Intake& house, ClientFacts client) : house_(house), client_(std::move(client)) {}

    Task<Status<smtp::Reply>> greet() override {
        if (house_.account_.is_tight()) {
            co_return std::unexpected(
                smtp::Reply{421, EnhancedStatus{4, 3, 2}, "Short of memory, come again soon"});
        }
        co_return Status<smtp::Reply>{};
    }

    void hello(std::string_view name, std::string_view protocol) override {
        client_.helo = name;
        client_.protocol = protocol;
    }

    Task<Status<smtp::Reply>> mail(smtp::event::MailFrom mail) override {
        if (house_.account_.is_tight()) co_return std::unexpected(kMemoryTight);
        reset();
        settings_ = house_.settings_.now();
        variant_.reverse_path = std::move(mail.reverse_path);
        body_ = mail.parameters.body.value_or(BodyType::SevenBit);
        smtputf8_ = mail.parameters.smtputf8;
        co_return Status<smtp::Reply>{};
    }

    Task<Status<smtp::Reply>> rcpt(smtp::event::RcptTo rcpt) override {
        route::Decision decision = settings_->table->resolve(rcpt.mailbox);
        if (auto* local = std::get_if<route::Local>(&decision)) {
            co_return add(rcpt.mailbox, std::move(local->targets));
        }
        if (auto* relay = std::get_if<route::Relay>(&decision)) {
            if (!relay->open_to_all && !may_relay()) {
                co_return std::unexpected(
                    smtp::Reply{550, EnhancedStatus{5, 7, 1}, "Relaying denied"});
            }
            co_return add(rcpt.mailbox, {rcpt.mailbox});
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
        if (house_.account_.is_tight()) co_return std::unexpected(kMemoryTight);
        Envelope envelope;
        envelope.id = house_.next_id();
        envelope.received = house_.world_.clock.wall();
        envelope.body = body_;
        envelope.smtputf8 = smtputf8_;
        envelope.client = client_;
        std::string received =
            seal::received_field({.client = client_,
                                  .host = settings_->hostname,
                                  .id = envelope.id,
                                  .recipient = accepted_.size() == 1 ? &accepted_.front() : nullptr,
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
        std::unique_ptr<receive::Sink> sink =
            std::make_unique<IntakeSink>(house_, std::move(envelope));
        co_return sink;
    }

    void reset() override {
        variant_ = {};
        forwards_.clear();
        accepted_.clear();
        seen_.clear();
    }

private:
    bool may_relay() const {
        // From this machine: over a Unix socket, guarded by its file's mode, or by a dropped file.
        if (client_.address.empty()) return true;
        auto address = world::IpAddress::parse(client_.address);
        return address && std::ranges::any_of(settings_->relay_networks, [&](const auto& network) {
                   return network.contains(*address);
               });
    }

    // A mailbox that is reached twice, by two names, gets one copy.
    Status<smtp::Reply> add(const Mailbox& named, std::vector<Mailbox> targets) {
        if (seen_.size() + targets.size() > kRecipientsAfterExpansionMax) {
            return std::unexpected(
                smtp::Reply{452, EnhancedStatus{4, 5, 3}, "Too many recipients"});
        }
        for (Mailbox& target : targets) {
            if (!seen_.insert(target.text()).second) continue;
            Recipient recipient;
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
    std::shared_ptr<const Settings> settings_;  // of the transaction
    Variant variant_;
    std::map<Mailbox, Variant> forwards_;   // by the address of ours that is forwarded
    std::vector<Mailbox> accepted_;         // as the client named them
    std::unordered_set<std::string> seen_;  // what they lead to
    BodyType body_ = BodyType::SevenBit;
    bool smtputf8_ = false;
};

Intake::Intake(world::World& world, spool::Spool& spool, MemoryAccount& account,
               SettingsSource& settings, Dispatcher& dispatcher, MessageId id_floor)
    : world_(world),
      spool_(spool),
      account_(account),
      settings_(settings),
      dispatcher_(dispatcher) {
    for (int shard = 0; shard < world.executor.shard_count(); shard++) {
        ids_.emplace_back(shard, id_floor);
    }
}

std::unique_ptr<receive::Visit> Intake::visit(ClientFacts client) {
    return std::make_unique<IntakeVisit>(*this, std::move(client));
}

MessageId Intake::next_id() {
    return ids_[static_cast<std::size_t>(world_.executor.current_shard())].next(
        world_.clock.wall());
}

}  // namespace postrider::daemon
