// deliver/outgoing_content.h: the content as one next host can take it, where that is not as
// stored.
//
// Two changes are allowed, and nothing else (each by its RFC): a priority travels in the header
// field MT-Priority where the host has no parameter for it, and 8-bit parts are encoded for a host
// that takes 7 bits, if the operator wants it and nothing is signed. Both are read like the stored
// content.
//
// Memory: the ranges that are left out; for a conversion one block. Reading a conversion goes
// forward only, from 0, as sending does; going back begins anew. Failure: what the stored content's
// reader says. RFC 6758 §3.3; RFC 6152 §3.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mail/content.h"
#include "mail/priority_field.h"
#include "mail/seven_bit.h"

namespace postrider::deliver {

// `front`, then the content without `left_out` (in order, apart).
class SplicedContent : public ContentReader {
public:
    SplicedContent(std::shared_ptr<ContentReader> content, std::string front,
                   std::vector<PriorityFields::Range> left_out);

    uint64_t size() const override { return size_; }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override;

private:
    std::shared_ptr<ContentReader> content_;
    std::string front_;
    std::vector<PriorityFields::Range> left_out_;
    uint64_t size_;
};

// The content with 7 bits.
class SevenBitContent : public ContentReader {
public:
    // Reads it once, to learn how large it is. Nothing, and why, if it cannot be converted or read.
    static Task<Result<std::shared_ptr<ContentReader>>> make(
        std::shared_ptr<ContentReader> content);

    uint64_t size() const override { return size_; }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override;

private:
    explicit SevenBitContent(std::shared_ptr<ContentReader> content)
        : content_(std::move(content)) {}
    Task<Status<Error>> fill();

    std::shared_ptr<ContentReader> content_;
    SevenBitPlan plan_;
    uint64_t size_ = 0;
    std::optional<SevenBitConverter> converter_;
    uint64_t taken_ = 0;  // of the stored content
    uint64_t given_ = 0;  // of the converted one, up to the beginning of ready_
    std::string ready_;
    bool ended_ = false;
};

// The content with its priority in the header, for a host without MT-PRIORITY. Read errors leave it
// as it is: sending will find them.
Task<std::shared_ptr<ContentReader>> with_priority_field(std::shared_ptr<ContentReader> content,
                                                         uint64_t header_octets, int8_t priority);

}  // namespace postrider::deliver
