#include "spool/payload.h"

#include "base/limits.h"
#include "spool/bytes.h"

namespace postrider::spool {

namespace {

// The numbers of docs/spool-format.md.
namespace large {
enum Tag : uint16_t {
    Size = 1,
    BlockOctets = 2,
    BlockCrcs = 3
};
}  // namespace large
namespace change {
enum Tag : uint16_t {
    Id = 1,
    Recipient = 2,
    State = 3,
    Status = 4,
    Reason = 5,
    Attempts = 6,
    NextAttempt = 7,
    At = 8,
    DelayTold = 9,
};
}  // namespace change
namespace attempt {
enum Tag : uint16_t {
    Id = 1,
    Count = 2
};
}  // namespace attempt
namespace ended {
enum Tag : uint16_t {
    Generation = 1,
    End = 2,
    Gaps = 3
};
}  // namespace ended

constexpr std::size_t kStatusOctets = 5;
constexpr uint8_t kStateMax = static_cast<uint8_t>(RecipientState::SetAside);

template <typename Handle>
bool each_field(std::string_view octets, Handle handle) {
    FieldReader reader(octets);
    while (auto field = reader.next()) handle(*field);
    return !reader.broken();
}

std::optional<LargeFields> parse_large(std::string_view octets) {
    LargeFields out;
    bool whole = each_field(octets, [&](const Field& field) {
        if (field.tag == large::Size) out.size = field.number<uint64_t>();
        if (field.tag == large::BlockOctets) out.block_octets = field.number<uint32_t>();
        if (field.tag != large::BlockCrcs) return;
        out.block_crcs.clear();
        for (std::size_t at = 0; at + 4 <= field.value.size(); at += 4) {
            out.block_crcs.push_back(take_at<uint32_t>(field.value.data() + at));
        }
    });
    if (!whole || out.block_octets == 0) return {};
    uint64_t blocks = out.size / out.block_octets + (out.size % out.block_octets != 0 ? 1 : 0);
    if (blocks != out.block_crcs.size()) return {};
    return out;
}

std::optional<RecipientChange> parse_change(std::string_view octets) {
    RecipientChange out;
    uint8_t state = 0;
    bool whole = each_field(octets, [&](const Field& field) {
        switch (field.tag) {
            case change::Id:
                out.id = {field.number<uint64_t>()};
                break;
            case change::Recipient:
                out.recipient = field.number<uint32_t>();
                break;
            case change::State:
                state = field.number<uint8_t>();
                break;
            case change::Status:
                if (field.value.size() < kStatusOctets) break;
                out.status.klass = take_at<uint8_t>(field.value.data());
                out.status.subject = take_at<uint16_t>(field.value.data() + 1);
                out.status.detail = take_at<uint16_t>(field.value.data() + 3);
                break;
            case change::Reason:
                out.reason = field.value.substr(0, kReasonOctetsMax);
                break;
            case change::Attempts:
                out.attempts = field.number<uint32_t>();
                break;
            case change::NextAttempt:
                out.next_attempt = {field.number<int64_t>()};
                break;
            case change::At:
                out.at = {field.number<int64_t>()};
                break;
            case change::DelayTold:
                out.delay_told = field.number<uint8_t>() != 0;
                break;
            default:
                break;
        }
    });
    if (!whole || state > kStateMax) return {};
    out.state = RecipientState{state};
    return out;
}

std::optional<AttemptItem> parse_attempt(std::string_view octets) {
    AttemptItem out;
    bool whole = each_field(octets, [&](const Field& field) {
        if (field.tag == attempt::Id) out.id = {field.number<uint64_t>()};
        if (field.tag == attempt::Count) out.count = field.number<uint8_t>();
    });
    if (!whole) return {};
    return out;
}

std::optional<EndedItem> parse_ended(std::string_view octets) {
    EndedItem out;
    bool whole = each_field(octets, [&](const Field& field) {
        if (field.tag == ended::Generation) out.generation = field.number<uint64_t>();
        if (field.tag == ended::End) out.end = field.number<uint32_t>();
        if (field.tag != ended::Gaps) return;
        for (std::size_t at = 0; at + 8 <= field.value.size(); at += 8) {
            const char* from = field.value.data() + at;
            out.gaps.push_back({take_at<uint32_t>(from), take_at<uint32_t>(from + 4)});
        }
    });
    if (!whole) return {};
    return out;
}

// Puts what `parsed` holds at the end of `list`; false when it holds nothing.
template <typename T>
bool keep(std::vector<T>& list, std::optional<T> parsed) {
    if (!parsed) return false;
    list.push_back(*std::move(parsed));
    return true;
}

bool has_content(const MessageItem& message) { return message.content || message.large; }

bool parse_item(const Field& item, Payload& out) {
    switch (ItemType{item.tag}) {
        case ItemType::Message: {
            if (!out.messages.empty() && !has_content(out.messages.back())) return false;
            auto fields = decode_message(item.value);
            if (!fields) return false;
            out.messages.push_back({*std::move(fields), {}, {}});
            return true;
        }
        case ItemType::Content:
        case ItemType::Large: {
            if (out.messages.empty() || has_content(out.messages.back())) return false;
            MessageItem& message = out.messages.back();
            if (ItemType{item.tag} == ItemType::Content) {
                message.content = item.value;
                return item.value.size() == message.fields.content_octets;
            }
            message.large = parse_large(item.value);
            return message.large && message.large->size == message.fields.content_octets;
        }
        case ItemType::Change:
            return keep(out.changes, parse_change(item.value));
        case ItemType::Attempt:
            return keep(out.attempts, parse_attempt(item.value));
        case ItemType::Ended:
            return keep(out.ended, parse_ended(item.value));
        case ItemType::Oldest:
            if (item.value.size() != sizeof(uint64_t)) return false;
            out.oldest = item.number<uint64_t>();
            return true;
        case ItemType::Highest:
            if (item.value.size() != sizeof(uint64_t)) return false;
            out.highest = MessageId{item.number<uint64_t>()};
            return true;
    }
    return true;  // a type that we do not know yet
}

}  // namespace

std::optional<Payload> parse_payload(std::string_view octets) {
    Payload out;
    FieldReader reader(octets, kItemHeaderOctets);
    while (auto item = reader.next()) {
        if (!parse_item(*item, out)) return {};
    }
    if (reader.broken()) return {};
    if (!out.messages.empty() && !has_content(out.messages.back())) return {};
    return out;
}

void put_message(const Envelope& envelope, uint32_t header_octets, bool has_8bit,
                 uint64_t content_octets, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Message));
    encode_message(envelope, header_octets, has_8bit, content_octets, out);
    writer.end(begun);
}

