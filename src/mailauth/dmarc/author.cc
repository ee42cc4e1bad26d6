#include "mailauth/dmarc/author.h"

#include <fmt/format.h>

#include <algorithm>

#include "mail/header.h"
#include "mailauth/domain.h"
#include "mailauth/header_scanner.h"

namespace postrider::mailauth::dmarc {

namespace {

// Reads one From field. Domains go into `authors`; the first trouble into its problem.
class FromReader {
public:
    FromReader(std::string_view value, Authors& authors) : scanner_(value), authors_(authors) {}

    // RFC 5322 §3.6.2, RFC 6854 §2.1: from = "From:" (mailbox-list / address-list).
    void read() {
        for (;;) {
            if (!skip()) return;
            if (scanner_.at_end()) break;
            if (scanner_.take(',')) continue;  // obs-mbox-list: elements may be empty
            if (in_group_ && scanner_.take(';')) {
                in_group_ = false;
                continue;
            }
            read_element();
        }
        if (in_group_) trouble("has a group that does not end");
    }

private:
    bool skip() {
        if (scanner_.skip_cfws()) return true;
        trouble("has a comment that does not end");
        return false;
    }

    void trouble(std::string_view what) {
        if (authors_.problem.empty()) authors_.problem = fmt::format("the From field {}", what);
    }

    // A mailbox, or the display name of a group with its colon. After trouble: up to the next
    // comma.
    void read_element() {
        const bool words = read_phrase();
        if (scanner_.take('<')) {
            if (!read_angle()) resume();
        } else if (scanner_.take('@')) {
            if (!words) trouble("has an address without a local-part");
            if (!read_domain()) resume();
        } else if (words && !in_group_ && scanner_.take(':')) {
            in_group_ = true;
            return;
        } else {
            trouble("holds something that is no address");
            resume();
            return;
        }
        if (!skip()) return;
        // What follows an address ends it: an "@" in a display name without quotes, or two
        // addresses without a comma, are read as two.
        const char next = scanner_.peek();
        if (!scanner_.at_end() && next != ',' && !(in_group_ && next == ';')) {
            trouble("has something behind an address that is neither a comma nor the end");
            if (next == '<' || next == '@' || is_atext(next) || next == '"') return;
            resume();
        }
    }

    // RFC 5322 §3.2.5, §4.1: words, and dots between them. False when there is none.
    bool read_phrase() {
        bool any = false;
        while (skip() && !scanner_.at_end()) {
            if (scanner_.peek() == '"') {
                if (!scanner_.take_quoted_string()) {
                    trouble("has a quoted string that does not end");
                    scanner_.take('"');
                }
            } else if (!scanner_.take('.') && scanner_.take_while(is_atext).empty()) {
                break;
            }
            any = true;
        }
        return any;
    }

    // angle-addr behind its "<": [obs-route] local-part "@" domain ">"
    bool read_angle() {
        // RFC 5322 §4.4: obs-route = "@" domain *("," "@" domain) ":"; a way, not an author.
        while (skip() && (scanner_.peek() == '@' || scanner_.peek() == ',')) {
            if (scanner_.take(',')) continue;
            scanner_.take('@');
            if (read_domain_text().empty()) break;
            if (skip() && scanner_.take(':')) break;
        }
        if (!read_phrase()) trouble("has an address without a local-part");
        if (!scanner_.take('@')) {
            trouble("has an address without a domain");
            return false;
        }
        if (!read_domain()) return false;
        if (skip() && scanner_.take('>')) return true;
        trouble("has an address whose \"<\" is not closed");
        return false;
    }

    // RFC 5322 §3.4.1: dot-atom, with white space around the dots (§4.4); or a literal's text.
    std::string read_domain_text() {
        std::string text;
        if (!skip()) return text;
        if (scanner_.take('[')) {
            text = "[";
            text += scanner_.take_while([](char c) { return c != ']' && c != '['; });
            scanner_.take(']');
            return text;
        }
        for (;;) {
            text += scanner_.take_while(is_atext);
            if (!skip() || !scanner_.take('.')) return text;
            text += '.';
            if (!skip()) return text;
        }
    }

    // False when it cannot be read to its end.
    bool read_domain() {
        const std::string text = read_domain_text();
        if (text.empty()) {
            trouble("has an address without a domain");
            return false;
        }
        if (text.front() == '[') {
            trouble("has an address literal, which has no domain");
            return true;
        }
        const auto domain = a_labels(text);
        if (!domain) {
            trouble(fmt::format("has the domain \"{}\", which is none", shown(text)));
            return true;
        }
        if (std::ranges::find(authors_.domains, *domain) != authors_.domains.end()) return true;
        if (authors_.domains.size() == kAuthorDomainsMax) {
            authors_.complete = false;
        } else {
            authors_.domains.push_back(*domain);
        }
        return true;
    }

    void resume() { scanner_.skip_to(in_group_ ? ",;" : ","); }

    HeaderScanner scanner_;
    Authors& authors_;
    bool in_group_ = false;
};

}  // namespace

Authors authors_of(std::string_view header) {
    Authors authors;
    HeaderReader fields(header);
    while (const auto field = fields.next()) {
        if (!field->is_named("From")) continue;
        authors.fields++;
        FromReader(field->value, authors).read();
    }
    if (authors.fields == 0) {
        authors.problem = "there is no From field";
    } else if (authors.fields > 1) {
        authors.problem = fmt::format("there are {} From fields", authors.fields);
    } else if (authors.problem.empty() && authors.domains.empty()) {
        authors.problem = "the From field names no address";
    } else if (authors.problem.empty() && authors.domains.size() > 1) {
        authors.problem =
            fmt::format("the From field names addresses of {} domains", authors.domains.size());
    }
    return authors;
}

}  // namespace postrider::mailauth::dmarc
