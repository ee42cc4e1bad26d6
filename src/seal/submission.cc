#include "seal/submission.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "mail/header.h"
#include "mail/mailbox.h"
#include "mail/trace.h"

namespace postrider::seal {

namespace {

constexpr std::size_t kAddressesMax = 10'000;  // in one field

bool is_atom_octet(char c) {
    return static_cast<unsigned char>(c) > 127 || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-/=?^_`{|}~.").contains(c);
}

// Tokens of RFC 5322 §3.2: white space and comments are passed over.
struct Token {
    enum class Kind : uint8_t {
        End,
        Bad,
        Word,     // atoms, dots
        Quoted,   // a quoted string
        Literal,  // a domain literal
        Special   // one of < > @ , ; :
    };
    Kind kind = Kind::End;
    std::size_t begin = 0, end = 0;
};

class Tokens {
public:
    explicit Tokens(std::string_view text) : text_(text) {}

    Token next() {
        if (!skip_white()) return {Token::Kind::Bad, at_, at_};
        if (at_ >= text_.size()) return {Token::Kind::End, at_, at_};
        const std::size_t begin = at_;
        const char c = text_[at_];
        if (c == '"') return enclosed('"', Token::Kind::Quoted);
        if (c == '[') return enclosed(']', Token::Kind::Literal);
        if (std::string_view("<>@,;:").contains(c)) {
            at_++;
            return {Token::Kind::Special, begin, at_};
        }
        while (at_ < text_.size() && is_atom_octet(text_[at_])) at_++;
        return {at_ > begin ? Token::Kind::Word : Token::Kind::Bad, begin, at_};
    }

private:
    Token enclosed(char closing, Token::Kind kind) {
        const std::size_t begin = at_++;
        for (; at_ < text_.size(); at_++) {
            if (text_[at_] == '\\') {
                at_++;
            } else if (text_[at_] == closing) {
                at_++;
                return {kind, begin, at_};
            }
        }
        return {Token::Kind::Bad, begin, at_};
    }

    // False: a comment that does not end.
    bool skip_white() {
        int depth = 0;
        for (; at_ < text_.size(); at_++) {
            const char c = text_[at_];
            if (c == '(') {
                depth++;
            } else if (depth > 0 && c == ')') {
                depth--;
            } else if (depth > 0 && c == '\\') {
                at_++;
            } else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
                return true;
            }
        }
        return depth == 0;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

// local-part [ "@" domain ] out of the tokens of one address.
std::optional<HeaderAddress> address_of(std::string_view value, const std::vector<Token>& tokens) {
    using Kind = Token::Kind;
    if (tokens.empty()) return std::nullopt;
    auto is_at = [&](const Token& token) {
        return token.kind == Kind::Special && value[token.begin] == '@';
    };
    const auto at = std::ranges::find_if(tokens, is_at);
    const auto locals = static_cast<std::size_t>(at - tokens.begin());
    // Obsolete white space around dots makes several words of one local-part; not taken up.
    if (locals != 1 || tokens[0].kind == Kind::Literal) return std::nullopt;
    HeaderAddress out{tokens.front().begin, tokens.back().end, {}, at != tokens.end()};
    for (const Token& token : tokens)
        out.text += value.substr(token.begin, token.end - token.begin);
    if (!out.has_domain) return out;
    const bool whole = tokens.size() == 3 && tokens[2].kind != Kind::Quoted && !is_at(tokens[2]);
    if (!whole) return std::nullopt;
    return out;
}

class AddressList {
public:
    explicit AddressList(std::string_view value) : value_(value), tokens_(value) {}

    std::optional<std::vector<HeaderAddress>> read() {
        for (;;) {
            const Token token = tokens_.next();
            if (token.kind == Token::Kind::Bad || out_.size() > kAddressesMax) return std::nullopt;
            if (token.kind == Token::Kind::End) {
                if (!end_one()) return std::nullopt;
                return std::move(out_);
            }
            if (!take(token)) return std::nullopt;
        }
    }

private:
    bool take(const Token& token) {
        const char c = token.kind == Token::Kind::Special ? value_[token.begin] : '\0';
        if (c == '<') {
            if (angle_) return false;
            angle_ = true;
            held_.clear();
        } else if (c == '>') {
            if (!angle_ || closed_) return false;
            closed_ = true;
        } else if (c == ',' || c == ';') {
            return (angle_ && !closed_) ? false : end_one();
        } else if (c == ':') {
            held_.clear();  // the name of a group, or an obsolete route
        } else if (closed_) {
            return false;
        } else {
            held_.push_back(token);
        }
        return true;
    }

    bool end_one() {
        const bool open = angle_ && !closed_;
        const bool nothing = held_.empty() && !angle_;
        if (open) return false;
        if (!nothing) {
            auto address = address_of(value_, held_);
            if (!address) return false;
            out_.push_back(std::move(*address));
        }
        held_.clear();
        angle_ = closed_ = false;
        return true;
    }

    std::string_view value_;
    Tokens tokens_;
    std::vector<Token> held_;
    std::vector<HeaderAddress> out_;
    bool angle_ = false;
    bool closed_ = false;
};

constexpr std::array<std::string_view, 7> kAddressFields = {"From", "Sender",      "Reply-To", "To",
                                                            "Cc",   "Resent-From", "Resent-To"};

bool is_one_of(const HeaderField& field, std::span<const std::string_view> names) {
    return std::ranges::any_of(names, [&](std::string_view name) { return field.is_named(name); });
}

std::unexpected<SubmissionFault> fault(EnhancedStatus status, std::string reason) {
    return std::unexpected(SubmissionFault{status, std::move(reason)});
}

// The field with the domain behind each address that has none. Nothing needs a change: as it is.
Result<std::string, SubmissionFault> qualified(const HeaderField& field,
                                               const SubmissionRules& rules) {
    const auto addresses = header_addresses(field.value);
    // What cannot be read is left alone: only From must be understood.
    if (!addresses) return std::string(field.whole);
    std::string value;
    std::size_t done = 0;
    for (const HeaderAddress& address : *addresses) {
        if (address.has_domain) continue;
        if (rules.domain.empty()) {
            return fault({5, 6, 2}, fmt::format("the address {} in {} has no domain", address.text,
                                                field.name));
        }
        value += field.value.substr(done, address.end - done);
        value += "@" + rules.domain;
        done = address.end;
    }
    if (done == 0) return std::string(field.whole);
    value += field.value.substr(done);
    return std::string(field.name) + ":" + value + "\r\n";
}

class Editor {
public:
    explicit Editor(const SubmissionRules& rules) : rules_(rules) {}

    Result<std::string, SubmissionFault> edit(std::string_view block) {
        HeaderReader reader(block);
        while (auto field = reader.next()) {
            if (auto taken = take(*field); !taken) return std::unexpected(taken.error());
        }
        out_ += block.substr(reader.header_octets());
        if (auto done = check_senders(); !done) return std::unexpected(done.error());
        add_missing();
        return std::move(out_);
    }

private:
    Status<SubmissionFault> take(const HeaderField& field) {
        constexpr std::array<std::string_view, 2> kBlind = {"Bcc", "Resent-Bcc"};
        if (is_one_of(field, kBlind)) return {};
        has_date_ = has_date_ || field.is_named("Date");
        has_id_ = has_id_ || field.is_named("Message-ID");
        std::string whole(field.whole);
        if (is_one_of(field, kAddressFields)) {
            auto completed = qualified(field, rules_);
            if (!completed) return std::unexpected(completed.error());
            whole = std::move(*completed);
        }
        if (field.is_named("From")) {
            if (++from_fields_ > 1) return fault({5, 6, 0}, "the message has two From fields");
            from_ = addresses_in(whole);
            if (from_.empty()) return fault({5, 6, 0}, "the From field cannot be read");
        }
        if (field.is_named("Sender")) {
            if (++sender_fields_ > 1) return fault({5, 6, 0}, "the message has two Sender fields");
            sender_ = addresses_in(whole);
            // Where it stands, should it have to go.
            sender_begin_ = out_.size();
            sender_size_ = whole.size();
        }
        out_ += whole;
        // A block that ends without a line end must not run into what is added.
        if (!out_.ends_with('\n')) out_ += "\r\n";
        return {};
    }

    static std::vector<std::string> addresses_in(std::string_view whole) {
        HeaderReader reader(whole);
        const auto field = reader.next();
        const auto addresses = field ? header_addresses(field->value) : std::nullopt;
        std::vector<std::string> out;
        if (!addresses) return out;
        for (const HeaderAddress& address : *addresses) out.push_back(address.text);
        return out;
    }

    bool all_own(const std::vector<std::string>& addresses) const {
        return std::ranges::all_of(
            addresses, [&](const std::string& address) { return rules_.is_own(address); });
    }

    // RFC 6409 §8.1; RFC 5322 §3.6.2.
    Status<SubmissionFault> check_senders() {
        const bool sender_foreign =
            sender_fields_ > 0 && (sender_.size() != 1 || !all_own(sender_));
        const bool from_foreign = !all_own(from_);
        if (!rules_.adds_sender) {
            if (from_foreign) return fault({5, 7, 1}, "From is not an address of your account");
            if (sender_foreign) return fault({5, 7, 1}, "Sender is not an address of your account");
            return {};
        }
        if (sender_foreign) out_.erase(sender_begin_, sender_size_);
        const bool has_sender = sender_fields_ > 0 && !sender_foreign;
        if (sender_foreign || (from_foreign && !has_sender)) {
            if (rules_.sender.empty()) {
                return fault({5, 7, 1}, "From is not an address of your account");
            }
            out_ += "Sender: <" + rules_.sender + ">\r\n";
        }
        return {};
    }

    void add_missing() {
        if (from_fields_ == 0) out_ += "From: <" + rules_.sender + ">\r\n";
        if (!has_date_) out_ += "Date: " + date_time(rules_.now) + "\r\n";
        if (!has_id_) {
            out_ += fmt::format("Message-ID: <{}@{}>\r\n", rules_.id.text(), rules_.hostname);
        }
    }

    const SubmissionRules& rules_;
    std::string out_;
    std::vector<std::string> from_, sender_;
    std::size_t from_fields_ = 0, sender_fields_ = 0, sender_begin_ = 0, sender_size_ = 0;
    bool has_date_ = false, has_id_ = false;
};

}  // namespace

std::optional<std::vector<HeaderAddress>> header_addresses(std::string_view value) {
    return AddressList(value).read();
}

Result<std::string, SubmissionFault> complete_submission(std::string_view block,
                                                         const SubmissionRules& rules) {
    if (find_field(block, "From") == std::nullopt && rules.sender.empty()) {
        return fault({5, 6, 0}, "the message has no From field");
    }
    return Editor(rules).edit(block);
}

}  // namespace postrider::seal
