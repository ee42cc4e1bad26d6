#include "mail/mailbox.h"

#include <algorithm>

#include "base/limits.h"
#include "mail/domain.h"

namespace postrider {
namespace {

bool is_above_ascii(char c) { return static_cast<unsigned char>(c) > 127; }

// RFC 5322 §3.2.3: atext.
bool is_atext(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c != '\0' && std::string_view("!#$%&'*+-/=?^_`{|}~").contains(c);
}

// RFC 5321 §4.1.2: Dot-string = Atom *("." Atom); RFC 6531 §3.3: atext =/ UTF8-non-ascii.
bool is_dot_string(std::string_view text, AddressForm form) {
    bool need_atom = true;
    for (const char c : text) {
        if (c == '.') {
            if (need_atom) return false;
            need_atom = true;
        } else {
            if (!is_atext(c) && !(form == AddressForm::Utf8 && is_above_ascii(c))) return false;
            need_atom = false;
        }
    }
    return !need_atom;
}

struct LocalPart {
    std::string decoded;
    std::size_t length = 0;  // in the text, with quotes
};

// RFC 5321 §4.1.2: Quoted-string = DQUOTE *QcontentSMTP DQUOTE, at the start of `text`.
Result<LocalPart> quoted_string(std::string_view text, AddressForm form) {
    LocalPart part;
    for (std::size_t i = 1; i < text.size(); ++i) {
        char c = text[i];
        if (c == '"') {
            part.length = i + 1;
            return part;
        }
        const bool escaped = c == '\\';
        if (escaped) {
            if (++i == text.size()) break;
            c = text[i];
        }
        // quoted-pairSMTP is for ASCII only; qtextSMTP takes UTF8-non-ascii (RFC 6531 §3.3).
        const bool graphic = c >= 32 && c < 127;
        if (!graphic && !(form == AddressForm::Utf8 && is_above_ascii(c) && !escaped)) {
            return fail("the quoted local-part holds a character that may not stand in it");
        }
        part.decoded += c;
    }
    return fail("the quoted local-part has no closing quote");
}

Result<LocalPart> parse_local_part(std::string_view text, AddressForm form) {
    if (text.starts_with('"')) return quoted_string(text, form);
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos) return fail("the address has no \"@\"");
    if (at == 0) return fail("the local-part is missing");
    if (!is_dot_string(text.substr(0, at), form)) {
        return fail("the local-part is not letters, digits and signs with single dots between");
    }
    return LocalPart{std::string(text.substr(0, at)), at};
}

}  // namespace

Result<Mailbox> Mailbox::parse(std::string_view text, AddressForm form) {
    auto local = parse_local_part(text, form);
    if (!local) return std::unexpected(std::move(local.error()));
    if (local->length > kLocalPartOctetsMax) return fail("the local-part is longer than 64 octets");
    if (form == AddressForm::Utf8 && !is_utf8(local->decoded)) {
        return fail("the local-part is not UTF-8");
    }
    // RFC 5321 §4.5.3.1.3: a path is at most 256 octets, its brackets counted.
    if (text.size() > kPathOctetsMax - 2) return fail("the address is longer than 254 octets");
    if (local->length == text.size() || text[local->length] != '@') {
        return fail("the local-part is not followed by \"@\"");
    }
    const std::string_view host = text.substr(local->length + 1);
    auto domain = host.starts_with('[') ? parse_address_literal(host) : parse_domain(host, form);
    if (!domain) return std::unexpected(std::move(domain.error()));
    return Mailbox{std::move(local->decoded), std::move(*domain)};
}

std::string Mailbox::text() const {
    std::string out;
    out.reserve(local_part.size() + domain.size() + 1);
    if (is_dot_string(local_part, AddressForm::Utf8)) {
        out = local_part;
    } else {
        // RFC 5321 §4.1.2: the sending system should use the minimum of quoting.
        out += '"';
        for (const char c : local_part) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    if (!domain.empty()) {
        out += '@';
        out += domain;
    }
    return out;
}

bool Mailbox::is_ascii() const {
    return std::ranges::none_of(local_part, is_above_ascii) &&
           std::ranges::none_of(domain, is_above_ascii);
}

bool Mailbox::is_postmaster() const {
    constexpr std::string_view kPostmaster = "postmaster";
    return std::ranges::equal(local_part, kPostmaster, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
    });
}

}  // namespace postrider
