#include "admin/server.h"

#include <array>
#include <vector>

namespace postrider::admin {

namespace {

constexpr auto kRequestTime = std::chrono::seconds(10);
constexpr auto kWriteTime = std::chrono::seconds(30);
constexpr int kConnectionsMax = 32;

Status<Error> as_error(const Status<world::NetError>& status) {
    if (status) return {};
    return fail(status.error().message);
}

class StreamRows : public Rows {
public:
    StreamRows(world::Clock& clock, world::Stream& stream) : clock_(clock), stream_(stream) {}

    // Small rows are gathered; a long list goes out in blocks.
    Task<Status<Error>> write(Json row) override { co_return co_await write_lines(row_line(row)); }

    Task<Status<Error>> write_lines(std::string_view lines) override {
        pending_ += lines;
        if (pending_.size() < kBlockOctets) co_return Status<Error>{};
        co_return co_await flush();
    }

    Task<Status<Error>> last(std::string line) {
        pending_ += line;
        co_return co_await flush();
    }

private:
    static constexpr std::size_t kBlockOctets = 16 * 1024;

    Task<Status<Error>> flush() {
        std::string out = std::exchange(pending_, {});
        std::array<std::string_view, 1> pieces{out};
        co_return as_error(
            co_await stream_.write(pieces, Deadline::after(clock_.now(), kWriteTime)));
    }

    world::Clock& clock_;
    world::Stream& stream_;
    std::string pending_;
};

// The first line, without its end.
Task<Result<std::string>> read_line(world::Clock& clock, world::Stream& stream) {
    Deadline deadline = Deadline::after(clock.now(), kRequestTime);
    std::string line;
    std::vector<char> block(4096);
    while (true) {
        auto got = co_await stream.read(block, deadline);
        if (!got) co_return fail(got.error().message);
        if (*got == 0) co_return fail("the request ended before its line did");
        line.append(block.data(), *got);
        if (std::size_t end = line.find('\n'); end != std::string::npos) {
            line.resize(end);
            co_return line;
        }
        if (line.size() > kAdminLineOctetsMax) co_return fail("the request is too long");
    }
}

}  // namespace

struct Server::Shared {
    world::World& world;
    Commands commands;
    std::unique_ptr<world::Listener> listener;
    int connections = 0;
};

Server::Server(world::World& world, Commands commands)
    : shared_(std::make_shared<Shared>(Shared{world, std::move(commands), nullptr})) {}

Server::~Server() { close(); }

Status<Error> Server::start(const std::string& socket_path, uint32_t mode) {
    auto listener = shared_->world.net.listen(world::UnixEndpoint{socket_path},
                                              {.backlog = kConnectionsMax, .unix_mode = mode});
    if (!listener) return fail("admin socket: " + listener.error().message);
    shared_->listener = std::move(*listener);
    shared_->world.executor.spawn(accept_loop(shared_));
    return {};
}

void Server::close() {
    if (shared_->listener) shared_->listener->close();
}

Task<void> Server::accept_loop(std::shared_ptr<Shared> shared) {
    while (true) {
        auto stream = co_await shared->listener->accept();
        if (!stream) {
            if (stream.error().kind == world::NetError::Kind::Closed) co_return;
            co_await shared->world.clock.sleep_for(std::chrono::milliseconds(100));
            continue;
        }
        if (shared->connections >= kConnectionsMax) continue;  // closed by its destructor
        shared->connections++;
        shared->world.executor.spawn(answer(shared, std::move(*stream)));
    }
}

Task<void> Server::answer(std::shared_ptr<Shared> shared, std::unique_ptr<world::Stream> stream) {
    StreamRows rows(shared->world.clock, *stream);
    std::string last;
    auto line = co_await read_line(shared->world.clock, *stream);
    auto request = line ? parse_request(*line) : Result<Request>(std::unexpected(line.error()));
    if (!request) {
        last = error_line(request.error().message);
    } else if (auto found = shared->commands.find(request->command);
               found == shared->commands.end()) {
        last = error_line("unknown command \"" + request->command + "\"");
    } else {
        auto summary = co_await found->second(std::move(request->args), rows);
        last = summary ? done_line(*summary) : error_line(summary.error().message);
    }
    (void)co_await rows.last(std::move(last));  // the operator may have gone: nobody left to tell
    stream->close();
    shared->connections--;
}

}  // namespace postrider::admin
