// postrider_bench_source: hands messages to an SMTP server as fast as it takes them.
//
// A fixed number of sessions run at once, each a conversation without pipelining, as a plain client
// has it: greeting, EHLO, MAIL, RCPT, DATA, content, QUIT. The next session begins when one has its
// 221. Prints one line of JSON. Ends with 0 when every message was accepted, with 1 when some were
// refused or lost.

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "bench/load.h"

namespace postrider::bench {
namespace {

constexpr int kSilenceMs = 60'000;  // so long without any event, and the server is taken for dead
constexpr std::size_t kLineOctets = 72;

struct Options {
    std::string server;
    std::string from = "sender@example.org";
    std::string to = "alice@our.test";
    uint64_t messages = 1000;
    uint64_t sessions = 20;
    uint64_t octets = 10240;
    uint64_t per_connection = 1;
};

// The octets of a whole conversation, made once.
struct Script {
    explicit Script(const Options& options)
        : mail(fmt::format("MAIL FROM:<{}>\r\n", options.from)),
          rcpt(fmt::format("RCPT TO:<{}>\r\n", options.to)),
          content(fmt::format("From: <{}>\r\nTo: <{}>\r\nSubject: load\r\n"
                              "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
                              "Message-ID: <load@bench.test>\r\n\r\n",
                              options.from, options.to)) {
        std::string line(kLineOctets, 'x');
        line += "\r\n";
        while (content.size() + line.size() <= options.octets) content += line;
        if (content.size() + 2 < options.octets) {
            content.append(options.octets - content.size() - 2, 'y');
            content += "\r\n";
        }
        content += ".\r\n";
    }

    std::string hello = "EHLO source.bench.test\r\n";
    std::string mail;
    std::string rcpt;
    std::string data = "DATA\r\n";
    std::string content;
    std::string quit = "QUIT\r\n";
};

struct Counts {
    uint64_t begun = 0;
    uint64_t accepted = 0;
    uint64_t refused = 0;
    uint64_t lost = 0;
    uint64_t connections = 0;
    std::string first_trouble;
    std::vector<float> waits_ms;  // from the final dot to its 250

    uint64_t ended() const { return accepted + refused + lost; }
};

// What the next reply answers.
enum class Await {
    Greeting,
    Hello,
    Mail,
    Rcpt,
    Data,
    Dot,
    Quit
};

struct Connection {
    int fd = -1;
    Await await = Await::Greeting;
    uint64_t sent = 0;  // messages begun on this connection
    double dot_at = 0;
    Outgoing outgoing;
    std::size_t held = 0;  // octets of a reply that is not whole
    std::array<char, 2048> input;
};

class Source {
public:
    Source(const Options& options, Watch& watch)
        : options_(options),
          address_(parse_address(options.server)),
          script_(options),
          watch_(watch) {
        counts_.waits_ms.reserve(options.messages);
    }

    // False when the server is silent or the program was told to stop.
    bool run();
    const Counts& counts() const { return counts_; }
    Counts& counts() { return counts_; }

private:
    void begin(Connection& connection);
    void end(Connection& connection, std::string_view trouble);
    void handle(Connection& connection, uint32_t events);
    bool read_replies(Connection& connection, bool to_the_end);
    void handle_reply(Connection& connection, std::string_view line);
    void next_message(Connection& connection);
    void say(Connection& connection, std::string_view octets, Await await);

