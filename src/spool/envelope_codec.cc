#include "spool/envelope_codec.h"

#include <cassert>

#include "base/limits.h"
#include "spool/bytes.h"

namespace postrider::spool {

namespace {

// The numbers of docs/spool-format.md.
namespace message {
enum Tag : uint16_t {
    Id = 1,
    Received = 2,
    Body = 3,
    SmtpUtf8 = 4,
    RequireTls = 5,
    Priority = 6,
    HoldUntil = 7,
    DeliverBy = 8,
    DeliverByReturn = 9,
    DsnRet = 10,
    DsnEnvid = 11,
    ClientAddress = 12,
    ClientPort = 13,
    ClientHelo = 14,
    Protocol = 15,
    Tls = 16,
    Account = 17,
    Variant = 18,
    HeaderOctets = 19,
    Has8bit = 20,
    ContentOctets = 21,
    DeliverByTrace = 22,
    HoldRequest = 23,
    PriorityGiven = 24,
};
}  // namespace message
namespace variant {
enum Tag : uint16_t {
    ReverseLocalPart = 1,
    ReverseDomain = 2,
    Prefix = 3,
    Recipient = 4
};
}  // namespace variant
namespace recipient {
enum Tag : uint16_t {
    LocalPart = 1,
    Domain = 2,
    OriginalLocalPart = 3,
    OriginalDomain = 4,
    Notify = 5,
    Orcpt = 6,
};
}  // namespace recipient

uint8_t notify_bits(const DsnNotify& notify) {
    return static_cast<uint8_t>((notify.never ? 1 : 0) | (notify.success ? 2 : 0) |
                                (notify.failure ? 4 : 0) | (notify.delay ? 8 : 0));
}

void encode_recipient(const Recipient& value, FieldWriter& writer) {
    writer.text(recipient::LocalPart, value.mailbox.local_part);
    writer.text(recipient::Domain, value.mailbox.domain);
    if (value.original) {
        writer.text(recipient::OriginalLocalPart, value.original->local_part);
        writer.text(recipient::OriginalDomain, value.original->domain);
    }
    if (value.notify) writer.number<uint8_t>(recipient::Notify, notify_bits(*value.notify));
    writer.text_if(recipient::Orcpt, value.orcpt);
}

void encode_variant(const Variant& value, FieldWriter& writer) {
    if (value.reverse_path.mailbox) {
        writer.text(variant::ReverseLocalPart, value.reverse_path.mailbox->local_part);
        writer.text(variant::ReverseDomain, value.reverse_path.mailbox->domain);
    }
    writer.text_if(variant::Prefix, value.prefix);
    for (const Recipient& one : value.recipients) {
        std::size_t begun = writer.begin_field(variant::Recipient);
        encode_recipient(one, writer);
        writer.end(begun);
    }
}

void encode_client(const ClientFacts& client, FieldWriter& writer) {
    writer.text_if(message::ClientAddress, client.address);
    writer.number_if<uint16_t>(message::ClientPort, client.port);
    writer.text_if(message::ClientHelo, client.helo);
    writer.text_if(message::Protocol, client.protocol);
    writer.text_if(message::Tls, client.tls);
    writer.text_if(message::Account, client.account);
}

Mailbox& made(std::optional<Mailbox>& mailbox) {
    if (!mailbox) mailbox.emplace();
    return *mailbox;
}

bool decode_recipient(std::string_view octets, Recipient& out) {
    FieldReader reader(octets);
    while (auto field = reader.next()) {
        switch (field->tag) {
            case recipient::LocalPart:
                out.mailbox.local_part = field->value;
                break;
            case recipient::Domain:
                out.mailbox.domain = field->value;
                break;
            case recipient::OriginalLocalPart:
                made(out.original).local_part = field->value;
                break;
            case recipient::OriginalDomain:
                made(out.original).domain = field->value;
                break;
            case recipient::Notify: {
                auto bits = field->number<uint8_t>();
                out.notify =
                    DsnNotify{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
                break;
            }
            case recipient::Orcpt:
                out.orcpt = field->value;
                break;
            default:
                break;
        }
    }
    return !reader.broken();
}

bool decode_variant(std::string_view octets, Variant& out, std::size_t& recipients_left) {
    FieldReader reader(octets);
    while (auto field = reader.next()) {
        switch (field->tag) {
            case variant::ReverseLocalPart:
                made(out.reverse_path.mailbox).local_part = field->value;
                break;
            case variant::ReverseDomain:
                made(out.reverse_path.mailbox).domain = field->value;
                break;
            case variant::Prefix:
                out.prefix = field->value;
                break;
            case variant::Recipient:
                if (recipients_left == 0) return false;
                --recipients_left;
                if (!decode_recipient(field->value, out.recipients.emplace_back())) return false;
                break;
            default:
                break;
        }
    }
    return !reader.broken();
}

bool decode_client(const Field& field, ClientFacts& out) {
    switch (field.tag) {
        case message::ClientAddress:
            out.address = field.value;
            return true;
        case message::ClientPort:
            out.port = field.number<uint16_t>();
            return true;
        case message::ClientHelo:
            out.helo = field.value;
            return true;
        case message::Protocol:
            out.protocol = field.value;
            return true;
        case message::Tls:
            out.tls = field.value;
            return true;
        case message::Account:
            out.account = field.value;
            return true;
        default:
            return false;
    }
}

bool decode_extension(const Field& field, Envelope& out) {
    switch (field.tag) {
        case message::Body:
            // A type that we do not know is treated as the one that asks for most care.
            out.body = field.number<uint8_t>() <= 2 ? BodyType{field.number<uint8_t>()}
                                                    : BodyType::BinaryMime;
            return true;
        case message::SmtpUtf8:
            out.smtputf8 = field.number<uint8_t>() != 0;
            return true;
        case message::RequireTls:
            out.requiretls = field.number<uint8_t>() != 0;
            return true;
        case message::Priority:
            out.priority = field.number<int8_t>();
            return true;
        case message::HoldUntil:
            out.hold_until = Wall{field.number<int64_t>()};
            return true;
        case message::DeliverBy:
            out.deliver_by = Wall{field.number<int64_t>()};
            return true;
        case message::DeliverByReturn:
            out.deliver_by_return = field.number<uint8_t>() != 0;
            return true;
        case message::DeliverByTrace:
            out.deliver_by_trace = field.number<uint8_t>() != 0;
            return true;
        case message::HoldRequest:
            out.hold_request = field.value;
            return true;
        case message::PriorityGiven:
            out.priority_given = field.number<uint8_t>() != 0;
            return true;
        case message::DsnRet:
            out.dsn_return = field.number<uint8_t>() == 1 ? DsnReturn::Full : DsnReturn::Headers;
            return true;
        case message::DsnEnvid:
            out.dsn_envid = field.value;
            return true;
        default:
            return false;
    }
}

}  // namespace

void encode_message(const Envelope& envelope, uint32_t header_octets, bool has_8bit,
                    uint64_t content_octets, std::string& out) {
    FieldWriter writer(out);
    writer.number<uint64_t>(message::Id, envelope.id.value);
    writer.number<int64_t>(message::Received, envelope.received.us);
    writer.number_if<uint8_t>(message::Body, static_cast<uint8_t>(envelope.body));
    writer.number_if<uint8_t>(message::SmtpUtf8, envelope.smtputf8 ? 1 : 0);
    writer.number_if<uint8_t>(message::RequireTls, envelope.requiretls ? 1 : 0);
    writer.number_if<int8_t>(message::Priority, envelope.priority);
    if (envelope.hold_until) writer.number<int64_t>(message::HoldUntil, envelope.hold_until->us);
    if (envelope.deliver_by) writer.number<int64_t>(message::DeliverBy, envelope.deliver_by->us);
    writer.number_if<uint8_t>(message::DeliverByReturn, envelope.deliver_by_return ? 1 : 0);
    writer.number_if<uint8_t>(message::DeliverByTrace, envelope.deliver_by_trace ? 1 : 0);
    writer.text_if(message::HoldRequest, envelope.hold_request);
    writer.number_if<uint8_t>(message::PriorityGiven, envelope.priority_given ? 1 : 0);
    if (envelope.dsn_return) {
        writer.number<uint8_t>(message::DsnRet, static_cast<uint8_t>(*envelope.dsn_return));
    }
    writer.text_if(message::DsnEnvid, envelope.dsn_envid);
    encode_client(envelope.client, writer);
    for (const Variant& one : envelope.variants) {
        std::size_t begun = writer.begin_field(message::Variant);
        encode_variant(one, writer);
        writer.end(begun);
    }
    writer.number_if<uint32_t>(message::HeaderOctets, header_octets);
    writer.number_if<uint8_t>(message::Has8bit, has_8bit ? 1 : 0);
    writer.number_if<uint64_t>(message::ContentOctets, content_octets);
}

std::optional<MessageFields> decode_message(std::string_view fields) {
    MessageFields out;
    std::size_t recipients_left = kRecipientsAfterExpansionMax;
    FieldReader reader(fields);
    while (auto field = reader.next()) {
        if (decode_client(*field, out.envelope.client)) continue;
        if (decode_extension(*field, out.envelope)) continue;
        switch (field->tag) {
            case message::Id:
                out.envelope.id = {field->number<uint64_t>()};
                break;
            case message::Received:
                out.envelope.received = {field->number<int64_t>()};
                break;
            case message::Variant:
                // Each has at least one recipient, so their number is bounded as well.
                if (out.envelope.variants.size() > kRecipientsAfterExpansionMax) return {};
                if (!decode_variant(field->value, out.envelope.variants.emplace_back(),
                                    recipients_left)) {
                    return {};
                }
                break;
            case message::HeaderOctets:
                out.header_octets = field->number<uint32_t>();
                break;
            case message::Has8bit:
                out.has_8bit = field->number<uint8_t>() != 0;
                break;
            case message::ContentOctets:
                out.content_octets = field->number<uint64_t>();
                break;
            default:
                break;
        }
    }
    bool whole = !reader.broken() && out.envelope.id.value != 0;
    if (!whole || recipients_left == kRecipientsAfterExpansionMax) return {};
    return out;
}

}  // namespace postrider::spool
