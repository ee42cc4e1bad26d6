// mailauth/dkim/dkim_verifier_fuzz.cc: any octets as a key record and as a message. Results do not
// depend on the cut; and what we sign we verify, whatever else is in the message.
//
// Input: one octet for the size of pieces, a key record up to a NUL, the message.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mail/header.h"
#include "mailauth/dkim/signer.h"
#include "mailauth/dkim/verifier.h"

namespace {

using namespace postrider;
using namespace postrider::mailauth::dkim;

constexpr Wall kNow{1'800'000'000'000'000};

void require(bool holds) {
    if (!holds) std::abort();
}

template <typename Taker>
void feed(Taker& taker, std::string_view body, std::size_t piece) {
    for (std::size_t at = 0; at < body.size(); at += piece) taker.update(body.substr(at, piece));
}

Report verify(const std::string& header, std::string_view body, const std::string& record,
              std::size_t piece) {
    Verifier verifier(header);
    for (const dns::Question& question : verifier.questions()) {
        verifier.answer(question, dns::Answer{.status = dns::Answer::Status::Ok,
                                              .records = {dns::Txt{record}}});
    }
    feed(verifier, body, piece);
    return verifier.finish(kNow);
}

void sign_and_verify(const std::string& header, std::string_view body, std::size_t piece) {
    static const PrivateKey key = *PrivateKey::ed25519_from_seed(std::string(32, 'k'));
    static const std::string record = key_record_text(key);
    const auto form = [&](unsigned bit) {
        return (piece & bit) != 0 ? Canonicalization::Simple : Canonicalization::Relaxed;
    };
    const SignOptions options{.header_form = form(1), .body_form = form(2)};
    auto signer = Signer::start(header, {{.domain = "example.org", .selector = "s", .key = key}},
                                options, kNow);
    if (!signer) return;
    feed(*signer, body, piece);
    const std::string fields = *signer->finish();
    for (const std::size_t size : {piece, std::size_t{1} << 20}) {
        const Report report = verify(fields + header, body, record, size);
        require(!report.signatures.empty());
        require(report.signatures[0].code == mailauth::ResultCode::Pass);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size == 0 || size > 64 * 1024) return 0;
    const std::size_t piece = data[0] + std::size_t{1};
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t nul = std::min(text.find('\0'), text.size());
    const std::string record(text.substr(0, nul));
    const std::string message(text.substr(std::min(nul + 1, text.size())));

    HeaderReader reader(message);
    while (reader.next()) {
    }
    const std::string header = message.substr(0, reader.header_octets());
    const std::string_view body = std::string_view(message).substr(reader.body_begin());

    const Report whole = verify(header, body, record, size);
    const Report cut = verify(header, body, record, piece);
    require(whole.signatures.size() == cut.signatures.size() && whole.signatures.size() <= 10);
    for (std::size_t i = 0; i < whole.signatures.size(); i++) {
        require(whole.signatures[i].code == cut.signatures[i].code);
        require(!whole.signatures[i].reason.empty());
        require(whole.signatures[i].reason == cut.signatures[i].reason);
    }
    sign_and_verify(header, body, piece);
    return 0;
}
