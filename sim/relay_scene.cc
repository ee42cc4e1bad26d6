#include "sim/relay_scene.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

const world::IpEndpoint kServer{*world::IpAddress::parse("192.0.2.1"), 25};
constexpr int kLettersPerSession = 50;
constexpr std::size_t kFaultsMax = 20;

std::string content_of(std::size_t mark, std::size_t octets) {
    std::string out = fmt::format("Subject: letter {}\r\nX-Mark: {}\r\n\r\n.\r\n", mark, mark);
    for (std::size_t line = 0; out.size() < octets; line++) {
        out += fmt::format("{}line {} of {}\r\n", line % 7 == 0 ? "." : "", line, mark);
    }
    return out;
}

// RFC 5321 §4.5.2.
std::string with_dots(std::string_view content) {
    std::string out;
    while (!content.empty()) {
        if (content.front() == '.') out += '.';
        std::size_t end = content.find("\r\n") + 2;
        out += content.substr(0, end);
        content.remove_prefix(end);
    }
    return out + ".\r\n";
}

// The rest of the line after `words`, from `at` on, which moves behind it.
std::optional<std::string> next_after(std::string_view text, std::string_view words,
                                      std::size_t& at) {
    at = text.find(words, at);
    if (at == text.npos) return std::nullopt;
    at += words.size();
    return std::string(text.substr(at, text.find('\n', at) - at));
}

}  // namespace

struct LetterClient::Session {
    world::World& world;
    std::unique_ptr<world::Stream> stream;
    Duration reply_time;
    std::string heard = {};
    std::string reply = {};  // the last line of the last reply

    Deadline deadline() const { return Deadline::after(world.clock.now(), reply_time); }

    Task<bool> say(std::string text) {
        std::array<std::string_view, 1> pieces{text};
        auto written = co_await stream->write(pieces, deadline());
        co_return written.has_value();
    }

    // Whether the next reply came and begins with `code`.
    Task<bool> hear(std::string_view code) {
        Deadline until = deadline();
        std::array<char, 2048> part;
        while (true) {
            std::size_t end = heard.find("\r\n");
            if (end != std::string::npos) {
                reply = heard.substr(0, end);
                heard.erase(0, end + 2);
                if (reply.size() < 4 || reply[3] != '-') co_return reply.starts_with(code);
                continue;
            }
            auto got = co_await stream->read(part, until);
            if (!got || *got == 0) co_return false;
            heard.append(part.data(), *got);
        }
    }
};

LetterClient::LetterClient(Simulation& sim, int sessions)
    : sim_(sim), host_(sim.add_host("letters", {*world::IpAddress::parse("192.0.2.2")})) {
    host_.boot([this, sessions](world::World& world) -> Task<void> {
        posted_ = std::make_unique<world::Signal>(world.executor, world.clock);
        for (int i = 0; i < sessions; i++) world.executor.spawn(work(world));
        co_return;
    });
}

std::size_t LetterClient::post(Letter letter) {
    letter.content = content_of(letters_.size(), letter.octets);
    letters_.push_back(std::move(letter));
    host_.spawn(0, [this](world::World&) -> Task<void> {
        posted_->notify_all();
        co_return;
    });
    return letters_.size() - 1;
}

Task<void> LetterClient::work(world::World& world) {
    std::optional<std::size_t> number;
    while (true) {
        if (!number && next_ == letters_.size()) {
            co_await posted_->wait(Deadline::never());
        } else {
            co_await hold_session(world, number);
            co_await world.clock.sleep_for(20ms);
        }
    }
}

Task<void> LetterClient::hold_session(world::World& world, std::optional<std::size_t>& number) {
    auto stream = co_await world.net.connect(kServer, std::nullopt,
                                             Deadline::after(world.clock.now(), reply_time));
    if (!stream) co_return;
    Session session{world, std::move(*stream), reply_time};
    if (!co_await session.hear("220") || !co_await session.say("EHLO letters.example\r\n") ||
        !co_await session.hear("250")) {
        co_return;
    }
    for (int i = 0; i < kLettersPerSession; i++) {
        if (!number && next_ < letters_.size()) number = next_++;
        if (!number) break;
        if (!co_await send(session, letters_[*number])) co_return;
        number.reset();
    }
    if (co_await session.say("QUIT\r\n")) co_await session.hear("221");
}

