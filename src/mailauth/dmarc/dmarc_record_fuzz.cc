// Any octets as a DMARC record: what is taken is within its bounds, and the same text with blanks
// at its ends says the same.

#include <cstdint>
#include <cstdlib>

#include "mailauth/dmarc/record.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider::mailauth::dmarc;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto record = Record::parse(text);
    require(!record || is_dmarc_record(text));
    if (!record) return 0;
    require(record->problems.size() <= 10);
    for (const std::string& problem : record->problems) {
        for (const char c : problem) require(c >= ' ' && c <= '~');
    }
    for (const auto* uris : {&record->aggregate_uris, &record->failure_uris}) {
        require(uris->size() <= 20);
        for (const std::string& uri : *uris) {
            require(uri.find(':') != std::string::npos);
            for (const char c : uri)
                require(c > ' ' && c <= '~' && c != ',' && c != '!' && c != ';');
        }
    }
    if (!record->policy_is_right) {
        require(record->policy == Policy::None && !record->subdomain_policy);
    }
    const auto again = Record::parse(" " + std::string(text) + " ;");
    require(again && again->policy == record->policy && again->psd == record->psd &&
            again->aggregate_uris == record->aggregate_uris);
    return 0;
}
