#include "smtp/transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <iterator>

namespace postrider::smtp {

namespace {

// RFC 6531 §3.3, §3.4: non-ASCII in an address or in the header needs the peer's consent.
bool needs_smtputf8(const TransactionRequest& request) {
    if (request.smtputf8) return true;
    if (request.reverse_path.mailbox && !request.reverse_path.mailbox->is_ascii()) return true;
    return std::ranges::any_of(request.recipients,
                               [](const Recipient& r) { return !r.mailbox.is_ascii(); });
}

// The parameters of MAIL. Each writes itself with a leading blank, or nothing. Further extensions
// are further rows.
using AppendMailParameter = void (*)(std::string&, const TransactionRequest&, const Capabilities&);
constexpr std::array<AppendMailParameter, 3> kMailParameters = {
    // RFC 1870 §5
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.size) fmt::format_to(std::back_inserter(out), " SIZE={}", request.content_octets);
    },
    // RFC 6152 §2
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (request.body == BodyType::EightBitMime && peer.eight_bit_mime) out += " BODY=8BITMIME";
    },
    // RFC 6531 §3.4
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.smtputf8 && needs_smtputf8(request)) out += " SMTPUTF8";
    },
};

}  // namespace

std::optional<LocalReason> obstacle(const TransactionRequest& request, const Capabilities& peer) {
    if (peer.size && peer.size_octets > 0 && request.content_octets > peer.size_octets) {
        return LocalReason{{5, 3, 4},
                           fmt::format("the message has {} octets; the next host takes {} at most",
                                       request.content_octets, peer.size_octets)};
    }
    if (request.body == BodyType::BinaryMime) {
        return LocalReason{{5, 6, 3}, "the message is binary and cannot be sent to the next host"};
    }
    if (request.body == BodyType::EightBitMime && !peer.eight_bit_mime) {
        return LocalReason{{5, 6, 3}, "the message is 8-bit; the next host takes 7-bit only"};
    }
    if (!peer.smtputf8 && needs_smtputf8(request)) {
        return LocalReason{{5, 6, 7},
                           "the message needs internationalized mail (SMTPUTF8), which the next "
                           "host does not offer"};
    }
    return std::nullopt;
}

// RFC 5321 §4.1.1.2
void append_mail_command(std::string& out, const TransactionRequest& request,
                         const Capabilities& peer) {
    out += "MAIL FROM:<";
    out += request.reverse_path.text();
    out += '>';
    for (AppendMailParameter append : kMailParameters) append(out, request, peer);
    out += "\r\n";
}

// RFC 5321 §4.1.1.3
void append_rcpt_command(std::string& out, const Recipient& recipient, const Capabilities&) {
    out += "RCPT TO:<";
    out += recipient.mailbox.text();
    out += ">\r\n";
}

TransactionResult result_of(std::shared_ptr<const Reply> reply, Stage stage) {
    assert(reply && !reply->is_intermediate());
    TransactionResult result;
    result.state = reply->is_positive()    ? TransactionResult::State::Accepted
                   : reply->is_temporary() ? TransactionResult::State::Temporary
                                           : TransactionResult::State::Permanent;
    result.stage = stage;
    result.status =
        reply->status.value_or(EnhancedStatus{static_cast<uint8_t>(reply->code / 100), 0, 0});
    result.reply = std::move(reply);
    return result;
}

TransactionResult result_of(const LocalReason& reason, Stage stage) {
    assert(reason.status.klass == 4 || reason.status.klass == 5);
    TransactionResult result;
    result.state = reason.status.klass == 4 ? TransactionResult::State::Temporary
                                            : TransactionResult::State::Permanent;
    result.stage = stage;
    result.status = reason.status;
    result.reason = reason.text;
    return result;
}

std::string TransactionResult::text() const { return reply ? reply->one_line() : reason; }

std::string_view text_of(Stage stage) {
    switch (stage) {
        case Stage::Connect:
            return "connecting";
        case Stage::Greeting:
            return "greeting";
        case Stage::Hello:
            return "EHLO";
        case Stage::NotSent:
            return "before MAIL";
        case Stage::Mail:
            return "MAIL";
        case Stage::Rcpt:
            return "RCPT";
        case Stage::Data:
            return "DATA";
        case Stage::Content:
            return "sending of content";
        case Stage::Final:
            return "end of data";
    }
    return "";
}

}  // namespace postrider::smtp
