// postrider_bench_sink: an SMTP server that takes every message and keeps nothing, or with --keep
// does no more than to keep it (keeper.h).
//
// It says where it listens, as one line of JSON, and one more line of JSON with what it took: when
// the message comes that --messages names, or else on SIGTERM. It goes on serving until SIGTERM. It
// does what the protocol asks and no more: it knows commands by their first letter, refuses nothing
// and needs no order. With --times it writes, at its end, when the final dot came of each message
// that the source has numbered.

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>

#include "bench/keeper.h"
#include "bench/load.h"

namespace postrider::bench {
namespace {

constexpr std::string_view kGreeting = "220 sink.bench.test\r\n";
constexpr std::string_view kHello =
    "250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n";
constexpr std::string_view kHelloTls =
    "250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 SIZE 0\r\n";
constexpr std::string_view kGood = "250 Yes\r\n";
constexpr std::string_view kGoOn = "354 Go on\r\n";
constexpr std::string_view kBye = "221 Bye\r\n";
constexpr std::string_view kDot = "\r\n.\r\n";
constexpr std::size_t kNone = SIZE_MAX;
constexpr std::size_t kNumberMax = 10'000'000;
constexpr int kLookMs = 1000;  // how often it looks whether it is to stop

struct Client {
    Channel channel;
    bool in_data = false;
    bool leaving = false;
    bool starts_tls = false;     // with the end of what is being sent
    std::size_t number = kNone;  // of the message, from its reverse-path
    uint32_t place = 0;          // among all
    uint32_t life = 0;           // how many connections it has been
    // Of a command, what came of its line; in content, the last octets that may begin a dot line.
    std::string rest;
    std::string replies;
    std::string content;  // while it comes and is to be kept
};

struct Counts {
    uint64_t messages = 0;
    uint64_t connections = 0;
    uint64_t octets = 0;
    double first_at = 0;
    double last_at = 0;
};

class Sink {
public:
    // tls: null, and STARTTLS is not offered. keeper: null, and nothing is kept.
    Sink(int listener, std::vector<uint64_t> tell_at, std::string times, SSL_CTX* tls,
         Keeper* keeper)
        : listener_(listener),
          tell_at_(std::move(tell_at)),
          times_(std::move(times)),
          tls_(tls),
          keeper_(keeper) {
        watch_.add(listener_, nullptr, EPOLLIN);
        if (keeper_ != nullptr) watch_.add(keeper_->fd(), keeper_, EPOLLIN);
    }

    void run();

private:
    void accept_all();
    void handle(Client& client, bool to_the_end);
    bool take(Client& client, std::string_view input);
    std::string_view take_content(Client& client, std::string_view input);
    void take_command(Client& client, std::string_view line);
    void answer_durable();
    bool answer(Client& client);
    void end(Client& client);
    void take_number(Client& client, std::string_view line) const;
    void tell();
    void write_times() const;

