// The envelope's machine of a ClientSession: MAIL, RCPT and DATA, their replies, and what they mean
// for each recipient.

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/situation.h"
#include "smtp/client_session.h"

namespace postrider::smtp {

namespace {

// RFC 5321 §4.5.3.1.10: 452 says "too many recipients", and so does 552 from older servers. Both
// have other meanings too (a full mailbox), which the enhanced code tells apart.
bool says_too_many_recipients(const Reply& reply) {
    if (reply.code != 452 && reply.code != 552) return false;
    return !reply.status || (reply.status->subject == 5 && reply.status->detail == 3);
}

TransactionResult not_tried(Stage stage, std::string_view why) {
    TransactionResult result = result_of(LocalReason{{4, 5, 3}, std::string(why)}, stage);
    result.state = TransactionResult::State::NotTried;
    return result;
}

TransactionResult refused_rcpt(std::shared_ptr<const Reply> reply, bool others_accepted) {
    bool too_many = says_too_many_recipients(*reply);
    TransactionResult result = result_of(std::move(reply), Stage::Rcpt);
    if (too_many) {
        // Without an accepted recipient another transaction would end the same way: wait instead.
        result.state = others_accepted ? TransactionResult::State::NotTried
                                       : TransactionResult::State::Temporary;
        result.status = {4, 5, 3};
    }
    return result;
}

}  // namespace

// Recipients beyond the limits of ours or of the peer wait for the next transaction.
void ClientSession::choose_recipients() {
    Transaction& transaction = *transaction_;
    std::size_t max = options_.recipients_max;
    if (capabilities_.limits.rcpt_max) {
        max = std::min<std::size_t>(max, *capabilities_.limits.rcpt_max);
    }
    for (uint32_t i = 0; i < transaction.request.recipients.size(); ++i) {
        if (transaction.tried.size() < max &&
            fits_domain_limit(transaction.request.recipients[i].mailbox.domain)) {
            transaction.tried.push_back(i);
        } else {
            transaction.results[i] = not_tried(Stage::NotSent, "more recipients than fit");
        }
    }
}

// RFC 9422 §4.3: domains are counted over the whole session.
bool ClientSession::fits_domain_limit(const std::string& domain) {
    if (!capabilities_.limits.rcpt_domain_max) return true;
    if (std::ranges::find(domains_, domain) != domains_.end()) return true;
    if (domains_.size() >= *capabilities_.limits.rcpt_domain_max) return false;
    domains_.push_back(domain);
    return true;
}

// RFC 2920 §3.1: MAIL, RCPT and RSET may stand anywhere in a group, DATA at its end.
void ClientSession::send_commands() {
    bool pipelining = capabilities_.pipelining && !forced(Switch::SmtpOneCommandAtATime);
    if (std::exchange(reset_needed_, false)) {
        send("RSET");
        owe(ClientWait::Reset);
        if (!pipelining) return;
    }
    do {
        send_next_command();
    } while (pipelining &&
             transaction_->sent < transaction_->tried.size() + (transaction_->chunked ? 1 : 2) &&
             output_.size() < kGroupOctetsMax);
}

void ClientSession::send_next_command() {
    Transaction& transaction = *transaction_;
    drop_taken_output();
    std::size_t begin = output_.size();
    std::size_t number = transaction.sent++;
    if (number == 0) {
        append_mail_command(output_, transaction.request, capabilities_);
        owe(ClientWait::Mail);
        ++transactions_;
    } else if (number <= transaction.tried.size()) {
        uint32_t recipient = transaction.tried[number - 1];
        append_rcpt_command(output_, transaction.request.recipients[recipient], transaction.request,
                            capabilities_);
        owe(ClientWait::Rcpt, recipient);
    } else {
        output_ += "DATA\r\n";
        owe(ClientWait::DataInitiation);
    }
    transcript_.sent(std::string_view(output_).substr(begin));
}

void ClientSession::group_answered() {
    Transaction& transaction = *transaction_;
    owed_.clear();
    next_owed_ = 0;
    if (transaction.data_reply) return data_answered();
    if (transaction.mail_refused) {
        reset_needed_ = !transaction.accepted.empty();
        return finish_transaction();
    }
    if (transaction.too_many) {
        for (; transaction.sent <= transaction.tried.size(); ++transaction.sent) {
            transaction.results[transaction.tried[transaction.sent - 1]] =
                not_tried(Stage::Rcpt, "the next host takes no more recipients at once");
        }
    }
    bool rcpt_left = transaction.sent <= transaction.tried.size();
    if (!rcpt_left && transaction.accepted.empty()) {
        reset_needed_ = true;
        return finish_transaction();
    }
    // RFC 3030 §2: "after all MAIL and RCPT responses are collected".
    if (!rcpt_left && transaction.chunked) return enter(State::Content);
    send_commands();
}

// RFC 2920 §3.1: DATA in a group may be answered 354 although every recipient was refused.
void ClientSession::data_answered() {
    Transaction& transaction = *transaction_;
    if (transaction.data_reply->is_refusal()) {
        resolve_rest(result_of(transaction.data_reply, Stage::Data));
        reset_needed_ = true;
        return finish_transaction();
    }
    if (!transaction.accepted.empty() && !transaction.mail_refused) return enter(State::Content);
    // Only when nobody was accepted does a lone dot send nothing to nobody. RFC 2033 §4.2: an LMTP
    // server must not answer 354 then.
    if (transaction.accepted.empty() && options_.mode == ClientMode::Smtp) {
        return enter(State::Void);
    }
    bad_reply(*transaction.data_reply, Stage::Data, "starts content that nobody should get");
}

// Every recipient has a result: hands them out, and the connection is free again.
void ClientSession::finish_transaction() {
    std::vector<TransactionResult> results;
    results.reserve(transaction_->results.size());
    for (std::optional<TransactionResult>& result : transaction_->results) {
        assert(result);
        results.push_back(*std::move(result));
    }
    done_ = std::move(results);
    transaction_.reset();
    if (state_ == State::Closed || state_ == State::Ready) return;
    // RFC 9422 §4.1: MAILMAX counts MAIL commands.
    bool used_up = capabilities_.limits.mail_max && transactions_ >= *capabilities_.limits.mail_max;
    enter(used_up ? State::Quit : State::Ready);
}

void ClientSession::resolve_rest(const TransactionResult& result) {
    for (std::optional<TransactionResult>& slot : transaction_->results) {
        if (!slot) slot = result;
    }
}

void ClientSession::on_envelope(Owed owed, std::shared_ptr<const Reply> reply) {
    bool is_data = owed.to == ClientWait::DataInitiation;
    if (reply->is_intermediate() != (is_data && !reply->is_refusal())) {
        return bad_reply(*reply, stage_of(owed.to), "is no answer to this command");
    }
    switch (owed.to) {
        case ClientWait::Mail:
            on_mail(std::move(reply));
            break;
        case ClientWait::Rcpt:
            on_rcpt(owed.recipient, std::move(reply));
            break;
        case ClientWait::DataInitiation:
            transaction_->data_reply = std::move(reply);
            break;
        default:
            assert(owed.to == ClientWait::Reset);
            if (!reply->is_positive()) return bad_reply(*reply, Stage::Mail, "refuses RSET");
    }
    if (next_owed_ == owed_.size()) group_answered();
}

void ClientSession::on_mail(std::shared_ptr<const Reply> reply) {
    if (reply->is_positive()) return;
    transaction_->mail_refused = true;
    resolve_rest(result_of(std::move(reply), Stage::Mail));
}

void ClientSession::on_rcpt(uint32_t recipient, std::shared_ptr<const Reply> reply) {
    Transaction& transaction = *transaction_;
    if (reply->is_positive()) {
        transaction.accepted.push_back(recipient);
        return;
    }
    if (transaction.mail_refused) return;  // the answer to MAIL stands
    TransactionResult result = refused_rcpt(std::move(reply), !transaction.accepted.empty());
    transaction.too_many |= result.state == TransactionResult::State::NotTried;
    transaction.results[recipient] = std::move(result);
}

}  // namespace postrider::smtp
