#include "sim/internet/clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

// Whose server does not answer asks less and less often.
constexpr Duration kPauseLongest = 30s;
constexpr std::size_t kPieceOctets = 30'000;

// RFC 5321 §4.5.2: a dot more before a dot at the beginning of a line, and the final dot.
std::string with_dots(std::string_view content) {
    std::string out;
    out.reserve(content.size() + content.size() / 50 + 8);
    while (!content.empty()) {
        if (content.front() == '.') out += '.';
        std::size_t end = content.find("\r\n") + 2;
        out += content.substr(0, end);
        content.remove_prefix(end);
    }
    return out + ".\r\n";
}

// RFC 7505: who sends is told at once when the server knows it already, else by a report.
bool wants_no_mail(const Target& target) {
    return target.fate == Fate::Fails && target.to.ends_with("@nomail.example");
}

}  // namespace

struct Clients::Session {
    world::World& world;
    std::unique_ptr<world::Stream> stream;
    Duration reply_time;
    std::string heard = {};
    int code = 0;           // of the last reply
    std::string text = {};  // its last line

    Deadline deadline() const { return Deadline::after(world.clock.now(), reply_time); }

    Task<bool> say(std::string line) {
        std::array<std::string_view, 1> pieces{line};
        auto written = co_await stream->write(pieces, deadline());
        co_return written.has_value();
    }

    // The next reply, into code and text. False: none came.
    Task<bool> hear() {
        Deadline until = deadline();
        std::array<char, 2048> part;
        code = 0;
        while (true) {
            std::size_t end = heard.find("\r\n");
            if (end != std::string::npos) {
                text = heard.substr(0, end);
                heard.erase(0, end + 2);
                if (text.size() < 4 || text[3] != '-') break;
                continue;
            }
            auto got = co_await stream->read(part, until);
            if (!got || *got == 0) co_return false;
            heard.append(part.data(), *got);
        }
        code = std::atoi(text.c_str());
        co_return true;
    }
};

Clients::Clients(Simulation& sim, Ledger& ledger, ClientsOptions options,
                 std::function<std::optional<uint64_t>()> compose)
    : sim_(sim),
      ledger_(ledger),
      options_(std::move(options)),
      compose_(std::move(compose)),
      host_(sim.add_host(options_.name, {*world::IpAddress::parse(options_.address)})),
      random_(sim.seed(), /*label=*/0xC000 + host_.addresses().front().octets[3]) {
    host_.boot([this](world::World& world) -> Task<void> {
        posted_ = std::make_unique<world::Signal>(world.executor, world.clock);
        for (int i = 0; i < options_.sessions; i++) world.executor.spawn(work(world));
        co_return;
    });
}

void Clients::post(uint64_t mark) {
    waiting_.push_back(mark);
    wake();
}

void Clients::wake() {
    host_.spawn(0, [this](world::World&) -> Task<void> {
        posted_->notify_all();
        co_return;
    });
}

std::optional<uint64_t> Clients::next() {
    std::optional<uint64_t> mark;
    if (!waiting_.empty()) {
        mark = waiting_.front();
        waiting_.pop_front();
    } else if (compose_) {
        mark = compose_();
    }
    if (mark) in_hand_++;
    return mark;
}

// One client: it has at most one letter in hand, and keeps it until it is accepted.
Task<void> Clients::work(world::World& world) {
    std::optional<uint64_t> mark;
    Duration pause = options_.pause_max;
    while (true) {
        if (!mark) mark = next();
        if (!mark) {
            co_await posted_->wait(Deadline::never());
        } else if (co_await hold_session(world, mark)) {
            pause = options_.pause_max;
        } else {
            co_await world.clock.sleep_for(random_.between(Duration(1ms), pause));
            pause = std::min(pause * 2, std::max(kPauseLongest, options_.pause_max));
        }
    }
}

bool Clients::refused(Session& session) {
    if (session.code >= 400) {
        ledger_.refused_for_now++;
        ledger_.refusals[session.text.substr(0, 9)]++;
        if (session.code >= 500) ledger_.violation(options_.name + " heard " + session.text);
    }
    return false;
}

