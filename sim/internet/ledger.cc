#include "sim/internet/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <optional>

#include "sim/host_state.h"
#include "sim/seeded_random.h"

namespace postrider::sim {

namespace {

constexpr std::size_t kViolationsKept = 20;
constexpr Monotonic kFarFuture{std::numeric_limits<int64_t>::max()};
constexpr Duration kNear = std::chrono::hours(1);
// A message that was sent before its sender died is taken after that; while DNS is silent its
// receiver waits 20 s to judge it.
constexpr Duration kOnItsWay = std::chrono::seconds(30);
// date_time() in a log line has no fraction of a second.
constexpr Duration kLogResolution = std::chrono::seconds(1);

// RFC 5322 §3.3, as our log has it, in universal time.
std::optional<Wall> parse_date_time(std::string_view text) {
    std::tm parts{};
    std::string copy(text);
    if (!strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S", &parts)) return std::nullopt;
    return Wall{timegm(&parts) * 1'000'000};
}

}  // namespace

std::string Letter::content() const {
    std::string out;
    for (int hop = 0; hop < hops; hop++) {
        out += fmt::format(
            "Received: from h{}.example by h{}.example; Sun, 1 Nov 2026 00:00:00 +0000\r\n", hop,
            hop + 1);
    }
    out += fmt::format("From: <sender@client.example>\r\nSubject: mark {}\r\nX-Mark: {}\r\n\r\n",
                       mark, mark);
    SeededRandom random(mark, /*label=*/31);
    while (out.size() < octets) {
        // Repeats of a drawn word: quick to make, and different in each block; some need dots.
        std::string word =
            fmt::format("{}{:016x}\r\n", random.below(20) == 0 ? "." : "", random.next());
        for (int i = 0; i < 64 && out.size() < octets; i++) out += word;
    }
    return out;
}

std::string_view log_value(std::string_view text, std::string_view key) {
    std::string begin = fmt::format("{}=", key);
    std::size_t at = 0;
    while (true) {
        at = text.find(begin, at);
        if (at == text.npos) return {};
        if (at == 0 || text[at - 1] == ' ') break;
        at++;
    }
    text.remove_prefix(at + begin.size());
    return text.substr(0, text.find(' '));
}

std::string story(const Host& host, MessageId id) {
    std::string out;
    for (const LogLine& line : host.log_lines()) {
        bool is_start = line.event == Event::SpoolOpened;
        if (!is_start && line.text.find(id.text()) == std::string::npos) continue;
        out += fmt::format("\n         {:.3f} s {} {}", double(line.at.ns) / 1e9,
                           info(line.event).name, line.text.substr(0, 200));
    }
    return out;
}

void Ledger::hear(int number, Host& host, const LogLine& line) {
    ServerBook& book = books[std::size_t(number)];
    auto id = MessageId::parse(log_value(line.text, "id"));
    switch (line.event) {
        case Event::MessageAccepted: {
            if (!id) break;
            if (book.accepted.contains(*id) && book.restores.empty()) {
                violation(fmt::format("{}: the id {} is used a second time{}", host.name(),
                                      id->text(), story(host, *id)));
            }
            book.accepted[*id] = {*id, line.at};
            std::string recipients(log_value(line.text, "recipients"));
            book.live[*id] = std::strtoll(recipients.c_str(), nullptr, 10);
            break;
        }
        case Event::Delivered:
        case Event::Deferred:
        case Event::Failed:
            if (id) hear_result(number, host, line, *id);
            break;
        case Event::MessagePoisonous:
        case Event::MessageSetAside:
            if (line.event == Event::MessageSetAside) {
                book.damage++;
            } else {
                book.kept_aside.push_back(
                    host.disk().files().visible_text(log_value(line.text, "kept")).value_or(""));
            }
            if (!id) break;
            book.set_aside[*id] = line.at;
            book.live.erase(*id);
            break;
        case Event::OutcomeNotRecorded:
            if (id) book.not_recorded[*id] = line.at;
            break;
        case Event::SpoolDamage:
            book.damage++;
            break;
        default:
            break;
    }
}

// Each recipient has one final line, and none is tried before the time that was said.
void Ledger::hear_result(int number, Host& host, const LogLine& line, MessageId id) {
    ServerBook& book = books[std::size_t(number)];
    std::string to(log_value(line.text, "to"));
    auto& recipient = book.recipients[{id, to}];
    bool same_life = recipient.life == host.lives() && recipient.jumps == book.jumps;
    bool is_failure = line.event == Event::Failed;  // by its age it may come at any time
    if (same_life && !is_failure && host.state().wall() + kLogResolution < recipient.next) {
        violation(fmt::format("{}: {} to {} was tried before the time that was said: {}",
                              host.name(), id.text(), to, line.text));
    }
    recipient.life = host.lives();
    recipient.jumps = book.jumps;
    if (line.event == Event::Deferred) {
        if (recipient.outcomes > 0 && !book.not_recorded.contains(id) && book.restores.empty() &&
            book.rots == 0) {
            violation(
                fmt::format("{}: {} to {} is tried after its outcome", host.name(), id.text(), to));
        }
        auto next = line.text.find("next=");
        recipient.next = Wall{};
        if (next != std::string::npos) {
            if (auto parsed = parse_date_time(std::string_view(line.text).substr(next + 5)))
                recipient.next = *parsed;
        }
        return;
    }
    recipient.next = Wall{};
    recipient.outcomes++;
    recipient.expired = is_failure;
    if (auto live = book.live.find(id); live != book.live.end() && --live->second <= 0) {
        book.live.erase(live);
    }
    if (recipient.outcomes > 1 && !book.not_recorded.contains(id) && book.restores.empty() &&
        book.rots == 0) {
        violation(fmt::format("{}: {} to {} has {} outcomes{}", host.name(), id.text(), to,
                              recipient.outcomes, story(host, id)));
    }
}

std::size_t Ledger::begin(FaultKind kind, const Host* a, const Host* b, Monotonic now) {
    disturbances.push_back({kind, a, b, now, kFarFuture});
    return disturbances.size() - 1;
}

bool Ledger::explains(const Host* from, const Host* to, Monotonic first, Duration patience) const {
    return std::ranges::any_of(disturbances, [&](const Disturbance& one) {
        bool concerns = one.b ? (one.a == from && one.b == to) || (one.a == to && one.b == from)
                              : one.a == from || one.a == to;
        return concerns && one.begin <= first + patience && one.end >= first - kOnItsWay;
    });
}

std::string Ledger::accidents_near(Monotonic moment) const {
    std::string out;
    for (const Disturbance& one : disturbances) {
        if (one.begin > moment + kNear || one.end < moment - kNear) continue;
        out += fmt::format("\n         {:.3f} s {} of {}{}", double(one.begin.ns) / 1e9,
                           word(one.kind), one.a ? one.a->name() : "the net",
                           one.b ? " and " + one.b->name() : "");
        if (one.end != kFarFuture) out += fmt::format(" until {:.3f} s", double(one.end.ns) / 1e9);
    }
    return out;
}

void Ledger::forget(Monotonic now) {
    letters.clear();
    std::erase_if(disturbances, [&](const Disturbance& one) { return one.end <= now; });
    for (ServerBook& book : books) {
        uint64_t jumps = book.jumps;
        book = ServerBook{};
        book.jumps = jumps;
    }
}

void Ledger::violation(std::string text) {
    violations_count_++;
    if (violations_.size() < kViolationsKept) violations_.push_back(std::move(text));
}

}  // namespace postrider::sim
