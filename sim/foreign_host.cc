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
    constexpr std::string_view kReport = "boundary=\"report.";
    std::size_t report = content.substr(0, content.find("\r\n\r\n")).find(kReport);
    if (report != content.npos) {
        std::string_view id = content.substr(report + kReport.size(), MessageId::kTextOctets);
        if (MessageId::parse(id)) return std::string(id);
    }
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
    std::shared_ptr<world::Stream> stream;
    bool secured = false;
    std::string heard;
    std::size_t looked_at = 0;  // of heard, when looking for the end of a message
    bool has_mail = false;
    std::string reverse_path;
    std::vector<std::string> recipients;  // taken in this transaction
    uint32_t recipients_taken = 0;        // in all
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
    host_.tls().outcome = [this] { return draw_outcome(); };
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
    // A session may outlive this host at the end of the simulation.
    std::shared_ptr<void> count(&++*connected_, [connected = connected_](void*) { --*connected; });
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
    if (manners.many_lines) {
        std::string code = reply.substr(0, 3);
        for (int i = 0; i < 5; i++) reply.insert(0, code + "-\r\n" + code + "-and more\r\n");
    }
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

bool ForeignHost::is_wrong() { return random_.chance(manners.wrong_codes_per_1000); }

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
    if (manners.connections_max > 0 && *connected_ > manners.connections_max) {
        session.last_words = "421 4.7.0 too many connections from you\r\n";
        co_return false;
    }
    co_return co_await say(session, "220 far.example ESMTP\r\n");
}

Task<bool> ForeignHost::hear_command(Session& session, std::string line) {
    if (line.starts_with("EHLO ")) {
        if (breaks(FarStep::Hello, session)) co_return false;
        co_return co_await say(session,
                               "250-far.example\r\n" + extensions(session) + "250 8BITMIME\r\n");
    }
    if (line == "STARTTLS" && !session.secured) co_return co_await shake_hands(session);
    look_at_demand(session, line);
    if (line.starts_with("MAIL FROM:")) {
        if (breaks(FarStep::Mail, session)) co_return false;
        if (is_wrong()) co_return co_await say(session, "477 4.1.0 hm\r\n");
        if (random_.chance(manners.garbage_per_1000)) {
            co_return co_await say(session, "<html>it works</html>\r\n");
        }
        while (!newest_.empty() && newest_.front() + 1min <= sim_.now()) newest_.pop_front();
        if (manners.per_minute_max > 0 && newest_.size() >= manners.per_minute_max) {
            co_return co_await say(session, "450 4.7.0 too fast\r\n");
        }
        session.has_mail = true;
        session.reverse_path = path_of(line);
        session.recipients.clear();
        co_return co_await say(session, "250 2.1.0 go on\r\n");
    }
    if (line.starts_with("RCPT TO:") && session.has_mail) {
        if (breaks(FarStep::Rcpt, session)) co_return false;
        if (is_wrong()) co_return co_await say(session, "499\r\n");
        co_return co_await say(session, answer_recipient(session, path_of(line)));
    }
    if (line == "DATA" && session.has_mail) {
        if (breaks(FarStep::Data, session)) co_return false;
        if (session.recipients.empty()) {
            co_return co_await say(session, "554 5.5.1 no recipients\r\n");
        }
        if (is_wrong()) co_return co_await say(session, "250 2.0.0 fine, or not\r\n");
        session.wants_content = true;
        session.looked_at = 0;
        co_return co_await say(session, "354 go on\r\n");
    }
    if (line == "RSET") {
        session.has_mail = false;
        session.recipients.clear();
        session.reverse_path.clear();
        co_return co_await say(session, "250 2.0.0 forgotten\r\n");
    }
    if (line == "QUIT") {
        for (auto& [id, take] : session.open) take->confirmed = true;
        session.open.clear();
        session.last_words = "221 2.0.0 bye\r\n";
        co_return false;
    }
    // Sent before the refusal of MAIL was heard.
    if (manners.pipelining && (line.starts_with("RCPT TO:") || line == "DATA")) {
        co_return co_await say(session, "503 5.5.1 no MAIL\r\n");
    }
    fault("unexpected: " + line);
    co_return co_await say(session, "500 5.5.1 what?\r\n");
}