    Watch watch_;
    const int listener_;
    const std::vector<uint64_t> tell_at_;
    const std::string times_;
    SSL_CTX* const tls_;
    Keeper* const keeper_;
    std::vector<double> dots_at_;  // by number; 0 = has not come
    Counts counts_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<Client*> free_;
    std::array<char, 64 * 1024> input_;
};

void Sink::run() {
    while (!stop_wanted()) {
        for (const epoll_event& event : watch_.wait(kLookMs)) {
            if (event.data.ptr == nullptr) {
                accept_all();
            } else if (event.data.ptr == keeper_) {
                answer_durable();
            } else if (auto* client = static_cast<Client*>(event.data.ptr);
                       client->channel.fd() >= 0) {
                // The end comes once, maybe together with the last octets.
                handle(*client, (event.events & ~static_cast<uint32_t>(EPOLLIN | EPOLLOUT)) != 0);
            }
        }
        if (keeper_ != nullptr) keeper_->begin();
    }
    tell();
    if (!times_.empty()) write_times();
}

void Sink::accept_all() {
    for (int fd; (fd = accept_one(listener_)) >= 0;) {
        if (free_.empty()) {
            free_.push_back(clients_.emplace_back(std::make_unique<Client>()).get());
            free_.back()->place = static_cast<uint32_t>(clients_.size() - 1);
        }
        Client& client = *free_.back();
        free_.pop_back();
        client.life++;
        client.channel.open(fd);
        client.in_data = client.leaving = client.starts_tls = false;
        client.rest.clear();
        client.content.clear();
        client.replies = kGreeting;
        counts_.connections++;
        watch_.add(fd, &client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        (void)answer(client);
    }
}

void Sink::handle(Client& client, bool to_the_end) {
    if (!answer(client)) return end(client);
    while (true) {
        ssize_t got = client.channel.receive(input_);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(client);
        if (!take(client, {input_.data(), static_cast<std::size_t>(got)})) return end(client);
        bool drained = static_cast<std::size_t>(got) < input_.size();
        if (drained && !to_the_end && !client.channel.under_tls()) return;
    }
}

// False when the connection is over.
bool Sink::take(Client& client, std::string_view input) {
    counts_.octets += input.size();
    while (!input.empty()) {
        if (client.in_data) {
            input = take_content(client, input);
            continue;
        }
        std::size_t end = input.find('\n');
        if (end == std::string_view::npos) {
            client.rest += input;
            break;
        }
        std::string_view line = input.substr(0, end + 1);
        input.remove_prefix(end + 1);
        if (!client.rest.empty()) {
            client.rest += line;
            line = client.rest;
        }
        take_command(client, line);
        if (!client.in_data) client.rest.clear();
    }
    if (!answer(client)) return false;
    if (client.starts_tls && client.replies.empty()) {
        client.channel.begin_tls(tls_, true);
        client.starts_tls = false;
    }
    return !(client.leaving && client.replies.empty());
}

// Returns what follows the content.
std::string_view Sink::take_content(Client& client, std::string_view input) {
    // The end may begin in what came before: look at the seam first.
    std::size_t before = client.rest.size();
    client.rest += input.substr(0, kDot.size() - 1);
    std::size_t taken = 0;
    if (std::size_t at = client.rest.find(kDot); at != std::string::npos) {
        taken = at + kDot.size() - before;
    } else {
        const void* found = ::memmem(input.data(), input.size(), kDot.data(), kDot.size());
        if (found == nullptr) {
            std::string_view last = input.size() < kDot.size() ? client.rest : input;
            client.rest =
                std::string(last.substr(last.size() - std::min(last.size(), kDot.size() - 1)));
            if (keeper_ != nullptr) client.content += input;
            return {};
        }
        taken =
            static_cast<std::size_t>(static_cast<const char*>(found) - input.data()) + kDot.size();
    }
    client.in_data = false;
    client.rest.clear();
    if (keeper_ != nullptr) {
        client.content += input.substr(0, taken);
        keeper_->add(client.content, uint64_t{client.place} << 32 | client.life);
        client.content.clear();
    } else {
        client.replies += kGood;
    }
    counts_.messages++;
    if (client.number != kNone) {
        if (dots_at_.size() <= client.number) dots_at_.resize(client.number + 1);
        // A second copy does not count.
        if (dots_at_[client.number] == 0) dots_at_[client.number] = seconds_now();
    }
    if (counts_.messages == 1) counts_.first_at = seconds_now();
    if (std::ranges::find(tell_at_, counts_.messages) != tell_at_.end()) tell();
    return input.substr(taken);
}

void Sink::take_command(Client& client, std::string_view line) {
    switch (line.front() & ~0x20) {
        case 'D':
            client.replies += kGoOn;
            client.in_data = true;
            client.rest = "\r\n";  // a dot may be the first line
            return;
        case 'E':
            client.replies += tls_ != nullptr ? kHelloTls : kHello;
            return;
        case 'S':
            client.replies += kGood;
            client.starts_tls = tls_ != nullptr;
            return;
        case 'Q':
            client.replies += kBye;
            client.leaving = true;
            return;
        case 'M':
            if (!times_.empty()) take_number(client, line);
            [[fallthrough]];
        default:
            client.replies += kGood;
    }
}

void Sink::answer_durable() {
    for (uint64_t who : keeper_->take_durable()) {
        Client& client = *clients_[who >> 32];
        if (client.life != static_cast<uint32_t>(who) || client.channel.fd() < 0) continue;
        client.replies += kGood;
        if (!answer(client)) end(client);
    }
}

// MAIL FROM:<sender-17@example.org> is message 17.
void Sink::take_number(Client& client, std::string_view line) const {
    std::string_view local = line.substr(0, line.find('@'));
    std::string_view digits = local.substr(local.rfind('-') + 1);
    client.number = kNone;
    std::size_t number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && number <= kNumberMax) {
        client.number = number;
    }
}

void Sink::write_times() const {
    std::ofstream file(times_);
    for (std::size_t i = 0; i < dots_at_.size(); i++) {
        if (dots_at_[i] != 0) file << fmt::format("{} {:.6f}\n", i, dots_at_[i]);
    }
    if (!file.flush()) give_up(fmt::format("cannot write {}", times_));
}

// False when the connection is lost.
bool Sink::answer(Client& client) {
    if (client.replies.empty()) return true;
    ssize_t sent = client.channel.send(client.replies);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    client.replies.erase(0, static_cast<std::size_t>(sent));
    return true;
}

void Sink::end(Client& client) {
    client.channel.close();
    free_.push_back(&client);
}

void Sink::tell() {
    counts_.last_at = seconds_now();
    fmt::print(R"({{"messages": {}, "connections": {}, "octets": {}, "first_at": {:.6f}, )"
               R"("last_at": {:.6f}, "cpu_seconds": {:.6f}}})"
               "\n",
               counts_.messages, counts_.connections, counts_.octets, counts_.first_at,
               counts_.last_at, cpu_seconds());
    std::fflush(stdout);
}

}  // namespace
}  // namespace postrider::bench

int main(int count, char** words) {
    using namespace postrider::bench;
    std::string listen = "127.0.0.1:0";
    std::vector<uint64_t> tell_at;
    std::string times;
    std::string chain_file;
    std::string key_file;
    std::string keep;
    CLI::App app("an SMTP server that takes every message and keeps nothing");
    app.add_option("listen", listen, "where it listens; port 0 takes a free one");
    app.add_option("--tell-at", tell_at, "tell of the costs when so many messages have come");
    app.add_option("--chain-file", chain_file, "offer STARTTLS, with this certificate in PEM");
    app.add_option("--key-file", key_file, "and its key");
    app.add_option("--times", times, "write when the final dot of each numbered message came");
    app.add_option("--keep", keep, "keep all in this file, durably before each 250");
    CLI11_PARSE(app, count, words);
    catch_stop();
    std::unique_ptr<Keeper> keeper;
    if (!keep.empty()) keeper = std::make_unique<Keeper>(keep);
    sockaddr_in address = parse_address(listen);
    int listener = listen_at(address);
    fmt::print("{{\"listening\": \"{}\"}}\n", text_of(address));
    std::fflush(stdout);
    SSL_CTX* tls = chain_file.empty() ? nullptr : tls_for_servers(chain_file, key_file);
    Sink(listener, std::move(tell_at), std::move(times), tls, keeper.get()).run();
    return 0;
}
