#include "smtp/transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <iterator>

#include "mail/dsn.h"

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
constexpr std::array<AppendMailParameter, 8> kMailParameters = {
    // RFC 1870 §5
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.size) fmt::format_to(std::back_inserter(out), " SIZE={}", request.content_octets);
    },
    // RFC 6152 §2
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (request.body == BodyType::EightBitMime && peer.eight_bit_mime) out += " BODY=8BITMIME";
        // RFC 3030 §3; that the peer offers it was looked at before (obstacle).
        if (request.body == BodyType::BinaryMime) out += " BODY=BINARYMIME";
    },
    // RFC 6531 §3.4
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.smtputf8 && needs_smtputf8(request)) out += " SMTPUTF8";
    },
    // RFC 3461 §5.2.1 (b), (a): as they were given to us, or not at all.
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (!peer.dsn || !request.dsn_return) return;
        out += *request.dsn_return == DsnReturn::Full ? " RET=FULL" : " RET=HDRS";
    },
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.dsn && !request.dsn_envid.empty()) out += " ENVID=" + request.dsn_envid;
    },
    // RFC 6710 §4.2
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.mt_priority) {
            fmt::format_to(std::back_inserter(out), " MT-PRIORITY={}", request.priority);
        }
    },
    // RFC 2852 §4.1.4
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (!peer.deliver_by || !request.by) return;
        fmt::format_to(std::back_inserter(out), " BY={};{}{}", request.by->seconds,
                       request.by->returned ? 'R' : 'N', request.by->trace ? "T" : "");
    },
    // RFC 8689 §4.2.1
    [](std::string& out, const TransactionRequest& request, const Capabilities& peer) {
        if (peer.requiretls && request.requiretls) out += " REQUIRETLS";
    },
};

}  // namespace

std::optional<LocalReason> obstacle(const TransactionRequest& request, const Capabilities& peer) {
    if (peer.size && peer.size_octets > 0 && request.content_octets > peer.size_octets) {
        return LocalReason{{5, 3, 4},
                           fmt::format("the message has {} octets; the next host takes {} at most",
                                       request.content_octets, peer.size_octets)};
    }
    if (request.body == BodyType::BinaryMime && !(peer.chunking && peer.binary_mime)) {
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
    if (request.is_final_delivery) return std::nullopt;
    // RFC 2852 §4.1.4.1. RFC 3463 §3.4: X.3.3, not capable of selected features.
    if (request.by && request.by->returned && !peer.deliver_by) {
        return LocalReason{{5, 3, 3},
                           "the message is to be given back if it is late (DELIVERBY), which the "
                           "next host does not offer"};
    }
    if (request.by && request.by->returned && peer.deliver_by_min &&
        std::chrono::seconds(request.by->seconds) < *peer.deliver_by_min) {
        return LocalReason{{5, 4, 7},
                           "the next host cannot deliver the message in the time that is left"};
    }
    // RFC 8689 §4.2.1, §5: but for reports.
    if (request.requiretls && !peer.requiretls && !request.reverse_path.is_null()) {
        return LocalReason{{5, 7, 30},
                           "the message requires TLS (REQUIRETLS), which the next host "
                           "does not offer"};
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
void append_rcpt_command(std::string& out, const Recipient& recipient,
                         const TransactionRequest& request, const Capabilities& peer) {
    out += "RCPT TO:<";
    out += recipient.mailbox.text();
    out += '>';
    if (peer.dsn) {
        // RFC 3461 §5.2.1 (c), (d).
        std::optional<DsnNotify> notify = recipient.notify;
        // RFC 2852 §4.1.4.2: a host that does not know until when is asked to tell of delays.
        if (request.by && !request.by->returned && !peer.deliver_by) {
            if (!notify) notify = DsnNotify{.failure = true};
            if (!notify->never) notify->delay = true;
        }
        if (notify) out += " NOTIFY=" + text(*notify);
        if (!recipient.orcpt.empty()) {
            // RFC 6533 §3: without SMTPUTF8, the form that is ASCII.
            const std::string orcpt =
                peer.smtputf8 ? recipient.orcpt : ascii_orcpt(recipient.orcpt);
            if (orcpt.size() <= kOrcptOctetsMax) out += " ORCPT=" + orcpt;
        }
    }
    out += "\r\n";
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
        case Stage::Tls:
            return "STARTTLS";
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
