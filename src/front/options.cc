#include "front/options.h"

#include <algorithm>
#include <utility>

namespace postrider::front {

namespace {

// Switches whose value is the rest of the word, or the next word.
constexpr std::string_view kWithValue = "fFrBCNORVXLhdpA";
// Those that may stand together in one word, of which only some mean something to us.
constexpr std::string_view kFlags = "tivmnsGUI";

class OptionReader {
public:
    explicit OptionReader(const std::vector<std::string>& words) : words_(words) {}

    Result<Options> read(Mode mode) {
        options_.mode = mode;
        while (at_ < words_.size()) {
            const std::string& word = words_[at_++];
            if (word == "--") break;
            if (word.size() < 2 || word[0] != '-') {
                at_--;
                break;
            }
            if (auto taken = take(std::string_view(word).substr(1)); !taken) {
                return std::unexpected(taken.error());
            }
        }
        options_.recipients.assign(words_.begin() + static_cast<ptrdiff_t>(at_), words_.end());
        return std::move(options_);
    }

private:
    Status<Error> take(std::string_view word) {
        char name = word[0];
        std::string_view rest = word.substr(1);
        if (name == 'b') return take_mode(rest);
        if (name == 'q') {  // with or without a time or a queue's name
            options_.mode = Mode::RunQueue;
            return {};
        }
        if (name == 'e') return {};  // -em and its like: errors always go to standard error
        if (name == 'o') {
            if (rest == "i") options_.dot_ends = false;
            return {};
        }
        if (kWithValue.find(name) != std::string_view::npos) {
            // -d without a value is common; it never takes the next word.
            if (rest.empty() && name != 'd') {
                if (at_ == words_.size()) return fail(std::string("-") + name + " needs a value");
                rest = words_[at_++];
            }
            return take_value(name, rest);
        }
        for (char flag : word) {
            if (kFlags.find(flag) == std::string_view::npos) {
                return fail("-" + std::string(word) + " is not known");
            }
            if (flag == 't') options_.recipients_from_header = true;
            if (flag == 'i') options_.dot_ends = false;
            if (flag == 'v') options_.verbose = true;
        }
        return {};
    }

    Status<Error> take_mode(std::string_view mode) {
        if (mode == "m") {
            options_.mode = Mode::Submit;
        } else if (mode == "s") {
            options_.mode = Mode::Session;
        } else if (mode == "p") {
            options_.mode = Mode::ListQueue;
        } else if (mode == "i") {
            options_.mode = Mode::NewAliases;
        } else if (mode == "d" || mode == "D") {
            return fail("the server is started by `postrider serve`, not by sendmail -bd");
        } else {
            return fail("-b" + std::string(mode) + " is not supported");
        }
        return {};
    }

    Status<Error> take_value(char name, std::string_view value) {
        if (name == 'f' || name == 'r') options_.sender = value;
        if (name == 'F') options_.full_name = value;
        if (name == 'C') options_.config_path = value;
        if (name == 'B' && value != "7BIT" && value != "8BITMIME") {
            return fail("-B " + std::string(value) + ": only 7BIT and 8BITMIME are supported");
        }
        // -O ignoredots and its like, in the long form.
        if (name == 'O' && value.starts_with("IgnoreDots") && !value.ends_with("false")) {
            options_.dot_ends = false;
        }
        return {};
    }

    const std::vector<std::string>& words_;
    std::size_t at_ = 0;
    Options options_;
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    return text;
}

}  // namespace

Result<Options> parse_options(std::string_view program, const std::vector<std::string>& words) {
    std::string_view name = program.substr(program.rfind('/') + 1);  // npos + 1 is 0
    Mode mode = Mode::Submit;
    if (name == "mailq") mode = Mode::ListQueue;
    if (name == "newaliases") mode = Mode::NewAliases;
    return OptionReader(words).read(mode);
}

Result<Settings> parse_settings(std::string_view text) {
    Settings settings;
    const std::pair<std::string_view, std::string*> keys[] = {
        {"socket", &settings.socket},
        {"drop_directory", &settings.drop_directory},
        {"hostname", &settings.hostname},
        {"admin_socket", &settings.admin_socket},
    };
    for (int number = 1; !text.empty(); number++) {
        std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.starts_with('#')) continue;
        std::string where = "line " + std::to_string(number) + ": ";
        std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) return fail(where + "write key = value");
        std::string_view name = trimmed(line.substr(0, equals));
        auto key = std::ranges::find(keys, name, [](const auto& one) { return one.first; });
        if (key == std::end(keys)) return fail(where + std::string(name) + " is not known");
        *key->second = trimmed(line.substr(equals + 1));
    }
    return settings;
}

}  // namespace postrider::front
