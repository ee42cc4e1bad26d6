// Whole dialogues as text files, src/smtp/testdata/server/*.dialogue, replayed by one runner.
//
//   # text          a comment
//   option: k=v     of ServerOptions, before the first other line
//   rights: a b     of ServerRights, before the first other line
//   A: 550 5.1.1 x  the driver's answer to the next decision (else: accepted); "A: usual" accepts
//   A: 334 text     in an AUTH exchange: a challenge
//   C: text         the client says text CRLF; \r \n \0 \t \\ and \xHH are octets
//   C- text         the same without the CRLF
//   S: text         the server's next line begins with text
//   E: text         the next event so far is text (see scripted_driver.h); those not named are
//   skipped
//
// Each file is played three times: each C line at once, all C lines up to the next S at once, and
// octet by octet. At the end nothing that the server said may be left over.

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

#include "smtp/scripted_driver.h"

namespace postrider::smtp {
namespace {

enum class Play {
    LineByLine,
    InGroups,
    OctetByOctet
};

std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        switch (const char c = text[++i]) {
            case 'r':
                out += '\r';
                break;
            case 'n':
                out += '\n';
                break;
            case 't':
                out += '\t';
                break;
            case '0':
                out += '\0';
                break;
            case 'x': {
                unsigned value = 0;
                std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
                out += static_cast<char>(value);
                i += 2;
                break;
            }
            default:
                out += c;
        }
    }
    return out;
}

std::vector<std::string> words(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
}

void set_option(ServerOptions& options, AuthOffer& offer, const std::string& name,
                const std::string& value) {
    const auto number = [&] { return std::stoul(value); };
    if (name == "lmtp")
        options.protocol = Protocol::Lmtp;
    else if (name == "size_octets_max")
        options.size_octets_max = number();
    else if (name == "recipients_max")
        options.recipients_max = number();
    else if (name == "text_line_octets_max")
        options.text_line_octets_max = number();
    else if (name == "errors_max")
        options.errors_max = unsigned(number());
    else if (name == "refusals_max")
        options.refusals_max = unsigned(number());
    else if (name == "idle_commands_max")
        options.idle_commands_max = unsigned(number());
    else if (name == "auth") {
        options.auth = true;
        offer.mechanisms = words(value);
    } else if (name == "auth_after_tls")
        offer.after_tls = words(value);
    else if (name == "smtputf8")
        options.smtputf8 = number() != 0;
    else if (name == "chunking")
        options.chunking = options.binary_mime = number() != 0;
    else if (name == "dsn")
        options.dsn = number() != 0;
    else if (name == "mt_priority")
        options.mt_priority = number() != 0;
    else if (name == "starttls")
        options.starttls = number() != 0;
    else if (name == "tls_required")
        options.tls_required = number() != 0;
    else if (name == "deliver_by")
        options.deliver_by = true, options.deliver_by_seconds_min = unsigned(number());
    else if (name == "future_release")
        options.future_release_seconds_max = unsigned(number());
    else if (name == "requiretls")
        options.requiretls = number() != 0;
    else if (name == "etrn")
        options.etrn = number() != 0;
    else if (name == "limits")
        options.limits = number() != 0;
    else if (name == "enhanced_status_codes")
        options.enhanced_status_codes = number() != 0;
    else if (name == "normalise")
        options.bare_line_ends = BareLineEnds::Normalise;
    else if (name == "refuse_early_data")
        options.refuse_early_data = number() != 0;
    else
        ADD_FAILURE() << "no such option: " << name;
}

Reply reply_from(const std::string& text) {
    if (text == "usual") return {};
    if (text.starts_with("334")) return {334, text.size() > 4 ? text.substr(4) : ""};
    std::istringstream in(text);
    unsigned code = 0, klass = 0, subject = 0, detail = 0;
    char dot = 0;
    in >> code >> klass >> dot >> subject >> dot >> detail >> std::ws;
    std::string rest;
    std::getline(in, rest);
    return {uint16_t(code), {uint8_t(klass), uint16_t(subject), uint16_t(detail)}, rest};
}

