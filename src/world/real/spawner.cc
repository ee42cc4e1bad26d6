#include "world/real/spawner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "world/real/system_words.h"

namespace postrider::world::real {

namespace {

constexpr std::size_t kDescriptors = 3;
constexpr std::size_t kPacketOctetsMax = kProcessRequestOctetsMax + 8 * 1024;
constexpr rlim_t kOpenFilesOfPrograms = 1024;  // what select() can bear
constexpr int kExitNotStarted = 127;

// What the spawner knows of one program.
struct Program {
    pid_t pid = 0;
    Fd status;
    bool killed = false;
};

struct Packet {
    std::optional<SpawnRequest> request;
    std::array<Fd, kDescriptors> descriptors;
    bool ended = false;  // the server is gone
};

void tell(int socket, SpawnStatus status) {
    // Whoever asked may be gone: then nobody wants to know.
    (void)::send(socket, &status, sizeof status, MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// In the child: becomes the program, or says why not.
[[noreturn]] void become(SpawnRequest request, const std::array<Fd, kDescriptors>& descriptors) {
    ::setsid();  // a group of its own, and no terminal
    for (int signal = 1; signal < NSIG; signal++) std::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);

    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > kOpenFilesOfPrograms) {
        files.rlim_cur = kOpenFilesOfPrograms;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);

    // All of them are above 2: the spawner keeps 0 to 2 open. What is not said here is closed by
    // exec, since every descriptor of the spawner is opened so.
    bool ready = ::dup2(descriptors[0].get(), 0) == 0 && ::dup2(descriptors[1].get(), 1) == 1 &&
                 ::dup2(descriptors[1].get(), 2) == 2 && ::chdir(request.directory.c_str()) == 0;
    if (ready) {
        auto arguments = pointers(request.arguments);
        auto environment = pointers(request.environment);
        ::execve(arguments.front(), arguments.data(), environment.data());
    }
    tell(descriptors[2].get(), {SpawnStatus::Kind::NotStarted, errno});
    ::_exit(kExitNotStarted);
}

Packet receive_packet(int socket, std::vector<char>& buffer) {
    Packet packet;
    iovec vector{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptors)> control{};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return packet;
    if (got <= 0) {
        packet.ended = true;
        return packet;
    }
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    std::size_t count = 0;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < std::min(count, kDescriptors); i++) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
            packet.descriptors[i] = Fd(fd);
        }
    }
    bool whole = count == kDescriptors && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    if (whole) packet.request = decode_request({buffer.data(), static_cast<std::size_t>(got)});
    return packet;
}

// The life of the spawner.
class SpawnerLoop {
public:
    SpawnerLoop(Fd socket, Fd signals) : socket_(std::move(socket)), signals_(std::move(signals)) {}

    [[noreturn]] void run() {
        while (true) {
            wait();
            if (!take_requests()) break;
            reap();
            kill_unwanted();
        }
        for (const Program& program : programs_) ::kill(-program.pid, SIGKILL);
        ::_exit(0);
    }

private:
    void wait() {
        polls_.assign({{socket_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}});
        for (const Program& program : programs_) {
            polls_.push_back({program.killed ? -1 : program.status.get(), POLLIN, 0});
        }
        ::poll(polls_.data(), polls_.size(), -1);
        std::array<signalfd_siginfo, 16> dropped;
        while (::read(signals_.get(), dropped.data(), sizeof dropped) > 0) {
        }
    }

    // False when the server is gone.
    bool take_requests() {
        for (std::size_t i = 0; i < kProgramsMax; i++) {
            Packet packet = receive_packet(socket_.get(), buffer_);
            if (packet.ended) return false;
            if (!packet.descriptors[2]) return true;
            start(std::move(packet));
        }
        return true;
    }

    void start(Packet packet) {
        int status = packet.descriptors[2].get();
        if (!packet.request) return tell(status, {SpawnStatus::Kind::NotStarted, EBADMSG});
        if (programs_.size() >= kProgramsMax) {
            return tell(status, {SpawnStatus::Kind::NotStarted, EAGAIN});
        }
        pid_t pid = ::fork();
        if (pid == 0) become(std::move(*packet.request), packet.descriptors);
        if (pid < 0) return tell(status, {SpawnStatus::Kind::NotStarted, errno});
        programs_.push_back({pid, std::move(packet.descriptors[2])});
    }

