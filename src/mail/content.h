// mail/content.h: the octets of a stored message, read wherever they are kept.
//
// The spool hands a message to delivery without copying it: small ones are in memory, large ones
// lie in a file. Both are read through this interface.
//
// The content is header block and body, without any variant's prefix (mail/envelope.h). It never
// changes while a reader lives; line ends are CRLF.
//
// Failure: an error of read() means that the stored message cannot be read now; whoever was sending
// it must not make the next host believe that it was whole.
// Threads: a reader is used by one task at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/task.h"

namespace postrider {

class ContentReader {
public:
    virtual ~ContentReader() = default;

    virtual uint64_t size() const = 0;  // octets

    // Like pread: reads up to into.size() octets at `offset`; fewer only at the end of the content,
    // 0 at or after it. `into` must outlive the task.
    virtual Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) = 0;

    // The whole content, when it is in memory; valid as long as the reader.
    virtual std::optional<std::string_view> in_memory() const { return std::nullopt; }
};

}  // namespace postrider
