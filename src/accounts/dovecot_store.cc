#include "accounts/dovecot_store.h"

#include <array>

#include <fmt/format.h>

#include "smtp/sasl/base64.h"

namespace postrider::accounts {

namespace {

constexpr std::size_t kLineOctetsMax = 16 * 1024;
constexpr int kLinesMax = 200;  // of one conversation

StoreError trouble(std::string what) { return {"dovecot: " + std::move(what)}; }

// Lines of a conversation, each without its LF.
class Lines {
public:
    Lines(world::Stream& stream, Deadline deadline) : stream_(stream), deadline_(deadline) {}

    Task<Result<std::string, StoreError>> next() {
        for (;;) {
            const std::size_t end = held_.find('\n');
            if (end != std::string::npos) {
                std::string line = held_.substr(0, end);
                held_.erase(0, end + 1);
                co_return line;
            }
            if (held_.size() > kLineOctetsMax)
                co_return std::unexpected(trouble("a line too long"));
            std::array<char, 4096> piece{};
            auto got = co_await stream_.read(piece, deadline_);
            if (!got) co_return std::unexpected(trouble(got.error().message));
            if (*got == 0) co_return std::unexpected(trouble("it ended the connection"));
            held_.append(piece.data(), *got);
        }
    }

private:
    world::Stream& stream_;
    Deadline deadline_;
    std::string held_;
};

// The value of "key=value" among the words of a line, which tabs separate.
std::optional<std::string> value_in(std::string_view line, std::string_view key) {
    while (!line.empty()) {
        const std::string_view word = line.substr(0, line.find('\t'));
        line.remove_prefix(std::min(word.size() + 1, line.size()));
        if (word.starts_with(key) && word.substr(key.size()).starts_with('=')) {
            return std::string(word.substr(key.size() + 1));
        }
    }
    return std::nullopt;
}

bool has_word(std::string_view line, std::string_view wanted) {
    return ("\t" + std::string(line) + "\t").find("\t" + std::string(wanted) + "\t") !=
           std::string::npos;
}

}  // namespace

Task<Result<std::optional<Proven>, StoreError>> DovecotStore::check_password(std::string user,
                                                                             std::string password) {
    const Deadline deadline = Deadline::after(world_.clock.now(), kAnswerTime);
    auto stream = co_await world_.net.connect(world::UnixEndpoint{socket_}, std::nullopt, deadline);
    if (!stream) co_return std::unexpected(trouble(stream.error().message));
    Lines lines(**stream, deadline);
    const std::string request =
        fmt::format("VERSION\t1\t1\nCPID\t{}\nAUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp={}\n",
                    1 + world_.random.below(1'000'000),
                    smtp::sasl::encode_base64(fmt::format("{0}{1}{0}{2}", '\0', user, password)));
    std::array<std::string_view, 1> pieces{request};
    auto written = co_await (*stream)->write(pieces, deadline);
    if (!written) co_return std::unexpected(trouble(written.error().message));
    for (int i = 0; i < kLinesMax; i++) {
        auto line = co_await lines.next();
        if (!line) co_return std::unexpected(line.error());
        if (line->starts_with("VERSION\t") && !line->starts_with("VERSION\t1\t")) {
            co_return std::unexpected(trouble("another version of its protocol"));
        }
        if (line->starts_with("OK\t1")) {
            co_return Proven{value_in(*line, "user").value_or(user), "", {}};
        }
        if (line->starts_with("FAIL\t1")) {
            if (has_word(*line, "temp")) co_return std::unexpected(trouble("it is in trouble"));
            co_return std::optional<Proven>();
        }
        if (line->starts_with("CONT\t1")) co_return std::unexpected(trouble("it asks for more"));
    }
    co_return std::unexpected(trouble("it talks on and on"));
}

Task<Result<KeysFound, StoreError>> DovecotStore::scram_keys(std::string, smtp::sasl::Hash) {
    co_return std::unexpected(trouble("it does not give keys away"));
}

Task<Result<std::optional<Proven>, StoreError>> DovecotStore::find(std::string user) {
    co_return Proven{std::move(user), "", {}};
}

}  // namespace postrider::accounts