    // The group is killed while its leader is still known, so that its number cannot have been
    // given to others.
    void reap() {
        for (std::size_t i = 0; i < programs_.size();) {
            siginfo_t info{};
            auto id = static_cast<id_t>(programs_[i].pid);
            if (::waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
                i++;
                continue;
            }
            ::kill(-programs_[i].pid, SIGKILL);
            ::waitpid(programs_[i].pid, nullptr, 0);
            bool exited = info.si_code == CLD_EXITED;
            tell(programs_[i].status.get(),
                 {exited ? SpawnStatus::Kind::Exited : SpawnStatus::Kind::Signalled,
                  info.si_status});
            programs_.erase(programs_.begin() + static_cast<ptrdiff_t>(i));
        }
    }

    void kill_unwanted() {
        for (Program& program : programs_) {
            if (program.killed) continue;
            char octet = 0;
            ssize_t got = ::recv(program.status.get(), &octet, 1, MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            program.killed = true;
            // A child that has not yet made its own group is killed alone.
            if (::kill(-program.pid, SIGKILL) != 0) ::kill(program.pid, SIGKILL);
        }
    }

    Fd socket_, signals_;
    std::vector<Program> programs_;
    std::vector<pollfd> polls_;
    std::vector<char> buffer_ = std::vector<char>(kPacketOctetsMax);
};

// Keeps nothing of the server's but `socket`, which may become another number.
[[noreturn]] void run_spawner(int socket) {
    constexpr int kSocket = 3;
    if (socket != kSocket && ::dup3(socket, kSocket, O_CLOEXEC) < 0) ::_exit(1);
    ::close_range(kSocket + 1, ~0U, 0);
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd : {0, 1, 2}) {
        if (null < 0 || ::dup2(null, fd) < 0) ::_exit(1);
    }
    ::close(null);

    // A signal to the server's group (Ctrl-C) is the server's: the end of its socket ends us.
    ::setsid();
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    std::signal(SIGCHLD, SIG_DFL);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    Fd signals(::signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals) ::_exit(1);
    SpawnerLoop(Fd(kSocket), std::move(signals)).run();
}

void put_text(std::string& out, std::string_view text) {
    out += text;
    out += '\0';
}

// Takes the text up to the next NUL.
std::optional<std::string> take_text(std::string_view& packet) {
    std::size_t end = packet.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(packet.substr(0, end));
    packet.remove_prefix(end + 1);
    return text;
}

bool take_texts(std::string_view& packet, std::vector<std::string>& into) {
    auto count = take_text(packet);
    if (!count) return false;
    for (int left = std::atoi(count->c_str()); left > 0; left--) {
        auto text = take_text(packet);
        if (!text) return false;
        into.push_back(std::move(*text));
    }
    return true;
}

}  // namespace

Result<std::string> encode_request(const SpawnRequest& request) {
    std::string packet;
    put_text(packet, request.directory);
    for (const auto* texts : {&request.arguments, &request.environment}) {
        put_text(packet, std::to_string(texts->size()));
        for (const std::string& text : *texts) {
            if (text.find('\0') != std::string::npos) return fail("an argument holds an octet NUL");
            put_text(packet, text);
        }
    }
    if (request.arguments.empty() || !request.arguments.front().starts_with('/')) {
        return fail("the program is not named by an absolute path");
    }
    if (request.directory.find('\0') != std::string::npos) {
        return fail("the folder's name holds an octet NUL");
    }
    if (packet.size() > kProcessRequestOctetsMax) {
        return fail(fmt::format("arguments and environment have {} octets; {} are the most",
                                packet.size(), kProcessRequestOctetsMax));
    }
    return packet;
}

std::optional<SpawnRequest> decode_request(std::string_view packet) {
    SpawnRequest request;
    auto directory = take_text(packet);
    if (!directory || !take_texts(packet, request.arguments) ||
        !take_texts(packet, request.environment) || !packet.empty() || request.arguments.empty()) {
        return std::nullopt;
    }
    request.directory = std::move(*directory);
    return request;
}

Result<Spawner> Spawner::fork_spawner() {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
        return fail(fmt::format("socketpair: {}", system_words(errno)));
    }
    Fd ours(pair[0]);
    Fd theirs(pair[1]);
    pid_t pid = ::fork();
    if (pid == 0) {
        ours.reset();
        run_spawner(theirs.release());
    }
    if (pid < 0) return fail(fmt::format("fork: {}", system_words(errno)));
    return Spawner(std::move(ours), pid);
}

Spawner::~Spawner() {
    if (pid_ <= 0) return;
    socket_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace postrider::world::real
