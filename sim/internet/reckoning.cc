#include "sim/internet/reckoning.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace postrider::sim {

namespace {

// From the moment when a host takes a message until we have written that down, without accidents.
constexpr Duration kPatience = std::chrono::minutes(1);
// Records that one spoilt place of a disk can take away.
constexpr int64_t kMessagesPerRot = 2;
constexpr std::string_view kReport = "boundary=\"report.";

std::string with_lf(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        if (c != '\r') out += c;
    }
    return out;
}

// The rest of the line after `words`, from `at` on, which moves behind it.
std::optional<std::string> next_after(std::string_view text, std::string_view words,
                                      std::size_t& at) {
    std::size_t found = text.find(words, at);
    if (found == text.npos) return std::nullopt;
    at = found + words.size();
    return std::string(text.substr(at, text.find_first_of("\r\n", at) - at));
}

// "<seconds>.<ID>R<recipient>.<host>"
std::optional<MessageId> id_in(const std::string& name) {
    std::size_t dot = name.find('.');
    if (dot == std::string::npos) return std::nullopt;
    return MessageId::parse(std::string_view(name).substr(dot + 1, MessageId::kTextOctets));
}

std::string_view header_of(std::string_view text) {
    return text.substr(0, std::min(text.find("\r\n\r\n"), text.find("\n\n")));
}

bool is_report(std::string_view text) {
    return header_of(text).find(kReport) != std::string_view::npos;
}

// "by mx.p2.example ... id 0ABC..." of one Received field.
std::optional<std::pair<std::string, MessageId>> hop_in(std::string_view field) {
    std::size_t by = field.find("by mx.");
    if (by == field.npos) return std::nullopt;
    std::string_view host = field.substr(by + 6);
    host = host.substr(0, host.find_first_of(" \t\r\n;"));
    for (std::size_t at = field.find("id ", by); at != field.npos; at = field.find("id ", at + 1)) {
        char before = field[at - 1];
        if (before != ' ' && before != '\t' && before != '\n') continue;
        auto id = MessageId::parse(field.substr(at + 3, MessageId::kTextOctets));
        if (id) return std::pair(std::string(host), *id);
    }
    return std::nullopt;
}

}  // namespace

void Reckoning::run() {
    copies_.clear();
    ids_of_mark_.clear();
    reports_.clear();
    circles_.clear();
    count_excuses();
    for (int server = 0; server < net_.server_count(); server++) collect_mailboxes(server);
    for (auto& host : net_.foreign) collect_foreign(*host);
    for (const auto& [mark, letter] : net_.ledger.letters) check_letter(letter);
    check_rest();
    for (auto& host : net_.foreign) host->forget();
    net_.ledger.forget(net_.sim.now());
}

void Reckoning::count_excuses() {
    excuses_.clear();
    for (const ServerBook& one : net_.ledger.books) {
        int64_t count = one.damage > 0 ? int64_t(one.rots) * kMessagesPerRot : 0;
        count += int64_t(one.set_aside.size());
        for (const auto& restore : one.restores) {
            count += std::ranges::count_if(one.accepted, [&](const auto& entry) {
                return entry.second.at > restore.since && entry.second.at <= restore.at;
            });
        }
        excuses_.push_back(count);
    }
}

int64_t Reckoning::excuses_total() const {
    return std::accumulate(excuses_.begin(), excuses_.end(), int64_t{});
}

// --- what lies where

void Reckoning::collect_mailboxes(int server) {
    FileSystem& files = net_.servers[std::size_t(server)]->host().disk().files();
    for (int number = 0; number < Internet::kUsers; number++) {
        std::string user = fmt::format("u{}", number);
        std::string folder = fmt::format("/data/mail/{}/{}/new", net_.domain(server), user);
        auto found = files.find_directory(folder);
        if (!found) continue;  // nothing came for this one yet
        std::vector<std::string> names;
        for (const auto& [name, inode] : (*found)->names) names.push_back(name);
        std::string mailbox = fmt::format("{}@{}", user, net_.domain(server));
        for (const std::string& name : names) {
            std::string path = fmt::format("{}/{}", folder, name);
            collect_file(server, mailbox, name, files.visible_text(path).value_or(""));
            [[maybe_unused]] auto removed = files.remove(path, Wall{});
        }
        files.sync_names(**found, files.mark());
    }
}