    const Options& options_;
    const sockaddr_in address_;
    const Script script_;
    Watch& watch_;
    Counts counts_;
    std::vector<std::unique_ptr<Connection>> connections_;
};

bool Source::run() {
    for (uint64_t i = 0; i < options_.sessions && counts_.begun < options_.messages; i++) {
        begin(*connections_.emplace_back(std::make_unique<Connection>()));
    }
    while (counts_.ended() < options_.messages && !stop_wanted()) {
        auto events = watch_.wait(kSilenceMs);
        if (events.empty() && !stop_wanted()) return false;
        for (const epoll_event& event : events) {
            handle(*static_cast<Connection*>(event.data.ptr), event.events);
        }
    }
    return !stop_wanted();
}

// Each connection owes at least one message from here on.
void Source::begin(Connection& connection) {
    counts_.begun++;
    counts_.connections++;
    connection.await = Await::Greeting;
    connection.sent = 1;
    connection.held = 0;
    connection.outgoing.set({});
    connection.fd = connect_to(address_);
    watch_.add(connection.fd, &connection, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

// Without trouble: its last message has been answered.
void Source::end(Connection& connection, std::string_view trouble) {
    ::close(connection.fd);
    connection.fd = -1;
    if (!trouble.empty()) {
        if (connection.await == Await::Quit) {
            trouble = {};  // a server may leave without a word then
        } else {
            counts_.lost++;
            if (counts_.first_trouble.empty()) counts_.first_trouble = trouble;
        }
    }
    if (counts_.begun < options_.messages) begin(connection);
}

void Source::handle(Connection& connection, uint32_t events) {
    if (connection.fd < 0) return;
    if (!connection.outgoing.empty() && (events & EPOLLOUT) != 0 &&
        !connection.outgoing.flush(connection.fd)) {
        return end(connection, "the connection was lost while sending");
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0) return;
    int fd = connection.fd;
    // The server's end comes once, maybe together with its last words.
    bool ended = (events & ~static_cast<uint32_t>(EPOLLIN | EPOLLOUT)) != 0;
    if (!read_replies(connection, ended) && connection.fd == fd) {
        end(connection, "the server ended the connection");
    }
}

// False at the end of the connection.
bool Source::read_replies(Connection& connection, bool to_the_end) {
    while (true) {
        auto room = std::span(connection.input).subspan(connection.held);
        if (room.empty()) return false;
        ssize_t got = ::recv(connection.fd, room.data(), room.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
        connection.held += static_cast<std::size_t>(got);
        std::string_view text(connection.input.data(), connection.held);
        std::size_t begin = 0;
        for (std::size_t end; (end = text.find('\n', begin)) != std::string_view::npos;) {
            std::string_view line = text.substr(begin, end - begin);
            begin = end + 1;
            if (line.size() < 4 || line[3] == '-') continue;
            int fd = connection.fd;
            handle_reply(connection, line);
            if (connection.fd != fd || connection.held == 0) return true;  // a new connection
        }
        connection.held -= begin;
        std::copy_n(text.data() + begin, connection.held, connection.input.data());
        if (!to_the_end && static_cast<std::size_t>(got) < room.size()) return true;
    }
}

void Source::handle_reply(Connection& connection, std::string_view line) {
    if (connection.await == Await::Quit) return end(connection, {});
    bool want_data = connection.await == Await::Data;
    if (line.front() != (want_data ? '3' : '2')) {
        counts_.refused++;
        if (counts_.first_trouble.empty()) counts_.first_trouble = line.substr(0, line.size() - 1);
        return say(connection, script_.quit, Await::Quit);
    }
    switch (connection.await) {
        case Await::Greeting:
            return say(connection, script_.hello, Await::Hello);
        case Await::Hello:
            return say(connection, script_.mail, Await::Mail);
        case Await::Mail:
            return say(connection, script_.rcpt, Await::Rcpt);
        case Await::Rcpt:
            return say(connection, script_.data, Await::Data);
        case Await::Data:
            connection.dot_at = seconds_now();
            return say(connection, script_.content, Await::Dot);
        case Await::Dot:
            counts_.accepted++;
            counts_.waits_ms.push_back(
                static_cast<float>((seconds_now() - connection.dot_at) * 1000));
            return next_message(connection);
        case Await::Quit:
            return;
    }
}

void Source::next_message(Connection& connection) {
    if (connection.sent < options_.per_connection && counts_.begun < options_.messages) {
        connection.sent++;
        counts_.begun++;
        return say(connection, script_.mail, Await::Mail);
    }
    say(connection, script_.quit, Await::Quit);
}

void Source::say(Connection& connection, std::string_view octets, Await await) {
    connection.await = await;
    connection.outgoing.set(octets);
    // A connection that is lost tells so by an event.
    (void)connection.outgoing.flush(connection.fd);
}

int run(const Options& options) {
    catch_stop();
    Watch watch;
    Source source(options, watch);
    double begun = seconds_now();
    bool whole = source.run();
    double seconds = seconds_now() - begun;
    Counts& counts = source.counts();
    fmt::print(
        R"({{"messages": {}, "refused": {}, "lost": {}, "connections": {}, "begun_at": {:.6f}, )"
        R"("seconds": {:.6f}, "cpu_seconds": {:.6f}, "wait_median_ms": {:.3f}, )"
        R"("wait_p99_ms": {:.3f}}})"
        "\n",
        counts.accepted, counts.refused, counts.lost, counts.connections, begun, seconds,
        cpu_seconds(), at_share(counts.waits_ms, 0.5), at_share(counts.waits_ms, 0.99));
    if (!whole) fmt::print(stderr, "the server was silent, or this program was stopped\n");
    if (!counts.first_trouble.empty()) {
        fmt::print(stderr, "not all went well: {}\n", counts.first_trouble);
    }
    return counts.accepted == options.messages ? 0 : 1;
}

}  // namespace
}  // namespace postrider::bench

int main(int count, char** words) {
    postrider::bench::Options options;
    CLI::App app("hands messages to an SMTP server as fast as it takes them");
    app.add_option("server", options.server, "such as 127.0.0.1:2525")->required();
    app.add_option("-m,--messages", options.messages, "messages in all")
        ->check(CLI::Range(1, 100'000'000));
    app.add_option("-s,--sessions", options.sessions, "sessions at once")
        ->check(CLI::Range(1, 20'000));
    app.add_option("-l,--octets", options.octets, "octets of each message, its header included")
        ->check(CLI::Range(1, 1 << 30));
    app.add_option("-c,--per-connection", options.per_connection, "messages for each connection")
        ->check(CLI::Range(1, 100'000'000));
    app.add_option("--from", options.from, "the reverse-path");
    app.add_option("--to", options.to, "the recipient");
    CLI11_PARSE(app, count, words);
    return postrider::bench::run(options);
}