std::string ForeignHost::extensions(const Session& session) {
    std::string out = manners.pipelining ? "250-PIPELINING\r\n" : "";
    bool offers = manners.tls && !session.secured && !random_.chance(manners.tls_stripped_per_1000);
    return offers ? out + "250-STARTTLS\r\n" : out;
}

// RFC 3207; what was heard before counts no more.
Task<bool> ForeignHost::shake_hands(Session& session) {
    if (!manners.tls) co_return co_await say(session, "502 5.5.1 no TLS here\r\n");
    if (random_.chance(manners.tls_refused_per_1000)) {
        co_return co_await say(session, "454 4.7.0 no TLS now\r\n");
    }
    if (!session.heard.empty()) fault("octets behind STARTTLS");
    if (!co_await say(session, "220 2.0.0 go on\r\n")) co_return false;
    std::string own = host_.name();
    if (own.starts_with("mx.")) own += "," + own.substr(3);
    auto context = session.world.tls.server_context({.certificates = {sim_certificate(own)}});
    auto tls = co_await session.world.tls.accept(
        session.stream, *context, Deadline::after(session.world.clock.now(), kPatience));
    if (!tls) co_return false;
    session.stream = std::move(*tls);
    session.secured = true;
    session.heard.clear();
    session.has_mail = false;
    co_return true;
}

TlsOutcome ForeignHost::draw_outcome() {
    if (random_.chance(manners.tls_failed_per_1000)) {
        constexpr std::array kFailures{TlsOutcome::Refused, TlsOutcome::Hangs,
                                       TlsOutcome::BreaksOff};
        return kFailures[random_.below(kFailures.size())];
    }
    if (random_.chance(manners.tls_wrong_per_1000)) {
        return random_.chance(500) ? TlsOutcome::WrongCertificate : TlsOutcome::Expired;
    }
    return TlsOutcome::Works;
}

void ForeignHost::look_at_demand(const Session& session, const std::string& line) {
    if (demand == Demand::Nothing || line == "QUIT" || line == "RSET") return;
    if (!session.secured) fault("in plaintext: " + line);
    std::string own = host_.name().starts_with("mx.") ? host_.name().substr(3) : host_.name();
    bool is_foreign = line.starts_with("RCPT TO:") && !path_of(line).ends_with("@" + own);
    if (demand == Demand::Certificate && is_foreign) fault("for another certificate: " + line);
}

void ForeignHost::fault(std::string what) {
    if (faults_.size() < kFaultsMax) faults_.push_back(std::move(what));
}

std::string ForeignHost::answer_recipient(Session& session, const std::string& recipient) {
    std::vector<Monotonic>& asked = asked_[recipient];
    asked.push_back(sim_.now());
    if (on_recipient) on_recipient(recipient, session.stream->peer());
    if (recipient.starts_with(kRefused)) return "550 5.1.1 no such mailbox\r\n";
    if (manners.greylisted > Duration{} && sim_.now() < asked.front() + manners.greylisted) {
        return "450 4.7.1 greylisted, come back later\r\n";
    }
    if (asked.size() <= std::size_t(manners.put_off_times)) return "450 4.2.1 mailbox busy\r\n";
    if (manners.recipients_max > 0 && session.recipients.size() >= manners.recipients_max) {
        return "452 4.5.3 too many recipients\r\n";
    }
    if (manners.recipients_per_connection > 0 &&
        session.recipients_taken >= manners.recipients_per_connection) {
        return "452 4.5.3 enough for one visit\r\n";
    }
    session.recipients.push_back(recipient);
    session.recipients_taken++;
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
    std::string id = key_of ? key_of(content) : id_of_trace(content);
    if (id.empty()) fault("no id: " + content);
    // Another message: the client is done with those before.
    for (auto& [other, take] : session.open) {
        if (other != id) take->confirmed = true;
    }
    for (const std::string& recipient : session.recipients) {
        std::deque<Take>& takes = taken_[{id, recipient}];
        takes.push_back({.at = sim_.now(), .replied = replies});
        session.open.emplace_back(id, &takes.back());
    }
    newest_.push_back(sim_.now());
    if (on_keep) on_keep({id, session.reverse_path, session.recipients, content});
    session.recipients.clear();
    contents_[id] = content;
}

void ForeignHost::forget() {
    if (*connected_ > 0) return;  // their sessions know takes
    taken_.clear();
    asked_.clear();
    contents_.clear();
}

}  // namespace postrider::sim
