#include "daemon/intake_sink.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "daemon/intake.h"
#include "daemon/judgement.h"
#include "mail/priority_field.h"
#include "mailauth/authentication_results.h"
#include "seal/signing.h"
#include "verdict/verdict.h"

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

}  // namespace

smtp::Reply memory_tight() {
    return {452, EnhancedStatus{4, 3, 1}, "Short of memory, come again soon"};
}

// One message on its way into the spool.
class IntakeSink : public receive::Sink {
public:
    IntakeSink(Intake& house, Handover handover)
        : house_(house),
          settings_(std::move(handover.settings)),
          envelope_(std::move(handover.envelope)),
          draft_(house.spool_.begin(envelope_.id)),
          charge_(house.account_),
          origin_(std::move(handover.origin)),
          is_own_(handover.is_own),
          lowered_(handover.priority_lowered),
          submission_(std::move(handover.submission)),
          octets_max_(handover.octets_max),
          octets_told_(handover.octets_told) {
        if (is_own_ || !settings_->verdict.check) return;
        auto client = mailauth::IpAddress::parse(envelope_.client.address);
        if (!client) return;
        world::World& world = house.world_;
        verdict_.emplace(verdict::Doors{world.clock, world.executor, world.resolver},
                         house.public_keys(),
                         verdict::Facts{.client = *client,
                                        .helo = envelope_.client.helo,
                                        .reverse_path = envelope_.variants.front().reverse_path,
                                        .hostname = settings_->hostname,
                                        .time_max = settings_->verdict.time_max});
    }

    MessageId id() const override { return envelope_.id; }

    void header_ended(uint64_t header_octets, uint64_t body_begin) override {
        header_octets_ = header_octets;
        body_begin_ = body_begin;
        header_ended_ = true;
    }

    Task<Status<smtp::Reply>> append(std::string_view piece) override {
        if (begun_) {
            pass_body(piece);
            co_return co_await store(piece);
        }
        // The usual case: all of the header is in the first piece.
        if (header_ended_ && header_.empty()) co_return co_await begin(piece);
        header_ += piece;
        if (!charge_.grow_to(header_.size())) co_return std::unexpected(memory_tight());
        if (!header_ended_) co_return Status<smtp::Reply>{};
        std::string held = std::exchange(header_, {});
        co_return co_await begin(held);
    }

    Task<std::vector<smtp::Reply>> finish(receive::ContentFacts facts) override {
        if (!begun_) {
            std::string held = std::exchange(header_, {});
            if (auto kept = co_await begin(held); !kept) co_return std::vector{kept.error()};
        }
        facts.header_octets = static_cast<uint32_t>(facts.header_octets + added_octets_);
        if (facts.octets > octets_max_) {
            co_return std::vector{smtp::Reply{552, EnhancedStatus{5, 3, 4},
                                              "The message is larger than the account may send"}};
        }
        // What came without a word about it is 8-bit all the same (RFC 6152 §3).
        if (submission_ && facts.has_8bit && envelope_.body == BodyType::SevenBit) {
            envelope_.body = BodyType::EightBitMime;
        }
        if (verdict_) {
            verdict::Evidence evidence = co_await verdict_->finish();
            auto refusal = judge(evidence);
            if (refusal) co_return std::vector{std::move(*refusal)};
        }
        if (signing_) put_in_front(co_await signature());
        co_return co_await commit(facts);
    }

private:
    // The content from its first octet, with the whole header block.
    Task<Status<smtp::Reply>> begin(std::string_view content) {
        begun_ = true;
        std::string_view block = content.substr(0, header_octets_);
        find_priority(block);
        if (verdict_) verdict_->take_header(block);
        // RFC 8601 §5. What is verified is the block as it came, what is signed the one that is
        // kept.
        std::string edited;
        std::array<std::string, 1> own_ids{settings_->hostname};
        auto claiming = mailauth::claiming_fields(block, own_ids);
        if (!claiming.empty()) {
            std::size_t at = 0;
            for (const mailauth::OctetRange& range : claiming) {
                edited += block.substr(at, range.begin - at);
                at = range.begin + range.size;
            }
            edited += block.substr(at);
            house_.world_.log.write(
                Event::ForeignResultsRemoved,
                {{"id", envelope_.id.text()}, {"fields", static_cast<int64_t>(claiming.size())}});
        }
        bool changed = !claiming.empty();
        if (submission_) {
            auto completed = seal::complete_submission(changed ? edited : block, *submission_);
            if (!completed) co_return std::unexpected(refuse_submission(completed.error()));
            edited = std::move(*completed);
            changed = true;
        }
        if (is_own_) {
            auto keys = house_.keys_.ring();
            auto start = seal::Signing::start(*keys, settings_->signing, changed ? edited : block,
                                              envelope_.client.account, envelope_.received);
            signing_ = std::move(start.signing);
            author_ = std::move(start.domain);
            if (!start.trouble.empty()) tell_not_signed(start.trouble);
        }
        pass_body(content.substr(body_begin_));
        if (!changed) co_return co_await store(content);
        added_octets_ = static_cast<int64_t>(edited.size()) - static_cast<int64_t>(block.size());
        edited += content.substr(header_octets_);
        co_return co_await store(edited);
    }