Task<bool> LetterClient::send(Session& session, Letter& letter) {
    std::string commands = fmt::format("MAIL FROM:<{}>\r\n", letter.from);
    for (const std::string& to : letter.to) commands += fmt::format("RCPT TO:<{}>\r\n", to);
    if (!co_await session.say(commands + "DATA\r\n")) co_return false;
    for (std::size_t i = 0; i < letter.to.size() + 1; i++) {
        if (!co_await session.hear("250")) co_return false;
    }
    if (!co_await session.hear("354")) co_return false;
    letter.was_sent = true;
    if (!co_await session.say(with_dots(letter.content)) || !co_await session.hear("250")) {
        co_return false;
    }
    letter.accepted.push_back(session.reply.substr(session.reply.rfind(' ') + 1));
    letter.accepted_at = sim_.now();
    accepted_++;
    co_return true;
}

RelayScene::RelayScene(uint64_t seed, std::string_view queue, int sessions)
    : sim(seed),
      server(sim, river_config(fmt::format("[queue]\n{}\n", queue),
                               "sessions_per_address_max = 1000\nrecipients_max = 1000")),
      client(sim, sessions) {
    sim.net().faults.latency_max = 3ms;
    sim.dns().faults.latency_max = 20ms;
}

ForeignHost& RelayScene::add_far(const std::string& domain, Manners manners) {
    std::string address = fmt::format("198.51.100.{}", far.size() + 1);
    far.push_back(std::make_unique<ForeignHost>(sim, "mx." + domain, address, manners));
    sim.dns().add(domain, dns::Mx{10, *dns::Name::parse("mx." + domain)});
    sim.dns().add("mx." + domain, dns::A{{198, 51, 100, uint8_t(far.size())}});
    return *far.back();
}

void RelayScene::boot() {
    server.boot();
    if (!sim.run_until([&] { return server.is_open(); }, 1min)) {
        fault("the server does not open: " + server.open_error());
    }
}

void RelayScene::stop(Duration patience) {
    server.stop(patience);
    if (!sim.run_until([&] { return server.has_stopped(); }, patience + 1min)) {
        fault("the server does not stop");
    }
    note_set_aside();
    server.kill();
}

void RelayScene::run_until_accepted() {
    if (sim.run_until([&] { return client.is_idle(); }, 2h)) return;
    fault(
        fmt::format("{} of {} letters were accepted", client.accepted(), client.letters().size()));
}

void RelayScene::run_until_done(Duration limit) {
    if (!server.run_until_empty(limit)) fault("the queue is not empty");
}

void RelayScene::fault(std::string text) {
    if (faults_.size() >= kFaultsMax) return;
    faults_.push_back(fmt::format("seed {}: {}", sim.seed(), text));
}

void RelayScene::note_set_aside() {
    for (const LogLine& line : server.host().log_lines()) {
        // A stop ran out of time between the far end's yes and our note of it.
        if (line.event == Event::OutcomeNotRecorded) {
            not_recorded_.insert(line.text.substr(3, MessageId::kTextOctets));
        }
        if (line.event != Event::MessagePoisonous) continue;
        set_aside_.insert(line.text.substr(3, MessageId::kTextOctets));
    }
}

