#include "mailauth/authentication_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mail/domain.h"
#include "mail/header.h"
#include "mailauth/domain.h"
#include "mailauth/header_scanner.h"

namespace postrider::mailauth {

namespace {

constexpr std::string_view kFieldName = "Authentication-Results";
constexpr std::size_t kLineOctetsWanted = 78;  // RFC 5322 §2.1.1
constexpr std::size_t kValueOctetsMax = 450;   // doubled by quoting, still far below a line's 998
constexpr std::size_t kResultsMax = 1000;      // of a field that is read
constexpr unsigned kVersion = 1;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }

// RFC 2045 §5.1: token = 1*<any CHAR except SPACE, CTLs, or tspecials>
bool is_token_octet(char c) {
    return c > ' ' && c < 127 &&
           std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}
bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, is_token_octet);
}

// RFC 5321 §4.1.2: Keyword = Ldh-str.
bool is_keyword_octet(char c) { return is_alpha(c) || is_digit(c) || c == '-'; }

// What may stand in a field: no controls, and UTF-8 only where it may be.
std::string cleaned(std::string_view text, AddressForm form) {
    std::string out(text.substr(0, kValueOctetsMax));
    const bool utf8 = form == AddressForm::Utf8 && is_utf8(out);
    for (char& c : out) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < ' ' || octet == 127 || (octet > 127 && !utf8)) c = '?';
    }
    return out;
}

std::string quoted(std::string_view clean, char open, char close) {
    std::string out(1, open);
    for (const char c : clean) {
        if (c == open || c == close || c == '\\') out += '\\';
        out += c;
    }
    return out + close;
}

// value = token / quoted-string
std::string value_text(std::string_view value, AddressForm form) {
    const std::string clean = cleaned(value, form);
    return is_token(clean) ? clean : quoted(clean, '"', '"');
}

// RFC 8601 §2.2: pvalue = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS]
std::string pvalue_text(std::string_view value, AddressForm form) {
    const std::size_t at = value.rfind('@');
    if (at == std::string_view::npos) return value_text(value, form);
    const bool domain = parse_domain(value.substr(at + 1), form).has_value();
    if (at == 0 && domain) return std::string(value);
    if (const auto mailbox = Mailbox::parse(value, form); mailbox && domain) return mailbox->text();
    return value_text(value, form);
}

// Collects words and folds before one that would make its line too long.
class FieldWriter {
public:
    explicit FieldWriter(std::string_view begin) : text_(begin), line_(begin.size()) {}

    void word(std::string_view word) {
        if (line_ + 1 + word.size() > kLineOctetsWanted) return line(word);
        text_ += ' ';
        text_ += word;
        line_ += 1 + word.size();
    }
    // What stands between blanks, each as a word. RFC 5322 §3.2.2: a comment may be folded inside.
    void words(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(' '), text.size());
            if (end > 0) word(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }
    // On a line of its own.
    void line(std::string_view word) {
        text_ += "\r\n\t";
        text_ += word;
        line_ = 1 + word.size();
    }
    void end(std::string_view mark) {
        text_ += mark;
        line_ += mark.size();
    }
    std::string take() { return std::move(text_) + "\r\n"; }

private:
    std::string text_;
    std::size_t line_;
};

// Reads a field's value. RFC 8601 §2.2; what each function takes stands above it.
class Reader {
public:
    explicit Reader(std::string_view value) : scanner_(value) {}

    // [CFWS] authserv-id [ CFWS authres-version ]
    bool id(AuthenticationResults& out) {
        auto id = value();
        if (!id || id->empty()) return false;
        out.authserv_id = std::move(*id);
        return number(out.version);
    }

    // ( no-result / 1*resinfo ) [CFWS]; a final ";" is passed over.
    bool results(AuthenticationResults& out) {
        bool any = false;
        while (scanner_.skip_cfws() && scanner_.take(';')) {
            if (!scanner_.skip_cfws()) return false;
            if (scanner_.at_end()) return any;
            MethodResult result;
            const std::string_view method = keyword();
            if (!any && equal_ignoring_case(method, "none") && at_end()) return true;
            if (method.empty() || out.results.size() == kResultsMax) return false;
            result.method = ascii_lower(method);
            if (!resinfo(result)) return false;
            out.results.push_back(std::move(result));
            any = true;
        }
        return any && at_end();
    }

private:
    bool at_end() { return scanner_.skip_cfws() && scanner_.at_end(); }

    bool take(char c) { return scanner_.skip_cfws() && scanner_.take(c); }

    std::string_view keyword() {
        return scanner_.skip_cfws() ? scanner_.take_while(is_keyword_octet) : std::string_view();
    }

    // [ CFWS 1*DIGIT ]; false when it is too long a number.
    bool number(unsigned& out) {
        if (!scanner_.skip_cfws()) return false;
        const std::string_view digits = scanner_.take_while(is_digit);
        if (digits.empty()) return true;
        if (digits.size() > 4) return false;
        out = 0;
        for (const char c : digits) out = out * 10 + static_cast<unsigned>(c - '0');
        return true;
    }

