#include "seal/received.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/limits.h"
#include "mail/trace.h"

namespace postrider::seal {

namespace {

constexpr std::size_t kLineOctetsPreferred = 78;  // RFC 5322 §2.1.1, without the CRLF
constexpr std::size_t kFieldOctetsUsual = 320;

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

// A header field while it grows. Each word is kept on one line; a line is folded before the word
// that would make it too long.
class Field {
public:
    explicit Field(std::string_view name) {
        text_.reserve(kFieldOctetsUsual);
        text_ += name;
        text_ += ':';
        line_ = text_.size();
    }

    // A word in parts, which may hold blanks.
    void add(std::initializer_list<std::string_view> parts) {
        std::size_t octets = 0;
        for (std::string_view part : parts) octets += part.size();
        if (line_ + 1 + octets > kLineOctetsPreferred && line_ > 1) {
            text_ += "\r\n\t";
            line_ = 1;
        } else {
            text_ += ' ';
            line_++;
        }
        for (std::string_view part : parts) text_ += part;
        line_ += octets;
    }

    std::string end() && {
        text_ += "\r\n";
        return std::move(text_);
    }

private:
    std::string text_;
    std::size_t line_ = 0;  // octets of the present line
};

// The FROM clause: name of the client, what we know of it, and its odd HELO if it had one.
void add_from(Field& field, const ReceivedFacts& facts) {
    const ClientFacts& client = facts.client;
    if (client.address.empty() && client.helo.empty()) return;  // made on this host
    std::string address;
    if (!client.address.empty()) {
        address = literal(client.address);
        if (!is_address_literal(address)) address = "[" + comment_text(client.address) + "]";
    }
    bool helo_is_name = is_domain(client.helo) || is_address_literal(client.helo);
    if (helo_is_name) {
        field.add({"from ", client.helo});
    } else {
        field.add({"from ", is_address_literal(address) ? address : "localhost"});
    }
    if (!address.empty()) {
        bool named = is_domain(facts.reverse_name);
        field.add({"(", named ? facts.reverse_name : "unknown", " ", address, ")"});
    }
    if (!helo_is_name && !client.helo.empty()) {
        field.add({"(HELO ", comment_text(client.helo), ")"});
    }
}

}  // namespace

// RFC 5321 §4.4: From-domain By-domain Opt-info ";" date-time. A TLS version and cipher stand in a
// comment behind the protocol.
std::string received_field(const ReceivedFacts& facts) {
    Field field("Received");
    add_from(field, facts);
    field.add({"by ", comment_text(facts.host)});
    if (!facts.client.protocol.empty()) field.add({"with ", comment_text(facts.client.protocol)});
    if (!facts.client.tls.empty()) {
        std::string tls = without_controls(facts.client.tls.substr(0, kDomainOctetsMax));
        std::ranges::replace_if(
            tls, [](char c) { return c == '(' || c == ')' || c == '\\' || c >= 127 || c < 0; },
            '?');
        field.add({"(", tls, ")"});
    }
    // RFC 6710 §7: an additional clause.
    bool more = facts.recipient || facts.priority;
    field.add({"id ", facts.id.text(), more ? "" : ";"});
    if (facts.recipient) {
        std::string to = without_controls(facts.recipient->text());
        field.add({"for <", to, facts.priority ? ">" : ">;"});
    }
    if (facts.priority) field.add({"PRIORITY ", std::to_string(*facts.priority), ";"});
    field.add({date_time(facts.at, facts.zone_minutes)});
    return std::move(field).end();
}

}  // namespace postrider::seal