    smtp::Reply refuse_submission(const seal::SubmissionFault& fault) {
        smtp::Reply reply(fault.status.subject == 7 ? 550 : 554, fault.status, fault.reason);
        house_.world_.log.write(Event::SubmissionRefused,
                                {{"id", envelope_.id.text()},
                                 {"account", envelope_.client.account},
                                 {"client", envelope_.client.address},
                                 {"from", envelope_.variants.front().reverse_path.text()},
                                 {"reply", reply.one_line()}});
        return reply;
    }

    // RFC 6758 §3.1 (4a). Who may not be first is not believed here either (§7).
    void find_priority(std::string_view block) {
        if (envelope_.priority_given) return;
        PriorityFields found = priority_fields(block);
        envelope_.priority_given = !found.fields.empty();
        int8_t told = found.value.value_or(0);
        envelope_.priority = is_own_ || told < 0 ? told : int8_t{0};
    }

    void pass_body(std::string_view piece) {
        if (verdict_ && verdict_->wants_body()) verdict_->take_body(piece);
        if (signing_) signing_->update(piece);
    }

    Task<Status<smtp::Reply>> store(std::string_view octets) {
        uint64_t size = draft_.size() + octets.size();
        if (size > draft_.memory_max() && house_.account_.is_roomy()) draft_.widen();
        std::size_t held = std::min<uint64_t>(size, draft_.memory_max());
        if (draft_.size() == 0 && octets.size() < octets_told_) expect_all();
        if (!charge_.grow_to(std::max(held, expected_octets_))) {
            co_return std::unexpected(memory_tight());
        }
        if (draft_.append_at_once(octets)) co_return Status<smtp::Reply>{};
        auto appended = co_await draft_.append(octets);
        if (!appended) {
            house_.world_.log.write(Event::MessageNotKept, {{"id", envelope_.id.text()},
                                                            {"reason", appended.error().message}});
            co_return std::unexpected(refusal_of(appended.error()));
        }
        co_return Status<smtp::Reply>{};
    }

    // What the client has told is taken in one piece, if it is not more than stays in memory: it
    // has begun to send it, and what grows is copied again and again.
    void expect_all() {
        std::size_t octets = std::min<uint64_t>(octets_told_, kInlineMessageOctetsMax);
        if (octets != octets_told_ || !charge_.grow_to(octets)) return;
        expected_octets_ = octets;
        draft_.expect(octets);
    }

    Task<std::string> signature() {
        auto fields = co_await signing_->finish(house_.world_.worker);
        if (fields) co_return std::move(*fields);
        tell_not_signed(fields.error().message);
        co_return std::string();
    }

