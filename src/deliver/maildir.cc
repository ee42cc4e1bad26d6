#include "deliver/maildir.h"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <utility>
#include <vector>

#include "base/situation.h"
#include "deliver/line_ends.h"
#include "mail/trace.h"

namespace postrider::deliver {

namespace {

using world::DiskError;
using world::DiskStatus;

constexpr std::size_t kBlockOctets = 64 * 1024;
constexpr std::size_t kNameOctetsMax = 180;  // file systems take 255; readers add flags

// Why a copy could not be delivered: the disk's fault, or the stored message's.
struct Failure {
    EnhancedStatus status;
    FailureKind kind = FailureKind::Other;
    std::string reason;
    std::string detail;
};
using Outcome = Status<Failure>;

// RFC 3463 §3.3, §3.4. All temporary: an operator can repair each of them.
Failure failure_of(const DiskError& error) {
    switch (error.kind) {
        case DiskError::Kind::Full:
            reached(Situation::DeliverMailboxFull);
            return {{4, 3, 1}, FailureKind::Full, "no space left for the mailbox", error.message};
        case DiskError::Kind::ReadOnly:
            return {
                {4, 3, 0}, FailureKind::Mailbox, "mailbox cannot be written now", error.message};
        case DiskError::Kind::NotPermitted:
        case DiskError::Kind::NotFound:
            return {
                {4, 3, 5}, FailureKind::Mailbox, "mailbox is not accessible now", error.message};
        default:
            return {{4, 3, 0}, FailureKind::Mailbox, "mailbox storage failed", error.message};
    }
}

std::unexpected<Failure> failed(const DiskError& error) {
    return std::unexpected(failure_of(error));
}

struct Paths {
    std::string tmp_folder, new_folder, cur_folder;
    std::string tmp, fresh;  // the file while it is written, and when it is delivered
    std::string name;
};

Paths paths_of(const MaildirJob& job) {
    Paths paths;
    paths.name = maildir_name(*job.envelope, job.recipient, job.host);
    paths.tmp_folder = job.directory + "/tmp";
    paths.new_folder = job.directory + "/new";
    paths.cur_folder = job.directory + "/cur";
    paths.tmp = paths.tmp_folder + "/" + paths.name;
    paths.fresh = paths.new_folder + "/" + paths.name;
    return paths;
}

// What stands before the content: RFC 5321 §4.4 (Return-Path), then where it was delivered, then
// the variant's trace.
std::string fields_before(const MaildirJob& job) {
    const Variant& variant = job.envelope->variant_of(job.recipient);
    return return_path_field(variant.reverse_path) +
           delivered_to_field(job.envelope->recipient(job.recipient).mailbox) + variant.prefix;
}

bool to_lf(const MaildirJob& job) {
    return job.line_end == LineEnd::Lf && job.envelope->body != BodyType::BinaryMime;
}

bool is_name_or_flagged(std::string_view entry, std::string_view name) {
    return entry.starts_with(name) && (entry.size() == name.size() || entry[name.size()] == ':');
}

// Is the copy there from an earlier attempt? If so it is made sure that its name is durable: the
// attempt may have ended between rename and sync.
Task<Result<bool, Failure>> already_there(world::Disk& disk, const Paths& paths, bool repeated) {
    auto info = co_await disk.info(paths.fresh);
    bool in_new = info.has_value();
    if (!info && info.error().kind != DiskError::Kind::NotFound) co_return failed(info.error());
    if (!in_new && !repeated && !forced(Switch::DeliverLooksForCopy)) co_return false;

    bool in_cur = false;
    if (!in_new) {
        auto entries = co_await disk.list(paths.cur_folder);
        if (!entries && entries.error().kind != DiskError::Kind::NotFound) {
            co_return failed(entries.error());
        }
        if (entries) {
            for (const auto& entry : *entries) {
                in_cur = in_cur || is_name_or_flagged(entry.name, paths.name);
            }
        }
        if (!in_cur) co_return false;
    }
    DiskStatus synced = co_await disk.sync_directory(in_new ? paths.new_folder : paths.cur_folder);
    if (!synced) co_return failed(synced.error());
    co_return true;
}

// tmp comes last: where it is, the others are.
Task<DiskStatus> make_folders(world::Disk& disk, const Paths& paths) {
    for (const std::string* folder : {&paths.cur_folder, &paths.new_folder, &paths.tmp_folder}) {
        DiskStatus made = co_await disk.make_directories(*folder);
        if (!made) co_return made;
    }
    co_return DiskStatus{};
}

// An empty file in tmp; makes the Maildir if there is none, and empties what a crash left.
Task<world::DiskResult<std::unique_ptr<world::File>>> open_tmp(world::Disk& disk,
                                                               const Paths& paths) {
    auto file = co_await disk.open(paths.tmp, world::OpenMode::CreateNew);
    if (!file && file.error().kind == DiskError::Kind::NotFound) {
        DiskStatus made = co_await make_folders(disk, paths);
        if (!made) co_return std::unexpected(made.error());
        file = co_await disk.open(paths.tmp, world::OpenMode::CreateNew);
    }
    if (!file && file.error().kind == DiskError::Kind::Exists) {
        reached(Situation::DeliverFileLeftInTmp);
        file = co_await disk.open(paths.tmp, world::OpenMode::Create);
        if (!file) co_return file;
        DiskStatus emptied = co_await (*file)->truncate(0);
        if (!emptied) co_return std::unexpected(emptied.error());
    }
    co_return file;
}

// A content that is in memory: one write.
Task<Outcome> write_from_memory(world::File& file, const MaildirJob& job, std::string fields,
                                std::string_view content) {
    std::string converted;
    std::array<std::string_view, 2> pieces{fields, content};
    if (to_lf(job)) {
        converted.reserve(fields.size() + content.size());
        append_with_lf(converted, fields);
        append_with_lf(converted, content);
        pieces = {converted, {}};
    }
    DiskStatus written = co_await file.write_at(0, pieces);
    if (!written) co_return failed(written.error());
    co_return Outcome{};
}

// A content of any size: in blocks.
Task<Outcome> write_in_blocks(world::File& file, const MaildirJob& job, std::string fields) {
    LfConverter converter;
    std::vector<char> block(kBlockOctets);
    std::string first;
    if (to_lf(job)) {
        append_with_lf(first, fields);
    } else {
        first = std::move(fields);
    }
    uint64_t out = 0;
    uint64_t size = job.content->size();
    for (uint64_t in = 0; in < size;) {
        auto got = co_await job.content->read(in, block);
        if (!got || *got == 0) {
            reached(Situation::DeliverContentUnreadable);
            co_return std::unexpected(
                Failure{{4, 3, 0},
                        FailureKind::Other,
                        "the stored message cannot be read now",
                        got ? "it is shorter than it should be" : got.error().message});
        }
        in += *got;
        std::string_view text(block.data(), *got);
        bool cr_first = false;
        if (to_lf(job)) {
            text = converter.convert(block, *got);
            cr_first = converter.cr_first();
        }
        std::array<std::string_view, 3> pieces{first, cr_first ? "\r" : "", text};
        DiskStatus written = co_await file.write_at(out, pieces);
        if (!written) co_return failed(written.error());
        out += first.size() + (cr_first ? 1 : 0) + text.size();
        first.clear();
    }
    if (size == 0 || converter.cr_at_end()) {
        std::array<std::string_view, 2> pieces{first, converter.cr_at_end() ? "\r" : ""};
        DiskStatus written = co_await file.write_at(out, pieces);
        if (!written) co_return failed(written.error());
    }
    co_return Outcome{};
}

Task<Outcome> write_and_sync(world::Disk& disk, const MaildirJob& job, const Paths& paths) {
    auto file = co_await open_tmp(disk, paths);
    if (!file) co_return failed(file.error());
    std::optional<std::string_view> memory = job.content->in_memory();
    if (forced(Switch::DeliverInBlocks)) memory.reset();
    Outcome written = memory ? co_await write_from_memory(**file, job, fields_before(job), *memory)
                             : co_await write_in_blocks(**file, job, fields_before(job));
    if (!written) co_return written;
    DiskStatus synced = co_await (*file)->sync();
    if (!synced) {
        reached(Situation::DeliverContentNotSynced);
        co_return failed(synced.error());
    }
    co_return Outcome{};
}

// From tmp to new. After this returned without error the copy is delivered.
Task<Outcome> publish(world::Disk& disk, const Paths& paths) {
    DiskStatus renamed = co_await disk.rename(paths.tmp, paths.fresh);
    if (!renamed && renamed.error().kind == DiskError::Kind::NotFound) {
        // tmp was there, new was not: somebody's half-made Maildir.
        DiskStatus made = co_await make_folders(disk, paths);
        if (!made) co_return failed(made.error());
        renamed = co_await disk.rename(paths.tmp, paths.fresh);
    }
    if (!renamed) co_return failed(renamed.error());
    DiskStatus synced = co_await disk.sync_directory(paths.new_folder);  // the delivery
    if (!synced) {
        // Not known to be durable, and a second sync could not tell. The next attempt must not
        // take it for delivered, so it goes away and is written again.
        reached(Situation::DeliverNameNotSynced);
        (void)co_await disk.remove(paths.fresh);
        co_return failed(synced.error());
    }
    co_return Outcome{};
}

RecipientResult result_of(uint32_t recipient, const Outcome& outcome, bool was_there) {
    RecipientResult result;
    result.recipient = recipient;
    if (outcome) {
        result.verdict = RecipientResult::Verdict::Delivered;
        result.status = {2, 0, 0};
        result.reason = was_there ? "was already in the mailbox" : "delivered to the mailbox";
        return result;
    }
    const Failure& failure = outcome.error();
    result.verdict = RecipientResult::Verdict::Temporary;
    result.status = failure.status;
    result.kind = failure.kind;
    result.reason = failure.reason;
    result.detail = failure.detail;
    return result;
}

Task<RecipientResult> deliver(world::Disk& disk, MaildirJob job) {
    Paths paths = paths_of(job);
    auto there = co_await already_there(disk, paths, job.repeated);
    if (!there) co_return result_of(job.recipient, std::unexpected(there.error()), false);
    if (*there) {
        reached(Situation::DeliverCopyThere);
        co_return result_of(job.recipient, {}, true);
    }

    Outcome outcome = co_await write_and_sync(disk, job, paths);
    if (outcome) outcome = co_await publish(disk, paths);
    if (!outcome) (void)co_await disk.remove(paths.tmp);
    co_return result_of(job.recipient, outcome, false);
}

}  // namespace

Task<RecipientResult> deliver_to_maildir(world::World& world, MaildirJob job) {
    assert(job.recipient < job.envelope->recipient_count());
    co_return co_await world.worker.run(deliver(world.disk, std::move(job)));
}

std::string maildir_name(const Envelope& envelope, uint32_t recipient, std::string_view host) {
    std::string name =
        fmt::format("{}.{}R{}.", envelope.received.seconds(), envelope.id.text(), recipient);
    for (char c : host) {
        bool odd = static_cast<unsigned char>(c) <= 32 || c == 127;
        if (c == '/') {
            name += "\\057";
        } else if (c == ':') {
            name += "\\072";
        } else {
            name += odd ? '_' : c;
        }
    }
    if (name.size() > kNameOctetsMax) name.resize(kNameOctetsMax);
    return name;
}

}  // namespace postrider::deliver