class Player {
public:
    Player(const std::filesystem::path& file, Play play) : play_(play), in_(file) {}

    void run() {
        ServerOptions options = ScriptedDriver::test_options();
        ServerRights rights;
        for (std::string line; std::getline(in_, line);) {
            ++number_;
            if (line.empty() || line.starts_with('#')) continue;
            if (line.starts_with("option: ")) {
                const std::size_t equals = line.find('=');
                ASSERT_NE(equals, std::string::npos) << line;
                set_option(options, auth_offer_, line.substr(8, equals - 8),
                           line.substr(equals + 1));
                continue;
            }
            if (line.starts_with("rights: ")) {
                rights = {.etrn = line.contains("etrn"),
                          .expn = line.contains("expn"),
                          .xclient = line.contains("xclient"),
                          .xforward = line.contains("xforward")};
                continue;
            }
            if (!driver_) {
                driver_ = std::make_unique<ScriptedDriver>(options);
                driver_->session.set_rights(rights);
                driver_->session.set_time(Wall{});
            }
            driver_->auth_offer = auth_offer_;
            const std::string kind = line.substr(0, 2);
            const std::string text = line.size() > 3 ? line.substr(3) : "";
            if (kind == "C:")
                say(unescape(text) + "\r\n");
            else if (kind == "C-")
                say(unescape(text));
            else if (kind == "A:")
                driver_->answers.push_back(reply_from(text));
            else if (kind == "S:")
                expect_line(text);
            else if (kind == "E:")
                expect_event(text);
            else
                FAIL() << "line " << number_ << ": " << line;
            if (::testing::Test::HasFailure()) return;
        }
        flush();
        EXPECT_EQ(driver_->replies, "") << "said and not expected";
        EXPECT_TRUE(driver_->answers.empty()) << "an answer was never asked for";
    }

private:
    void say(const std::string& octets) {
        pending_ += octets;
        if (play_ != Play::InGroups) flush();
    }

    void flush() {
        if (pending_.empty() && !driver_->events.empty()) return;
        driver_->feed(std::exchange(pending_, {}), play_ == Play::OctetByOctet ? 1 : SIZE_MAX);
    }

    void expect_line(const std::string& want) {
        flush();
        std::string& replies = driver_->replies;
        const std::size_t end = replies.find("\r\n");
        ASSERT_NE(end, std::string::npos) << "line " << number_ << ": silence, wanted " << want;
        EXPECT_EQ(replies.substr(0, std::min(end, want.size())), want) << "line " << number_;
        replies.erase(0, end + 2);
    }

    void expect_event(const std::string& want) {
        flush();
        const std::size_t at = driver_->events.find(want + "\n", events_seen_);
        ASSERT_NE(at, std::string::npos) << "line " << number_ << ": no " << want << " in\n"
                                         << driver_->events;
        events_seen_ = at + want.size() + 1;
    }

    Play play_;
    std::ifstream in_;
    std::unique_ptr<ScriptedDriver> driver_;
    AuthOffer auth_offer_;
    std::string pending_;
    std::size_t events_seen_ = 0;
    int number_ = 0;
};

std::vector<std::filesystem::path> dialogues() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(POSTRIDER_SOURCE_DIR "/src/smtp/testdata/server")) {
        if (entry.path().extension() == ".dialogue") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
}

class ServerDialogue : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(ServerDialogue, IsAnsweredAsWritten) {
    for (const Play play : {Play::LineByLine, Play::InGroups, Play::OctetByOctet}) {
        SCOPED_TRACE(int(play));
        Player(GetParam(), play).run();
    }
}

INSTANTIATE_TEST_SUITE_P(Files, ServerDialogue, ::testing::ValuesIn(dialogues()),
                         [](const auto& file) {
                             std::string name = file.param.stem().string();
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace postrider::smtp
