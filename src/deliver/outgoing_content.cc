#include "deliver/outgoing_content.h"

#include <algorithm>

#include "base/limits.h"

namespace postrider::deliver {

namespace {

constexpr std::size_t kBlockOctets = 64 * 1024;

}  // namespace

SplicedContent::SplicedContent(std::shared_ptr<ContentReader> content, std::string front,
                               std::vector<PriorityFields::Range> left_out)
    : content_(std::move(content)),
      front_(std::move(front)),
      left_out_(std::move(left_out)),
      size_(front_.size() + content_->size()) {
    for (const auto& range : left_out_) size_ -= range.size;
}

// A read ends where a range begins that is left out, but is never empty before the end.
Task<Result<std::size_t>> SplicedContent::read(uint64_t offset, std::span<char> into) {
    std::size_t done = 0;
    while (done < into.size() && offset < size_) {
        std::span<char> room = into.subspan(done);
        if (offset < front_.size()) {
            std::size_t count = front_.copy(room.data(), room.size(), offset);
            done += count;
            offset += count;
            continue;
        }
        uint64_t stored = offset - front_.size();
        uint64_t until = content_->size();
        for (const auto& range : left_out_) {
            if (stored < range.begin) {
                until = range.begin;
                break;
            }
            stored += range.size;
        }
        Result<std::size_t> count = co_await content_->read(
            stored, room.first(std::min<uint64_t>(room.size(), until - stored)));
        if (!count) co_return count;
        if (*count == 0) break;
        done += *count;
        offset += *count;
    }
    co_return done;
}

Task<Result<std::shared_ptr<ContentReader>>> SevenBitContent::make(
    std::shared_ptr<ContentReader> content) {
    std::shared_ptr<SevenBitContent> made(new SevenBitContent(std::move(content)));
    std::vector<char> block(kBlockOctets);
    for (uint64_t at = 0; at < made->content_->size();) {
        Result<std::size_t> count = co_await made->content_->read(at, block);
        if (!count) co_return std::unexpected(count.error());
        if (*count == 0) co_return fail("the stored message is shorter than it was");
        made->plan_.feed({block.data(), *count});
        at += *count;
    }
    made->plan_.finish();
    if (!made->plan_.obstacle().empty()) co_return fail(made->plan_.obstacle());
    // Once more, only to count.
    made->converter_.emplace(made->plan_);
    while (!made->ended_) {
        if (auto filled = co_await made->fill(); !filled) co_return std::unexpected(filled.error());
        made->size_ += made->ready_.size();
        made->ready_.clear();
    }
    made->converter_.reset();
    co_return std::shared_ptr<ContentReader>(std::move(made));
}

// Converts one more block.
Task<Status<Error>> SevenBitContent::fill() {
    std::vector<char> block(kBlockOctets);
    Result<std::size_t> count = co_await content_->read(taken_, block);
    if (!count) co_return std::unexpected(count.error());
    ended_ = *count == 0;
    taken_ += *count;
    if (ended_) {
        converter_->finish();
    } else {
        converter_->feed({block.data(), *count});
    }
    ready_ += converter_->take_output();
    co_return Status<Error>{};
}

Task<Result<std::size_t>> SevenBitContent::read(uint64_t offset, std::span<char> into) {
    if (!converter_ || offset < given_) {
        converter_.emplace(plan_);
        ready_.clear();
        taken_ = given_ = 0;
        ended_ = false;
    }
    while (given_ + ready_.size() < offset + into.size() && !ended_) {
        // What lies before the offset is not asked for again.
        std::size_t past = std::min<uint64_t>(offset - given_, ready_.size());
        ready_.erase(0, past);
        given_ += past;
        if (auto filled = co_await fill(); !filled) co_return std::unexpected(filled.error());
    }
    if (offset >= given_ + ready_.size()) co_return std::size_t{0};
    co_return ready_.copy(into.data(), into.size(), offset - given_);
}

// RFC 6758 §3.3: all such fields go, and ours comes in front. One that says the same stays, so that
// nothing is changed for nothing.
Task<std::shared_ptr<ContentReader>> with_priority_field(std::shared_ptr<ContentReader> content,
                                                         uint64_t header_octets, int8_t priority) {
    std::string header(std::min<uint64_t>({header_octets, content->size(), kHeaderBlockOctetsMax}),
                       '\0');
    for (std::size_t at = 0; at < header.size();) {
        Result<std::size_t> count = co_await content->read(at, std::span(header).subspan(at));
        if (!count || *count == 0) co_return content;
        at += *count;
    }
    PriorityFields found = priority_fields(header);
    if (found.value == priority) co_return content;
    co_return std::make_shared<SplicedContent>(std::move(content), priority_field(priority),
                                               std::move(found.fields));
}

}  // namespace postrider::deliver
