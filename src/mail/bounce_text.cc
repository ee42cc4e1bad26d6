#include "mail/bounce_text.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "mail/bounce.h"

namespace postrider {

namespace {

constexpr std::size_t kSaidOctetsMax = 4096;  // of one address
constexpr std::size_t kLinesMax = 10'000;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
    return out;
}

bool contains_any(std::string_view text, auto&& patterns) {
    return std::ranges::any_of(patterns, [&](std::string_view p) { return text.contains(p); });
}

bool starts_with_any(std::string_view text, auto&& patterns) {
    return std::ranges::any_of(patterns, [&](std::string_view p) { return text.starts_with(p); });
}

// A line (in lower case) after which somebody else's words stand.
bool begins_returned_message(std::string_view line) {
    constexpr std::array kHead = {"received: ",  "received:from", "return-path: ",
                                  "message-id:", "x-received: ",  "dkim-signature:"};
    constexpr std::array kAnywhere = {
        "original message follows",
        "below this line is a copy",
        "copy of the original message",
        "copy of the message",
        "copy of the first",
        "original message -----",
        "original message-----",
        "--- original message",
        "---original message",
        "----original",
        "unsent message follows",
        "unsent message below",
        "message headers follow",
        "message text follows",
        "message header follows",
        "header of the original message",
        "returned message ----",
        "the header page of the original",
        "included is a copy of the message",
        "original mail information",
        "original mail info",
        "original message headers",
        "original message header",
    };
    return starts_with_any(line, kHead) || contains_any(line, kAnywhere);
}

// A line (in lower case) that names people who are not recipients.
bool names_others(std::string_view line) {
    constexpr std::array kHead = {
        "from:",      "reply-to:",        "sender:",     "message-id:", "> from:",
        "subject:",   "original sender:", "references:", "x-mailer:",   "cc:",
        "errors-to:", "in-reply-to:",     "from ",       "date:",       "original-envelope"};
    constexpr std::array kAnywhere = {"for further assistance",
                                      "please contact",
                                      "contact <",
                                      "mail from:",
                                      "mail from <",
                                      "sent from",
                                      "the following message from"};
    return starts_with_any(line, kHead) || contains_any(line, kAnywhere);
}

bool is_of_address(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view(".!#$%&'*+-/=?^_`{|}~").contains(c);
}

bool is_of_domain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

// Addresses in the order in which they came, each once whatever its case.
class AddressList {
public:
    void add(std::string_view address) {
        if (index_.try_emplace(lower(address), order_.size()).second) order_.emplace_back(address);
    }
    const std::vector<std::string>& in_order() const { return order_; }
    std::optional<std::size_t> place_of(std::string_view address) const {
        auto found = index_.find(lower(address));
        if (found == index_.end()) return std::nullopt;
        return found->second;
    }

private:
    std::vector<std::string> order_;
    std::unordered_map<std::string, std::size_t> index_;
};

AddressList list_of(const std::vector<std::string>& addresses) {
    AddressList out;
    for (const std::string& address : addresses) out.add(address);
    return out;
}

// Whether an address stands where a report puts the one it is about: first in its line, in angle
// brackets first, or behind a word that says so.
bool stands_out(std::string_view line, std::string_view address) {
    std::size_t at = line.find(address);
    if (at == std::string_view::npos || lower(line).starts_with("to:")) return false;
    std::string before = lower(line.substr(0, at));
    while (!before.empty() && std::string_view(" \t<\"*>([").contains(before.back())) {
        before.pop_back();
    }
    constexpr std::array kWords = {
        "rcpt to:",   "recipient:",  "recipient", "mail to",       "message to",  "rcpt:",   "to",
        "addresses:", "delivery to", "to:",       "delivered to:", "address(es)", "failed:", "user",
        "size:",      "is full:",    "group",     "attempts:",     "mailto:",     "address:"};
    // "550 <a@b.example>... User unknown"
    std::string_view end =
        std::string_view(before).substr(before.size() - std::min<std::size_t>(before.size(), 3));
    bool code = end.size() == 3 && (end[0] == '4' || end[0] == '5') &&
                std::ranges::all_of(end, [](char c) { return c >= '0' && c <= '9'; });
    return before.empty() || code || std::ranges::any_of(kWords, [&](std::string_view word) {
               return before.ends_with(word);
           });
}

}  // namespace

