#include "sim/foreign_host.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/id.h"

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 10min;  // RFC 5321 §4.5.3.2.7 asks for at least 5
constexpr std::size_t kFaultsMax = 20;

// What stands in the angle brackets of a command.
std::string path_of(std::string_view line) {
    std::size_t begin = line.find('<');
    std::size_t end = line.find('>');
    if (begin == line.npos || end == line.npos || end < begin) return "";
    return std::string(line.substr(begin + 1, end - begin - 1));
}

// RFC 5321 §4.5.2: the first dot of a line goes.
std::string without_dots(std::string_view wire) {
    std::string out;
    out.reserve(wire.size());
    while (!wire.empty()) {
        std::size_t end = wire.find("\r\n") + 2;
        std::string_view line = wire.substr(0, end);
        wire.remove_prefix(end);
        if (line.front() == '.') line.remove_prefix(1);
        out += line;
    }
    return out;
}

}  // namespace

std::string id_of_trace(std::string_view content) {
    std::string_view field = content.substr(0, 1000);
    for (std::size_t at = field.find("id "); at != field.npos; at = field.find("id ", at + 1)) {
        if (at == 0 || (field[at - 1] != ' ' && field[at - 1] != '\t')) continue;
        std::string_view id = field.substr(at + 3, MessageId::kTextOctets);
        if (MessageId::parse(id)) return std::string(id);
    }
    return "";
}

struct ForeignHost::Session {
    world::World& world;
    std::unique_ptr<world::Stream> stream;
    std::string heard;
    std::size_t looked_at = 0;  // of heard, when looking for the end of a message
    bool has_mail = false;
    std::vector<std::string> recipients;  // taken in this transaction
    bool wants_content = false;
    std::vector<std::pair<std::string, Take*>> open;  // id and take, not confirmed yet
    std::optional<std::string> last_words;            // said before the end

    // False: the client is gone, or says nothing.
    Task<bool> hear_more() {
        std::array<char, 4096> part;
        auto got = co_await stream->read(part, Deadline::after(world.clock.now(), kPatience));
        if (!got || *got == 0) co_return false;
        heard.append(part.data(), *got);
        co_return true;
    }
};

ForeignHost::ForeignHost(Simulation& sim, std::string name, std::string_view address, Manners how)
    : manners(how),
      sim_(sim),
      host_(sim.add_host(std::move(name), {*world::IpAddress::parse(address)})),
      random_(sim.seed(), /*label=*/0xF0 + host_.addresses().front().octets[3]) {
    world::IpEndpoint endpoint{host_.addresses().front(), 25};
    host_.boot([this, endpoint](world::World& world) { return listen(world, endpoint); });
}

Task<void> ForeignHost::listen(world::World& world, world::IpEndpoint endpoint) {
    auto listener = world.net.listen(endpoint, {});
    if (!listener) {
        faults_.push_back(listener.error().message);
        co_return;
    }
    while (true) {
        auto stream = co_await (*listener)->accept();
        if (!stream) co_return;
        connections_++;
        world.executor.spawn(serve(world, std::move(*stream)));
    }
}

Task<void> ForeignHost::serve(world::World& world, std::unique_ptr<world::Stream> stream) {
    Session session{.world = world, .stream = std::move(stream)};
    bool goes_on = co_await greet(session);
    while (goes_on) {
        if (session.wants_content) {
            goes_on = co_await hear_content(session);
            continue;
        }
        std::size_t end = session.heard.find("\r\n");
        if (end == std::string::npos) {
            goes_on = co_await session.hear_more();
            continue;
        }
        std::string line = session.heard.substr(0, end);
        session.heard.erase(0, end + 2);
        goes_on = co_await hear_command(session, std::move(line));
    }
    if (session.last_words) co_await say(session, *session.last_words);
    session.stream->close();
}

Task<bool> ForeignHost::say(Session& session, std::string reply) {
    if (manners.pause > Duration{}) co_await session.world.clock.sleep_for(manners.pause);
    std::size_t step = manners.by_octets ? 1 : reply.size();
    for (std::size_t at = 0; at < reply.size(); at += step) {
        if (at > 0) co_await session.world.clock.sleep_for(10ms);
        std::array<std::string_view, 1> pieces{std::string_view(reply).substr(at, step)};
        auto written = co_await session.stream->write(
            pieces, Deadline::after(session.world.clock.now(), kPatience));
        if (!written) co_return false;
    }
    co_return true;
}

// Whether the dialogue ends at this step.
bool ForeignHost::breaks(FarStep step, Session& session) {
    if (manners.closes_at == step && random_.chance(manners.closes_per_1000)) {
        session.last_words = "421 4.3.2 not now\r\n";
        return true;
    }
    return manners.cuts_at == step && random_.chance(manners.cuts_per_1000);
}

