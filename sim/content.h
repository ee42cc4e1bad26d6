// sim/content.h: the octets of one simulated file, in shared pages.
//
// Copies share their pages until one of them writes, so that "what the platters hold" can become
// "what the program sees" for a large file at no cost. Pages never written read as zeros and take
// no space; whole pages of zeros share one page, but take space.
//
// Threads: one.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::sim {

class Content {
public:
    static constexpr uint64_t kPageOctets = 4096;

    uint64_t size() const { return size_; }
    uint64_t allocated_pages() const { return allocated_; }

    // Octets from `offset` up to the end of `into` or of the file.
    std::size_t read(uint64_t offset, std::span<char> into) const;

    // Grows the file if need be.
    void write(uint64_t offset, std::string_view octets);

    // Cuts off or adds zeros.
    void resize(uint64_t size);

    // Pages that a write of [offset, offset + size) would add.
    uint64_t pages_added_by(uint64_t offset, uint64_t size) const;

    void flip_bit(uint64_t octet, unsigned bit);  // REQUIRES: octet < size()
    std::string text() const;

private:
    using Page = std::array<char, kPageOctets>;

    static const std::shared_ptr<Page>& zero_page();
    Page& page_to_write(std::size_t index);

    std::vector<std::shared_ptr<Page>> pages_;
    uint64_t size_ = 0;
    uint64_t allocated_ = 0;
};

}  // namespace postrider::sim
