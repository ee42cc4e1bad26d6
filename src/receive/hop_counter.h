// receive/hop_counter.h: counts Received fields while a header block flows by.
//
// The problem: the hop limit needs the whole header block, which may come in many pieces; kept for
// it, a mebibyte for each session would stand in no account.
//
// Promise: the count is that of count_fields(block, "Received") (mail/header.h), however the block
// is cut; nothing is kept but a state of a few octets.
//
// Threads: a value.
// RFC 5321 §6.3 (loops), RFC 5322 §4.5 (white space before the colon).

#pragma once

#include <cstddef>
#include <string_view>

namespace postrider::receive {

class HopCounter {
public:
    // The next piece of the header block.
    void feed(std::string_view piece) {
        for (char c : piece) {
            if (c == '\n') {
                matched_ = 0;
            } else if (matched_ < kName.size()) {
                matched_ = (c | 0x20) == kName[matched_] ? matched_ + 1 : kOther;
            } else if (matched_ == kName.size() && c != ' ' && c != '\t') {
                if (c == ':') hops_++;
                matched_ = kOther;
            }
        }
    }

    std::size_t hops() const { return hops_; }

private:
    static constexpr std::string_view kName = "received";
    static constexpr std::size_t kOther = kName.size() + 1;

    std::size_t matched_ = 0;  // octets of the name at the beginning of this line
    std::size_t hops_ = 0;
};

}  // namespace postrider::receive