    void tell_not_signed(std::string_view reason) {
        house_.world_.log.write(
            Event::MessageNotSigned,
            {{"id", envelope_.id.text()}, {"domain", author_}, {"reason", reason}});
    }

    void put_in_front(const std::string& fields) {
        for (Variant& variant : envelope_.variants) insert_trace(variant, fields);
    }

    // Decides for each recipient, writes it in front of its copy, and tells why. A reply: the
    // message is not taken.
    std::optional<smtp::Reply> judge(const verdict::Evidence& evidence) {
        Judgement judgement(*settings_, evidence, envelope_);
        std::optional<smtp::Reply> refusal = judgement.refusal();
        std::string id = envelope_.id.text();
        std::string from = envelope_.variants.front().reverse_path.text();
        const verdict::Disposition& strictest = judgement.strictest();
        house_.world_.log.write(
            Event::MessageJudged,
            {{"id", id},
             {"client", envelope_.client.address},
             {"from", from},
             {"helo", envelope_.client.helo},
             {"spf", name(evidence.spf().code)},
             {"dkim", dkim_summary(evidence)},
             {"author", evidence.dmarc.author_domain},
             {"dmarc", name(evidence.dmarc.code)},
             {"policy", name(evidence.dmarc.requested)},
             {"action", judgement.is_deferred() ? "defer" : name(strictest.action)},
             {"reason", strictest.reason.empty() ? evidence.dmarc.reason : strictest.reason},
             {"questions", static_cast<int64_t>(evidence.questions)}});
        if (evidence.dmarc.has_record() && !judgement.is_deferred()) {
            const ReversePath& path = envelope_.variants.front().reverse_path;
            auto row = mailauth::dmarc::report_row(evidence.dmarc, evidence.dmarc_input,
                                                   path.is_null() ? "" : path.mailbox->domain,
                                                   strictest.applied, strictest.overrides);
            house_.rows_.add(
                envelope_.received,
                dmarc_row_line(row, envelope_.id, envelope_.received, envelope_.client.address));
        }
        if (!refusal) judgement.write_into(envelope_);
        return refusal;
    }

    Task<std::vector<smtp::Reply>> commit(receive::ContentFacts facts) {
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
                                                 {"origin", origin_},
                                                 {"from", from},
                                                 {"recipients", recipients},
                                                 {"octets", static_cast<int64_t>(facts.octets)}});
        house_.dispatcher_.accept(std::move(stored->front()));
        if (lowered_) {
            co_return std::vector{smtp::Reply{250, EnhancedStatus{2, 3, 6},
                                              "0 is the new priority; queued as " + id}};
        }
        co_return std::vector{smtp::Reply{250, EnhancedStatus{2, 0, 0}, "Queued as " + id}};
    }

    Intake& house_;
    std::shared_ptr<const Settings> settings_;
    Envelope envelope_;
    spool::Draft draft_;
    MemoryCharge charge_;
    std::string origin_;
    bool is_own_;   // handed in by a client of ours
    bool lowered_;  // its priority; told with the 250 (RFC 6710 §4.1)
    std::optional<seal::SubmissionRules> submission_;
    uint64_t octets_max_;
    uint64_t octets_told_;             // by the client
    std::size_t expected_octets_ = 0;  // memory that was taken for them
    std::optional<verdict::Verdict> verdict_;
    std::unique_ptr<seal::Signing> signing_;
    std::string author_;  // domain; of what is to be signed
    std::string header_;  // while it is not whole
    uint64_t header_octets_ = 0, body_begin_ = 0;
    int64_t added_octets_ = 0;  // to the header block by our edit; less than 0: taken out
    bool header_ended_ = false;
    bool begun_ = false;  // what comes now is body
};

std::unique_ptr<receive::Sink> open_sink(Intake& house, Handover handover) {
    return std::make_unique<IntakeSink>(house, std::move(handover));
}

}  // namespace postrider::daemon