void Reckoning::collect_file(int server, const std::string& user, const std::string& name,
                             const std::string& text) {
    auto id = id_in(name);
    if (!id) return wrong(fmt::format("{} has the file {}", user, name));
    if (!seen_.emplace(user, *id).second && book(server).restores.empty()) {
        return wrong(fmt::format("{} has {} twice", user, id->text()));
    }
    auto accepted = book(server).accepted.find(*id);
    Copy copy{.place = &net_.servers[std::size_t(server)]->host(), .at = {}};
    if (accepted != book(server).accepted.end()) copy.at = accepted->second.at;
    if (is_report(text)) return collect_report(text, copy);
    if (!text.starts_with("Return-Path: <") ||
        text.find("\nDelivered-To: " + user + "\n") == std::string::npos) {
        wrong(fmt::format("{}: {} has other trace fields", user, id->text()));
    }
    if (came_back(text)) {
        totals_.excused++;
        return;
    }
    auto hops = read_letter(text, /*with_lf=*/true, user + ": " + id->text());
    if (hops.empty()) return;
    if (hops.front().server != server || hops.front().id != *id) {
        wrong(fmt::format("{}: {} does not say so in its trace fields", user, id->text()));
    }
    copies_[{hops.back().server, hops.back().id, user}].push_back(copy);
}

void Reckoning::collect_foreign(ForeignHost& host) {
    for (const std::string& fault : host.faults()) wrong(host.host().name() + ": " + fault);
    std::map<std::string, Hop> hop_of;
    std::set<std::string> back;
    for (const auto& [id, content] : host.contents()) {
        std::string where = host.host().name() + ": " + id;
        if (is_report(content)) continue;
        if (came_back(content)) {
            back.insert(id);
            totals_.excused++;
            continue;
        }
        auto hops = read_letter(content, /*with_lf=*/false, where);
        if (hops.size() > 1) wrong(where + " came over two of our servers");
        if (!hops.empty()) hop_of[id] = hops.front();
    }
    for (const auto& [key, takes] : host.taken()) {
        for (std::size_t i = 0; i < takes.size(); i++) {
            if (back.contains(key.first)) continue;
            const Take& take = takes[i];
            Copy copy{.place = &host.host(), .at = take.at, .replied = take.replied};
            auto hop = hop_of.find(key.first);
            if (hop == hop_of.end()) {
                collect_report(host.contents().at(key.first), copy);
                continue;
            }
            const ServerBook& from = book(hop->second.server);
            if (i + 1 < takes.size() && take.confirmed && from.rots == 0 && from.restores.empty() &&
                !from.not_recorded.contains(hop->second.id)) {
                wrong(fmt::format("{}: {} to {} came again after it was settled",
                                  host.host().name(), key.first, key.second));
            }
            copies_[{hop->second.server, hop->second.id, key.second}].push_back(copy);
        }
    }
}

// Whether it was settled before the last rest, and rot may have taken the record of its outcome
// since, or an old backup have brought it back: that was told, and it is sent again, as it must be.
bool Reckoning::came_back(const std::string& text) const {
    std::size_t at = 0;
    std::string mark_text = next_after(text, "\nX-Mark: ", at).value_or("0");
    uint64_t mark = std::strtoull(mark_text.c_str(), nullptr, 10);
    const auto& letters = net_.ledger.letters;
    if (mark == 0 || letters.empty() || mark >= letters.begin()->first) return false;
    return std::ranges::any_of(net_.ledger.books, [](const ServerBook& one) {
        return one.rots > 0 || !one.restores.empty();
    });
}

std::vector<Reckoning::Hop> Reckoning::read_letter(const std::string& text, bool with_lf_ends,
                                                   const std::string& where) {
    std::size_t at = 0;
    std::string mark_text = next_after(text, "\nX-Mark: ", at).value_or("0");
    uint64_t mark = std::strtoull(mark_text.c_str(), nullptr, 10);
    auto letter = net_.ledger.letters.find(mark);
    if (letter == net_.ledger.letters.end()) {
        wrong(where + " was never sent, or settled long ago");
        return {};
    }
    std::string content = letter->second.content();
    if (with_lf_ends) content = with_lf(content);
    if (!text.ends_with(content)) {
        wrong(fmt::format("{} (mark {}) has other octets", where, mark));
        return {};
    }
    std::string_view trace = std::string_view(text).substr(0, text.size() - content.size());
    if (header_of(trace).size() != trace.size()) wrong(where + " has an empty line in its trace");
    std::vector<Hop> hops;
    constexpr std::string_view kField = "Received: ";
    for (std::size_t field = trace.find(kField); field != trace.npos;) {
        std::size_t next = trace.find(kField, field + 1);
        auto hop = hop_in(trace.substr(field, next - field));
        if (hop) hops.push_back({net_.server_of(hop->first), hop->second});
        field = next;
    }
    if (hops.empty() || hops.size() > 2 || hops.back().server != letter->second.through) {
        wrong(fmt::format("{} (mark {}) has other trace fields", where, mark));
        return {};
    }
    ids_of_mark_[mark].insert(hops.back().id);
    return hops;
}

