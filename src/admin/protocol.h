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
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

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

// Writes such a line member by member, many times faster: for rows of which there may be a million.
class RowWriter {
public:
    // The row is added to `out`, which outlives this.
    explicit RowWriter(std::string& out) : out_(out) { out_ += "{\"row\":{"; }

    // REQUIRES: keys are plain ASCII, without quotes, and differ.
    void add_text(std::string_view key, std::string_view text);
    void add_number(std::string_view key, uint64_t number);
    void add_flag(std::string_view key, bool value);
    void add_seconds(std::string_view key, Duration duration);  // to a thousandth; not negative
    void end() { out_ += "}}\n"; }

private:
    void begin(std::string_view key);

    std::string& out_;
    bool first_ = true;
};

// Reads the members of a row one after the other, many times faster than as Json. Their values are
// texts, numbers and literals; a row that has others ends there.
class RowReader {
public:
    // REQUIRES: what `object` views outlives this.
    explicit RowReader(std::string_view object) : left_(object) {}

    // False behind the last member. A text comes without quotes and escapes, all else as it stands;
    // both views hold until the next call.
    bool next(std::string_view& key, std::string_view& value);

private:
    bool take(char expected);
    bool take_text(std::string_view& out, std::string& unescaped);

    std::string_view left_;
    std::string key_, value_;  // where there were escapes
    bool begun_ = false;
};

std::string done_line(const Json& summary);
std::string error_line(std::string_view message);

}  // namespace postrider::admin
