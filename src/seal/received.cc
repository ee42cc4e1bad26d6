#include "seal/received.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/limits.h"
#include "mail/trace.h"

namespace postrider::seal {

namespace {

constexpr std::size_t kLineOctetsPreferred = 78;  // RFC 5322 §2.1.1, without the CRLF

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A name that cannot harm. "_" is not in the grammar of a domain but is common in HELO.
bool is_domain(std::string_view text) {
    if (text.empty() || text.size() > kDomainOctetsMax) return false;
    char before = '.';
    for (char c : text) {
        if (!is_letter_or_digit(c) && c != '-' && c != '_' && c != '.') return false;
        if (c == '.' && before == '.') return false;
        before = c;
    }
    return before != '.';
}

// RFC 5321 §4.1.3, as far as its octets go.
bool is_address_literal(std::string_view text) {
    if (text.size() < 3 || text.size() > kDomainOctetsMax) return false;
    if (!text.starts_with('[') || !text.ends_with(']')) return false;
    text = text.substr(1, text.size() - 2);
    return std::ranges::all_of(
        text, [](char c) { return is_letter_or_digit(c) || c == '.' || c == ':' || c == '-'; });
}

std::string literal(std::string_view address) {
    bool bare_v6 = address.find(':') != std::string_view::npos && !address.starts_with("IPv6:");
    return std::string(bare_v6 ? "[IPv6:" : "[") + std::string(address) + "]";
}

// Text for a comment: RFC 5322 §3.2.2 ctext with what would end, nest or quote replaced, as is
// white space that could be folded, and all that is not ASCII.
std::string comment_text(std::string_view text) {
    std::string safe(text.substr(0, kDomainOctetsMax));
    for (char& c : safe) {
        if (c <= 32 || c >= 127 || c == '(' || c == ')' || c == '\\') c = '?';
    }
    return safe;
}

// The FROM clause: name of the client, what we know of it, and its odd HELO if it had one.
void add_from(std::vector<std::string>& words, const ReceivedFacts& facts) {
    const ClientFacts& client = facts.client;
    if (client.address.empty() && client.helo.empty()) return;  // made on this host
    std::string address;
    if (!client.address.empty()) {
        address = literal(client.address);
        if (!is_address_literal(address)) address = "[" + comment_text(client.address) + "]";
    }
    bool helo_is_name = is_domain(client.helo) || is_address_literal(client.helo);
    if (helo_is_name) {
        words.push_back("from " + client.helo);
    } else {
        words.push_back("from " + (is_address_literal(address) ? address : "localhost"));
    }
    if (!address.empty()) {
        bool named = is_domain(facts.reverse_name);
        words.push_back("(" + (named ? std::string(facts.reverse_name) : "unknown") + " " +
                        address + ")");
    }
    if (!helo_is_name && !client.helo.empty()) {
        words.push_back("(HELO " + comment_text(client.helo) + ")");
    }
}

// Each word is kept on one line; a line is folded before the word that would make it too long.
std::string folded(std::string_view name, const std::vector<std::string>& words) {
    std::string field(name);
    field += ':';
    std::size_t line = field.size();
    for (const std::string& word : words) {
        if (line + 1 + word.size() > kLineOctetsPreferred && line > 1) {
            field += "\r\n\t";
            line = 1;
        } else {
            field += ' ';
            line++;
        }
        field += word;
        line += word.size();
    }
    field += "\r\n";
    return field;
}

}  // namespace

// RFC 5321 §4.4: From-domain By-domain Opt-info ";" date-time. A TLS version and cipher stand in a
// comment behind the protocol.
std::string received_field(const ReceivedFacts& facts) {
    std::vector<std::string> words;
    words.reserve(8);
    add_from(words, facts);
    words.push_back("by " + comment_text(facts.host));
    if (!facts.client.protocol.empty()) {
        words.push_back("with " + comment_text(facts.client.protocol));
    }
    if (!facts.client.tls.empty()) {
        std::string tls = without_controls(facts.client.tls.substr(0, kDomainOctetsMax));
        std::ranges::replace_if(
            tls, [](char c) { return c == '(' || c == ')' || c == '\\' || c >= 127 || c < 0; },
            '?');
        words.push_back("(" + tls + ")");
    }
    words.push_back("id " + facts.id.text());
    if (facts.recipient) {
        words.push_back("for <" + without_controls(facts.recipient->text()) + ">");
    }
    // RFC 6710 §7: an additional clause.
    if (facts.priority) words.push_back("PRIORITY " + std::to_string(*facts.priority));
    words.back() += ";";
    words.push_back(date_time(facts.at, facts.zone_minutes));
    return folded("Received", words);
}

}  // namespace postrider::seal
