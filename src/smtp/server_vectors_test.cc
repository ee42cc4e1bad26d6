// Commands, end-of-data sequences and dialogues that others collected. Origin and licence:
// src/smtp/testdata/vectors/SOURCES.md.

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>

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
    options.smtputf8 = options.dsn = options.chunking = options.binary_mime = true;
    options.mt_priority = options.deliver_by = options.etrn = options.auth = true;
    options.future_release_seconds_max = 1'000'000;
    options.starttls = line == "STARTTLS";
    if (line.starts_with("LHLO")) options.protocol = Protocol::Lmtp;
    ScriptedDriver driver(options);
    driver.session.set_rights({.etrn = true, .expn = true});
    driver.auth_offer.mechanisms = {"GSSAPI", "ECDSA-NIST256P-CHALLENGE", "SCRAM-SHA-256-PLUS",
                                    "ECDSA-NIST256P-CHALLENGE100"};
    driver.feed("");
    const bool greets = line.substr(0, 4).ends_with("HLO") || line.starts_with("HELO");
    if (!greets) driver.feed("EHLO test.example\r\n");
    const bool content = line == "DATA" || line.starts_with("BDAT");
    if (line.starts_with("RCPT") || content) driver.feed("MAIL FROM:<> SMTPUTF8\r\n");
    if (content) driver.feed("RCPT TO:<a@b>\r\n");
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
    {"RCPT TO:<>", "no recipient is no recipient"},
    {"MAIL FROM:<> BODY=BINARYMIME BODY=7BIT BODY=8BITMIME", "given more than once"},
    {"MAIL FROM:<> RET=HDRS RET=FULL", "given twice (RFC 3461 §4.5)"},
    {"MAIL FROM:<> BY=-10;RT", "RFC 2852 §4: with R more than zero"},
    {"MAIL FROM:<> HOLDUNTIL=12345 HOLDFOR=67890",
     "RFC 4865 §3: a moment of RFC 3339, and one of the two"},
    {"ETRN \"Hello\\\" Wo\\\\rld\"", "RFC 1985 §5.1: a node is a domain"},
    {"AUTH SCRAM-SHA-256-PLUS base64_goes_here", "no base64 (RFC 4648 §4)"},
    {"AUTH ECDSA-NIST256P-CHALLENGE", "RFC 4422 §3.1: the name has at most 20 octets"},
    // Parameters of extensions that are not offered: 555 (RFC 5321 §4.1.1.11).
    {"MAIL FROM:<> SMTPUTF8 REQUIRETLS CONPERM", "RFC 4141 is not offered"},
    {"RCPT TO:<a@b> CONNEG", "RFC 4141 is not offered"},
    {"RCPT TO:<a@b> RRVS=", "RFC 7293 is not offered"},
    {"MAIL FROM:<> SOLICIT=", "RFC 3865 is not offered"},
    {"MAIL FROM:<>  SOLICIT=", "RFC 3865 is not offered; two blanks"},
    {"MAIL FROM:<> TRANSID=", "no such extension is offered"},
    {"MAIL FROM:<> MTRK=", "RFC 3885 is not offered"},
    // Commands of extensions that are not offered: 502.
    {"ATRN ", "RFC 2645 is not offered"},
    {"BURL ", "RFC 4468 is not offered"},
};

// The name of the difference; empty when there is none.
std::string named_difference(const std::string& line) {
    for (const auto& [beginning, reason] : kDifferences) {
        if (line.starts_with(beginning)) return beginning;
    }
    return "";
}

