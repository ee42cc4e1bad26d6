#include "admin/client.h"

#include <array>
#include <vector>

namespace postrider::admin {

namespace {

constexpr auto kConnectTime = std::chrono::seconds(30);
constexpr auto kPieceTime = std::chrono::seconds(60);

std::string why_not_connected(const std::string& path, const world::NetError& error) {
    using Kind = world::NetError::Kind;
    switch (error.kind) {
        case Kind::Refused:
            return "no server answers at " + path + ": is `postrider serve` running?";
        case Kind::NotPermitted:
            return "no permission to talk to the server at " + path;
        default:
            return error.message;
    }
}

constexpr std::string_view kNotUnderstood = "the server's answer is not understood";
constexpr std::string_view kRowBegins = "{\"row\":";

// Handles one line of the answer; a value means that it was the last.
std::optional<Result<Json>> handle_line(std::string_view line,
                                        const std::function<void(std::string_view)>& on_row) {
    if (line.starts_with(kRowBegins) && line.ends_with('}')) {
        line.remove_prefix(kRowBegins.size());
        line.remove_suffix(1);
        on_row(line);
        return std::nullopt;
    }
    Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!value.is_object()) return fail(std::string(kNotUnderstood));
    if (auto error = value.find("error"); error != value.end() && error->is_string()) {
        return fail(error->get<std::string>());
    }
    if (auto done = value.find("done"); done != value.end()) return *done;
    return fail(std::string(kNotUnderstood));
}

}  // namespace

Task<Result<Json>> call(world::World& world, std::string socket_path, Request request,
                        std::function<void(const Json&)> on_row) {
    bool understood = true;
    auto parsed = [&](std::string_view text) {
        Json row = Json::parse(text, nullptr, /*allow_exceptions=*/false);
        understood = understood && row.is_object();
        if (understood) on_row(row);
    };
    auto done = co_await call_for_text(world, std::move(socket_path), std::move(request), parsed);
    if (!understood) co_return fail(std::string(kNotUnderstood));
    co_return done;
}

Task<Result<Json>> call_for_text(world::World& world, std::string socket_path, Request request,
                                 std::function<void(std::string_view)> on_row) {
    auto stream = co_await world.net.connect(world::UnixEndpoint{socket_path}, std::nullopt,
                                             Deadline::after(world.clock.now(), kConnectTime));
    if (!stream) co_return fail(why_not_connected(socket_path, stream.error()));
    std::string line = request_line(request);
    std::array<std::string_view, 1> pieces{line};
    auto sent = co_await (*stream)->write(pieces, Deadline::after(world.clock.now(), kPieceTime));
    if (!sent) co_return fail(sent.error().message);

    std::string pending;
    std::vector<char> block(64 * 1024);
    while (true) {
        auto got = co_await (*stream)->read(block, Deadline::after(world.clock.now(), kPieceTime));
        if (!got) co_return fail(got.error().message);
        if (*got == 0) co_return fail("the server ended before its answer did");
        pending.append(block.data(), *got);
        std::size_t begin = 0;
        for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos;
             begin = end + 1) {
            auto last = handle_line(std::string_view(pending).substr(begin, end - begin), on_row);
            if (last) co_return std::move(*last);
        }
        pending.erase(0, begin);
        if (pending.size() > kAdminLineOctetsMax) co_return fail("the server's answer is too long");
    }
}

}  // namespace postrider::admin
