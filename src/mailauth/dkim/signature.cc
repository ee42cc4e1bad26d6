#include "mailauth/dkim/signature.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"
#include "mailauth/dkim/tag_list.h"
#include "mailauth/domain.h"

namespace postrider::mailauth::dkim {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 5321 sub-domain, with the underscore that selectors have in practice.
bool is_ascii_domain(std::string_view domain) {
    if (domain.empty() || domain.front() == '.' || domain.back() == '.') return false;
    char before = '.';
    for (const char c : domain) {
        const bool letter = ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
        if (!letter && !is_digit(c) && c != '-' && c != '_' && c != '.') return false;
        if (c == '.' && before == '.') return false;
        before = c;
    }
    return true;
}

// Digits, at most 76 (l=) of them; more than 64 bits hold becomes the greatest number.
std::optional<uint64_t> parse_number(std::string_view text) {
    constexpr std::size_t kDigitsMax = 76;
    if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
    uint64_t number = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        if (number > (UINT64_MAX - 9) / 10) {
            number = UINT64_MAX;
        } else {
            number = number * 10 + static_cast<uint64_t>(c - '0');
        }
    }
    return number;
}

bool parse_algorithm(std::string_view a, Signature& out) {
    out.algorithm = ascii_lower(a);
    const std::size_t hyphen = out.algorithm.find('-');
    if (hyphen == std::string::npos) return false;
    const std::string_view key = std::string_view(out.algorithm).substr(0, hyphen);
    const std::string_view hash = std::string_view(out.algorithm).substr(hyphen + 1);
    if (hash != "sha256" && hash != "sha1") return false;
    out.hash = hash == "sha1" ? HashAlgorithm::Sha1 : HashAlgorithm::Sha256;
    out.key_type = key == "ed25519" ? KeyType::Ed25519 : KeyType::Rsa;
    return key == "rsa" || (key == "ed25519" && hash == "sha256");
}

bool parse_form(std::string_view text, Canonicalization& out) {
    const std::string form = ascii_lower(text);
    out = form == "relaxed" ? Canonicalization::Relaxed : Canonicalization::Simple;
    return form == "relaxed" || form == "simple";
}

// c= is "header/body"; without the second, the body's is simple.
bool parse_forms(std::string_view c, Signature& out) {
    const std::size_t slash = c.find('/');
    return parse_form(c.substr(0, slash), out.header_form) &&
           (slash == std::string_view::npos || parse_form(c.substr(slash + 1), out.body_form));
}

// RFC 6376 §3.5: i= is an address whose local part may be missing, in d= or below it.
std::string parse_identity(std::optional<std::string_view> i, Signature& out) {
    out.identity = "@" + out.domain;
    if (!i) return {};
    const auto decoded = decode_quoted(*i);
    const std::size_t at = decoded ? decoded->rfind('@') : std::string::npos;
    if (at == std::string::npos) return "i= is not an address";
    const auto domain = ascii_domain(std::string_view(*decoded).substr(at + 1));
    if (!domain) return "the domain of i= is not a domain name";
    out.identity = decoded->substr(0, at + 1) + *domain;
    out.identity_is_below = domain->ends_with("." + out.domain);
    if (*domain != out.domain && !out.identity_is_below) {
        return fmt::format("i= is of {}, which is neither d={} nor below it", *domain, out.domain);
    }
    return {};
}

std::string parse_times(const TagList& tags, Signature& out) {
    for (const char* const tag : {"t", "x"}) {
        const auto text = tags.value(tag);
        if (!text) continue;
        const auto number = parse_number(*text);
        if (!number) return fmt::format("{}= is not a number of seconds", tag);
        const auto seconds = static_cast<int64_t>(std::min<uint64_t>(*number, INT64_MAX));
        (*tag == 't' ? out.signed_at : out.expires_at) = seconds;
    }
    if (out.signed_at && out.expires_at && *out.expires_at <= *out.signed_at) {
        return "the signature expires (x=) before it was made (t=)";
    }
    return {};
}

