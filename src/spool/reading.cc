// Reading messages back, and setting aside what cannot be read.

#include <fmt/format.h>

#include "base/situation.h"
#include "spool/bytes.h"
#include "spool/core.h"

namespace postrider::spool {

namespace {

// A message may be moved while it is being read; more often than this it is not the mover.
constexpr int kReadTries = 4;
constexpr Duration kUnreadableMax = std::chrono::hours(1);

SpoolError damaged(const std::string& path, Place place, std::string_view what) {
    return {SpoolError::Kind::Damaged, fmt::format("{} at {}: {}", path, place.offset, what)};
}

// The items of message `id` (Message and its content) as they stand in `payload`.
std::string_view items_of(std::string_view payload, MessageId id) {
    FieldReader reader(payload, kItemHeaderOctets);
    std::size_t begin = 0;
    bool mine = false;
    for (std::size_t at = 0; auto item = reader.next();) {
        std::size_t next = at + kItemHeaderOctets + item->value.size();
        auto type = ItemType{item->tag};
        if (type == ItemType::Message) {
            auto fields = decode_message(item->value);
            mine = fields && fields->envelope.id == id;
            begin = at;
        } else if (mine && (type == ItemType::Content || type == ItemType::Large)) {
            return payload.substr(begin, next - begin);
        }
        at = next;
    }
    return {};
}

}  // namespace

Task<SpoolResult<std::shared_ptr<const StoredMessage>>> Core::read(MessageId id) {
    world::ShardId home = world_.executor.current_shard();
    if (home != owner_) co_await world_.executor.switch_to(owner_);
    auto read = co_await read_place(id);
    SpoolResult<std::shared_ptr<const StoredMessage>> out;
    if (read) {
        // Nobody else has it yet; where the recipients stand is known here.
        read->message->recipients = index_.standings(id);
        out = std::move(read->message);
    } else {
        out = std::unexpected(read.error());
    }
    if (home != owner_) co_await world_.executor.switch_to(home);
    co_return out;
}

Task<SpoolStatus> Core::set_aside_live(MessageId id, std::string why) {
    world::ShardId home = world_.executor.current_shard();
    if (home != owner_) co_await world_.executor.switch_to(owner_);
    SpoolStatus out;
    if (auto known = index_.find(id)) {
        reached(Situation::SpoolPoisonous);
        co_await set_aside(id, known->place, {SpoolError::Kind::Damaged, std::move(why)},
                           Event::MessagePoisonous);
        // It is still there when its end could not be written.
        if (index_.find(id)) {
            out = std::unexpected(
                SpoolError{SpoolError::Kind::DiskFailing, id.text() + " could not be set aside"});
        }
    }
    if (home != owner_) co_await world_.executor.switch_to(home);
    co_return out;
}

// Reads message `id` from where it lies now. Live when this returns a value.
Task<SpoolResult<Core::ReadBack>> Core::read_place(MessageId id) {
    for (int tries = 0; tries < kReadTries; ++tries) {
        auto known = index_.find(id);
        if (!known) break;
        std::string path = segment_path(options_.directory, known->place.segment);
        if (Segment* segment = segments_.by_number(known->place.segment)) path = segment->path;
        auto read = co_await world_.worker.run(read_record(path, known->place, id, known->large));
        auto after = index_.find(id);
        if (!after) break;
        if (after->place != known->place) continue;  // moved meanwhile: what was read may be new
        if (read) {
            unreadable_since_.erase(id);
        } else if (is_unreadable_for_good(id)) {
            read.error().kind = SpoolError::Kind::Damaged;
        }
        if (!read && read.error().kind == SpoolError::Kind::Damaged) {
            reached(Situation::SpoolRecordDamaged);
            SpoolError why =
                co_await set_aside(id, known->place, read.error(), Event::MessageSetAside);
            // Its end could not be written: it is live still, and asked for again.
            if (index_.find(id)) {
                why.kind = SpoolError::Kind::DiskFailing;
            } else {
                unreadable_since_.erase(id);
            }
            co_return std::unexpected(std::move(why));
        }
        co_return read;
    }
    if (unread_) {
        co_return std::unexpected(
            SpoolError{SpoolError::Kind::Recovering,
                       "the spool is still being read, and may hold " + id.text()});
    }
    co_return std::unexpected(
        SpoolError{SpoolError::Kind::NotFound, id.text() + " is not a live message"});
}

// A sector that is broken stays so: what could not be read for so long is set aside, and the
// operator told.
bool Core::is_unreadable_for_good(MessageId id) {
    Monotonic now = world_.clock.now();
    auto [since, first] = unreadable_since_.try_emplace(id, now);
    return since->second + kUnreadableMax <= now;
}

// On a worker.
Task<SpoolResult<Core::ReadBack>> Core::read_record(std::string path, Place place, MessageId id,
                                                    bool large) {
    auto file = co_await world_.disk.open(path, world::OpenMode::Read);
    if (!file) {
        if (file.error().kind != world::DiskError::Kind::NotFound) {
            co_return std::unexpected(from_disk(file.error()));
        }
        co_return std::unexpected(damaged(path, place, "the segment is gone"));
    }
    std::string octets(kRecordHeaderOctets + place.payload_octets, '\0');
    auto got = co_await (*file)->read_at(place.offset, octets);
    // Not damage yet: a disk that is away comes back.
    if (!got) co_return std::unexpected(from_disk(got.error()));
    auto header = decode_record_header(octets);
    std::string_view payload = std::string_view(octets).substr(kRecordHeaderOctets);
    if (*got != octets.size() || !header || header->payload_octets != place.payload_octets ||
        crc32(payload) != header->payload_crc) {
        co_return std::unexpected(damaged(path, place, "the record does not hold"));
    }
    std::string_view items = items_of(payload, id);
    auto parsed = parse_payload(items);
    if (!parsed || parsed->messages.size() != 1) {
        co_return std::unexpected(damaged(path, place, "the message is not in its record"));
    }
    MessageItem& item = parsed->messages.front();
    ReadBack out{std::make_shared<StoredMessage>(), std::string(items)};
    out.message->envelope = std::move(item.fields.envelope);
    out.message->header_octets = item.fields.header_octets;
    out.message->has_8bit = item.fields.has_8bit;
    out.message->content_octets = item.fields.content_octets;
    if (item.content) {
        out.message->inline_content = std::make_shared<std::string>(*item.content);
    } else {
        auto content = std::make_shared<LargeContent>();
        content->path = large_path(options_.directory, id);
        content->size = item.large->size;
        content->block_octets = item.large->block_octets;
        content->block_crcs = std::move(item.large->block_crcs);
        auto info = co_await world_.disk.info(content->path);
        bool gone = !info && info.error().kind == world::DiskError::Kind::NotFound;
        if (!info && !gone) co_return std::unexpected(from_disk(info.error()));
        if (!large || gone || info->size != content->size) {
            co_return std::unexpected(damaged(content->path, {}, "missing, or of another size"));
        }
        out.message->large_content = std::move(content);
    }
    co_return out;
}

// What is left of it goes to damaged/, its waiting recipients are SetAside, the operator is told.
Task<SpoolError> Core::set_aside(MessageId id, Place place, SpoolError why, Event told) {
    std::string path = segment_path(options_.directory, place.segment);
    if (Segment* segment = segments_.by_number(place.segment)) path = segment->path;
    auto kept = co_await world_.worker.run(
        keep_damaged(world_, options_.directory, id.text(), path, place.offset,
                     kRecordHeaderOctets + place.payload_octets, why.message));
    auto known = index_.find(id);
    if (!known) co_return why;
    if (known->large) {
        (void)co_await world_.disk.rename(large_path(options_.directory, id),
                                          damaged_path(options_.directory) + "/" + id.text());
    }
    if (!index_.find(id)) co_return why;  // it had its end meanwhile
    Pending pending;
    auto standings = index_.standings(id);
    for (uint32_t i = 0; i < standings.size(); ++i) {
        if (is_final(standings[i].state)) continue;
        pending.changes.push_back({id,
                                   i,
                                   RecipientState::SetAside,
                                   {5, 3, 0},
                                   why.message,
                                   standings[i].attempts,
                                   Wall{},
                                   world_.clock.wall()});
        put_change(pending.changes.back(), pending.own);
    }
    pending.view_own();
    std::string where = kept ? *kept : kept.error().message;
    world_.log.write(told, {{"id", std::string_view(id.text())},
                            {"kept", std::string_view(where)},
                            {"reason", std::string_view(why.message)}});
    co_await submit(pending);
    co_return why;
}

}  // namespace postrider::spool
