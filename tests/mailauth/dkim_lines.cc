// Signs and verifies for dkim_peers_test.py: one JSON object per line in, one per line out.
//
//   {"do": "sign", "message": B64, "keys": [{"pem", "domain", "selector"}], "header": "relaxed",
//    "body": "simple", "now": seconds, "piece": octets}       -> {"fields": B64} or {"error": text}
//   {"do": "verify", "message": B64, "zone": {name: text}, "now": seconds, "piece": octets}
//                                                             -> {"results": [{...}], "skipped": n}

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "mail/header.h"
#include "mailauth/dkim/key_record.h"
#include "mailauth/dkim/signer.h"
#include "mailauth/dkim/tag_list.h"
#include "mailauth/dkim/verifier.h"

namespace {

using namespace postrider;
using namespace postrider::mailauth::dkim;
using nlohmann::json;

struct Job {
    std::string header, body;
    Wall now;
    std::size_t piece;

    template <typename Taker>
    void feed(Taker& taker) const {
        for (std::size_t at = 0; at < body.size(); at += piece) {
            taker.update(std::string_view(body).substr(at, piece));
        }
    }
};

Job job_of(const json& line) {
    const std::string message = *decode_base64(line.at("message").get<std::string>());
    HeaderReader reader(message);
    while (reader.next()) {
    }
    return {.header = message.substr(0, reader.header_octets()),
            .body = message.substr(reader.body_begin()),
            .now = {line.at("now").get<int64_t>() * 1'000'000},
            .piece = line.value("piece", std::size_t{4096})};
}

Canonicalization form_of(const json& line, const char* key) {
    return line.at(key) == "simple" ? Canonicalization::Simple : Canonicalization::Relaxed;
}

json sign(const json& line) {
    std::vector<SigningKey> keys;
    for (const json& entry : line.at("keys")) {
        auto key = PrivateKey::from_pem(entry.at("pem").get<std::string>());
        if (!key) return {{"error", key.error().message}};
        keys.push_back(
            {.domain = entry.at("domain"), .selector = entry.at("selector"), .key = *key});
    }
    const Job job = job_of(line);
    const SignOptions options{.header_form = form_of(line, "header"),
                              .body_form = form_of(line, "body")};
    auto signer = Signer::start(job.header, std::move(keys), options, job.now);
    if (!signer) return {{"error", signer.error().message}};
    job.feed(*signer);
    auto fields = signer->finish();
    if (!fields) return {{"error", fields.error().message}};
    return {{"fields", encode_base64(*fields)}};
}

json verify(const json& line) {
    const Job job = job_of(line);
    Verifier verifier(job.header);
    for (const dns::Question& question : verifier.questions()) {
        const std::string record = line.at("zone").value(question.name.text(), "");
        dns::Answer answer{.status = dns::Answer::Status::NxDomain};
        if (!record.empty()) {
            answer = {.status = dns::Answer::Status::Ok, .records = {dns::Txt{record}}};
        }
        verifier.answer(question, answer);
    }
    job.feed(verifier);
    const Report report = verifier.finish(job.now);
    json results = json::array();
    for (const SignatureResult& result : report.signatures) {
        results.push_back({{"code", name(result.code)},
                           {"reason", result.reason},
                           {"domain", result.domain},
                           {"selector", result.selector},
                           {"algorithm", result.algorithm},
                           {"bits", result.key_bits}});
    }
    return {{"results", results}, {"skipped", report.skipped}};
}

json record(const json& line) {
    auto key = PrivateKey::from_pem(line.at("pem").get<std::string>());
    if (!key) return {{"error", key.error().message}};
    return {{"text", key_record_text(*key)}};
}

}  // namespace

int main() {
    for (std::string text; std::getline(std::cin, text);) {
        const json line = json::parse(text);
        const std::string wish = line.at("do");
        const json answer = wish == "sign"     ? sign(line)
                            : wish == "verify" ? verify(line)
                                               : record(line);
        std::cout << answer.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
    }
    return 0;
}
