// Real bounces that others collected, held against read_bounce(). Origin and licence:
// src/mail/testdata/vectors/SOURCES.md; where we judge otherwise, and why: dsn/differences.txt.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "mail/bounce.h"

namespace postrider {
namespace {

using nlohmann::json;

const std::string kFolder = POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/dsn/";

std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

std::vector<std::filesystem::path> files_of(const std::string& folder) {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder + folder)) {
        if (entry.path().extension() == ".eml") out.push_back(entry.path());
    }
    std::ranges::sort(out);
    return out;
}

std::map<std::string, std::string> named_differences() {
    std::map<std::string, std::string> out;
    std::ifstream in(kFolder + "differences.txt");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with('#')) continue;
        std::size_t bar = line.find(" | ");
        out[line.substr(0, bar)] = line.substr(bar + 3);
    }
    return out;
}

// Their words for a reason, and which of our classes mean the same.
using enum FailureClass;
const std::map<std::string, std::set<FailureClass>> kReasons = {
    {"authfailure", {Policy}},
    {"badreputation", {Spam, Policy, Rate}},
    {"blocked", {Policy, Spam, Rate}},
    {"contenterror", {Other, Policy}},
    {"delivered", {Other}},
    {"exceedlimit", {Size, Rate}},
    {"expired", {Connection}},
    // Any refusal behind RCPT, "user unknown" too.
    {"filtered", {BadMailbox, Policy, Inactive, Spam, Other}},
    {"hasmoved", {BadMailbox}},
    {"hostunknown", {BadDomain}},
    {"mailboxfull", {Full}},
    {"mailererror", {Other}},
    {"mesgtoobig", {Size}},
    {"networkerror", {Connection, Dns, Loop}},
    {"norelaying", {Policy}},
    {"notaccept", {BadDomain}},
    {"notcompliantrfc", {Policy, Other}},
    {"onhold", {Other}},
    {"policyviolation", {Policy}},
    {"rejected", {Policy, Spam, Rate}},
    {"requireptr", {Policy}},
    {"securityerror", {Policy, Tls}},
    {"spamdetected", {Spam}},
    {"speeding", {Rate}},
    {"suspend", {Inactive}},
    {"syntaxerror", {Other, Policy}},
    {"systemerror", {Other, Full}},
    {"toomanyconn", {Rate}},
    {"undefined", {Other}},
    {"userunknown", {BadMailbox}},
    {"virusdetected", {Policy, Spam}},
};

// What differs, in words; empty when nothing does.
std::string difference(const BouncedRecipient& got, const json& want) {
    std::string out;
    std::string status = want["status"];
    bool own = status.contains(".0.9");  // not one that stands in the mail
    std::string got_status = got.status.klass == 0 ? "" : got.status.text();
    if (!own && status != got_status) out += fmt::format("status {}, {}; ", got_status, status);
    std::string code = got.reply_code == 0 ? "" : std::to_string(got.reply_code);
    if (code != want["reply_code"].get<std::string>()) out += fmt::format("code {}; ", code);
    std::string reason = want["reason"];
    auto classes = kReasons.find(reason);
    if (classes == kReasons.end() || !classes->second.contains(got.failure)) {
        out += fmt::format("class {}, {}; ", name(got.failure), reason);
    }
    bool hard = got.permanent && is_hard(got.failure);
    if (reason != "filtered" && hard != want["hard_bounce"].get<bool>()) out += "hard; ";
    return out;
}

std::string difference(const Bounce& got, const json& want) {
    std::string reason = want[0]["reason"];
    if (reason == "feedback") return got.kind == Bounce::Kind::Complaint ? "" : "no complaint";
    if (reason == "vacation") {
        return got.kind == Bounce::Kind::AutomaticAnswer ? "" : "no automatic answer";
    }
    if (got.recipients.size() != want.size()) {
        return fmt::format("{} recipients, {}", got.recipients.size(), want.size());
    }
    std::string out;
    for (std::size_t i = 0; i < want.size(); i++) out += difference(got.recipients[i], want[i]);
    return out;
}

TEST(BounceVectors, BouncesOfTheFieldAreReadAsOthersReadThem) {
    json expected = json::parse(content(kFolder + "sisimai/expected.json"));
    auto named = named_differences();
    int agreed = 0, all = 0, differing = 0;
    for (const auto& path : files_of("sisimai/eml")) {
        std::string file = path.filename();
        Bounce got = read_bounce(content(path));
        all++;
        std::string what;
        if (expected.contains(file)) {
            what = difference(got, expected[file]);
        } else if (got.kind == Bounce::Kind::None) {
            what = "not read as a bounce";  // nobody states more of it
        }
        auto difference = named.find(file);
        if (what.empty()) {
            agreed++;
            EXPECT_EQ(difference, named.end()) << file << " does not differ any more";
        } else {
            differing++;
            EXPECT_NE(difference, named.end()) << file << ": " << what;
        }
    }
    fmt::print("vectors dsn: {} of {}, {} differences\n", agreed, all, differing);
    EXPECT_EQ(static_cast<std::size_t>(differing), named.size());
    EXPECT_EQ(all, 442);
}