void put_large(const LargeFields& value, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Large));
    writer.number<uint64_t>(large::Size, value.size);
    writer.number<uint32_t>(large::BlockOctets, value.block_octets);
    std::size_t crcs = writer.begin_field(large::BlockCrcs);
    for (uint32_t crc : value.block_crcs) put<uint32_t>(out, crc);
    writer.end(crcs);
    writer.end(begun);
}

void put_change(const RecipientChange& value, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Change));
    writer.number<uint64_t>(change::Id, value.id.value);
    writer.number_if<uint32_t>(change::Recipient, value.recipient);
    writer.number_if<uint8_t>(change::State, static_cast<uint8_t>(value.state));
    if (value.status != EnhancedStatus{}) {
        std::size_t status = writer.begin_field(change::Status);
        put<uint8_t>(out, value.status.klass);
        put<uint16_t>(out, value.status.subject);
        put<uint16_t>(out, value.status.detail);
        writer.end(status);
    }
    writer.text_if(change::Reason, std::string_view(value.reason).substr(0, kReasonOctetsMax));
    writer.number_if<uint32_t>(change::Attempts, value.attempts);
    writer.number_if<int64_t>(change::NextAttempt, value.next_attempt.us);
    writer.number_if<int64_t>(change::At, value.at.us);
    writer.number_if<uint8_t>(change::DelayTold, value.delay_told ? 1 : 0);
    writer.end(begun);
}

void put_attempt(const AttemptItem& value, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Attempt));
    writer.number<uint64_t>(attempt::Id, value.id.value);
    writer.number_if<uint8_t>(attempt::Count, value.count);
    writer.end(begun);
}

void put_ended(const EndedItem& value, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Ended));
    writer.number<uint64_t>(ended::Generation, value.generation);
    writer.number<uint32_t>(ended::End, value.end);
    if (!value.gaps.empty()) {
        std::size_t gaps = writer.begin_field(ended::Gaps);
        for (Gap gap : value.gaps) {
            put<uint32_t>(out, gap.from);
            put<uint32_t>(out, gap.to);
        }
        writer.end(gaps);
    }
    writer.end(begun);
}

void put_oldest(uint64_t generation, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Oldest));
    put<uint64_t>(out, generation);
    writer.end(begun);
}

void put_highest(MessageId id, std::string& out) {
    FieldWriter writer(out);
    std::size_t begun = writer.begin_item(static_cast<uint16_t>(ItemType::Highest));
    put<uint64_t>(out, id.value);
    writer.end(begun);
}

void put_content_header(uint32_t octets, std::string& out) {
    put<uint16_t>(out, static_cast<uint16_t>(ItemType::Content));
    put<uint16_t>(out, 0);
    put<uint32_t>(out, octets);
}

}  // namespace postrider::spool
