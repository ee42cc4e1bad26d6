// The rules by which KumoMTA gives replies a class, held against classify(): each rule as the reply
// that it describes, and all of them over the bounces that others collected. Origin and licence:
// src/mail/testdata/vectors/SOURCES.md; where we judge otherwise, and why:
// bounce-rules/differences.txt.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "mail/bounce.h"

namespace postrider {
namespace {

const std::string kVectors = POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/";

struct Rule {
    std::string klass;    // their word
    std::string pattern;  // a regular expression over "550 5.1.1 words"
    std::regex regex;
};

// Their files are TOML of one form: a list of quoted strings, one a line, for each class.
std::vector<Rule> rules_of(const std::string& file) {
    std::vector<Rule> out;
    std::ifstream in(kVectors + "bounce-rules/" + file);
    EXPECT_TRUE(in) << file;
    std::string klass;
    for (std::string line; std::getline(in, line);) {
        std::size_t quote = line.find_first_not_of(' ');
        if (quote == std::string::npos || line[quote] == '#') continue;
        if (line.ends_with("= [")) klass = line.substr(0, line.find(' '));
        if (line[quote] != '"') continue;
        std::string pattern;
        for (std::size_t at = quote + 1; line[at] != '"'; at++) {
            if (line[at] == '\\') at++;
            pattern += line[at];
        }
        out.push_back({klass, pattern, std::regex(pattern, std::regex::icase)});
    }
    return out;
}

// Their classes, and which of ours mean the same.
using enum FailureClass;
const std::map<std::string, std::set<FailureClass>> kClasses = {
    {"InvalidRecipient", {BadMailbox}},
    {"BadDomain", {BadDomain}},
    {"InactiveMailbox", {Inactive}},
    {"InvalidSender", {Policy}},
    {"QuotaIssues", {Full, Size}},
    {"NoAnswerFromHost", {Connection}},
    {"BadConnection", {Connection}},
    {"DNSFailure", {Dns}},
    // Relaying too.
    {"RoutingErrors", {BadDomain, Loop, Policy}},
    {"TransientFailure", {Other, Rate}},
    {"MessageExpired", {Connection}},
    {"ProtocolErrors", {Other}},
    // SPF, DKIM and DMARC too.
    {"AuthenticationFailed", {Policy, Tls}},
    {"PolicyRelated", {Policy, Rate}},
    {"SpamBlock", {Spam}},
    {"SpamContent", {Spam}},
    {"TooManyRecipients", {Rate}},
};

bool means_the_same(const std::string& klass, FailureClass ours) {
    auto found = kClasses.find(klass);
    EXPECT_NE(found, kClasses.end()) << klass;
    return found != kClasses.end() && found->second.contains(ours);
}

// A reply that a rule describes: of alternatives the last, of a set of digits the first that fits
// the code, and a word where anything may stand.
std::string reply_for(std::string_view pattern) {
    std::string out;
    for (std::size_t at = pattern.starts_with('^') ? 1 : 0; at < pattern.size(); at++) {
        if (pattern[at] == '(' && pattern.find('|', at) < pattern.find(')', at)) {
            std::size_t end = pattern.find(')', at);
            std::string_view all = pattern.substr(at + 1, end - at - 1);
            out += all.substr(all.rfind('|') + 1);
            at = end;
        } else if (pattern[at] == '[') {
            std::size_t end = pattern.find(']', at);
            std::string_view set = pattern.substr(at + 1, end - at - 1);
            bool is_class = set == "45" && !out.empty();
            out += is_class ? out[0] : set == "45" ? '5' : set[0];
            at = end;
        } else if (pattern.substr(at).starts_with(".+") || pattern.substr(at).starts_with(".*")) {
            out += " x ";
            at++;
        } else if (pattern.substr(at).starts_with("\\d")) {
            std::string_view count = pattern.substr(at + 2);
            out += count.starts_with("{3}") ? "550" : count.starts_with("{2}") ? "50" : "9";
            at += count.starts_with('{') ? 4 : 2;
        } else if (!std::string_view("\\$()").contains(pattern[at])) {
            out += pattern[at];
        }
    }
    return out;
}

std::map<std::string, std::string> named_differences() {
    std::map<std::string, std::string> out;
    std::ifstream in(kVectors + "bounce-rules/differences.txt");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with('#')) continue;
        std::size_t bar = line.find(" | ");
        out[line.substr(0, bar)] = line.substr(bar + 3);
    }
    return out;
}

// Counts one name after the other, and holds what differs against what is known to.
class Differences {
public:
    void count(const std::string& what, const std::string& klass, FailureClass ours) {
        all_++;
        if (means_the_same(klass, ours)) {
            EXPECT_FALSE(named_.contains(what)) << what << " does not differ any more";
            return;
        }
        differing_++;
        EXPECT_TRUE(named_.contains(what)) << what << " | " << klass << ", " << name(ours);
    }
    // `rules`: whether it was them.
    void print(std::string_view vectors, bool rules) const {
        EXPECT_EQ(differing_, std::ranges::count_if(named_, [rules](const auto& one) {
                      return one.first.starts_with("rule ") == rules;
                  }));
        fmt::print("vectors {}: {} of {}, {} differences\n", vectors, all_ - differing_, all_,
                   differing_);
    }
    int all() const { return all_; }

private:
    std::map<std::string, std::string> named_ = named_differences();
    int all_ = 0, differing_ = 0;
};

TEST(BounceRules, ARepliesClassIsThatOfOthers) {
    Differences differences;
    for (const char* file : {"bounces.toml", "iana.toml"}) {
        for (const Rule& rule : rules_of(file)) {
            std::string reply = reply_for(rule.pattern);
            ASSERT_TRUE(std::regex_search(reply, rule.regex)) << reply << ": " << rule.pattern;
            FoundCodes codes = find_codes(reply);
            differences.count(fmt::format("rule {} {}", rule.klass, rule.pattern), rule.klass,
                              classify(codes.code, codes.status, reply));
        }
    }
    differences.print("smtp/bounce-rules", true);
    EXPECT_EQ(differences.all(), 135);
}

TEST(BounceRules, BouncesOfTheFieldHaveTheClassThatTheirRulesGive) {
    std::vector<Rule> rules = rules_of("bounces.toml");
    for (Rule& rule : rules_of("iana.toml")) rules.push_back(std::move(rule));
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(kVectors + "dsn/sisimai/eml")) {
        files.push_back(entry.path());
    }
    std::ranges::sort(files);
    Differences differences;
    for (const auto& path : files) {
        std::ifstream in(path, std::ios::binary);
        std::stringstream content;
        content << in.rdbuf();
        for (const BouncedRecipient& one : read_bounce(content.str()).recipients) {
            std::size_t begin = one.text.find(std::to_string(one.reply_code));
            if (one.reply_code == 0 || begin == std::string::npos) continue;
            std::string reply = one.text.substr(begin, 400);
            auto rule = std::ranges::find_if(
                rules, [&](const Rule& any) { return std::regex_search(reply, any.regex); });
            if (rule == rules.end()) continue;  // they say nothing of it
            differences.count(path.filename(), rule->klass, one.failure);
        }
    }
    differences.print("smtp/bounce-rules over dsn/sisimai", false);
    EXPECT_EQ(differences.all(), 181);
}

}  // namespace
}  // namespace postrider
