#include "admin/protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace postrider::admin {

namespace {

// Octets that are no UTF-8 are replaced: an answer is always readable JSON.
std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Stands in a JSON string as it is.
bool is_plain(std::string_view text) {
    return std::ranges::all_of(
        text, [](char c) { return c >= ' ' && c < '\x7F' && c != '"' && c != '\\'; });
}

void add_digits(std::string& out, uint64_t number) {
    std::array<char, 20> digits;
    out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), number).ptr);
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

void RowWriter::begin(std::string_view key) {
    out_ += first_ ? "\"" : ",\"";
    first_ = false;
    out_ += key;
    out_ += "\":";
}

void RowWriter::add_text(std::string_view key, std::string_view text) {
    begin(key);
    if (is_plain(text)) {
        out_ += '"';
        out_ += text;
        out_ += '"';
    } else {
        out_ += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
    }
}

void RowWriter::add_number(std::string_view key, uint64_t number) {
    begin(key);
    add_digits(out_, number);
}

void RowWriter::add_flag(std::string_view key, bool value) {
    begin(key);
    out_ += value ? "true" : "false";
}

void RowWriter::add_seconds(std::string_view key, Duration duration) {
    begin(key);
    auto thousandths = static_cast<uint64_t>(
        std::max<int64_t>(0, std::chrono::floor<std::chrono::milliseconds>(duration).count()));
    add_digits(out_, thousandths / 1000);
    out_ += '.';
    for (uint64_t unit : {100, 10, 1}) out_ += static_cast<char>('0' + thousandths / unit % 10);
}

bool RowReader::take(char expected) {
    if (!left_.starts_with(expected)) return false;
    left_.remove_prefix(1);
    return true;
}

bool RowReader::take_text(std::string_view& out, std::string& unescaped) {
    std::size_t end = left_.find_first_of("\"\\", 1);
    if (end == std::string_view::npos) return false;
    if (left_[end] == '"') {
        out = left_.substr(1, end - 1);
    } else {
        while (end < left_.size() && left_[end] != '"') end += left_[end] == '\\' ? 2 : 1;
        Json text = Json::parse(left_.substr(0, end + 1), nullptr, /*allow_exceptions=*/false);
        if (!text.is_string()) return false;
        unescaped = text.get<std::string>();
        out = unescaped;
    }
    left_.remove_prefix(end + 1);
    return true;
}

bool RowReader::next(std::string_view& key, std::string_view& value) {
    if (!take(std::exchange(begun_, true) ? ',' : '{') || !left_.starts_with('"')) return false;
    if (!take_text(key, key_) || !take(':')) return false;
    if (left_.starts_with('"')) return take_text(value, value_);
    std::size_t end = left_.find_first_of(",}[{");
    if (end == 0 || end == std::string_view::npos || left_[end] == '[' || left_[end] == '{') {
        return false;
    }
    value = left_.substr(0, end);
    left_.remove_prefix(end);
    return true;
}

std::string done_line(const Json& summary) { return dump({{"done", summary}}); }

std::string error_line(std::string_view message) { return dump({{"error", std::string(message)}}); }

}  // namespace postrider::admin
