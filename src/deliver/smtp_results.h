// deliver/smtp_results.h: what an SMTP transaction's results mean for the queue and the report.
//
// The client session says which command was answered with what. The queue wants to know what stood
// in the way, since greylisting, a full mailbox and a dead host are tried again at different
// intervals. Here the one is turned into the other.
//
// Threads: plain functions of values.
// RFC 3463 (status codes), RFC 6647 (greylisting), RFC 5321 §4.5.3.1.10 (too many recipients).

#pragma once

#include <cstdint>
#include <string>

#include "mail/attempt.h"
#include "smtp/client_session.h"

namespace postrider::deliver {

// `number`: of the recipient in its envelope. `host`: who answered, for people. An accepted message
// is Relayed over SMTP and Delivered over LMTP, whose server delivers at once.
RecipientResult smtp_result(const smtp::TransactionResult& result, uint32_t number,
                            smtp::ClientMode mode, std::string host);

FailureKind failure_kind(const smtp::TransactionResult& result);

}  // namespace postrider::deliver
