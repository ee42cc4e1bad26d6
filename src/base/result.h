// base/result.h: errors are values, and their type says whose fault it was.
//
// Nothing is thrown across a room's border. A function that can fail returns Result<T, E>, and E
// tells who erred: smtp::Reply is the peer's fault (it is what the peer is told), world::DiskError
// is the disk's, world::NetError the network's, Error is ours or the operator's.
//
// Threads: values, no rule.

#pragma once

#include <expected>
#include <string>
#include <utility>

namespace postrider {

// A failure that concerns us or the operator, as one sentence without a trailing full stop.
struct Error {
    std::string message;

    friend bool operator==(const Error&, const Error&) = default;
};

template <typename T, typename E = Error>
using Result = std::expected<T, E>;

template <typename E = Error>
using Status = std::expected<void, E>;

inline std::unexpected<Error> fail(std::string message) {
    return std::unexpected(Error{std::move(message)});
}

}  // namespace postrider
