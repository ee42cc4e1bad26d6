#include "front/message.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "mail/drop_file.h"
#include "mail/header.h"
#include "mail/trace.h"

namespace postrider::front {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Goes through one address list.
class AddressListReader {
public:
    explicit AddressListReader(std::string_view text) : text_(text) {}

    Result<std::vector<std::string>> read() {
        while (at_ < text_.size()) {
            char c = text_[at_++];
            bool sound = true;
            switch (c) {
                case '(':
                    sound = skip_comment();
                    break;
                case '"':
                    sound = take_quoted();
                    break;
                case '<':
                    sound = take_angle();
                    break;
                case '[':
                    sound = take_literal();
                    break;
                case ',':
                case ';':
                    end_address();
                    break;
                case ':':  // the name of a group stood before it (RFC 5322 §3.4)
                    bare_.clear();
                    break;
                default:
                    if (!is_blank(c)) bare_ += c;
                    break;
            }
            if (!sound) return fail("cannot read the addresses \"" + unfolded(text_) + "\"");
        }
        end_address();
        return std::move(found_);
    }

private:
    bool skip_comment() {
        int depth = 1;
        while (at_ < text_.size() && depth > 0) {
            char c = text_[at_++];
            if (c == '\\' && at_ < text_.size()) at_++;
            if (c == '(') depth++;
            if (c == ')') depth--;
        }
        return depth == 0;
    }

    bool take_quoted() {
        bare_ += '"';
        while (at_ < text_.size()) {
            char c = text_[at_++];
            if (c != '\r' && c != '\n') bare_ += c;
            if (c == '"') return true;
            if (c == '\\' && at_ < text_.size()) bare_ += text_[at_++];
        }
        return false;
    }

    bool take_literal() {
        std::size_t end = text_.find(']', at_);
        if (end == std::string_view::npos) return false;
        bare_ += '[';
        bare_ += text_.substr(at_, end + 1 - at_);
        at_ = end + 1;
        return true;
    }

    // What stood before it was the name.
    bool take_angle() {
        std::size_t end = at_;
        for (bool quoted = false; end < text_.size() && (quoted || text_[end] != '>'); end++) {
            if (text_[end] == '"') quoted = !quoted;
            if (text_[end] == '\\' && quoted) end++;
        }
        if (end >= text_.size()) return false;
        std::string address(text_.substr(at_, end - at_));
        std::erase_if(address, is_blank);
        at_ = end + 1;
        bare_.clear();
        if (!address.empty()) found_.push_back(std::move(address));
        return true;
    }

    void end_address() {
        if (!bare_.empty()) found_.push_back(std::exchange(bare_, {}));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string bare_;
    std::vector<std::string> found_;
};

// Lines with CRLF, up to the dot if it ends the message.
std::string with_crlf(std::string_view text, bool dot_ends) {
    std::string out;
    out.reserve(text.size() + text.size() / 32 + 2);
    while (!text.empty()) {
        std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
        std::string_view line = text.substr(0, end);
        if (dot_ends && line == ".") break;
        out += line;
        out += "\r\n";
        text.remove_prefix(end);
        if (text.starts_with("\r\n")) {
            text.remove_prefix(2);
        } else if (!text.empty()) {
            text.remove_prefix(1);
        }
    }
    return out;
}

std::string_view without_mbox_line(std::string_view text) {
    if (!text.starts_with("From ") && !text.starts_with(">From ")) return text;
    std::size_t end = text.find('\n');
    return end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
}

// RFC 2047 §4.2: the Q encoding, as one word of at most 75 octets.
std::string encoded_word(std::string_view text) {
    std::string out = "=?UTF-8?Q?";
    for (char c : text) {
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        std::array<char, 4> hex{};
        std::snprintf(hex.data(), hex.size(), "=%02X", static_cast<unsigned char>(c));
        std::string piece = plain ? std::string(1, c) : c == ' ' ? "_" : hex.data();
        if (out.size() + piece.size() > 73) break;
        out += piece;
    }
    return out + "?=";
}

std::string from_field(const Author& author) {
    std::string name = without_controls(author.full_name.substr(0, 200));
    if (name.empty()) return "From: " + author.address + "\r\n";
    if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) > 126; })) {
        return "From: " + encoded_word(name) + " <" + author.address + ">\r\n";
    }
    std::string quoted;
    for (char c : name) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return "From: \"" + quoted + "\" <" + author.address + ">\r\n";
}

bool is_one_of(const HeaderField& field, std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(names, [&](std::string_view name) { return field.is_named(name); });
}

}  // namespace

Result<std::vector<std::string>> addresses_in(std::string_view list) {
    return AddressListReader(list).read();
}

Result<Message> complete(std::string_view text, bool dot_ends, const Author& author,
                         std::string_view id, std::string_view host, Wall now) {
    if (text.find('\0') != std::string_view::npos) return fail("the message holds an octet NUL");
    std::string lines = with_crlf(without_mbox_line(text), dot_ends);

    std::string kept;
    std::vector<std::string> plain, resent;
    bool has_date = false, has_from = false, has_id = false, is_resent = false;
    HeaderReader reader(lines);
    while (auto field = reader.next()) {
        has_date = has_date || field->is_named("Date");
        has_from = has_from || field->is_named("From");
        has_id = has_id || field->is_named("Message-ID");
        bool again = is_one_of(*field, {"Resent-To", "Resent-Cc", "Resent-Bcc"});
        is_resent = is_resent || again;
        if (again || is_one_of(*field, {"To", "Cc", "Bcc"})) {
            auto addresses = addresses_in(field->value);
            if (!addresses) return std::unexpected(addresses.error());
            auto& into = again ? resent : plain;
            into.insert(into.end(), addresses->begin(), addresses->end());
        }
        if (!is_one_of(*field, {"Bcc", "Resent-Bcc", "Return-Path"})) kept += field->whole;
    }

    Message message;
    message.recipients = is_resent ? std::move(resent) : std::move(plain);
    // RFC 5322 §3.6: the fields that must be there.
    if (!has_date) message.content += "Date: " + date_time(now) + "\r\n";
    if (!has_from) message.content += from_field(author);
    if (!has_id) {
        message.content += "Message-ID: <" + std::string(id) + "@" + std::string(host) + ">\r\n";
    }
    message.content += kept;
    message.content += "\r\n";
    message.content.append(lines, reader.body_begin());
    message.has_8bit = std::ranges::any_of(
        message.content, [](char c) { return static_cast<unsigned char>(c) > 127; });
    return message;
}

std::string drop_head(const smtp::TransactionRequest& request) {
    smtp::Capabilities reader;
    reader.extended = reader.eight_bit_mime = reader.smtputf8 = true;
    std::string head(kDropMagic);
    smtp::append_mail_command(head, request, reader);
    for (const Recipient& recipient : request.recipients) {
        smtp::append_rcpt_command(head, recipient, request, reader);
    }
    return head + "DATA\r\n";
}

}  // namespace postrider::front
