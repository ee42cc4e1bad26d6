// Any octets as a header block: the author's domains are domains, and one domain without a problem
// stands for one field.

#include <cstdint>
#include <cstdlib>

#include "mailauth/dmarc/author.h"
#include "mailauth/domain.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider::mailauth;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const std::string& header : {std::string(text), "From: " + std::string(text)}) {
        const dmarc::Authors authors = dmarc::authors_of(header);
        require(authors.domains.size() <= dmarc::kAuthorDomainsMax);
        for (const std::string& domain : authors.domains) require(a_labels(domain) == domain);
        if (authors.problem.empty()) {
            require(authors.fields == 1 && authors.domains.size() == 1 && authors.complete);
        }
        for (const char c : authors.problem) require(c >= ' ' && c <= '~');
    }
    return 0;
}
