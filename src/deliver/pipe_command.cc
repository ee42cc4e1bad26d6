#include "deliver/pipe_command.h"

#include <algorithm>
#include <array>
#include <utility>

namespace postrider::deliver {

namespace {

constexpr std::size_t kCommandOctetsMax = 4096;

struct Placeholder {
    std::string_view name;
    std::string PipeAddresses::* value;
};

constexpr std::array<Placeholder, 5> kPlaceholders = {{
    {"sender", &PipeAddresses::sender},
    {"recipient", &PipeAddresses::recipient},
    {"local", &PipeAddresses::local},
    {"domain", &PipeAddresses::domain},
    {"extension", &PipeAddresses::extension},
}};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// The place of the first delimiter that has something before it.
std::size_t find_delimiter(std::string_view local, std::string_view delimiters) {
    if (local.empty() || delimiters.empty()) return std::string_view::npos;
    return local.find_first_of(delimiters, 1);
}

}  // namespace

// Goes through the command once.
class PipeCommandReader {
public:
    explicit PipeCommandReader(std::string_view text) : text_(text) {}

    Result<PipeCommand> read() {
        if (text_.size() > kCommandOctetsMax) return fail("the command is too long");
        while (at_ < text_.size()) {
            char c = text_[at_++];
            if (static_cast<unsigned char>(c) < 32 && c != '\t') {
                return fail("the command holds a control character");
            }
            if (quote_ == 0 && is_blank(c)) {
                end_word();
            } else if (auto taken = take(c); !taken) {
                return std::unexpected(taken.error());
            }
        }
        if (quote_ != 0) return fail(std::string("a ") + quote_ + " is not closed");
        end_word();
        return checked();
    }

private:
    Status<Error> take(char c) {
        in_word_ = true;
        if (c == quote_) {
            quote_ = 0;
        } else if (quote_ == 0 && (c == '\'' || c == '"')) {
            quote_ = c;
        } else if (c == '\\' && quote_ != '\'') {
            if (at_ == text_.size()) return fail("a backslash stands at the end");
            add(text_[at_++]);
        } else if (c == '{') {
            return take_placeholder();
        } else if (c == '}') {
            if (at_ == text_.size() || text_[at_] != '}') {
                return fail("a } stands alone; write }} for a brace");
            }
            at_++;
            add('}');
        } else {
            add(c);
        }
        return {};
    }

    Status<Error> take_placeholder() {
        if (at_ < text_.size() && text_[at_] == '{') {
            at_++;
            add('{');
            return {};
        }
        std::size_t end = text_.find('}', at_);
        if (end == std::string_view::npos) return fail("a { is not closed; write {{ for a brace");
        std::string_view name = text_.substr(at_, end - at_);
        auto found = std::ranges::find(kPlaceholders, name, &Placeholder::name);
        if (found == kPlaceholders.end()) {
            return fail("{" + std::string(name) +
                        "} is not known; there are {sender}, {recipient}, "
                        "{local}, {domain} and {extension}");
        }
        at_ = end + 1;
        word_.push_back({.value = found->value});
        return {};
    }

    void add(char c) {
        if (word_.empty() || word_.back().value) word_.push_back({});
        word_.back().text += c;
    }

    void end_word() {
        if (!in_word_) return;
        if (word_.empty()) word_.push_back({});  // '' is a word too
        command_.words_.push_back(std::exchange(word_, {}));
        in_word_ = false;
    }

    Result<PipeCommand> checked() {
        if (command_.words_.empty()) return fail("the command is empty");
        const auto& first = command_.words_.front();
        bool is_path =
            first.size() == 1 && !first.front().value && first.front().text.starts_with('/');
        if (!is_path) return fail("the program must be named by its absolute path");
        return std::move(command_);
    }

    std::string_view text_;
    std::size_t at_ = 0;
    char quote_ = 0;
    bool in_word_ = false;
    PipeCommand::Word word_;
    PipeCommand command_;
};

Result<PipeCommand> PipeCommand::parse(std::string_view text) {
    return PipeCommandReader(text).read();
}

Result<std::vector<std::string>> PipeCommand::arguments(const PipeAddresses& addresses) const {
    std::vector<std::string> out;
    bool options_ended = false;
    for (const Word& word : words_) {
        std::string argument;
        // Text at its front, be it "-", was the operator's own wish.
        bool begins_outside = word.front().value && !options_ended;
        for (const Piece& piece : word)
            argument += piece.value ? addresses.*piece.value : piece.text;
        if (begins_outside && argument.starts_with('-')) {
            return fail("an address that begins with \"-\" would be taken for an option");
        }
        if (word.size() == 1 && word.front().text == "--") options_ended = true;
        out.push_back(std::move(argument));
    }
    return out;
}

PipeAddresses pipe_addresses(const Envelope& envelope, uint32_t recipient,
                             std::string_view delimiters) {
    const Recipient& to = envelope.recipient(recipient);
    PipeAddresses out;
    out.sender = envelope.variant_of(recipient).reverse_path.text();
    out.recipient = to.mailbox.text();
    if (to.original) out.original = to.original->text();
    out.local = to.mailbox.local_part;
    out.domain = to.mailbox.domain;

    std::size_t at = find_delimiter(out.local, delimiters);
    if (at != std::string::npos) {
        out.extension = out.local.substr(at + 1);
        out.local.resize(at);
    } else if (to.original && to.original->domain == out.domain) {
        // The tag was taken off on the way to the mailbox: user+tag led to user.
        const std::string& named = to.original->local_part;
        std::size_t tag = find_delimiter(named, delimiters);
        if (tag != std::string::npos && named.substr(0, tag) == out.local) {
            out.extension = named.substr(tag + 1);
        }
    }
    return out;
}

}  // namespace postrider::deliver
