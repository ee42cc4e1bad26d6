#include "sim/mail_client.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, 3> kUsers{"alice", "bob", "carol"};
const world::IpEndpoint kServer{*world::IpAddress::parse("192.0.2.1"), 25};

std::string content_of(uint64_t mark, uint64_t octets, SeededRandom& random) {
    std::string out = fmt::format(
        "From: <sender@client.example>\r\nSubject: mark {}\r\nX-Mark: {}\r\n\r\n", mark, mark);
    while (out.size() < octets) {
        // Repeats of a drawn word: quick to make, and different in each block; some need dots.
        std::string word =
            fmt::format("{}{:016x}\r\n", random.below(20) == 0 ? "." : "", random.next());
        for (int i = 0; i < 64 && out.size() < octets; i++) out += word;
    }
    return out;
}

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

}  // namespace

struct MailClient::Session {
    world::World& world;
    std::unique_ptr<world::Stream> stream;
    Duration reply_time;
    std::string heard;
    int code = 0;      // of the last reply
    std::string text;  // its last line

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

MailClient::MailClient(Simulation& sim, MailClientOptions how)
    : options(how),
      host_(sim.add_host("client", {*world::IpAddress::parse("192.0.2.2")})),
      random_(sim.seed(), /*label=*/77) {}

void MailClient::start() {
    host_.boot([this](world::World& world) -> Task<void> {
        for (int i = 0; i < options.sessions; i++) world.executor.spawn(work(world, i));
        co_return;
    });
}

uint64_t MailClient::compose() {
    uint64_t mark = next_mark_++;
    SentMessage message;
    switch (random_.below(4)) {
        case 0:
            break;
        case 1:
            message.reverse_path = "alice@river.example";
            break;
        default:
            message.reverse_path = "sender@client.example";
            break;
    }
    uint64_t first = random_.below(3);
    uint64_t count = 1 + random_.below(3);
    for (uint64_t i = 0; i < count; i++) {
        message.recipients.push_back(fmt::format("{}@river.example", kUsers[(first + i) % 3]));
    }
    if (random_.chance(options.remote_per_1000)) {
        message.recipients.push_back(fmt::format("user{}@elsewhere.example", mark));
    }
    uint64_t octets = random_.chance(options.large_per_1000)
                          ? random_.between(130'000, options.large_octets_max)
                          : random_.between(60, options.octets_max);
    message.content = content_of(mark, octets, random_);
    book_.sent.emplace(mark, std::move(message));
    return mark;
}

// One client: it has at most one message in hand, and keeps it until it is accepted.
Task<void> MailClient::work(world::World& world, int) {
    std::optional<uint64_t> mark;
    while (true) {
        if (!mark && !paused_) {
            mark = compose();
            busy_++;
        }
        bool well = mark && co_await hold_session(world, mark);
        if (well && !paused_) continue;
        co_await world.clock.sleep_for(random_.between(Duration(1ms), options.pause_max));
    }
}

// True when the session ended as it should.
Task<bool> MailClient::hold_session(world::World& world, std::optional<uint64_t>& mark) {
    auto stream = co_await world.net.connect(
        kServer, std::nullopt, Deadline::after(world.clock.now(), options.reply_time));
    if (!stream) co_return false;
    Session session{world, std::move(*stream), options.reply_time, {}, 0, {}};
    auto refused = [&] {
        if (session.code >= 400 && session.code < 500) {
            book_.refused_for_now++;
            book_.codes[session.code]++;
        }
        return false;
    };
    if (!co_await session.hear()) co_return false;
    if (session.code != 220) co_return refused();
    if (!co_await session.say("EHLO client.example\r\n") || !co_await session.hear()) {
        co_return false;
    }
    if (session.code != 250) co_return refused();

    uint64_t count = 1 + random_.below(options.messages_per_session_max);
    for (uint64_t i = 0; i < count; i++) {
        if (!mark) {
            if (paused_) break;
            mark = compose();
            busy_++;
        }
        session.code = 0;
        if (!co_await send(session, *mark)) co_return refused();
        mark.reset();
        busy_--;
    }
    if (!co_await session.say("QUIT\r\n")) co_return false;
    co_await session.hear();
    co_return true;
}

// One transaction. True when the message was accepted.
Task<bool> MailClient::send(Session& session, uint64_t mark) {
    SentMessage& message = book_.sent.at(mark);
    std::vector<std::string> commands{fmt::format("MAIL FROM:<{}>\r\n", message.reverse_path)};
    for (const std::string& recipient : message.recipients) {
        commands.push_back(fmt::format("RCPT TO:<{}>\r\n", recipient));
    }
    commands.push_back("DATA\r\n");
    bool pipelined = random_.below(2) == 0;
    if (pipelined) {
        std::string all;
        for (const std::string& command : commands) all += command;
        if (!co_await session.say(std::move(all))) co_return false;
    }
    for (const std::string& command : commands) {
        if (!pipelined && !co_await session.say(command)) co_return false;
        if (!co_await session.hear()) co_return false;
        int wanted = command == "DATA\r\n" ? 354 : 250;
        if (session.code == wanted) continue;
        if (session.code >= 500) {
            book_.faults.push_back(fmt::format("mark {}: \"{}\" to {}", mark, session.text,
                                               command.substr(0, command.size() - 2)));
        }
        co_return false;
    }
    co_return co_await send_content(session, message);
}

Task<bool> MailClient::send_content(Session& session, SentMessage& message) {
    std::string wire = with_dots(message.content);
    std::string_view rest = wire;
    while (rest.size() > 3) {
        std::string_view part = rest.substr(0, std::min<std::size_t>(rest.size() - 3, 30'000));
        if (!co_await session.say(std::string(part))) co_return false;
        rest.remove_prefix(part.size());
    }
    if (message.unanswered) book_.repeated++;
    message.ends++;  // from here on it may be kept, whatever we hear
    message.unanswered = true;
    if (!co_await session.say(std::string(rest)) || !co_await session.hear()) co_return false;
    message.unanswered = false;
    if (session.code != 250) {
        if (session.code >= 500) book_.faults.push_back("after the data: " + session.text);
        co_return false;
    }
    auto id = MessageId::parse(session.text.substr(session.text.rfind(' ') + 1));
    if (!id) {
        book_.faults.push_back("no id in: " + session.text);
        co_return true;
    }
    message.accepted.push_back(*id);
    book_.accepted++;
    co_return true;
}

}  // namespace postrider::sim