void Reckoning::collect_report(const std::string& text, const Copy& copy) {
    constexpr std::size_t kId = MessageId::kTextOctets;
    std::size_t at = 0;
    std::string ids = next_after(text, kReport, at).value_or("");
    std::string host = next_after(text, "\nReporting-MTA: dns; mx.", at).value_or("");
    auto own = MessageId::parse(ids.substr(0, kId));
    auto original = MessageId::parse(ids.size() > kId ? ids.substr(kId + 1, kId) : "");
    int server = net_.server_of(host);
    if (!own || !original || server < 0) return wrong("not a report: " + text.substr(0, 2000));
    if (text.find("\nAuto-Submitted: auto-") == std::string::npos) {
        wrong("a report without Auto-Submitted: " + own->text());
    }
    std::size_t returned = 0;
    std::string mark = next_after(text, "\nX-Mark: ", returned).value_or("0");
    uint64_t number = std::strtoull(mark.c_str(), nullptr, 10);
    auto letter = net_.ledger.letters.find(number);
    if (letter != net_.ledger.letters.end() && letter->second.to.front().fate == Fate::Circles) {
        circles_[number]++;
        return;
    }
    ids_of_mark_[number].insert(*original);
    while (auto recipient = next_after(text, "\nFinal-Recipient: rfc822; ", at)) {
        std::string action = next_after(text, "\nAction: ", at).value_or("");
        ReportCopies& copies = reports_[{server, *original, *recipient}];
        if (action == "failed") {
            copies.failed[*own].push_back(copy);
        } else if (action == "delayed") {
            copies.delayed.insert(*own);
        } else {
            wrong("a report with the action " + action);
        }
    }
}

// --- what it means

void Reckoning::check_letter(const Letter& letter) {
    std::set<MessageId> ids = ids_of_mark_[letter.mark];  // also of those whose 250 was lost
    for (const Acceptance& one : letter.accepted) ids.insert(one.id);
    if (ids.size() > letter.ends) {
        wrong(
            fmt::format("mark {}: {} ids for {} final dots", letter.mark, ids.size(), letter.ends));
    }
    if (letter.to.front().fate == Fate::Circles) {
        bool owed = !letter.from.empty() && !letter.accepted.empty();
        if (owed != (circles_[letter.mark] > 0) && excuses_total() == 0) {
            wrong(fmt::format("mark {} went in circles: {} reports", letter.mark,
                              circles_[letter.mark]));
        }
        return;
    }
    for (MessageId id : ids) {
        for (const Target& target : letter.to) {
            if (was_turned_away(letter, id, target)) continue;
            for (const std::string& to : target.finals) {
                check_recipient(letter, id, target.fate, to);
            }
            if (target.finals.size() > 1) check_alias(letter, id, target);
        }
    }
}

// Its sender heard it at once, so nothing may come of it. Of a transaction whose answer was lost it
// is not known.
bool Reckoning::was_turned_away(const Letter& letter, MessageId id, const Target& target) const {
    auto known = std::ranges::find(letter.accepted, id, &Acceptance::id);
    if (known != letter.accepted.end()) return known->turned_away.contains(target.to);
    Key key{letter.through, id, target.to};
    return letter.maybe_turned_away.contains(target.to) && !copies_.contains(key) &&
           !reports_.contains(key);
}

void Reckoning::check_recipient(const Letter& letter, MessageId id, Fate fate,
                                const std::string& to) {
    Key key{letter.through, id, to};
    std::vector<Copy> copies;
    ReportCopies reports;
    if (auto found = copies_.extract(key)) copies = std::move(found.mapped());
    if (auto found = reports_.extract(key)) reports = std::move(found.mapped());
    const ServerBook& from = book(letter.through);
    auto what = [&] {
        return fmt::format("{} of {} (mark {}) to {}", id.text(), net_.domain(letter.through),
                           letter.mark, to);
    };
    totals_.checked++;
    totals_.copies += copies.size();
    totals_.reports += reports.failed.size();
    totals_.delay_notices += reports.delayed.size();

    bool owed = !letter.from.empty();
    bool spool_changed = from.rots > 0 || !from.restores.empty();
    if (!owed && (!reports.failed.empty() || !reports.delayed.empty())) {
        wrong(what() + ": a report although its sender is null");
    }
    if (reports.failed.size() > 1 && !spool_changed) wrong(what() + ": two reports of failure");
    if (reports.delayed.size() > 1 && !spool_changed) wrong(what() + ": two delay notices");
    for (auto& [own, places] : reports.failed) check_repeats({letter.through, own, to}, places);

    auto said = from.recipients.find(std::pair(id, to));
    bool said_failed = said != from.recipients.end() && said->second.expired;
    bool may_fail = fate == Fate::Fails || fate == Fate::Either;
    // A crash may fall between what is written and the log's line about it.
    bool failed =
        owed ? !reports.failed.empty() : said_failed || (may_fail && !from.crashes.empty());
    // The report itself may have come to nothing on its way to another host.
    if (net_.may_expire() && net_.server_of(letter.from) != letter.through) failed |= said_failed;
    auto about_it = [&](const std::string& record) { return record.find(to) != record.npos; };
    if (copies.empty() && !failed) {
        if (from.set_aside.contains(id)) {
            totals_.set_aside++;
        } else if (owed && said_failed && std::ranges::any_of(from.kept_aside, about_it)) {
            totals_.set_aside++;  // its report was
        } else if (is_excused(letter, id, to)) {
            totals_.excused++;
        } else {
            wrong(what() + ": lost" + story(letter.through, id));
        }
        return;
    }
    if (!copies.empty()) {
        bool both = owed ? failed : said_failed;
        const Copy& last = copies.back();
        if (both && last.replied && last.at && !spool_changed &&
            !net_.ledger.explains(&net_.servers[std::size_t(letter.through)]->host(), last.place,
                                  *last.at, kPatience)) {
            wrong(what() + ": arrived, and failed as well");
        }
        if (fate == Fate::Fails) wrong(what() + ": arrived although it must fail");
        check_repeats(key, std::move(copies));
        return;
    }
    if (fate == Fate::Arrives)
        wrong(what() + ": failed although it must arrive" + story(letter.through, id));
    if (fate == Fate::IsSetAside)
        wrong(what() + ": failed instead of being set aside" + story(letter.through, id));
    if (!owed) totals_.silent++;
}

