#include "deliver/smtp_results.h"

#include <algorithm>
#include <cctype>

#include "base/limits.h"

namespace postrider::deliver {

namespace {

using smtp::Stage;
using State = smtp::TransactionResult::State;

bool contains_word(std::string_view text, std::string_view lower) {
    auto found = std::ranges::search(text, lower, [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == b;
    });
    return !found.empty();
}

// RFC 6647 §5: greylisting answers 4yz, often 4.7.1; many say it in words only.
bool is_greylisting(const smtp::TransactionResult& result) {
    if (result.state != State::Temporary) return false;
    return (result.status == EnhancedStatus{4, 7, 1} && result.stage == Stage::Rcpt) ||
           contains_word(result.reply->text, "greylist") ||
           contains_word(result.reply->text, "graylist");
}

bool is_full(EnhancedStatus status) {
    return (status.subject == 2 && status.detail == 2) ||  // X.2.2: mailbox full
           (status.subject == 3 && status.detail == 1);    // X.3.1: mail system full
}

}  // namespace

FailureKind failure_kind(const smtp::TransactionResult& result) {
    if (result.state == State::Accepted) return FailureKind::Other;
    if (result.state == State::NotTried) return FailureKind::TooManyRecipients;
    if (!result.reply) {
        if (result.stage == Stage::Tls && result.status.subject == 7) return FailureKind::Tls;
        // NotSent and Content with a status of ours other than 4.4.z: the message was the matter.
        bool broke = result.status.subject == 4 || result.status.subject == 5;
        return broke ? FailureKind::Connection : FailureKind::Other;
    }
    const smtp::Reply& reply = *result.reply;
    if (reply.code == 421 || result.stage == Stage::Greeting || result.stage == Stage::Hello ||
        result.stage == Stage::Tls) {
        return FailureKind::Greeting;
    }
    if (is_greylisting(result)) return FailureKind::Greylisted;
    if (is_full(result.status)) return FailureKind::Full;
    if (result.status.subject == 7) return FailureKind::Policy;
    if (result.stage == Stage::Rcpt) {
        bool too_many = result.status.subject == 5 && result.status.detail == 3;
        return too_many ? FailureKind::TooManyRecipients : FailureKind::Mailbox;
    }
    return reply.is_temporary() ? FailureKind::Mail4yz : FailureKind::Other;
}

RecipientResult smtp_result(const smtp::TransactionResult& result, uint32_t number,
                            smtp::ClientMode mode, std::string host) {
    using Verdict = RecipientResult::Verdict;
    RecipientResult out;
    out.recipient = number;
    switch (result.state) {
        case State::Accepted:
            out.verdict = mode == smtp::ClientMode::Lmtp ? Verdict::Delivered : Verdict::Relayed;
            break;
        case State::Permanent:
            out.verdict = Verdict::Permanent;
            break;
        case State::Temporary:
        case State::NotTried:
            out.verdict = Verdict::Temporary;
            break;
    }
    out.status = result.status;
    out.reply_code = result.reply ? result.reply->code : 0;
    out.reason = result.text().substr(0, kReasonOctetsMax);
    out.detail = text_of(result.stage);
    if (result.outcome_unknown) out.detail += "; the next host may have taken the message";
    out.kind = failure_kind(result);
    if (result.reply) out.remote_host = std::move(host);
    return out;
}

}  // namespace postrider::deliver