TEST(BounceVectors, WhatIsNoBounceIsNotTakenForOne) {
    int agreed = 0;
    for (const auto& path : files_of("sisimai/not")) {
        Bounce got = read_bounce(content(path));
        // One of the three is a bounce which their software failed to read: a full mailbox.
        bool is_bounce = path.filename() == "rb-issue-368-bug.eml";
        EXPECT_EQ(got.kind, is_bounce ? Bounce::Kind::Report : Bounce::Kind::None) << path;
        agreed += got.kind == Bounce::Kind::None;
    }
    fmt::print("vectors dsn/not: {} of 3, 1 differences\n", agreed);
    EXPECT_EQ(agreed, 2);
}

// What the groups of these reports say, read off by eye: recipient, action, status, reply code, and
// the class that the diagnostic means.
struct Group {
    std::string_view file, address, action, status;
    int code;
    FailureClass failure;
};
const Group kGroups[] = {
    {"1.eml", "louisl@larry.slip.umd.edu", "failed", "4.0.0", 426, Connection},
    {"2.eml", "arathib@vnet.ibm.com", "failed", "5.0.0", 550, Policy},
    {"2.eml", "johnh@hpnjld.njd.hp.com", "delayed", "4.0.0", 0, Dns},
    {"2.eml", "wsnell@sdcc13.ucsd.edu", "failed", "5.0.0", 550, BadMailbox},
    {"3.eml", "nair_s", "failed", "5.0.0", 0, Other},
    {"4.eml", "thomas@de-montfort.ac.uk", "delayed", "4.0.0", 0, Other},
    {"5.eml", "recipient@domain.com", "failed", "5.0.0", 552, Full},
    {"6.eml", "redacted@example.com", "failed", "5.4.1", 550, BadMailbox},
    {"obsolete_arrival_date.eml", "user@example.com", "failed", "5.1.1", 550, BadMailbox},
};

TEST(BounceVectors, EachGroupOfAReportIsRead) {
    std::size_t at = 0;
    for (const auto& path : files_of("kumomta/rfc3464")) {
        for (const BouncedRecipient& one : read_bounce(content(path)).recipients) {
            ASSERT_LT(at, std::size(kGroups)) << path;
            const Group& want = kGroups[at++];
            EXPECT_EQ(path.filename(), want.file);
            EXPECT_EQ(one.address, want.address);
            EXPECT_EQ(name(one.action), want.action) << one.address;
            EXPECT_EQ(one.status.text(), want.status) << one.address;
            EXPECT_EQ(one.reply_code, want.code) << one.address;
            EXPECT_EQ(one.failure, want.failure) << one.address << name(one.failure);
        }
    }
    EXPECT_EQ(at, std::size(kGroups));
    int complaints = 0;
    for (const auto& path : files_of("kumomta/rfc5965")) {
        complaints += read_bounce(content(path)).kind == Bounce::Kind::Complaint;
    }
    EXPECT_EQ(complaints, 4);
    fmt::print("vectors dsn/kumomta: {} of 13, 0 differences\n", at + complaints);
}

// Read off by eye, too. A receipt that a person or reader gives (MDN, RFC 8098) is no report of a
// delivery. In the anonymized one nothing but the form is left.
struct Report {
    std::string_view file;
    Bounce::Kind kind;
    std::string_view address, status;
    int code;
    FailureClass failure;
};
const Report kMimekit[] = {
    // Its fields are encoded by somebody on the way; the text for people is what can be read.
    {"bounce.txt", Bounce::Kind::Report, "netec.test@netecgc.com", "5.1.1", 550, BadMailbox},
    {"delivery-status-multiple-blank-lines.txt", Bounce::Kind::Report, "orig_recip@customer.com",
     "5.5.0", 550, Other},
    {"delivery-status-no-blank-line.txt", Bounce::Kind::Report, "newsletter-request@imusic.com", "",
     500, BadMailbox},
    {"delivery-status.anonymized.eml", Bounce::Kind::Report,
     "xxxxxxx xxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "", 0, Other},
    {"delivery-status.txt", Bounce::Kind::Report, "newsletter-request@imusic.com", "", 500,
     BadMailbox},
    {"delivery-status2.txt", Bounce::Kind::Report, "source@domain.com", "5.0.0", 0, BadMailbox},
    {"disposition-notification.anonymized.eml", Bounce::Kind::None, "", "", 0, Other},
    {"disposition-notification.txt", Bounce::Kind::None, "", "", 0, Other},
    {"feedback-report.txt", Bounce::Kind::Complaint, "", "", 0, Other},
};

TEST(BounceVectors, ReportsOfMimekitAreReadOrNone) {
    for (const Report& want : kMimekit) {
        std::string message =
            content(kFolder + "../mime/mimekit/messages/" + std::string(want.file));
        // A byte order mark is of the file, and not of the message.
        if (message.starts_with("\xEF\xBB\xBF")) message.erase(0, 3);
        Bounce got = read_bounce(message);
        EXPECT_EQ(got.kind, want.kind) << want.file;
        std::string address, status;
        int code = 0;
        FailureClass failure = Other;
        for (const BouncedRecipient& one : got.recipients) {
            address += one.address;
            status += one.status.klass == 0 ? "" : one.status.text();
            code += one.reply_code;
            failure = one.failure;
        }
        EXPECT_EQ(address, want.address) << want.file;
        EXPECT_EQ(status, want.status) << want.file;
        EXPECT_EQ(code, want.code) << want.file;
        EXPECT_EQ(failure, want.failure) << want.file << name(failure);
    }
    fmt::print("vectors mime/mimekit reports: {} of {}, 0 differences\n", std::size(kMimekit),
               std::size(kMimekit));
}

}  // namespace
}  // namespace postrider
