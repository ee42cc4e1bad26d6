// mail/mime.h: a message as its parts.
//
// The problem: what is read in a message (a report that came back, for instance) stands in a part
// of a part, encoded. Much of what is on the road breaks RFC 2046 somewhere, and still has to be
// read.
//
// Promise
//   1. Any octets are a message: what cannot be divided is a part as it is. Nothing is recursive;
//      depth, number of parts and time are bounded (below), so that no nesting costs more.
//   2. A part is views into the message: nothing is copied but what is decoded.
//
// Tolerant: a line ends at LF; a multipart that is cut short ends with the content; without a
// boundary parameter it has no parts; a "From " line before the header (mbox) is no part of it. An
// attached message (message/rfc822) is one part and is not gone into: what stands in it was said by
// somebody else.
//
// Threads: values and views; the octets must outlive the views.
// RFC 2045 §5, §6; RFC 2046 §5.1; RFC 2231 §3 (a parameter in pieces).

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mail/header.h"

namespace postrider {

// RFC 2045 §5.1: "type/subtype; name=value". Names and type in lower case; text/plain when there is
// none, or none that can be read (§5.2).
struct ContentType {
    std::string type = "text/plain";
    std::vector<std::pair<std::string, std::string>> parameters;

    static ContentType parse(std::string_view value);
    std::string_view parameter(std::string_view name) const;  // empty when there is none
    bool is_multipart() const { return type.starts_with("multipart/"); }
};

enum class TransferEncoding : uint8_t {
    None,  // 7bit, 8bit, binary, or one we do not know
    Base64,
    QuotedPrintable
};

inline constexpr int kMimeDepthMax = 64;            // what lies deeper stays undivided
inline constexpr std::size_t kMimePartsMax = 1000;  // and so do further parts

struct MimePart {
    ContentType content_type;
    TransferEncoding encoding = TransferEncoding::None;
    int depth = 0;            // 0 = the message itself
    std::string_view header;  // without the empty line
    std::string_view body;    // as it stands; of a multipart with its preamble and epilogue

    std::string decoded() const;
};

// The message and its parts, each before those that it holds.
std::vector<MimePart> mime_parts(std::string_view message);

// What is not of the encoding is left out (RFC 2045 §6.7, §6.8); never an error.
std::string decode_base64(std::string_view text);
std::string decode_quoted_printable(std::string_view text);

}  // namespace postrider
