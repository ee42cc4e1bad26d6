// admin/protocol.h: the operator's API, as lines of JSON over a stream.
//
// A request is one line: {"command": "queue list", "args": {...}}. The answer is any number of
// rows, one JSON object per line under the key "row", then exactly one last line: {"done": {...}}
// with a summary, or {"error": "one sentence"}. Octets after the first line are ignored; one
// request per connection, so that a slow answer never holds another one up.
//
// Limits: a line has at most kAdminLineOctetsMax octets.
// Threads: values.

#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postrider::admin {

using Json = nlohmann::json;

inline constexpr std::size_t kAdminLineOctetsMax = 1024 * 1024;

struct Request {
    std::string command;  // words separated by one space: "queue list"
    Json args = Json::object();
};

// `line` without its end. The error says what is wrong with it.
Result<Request> parse_request(std::string_view line);

std::string request_line(const Request& request);
std::string row_line(const Json& row);
std::string done_line(const Json& summary);
std::string error_line(std::string_view message);

}  // namespace postrider::admin
