#include "route/mailbox_path.h"

#include <fmt/format.h>

namespace postrider::route {

namespace {

constexpr std::string_view kDomainWord = "{domain}";
constexpr std::string_view kLocalWord = "{local}";

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '+' || c == '=' || c == '.' || c == '@';
}

}  // namespace

std::string encode_component(std::string_view text) {
    // An empty local-part ("" in quotes) is legal. A lone % stands for it: elsewhere two digits
    // follow, so nothing else can give it.
    if (text.empty()) return "%";
    constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size() + 8);
    for (char c : text) {
        if (is_plain(c) && !(c == '.' && out.empty())) {
            out += c;
        } else {
            auto octet = static_cast<unsigned char>(c);
            out += '%';
            out += kHex[octet >> 4];
            out += kHex[octet & 15];
        }
    }
    return out;
}

Result<MailboxPath> MailboxPath::parse(std::string_view text) {
    if (text.find('\0') != text.npos) return fail("the mailbox path must not hold NUL");
    bool has_local = false;
    for (std::size_t at = text.find_first_of("{}"); at != text.npos;
         at = text.find_first_of("{}", at)) {
        std::string_view rest = text.substr(at);
        if (rest.starts_with(kDomainWord)) {
            at += kDomainWord.size();
        } else if (rest.starts_with(kLocalWord)) {
            has_local = true;
            at += kLocalWord.size();
        } else {
            std::size_t end = rest.find('}');
            if (rest[0] == '}' || end == rest.npos) {
                return fail("the mailbox path has a brace without its partner");
            }
            return fail(fmt::format("the mailbox path knows {{domain}} and {{local}}, not {}",
                                    rest.substr(0, end + 1)));
        }
    }
    if (!has_local) return fail("the mailbox path must hold {local}, or all mailboxes are one");
    return MailboxPath(std::string(text));
}

std::string MailboxPath::path(std::string_view domain, std::string_view local_part) const {
    std::string out;
    out.reserve(text_.size() + domain.size() + local_part.size());
    std::string_view rest = text_;
    while (!rest.empty()) {
        std::size_t brace = rest.find('{');
        out += rest.substr(0, brace);
        if (brace == rest.npos) break;
        rest.remove_prefix(brace);
        bool is_domain = rest.starts_with(kDomainWord);
        out += encode_component(is_domain ? domain : local_part);
        rest.remove_prefix(is_domain ? kDomainWord.size() : kLocalWord.size());
    }
    return out;
}

}  // namespace postrider::route
