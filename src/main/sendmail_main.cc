// postrider-sendmail: what programs of this machine call to send mail, also as sendmail, mailq and
// newaliases.
//
// The message goes to the running server over its Unix socket, and its answer is our exit code.
// When the server is down, or says "later", the message is left in the drop directory, from which
// the server takes it (receive/drop.h); then too we end with 0, for the message is durable.
//
// Privilege: installed setgid to a group that may reach the socket and write into the drop
// directory (0730: it cannot be listed, and nobody else can write there). That is all the group is
// for. The user stays who called us, so that a dropped file's owner is the sender. With -C, by
// which the user chooses socket and directory, the group is given up first; so it is before other
// programs run.
//
// It blocks and has one thread, and links no more than it needs.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "base/id.h"
#include "front/message.h"
#include "front/options.h"
#include "front/request.h"
#include "mail/drop_file.h"
#include "smtp/client_session.h"
#include "smtp/data_encoder.h"

namespace postrider::front {
namespace {

constexpr std::size_t kMessageOctetsMax = 256 * 1024 * 1024;
constexpr std::size_t kSettingsOctetsMax = 64 * 1024;
constexpr int kTransactionsMax = 1000;  // of one message, as the server takes so many recipients
constexpr int kSessionIdleMs = 10 * 60 * 1000;

int complain(int code, std::string_view message) {
    fmt::print(stderr, "sendmail: {}\n", message);
    return code;
}

std::string words_of_errno() { return std::strerror(errno); }

Wall wall_now() {
    auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

uint64_t random_number() {
    uint64_t number = 0;
    while (::getrandom(&number, sizeof number, 0) != sizeof number) {
    }
    return number;
}

// For good. Ends the program when it cannot be done.
void give_up_group() {
    gid_t own = ::getgid();
    if (::setresgid(own, own, own) != 0) std::_Exit(kExitOsError);
}

bool write_all(int fd, std::string_view octets) {
    while (!octets.empty()) {
        ssize_t wrote = ::write(fd, octets.data(), octets.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return false;
        octets.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

enum class ReadUntil : uint8_t {
    End,
    EndOrDot,  // a line "." is enough: whoever wrote it may wait for us before he closes
};

std::optional<std::string> read_all(int fd, std::size_t octets_max, ReadUntil until) {
    std::string out;
    std::array<char, 64 * 1024> block;
    while (true) {
        ssize_t got = ::read(fd, block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return out;
        out.append(block.data(), static_cast<std::size_t>(got));
        bool dot = out.ends_with("\n.\n") || out.ends_with("\n.\r\n") || out == ".\n";
        if (dot && until == ReadUntil::EndOrDot) return out;
        if (out.size() > octets_max) {
            errno = EFBIG;
            return std::nullopt;
        }
    }
}

// Who calls us, and from where.
struct Caller {
    std::string host;
    std::string login;
    std::string full_name;
};

Caller find_caller(const Settings& settings) {
    Caller caller;
    caller.host = settings.hostname;
    if (caller.host.empty()) {
        std::array<char, 256> name{};
        ::gethostname(name.data(), name.size() - 1);
        caller.host = name.data();
        if (caller.host.find('.') == std::string::npos) caller.host += ".localdomain";
    }
    const passwd* entry = ::getpwuid(::getuid());
    caller.login = entry ? entry->pw_name : fmt::format("uid{}", ::getuid());
    if (entry && entry->pw_gecos) {
        caller.full_name = entry->pw_gecos;
        caller.full_name.resize(std::min(caller.full_name.find(','), caller.full_name.size()));
    }
    return caller;
}

// A connection to the server's socket, or -1 and errno.
int connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        int error = errno;
        ::close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

// Gives one message to the server.
class Submission {
public:
    Submission(int fd, const Caller& caller, const smtp::TransactionRequest& request,
               std::string_view content)
        : fd_(fd),
          request_(request),
          content_(content),
          session_({.mode = smtp::ClientMode::Smtp, .hello_name = caller.host}) {
        for (std::size_t i = 0; i < request.recipients.size(); i++) left_.push_back(i);
        results_.resize(request.recipients.size());
    }

    // One result for each recipient.
    std::vector<smtp::TransactionResult> run() {
        while (true) {
            smtp::Action action = session_.next_action();
            if (auto* send = std::get_if<smtp::action::Send>(&action)) {
                write(send->bytes);
            } else if (auto* need = std::get_if<smtp::action::NeedReply>(&action)) {
                read(smtp::timeout_of(need->waiting_for));
            } else if (std::get_if<smtp::action::SendContent>(&action)) {
                write_content();
            } else if (auto* done = std::get_if<smtp::action::TransactionDone>(&action)) {
                take(done->results);
            } else if (std::get_if<smtp::action::Ready>(&action)) {
                next();
            } else {
                auto& closed = std::get<smtp::action::Closed>(action);
                for (std::size_t i : left_) results_[i] = smtp::result_of(closed.reason);
                return std::move(results_);
            }
        }
    }

private:
    void next() {
        if (left_.empty() || ++transactions_ > kTransactionsMax) return session_.quit();
        smtp::TransactionRequest request = request_;
        request.recipients.clear();
        for (std::size_t i : left_) request.recipients.push_back(request_.recipients[i]);
        session_.begin(std::move(request));
    }

    void take(const std::vector<smtp::TransactionResult>& results) {
        std::vector<std::size_t> again;
        for (std::size_t i = 0; i < results.size(); i++) {
            if (results[i].state == smtp::TransactionResult::State::NotTried) {
                again.push_back(left_[i]);
            } else {
                results_[left_[i]] = results[i];
            }
        }
        left_ = std::move(again);
    }

    void write(std::string_view bytes) {
        if (!write_all(fd_, bytes)) session_.handle_end_of_stream(words_of_errno());
    }

    void write_content() {
        smtp::DataEncoder encoder;
        std::array<std::string_view, 256> pieces;
        for (std::string_view rest = content_; !rest.empty();) {
            auto part = encoder.encode(rest, pieces);
            if (!part) return spoiled(part.error());
            for (std::size_t i = 0; i < part->pieces; i++) {
                if (!write_all(fd_, pieces[i])) {
                    return session_.handle_end_of_stream(words_of_errno());
                }
            }
            rest.remove_prefix(part->consumed);
        }
        auto end = encoder.finish();
        if (!end) return spoiled(end.error());
        if (!write_all(fd_, *end)) return session_.handle_end_of_stream(words_of_errno());
        session_.content_sent(content_.size());
    }

    void spoiled(const smtp::ContentFault& fault) {
        session_.content_failed({EnhancedStatus{5, 6, 0}, fault.text()});
    }

    void read(Duration patience) {
        auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
        pollfd poll{fd_, POLLIN, 0};
        int ready = ::poll(&poll, 1, static_cast<int>(ms));
        if (ready == 0) return session_.handle_timeout();
        std::array<char, 4096> block;
        ssize_t got = ::read(fd_, block.data(), block.size());
        if (got > 0) {
            session_.handle_bytes({block.data(), static_cast<std::size_t>(got)});
        } else if (got == 0) {
            session_.handle_end_of_stream();
        } else if (errno != EINTR) {
            session_.handle_end_of_stream(words_of_errno());
        }
    }

    int fd_;
    const smtp::TransactionRequest& request_;
    std::string_view content_;
    smtp::ClientSession session_;
    std::vector<std::size_t> left_;  // recipients without a result
    std::vector<smtp::TransactionResult> results_;
    int transactions_ = 0;
};

// Leaves the message as a whole, durable file. The error says why not.
Status<Error> drop(const Settings& settings, const smtp::TransactionRequest& request,
                   std::string_view content) {
    std::string name =
        fmt::format("{:016x}.{:x}.{:016x}", wall_now().us, ::getpid(), random_number());
    std::string temporary =
        settings.drop_directory + "/" + std::string(kDropTemporaryPrefix) + name;
    std::string final_name = settings.drop_directory + "/" + name;
    auto failed = [&](std::string_view what) {
        int error = errno;
        ::unlink(temporary.c_str());
        errno = error;
        return fail(fmt::format("{} {}: {}", what, final_name, std::strerror(error)));
    };
    std::string head = drop_head(request);
    if (head.size() > kDropEnvelopeOctetsMax) {
        errno = E2BIG;
        return failed("too many recipients for");
    }
    // The directory's group is ours while we make it; the server reads it through that group.
    int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0) return failed("cannot make");
    bool written = ::fchmod(fd, 0640) == 0 && write_all(fd, head) && write_all(fd, content) &&
                   ::fsync(fd) == 0;
    if (!written) {
        auto error = failed("cannot write");
        ::close(fd);
        return error;
    }
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, final_name.c_str(), RENAME_NOREPLACE) !=
        0) {
        // Not every file system can; the name is drawn so that it is new all the same.
        if (errno != EINVAL || ::rename(temporary.c_str(), final_name.c_str()) != 0) {
            auto error = failed("cannot name");
            ::close(fd);
            return error;
        }
    }
    // The directory cannot be opened by us, so its sync is the file system's.
    bool synced = ::syncfs(fd) == 0;
    ::close(fd);
    if (!synced) return fail("cannot sync " + settings.drop_directory + ": " + words_of_errno());
    return {};
}

// To the server; what it does not take now goes to the drop directory.
int deliver(const Settings& settings, const Options& options, const Caller& caller,
            smtp::TransactionRequest request, std::string_view content) {
    using State = smtp::TransactionResult::State;
    int code = kExitOk;
    std::string why_later;
    int fd = connect_to(settings.socket);
    if (fd < 0) {
        why_later = settings.socket + ": " + words_of_errno();
    } else {
        auto results = Submission(fd, caller, request, content).run();
        ::close(fd);
        std::vector<Recipient> later;
        for (std::size_t i = 0; i < results.size(); i++) {
            const auto& result = results[i];
            std::string to = request.recipients[i].mailbox.text();
            if (result.state == State::Accepted) {
                if (options.verbose) fmt::print(stderr, "{}: {}\n", to, result.text());
            } else if (result.state == State::Permanent) {
                code = complain(exit_code_of(result), to + ": " + result.text());
            } else {
                why_later = result.text();
                later.push_back(std::move(request.recipients[i]));
            }
        }
        if (later.empty()) return code;
        request.recipients = std::move(later);
    }
    auto dropped = drop(settings, request, content);
    if (!dropped) {
        complain(0, "the server does not take the message now (" + why_later + ")");
        return complain(kExitTempFail, dropped.error().message);
    }
    if (options.verbose) {
        complain(0, "left for the server, which does not take it now (" + why_later + ")");
    }
    return code;
}

int submit(const Settings& settings, const Options& options) {
    if (options.recipients.empty() && !options.recipients_from_header) {
        return complain(kExitUsage, "no recipients: name them, or use -t");
    }
    std::vector<std::string> recipients;
    for (const std::string& word : options.recipients) {
        auto addresses = addresses_in(word);
        if (!addresses) return complain(kExitUsage, addresses.error().message);
        recipients.insert(recipients.end(), addresses->begin(), addresses->end());
    }
    auto text = read_all(STDIN_FILENO, kMessageOctetsMax,
                         options.dot_ends ? ReadUntil::EndOrDot : ReadUntil::End);
    if (!text) return complain(kExitIoError, "cannot read the message: " + words_of_errno());

    Caller caller = find_caller(settings);
    Author author{caller.login + "@" + caller.host,
                  options.full_name.empty() ? caller.full_name : options.full_name};
    if (options.sender && !options.sender->empty() && *options.sender != "<>") {
        auto mailbox = mailbox_of(*options.sender, caller.host);
        if (!mailbox) return complain(kExitUsage, mailbox.error().message);
        author.address = mailbox->text();
        if (options.full_name.empty()) author.full_name.clear();
    }
    std::string id = fmt::format("{:x}.{:x}.{:x}", wall_now().us, ::getpid(), random_number());
    auto message = complete(*text, options.dot_ends, author, id, caller.host, wall_now());
    if (!message) return complain(kExitDataError, message.error().message);
    text.reset();
    if (options.recipients_from_header) {
        recipients.insert(recipients.end(), message->recipients.begin(), message->recipients.end());
    }
    auto request =
        request_of(options.sender.value_or(caller.login), recipients, caller.host, *message);
    if (!request) return complain(kExitDataError, request.error().message);
    if (request->recipients.empty()) return complain(kExitUsage, "the message names no recipients");
    return deliver(settings, options, caller, std::move(*request), message->content);
}

// -bs: the caller speaks SMTP with the server, and we carry the octets.
int relay_session(const Settings& settings) {
    int server = connect_to(settings.socket);
    std::string why = words_of_errno();
    give_up_group();
    if (server < 0) {
        fmt::print("421 4.3.2 The mail server does not answer, come again soon\r\n");
        return complain(kExitTempFail, settings.socket + ": " + why);
    }
    std::array<char, 64 * 1024> block;
    // Each way: from, to. The caller's end is told to the server; the server's end is the end.
    std::array<pollfd, 2> polls{{{STDIN_FILENO, POLLIN, 0}, {server, POLLIN, 0}}};
    while (true) {
        int ready = ::poll(polls.data(), polls.size(), kSessionIdleMs);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return complain(kExitTempFail, "nothing was said for too long");
        for (std::size_t i = 0; i < polls.size(); i++) {
            if (polls[i].fd < 0 || polls[i].revents == 0) continue;
            ssize_t got = ::read(polls[i].fd, block.data(), block.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0 && i == 1) return kExitOk;
            if (got <= 0) {
                ::shutdown(server, SHUT_WR);
                polls[i].fd = -1;
                continue;
            }
            std::string_view octets(block.data(), static_cast<std::size_t>(got));
            if (!write_all(i == 0 ? server : STDOUT_FILENO, octets)) {
                return complain(kExitIoError, words_of_errno());
            }
        }
    }
}

// mailq: what `postrider queue list` says. That program stands beside this one.
int list_queue(const Settings& settings) {
    give_up_group();
    std::array<char, 4096> path{};
    ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    if (size <= 0) return complain(kExitOsError, "cannot find myself: " + words_of_errno());
    std::string program(path.data(), static_cast<std::size_t>(size));
    program.replace(program.rfind('/') + 1, std::string::npos, "postrider");
    std::vector<std::string> words = {program, "queue", "list"};
    if (!settings.admin_socket.empty()) {
        words.insert(words.end(), {"--socket", settings.admin_socket});
    }
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(program.c_str(), arguments.data());
    return complain(kExitUnavailable, program + ": " + words_of_errno());
}

Result<Settings> read_settings(const Options& options) {
    std::string path = options.config_path.empty() ? kSettingsPath : options.config_path;
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT && options.config_path.empty()) return Settings{};
        return fail(path + ": " + words_of_errno());
    }
    auto text = read_all(fd, kSettingsOctetsMax, ReadUntil::End);
    ::close(fd);
    if (!text) return fail(path + ": " + words_of_errno());
    auto settings = parse_settings(*text);
    if (!settings) return fail(path + ", " + settings.error().message);
    return settings;
}

int main_of(int argc, char** argv) {
    // Nothing that we open may take the place of a standard stream that the caller closed.
    for (int fd = ::open("/dev/null", O_RDWR); fd >= 0 && fd <= 2;)
        fd = ::open("/dev/null", O_RDWR);
    std::signal(SIGPIPE, SIG_IGN);
    ::umask(077);
    auto options = parse_options(argc > 0 ? argv[0] : "sendmail",
                                 std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
    if (!options) return complain(kExitUsage, options.error().message);
    if (!options->config_path.empty()) give_up_group();
    auto settings = read_settings(*options);
    if (!settings) return complain(kExitConfig, settings.error().message);
    switch (options->mode) {
        case Mode::Submit:
            return submit(*settings, *options);
        case Mode::Session:
            return relay_session(*settings);
        case Mode::ListQueue:
            return list_queue(*settings);
        case Mode::RunQueue:
            return complain(kExitOk,
                            "the server tries again by itself; `postrider queue` shows what "
                            "waits and can have it tried now");
        case Mode::NewAliases:
            break;
    }
    return complain(kExitOk,
                    "aliases stand in the server's configuration: `postrider reload` reads "
                    "it again");
}

}  // namespace
}  // namespace postrider::front

int main(int argc, char** argv) { return postrider::front::main_of(argc, argv); }
