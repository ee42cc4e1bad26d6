// mailauth/dkim/tag_list.h: the "tag=value; tag=value" lists of DKIM, and what stands in values.
//
// The problem: a signature and a key record are written in one small language. Here it is read
// once; what the tags mean is said in signature.h and key_record.h.
//
// Strict where a slip may hide an attack (a tag named twice, a part without "="), tolerant in what
// a value may hold: any octet but ";". A final ";" is allowed.
//
// Failure: a sentence that names the tag.
// Threads: pure functions; views into the text.
// RFC 6376 §2.10, §2.11, §3.2; RFC 8616 §5.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postrider::mailauth::dkim {

inline constexpr std::size_t kTagsMax = 64;  // in one list; the RFCs name fourteen

struct Tag {
    std::string_view name;   // as written: case matters
    std::string_view value;  // without white space and folding at both ends
    // All between "=" and ";" or the end, as offsets in the text that was read.
    std::size_t value_begin = 0;
    std::size_t value_end = 0;
};

class TagList {
public:
    static Result<TagList> parse(std::string_view text);

    const Tag* find(std::string_view name) const;
    // The value, or nothing when there is no such tag.
    std::optional<std::string_view> value(std::string_view name) const;

    const std::vector<Tag>& tags() const { return tags_; }

private:
    std::vector<Tag> tags_;
};

// The text without white space and line ends at both ends.
std::string_view trimmed(std::string_view text);

// The parts of a list with colons, each trimmed: h= of a signature, h=, s= and t= of a key.
std::vector<std::string_view> split_colons(std::string_view value);

// RFC 6376 §3.5: base64string, with folding white space anywhere; padding may be missing. Nothing
// for any other octet.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view octets);

// RFC 6376 §2.11: dkim-quoted-printable; RFC 8616 §5: UTF-8 stands for itself. Nothing for a "="
// that two hexadecimal digits do not follow.
std::optional<std::string> decode_quoted(std::string_view text);
// Every octet that is not a dkim-safe-char of RFC 6376 becomes =XX.
std::string encode_quoted(std::string_view octets);

}  // namespace postrider::mailauth::dkim
