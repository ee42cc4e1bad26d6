#include "accounts/users_file.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "accounts/password.h"
#include "mail/domain.h"

namespace postrider::accounts {

namespace {

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (true) {
        const std::size_t begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos) return words;
        line.remove_prefix(begin);
        const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 255 && !text.contains('=') && !text.contains('/') &&
           is_utf8(text) &&
           std::ranges::none_of(text, [](char c) { return (c >= 0 && c <= ' ') || c == 127; });
}

bool is_label(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

bool is_pattern(std::string_view text) {
    return text == "*" || (text.contains('@') && is_name(text));
}

std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// One line taken apart: a user with one credential.
Status<Error> take_word(std::string_view word, User& user, Credential& credential) {
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    auto count = [&](std::optional<uint64_t>& into) -> Status<Error> {
        into = number(value);
        if (!into) return fail(fmt::format("{} takes a number", key));
        return {};
    };
    if (key == "secret") {
        if (!is_secret(value)) return fail("the secret is of no known form");
        credential.secret = value;
    } else if (key == "app") {
        if (!is_label(value)) return fail("app takes a label of letters, digits, - _ and .");
        credential.label = value;
    } else if (word == "disabled") {
        user.disabled = true;
    } else if (key == "send_as") {
        std::string_view rest = value;
        while (true) {
            const std::size_t comma = rest.find(',');
            const std::string_view pattern = rest.substr(0, comma);
            if (!is_pattern(pattern)) return fail("send_as takes addresses, @domains or *");
            user.rights.send_as.emplace_back(pattern);
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    } else if (key == "message_octets_max") {
        return count(user.rights.message_octets_max);
    } else if (key == "recipients_max") {
        return count(user.rights.recipients_max);
    } else if (key == "messages_per_hour") {
        return count(user.rights.messages_per_hour);
    } else {
        return fail(fmt::format("unknown word {}", key));
    }
    return {};
}

Result<User> parse_line(const std::vector<std::string_view>& words) {
    if (!is_name(words[0])) return fail("the account's name has characters that it may not have");
    User user{.name = std::string(words[0])};
    Credential credential;
    for (std::size_t i = 1; i < words.size(); i++) {
        if (auto taken = take_word(words[i], user, credential); !taken) {
            return std::unexpected(taken.error());
        }
    }
    if (credential.secret.empty()) return fail("the line has no secret=");
    const bool has_rights = user.rights != Rights{} || user.disabled;
    if (!credential.label.empty() && has_rights) {
        return fail("the line of an app password has app= and secret= only");
    }
    user.credentials.push_back(std::move(credential));
    return user;
}

// Joins a line to what is known of the account.
Status<Error> join(User& known, User line) {
    const Credential& credential = line.credentials.front();
    const bool doubled = std::ranges::any_of(known.credentials, [&](const Credential& other) {
        return other.label == credential.label;
    });
    if (doubled) return fail("the account has this password twice");
    if (known.credentials.size() > kAppPasswordsMax) return fail("too many app passwords");
    if (credential.label.empty()) {
        known.name = line.name;
        known.rights = std::move(line.rights);
        known.disabled = line.disabled;
        known.credentials.insert(known.credentials.begin(), credential);
    } else {
        known.credentials.push_back(credential);
    }
    return {};
}

}  // namespace

Result<UsersFile> UsersFile::parse(std::string_view text) {
    if (text.size() > kUsersFileOctetsMax) return fail("the file is too large");
    UsersFile file;
    std::size_t number = 0;
    while (!text.empty()) {
        number++;
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto words = words_of(line);
        if (words.empty() || words[0].starts_with('#')) {
            file.lines_.push_back({std::string(line), {}});
            continue;
        }
        auto user = parse_line(words);
        if (!user) return fail(fmt::format("line {}: {}", number, user.error().message));
        const std::string key = folded(user->name);
        file.lines_.push_back({std::string(line), key});
        auto [place, is_new] = file.users_.try_emplace(key, *user);
        if (is_new) continue;
        if (auto joined = join(place->second, std::move(*user)); !joined) {
            return fail(fmt::format("line {}: {}", number, joined.error().message));
        }
    }
    return file;
}

std::string UsersFile::text() const {
    std::string out;
    for (const Line& line : lines_) out += line.text + "\n";
    return out;
}

const User* UsersFile::find(std::string_view name) const {
    const auto found = users_.find(folded(name));
    return found == users_.end() ? nullptr : &found->second;
}

Status<Error> UsersFile::put(const User& user) {
    // Read back, so that nothing is written that would not be understood.
    auto read = parse(lines_of(user));
    if (!read) return std::unexpected(read.error());
    const std::string key = folded(user.name);
    auto first = std::ranges::find(lines_, key, &Line::key);
    const auto at = first - lines_.begin();
    const bool is_new = first == lines_.end();
    std::erase_if(lines_, [&](const Line& line) { return line.key == key; });
    lines_.insert(is_new ? lines_.end() : lines_.begin() + at, read->lines_.begin(),
                  read->lines_.end());
    users_[key] = user;
    return {};
}

bool UsersFile::remove(std::string_view name) {
    const std::string key = folded(name);
    std::erase_if(lines_, [&](const Line& line) { return line.key == key; });
    return users_.erase(key) > 0;
}

std::string lines_of(const User& user) {
    std::string out;
    for (const Credential& credential : user.credentials) {
        out += user.name;
        if (!credential.label.empty()) out += " app=" + credential.label;
        out += " secret=" + credential.secret;
        if (credential.label.empty()) {
            const Rights& rights = user.rights;
            for (std::size_t i = 0; i < rights.send_as.size(); i++) {
                out += (i == 0 ? " send_as=" : ",") + rights.send_as[i];
            }
            auto add = [&](const char* key, const std::optional<uint64_t>& value) {
                if (value) out += fmt::format(" {}={}", key, *value);
            };
            add("message_octets_max", rights.message_octets_max);
            add("recipients_max", rights.recipients_max);
            add("messages_per_hour", rights.messages_per_hour);
            if (user.disabled) out += " disabled";
        }
        out += "\n";
    }
    return out;
}

}  // namespace postrider::accounts