// RFC 6376 §6.1.1: From must be among the signed fields.
std::string parse_fields(std::string_view h, Signature& out) {
    out.fields = split_colons(h);
    bool from = false;
    for (const std::string_view field : out.fields) {
        if (field.empty()) return "h= has an empty field name";
        from |= equal_ignoring_case(field, "from");
    }
    return from ? "" : "From is not among the signed fields (h=)";
}

// Domain and selector, and the name that they make.
std::string parse_names(const TagList& tags, Signature& out) {
    const auto d = tags.value("d");
    const auto s = tags.value("s");
    if (!d) return "d= is missing";
    if (!s) return "s= is missing";
    const auto domain = ascii_domain(*d);
    if (!domain || !domain->contains('.')) return "d= is not a domain name";
    out.domain = *domain;
    const auto selector = ascii_domain(*s);
    if (!selector) return "s= is not a selector";
    out.selector = *selector;
    const auto name = key_record_name(*selector, *domain);
    if (!name) return "the name of the key record is too long";
    out.key_name = *name;
    return {};
}

std::string parse_octets(const TagList& tags, Signature& out) {
    const Tag* b = tags.find("b");
    const auto bh = tags.value("bh");
    if (!b) return "b= is missing";
    if (!bh) return "bh= is missing";
    out.b_begin = b->value_begin;
    out.b_end = b->value_end;
    const auto signature = decode_base64(b->value);
    if (!signature || signature->empty()) return "b= is not base64";
    const auto body_hash = decode_base64(*bh);
    if (!body_hash || body_hash->empty()) return "bh= is not base64";
    out.signature = *signature;
    // Six octets are eight characters.
    out.signature_begin = encode_base64(std::string_view(*signature).substr(0, 6));
    out.body_hash = *body_hash;
    return {};
}

bool is_dns_query(std::string_view q) {
    for (const std::string_view method : split_colons(q)) {
        const std::string word = ascii_lower(method);
        if (word == "dns/txt" || word == "dns") return true;
    }
    return false;
}

std::string parse_tags(const TagList& tags, Signature& out) {
    std::string names = parse_names(tags, out);
    const auto v = tags.value("v");
    const auto a = tags.value("a");
    const auto h = tags.value("h");
    if (a && !parse_algorithm(*a, out)) return "a= is an unknown algorithm";
    if (!v) return "v= is missing";
    if (*v != "1") return "v= is not 1";
    if (!a) return "a= is missing";
    if (!names.empty()) return names;
    if (!h) return "h= is missing";
    if (auto error = parse_octets(tags, out); !error.empty()) return error;
    if (!parse_forms(tags.value("c").value_or("simple"), out)) {
        return "c= is an unknown canonicalization";
    }
    if (auto error = parse_fields(*h, out); !error.empty()) return error;
    if (auto error = parse_identity(tags.value("i"), out); !error.empty()) return error;
    if (const auto l = tags.value("l")) {
        out.length = parse_number(*l);
        if (!out.length) return "l= is not a number of octets";
    }
    if (auto error = parse_times(tags, out); !error.empty()) return error;
    if (const auto q = tags.value("q"); q && !is_dns_query(*q)) {
        return "q= names no known way to the key";
    }
    return {};
}

}  // namespace

Signature parse_signature(std::string_view value) {
    Signature out;
    auto tags = TagList::parse(value);
    out.error = tags ? parse_tags(*tags, out) : tags.error().message;
    return out;
}

std::optional<std::string> ascii_domain(std::string_view domain) {
    std::optional<std::string> out = a_labels(domain);
    if (!out || !is_ascii_domain(*out) || out->size() > kDomainOctetsMax) return std::nullopt;
    return out;
}

std::optional<dns::Name> key_record_name(std::string_view selector, std::string_view domain) {
    return dns::Name::parse(fmt::format("{}._domainkey.{}", selector, domain));
}

}  // namespace postrider::mailauth::dkim
