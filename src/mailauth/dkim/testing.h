// mailauth/dkim/testing.h: what the tests of this room share: files, keys in DNS, a whole run.
//
// Threads: single-threaded tests.

#pragma once

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "mail/header.h"
#include "mailauth/dkim/verifier.h"

namespace postrider::mailauth::dkim::testing {

inline constexpr Wall kNow{1'800'000'000'000'000};  // in January 2027

inline std::string load(const std::string& name) {
    std::ifstream in(POSTRIDER_SOURCE_DIR "/src/mailauth/dkim/testdata/" + name, std::ios::binary);
    EXPECT_TRUE(in) << name;
    return {std::istreambuf_iterator<char>(in), {}};
}

// Every line end as CRLF.
inline std::string with_crlf(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
        out += text[i];
    }
    return out;
}

struct Message {
    std::string header, body;
};

inline Message split(const std::string& text) {
    HeaderReader reader(text);
    while (reader.next()) {
    }
    return {text.substr(0, reader.header_octets()), text.substr(reader.body_begin())};
}

// A name's TXT records; a name that is not there does not exist.
using Zone = std::map<std::string, dns::Answer>;

inline dns::Answer txt(std::string text) {
    return {.status = dns::Answer::Status::Ok,
            .records = {dns::Txt{std::move(text)}},
            .ttl_seconds = 3600};
}

inline dns::Answer look_up(const Zone& zone, const dns::Question& question) {
    const auto found = zone.find(question.name.text());
    if (found == zone.end()) return {.status = dns::Answer::Status::NxDomain};
    return found->second;
}

// The body goes in pieces of `piece` octets; keys are answered behind the first of them.
inline Report verify(const Message& message, const Zone& zone, VerifyOptions options = {},
                     std::size_t piece = SIZE_MAX) {
    Verifier verifier(message.header, options);
    bool answered = false;
    const auto answer = [&] {
        for (const dns::Question& question : verifier.questions()) {
            verifier.answer(question, look_up(zone, question));
        }
        answered = true;
    };
    for (std::size_t at = 0; at < message.body.size(); at += std::min(piece, message.body.size())) {
        verifier.update(std::string_view(message.body).substr(at, piece));
        if (!answered) answer();
    }
    if (!answered) answer();
    return verifier.finish(kNow);
}

// One word for a message: pass if a signature passes, else the first one's.
inline std::string summary(const Report& report) {
    if (report.signatures.empty()) return "none";
    for (const SignatureResult& result : report.signatures) {
        if (result.code == ResultCode::Pass) return "pass";
    }
    return std::string(name(report.signatures.front().code));
}

inline std::string reasons(const Report& report) {
    std::string out;
    for (const SignatureResult& result : report.signatures) {
        out += std::string(name(result.code)) + ": " + result.reason + "\n";
    }
    return out;
}

}  // namespace postrider::mailauth::dkim::testing
