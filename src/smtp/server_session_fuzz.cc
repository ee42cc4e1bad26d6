// Any octets as a session, whole and in odd cuts. Held: both give the same replies, events and
// messages; replies are whole lines of at most 512 octets; messages have no bare CR, LF or NUL;
// memory is bounded.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "smtp/scripted_driver.h"

namespace {

using namespace postrider::smtp;

void require(bool holds) {
    if (!holds) std::abort();
}

// The first octets choose options, answers and cuts.
struct Plan {
    ServerOptions options = ScriptedDriver::test_options();
    bool refuse_some = false;
    unsigned cuts = 1;
};

Plan plan_from(uint8_t flags, uint8_t cuts) {
    Plan plan;
    if (flags & 1) plan.options.protocol = Protocol::Lmtp;
    if (flags & 2) plan.options.bare_line_ends = BareLineEnds::Normalise;
    if (flags & 4) plan.options.smtputf8 = true;
    if (flags & 8) plan.options.size_octets_max = 64;
    plan.options.starttls = flags & 128;
    plan.options.chunking = plan.options.binary_mime = plan.options.dsn = !(flags & 64);
    if (flags & 16) plan.options.text_line_octets_max = 20;
    plan.options.auth = flags & 128;
    plan.refuse_some = flags & 32;
    plan.options.recipients_max = 3;
    plan.options.refuse_early_data = false;  // the one rule that sees where input is cut
    plan.cuts = cuts;
    return plan;
}

void give_answers(ScriptedDriver& driver, const Plan& plan) {
    if (plan.options.auth) driver.auth_offer = {{"PLAIN", "LOGIN"}, {}};
    if (!plan.refuse_some) return;
    for (int i = 0; i < 24; ++i) {
        driver.answers.push_back({});
        driver.answers.push_back({});
        driver.answers.push_back({});
        driver.answers.push_back({});
        driver.answers.push_back({334, "go on"});
        driver.answers.push_back({550, {5, 7, 1}, "no"});
    }
}

void check_replies(std::string_view replies) {
    while (!replies.empty()) {
        const std::size_t end = replies.find("\r\n");
        require(end != std::string_view::npos && end >= 4 && end + 2 <= 512);
        require(replies[0] >= '2' && replies[0] <= '5');
        require(replies[3] == ' ' || replies[3] == '-');
        for (const char c : replies.substr(0, end)) require(c == '\t' || (c >= 32 && c < 127));
        replies.remove_prefix(end + 2);
    }
}

void check_message(std::string_view message, bool binary, const Plan& plan) {
    require(message.size() <= plan.options.size_octets_max);
    const std::size_t body = message.find("\r\n\r\n");
    // What came with BODY=BINARYMIME is lines up to its empty line only.
    if (binary && message.starts_with("\r\n")) return;
    if (binary) message = message.substr(0, body);
    require(binary || plan.options.chunking || message.empty() || message.ends_with("\r\n"));
    require(!message.contains('\0'));
    for (std::size_t i = 0; i < message.size(); ++i) {
        if (message[i] == '\r') require(i + 1 < message.size() && message[i + 1] == '\n');
        if (message[i] == '\n') require(i > 0 && message[i - 1] == '\r');
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const Plan plan = plan_from(data[0], data[1]);
    std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);

    ScriptedDriver whole(plan.options);
    give_answers(whole, plan);
    whole.feed("");
    whole.feed(input);

    ScriptedDriver pieces(plan.options);
    give_answers(pieces, plan);
    pieces.feed("");
    uint32_t next = plan.cuts;
    while (!input.empty()) {
        next = next * 1664525u + 1013904223u;
        const std::size_t cut = std::min<std::size_t>(1 + (next >> 24) % 17, input.size());
        pieces.feed(input.substr(0, cut));
        input.remove_prefix(cut);
        pieces.session.clear_output();
        require(pieces.session.memory_octets() < (plan.options.auth
                                                      ? 2 * postrider::kAuthLineOctetsMax
                                                      : 3 * postrider::kCommandLineOctetsMax));
        require(pieces.session.state() != State::Closed || pieces.closed);
    }
    require(whole.replies == pieces.replies);
    require(whole.events == pieces.events);
    require(whole.messages == pieces.messages);
    check_replies(whole.replies);
    const bool binary = whole.events.contains("BODY=2");
    for (const std::string& message : whole.messages) check_message(message, binary, plan);
    return 0;
}
