#include "sim/mailbox_check.h"

#include <fmt/format.h>

#include <array>

namespace postrider::sim {

namespace {

constexpr std::array<const char*, 3> kUsers{"alice", "bob", "carol"};
constexpr std::size_t kFaultsKept = 20;

std::string with_lf(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        if (c != '\r') out += c;
    }
    return out;
}

std::optional<uint64_t> number_after(std::string_view text, std::string_view words) {
    std::size_t at = text.find(words);
    if (at == std::string_view::npos) return std::nullopt;
    return std::strtoull(std::string(text.substr(at + words.size(), 20)).c_str(), nullptr, 10);
}

// "<seconds>.<ID>R<recipient>.<host>"
std::optional<MessageId> id_in(const std::string& name) {
    std::size_t dot = name.find('.');
    if (dot == std::string::npos) return std::nullopt;
    return MessageId::parse(std::string_view(name).substr(dot + 1, MessageId::kTextOctets));
}

}  // namespace

void MailboxCheck::run(FileSystem& files, MailBook& book, const std::set<MessageId>& set_aside) {
    ids_of_mark_.clear();
    reports_about_.clear();
    for (const char* user : kUsers) {
        std::string folder = fmt::format("/data/mail/river.example/{}/new", user);
        auto found = files.find_directory(folder);
        if (!found) continue;  // nothing came for this one yet
        std::vector<std::string> names;
        for (const auto& [name, inode] : (*found)->names) names.push_back(name);
        for (const std::string& name : names) {
            std::string path = folder + "/" + name;
            take_file(book, user, name, files.visible_text(path).value_or(""));
            (void)files.remove(path, Wall{});
        }
        files.sync_names(**found, files.mark());
    }
    for (const auto& [mark, message] : book.sent) look_for(mark, message, set_aside);
    book.sent.clear();
}

void MailboxCheck::take_file(const MailBook& book, const std::string& user, const std::string& name,
                             const std::string& text) {
    auto id = id_in(name);
    if (!id) return fault(fmt::format("{} has the file {}", user, name));
    if (!seen_.emplace(user, *id).second) {
        return fault(fmt::format("{} has {} twice", user, id->text()));
    }
    if (text.find("Content-Type: multipart/report") != std::string::npos) {
        take_report(user, *id, text);
    } else {
        take_copy(book, user, *id, text);
    }
}

void MailboxCheck::take_copy(const MailBook& book, const std::string& user, MessageId id,
                             const std::string& text) {
    auto mark = number_after(text, "\nX-Mark: ");
    auto found = mark ? book.sent.find(*mark) : book.sent.end();
    if (found == book.sent.end()) {
        return fault(fmt::format("{}: {} was never sent, or checked long ago", user, id.text()));
    }
    const SentMessage& message = found->second;
    std::string content = with_lf(message.content);
    std::string begin = fmt::format("Return-Path: <{}>\nDelivered-To: {}@river.example\nReceived: ",
                                    message.reverse_path, user);
    if (!text.starts_with(begin) || !text.ends_with(content)) {
        return fault(fmt::format("{}: {} (mark {}) has other octets", user, id.text(), *mark));
    }
    std::string_view trace = std::string_view(text).substr(0, text.size() - content.size());
    if (trace.find(id.text()) == std::string_view::npos || trace.find("\n\n") != trace.npos ||
        trace.find("\nReceived: ", begin.size()) != trace.npos) {
        fault(fmt::format("{}: {} (mark {}) has other trace fields", user, id.text(), *mark));
    }
    copies_++;
    ids_of_mark_[*mark].insert(id);
}

void MailboxCheck::take_report(const std::string& user, MessageId id, const std::string& text) {
    // boundary="report.<its id>.<id of the original>"
    std::string begin = "boundary=\"report." + id.text() + ".";
    std::size_t at = text.find(begin);
    auto original = at == std::string::npos ? std::nullopt
                                            : MessageId::parse(std::string_view(text).substr(
                                                  at + begin.size(), MessageId::kTextOctets));
    if (!original || !text.ends_with("--\n")) {
        return fault(fmt::format("{}: the report {} is not whole", user, id.text()));
    }
    reports_++;
    reports_about_[*original]++;
}

void MailboxCheck::look_for(uint64_t mark, const SentMessage& message,
                            const std::set<MessageId>& set_aside) {
    for (MessageId id : message.accepted) {
        if (set_aside.contains(id)) continue;
        for (const std::string& recipient : message.recipients) {
            std::size_t at = recipient.find("@river.example");
            if (at == std::string::npos) continue;
            if (!seen_.contains({recipient.substr(0, at), id})) {
                fault(fmt::format("{} (mark {}) was accepted and {} does not have it", id.text(),
                                  mark, recipient));
            }
        }
    }
    auto copies = ids_of_mark_.find(mark);
    if (copies != ids_of_mark_.end() && copies->second.size() > message.ends) {
        fault(fmt::format("mark {} was sent {} times and is there {} times", mark, message.ends,
                          copies->second.size()));
    }
    look_for_reports(mark, message, set_aside);
}

void MailboxCheck::look_for_reports(uint64_t mark, const SentMessage& message,
                                    const std::set<MessageId>& set_aside) {
    std::set<MessageId> ids(message.accepted.begin(), message.accepted.end());
    if (auto copies = ids_of_mark_.find(mark); copies != ids_of_mark_.end()) {
        ids.insert(copies->second.begin(), copies->second.end());
    }
    bool elsewhere = message.recipients.back().find("@elsewhere.example") != std::string::npos;
    bool owed = elsewhere && message.reverse_path == "alice@river.example";
    for (MessageId id : ids) {
        auto found = reports_about_.find(id);
        int count = found == reports_about_.end() ? 0 : found->second;
        if (count == (owed ? 1 : 0)) continue;
        if (owed && count == 0 && set_aside.contains(id)) continue;
        fault(fmt::format("{} (mark {}): {} reports, owed {}", id.text(), mark, count, int(owed)));
    }
}

void MailboxCheck::fault(std::string text) {
    faults_count_++;
    if (faults_.size() < kFaultsKept) faults_.push_back(std::move(text));
}

}  // namespace postrider::sim
