#include "world/real/real_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "world/real/socket.h"
#include "world/real/system_words.h"

namespace postrider::world::real {

namespace {

constexpr auto kDeathTime = std::chrono::seconds(5);       // from the killing to the report
constexpr auto kAskAgain = std::chrono::milliseconds(10);  // when the spawner is busy
constexpr std::size_t kBlockOctets = 16 * 1024;
constexpr std::size_t kLastOctetsMax = 1024 * 1024;  // read after the program has ended

using Kind = ProcessEnd::Kind;

// Our ends of one program; shared with the task that reads its output.
struct Channels {
    SocketRef input, output, status;
    std::string tail;
    std::size_t tail_octets_max = 0;

    void keep(std::string_view octets) {
        tail.append(octets);
        if (tail.size() > 2 * tail_octets_max) trim();
    }
    void trim() {
        if (tail.size() > tail_octets_max) tail.erase(0, tail.size() - tail_octets_max);
    }
    void close() {
        for (SocketRef* socket : {&input, &output, &status}) {
            if (*socket) (*socket)->close();
        }
    }
};

// Closes all when run() ends or is given up; the spawner then kills what still runs.
struct Closing {
    std::shared_ptr<Channels> channels;
    ~Closing() { channels->close(); }
};

// The program's ends.
struct TheirEnds {
    Fd input, output, status;
};

bool set_non_blocking(int fd) {
    int flags = ::fcntl(fd, F_GETFL);
    return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

Result<TheirEnds> open_channels(real::Loop& loop, Channels& channels) {
    std::array<std::array<int, 2>, 3> pairs{};
    TheirEnds theirs;
    auto failed = [] { return fail(fmt::format("no pipe: {}", system_words(errno))); };
    if (::pipe2(pairs[0].data(), O_CLOEXEC) != 0) return failed();
    theirs.input = Fd(pairs[0][0]);
    channels.input = new Socket(loop, Fd(pairs[0][1]));
    if (::pipe2(pairs[1].data(), O_CLOEXEC) != 0) return failed();
    theirs.output = Fd(pairs[1][1]);
    channels.output = new Socket(loop, Fd(pairs[1][0]));
    // A stream, since only one has an end that the other side can see as such.
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[2].data()) != 0) return failed();
    theirs.status = Fd(pairs[2][1]);
    channels.status = new Socket(loop, Fd(pairs[2][0]));
    for (const SocketRef* ours : {&channels.input, &channels.output, &channels.status}) {
        if (!set_non_blocking((*ours)->fd())) return failed();
    }
    return theirs;
}

// One packet with the program's descriptors. As sendmsg(2) answers.
ssize_t send_request(int socket, std::string& packet, const TheirEnds& theirs) {
    std::array<int, 3> descriptors{theirs.input.get(), theirs.output.get(), theirs.status.get()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
    iovec vector{packet.data(), packet.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
    return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Takes what there is. False at the end.
bool read_some(Channels& channels, std::span<char> block) {
    ssize_t got = ::read(channels.output->fd(), block.data(), block.size());
    if (got > 0) channels.keep({block.data(), static_cast<std::size_t>(got)});
    if (got >= 0) return got > 0;
    if (errno == EAGAIN) channels.output->note_exhausted(Socket::Side::Read);
    return errno == EAGAIN || errno == EINTR;
}

Task<void> read_output(std::shared_ptr<Channels> channels) {
    std::array<char, 4096> block;
    while (true) {
        co_await channels->output->turn();
        auto wake = co_await channels->output->wait(Socket::Side::Read, Deadline::never());
        if (wake != Socket::Wake::Ready || channels->output->closed()) co_return;
        if (!read_some(*channels, block)) co_return;
    }
}

// What the pipe still holds.
void read_rest(Channels& channels) {
    std::vector<char> block(kBlockOctets);
    for (std::size_t octets = 0; octets < kLastOctetsMax; octets += block.size()) {
        ssize_t got = ::read(channels.output->fd(), block.data(), block.size());
        if (got <= 0) break;
        channels.keep({block.data(), static_cast<std::size_t>(got)});
    }
    channels.trim();
}

enum class Fed : uint8_t {
    All,
    NotWanted,  // the program has closed its input, or has ended
    TimedOut,
    Failed,
};

Task<Fed> feed(SocketRef pipe, ProcessInput& input, Deadline deadline, std::string& why) {
    while (true) {
        auto piece = co_await input();
        if (!piece) {
            why = piece.error().message;
            co_return Fed::Failed;
        }
        if (piece->empty()) co_return Fed::All;
        std::string_view rest = *piece;
        while (!rest.empty()) {
            co_await pipe->turn();
            ssize_t wrote = ::write(pipe->fd(), rest.data(), rest.size());
            if (wrote >= 0) {
                rest.remove_prefix(static_cast<std::size_t>(wrote));
                continue;
            }
            if (errno == EINTR) continue;
            if (errno != EAGAIN) co_return Fed::NotWanted;
            pipe->note_exhausted(Socket::Side::Write);
            auto wake = co_await pipe->wait(Socket::Side::Write, deadline);
            if (wake == Socket::Wake::TimedOut) co_return Fed::TimedOut;
            if (wake == Socket::Wake::Closed) co_return Fed::NotWanted;
        }
    }
}

// The spawner's word; nothing when the deadline passed first.
Task<std::optional<ProcessEnd>> read_status(SocketRef status, Deadline deadline) {
    while (true) {
        SpawnStatus said;
        ssize_t got = ::recv(status->fd(), &said, sizeof said, MSG_DONTWAIT);
        if (got == sizeof said) {
            ProcessEnd end;
            end.code = said.number;
            end.kind = said.kind == SpawnStatus::Kind::Exited ? Kind::Exited : Kind::Signalled;
            if (said.kind == SpawnStatus::Kind::NotStarted) {
                end = {.kind = Kind::NotStarted, .message = std::string(system_words(said.number))};
            }
            co_return end;
        }
        if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
            co_return ProcessEnd{.kind = Kind::Lost,
                                 .message = "the process that starts programs has died"};
        }
        if (errno == EAGAIN) status->note_exhausted(Socket::Side::Read);
        auto wake = co_await status->wait(Socket::Side::Read, deadline);
        if (wake != Socket::Wake::Ready) co_return std::nullopt;
    }
}

// Has the group killed and waits until it is.
Task<std::optional<ProcessEnd>> kill_program(SocketRef status, Clock& clock) {
    ::shutdown(status->fd(), SHUT_WR);
    co_return co_await read_status(status, Deadline::after(clock.now(), kDeathTime));
}

ProcessEnd not_started(std::string why) {
    return {.kind = Kind::NotStarted, .message = std::move(why)};
}

}  // namespace

Status<Error> RealProcess::fork_spawner() {
    auto forked = Spawner::fork_spawner();
    if (!forked) return std::unexpected(forked.error());
    spawner_.emplace(std::move(*forked));
    return {};
}

Task<ProcessEnd> RealProcess::run(ProcessRequest request, ProcessInput input) {
    if (!spawner_) co_return not_started("this process was not made to start programs");
    std::string program = request.arguments.empty() ? "" : request.arguments.front();
    auto packet = encode_request({std::move(request.arguments), std::move(request.environment),
                                  std::move(request.directory)});
    if (!packet) co_return not_started(packet.error().message);

    real::Loop* loop = loop_here();
    assert(loop && "run() on a shard's thread");
    Closing closing{std::make_shared<Channels>()};
    Channels& channels = *closing.channels;
    channels.tail_octets_max = request.output_octets_max;
    {
        auto theirs = open_channels(*loop, channels);
        if (!theirs) co_return not_started(theirs.error().message);
        while (send_request(spawner_->socket(), *packet, *theirs) < 0) {
            bool busy = errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
            if (!busy) co_return not_started("the process that starts programs has died");
            if (request.deadline.reached(clock_.now())) {
                co_return not_started("the process that starts programs is too busy");
            }
            co_await clock_.sleep_for(kAskAgain);
        }
    }
    executor_.spawn(read_output(closing.channels));

    std::string why;
    Fed fed = co_await feed(channels.input, input, request.deadline, why);
    std::optional<ProcessEnd> end;
    if (fed == Fed::Failed) {
        // Killed before its input ends: the pipe is closed when run() is over.
        (void)co_await kill_program(channels.status, clock_);
        end = {.kind = Kind::InputFailed, .message = std::move(why)};
    } else {
        if (fed != Fed::TimedOut) channels.input->close();
        end = co_await read_status(channels.status, request.deadline);
        if (!end) {
            // It may have ended by itself in this very moment.
            (void)co_await kill_program(channels.status, clock_);
            end = {.kind = Kind::TimedOut};
        }
    }
    if (end->kind == Kind::NotStarted) end->message = program + ": " + end->message;
    read_rest(channels);
    end->output = std::move(channels.tail);
    co_return std::move(*end);
}

}  // namespace postrider::world::real