    // [CFWS] ( token / quoted-string )
    std::optional<std::string> value() {
        if (!scanner_.skip_cfws()) return std::nullopt;
        if (scanner_.peek() == '"') return scanner_.take_quoted_string();
        // RFC 6532, RFC 8601 §2.5: UTF-8 may stand in an id.
        return std::string(scanner_.take_while(
            [](char c) { return is_token_octet(c) || static_cast<unsigned char>(c) > 127; }));
    }

    // methodspec behind its method, [ CFWS reasonspec ] [ CFWS 1*propspec ]
    bool resinfo(MethodResult& out) {
        if (take('/') && !number(out.version)) return false;
        if (!take('=')) return false;
        out.result = ascii_lower(keyword());
        if (out.result.empty()) return false;
        for (;;) {
            if (!scanner_.skip_cfws()) return false;
            if (scanner_.at_end() || scanner_.peek() == ';') return true;
            const std::string_view word = keyword();
            if (word.empty()) return false;
            if (equal_ignoring_case(word, "reason") && take('=')) {
                auto reason = value();
                if (!reason) return false;
                out.reason = std::move(*reason);
                continue;
            }
            ResultProperty property;
            property.type = ascii_lower(word);
            if (!take('.')) return false;
            property.name = ascii_lower(keyword());
            if (property.name.empty() || !take('=') || !pvalue(property.value)) return false;
            out.properties.push_back(std::move(property));
        }
    }

    // [CFWS] ( value / [ [ local-part ] "@" ] domain-name ); other octets than the grammar's are
    // taken too, as many write an address of IPv6 or a base64 text without quotes.
    bool pvalue(std::string& out) {
        if (!scanner_.skip_cfws()) return false;
        if (scanner_.peek() == '"') {
            auto text = scanner_.take_quoted_string();
            if (!text) return false;
            out = std::move(*text);
            if (scanner_.peek() != '@') return true;
            out = quoted(out, '"', '"');  // a local-part: as a mailbox is written
        }
        out += scanner_.take_while([](char c) {
            const auto octet = static_cast<unsigned char>(c);
            return octet > ' ' && octet != 127 && c != ';' && c != '(' && c != '"';
        });
        return !out.empty();
    }

    HeaderScanner scanner_;
};

// The form in which ids are compared: RFC 8601 §5 wants U-labels and A-labels to be equal.
std::string id_key(std::string_view id) { return a_labels(id).value_or(ascii_lower(id)); }

}  // namespace

std::string authentication_results_field(std::string_view authserv_id,
                                         std::span<const MethodResult> results, AddressForm form) {
    FieldWriter field(std::string(kFieldName) + ":");
    field.word(value_text(authserv_id, form));
    if (results.empty()) field.end("; none");
    for (const MethodResult& result : results) {
        field.end(";");
        std::string method = result.method;
        if (result.version != 1) method += fmt::format("/{}", result.version);
        field.line(fmt::format("{}={}", method, result.result));
        if (!result.comment.empty()) {
            field.words(quoted(cleaned(result.comment, form), '(', ')'));
        }
        if (!result.reason.empty()) field.word("reason=" + value_text(result.reason, form));
        for (const ResultProperty& property : result.properties) {
            field.word(fmt::format("{}.{}={}", property.type, property.name,
                                   pvalue_text(property.value, form)));
        }
    }
    return field.take();
}

std::optional<AuthenticationResults> AuthenticationResults::parse(std::string_view value) {
    AuthenticationResults out;
    Reader reader(value);
    // RFC 8601 §2.6: what follows an unknown version is not read.
    if (!reader.id(out)) return std::nullopt;
    if (out.version == kVersion && !reader.results(out)) return std::nullopt;
    return out;
}

bool claims(std::string_view value, std::span<const std::string> our_ids) {
    AuthenticationResults read;
    const bool has_id = Reader(value).id(read);
    // RFC 8601 §5: a version that is not supported goes too.
    if (has_id && read.version != kVersion) return true;
    const std::string key = has_id ? id_key(read.authserv_id) : std::string();
    // What we cannot read, others may: then the id anywhere is enough.
    const bool readable = has_id && AuthenticationResults::parse(value).has_value();
    const std::string folded = readable ? std::string() : ascii_lower(unfolded(value));
    return std::ranges::any_of(our_ids, [&](const std::string& id) {
        return key == id_key(id) ||
               (!readable && (folded.find(id_key(id)) != std::string::npos ||
                              folded.find(ascii_lower(id)) != std::string::npos));
    });
}

std::vector<OctetRange> claiming_fields(std::string_view header,
                                        std::span<const std::string> our_ids) {
    std::vector<OctetRange> out;
    HeaderReader fields(header);
    while (const auto field = fields.next()) {
        if (field->is_named(kFieldName) && claims(field->value, our_ids)) {
            out.push_back({field->begin, field->whole.size()});
        }
    }
    return out;
}

}  // namespace postrider::mailauth