std::map<ForeignHost::Key, ReportCount> RelayScene::reports() {
    std::map<ForeignHost::Key, ReportCount> out;
    FileSystem& files = server.host().disk().files();
    std::string folder = "/data/mail/river.example/alice/new";
    auto found = files.find_directory(folder);
    if (!found) return out;
    std::set<std::string> ids;
    for (const auto& [name, inode] : (*found)->names) {
        std::string text = files.visible_text(folder + "/" + name).value_or("");
        // boundary="report.<its id>.<id of the original>"
        std::size_t at = 0;
        std::string ends = next_after(text, "boundary=\"report.", at).value_or("");
        constexpr std::size_t kId = MessageId::kTextOctets;
        if (ends.size() < 2 * kId + 1) {
            fault("not a report: " + text);
            continue;
        }
        if (!ids.insert(ends.substr(0, kId)).second) fault("a report is there twice: " + ends);
        std::string original = ends.substr(kId + 1, kId);
        while (auto recipient = next_after(text, "\nFinal-Recipient: rfc822; ", at)) {
            std::string action = next_after(text, "\nAction: ", at).value_or("");
            ReportCount& count = out[{original, *recipient}];
            if (action == "failed") {
                count.failed++;
            } else if (action == "delayed") {
                count.delayed++;
            } else {
                fault("unknown action: " + action);
            }
        }
    }
    return out;
}

void RelayScene::check_content(const Letter& letter, const std::string& content) {
    if (!content.ends_with(letter.content)) return fault("other octets: " + content);
    std::string_view trace = content;
    trace.remove_suffix(letter.content.size());
    bool one = trace.starts_with("Received: ") && trace.find("\nReceived: ") == trace.npos;
    if (!one || trace.find("\r\n\r\n") != trace.npos) fault("other trace fields: " + content);
}

RelayScene::Sum RelayScene::check(const Fails& fails) {
    Sum sum;
    note_set_aside();
    auto told = reports();
    // A letter that was sent again because no reply came may be here under several ids.
    std::map<std::string, std::size_t> letter_of;
    for (std::size_t i = 0; i < client.letters().size(); i++) {
        for (const std::string& id : client.letters()[i].accepted) letter_of[id] = i;
    }
    for (const auto& host : far) {
        for (const std::string& words : host->faults()) fault(host->host().name() + ": " + words);
        for (const auto& [id, content] : host->contents()) {
            std::size_t at = 0;
            std::string mark = next_after(content, "\nX-Mark: ", at).value_or("none");
            std::size_t number = std::strtoull(mark.c_str(), nullptr, 10);
            if (number >= client.letters().size()) {
                fault("never sent: " + content);
                continue;
            }
            if (letter_of.try_emplace(id, number).first->second != number) {
                fault(id + " came with the content of another");
            }
            check_content(client.letters()[number], content);
        }
    }
    for (const auto& [id, number] : letter_of) {
        const Letter& letter = client.letters()[number];
        for (const std::string& to : letter.to) {
            check_recipient(id, letter, to, fails(to), told[{id, to}], sum);
        }
    }
    return sum;
}

void RelayScene::check_recipient(const std::string& id, const Letter& letter, const std::string& to,
                                 bool must_fail, const ReportCount& told, Sum& sum) {
    auto wrong = [&](std::string_view what) { fault(fmt::format("{} to {}: {}", id, to, what)); };
    bool is_set_aside = set_aside_.contains(id);
    std::size_t takes = 0;
    for (const auto& host : far) {
        auto found = host->taken().find({id, to});
        if (found == host->taken().end()) continue;
        takes += found->second.size();
        sum.confirmed += found->second.back().confirmed ? 1 : 0;
        for (std::size_t i = 0; i + 1 < found->second.size(); i++) {
            if (found->second[i].confirmed && !not_recorded_.contains(id))
                wrong("taken again after it was settled");
        }
    }
    bool owed = must_fail && !letter.from.empty();
    if (told.delayed > (letter.from.empty() ? 0 : 1)) {
        wrong(fmt::format("{} delay notices", told.delayed));
    }
    if (is_set_aside && takes == 0 && told.failed == 0) {
        sum.set_aside++;
        return;
    }
    if (told.failed != (owed ? 1 : 0)) {
        wrong(fmt::format("{} reports of failure, {} takes", told.failed, takes));
    }
    if (must_fail) {
        if (takes > 0) wrong("taken although it must fail");
        (owed ? sum.bounced : sum.silent)++;
    } else {
        if (takes == 0) wrong("lost");
        sum.taken++;
        sum.repeats += takes > 0 ? takes - 1 : 0;
    }
    sum.delayed += uint64_t(told.delayed);
}

}  // namespace postrider::sim
