#include "sim/content.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace postrider::sim {

const std::shared_ptr<Content::Page>& Content::zero_page() {
    static const thread_local std::shared_ptr<Page> page = std::make_shared<Page>();
    return page;
}

std::size_t Content::read(uint64_t offset, std::span<char> into) const {
    if (offset >= size_) return 0;
    std::size_t total = std::size_t(std::min<uint64_t>(into.size(), size_ - offset));
    for (std::size_t done = 0; done < total;) {
        std::size_t index = std::size_t((offset + done) / kPageOctets);
        std::size_t at = std::size_t((offset + done) % kPageOctets);
        std::size_t count = std::min<std::size_t>(total - done, kPageOctets - at);
        if (index < pages_.size() && pages_[index]) {
            std::memcpy(into.data() + done, pages_[index]->data() + at, count);
        } else {
            std::memset(into.data() + done, 0, count);
        }
        done += count;
    }
    return total;
}

Content::Page& Content::page_to_write(std::size_t index) {
    if (index >= pages_.size()) pages_.resize(index + 1);
    std::shared_ptr<Page>& page = pages_[index];
    if (!page) {
        page = std::make_shared<Page>();
        allocated_++;
    } else if (page.use_count() > 1) {
        page = std::make_shared<Page>(*page);
    }
    return *page;
}

void Content::write(uint64_t offset, std::string_view octets) {
    size_ = std::max<uint64_t>(size_, offset + (octets.empty() ? 0 : octets.size()));
    while (!octets.empty()) {
        std::size_t index = std::size_t(offset / kPageOctets);
        std::size_t at = std::size_t(offset % kPageOctets);
        std::size_t count = std::min<std::size_t>(octets.size(), kPageOctets - at);
        if (count == kPageOctets &&
            std::memcmp(octets.data(), zero_page()->data(), kPageOctets) == 0) {
            if (index >= pages_.size()) pages_.resize(index + 1);
            if (!pages_[index]) allocated_++;
            pages_[index] = zero_page();
        } else {
            std::memcpy(page_to_write(index).data() + at, octets.data(), count);
        }
        octets.remove_prefix(count);
        offset += count;
    }
}

void Content::resize(uint64_t size) {
    if (size < size_) {
        std::size_t keep = std::size_t((size + kPageOctets - 1) / kPageOctets);
        for (std::size_t i = keep; i < pages_.size(); i++) {
            if (pages_[i]) allocated_--;
        }
        if (keep < pages_.size()) pages_.resize(keep);
        // What is cut off must not come back when the file grows again.
        if (std::size_t rest = std::size_t(size % kPageOctets);
            rest > 0 && keep == pages_.size() && pages_.back()) {
            std::memset(page_to_write(keep - 1).data() + rest, 0, kPageOctets - rest);
        }
    }
    size_ = size;
}

uint64_t Content::pages_added_by(uint64_t offset, uint64_t size) const {
    if (size == 0) return 0;
    uint64_t added = 0;
    for (uint64_t i = offset / kPageOctets; i <= (offset + size - 1) / kPageOctets; i++) {
        if (i >= pages_.size() || !pages_[std::size_t(i)]) added++;
    }
    return added;
}

void Content::flip_bit(uint64_t octet, unsigned bit) {
    assert(octet < size_);
    char& at = page_to_write(std::size_t(octet / kPageOctets))[octet % kPageOctets];
    at = char(uint8_t(at) ^ uint8_t(1u << (bit % 8)));
}

std::string Content::text() const {
    std::string all(std::size_t(size_), '\0');
    read(0, all);
    return all;
}

}  // namespace postrider::sim
