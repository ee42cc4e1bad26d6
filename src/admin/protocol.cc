#include "admin/protocol.h"

namespace postrider::admin {

namespace {

// Octets that are no UTF-8 are replaced: an answer is always readable JSON.
std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<Request> parse_request(std::string_view line) {
    Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!value.is_object()) return fail("the request is not a JSON object on one line");
    auto command = value.find("command");
    if (command == value.end() || !command->is_string()) {
        return fail("the request has no \"command\"");
    }
    Request request{command->get<std::string>(), Json::object()};
    if (auto args = value.find("args"); args != value.end()) {
        if (!args->is_object()) return fail("\"args\" is not an object");
        request.args = *args;
    }
    return request;
}

std::string request_line(const Request& request) {
    return dump({{"command", request.command}, {"args", request.args}});
}

std::string row_line(const Json& row) { return dump({{"row", row}}); }

std::string done_line(const Json& summary) { return dump({{"done", summary}}); }

std::string error_line(std::string_view message) { return dump({{"error", std::string(message)}}); }

}  // namespace postrider::admin
