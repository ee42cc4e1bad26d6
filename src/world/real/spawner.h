// world/real/spawner.h: a small process that starts programs for the server.
//
// The problem: a process with threads must not fork, and one inside a sandbox must not be able to
// start anything. So before the first thread starts, a process is forked that does nothing else. It
// is asked over a socket; with each request come the descriptors that the program gets.
//
// Protocol: one request is one packet (encode_request) with three descriptors: standard input,
// standard output and error, and the status socket. On the status socket the spawner writes one
// SpawnStatus when the program has ended or could not be started. When the other side of the status
// socket ends its writing or is closed, the program's group is killed; so nothing runs on for a
// server that has died or forgotten it.
//
// Threads: fork_spawner() before the first thread; the spawner itself has one.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "world/process.h"
#include "world/real/fd.h"

namespace postrider::world::real {

inline constexpr std::size_t kProgramsMax = 256;  // at once

struct SpawnStatus {
    enum class Kind : uint32_t {
        Exited,      // number: the exit code
        Signalled,   // number: the signal
        NotStarted,  // number: an errno
    };
    Kind kind = Kind::Exited;
    int32_t number = 0;
};

struct SpawnRequest {
    std::vector<std::string> arguments, environment;
    std::string directory;

    friend bool operator==(const SpawnRequest&, const SpawnRequest&) = default;
};

// Fails for an octet NUL inside a text and for a request that is too large.
Result<std::string> encode_request(const SpawnRequest& request);
std::optional<SpawnRequest> decode_request(std::string_view packet);

class Spawner {
public:
    // Forks. REQUIRES: this process has one thread.
    static Result<Spawner> fork_spawner();

    Spawner(Spawner&& other) noexcept
        : socket_(std::move(other.socket_)), pid_(std::exchange(other.pid_, 0)) {}
    Spawner& operator=(Spawner&&) = delete;
    // Ends the spawner and all that it has started.
    ~Spawner();

    // Non-blocking, SOCK_SEQPACKET.
    int socket() const { return socket_.get(); }
    pid_t pid() const { return pid_; }

private:
    Spawner(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

    Fd socket_;
    pid_t pid_;
};

}  // namespace postrider::world::real
