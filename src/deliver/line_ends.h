// deliver/line_ends.h: CRLF to LF, for files of this system.
//
// A CR that is not followed by LF stays, so that nothing but line ends changes.
// Threads: values.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace postrider::deliver {

// Appends `text` with each CRLF as LF. The text is taken as whole: a CR at its end stays.
void append_with_lf(std::string& out, std::string_view text);

// The same for a content in blocks, in place and however it is cut.
class LfConverter {
public:
    // Converts the first `used` octets of `block` in place; what is to be written is returned, and
    // stands in `block`.
    std::string_view convert(std::span<char> block, std::size_t used);

    // True when a CR of an earlier block must be written before what convert() just returned.
    bool cr_first() const { return cr_first_; }
    // True when the content ended with a CR, still to be written.
    bool cr_at_end() const { return pending_; }

private:
    bool pending_ = false;  // the last octet was a CR, not written yet
    bool cr_first_ = false;
};

}  // namespace postrider::deliver
