// admin/server.h: answers operators on a Unix socket.
//
// Who may talk is decided by the socket's file mode; whoever can connect may do everything.
// A command is found by its words in a table given by the daemon; it writes rows as it finds them,
// so that long lists flow and need no memory.
//
// Deadlines: a request must arrive within 10 s; each write within 30 s. At most 32 connections.
// Threads: the shard that calls serve().

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "admin/protocol.h"
#include "base/task.h"
#include "world/world.h"

namespace postrider::admin {

// Where a command writes its rows.
class Rows {
public:
    virtual ~Rows() = default;
    // The error is the stream's: the operator went away; stop.
    virtual Task<Status<Error>> write(Json row) = 0;
    // Whole lines, as RowWriter makes them.
    virtual Task<Status<Error>> write_lines(std::string_view lines) = 0;
};

// Returns the summary for the last line, or what went wrong as a sentence.
using Command = std::function<Task<Result<Json>>(Json args, Rows& rows)>;
using Commands = std::map<std::string, Command>;

class Server {
public:
    // REQUIRES: world and commands outlive the server.
    Server(world::World& world, Commands commands);
    ~Server();

    // Listens and answers until close(); the error says why it could not listen.
    Status<Error> start(const std::string& socket_path, uint32_t mode);
    void close();

private:
    struct Shared;

    static Task<void> accept_loop(std::shared_ptr<Shared> shared);
    static Task<void> answer(std::shared_ptr<Shared> shared, std::unique_ptr<world::Stream> stream);

    std::shared_ptr<Shared> shared_;
};

}  // namespace postrider::admin