std::vector<std::string> addresses_in(std::string_view line) {
    std::vector<std::string> out;
    for (std::size_t at = line.find('@'); at != std::string_view::npos;
         at = line.find('@', at + 1)) {
        std::size_t begin = at;
        if (begin > 1 && line[begin - 1] == '"') {  // "john doe"@a.example
            std::size_t quote = line.rfind('"', begin - 2);
            if (quote != std::string_view::npos) begin = quote;
        } else {
            while (begin > 0 && is_of_address(line[begin - 1])) begin--;
        }
        std::size_t end = at + 1;
        while (end < line.size() && is_of_domain(line[end])) end++;
        while (end > at && (line[end - 1] == '.' || line[end - 1] == '-')) end--;
        if (begin == at || end == at + 1 || out.size() >= 16) continue;
        std::string_view candidate = line.substr(begin, end - begin);
        if (!line.substr(at + 1, end - at - 1).contains('.')) continue;
        while (candidate.starts_with('\'') || candidate.starts_with('=')) {
            candidate.remove_prefix(1);
        }
        bool quoted = candidate.starts_with('"');
        if (!quoted && (candidate.starts_with('@') || candidate.contains("//"))) continue;
        if (std::ranges::find(out, candidate) == out.end()) out.emplace_back(candidate);
    }
    return out;
}

std::string_view before_returned_message(std::string_view text) {
    bool said_anything = false;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = std::min(text.find('\n', at), text.size());
        std::string line = lower(text.substr(at, std::min<std::size_t>(end - at, 200)));
        if (said_anything && begins_returned_message(line)) return text.substr(0, at);
        said_anything = said_anything || line.find_first_not_of(" \t\r-=*") != std::string::npos;
        at = end + 1;
    }
    return text;
}

BounceText read_bounce_text(std::string_view text, const std::vector<std::string>& known,
                            const std::vector<std::string>& not_these) {
    BounceText out;
    struct Line {
        std::string_view text;
        std::vector<std::string> addresses;
    };
    std::vector<Line> lines;
    AddressList standing, mentioned;
    const AddressList others = list_of(not_these);
    text = before_returned_message(text);
    for (std::size_t at = 0; at < text.size() && lines.size() < kLinesMax;) {
        std::size_t end = std::min(text.find('\n', at), text.size());
        Line line{text.substr(at, end - at), {}};
        std::string low = lower(line.text.substr(0, 200));
        if (!names_others(std::string_view(low).substr(
                std::min(low.find_first_not_of(" \t>"), low.size())))) {
            line.addresses = addresses_in(line.text.substr(0, 2000));
        }
        for (const std::string& address : line.addresses) {
            if (others.place_of(address)) continue;
            if (mentioned.in_order().size() >= kBouncedRecipientsMax) break;
            mentioned.add(address);
            if (stands_out(line.text, address)) standing.add(address);
        }
        lines.push_back(std::move(line));
        at = end + 1;
    }
    const AddressList chosen = !known.empty()                 ? list_of(known)
                               : !standing.in_order().empty() ? standing
                                                              : mentioned;
    for (const std::string& address : chosen.in_order()) {
        if (out.said.size() < kBouncedRecipientsMax) out.said.push_back({address, {}});
    }
    SaidOf* current = nullptr;
    for (const Line& line : lines) {
        for (const std::string& address : line.addresses) {
            auto place = chosen.place_of(address);
            if (place && *place < out.said.size()) {
                current = &out.said[*place];
                break;
            }
        }
        std::string& into = current ? current->text : out.preamble;
        if (into.size() < kSaidOctetsMax) into.append(line.text.substr(0, kSaidOctetsMax)) += '\n';
    }
    return out;
}

std::string text_of_html(std::string_view html) {
    std::string out;
    for (std::size_t at = 0; at < html.size(); at++) {
        if (html[at] == '<') {
            std::string tag = lower(html.substr(at + 1, 8));
            std::size_t end = html.find('>', at);
            if (tag.starts_with("style") || tag.starts_with("script")) {
                end = html.find("</", end == std::string_view::npos ? html.size() : end);
                if (end != std::string_view::npos) end = html.find('>', end);
            }
            // An address is often set in angle brackets without being a tag.
            std::string_view inner = html.substr(at + 1, std::min(end, html.size()) - at - 1);
            if (inner.contains('@') && !inner.contains(' ')) out += inner;
            if (end == std::string_view::npos) break;
            constexpr std::array kBlocks = {"br", "p>", "/p", "div", "tr", "li", "td", "h"};
            if (starts_with_any(tag, kBlocks)) out += '\n';
            at = end;
        } else if (html[at] == '&') {
            constexpr std::array<std::pair<std::string_view, char>, 6> kNames = {{{"&lt;", '<'},
                                                                                  {"&gt;", '>'},
                                                                                  {"&amp;", '&'},
                                                                                  {"&quot;", '"'},
                                                                                  {"&#39;", '\''},
                                                                                  {"&nbsp;", ' '}}};
            auto found = std::ranges::find_if(
                kNames, [&](const auto& pair) { return html.substr(at).starts_with(pair.first); });
            out += found == kNames.end() ? '&' : found->second;
            if (found != kNames.end()) at += found->first.size() - 1;
        } else {
            out += html[at];
        }
    }
    return out;
}

}  // namespace postrider
