#include "front/request.h"

#include <algorithm>
#include <utility>

#include "front/options.h"

namespace postrider::front {

Result<Mailbox> mailbox_of(const std::string& text, std::string_view host) {
    // A quoted local part may hold an "@" of its own.
    bool whole = text.rfind('@') != std::string::npos && !text.ends_with('"');
    auto mailbox = Mailbox::parse(whole ? text : text + "@" + std::string(host), AddressForm::Utf8);
    if (!mailbox) return fail("\"" + text + "\": " + mailbox.error().message);
    return mailbox;
}

Result<smtp::TransactionRequest> request_of(std::string sender,
                                            const std::vector<std::string>& recipients,
                                            std::string_view host, const Message& message) {
    smtp::TransactionRequest request;
    request.content_octets = message.content.size();
    request.body = message.has_8bit ? BodyType::EightBitMime : BodyType::SevenBit;
    if (sender.starts_with('<') && sender.ends_with('>')) {
        sender = sender.substr(1, sender.size() - 2);
    }
    if (!sender.empty()) {
        auto mailbox = mailbox_of(sender, host);
        if (!mailbox) return std::unexpected(mailbox.error());
        request.smtputf8 = !mailbox->is_ascii();
        request.reverse_path.mailbox = std::move(*mailbox);
    }
    for (const std::string& text : recipients) {
        auto mailbox = mailbox_of(text, host);
        if (!mailbox) return std::unexpected(mailbox.error());
        request.smtputf8 = request.smtputf8 || !mailbox->is_ascii();
        bool known = std::ranges::any_of(
            request.recipients, [&](const Recipient& one) { return one.mailbox == *mailbox; });
        if (!known) request.recipients.push_back({.mailbox = std::move(*mailbox)});
    }
    return request;
}

// RFC 3463: X.1 is about an address, X.6 about the content, X.7 about a rule.
int exit_code_of(const smtp::TransactionResult& refused) {
    if (refused.status.subject == 1) return kExitNoUser;
    if (refused.status.subject == 6) return kExitDataError;
    if (refused.status.subject == 7) return kExitNoPermission;
    return kExitUnavailable;
}

}  // namespace postrider::front