// The address that the case states, as our event names it.
void check_address(const json& test, const std::string& told) {
    const json fields = test.value("fields", json::object());
    for (const char* key : {"from", "to"}) {
        const std::string address = fields.value(key, "");
        if (address.empty()) continue;
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
    std::set<std::string> seen;
    for (const json& test : load("commands/smtp-proto-requests.json")) {
        ++all;
        std::string line = test["input"];
        // Where their cases are about parameters, nobody is their recipient.
        if (line.starts_with("RCPT TO:<> ")) line.replace(9, 1, "a@b>");
        std::string told;
        const bool same = is_taken(line, told) == test["valid"].get<bool>();
        if (same) {
            ++agreed;
            if (test["valid"]) check_address(test, told);
        } else {
            ++differences;
            seen.insert(named_difference(line));
            EXPECT_NE(named_difference(line), "") << line << "\n" << told;
        }
    }
    report("smtp/commands", agreed, all, differences);
    EXPECT_EQ(seen.size(), kDifferences.size()) << "a difference that is none any more";
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

// A session as the files have it: STARTTLS and AUTH LOGIN to be had. Every login succeeds, and asks
// for a name and a password where the file does.
std::unique_ptr<ScriptedDriver> session_for(const std::string& name) {
    ServerOptions options = ScriptedDriver::test_options();
    options.starttls = options.auth = true;
    auto driver = std::make_unique<ScriptedDriver>(options);
    driver->auth_offer.mechanisms = {"LOGIN", "PLAIN"};
    if (name == "starttls_session_fixation.test") {
        const Reply usual;
        driver->answers = {usual, usual, {334, "Username:"}, {334, "Password:"}};
    }
    return driver;
}

// Plays the file; both sides' codes, and what happened. \r\n within a line of the client are these
// octets.
struct Played {
    std::string want, got, events;
};

Played play(const std::string& name) {
    std::ifstream in(std::string(kFolder) + "dialogues/" + name);
    EXPECT_TRUE(in) << name;
    const std::unique_ptr<ScriptedDriver> driver = session_for(name);
    driver->feed("");
    std::vector<std::string> want, got;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("C:")) {
            const std::string said = line.size() > 3 ? line.substr(3) : "";
            driver->feed(std::regex_replace(said, std::regex(R"(\\r\\n)"), "\r\n") + "\r\n");
        }
        if (line.starts_with("S: ")) want.push_back(line.substr(3));
    }
    for (std::size_t at = 0; at < driver->replies.size();) {
        const std::size_t end = driver->replies.find("\r\n", at);
        got.push_back(driver->replies.substr(at, end - at));
        at = end + 2;
    }
    return {codes_of(want), codes_of(got), driver->events};
}

// Where we answer otherwise, with our codes.
struct OtherCodes {
    const char* file;
    const char* ours;
    const char* reason;
};

constexpr OtherCodes kOtherCodes[] = {
    {"authplain.test", "220 503 500 500 ",
     "AUTH without EHLO: what was not offered is out of order (RFC 5321 §4.1.4, RFC 4954 §3)"},
    {"starttls_session_fixation.test", "220 250 334 334 235 250 250 503 ",
     "STARTTLS within a transaction is refused by both; 501 is for its argument (RFC 3207 §4), a "
     "wrong order is 503 (RFC 5321 §4.3.2)"},
    {"starttls_with_injection.test", "220 250 421 ",
     "what stands behind STARTTLS is thrown away by both; we end the session, too, since the "
     "client "
     "or somebody between us is not to be trusted"},
};

TEST(ServerVectors, DialoguesGiveTheSameCodes) {
    constexpr const char* kFiles[] = {"authplain.test",
                                      "data_starts_with_starttls.test",
                                      "helo.test",
                                      "data_with_starttls.test",
                                      "starttls.test",
                                      "starttls_session_fixation.test",
                                      "rcpt_with_starttls.test",
                                      "starttls_with_injection.test"};
    int agreed = 0, all = 0, differences = 0;
    for (const std::string file : kFiles) {
        ++all;
        const auto [want, got, events] = play(file);
        const auto* const named =
            std::ranges::find_if(kOtherCodes, [&](const auto& d) { return d.file == file; });
        if (named != std::end(kOtherCodes)) {
            EXPECT_NE(got, want) << file << " is no difference any more: " << named->reason;
            EXPECT_EQ(got, named->ours) << file << ": " << named->reason << '\n' << events;
            differences += got == named->ours;
            continue;
        }
        EXPECT_EQ(got, want) << file << '\n' << events;
        agreed += got == want;
    }
    report("smtp/dialogues", agreed, all, differences);
}

TEST(ServerVectors, WhatStandsBehindStarttlsIsNeverDone) {
    const Played injected = play("starttls_with_injection.test");
    EXPECT_FALSE(injected.events.contains("MailFrom")) << injected.events;
    EXPECT_FALSE(injected.events.contains("Handshake")) << injected.events;
    EXPECT_TRUE(injected.events.contains("Closed")) << injected.events;
    EXPECT_TRUE(play("starttls.test").events.contains("Handshake"));
}

}  // namespace
}  // namespace postrider::smtp
