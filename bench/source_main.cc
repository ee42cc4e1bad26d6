// postrider_bench_source: hands messages to an SMTP server as fast as it takes them.
//
// A fixed number of sessions run at once, each a conversation without pipelining, as a plain client
// has it: greeting, EHLO, MAIL, RCPT, DATA, content, QUIT. The next session begins when one has its
// 221, or, with --rate, when its time has come. With --times each message bears its number in the
// reverse-path, and the time of its 250 is written to a file. Prints one line of JSON. Ends with 0
// when every message was accepted, with 1 when some were refused or lost.

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>

#include "bench/load.h"

namespace postrider::bench {
namespace {

constexpr int kSilenceMs = 60'000;  // so long without any event, and the server is taken for dead
constexpr int kGreetingMs = 2'000;  // so long without a greeting, and another connection is tried
constexpr std::size_t kLineOctets = 72;

struct Options {
    std::string server;
    std::string from = "sender@example.org";
    std::string to = "alice@our.test";
    uint64_t messages = 1000;
    uint64_t sessions = 20;
    uint64_t octets = 10240;
    uint64_t per_connection = 1;
    uint64_t domains = 1;
    double rate = 0;      // sessions begun in a second; 0 = as fast as they end
    std::string content;  // a file
    std::string times;    // a file
    bool starttls = false;
};

// The file's octets, with dots doubled and the end of DATA.
std::string stuffed(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) give_up(fmt::format("cannot read {}", path));
    std::string out = "\r\n" + text.str();
    for (std::size_t at = 0; (at = out.find("\r\n.", at)) != std::string::npos; at += 4) {
        out.insert(at + 2, 1, '.');
    }
    return out.substr(2) + ".\r\n";
}

// user@far.test for domain 17 of many is user@d17.far.test.
std::string recipient(const Options& options, uint64_t domain) {
    if (options.domains == 1) return options.to;
    std::size_t at = options.to.rfind('@') + 1;
    return fmt::format("{}d{}.{}", options.to.substr(0, at), domain, options.to.substr(at));
}

std::string made_content(const Options& options) {
    std::string out = fmt::format(
        "From: <{}>\r\nTo: <{}>\r\nSubject: load\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
        "Message-ID: <load@bench.test>\r\n\r\n",
        options.from, options.to);
    std::string line(kLineOctets, 'x');
    line += "\r\n";
    while (out.size() + line.size() <= options.octets) out += line;
    if (out.size() + 2 < options.octets) {
        out.append(options.octets - out.size() - 2, 'y');
        out += "\r\n";
    }
    return out + ".\r\n";
}

// The octets of a whole conversation, made once.
struct Script {
    explicit Script(const Options& options)
        : content(options.content.empty() ? made_content(options) : stuffed(options.content)),
          // As mail servers say it (RFC 1870), nearly.
          size(fmt::format(" SIZE={}", content.size() - 3)),
          mail(fmt::format("MAIL FROM:<{}>{}\r\n", options.from, size)) {
        for (uint64_t domain = 0; domain < options.domains; domain++) {
            rcpt.push_back(fmt::format("RCPT TO:<{}>\r\n", recipient(options, domain)));
        }
    }

    std::string hello = "EHLO source.bench.test\r\n";
    std::string starttls = "STARTTLS\r\n";
    std::string content;
    std::string size;
    std::string mail;
    std::vector<std::string> rcpt;  // by domain
    std::string data = "DATA\r\n";
    std::string quit = "QUIT\r\n";
};

struct Counts {
    uint64_t begun = 0;
    uint64_t accepted = 0;
    uint64_t refused = 0;
    uint64_t lost = 0;
    uint64_t connections = 0;
    std::string first_trouble;
    std::vector<float> waits_ms;      // from the first octet of content to the 250
    std::vector<float> messages_ms;   // from the connection's begin or MAIL to the 250
    std::vector<double> accepted_at;  // by number; only with --times

    uint64_t ended() const { return accepted + refused + lost; }
};

// What the next reply answers.
enum class Await {
    Greeting,
    Hello,
    StartTls,
    Mail,
    Rcpt,
    Data,
    Dot,
    Quit
};

struct Connection {
    Channel channel;
    Await await = Await::Greeting;
    uint64_t sent = 0;    // messages begun on this connection
    uint64_t number = 0;  // of the message under way
    double begun_at = 0;
    double opened_at = 0;
    double dot_at = 0;
    std::string mail;  // MAIL with the number
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
          tls_(options.starttls ? tls_for_clients() : nullptr),
          watch_(watch) {
        counts_.waits_ms.reserve(options.messages);
        counts_.messages_ms.reserve(options.messages);
        if (!options.times.empty()) counts_.accepted_at.resize(options.messages);
    }

