// The test suite of openspf.org for RFC 7208, whole. Origin and licence: testdata/SOURCES.md.

#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "mailauth/spf/evaluation.h"
#include "mailauth/testing.h"

namespace postrider::mailauth::spf {
namespace {

using nlohmann::json;

// The file writes single octets above 127 as code points.
std::string octets_of(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        const auto lead = static_cast<uint8_t>(text[i]);
        if (lead < 0xC2 || lead > 0xC3) {
            out += text[i];
        } else {
            out += static_cast<char>(((lead & 3) << 6) | (static_cast<uint8_t>(text[++i]) & 0x3F));
        }
    }
    return out;
}

std::string joined(const json& strings) {
    if (strings.is_string()) return octets_of(strings);
    std::string out;
    for (const json& part : strings) out += octets_of(part);
    return out;
}

void add_record(TestZone& zone, const std::string& name, const std::string& type,
                const json& value) {
    if (type == "A" || type == "AAAA") {
        if (type == "A") {
            zone.add(name, [&] {
                dns::A a;
                std::ranges::copy(IpAddress::parse(value.get<std::string>())->octets(),
                                  a.octets.begin());
                return a;
            }());
        } else {
            zone.add(name, dns::Aaaa{parse_ipv6_octets(value.get<std::string>()).value()});
        }
    } else if (type == "MX") {
        const std::string host = value[1];
        zone.add(name, dns::Mx{static_cast<uint16_t>(std::stoi(value[0].get<std::string>())),
                               host.empty() ? dns::Name() : plain_name(host).value()});
    } else if (type == "PTR") {
        zone.add(name, dns::Ptr{plain_name(value.get<std::string>()).value()});
    } else if (type == "CNAME") {
        zone.add(name, dns::Cname{plain_name(value.get<std::string>()).value()});
    } else {
        zone.add_txt(name, joined(value));
    }
}

TestZone zone_of(const json& data) {
    TestZone zone;
    for (const auto& [name, records] : data.items()) {
        bool own_txt = false;
        for (const json& record : records) own_txt = own_txt || record.contains("TXT");
        for (const json& record : records) {
            if (record.is_string()) {
                EXPECT_EQ(record, "TIMEOUT");
                zone.add_silence(name);
                continue;
            }
            for (const auto& [type, value] : record.items()) {
                // A record of the old type SPF stands for TXT, unless there is one.
                if (type == "SPF" && own_txt) continue;
                if (value != "NONE") add_record(zone, name, type, value);
            }
        }
    }
    return zone;
}

Request request_of(const json& test) {
    Request request = Request::helo_identity(
        IpAddress::parse(test["host"].get<std::string>()).value(), test["helo"]);
    const std::string mailfrom = test["mailfrom"];
    if (mailfrom.empty()) return request;
    const std::size_t at = mailfrom.rfind('@');
    request.identity = Identity::MailFrom;
    request.local_part = mailfrom.substr(0, at);
    request.domain = mailfrom.substr(at + 1);
    return request;
}

bool allows(const json& allowed, std::string_view result) {
    if (allowed.is_string()) return allowed == result;
    return std::ranges::find(allowed, json(result)) != allowed.end();
}

TEST(SpfVectors, OpenspfSuiteGivesTheExpectedResults) {
    std::ifstream in(POSTRIDER_SOURCE_DIR "/src/mailauth/spf/testdata/openspf/rfc7208-tests.json");
    ASSERT_TRUE(in);
    int agreed = 0, all = 0;
    for (const json& scenario : json::parse(in)) {
        const TestZone zone = zone_of(scenario["zonedata"]);
        for (const auto& [id, test] : scenario["tests"].items()) {
            all++;
            Evaluation evaluation(request_of(test));
            drive(evaluation, zone);
            ASSERT_TRUE(evaluation.done()) << id;
            const Finding& finding = evaluation.result();
            bool same = allows(test["result"], name(finding.code));
            EXPECT_TRUE(same) << id << ": " << name(finding.code) << " instead of "
                              << test["result"] << ": " << finding.reason;
            if (test.contains("explanation")) {
                // DEFAULT: the receiver's own text, so there is none from the domain.
                const std::string want =
                    test["explanation"] == "DEFAULT" ? "" : test["explanation"].get<std::string>();
                EXPECT_EQ(finding.explanation, want) << id;
                same = same && finding.explanation == want;
            }
            EXPECT_FALSE(finding.reason.empty()) << id;
            agreed += same ? 1 : 0;
        }
    }
    fmt::print("vectors spf: {} of {}, {} differences\n", agreed, all, all - agreed);
    EXPECT_EQ(all, 203);
    EXPECT_EQ(agreed, all);
}

}  // namespace
}  // namespace postrider::mailauth::spf
