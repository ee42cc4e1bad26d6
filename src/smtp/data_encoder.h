// smtp/data_encoder.h: content of a message as it goes over the wire after DATA.
//
// A line that begins with a dot gets another one, and CRLF.CRLF ends the message. Nothing is
// copied: the wire octets are views into the given content, with a few constant views between them.
//
// Promise
//   1. Any cut of the content gives the same wire octets.
//   2. The last defence: a bare CR, a bare LF or a NUL never leaves. Stored content has none, so
//   one
//      seen here is damage or our own fault; the message must not be sent on, and since its
//      beginning has left already, the connection must end without the final dot.
//   3. What comes out between DATA and the final dot holds no CRLF.CRLF of its own.
//
// Threads: one at a time.
// RFC 5321 §4.5.2 (transparency), §2.3.8 (line ends), §4.1.1.4 (end of data).

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postrider::smtp {

struct ContentFault {
    enum class Kind : uint8_t {
        BareCr,
        BareLf,
        Nul
    };
    Kind kind = Kind::Nul;
    uint64_t offset = 0;  // in the content, of the offending octet

    std::string text() const;  // "bare LF at octet 17 of the content"
    friend bool operator==(const ContentFault&, const ContentFault&) = default;
};

class DataEncoder {
public:
    static constexpr std::size_t kPiecesMin = 4;

    struct Encoded {
        std::size_t consumed = 0;  // octets of the chunk
        std::size_t pieces = 0;    // filled at the front of `pieces`
    };

    // Encodes from the front of `chunk` until it is used up or `pieces` is full; call again with
    // the rest in the second case. The pieces view `chunk` and constants. After a fault the encoder
    // is of no more use. REQUIRES: pieces.size() >= kPiecesMin.
    Result<Encoded, ContentFault> encode(std::string_view chunk,
                                         std::span<std::string_view> pieces);

    // The end of the data: "\r\n.\r\n", or ".\r\n" when the content ended with CRLF or was empty.
    Result<std::string_view, ContentFault> finish();

    uint64_t octets() const { return offset_; }  // of content taken so far

private:
    enum class At : uint8_t {
        LineStart,
        InLine,
        AfterCr,  // a CR ended the last chunk; it is sent with its LF or never
    };

    At at_ = At::LineStart;
    uint64_t offset_ = 0;
};

}  // namespace postrider::smtp