    // False when the server is silent or the program was told to stop.
    bool run();
    const Counts& counts() const { return counts_; }
    Counts& counts() { return counts_; }

private:
    int next_due_ms() const;
    void begin_due();
    void begin(Connection& connection);
    void open(Connection& connection);
    void open_again();
    void end(Connection& connection, std::string_view trouble);
    void handle(Connection& connection, uint32_t events);
    bool read_replies(Connection& connection, bool to_the_end);
    void handle_reply(Connection& connection, std::string_view line);
    void next_message(Connection& connection);
    void say_mail(Connection& connection);
    void say(Connection& connection, std::string_view octets, Await await);

    const Options& options_;
    const sockaddr_in address_;
    const Script script_;
    SSL_CTX* const tls_;  // null: in plaintext
    Watch& watch_;
    Counts counts_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<Connection*> free_;
    double begun_at_ = 0;
};

bool Source::run() {
    begun_at_ = seconds_now();
    for (uint64_t i = 0; i < std::min(options_.sessions, options_.messages); i++) {
        free_.push_back(connections_.emplace_back(std::make_unique<Connection>()).get());
    }
    begin_due();
    double heard_at = begun_at_;
    double looked_at = begun_at_;
    while (counts_.ended() < options_.messages && !stop_wanted()) {
        auto events = watch_.wait(std::min(next_due_ms(), kGreetingMs));
        double now = seconds_now();
        if ((now - looked_at) * 1000 >= kGreetingMs) {
            looked_at = now;
            open_again();
        }
        if (!events.empty()) heard_at = now;
        if ((now - heard_at) * 1000 >= kSilenceMs) return false;
        for (const epoll_event& event : events) {
            handle(*static_cast<Connection*>(event.data.ptr), event.events);
        }
        begin_due();
    }
    return !stop_wanted();
}

int Source::next_due_ms() const {
    if (options_.rate == 0 || free_.empty() || counts_.begun >= options_.messages) {
        return kSilenceMs;
    }
    double due = begun_at_ + static_cast<double>(counts_.begun) / options_.rate;
    return std::clamp(static_cast<int>(std::ceil((due - seconds_now()) * 1000)), 0, kSilenceMs);
}

void Source::begin_due() {
    while (!free_.empty() && counts_.begun < options_.messages) {
        double due = static_cast<double>(counts_.begun) / options_.rate;
        if (options_.rate > 0 && seconds_now() < begun_at_ + due) return;
        Connection& connection = *free_.back();
        free_.pop_back();
        begin(connection);
    }
}

// Each connection owes at least one message from here on.
void Source::begin(Connection& connection) {
    connection.number = counts_.begun++;
    connection.begun_at = seconds_now();
    connection.sent = 1;
    connection.outgoing.set({});
    open(connection);
}

void Source::open(Connection& connection) {
    counts_.connections++;
    connection.opened_at = seconds_now();
    connection.await = Await::Greeting;
    connection.held = 0;
    connection.channel.open(connect_to(address_));
    watch_.add(connection.channel.fd(), &connection, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

// A listening socket that takes few waiting connections may have lost one without a word: where the
// kernel answers with SYN cookies, neither side hears of it.
void Source::open_again() {
    double now = seconds_now();
    for (auto& connection : connections_) {
        bool waits = connection->channel.fd() >= 0 && connection->await == Await::Greeting;
        if (!waits || (now - connection->opened_at) * 1000 < kGreetingMs) continue;
        connection->channel.close();
        open(*connection);
    }
}

// Without trouble: its last message has been answered.
void Source::end(Connection& connection, std::string_view trouble) {
    connection.channel.close();
    if (!trouble.empty()) {
        if (connection.await == Await::Quit) {
            trouble = {};  // a server may leave without a word then
        } else {
            counts_.lost++;
            if (counts_.first_trouble.empty()) counts_.first_trouble = trouble;
        }
    }
    free_.push_back(&connection);
    begin_due();
}

void Source::handle(Connection& connection, uint32_t events) {
    if (connection.channel.fd() < 0) return;
    // Under TLS what is to be sent may have waited for octets to come.
    bool may_send = (events & EPOLLOUT) != 0 || connection.channel.under_tls();
    if (!connection.outgoing.empty() && may_send &&
        !connection.outgoing.flush(connection.channel)) {
        return end(connection, "the connection was lost while sending");
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0) return;
    int fd = connection.channel.fd();
    // The server's end comes once, maybe together with its last words.
    bool ended = (events & ~static_cast<uint32_t>(EPOLLIN | EPOLLOUT)) != 0;
    if (!read_replies(connection, ended) && connection.channel.fd() == fd) {
        end(connection, "the server ended the connection");
    }
}

// False at the end of the connection.
bool Source::read_replies(Connection& connection, bool to_the_end) {
    while (true) {
        auto room = std::span(connection.input).subspan(connection.held);
        if (room.empty()) return false;
        ssize_t got = connection.channel.receive(room);
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
            int fd = connection.channel.fd();
            handle_reply(connection, line);
            if (connection.channel.fd() != fd || connection.held == 0)
                return true;  // a new connection
        }
        connection.held -= begin;
        std::copy_n(text.data() + begin, connection.held, connection.input.data());
        bool drained = static_cast<std::size_t>(got) < room.size();
        if (drained && !to_the_end && !connection.channel.under_tls()) return true;
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
            if (tls_ != nullptr && !connection.channel.under_tls()) {
                return say(connection, script_.starttls, Await::StartTls);
            }
            return say_mail(connection);
        case Await::StartTls:
            connection.channel.begin_tls(tls_, false);
            return say(connection, script_.hello, Await::Hello);
        case Await::Mail:
            return say(connection, script_.rcpt[connection.number % options_.domains], Await::Rcpt);
        case Await::Rcpt:
            return say(connection, script_.data, Await::Data);
        case Await::Data:
            connection.dot_at = seconds_now();
            return say(connection, script_.content, Await::Dot);
        case Await::Dot: {
            double now = seconds_now();
            counts_.accepted++;
            counts_.waits_ms.push_back(static_cast<float>((now - connection.dot_at) * 1000));
            counts_.messages_ms.push_back(static_cast<float>((now - connection.begun_at) * 1000));
            if (!options_.times.empty()) counts_.accepted_at[connection.number] = now;
            return next_message(connection);
        }
        case Await::Quit:
            return;
    }
}

void Source::next_message(Connection& connection) {
    if (connection.sent < options_.per_connection && counts_.begun < options_.messages) {
        connection.sent++;
        connection.number = counts_.begun++;
        connection.begun_at = seconds_now();
        return say_mail(connection);
    }
    say(connection, script_.quit, Await::Quit);
}

void Source::say_mail(Connection& connection) {
    if (options_.times.empty()) return say(connection, script_.mail, Await::Mail);
    std::size_t at = options_.from.rfind('@');
    connection.mail = fmt::format("MAIL FROM:<{}-{}{}>{}\r\n", options_.from.substr(0, at),
                                  connection.number, options_.from.substr(at), script_.size);
    say(connection, connection.mail, Await::Mail);
}

void Source::say(Connection& connection, std::string_view octets, Await await) {
    connection.await = await;
    connection.outgoing.set(octets);
    // A connection that is lost tells so by an event.
    (void)connection.outgoing.flush(connection.channel);
}

void write_times(const std::string& path, const std::vector<double>& times) {
    std::ofstream file(path);
    for (std::size_t i = 0; i < times.size(); i++) file << fmt::format("{} {:.6f}\n", i, times[i]);
    if (!file.flush()) give_up(fmt::format("cannot write {}", path));
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
        R"("wait_p99_ms": {:.3f}, "message_median_ms": {:.3f}}})"
        "\n",
        counts.accepted, counts.refused, counts.lost, counts.connections, begun, seconds,
        cpu_seconds(), at_share(counts.waits_ms, 0.5), at_share(counts.waits_ms, 0.99),
        at_share(counts.messages_ms, 0.5));
    if (!options.times.empty()) write_times(options.times, counts.accepted_at);
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
    app.add_option("--to", options.to, "the recipient")->check([](const std::string& text) {
        return text.find('@') == std::string::npos ? "an address has an @" : std::string();
    });
    app.add_option("--domains", options.domains,
                   "spread recipients over so many domains, dN.DOMAIN")
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--rate", options.rate, "sessions begun in a second, when there is one to spare")
        ->check(CLI::PositiveNumber);
    app.add_flag("--starttls", options.starttls, "under TLS 1.3, with any certificate");
    app.add_option("--content", options.content, "a file with the message, instead of a made one");
    app.add_option("--times", options.times,
                   "number each message in its reverse-path, and write when each got its 250");
    CLI11_PARSE(app, count, words);
    return postrider::bench::run(options);
}