Task<bool> ForeignHost::greet(Session& session) {
    if (manners.hangs) {
        // Until the client goes away: what it says is not answered.
        while (co_await session.hear_more()) {
        }
        co_return false;
    }
    if (breaks(FarStep::Greeting, session)) co_return false;
    co_return co_await say(session, "220 far.example ESMTP\r\n");
}

Task<bool> ForeignHost::hear_command(Session& session, std::string line) {
    if (line.starts_with("EHLO ")) {
        if (breaks(FarStep::Hello, session)) co_return false;
        std::string more = manners.pipelining ? "250-PIPELINING\r\n" : "";
        co_return co_await say(session, "250-far.example\r\n" + more + "250 8BITMIME\r\n");
    }
    if (line.starts_with("MAIL FROM:")) {
        if (breaks(FarStep::Mail, session)) co_return false;
        session.has_mail = true;
        session.recipients.clear();
        co_return co_await say(session, "250 2.1.0 go on\r\n");
    }
    if (line.starts_with("RCPT TO:") && session.has_mail) {
        if (breaks(FarStep::Rcpt, session)) co_return false;
        co_return co_await say(session, answer_recipient(session, path_of(line)));
    }
    if (line == "DATA" && session.has_mail) {
        if (breaks(FarStep::Data, session)) co_return false;
        if (session.recipients.empty()) {
            co_return co_await say(session, "554 5.5.1 no recipients\r\n");
        }
        session.wants_content = true;
        session.looked_at = 0;
        co_return co_await say(session, "354 go on\r\n");
    }
    if (line == "RSET") {
        session.has_mail = false;
        session.recipients.clear();
        co_return co_await say(session, "250 2.0.0 forgotten\r\n");
    }
    if (line == "QUIT") {
        for (auto& [id, take] : session.open) take->confirmed = true;
        session.last_words = "221 2.0.0 bye\r\n";
        co_return false;
    }
    if (faults_.size() < kFaultsMax) faults_.push_back("unexpected: " + line);
    co_return co_await say(session, "500 5.5.1 what?\r\n");
}

std::string ForeignHost::answer_recipient(Session& session, const std::string& recipient) {
    std::vector<Monotonic>& asked = asked_[recipient];
    asked.push_back(sim_.now());
    if (recipient.starts_with(kRefused)) return "550 5.1.1 no such mailbox\r\n";
    if (manners.greylisted > Duration{} && sim_.now() < asked.front() + manners.greylisted) {
        return "450 4.7.1 greylisted, come back later\r\n";
    }
    if (asked.size() <= std::size_t(manners.put_off_times)) return "450 4.2.1 mailbox busy\r\n";
    if (manners.recipients_max > 0 && session.recipients.size() >= manners.recipients_max) {
        return "452 4.5.3 too many recipients\r\n";
    }
    session.recipients.push_back(recipient);
    return "250 2.1.5 known\r\n";
}

// True when the dialogue goes on, with more content or after it.
Task<bool> ForeignHost::hear_content(Session& session) {
    std::size_t end =
        session.heard.starts_with(".\r\n") ? 0 : session.heard.find("\r\n.\r\n", session.looked_at);
    if (end == std::string::npos) {
        session.looked_at = session.heard.size() > 4 ? session.heard.size() - 4 : 0;
        co_return co_await session.hear_more();
    }
    if (!session.heard.starts_with(".\r\n")) end += 2;
    std::string content = without_dots(std::string_view(session.heard).substr(0, end));
    session.heard.erase(0, end + 3);
    session.wants_content = false;
    session.has_mail = false;
    if (breaks(FarStep::End, session)) co_return false;
    bool replies = !random_.chance(manners.drops_reply_per_1000);
    keep(session, content, replies);
    if (!replies) co_return false;
    if (manners.end_pause > Duration{}) co_await session.world.clock.sleep_for(manners.end_pause);
    co_return co_await say(session, "250 2.0.0 taken\r\n");
}

void ForeignHost::keep(Session& session, const std::string& content, bool replies) {
    std::string id = id_of_trace(content);
    if (id.empty() && faults_.size() < kFaultsMax) faults_.push_back("no id: " + content);
    // Another message: the client is done with those before.
    for (auto& [other, take] : session.open) {
        if (other != id) take->confirmed = true;
    }
    for (const std::string& recipient : session.recipients) {
        std::deque<Take>& takes = taken_[{id, recipient}];
        takes.push_back({.at = sim_.now(), .replied = replies});
        session.open.emplace_back(id, &takes.back());
    }
    session.recipients.clear();
    contents_[id] = content;
}

}  // namespace postrider::sim
