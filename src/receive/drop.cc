#include "receive/drop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "mail/drop_file.h"
#include "smtp/data_encoder.h"

namespace postrider::receive {

namespace {

constexpr std::size_t kBlockOctets = 64 * 1024;
constexpr std::size_t kLogReasonOctetsMax = 500;
constexpr std::string_view kRefusedFolder = "refused";

bool is_hidden(std::string_view name) { return name.starts_with('.'); }

std::string_view take_line(std::string_view& text) {
    std::size_t end = text.find("\r\n");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    return line;
}

}  // namespace

// One file while it is taken.
struct Drop::Letter {
    std::unique_ptr<world::File> file;
    uint64_t size = 0;
    uint64_t content_begin = 0;
    std::optional<smtp::MailCommand> mail;
    std::vector<smtp::RcptCommand> recipients;
    std::string refused;  // recipients, with the reasons

    // The lines up to DATA. The error is a sentence.
    Status<Error> parse(std::string_view text, std::size_t recipients_max);
};

Status<Error> Drop::Letter::parse(std::string_view text, std::size_t recipients_max) {
    smtp::Offered offered;
    offered.size = offered.eight_bit_mime = offered.smtputf8 = offered.dsn = true;
    text.remove_prefix(kDropMagic.size());
    while (!text.empty()) {
        smtp::Command command = smtp::parse_verb(take_line(text));
        if (command.verb == smtp::Verb::Mail && !mail) {
            auto parsed = smtp::parse_mail(command.argument, offered);
            if (!parsed) return fail("MAIL: " + parsed.error().one_line());
            mail = std::move(*parsed);
        } else if (command.verb == smtp::Verb::Rcpt && mail) {
            auto form = mail->parameters.smtputf8 ? AddressForm::Utf8 : AddressForm::Ascii;
            auto parsed = smtp::parse_rcpt(command.argument, offered, form);
            if (!parsed) return fail("RCPT: " + parsed.error().one_line());
            if (recipients.size() == recipients_max) return fail("it has too many recipients");
            recipients.push_back(std::move(*parsed));
        } else if (command.verb == smtp::Verb::Data && !recipients.empty() && text.empty()) {
            return {};
        } else {
            return fail("its envelope is not of the form of a dropped message");
        }
    }
    return fail("its envelope is not whole");
}

Drop::Drop(world::World& world, Host& host, DropOptions options)
    : world_(world),
      host_(host),
      options_(std::move(options)),
      changed_(world.executor, world.clock),
      ended_(world.executor, world.clock) {}

void Drop::start() {
    running_ = true;
    world_.executor.spawn(run());
}

Task<void> Drop::run() {
    while (!stopping_) {
        co_await scan();
        if (stopping_) break;
        co_await changed_.wait(Deadline::after(world_.clock.now(), options_.poll));
    }
    running_ = false;
    ended_.notify_all();
}

Task<void> Drop::stop(Deadline deadline) {
    stopping_ = true;
    changed_.notify_all();
    while (running_) {
        if (!co_await ended_.wait(deadline)) co_return;
    }
}

Task<std::size_t> Drop::scan() {
    auto entries = co_await world_.disk.list(options_.directory);
    if (!entries) {
        if (entries.error().message != list_error_) {
            list_error_ = entries.error().message;
            world_.log.write(Event::DropUnreadable,
                             {{"path", options_.directory}, {"reason", list_error_}});
        }
        co_return 0;
    }
    list_error_.clear();
    // Their names begin with the time at which they were made.
    std::ranges::sort(*entries, {}, &world::DirectoryEntry::name);
    std::set<std::string> there;
    for (const auto& entry : *entries) there.insert(entry.name);
    std::erase_if(not_before_, [&](const auto& one) { return !there.contains(one.first); });
    std::erase_if(accepted_, [&](const auto& name) { return !there.contains(name); });

    std::size_t before = accepted_.size();
    std::size_t taken = 0;
    for (const auto& entry : *entries) {
        if (stopping_) break;
        if (is_hidden(entry.name) || entry.name == kRefusedFolder) continue;
        if (entry.name.starts_with(kDropTemporaryPrefix)) {
            co_await remove_if_old(entry.name);
        } else if (accepted_.contains(entry.name)) {
            co_await remove(entry.name);
        } else {
            auto wait = not_before_.find(entry.name);
            if (wait != not_before_.end() && world_.clock.now() < wait->second) continue;
            co_await take(entry);
            if (accepted_.contains(entry.name)) {
                taken++;
                co_await remove(entry.name);
            }
        }
    }
    // A removal that is lost with the power hands a message in twice.
    if (taken > 0 || before > 0) (void)co_await world_.disk.sync_directory(options_.directory);
    co_return taken;
}

Task<void> Drop::take(const world::DirectoryEntry& entry) {
    using Type = world::DirectoryEntry::Type;
    std::string path = options_.directory + "/" + entry.name;
    auto info = co_await world_.disk.info(path);
    if (!info && info.error().kind == world::DiskError::Kind::NotFound &&
        entry.type == Type::File) {
        co_return;  // gone meanwhile
    }
    if (!info && entry.type == Type::File) {
        later(entry.name, info.error().message);
        co_return;
    }
    uint32_t owner = info ? info->owner : 0;
    // The entry's own type: a link is neither followed nor opened.
    std::string obstacle;
    if (entry.type != Type::File || info->type != Type::File) {
        obstacle = "it is no regular file";
    } else if (!options_.owners.empty() &&
               std::ranges::find(options_.owners, owner) == options_.owners.end()) {
        obstacle = "its owner may not leave messages";
    } else if (info->size > options_.message_octets_max + kDropEnvelopeOctetsMax) {
        obstacle = fmt::format("it has {} octets; {} are the most", info->size,
                               options_.message_octets_max);
    }
    if (!obstacle.empty()) {
        co_await refuse(entry.name, owner, std::move(obstacle));
        co_return;
    }
    Outcome outcome = co_await hand_in(std::move(path), owner, info->size);
    switch (outcome.kind) {
        case Outcome::Kind::Accepted:
            accepted_.insert(entry.name);
            break;
        case Outcome::Kind::Refused:
            co_await refuse(entry.name, owner, std::move(outcome.reason));
            break;
        case Outcome::Kind::Later:
            later(entry.name, outcome.reason);
            break;
    }
}

Task<Drop::Outcome> Drop::hand_in(std::string path, uint32_t owner, uint64_t size) {
    using Kind = Outcome::Kind;
    auto file = co_await world_.disk.open(std::move(path), world::OpenMode::Read);
    if (!file) co_return Outcome{Kind::Later, file.error().message};
    Letter letter{.file = std::move(*file), .size = size};

    std::string head;
    std::size_t end = std::string::npos;
    while (end == std::string::npos && head.size() < kDropEnvelopeOctetsMax) {
        std::size_t before = head.size();
        head.resize(before + kBlockOctets);
        auto got = co_await letter.file->read_at(before, std::span(head).subspan(before));
        if (!got) co_return Outcome{Kind::Later, got.error().message};
        head.resize(before + *got);
        if (*got == 0) break;
        end = head.find("\r\nDATA\r\n");
    }
    if (!head.starts_with(kDropMagic)) co_return Outcome{Kind::Refused, "it is no dropped message"};
    if (end == std::string::npos) co_return Outcome{Kind::Refused, "its envelope is not whole"};
    letter.content_begin = end + std::string_view("\r\nDATA\r\n").size();
    auto parsed = letter.parse(std::string_view(head).substr(0, letter.content_begin),
                               options_.recipients_max);
    if (!parsed) co_return Outcome{Kind::Refused, parsed.error().message};
    head = {};

    ClientFacts client;
    client.account = fmt::format("uid:{}", owner);
    auto visit = host_.visit(client);
    auto asked = co_await envelope(*visit, letter);
    if (asked.kind != Kind::Accepted) {
        visit->reset();
        co_return asked;
    }
    auto sink = co_await visit->data();
    if (!sink) {
        co_return Outcome{sink.error().is_permanent() ? Kind::Refused : Kind::Later,
                          sink.error().one_line()};
    }
    Outcome outcome = co_await content(**sink, letter);
    visit->reset();
    if (outcome.kind == Kind::Accepted && !letter.refused.empty()) {
        co_return Outcome{Kind::Refused, "accepted for the others, not for " + letter.refused};
    }
    co_return outcome;
}

// Asks for sender and recipients. Accepted when at least one recipient was and none was refused for
// now.
Task<Drop::Outcome> Drop::envelope(Visit& visit, Letter& letter) {
    using Kind = Outcome::Kind;
    auto outcome_of = [](const smtp::Reply& reply) {
        return Outcome{reply.is_permanent() ? Kind::Refused : Kind::Later, reply.one_line()};
    };
    if (auto greeted = co_await visit.greet(); !greeted) {
        // The house is full or closing; that is never the message's fault.
        co_return Outcome{Kind::Later, greeted.error().one_line()};
    }
    visit.hello("", "");  // made on this host: the trace has no "from"
    smtp::event::MailFrom mail{.reverse_path = letter.mail->reverse_path,
                               .parameters = letter.mail->parameters};
    if (auto taken = co_await visit.mail(std::move(mail)); !taken) {
        co_return outcome_of(taken.error());
    }
    std::size_t accepted = 0;
    for (const smtp::RcptCommand& rcpt : letter.recipients) {
        auto taken = co_await visit.rcpt({.mailbox = rcpt.mailbox, .parameters = rcpt.parameters});
        if (taken) {
            accepted++;
        } else if (!taken.error().is_permanent()) {
            co_return outcome_of(taken.error());
        } else if (letter.refused.size() < kLogReasonOctetsMax) {
            letter.refused += (letter.refused.empty() ? "<" : "; <") + rcpt.mailbox.text() +
                              ">: " + taken.error().one_line();
        }
    }
    if (accepted == 0) co_return Outcome{Kind::Refused, letter.refused};
    co_return Outcome{};
}

Task<Drop::Outcome> Drop::content(Sink& sink, Letter& letter) {
    using Kind = Outcome::Kind;
    smtp::DataEncoder rules;  // only for what it refuses: bare CR and LF, NUL
    std::array<std::string_view, 64> unused;
    HeaderBlockScanner header;
    std::string header_text;
    ContentFacts facts;
    std::vector<char> block(kBlockOctets);
    bool header_seen = false;
    auto hops_obstacle = [&](std::string_view text) -> std::string {
        std::size_t hops = count_fields(text, "Received");
        return hops <= options_.hops_max ? "" : fmt::format("it has passed {} hosts already", hops);
    };

    for (uint64_t at = letter.content_begin; at < letter.size;) {
        auto got = co_await letter.file->read_at(at, block);
        if (!got) co_return Outcome{Kind::Later, got.error().message};
        if (*got == 0) co_return Outcome{Kind::Refused, "it became shorter while it was read"};
        at += *got;
        std::string_view piece(block.data(), *got);
        for (std::string_view rest = piece; !rest.empty();) {
            auto part = rules.encode(rest, unused);
            if (!part) co_return Outcome{Kind::Refused, part.error().text()};
            rest.remove_prefix(part->consumed);
        }
        if (!header_seen) {
            auto state = header.feed(piece);
            header_text += piece;
            if (state == HeaderBlockScanner::State::Ended) {
                header_seen = true;
                sink.header_ended(header.header_octets(), header.body_begin());
                header_text.resize(header.header_octets());
                std::string obstacle = hops_obstacle(header_text);
                header_text = {};
                if (!obstacle.empty()) co_return Outcome{Kind::Refused, std::move(obstacle)};
            } else if (state != HeaderBlockScanner::State::More) {
                co_return Outcome{Kind::Refused, "its header block is too large"};
            }
        }
        facts.has_8bit = facts.has_8bit || std::ranges::any_of(piece, [](char c) {
                             return static_cast<unsigned char>(c) > 127;
                         });
        facts.octets += piece.size();
        if (facts.octets > options_.message_octets_max) {
            co_return Outcome{Kind::Refused, "it is too large"};
        }
        auto appended = co_await sink.append(piece);
        if (!appended) {
            co_return Outcome{appended.error().is_permanent() ? Kind::Refused : Kind::Later,
                              appended.error().one_line()};
        }
    }
    auto end = rules.finish();
    if (!end) co_return Outcome{Kind::Refused, end.error().text()};
    if (end->size() > 3) co_return Outcome{Kind::Refused, "its last line does not end with CRLF"};
    if (!header_seen) {
        header.finish();
        sink.header_ended(header.header_octets(), header.body_begin());
        if (std::string obstacle = hops_obstacle(header_text); !obstacle.empty()) {
            co_return Outcome{Kind::Refused, std::move(obstacle)};
        }
    }
    facts.header_octets = static_cast<uint32_t>(header.body_begin());
    auto replies = co_await sink.finish(facts);
    const smtp::Reply& reply = replies.front();
    if (reply.is_positive()) co_return Outcome{};
    co_return Outcome{reply.is_permanent() ? Kind::Refused : Kind::Later, reply.one_line()};
}

Task<void> Drop::refuse(const std::string& name, uint32_t owner, std::string reason) {
    std::string folder = options_.directory + "/" + std::string(kRefusedFolder);
    std::string kept = folder + "/" + name;
    auto moved = co_await world_.disk.make_directories(folder);
    if (moved) moved = co_await world_.disk.rename(options_.directory + "/" + name, kept);
    if (!moved) {
        later(name, reason + "; and it cannot be moved aside: " + moved.error().message);
        co_return;
    }
    world_.log.write(Event::DropRefused,
                     {{"kept", kept}, {"owner", static_cast<int64_t>(owner)}, {"reason", reason}});
}

Task<void> Drop::remove(const std::string& name) {
    auto removed = co_await world_.disk.remove(options_.directory + "/" + name);
    bool is_gone = removed || removed.error().kind == world::DiskError::Kind::NotFound;
    if (is_gone) {
        accepted_.erase(name);
        co_return;
    }
    // It stays among the accepted, so that it is not handed in again; tried at the next look.
    world_.log.write(Event::DropUnreadable,
                     {{"path", options_.directory}, {"reason", removed.error().message}});
}

Task<void> Drop::remove_if_old(const std::string& name) {
    std::string path = options_.directory + "/" + name;
    auto info = co_await world_.disk.info(path);
    if (!info || world_.clock.wall() - info->modified < kDropTemporaryAge) co_return;
    // Whoever wrote it died before it was whole, and was never told that it was taken.
    (void)co_await world_.disk.remove(std::move(path));
}

void Drop::later(const std::string& name, std::string_view reason) {
    not_before_[name] = world_.clock.now() + options_.retry;
    world_.log.write(Event::DropDelayed,
                     {{"path", options_.directory + "/" + name}, {"reason", reason}});
}

}  // namespace postrider::receive
