// DMARC for another program: each line of standard input is a JSON object {zone, author, spf,
// dkim}, and each line of standard output the finding {result, requested, spf_aligned,
// dkim_aligned, policy_domain, reason}.
//
// zone: {domain: record}, published below "_dmarc."; spf and each of dkim: [result, domain].

#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "mailauth/dmarc/evaluation.h"
#include "mailauth/testing.h"

namespace {

using nlohmann::json;
using namespace postrider::mailauth;

json check(const json& question) {
    TestZone zone;
    for (const auto& [domain, record] : question["zone"].items()) {
        zone.add_txt("_dmarc." + domain, record);
    }
    dmarc::Input input;
    input.author_domain = question["author"];
    const json& spf = question["spf"];
    input.spf = SpfIdentifier{result_code(spf[0].get<std::string>()).value(), spf[1], {}};
    for (const json& signature : question["dkim"]) {
        input.dkim.push_back(
            {result_code(signature[0].get<std::string>()).value(), signature[1], "s", {}});
    }
    dmarc::Evaluation evaluation(std::move(input));
    drive(evaluation, zone);
    const dmarc::Finding& finding = evaluation.result();
    return {{"result", name(finding.code)},           {"requested", name(finding.requested)},
            {"spf_aligned", finding.spf_aligned},     {"dkim_aligned", finding.dkim_aligned},
            {"policy_domain", finding.policy_domain}, {"reason", finding.reason}};
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) std::cout << check(json::parse(line)).dump() << '\n';
    return 0;
}