std::string Reckoning::story(int server, MessageId id) const {
    return sim::story(net_.servers[std::size_t(server)]->host(), id);
}

// A report names the address that the client gave (RFC 3461 §6.3), not what it stands for.
void Reckoning::check_alias(const Letter& letter, MessageId id, const Target& target) {
    auto found = reports_.extract(Key{letter.through, id, target.to});
    if (!found) return;
    const ReportCopies& reports = found.mapped();
    totals_.reports += reports.failed.size();
    totals_.delay_notices += reports.delayed.size();
    if (letter.from.empty()) wrong(id.text() + ": a report although its sender is null");
    if (reports.delayed.size() > target.finals.size()) {
        wrong(fmt::format("{} to {}: {} delay notices", id.text(), target.to,
                          reports.delayed.size()));
    }
    if (target.fate == Fate::Arrives && !reports.failed.empty()) {
        wrong(id.text() + " to " + target.to + ": failed although it must arrive");
    }
}

// Each copy but the last was followed by an accident that let it come again.
void Reckoning::check_repeats(const Key& key, std::vector<Copy> copies) {
    if (copies.size() < 2) return;
    std::ranges::sort(copies, {}, &Copy::at);
    const ServerBook& from = book(key.server);
    const Host* host = &net_.servers[std::size_t(key.server)]->host();
    for (std::size_t i = 0; i + 1 < copies.size(); i++) {
        const Copy& copy = copies[i];
        totals_.repeats++;
        if (!copy.replied || !copy.at || from.rots > 0 || !from.restores.empty()) continue;
        if (from.not_recorded.contains(key.id)) continue;
        if (net_.ledger.explains(host, copy.place, *copy.at, kPatience)) continue;
        wrong(fmt::format(
            "{} to {}: came {} times, and no accident explains it; first at {:.3f} s{}{}",
            key.id.text(), key.to, copies.size(), double(copy.at->ns) / 1e9,
            story(key.server, key.id), net_.ledger.accidents_near(*copy.at)));
        return;
    }
}

// Bit rot and old backups take messages away; no more than they can.
bool Reckoning::is_excused(const Letter& letter, MessageId id, const std::string& to) {
    const ServerBook& from = book(letter.through);
    auto accepted = std::ranges::find(letter.accepted, id, &Acceptance::id);
    for (const auto& restore : from.restores) {
        if (accepted != letter.accepted.end() && accepted->at > restore.since &&
            accepted->at <= restore.at) {
            return true;
        }
    }
    for (int server : {letter.through, net_.server_of(to), net_.server_of(letter.from)}) {
        if (server < 0 || excuses_[std::size_t(server)] <= 0) continue;
        excuses_[std::size_t(server)]--;
        return true;
    }
    return false;
}

// What nobody was sent.
void Reckoning::check_rest() {
    for (const auto& [key, copies] : copies_) {
        wrong(fmt::format("{} lies at {}, to whom it was not sent{}", key.id.text(), key.to,
                          story(key.server, key.id)));
    }
    for (const auto& [key, reports] : reports_) {
        // Of a message whose content is gone nothing is returned that says which letter it was.
        if (book(key.server).rots > 0) continue;
        wrong(fmt::format("a report about {} to {}, which was not sent: {} failed, {} delayed{}",
                          key.id.text(), key.to, reports.failed.size(), reports.delayed.size(),
                          story(key.server, key.id)));
    }
}

}  // namespace postrider::sim
