#include "verdict/evidence.h"

#include <fmt/format.h>

#include <algorithm>

#include "mailauth/authentication_results.h"
#include "mailauth/domain.h"

namespace postrider::verdict {

namespace {

using mailauth::MethodResult;
using mailauth::ResultCode;
using mailauth::dkim::SignatureResult;

constexpr std::size_t kSummarySignaturesMax = 4;

// RFC 8601 §2.7.1, RFC 6008 (header.b).
MethodResult method_result(const SignatureResult& signature) {
    MethodResult out;
    out.method = "dkim";
    out.result = name(signature.code);
    out.comment = signature.code == ResultCode::Pass && signature.key_bits > 0
                      ? fmt::format("{}-bit key", signature.key_bits)
                      : signature.reason;
    if (signature.testing) out.comment += out.comment.empty() ? "testing" : ", testing";
    auto add = [&](const char* property, const std::string& value) {
        if (!value.empty()) out.properties.push_back({"header", property, value});
    };
    add("d", signature.domain);
    add("s", signature.selector);
    add("a", signature.algorithm);
    add("b", signature.b_begin);
    return out;
}

MethodResult plain(std::string_view method, ResultCode code, std::string comment) {
    MethodResult out;
    out.method = method;
    out.result = name(code);
    out.comment = std::move(comment);
    return out;
}

}  // namespace

std::string results_field(const Evidence& evidence, std::string_view authserv_id, AddressForm form,
                          mailauth::dmarc::Policy applied) {
    std::vector<MethodResult> results;
    if (evidence.mail_from) results.push_back(mailauth::spf::method_result(*evidence.mail_from));
    // A HELO name that is no domain, or has no record, is the usual case and tells nothing.
    if (!evidence.mail_from || evidence.helo.code != ResultCode::None) {
        results.push_back(mailauth::spf::method_result(evidence.helo));
    }
    for (const SignatureResult& signature : evidence.dkim.signatures) {
        results.push_back(method_result(signature));
    }
    if (evidence.dkim.signatures.empty()) {
        results.push_back(plain("dkim", ResultCode::None, "no signature"));
    }
    results.push_back(evidence.dmarc.author_domain.empty()
                          ? plain("dmarc", evidence.dmarc.code, evidence.dmarc.reason)
                          : mailauth::dmarc::method_result(evidence.dmarc, applied));
    return mailauth::authentication_results_field(authserv_id, results, form);
}

std::string dkim_summary(const Evidence& evidence) {
    std::string out;
    std::size_t shown = 0;
    for (const SignatureResult& signature : evidence.dkim.signatures) {
        if (shown++ == kSummarySignaturesMax) break;
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name(signature.code),
                           mailauth::shown(signature.domain));
    }
    std::size_t all = evidence.dkim.signatures.size() + evidence.dkim.skipped;
    if (all > kSummarySignaturesMax)
        out += fmt::format(" and {} more", all - kSummarySignaturesMax);
    return out.empty() ? "none" : out;
}

}  // namespace postrider::verdict
