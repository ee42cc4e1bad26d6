#include "world/real/openssl_words.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace postrider::world::real {

namespace {

// What can be printed of a name from a stranger; the rest as a question mark.
std::string printable(std::string_view text) {
    std::string out(text.substr(0, 512));
    for (char& c : out) {
        if (c < ' ' || c > '~') c = '?';
    }
    return out;
}

std::vector<std::string> alternative_names(X509* certificate, int type) {
    constexpr int kNamesMax = 1000;
    std::vector<std::string> out;
    auto* names = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < std::min(sk_GENERAL_NAME_num(names), kNamesMax); i++) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
        if (name->type != type) continue;
        const ASN1_IA5STRING* text = name->d.ia5;
        out.push_back(printable({reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                 static_cast<std::size_t>(ASN1_STRING_length(text))}));
    }
    GENERAL_NAMES_free(names);
    return out;
}

}  // namespace

std::string openssl_words() {
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "no reason given";
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "error " + std::to_string(ERR_GET_REASON(code));
}

BioRef bio_of(const std::string& text) {
    return BioRef(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string subject_of(X509* certificate) {
    BioRef out(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0,
                       XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* text = nullptr;
    long length = BIO_get_mem_data(out.get(), &text);
    return printable({text, static_cast<std::size_t>(std::max(length, 0L))});
}

std::vector<std::string> dns_names_of(X509* certificate) {
    return alternative_names(certificate, GEN_DNS);
}

std::vector<std::string> emails_of(X509* certificate) {
    return alternative_names(certificate, GEN_EMAIL);
}

}  // namespace postrider::world::real
