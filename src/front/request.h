// front/request.h: what the front asks of the server, and what its answer means to the caller.
//
// Threads: pure.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "front/message.h"
#include "mail/mailbox.h"
#include "smtp/transaction.h"

namespace postrider::front {

// An address without "@" is one of `host`.
Result<Mailbox> mailbox_of(const std::string& text, std::string_view host);

// `sender` as given by -f: "" and "<>" are the null reverse-path. A recipient that is named twice
// is asked for once.
Result<smtp::TransactionRequest> request_of(std::string sender,
                                            const std::vector<std::string>& recipients,
                                            std::string_view host, const Message& message);

// REQUIRES: it is Permanent.
int exit_code_of(const smtp::TransactionResult& refused);

}  // namespace postrider::front
