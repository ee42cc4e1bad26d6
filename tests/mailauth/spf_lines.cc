// SPF for another program: each line of standard input is a JSON object {zone, host, helo,
// mailfrom}, and each line of standard output the finding {result, explanation, mechanism, reason,
// lookups}.
//
// zone: {name: [[type, data...]...]}, with A, AAAA, MX (preference, host), PTR, TXT and SILENT
// (what is not known is not answered). mailfrom "" asks about the HELO identity.

#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "mailauth/spf/evaluation.h"
#include "mailauth/testing.h"

namespace {

using nlohmann::json;
using namespace postrider;
using namespace postrider::mailauth;

template <typename Address>
Address address_of(const std::string& text) {
    Address address;
    const auto parsed = IpAddress::parse(text).value();
    std::ranges::copy(parsed.octets(), address.octets.begin());
    return address;
}

TestZone zone_of(const json& names) {
    TestZone zone;
    for (const auto& [name, records] : names.items()) {
        for (const json& record : records) {
            const std::string type = record[0];
            if (type == "A") zone.add(name, address_of<dns::A>(record[1]));
            if (type == "AAAA") zone.add(name, address_of<dns::Aaaa>(record[1]));
            if (type == "MX") {
                zone.add(name,
                         dns::Mx{record[1], plain_name(record[2].get<std::string>()).value()});
            }
            if (type == "PTR") {
                zone.add(name, dns::Ptr{plain_name(record[1].get<std::string>()).value()});
            }
            if (type == "TXT") zone.add_txt(name, record[1]);
            if (type == "SILENT") zone.add_silence(name);
        }
    }
    return zone;
}

json check(const json& question) {
    auto request = spf::Request::helo_identity(
        IpAddress::parse(question["host"].get<std::string>()).value(), question["helo"]);
    const std::string mailfrom = question["mailfrom"];
    if (!mailfrom.empty()) {
        const std::size_t at = mailfrom.rfind('@');
        request.identity = spf::Identity::MailFrom;
        request.local_part = mailfrom.substr(0, at);
        request.domain = mailfrom.substr(at + 1);
    }
    request.receiver = "receiver.example";
    spf::Evaluation evaluation(std::move(request));
    drive(evaluation, zone_of(question["zone"]));
    const spf::Finding& finding = evaluation.result();
    return {{"result", name(finding.code)},   {"explanation", finding.explanation},
            {"mechanism", finding.mechanism}, {"reason", finding.reason},
            {"lookups", finding.lookups},     {"void_lookups", finding.void_lookups}};
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) std::cout << check(json::parse(line)).dump() << '\n';
    return 0;
}
