// DMARC records that others collected, and the examples of RFC 9989. Origin: testdata/SOURCES.md.

#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "mailauth/dmarc/evaluation.h"
#include "mailauth/testing.h"

namespace postrider::mailauth::dmarc {
namespace {

using nlohmann::json;

json load(const std::string& name) {
    std::ifstream in(POSTRIDER_SOURCE_DIR "/src/mailauth/dmarc/testdata/" + name);
    EXPECT_TRUE(in) << name;
    return json::parse(in);
}

void report(const char* name, int agreed, int all) {
    fmt::print("vectors {}: {} of {}, {} differences\n", name, agreed, all, all - agreed);
    EXPECT_EQ(agreed, all);
}

bool says(const Record& record, const json& want) {
    if (want["p"] != std::string(name(record.policy))) return false;
    if (want.contains("sp")) {
        const bool has = record.subdomain_policy.has_value();
        if (want["sp"].is_null() == has) return false;
        if (has && want["sp"] != std::string(name(*record.subdomain_policy))) return false;
    }
    return want["rua"].get<std::vector<std::string>>() == record.aggregate_uris;
}

TEST(DmarcVectors, RecordsAreReadAsRfc9989Says) {
    int agreed = 0, all = 0;
    for (const json& test : load("records.json")) {
        all++;
        const auto record = Record::parse(test["txt"].get<std::string>());
        const json& want = test["rfc9989"];
        bool same = false;
        if (want["record"] == "ignored") {
            same = !record;
        } else if (want["record"] == "no-policy") {
            same = record && !record->applies();
        } else {
            same = record && record->applies() && says(*record, want);
        }
        EXPECT_TRUE(same) << test["txt"] << ' ' << want;
        agreed += same ? 1 : 0;
    }
    report("dmarc/records", agreed, all);
}

TestZone zone_of(const json& records) {
    TestZone zone;
    for (const auto& [name, text] : records.items()) zone.add_txt(name, text);
    return zone;
}

TEST(DmarcVectors, WalksGoAsInRfc9989) {
    int agreed = 0, all = 0;
    const json vectors = load("tree-walk.json");
    for (const json& test : vectors["walks"]) {
        all++;
        const TestZone zone = zone_of(test["records"]);
        TreeWalk walk(test["start"].get<std::string>());
        std::vector<std::string> asked;
        while (const auto target = walk.next()) {
            const auto question = record_question(*target).value();
            asked.push_back(question.name.text());
            walk.take(record_in(zone.answer(question)));
        }
        const bool same = asked == test["queries"].get<std::vector<std::string>>() &&
                          test["org_domain"] == walk.organizational_domain();
        EXPECT_TRUE(same) << test["ref"] << ' ' << walk.organizational_domain();
        agreed += same ? 1 : 0;
    }
    for (const json& test : vectors["evaluations"]) {
        all++;
        Input input;
        input.author_domain = test["author_domain"];
        input.spf = SpfIdentifier{ResultCode::Pass, test["spf_pass"], {}};
        for (const json& domain : test["dkim_pass"]) {
            input.dkim.push_back({ResultCode::Pass, domain, "s", {}});
        }
        Evaluation evaluation(std::move(input));
        drive(evaluation, zone_of(test["records"]));
        const Finding& finding = evaluation.result();
        const bool same = test["policy_domain"] == finding.policy_domain &&
                          test["spf_aligned"] == finding.spf_aligned &&
                          test["dkim_aligned"] == finding.dkim_aligned &&
                          finding.code == ResultCode::Pass;
        EXPECT_TRUE(same) << test["ref"] << ' ' << finding.reason;
        agreed += same ? 1 : 0;
    }
    report("dmarc/rfc9989", agreed, all);
}

}  // namespace
}  // namespace postrider::mailauth::dmarc
