// Commands, end-of-data sequences and dialogues that others collected. Origin and licence:
// src/smtp/testdata/vectors/SOURCES.md.

#include <fstream>
#include <map>
#include <regex>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "smtp/scripted_driver.h"

namespace postrider::smtp {
namespace {

using nlohmann::json;

constexpr const char* kFolder = POSTRIDER_SOURCE_DIR "/src/smtp/testdata/vectors/";

json load(const std::string& name) {
    std::ifstream in(kFolder + name);
    EXPECT_TRUE(in) << name;
    return json::parse(in);
}

void report(const char* name, int agreed, int all, int differences) {
    fmt::print("vectors {}: {} of {}, {} differences\n", name, agreed, all, differences);
    EXPECT_EQ(agreed + differences, all);
}

// Commands
// ------------------------------------------------------------------------------------------

// Said within a session in the state where the command belongs, with all that is offered.
bool is_taken(const std::string& line, std::string& told) {
    ServerOptions options = ScriptedDriver::test_options();
    options.smtputf8 = true;
    if (line.starts_with("LHLO")) options.protocol = Protocol::Lmtp;
    ScriptedDriver driver(options);
    driver.feed("");
    const bool greets = line.substr(0, 4).ends_with("HLO") || line.starts_with("HELO");
    if (!greets) driver.feed("EHLO test.example\r\n");
    if (line.starts_with("RCPT") || line == "DATA") driver.feed("MAIL FROM:<> SMTPUTF8\r\n");
    if (line == "DATA") driver.feed("RCPT TO:<a@b>\r\n");
    driver.take_replies();
    driver.events.clear();
    driver.feed(line + "\r\n");
    told = driver.events;
    return driver.replies < "4";
}

// Why we differ, by the beginning of the line.
const std::map<std::string, std::string> kDifferences = {
    // RFC 5321 §3.3: no blank on either side of the colon; §4.1.1.2: one SP before FROM.
    {"MAIL FROM: <\" hi there! \"@d>", "a blank behind the colon"},
    {"MAIL  FROM : <>", "blanks around the colon"},
    {"MAIL  FROM : <postmaster>", "blanks; and a sender has a domain"},
    {"MAIL  FROM : < >", "blanks"},
    // RFC 5321 §4.1.2: a quoted string is no Domain.
    {"MAIL FROM:<foo@bar\"aa\\\" hello world\".com>", "quotes in a domain"},
    // RFC 5321 §4.1.1.3: Forward-path = Path, never "<>".
    {"RCPT TO:<>", "no recipient is no recipient, with and without parameters"},
    // Parameters of extensions that are not offered: 555 (RFC 5321 §4.1.1.11).
    {"MAIL FROM:<> SMTPUTF8 REQUIRETLS CONPERM", "RFC 8689 and 4141 are not offered"},
    {"MAIL FROM:<> BODY=BINARYMIME BODY=7BIT BODY=8BITMIME",
     "RFC 3030 is not offered; given twice"},
    {"MAIL FROM:<> BY=", "RFC 2852 is not offered"},
    {"MAIL FROM:<> HOLD", "RFC 4865 is not offered"},
    {"MAIL FROM:<> RET=", "RFC 3461 is not offered"},
    {"MAIL FROM:<> ENVID=", "RFC 3461 is not offered"},
    {"MAIL FROM:<> SOLICIT=", "RFC 3865 is not offered"},
    {"MAIL FROM:<>  SOLICIT=", "RFC 3865 is not offered; two blanks"},
    {"MAIL FROM:<> TRANSID=", "no such extension is offered"},
    {"MAIL FROM:<> MTRK=", "RFC 3885 is not offered"},
    {"MAIL FROM:<> AUTH=", "RFC 4954 is not offered"},
    {"MAIL FROM:<> MT-PRIORITY=", "RFC 6710 is not offered"},
    // Commands of extensions that are not offered, and EXPN: 502.
    {"EXPN ", "refused for privacy (RFC 5321 §7.3)"},
    {"STARTTLS", "RFC 3207 is not offered"},
    {"BDAT ", "RFC 3030 is not offered"},
    {"AUTH ", "RFC 4954 is not offered"},
    {"ETRN ", "RFC 1985 is not offered"},
    {"ATRN ", "RFC 2645 is not offered"},
    {"BURL ", "RFC 4468 is not offered"},
};

bool differs_by_decision(const std::string& line) {
    for (const auto& [beginning, reason] : kDifferences) {
        if (line.starts_with(beginning)) return true;
    }
    return false;
}

// The address that the case states, as our event names it.
void check_address(const json& test, const std::string& told) {
    const json fields = test.value("fields", json::object());
    for (const char* key : {"from", "to"}) {
        if (!fields.contains(key) || fields[key] == "") continue;
        std::string address = fields[key];
        // Their text is without quotes; ours has them where the grammar wants them. The domain of
        // ours is in lower case.
        const std::size_t at = address.rfind('@');
        Mailbox want{address.substr(0, at), address.substr(at + 1)};
        for (char& c : want.domain) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
        EXPECT_TRUE(told.contains("<" + want.text() + ">")) << told << " wanted " << want.text();
    }
}

TEST(ServerVectors, CommandsAreTakenAlike) {
    int agreed = 0, all = 0, differences = 0;
    for (const json& test : load("commands/smtp-proto-requests.json")) {
        ++all;
        const std::string line = test["input"];
        std::string told;
        const bool same = is_taken(line, told) == test["valid"].get<bool>();
        if (same) {
            ++agreed;
            if (test["valid"]) check_address(test, told);
        } else {
            ++differences;
            EXPECT_TRUE(differs_by_decision(line)) << line << "\n" << told;
        }
    }
    report("smtp/commands", agreed, all, differences);
}

// Smuggling
// -----------------------------------------------------------------------------------------

std::string from_hex(const std::string& hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return out;
}

// Did "MAIL FROM:<smuggled@...>" behind the sequence become a transaction?
bool ends_data(const std::string& sequence, std::size_t cut, BareLineEnds bare) {
    ServerOptions options = ScriptedDriver::test_options();
    options.bare_line_ends = bare;
    ScriptedDriver driver(options);
    driver.feed("EHLO a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n");
    driver.feed("Subject: x\r\n\r\ntext" + sequence +
                    "MAIL FROM:<smuggled@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nmore",
                cut);
    const bool smuggled = driver.events.contains("MailFrom <smuggled");
    EXPECT_EQ(smuggled, driver.events.contains("DataEnded"));
    driver.feed("\r\n.\r\nNOOP\r\n", cut);
    EXPECT_TRUE(driver.replies.ends_with("250 2.0.0 nothing done\r\n")) << driver.replies;
    return smuggled;
}

TEST(ServerVectors, OnlyCrlfDotCrlfEndsData) {
    int agreed = 0, all = 0;
    for (const json& test : load("smuggling/end-of-data.json")["cases"]) {
        ++all;
        const std::string sequence = from_hex(test["hex"]);
        bool right = true;
        for (const std::size_t cut : {std::size_t{1}, std::size_t{2}, std::size_t{3}, SIZE_MAX}) {
            for (const BareLineEnds bare : {BareLineEnds::Refuse, BareLineEnds::Normalise}) {
                const bool ended = ends_data(sequence, cut, bare);
                EXPECT_EQ(ended, test["ends_data"].get<bool>()) << test["escaped"] << ' ' << cut;
                right = right && ended == test["ends_data"].get<bool>();
            }
        }
        agreed += right;
    }
    report("smtp/smuggling", agreed, all, 0);
}

// Dialogues
// -----------------------------------------------------------------------------------------

// Replies are compared by code; a reply of several lines counts once.
std::string codes_of(const std::vector<std::string>& lines) {
    std::string codes;
    for (const std::string& line : lines) {
        const bool more = line.size() > 3 && (line[3] == '-' || line.substr(3) == ".*");
        if (!more) codes += line.substr(0, 3) + " ";
    }
    return codes;
}

// Plays the file; both sides' codes.
std::pair<std::string, std::string> play(const std::string& name) {
    std::ifstream in(std::string(kFolder) + "dialogues/" + name);
    EXPECT_TRUE(in) << name;
    ScriptedDriver driver;
    driver.feed("");
    std::vector<std::string> want, got;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("C:")) driver.feed(line.size() > 3 ? line.substr(3) + "\r\n" : "\r\n");
        if (line.starts_with("S: ")) want.push_back(line.substr(3));
    }
    for (std::size_t at = 0; at < driver.replies.size();) {
        const std::size_t end = driver.replies.find("\r\n", at);
        got.push_back(driver.replies.substr(at, end - at));
        at = end + 2;
    }
    return {codes_of(want), codes_of(got)};
}

TEST(ServerVectors, DialoguesGiveTheSameCodes) {
    // What needs STARTTLS or AUTH is not for this session: authplain, starttls,
    // starttls_session_fixation, starttls_with_injection.
    constexpr const char* kFiles[] = {"helo.test", "data_starts_with_starttls.test",
                                      "data_with_starttls.test", "rcpt_with_starttls.test"};
    int agreed = 0, all = 0;
    for (const char* file : kFiles) {
        ++all;
        const auto [want, got] = play(file);
        EXPECT_EQ(got, want) << file;
        agreed += got == want;
    }
    report("smtp/dialogues", agreed, all, 0);
}

}  // namespace
}  // namespace postrider::smtp