// True when the session ended as it should.
Task<bool> Clients::hold_session(world::World& world, std::optional<uint64_t>& mark) {
    auto stream = co_await world.net.connect(
        options_.server, std::nullopt, Deadline::after(world.clock.now(), options_.reply_time));
    if (!stream) co_return false;
    Session session{world, std::move(*stream), options_.reply_time};
    if (!co_await session.hear()) co_return false;
    if (session.code != 220) co_return refused(session);
    if (!co_await session.say("EHLO " + options_.name + ".example\r\n") ||
        !co_await session.hear()) {
        co_return false;
    }
    if (session.code != 250) co_return refused(session);

    uint64_t count = 1 + random_.below(options_.letters_per_session_max);
    for (uint64_t i = 0; i < count; i++) {
        if (!mark) mark = next();
        if (!mark) break;
        session.code = 0;
        if (!co_await send(session, ledger_.letters.at(*mark))) co_return refused(session);
        mark.reset();
        in_hand_--;
    }
    if (!co_await session.say("QUIT\r\n")) co_return false;
    co_await session.hear();
    co_return true;
}

// One transaction. True when the letter was accepted.
Task<bool> Clients::send(Session& session, Letter& letter) {
    std::vector<std::string> commands{fmt::format("MAIL FROM:<{}>\r\n", letter.from)};
    for (const Target& target : letter.to) {
        commands.push_back(fmt::format("RCPT TO:<{}>\r\n", target.to));
    }
    commands.emplace_back("DATA\r\n");
    bool pipelined = random_.below(2) == 0;
    if (pipelined) {
        std::string all;
        for (const std::string& command : commands) all += command;
        if (!co_await session.say(std::move(all))) co_return false;
    }
    std::set<std::string> turned_away;
    for (std::size_t i = 0; i < commands.size(); i++) {
        if (!pipelined && !co_await session.say(commands[i])) co_return false;
        if (!co_await session.hear()) co_return false;
        bool is_data = i + 1 == commands.size(), is_recipient = i > 0 && !is_data;
        if (is_recipient && session.code == 556 && wants_no_mail(letter.to[i - 1])) {
            turned_away.insert(letter.to[i - 1].to);
        } else if (is_data && turned_away.size() == letter.to.size() && session.code >= 500) {
            co_return co_await session.say("RSET\r\n") && co_await session.hear() &&
                session.code == 250;
        } else if (session.code != (is_data ? 354 : 250)) {
            co_return false;
        }
    }
    co_return co_await send_content(session, letter, std::move(turned_away));
}

Task<bool> Clients::send_content(Session& session, Letter& letter,
                                 std::set<std::string> turned_away) {
    std::string wire = with_dots(letter.content());
    std::string_view rest = wire;
    while (rest.size() > 3) {
        std::string_view part = rest.substr(0, std::min(rest.size() - 3, kPieceOctets));
        if (!co_await session.say(std::string(part))) co_return false;
        rest.remove_prefix(part.size());
    }
    if (letter.unanswered) ledger_.repeated_by_clients++;
    letter.ends++;  // from here on it may be kept, whatever we hear
    letter.unanswered = true;
    letter.maybe_turned_away.insert(turned_away.begin(), turned_away.end());
    if (!co_await session.say(std::string(rest)) || !co_await session.hear()) co_return false;
    letter.unanswered = false;
    if (letter.is_refused && session.code == 554) co_return true;
    if (session.code != 250) co_return false;
    if (letter.is_refused) ledger_.violation("a letter that had travelled too far was taken");
    auto id = MessageId::parse(session.text.substr(session.text.rfind(' ') + 1));
    if (id) {
        letter.accepted.push_back({*id, sim_.now(), std::move(turned_away)});
        ledger_.accepted++;
    } else {
        ledger_.violation("no id in: " + session.text);
    }
    co_return true;
}

}  // namespace postrider::sim
