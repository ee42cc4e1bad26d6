#include "daemon/attempt_record.h"

#include <algorithm>
#include <utility>

#include "mail/trace.h"
#include "spool/bytes.h"
#include "spool/record.h"

namespace postrider::daemon {

namespace {

using spool::crc32;
using spool::FieldReader;
using spool::FieldWriter;
using spool::put_at;
using spool::take_at;

// No text that a host says begins so: a dialogue has no control octets.
constexpr std::string_view kMagic = "\x01PRA";
constexpr std::size_t kLengthAt = 4, kIdAt = 8, kPayloadCrcAt = 16, kHeaderCrcAt = 20;

constexpr std::size_t kDialogueOctetsMax = 24 * 1024;
constexpr std::size_t kNameOctetsMax = 1024;
constexpr std::size_t kTextOctetsMax = 1024;
constexpr std::size_t kJudgementOctetsMax = 8 * 1024;
constexpr std::size_t kResultsOctetsMax = kAttemptPayloadMax - kDialogueOctetsMax - 16 * 1024;

enum Tag : uint16_t {
    kAt = 1,
    kNumber = 2,
    kSite = 3,
    kSender = 4,
    kResult = 5,
    kLeftOut = 6,
    kDialogue = 7,
    kJudgement = 8,
};
enum ResultTag : uint16_t {
    kRecipient = 1,
    kMailbox = 2,
    kState = 3,
    kStatus = 4,
    kKind = 5,
    kReason = 6,
    kDetail = 7,
    kRemoteHost = 8,
};

RecipientState state_of(const RecipientResult& result) {
    switch (result.verdict) {
        case RecipientResult::Verdict::Delivered:
            return RecipientState::Delivered;
        case RecipientResult::Verdict::Relayed:
            return RecipientState::Relayed;
        case RecipientResult::Verdict::Temporary:
            return RecipientState::Waiting;
        case RecipientResult::Verdict::Permanent:
            return RecipientState::Failed;
    }
    return RecipientState::Waiting;
}

void append_result(std::string& out, const RecipientResult& result, const AttemptNote& note) {
    FieldWriter fields(out);
    std::size_t begun = fields.begin_field(kResult);
    fields.number_if<uint32_t>(kRecipient, result.recipient);
    if (note.envelope) {
        fields.text(kMailbox, note.envelope->recipient(result.recipient).mailbox.text());
    }
    RecipientState state = note.envelope ? state_after(*note.envelope, result) : state_of(result);
    fields.number<uint8_t>(kState, static_cast<uint8_t>(note.state.value_or(state)));
    if (result.status != EnhancedStatus{}) {
        std::size_t status = fields.begin_field(kStatus);
        spool::put<uint8_t>(out, result.status.klass);
        spool::put<uint16_t>(out, result.status.subject);
        spool::put<uint16_t>(out, result.status.detail);
        fields.end(status);
    }
    fields.number_if<uint8_t>(kKind, static_cast<uint8_t>(result.kind));
    fields.text_if(kReason, std::string_view(result.reason).substr(0, kTextOctetsMax));
    fields.text_if(kDetail, std::string_view(result.detail).substr(0, kTextOctetsMax));
    fields.text_if(kRemoteHost, std::string_view(result.remote_host).substr(0, kNameOctetsMax));
    fields.end(begun);
}

std::optional<AttemptResult> parse_result(std::string_view octets) {
    AttemptResult result;
    FieldReader fields(octets);
    while (auto field = fields.next()) {
        switch (field->tag) {
            case kRecipient:
                result.recipient = field->number<uint32_t>();
                break;
            case kMailbox:
                result.mailbox = field->value;
                break;
            case kState:
                result.state = static_cast<RecipientState>(field->number<uint8_t>());
                break;
            case kStatus:
                if (field->value.size() < 5) return std::nullopt;
                result.status = {take_at<uint8_t>(field->value.data()),
                                 take_at<uint16_t>(field->value.data() + 1),
                                 take_at<uint16_t>(field->value.data() + 3)};
                break;
            case kKind:
                result.kind = static_cast<FailureKind>(
                    std::min<uint8_t>(field->number<uint8_t>(), kFailureKindCount - 1));
                break;
            case kReason:
                result.reason = field->value;
                break;
            case kDetail:
                result.detail = field->value;
                break;
            case kRemoteHost:
                result.remote_host = field->value;
                break;
            default:
                break;
        }
    }
    if (fields.broken()) return std::nullopt;
    return result;
}

std::optional<AttemptRecord> parse_payload(std::string_view payload) {
    AttemptRecord record;
    FieldReader fields(payload);
    while (auto field = fields.next()) {
        switch (field->tag) {
            case kAt:
                record.at.us = field->number<int64_t>();
                break;
            case kNumber:
                record.number = field->number<uint32_t>();
                break;
            case kSite:
                record.site = field->value;
                break;
            case kSender:
                record.sender = field->value;
                break;
            case kResult: {
                auto result = parse_result(field->value);
                if (!result) return std::nullopt;
                record.results.push_back(std::move(*result));
                break;
            }
            case kLeftOut:
                record.left_out = field->number<uint32_t>();
                break;
            case kDialogue:
                record.dialogue = field->value;
                break;
            case kJudgement:
                record.judgement = field->value;
                break;
            default:
                break;
        }
    }
    if (fields.broken()) return std::nullopt;
    return record;
}

}  // namespace

std::string_view name(RecipientState state) {
    switch (state) {
        case RecipientState::Waiting:
            return "waiting";
        case RecipientState::Delivered:
            return "delivered";
        case RecipientState::Relayed:
            return "relayed";
        case RecipientState::Failed:
            return "failed";
        case RecipientState::Expanded:
            return "expanded";
        case RecipientState::Quarantined:
            return "quarantined";
        case RecipientState::Removed:
            return "removed";
        case RecipientState::SetAside:
            return "set aside";
    }
    return "";
}

RecipientState state_after(const Envelope& envelope, const RecipientResult& result) {
    RecipientState state = state_of(result);
    bool is_marked = state == RecipientState::Delivered &&
                     is_quarantined(envelope.variant_of(result.recipient).prefix);
    return is_marked ? RecipientState::Quarantined : state;
}

void append_attempt(std::string& out, MessageId id, const AttemptNote& note) {
    std::size_t begin = out.size();
    out.append(kAttemptHeaderOctets, '\0');
    FieldWriter fields(out);
    fields.number<int64_t>(kAt, note.at.us);
    fields.number_if<uint32_t>(kNumber, note.number);
    fields.text_if(kSite, note.site.substr(0, kNameOctetsMax));
    if (note.envelope && !note.results.empty()) {
        const Variant& variant = note.envelope->variant_of(note.results.front().recipient);
        fields.text(kSender, variant.reverse_path.text());
        fields.text_if(
            kJudgement,
            std::string_view(judgement_in(variant.prefix)).substr(0, kJudgementOctetsMax));
    }
    uint32_t written = 0;
    for (const RecipientResult& result : note.results) {
        if (out.size() - begin > kResultsOctetsMax) break;
        append_result(out, result, note);
        written++;
    }
    fields.number_if<uint32_t>(kLeftOut, static_cast<uint32_t>(note.results.size()) - written);
    fields.text_if(kDialogue, note.dialogue.substr(0, kDialogueOctetsMax));

    std::string_view payload = std::string_view(out).substr(begin + kAttemptHeaderOctets);
    uint32_t payload_crc = crc32(payload);
    char* header = out.data() + begin;
    kMagic.copy(header, kMagic.size());
    put_at<uint32_t>(header + kLengthAt, static_cast<uint32_t>(payload.size()));
    put_at<uint64_t>(header + kIdAt, id.value);
    put_at<uint32_t>(header + kPayloadCrcAt, payload_crc);
    put_at<uint32_t>(header + kHeaderCrcAt, crc32({header, kHeaderCrcAt}));
}

void AttemptStory::add(AttemptRecord record) {
    for (const AttemptResult& result : record.results) {
        AttemptResult& known = newest[result.recipient];
        std::string mailbox = std::move(known.mailbox);
        known = result;
        if (known.mailbox.empty()) known.mailbox = std::move(mailbox);
    }
    attempts.push_back(std::move(record));
    if (attempts.size() > kAttemptsPerMessageMax) {
        attempts.erase(attempts.begin() + 1);
        skipped++;
    }
}

void AttemptStory::append(AttemptStory later) {
    std::size_t between = later.skipped;
    auto all = std::move(later.newest);
    for (AttemptRecord& record : later.attempts) add(std::move(record));
    skipped += between;
    for (auto& [recipient, result] : all) newest[recipient] = std::move(result);
}

std::size_t scan_attempts(std::string_view octets, FilePart part, MessageId wanted,
                          AttemptStory& story) {
    std::size_t at = 0;
    while (at + kAttemptHeaderOctets <= octets.size()) {
        const char* header = octets.data() + at;
        auto length = take_at<uint32_t>(header + kLengthAt);
        bool good = octets.substr(at).starts_with(kMagic) && length <= kAttemptPayloadMax &&
                    take_at<uint32_t>(header + kHeaderCrcAt) == crc32({header, kHeaderCrcAt});
        std::size_t end = at + kAttemptHeaderOctets + length;
        if (good && end > octets.size() && part == FilePart::Middle) return at;
        if (good && end <= octets.size()) {
            std::string_view payload = octets.substr(at + kAttemptHeaderOctets, length);
            good = take_at<uint32_t>(header + kPayloadCrcAt) == crc32(payload);
            if (good) {
                at = end;
                if (take_at<uint64_t>(header + kIdAt) != wanted.value) continue;
                if (auto record = parse_payload(payload)) story.add(std::move(*record));
                continue;
            }
        }
        // Not a record, or no longer a whole one: the next one may begin anywhere.
        std::size_t next = octets.find(kMagic, at + 1);
        if (next == octets.npos) return octets.size() - kMagic.size() + 1;
        at = next;
    }
    return part == FilePart::End ? octets.size() : at;
}

}  // namespace postrider::daemon
