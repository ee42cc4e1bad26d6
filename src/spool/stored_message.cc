#include "spool/stored_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "spool/record.h"

namespace postrider::spool {

namespace {

class InlineReader : public ContentReader {
public:
    explicit InlineReader(std::shared_ptr<const std::string> content)
        : content_(std::move(content)) {}

    uint64_t size() const override { return content_->size(); }
    std::optional<std::string_view> in_memory() const override { return *content_; }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        if (offset >= content_->size()) co_return std::size_t{0};
        std::size_t octets = std::min<uint64_t>(into.size(), content_->size() - offset);
        std::memcpy(into.data(), content_->data() + offset, octets);
        co_return octets;
    }

private:
    std::shared_ptr<const std::string> content_;
};

// Gives out no octet of a block whose CRC has not been looked at.
class LargeReader : public ContentReader {
public:
    LargeReader(std::shared_ptr<const LargeContent> content, world::Disk& disk)
        : content_(std::move(content)), disk_(disk) {}

    uint64_t size() const override { return content_->size; }

    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        std::size_t done = 0;
        while (done < into.size() && offset + done < content_->size) {
            uint64_t at = offset + done;
            uint64_t block = at / content_->block_octets;
            uint64_t begin = block * content_->block_octets;
            std::size_t octets = std::min<uint64_t>(content_->block_octets, content_->size - begin);
            std::span<char> rest = into.subspan(done);
            if (at == begin && rest.size() >= octets) {
                auto loaded = co_await load(block, begin, rest.first(octets));
                if (!loaded) co_return std::unexpected(loaded.error());
                done += octets;
                continue;
            }
            if (held_ != block) {
                held_ = kNone;
                buffer_.resize(octets);
                auto loaded = co_await load(block, begin, buffer_);
                if (!loaded) co_return std::unexpected(loaded.error());
                held_ = block;
            }
            std::size_t part = std::min<uint64_t>(rest.size(), begin + octets - at);
            std::memcpy(rest.data(), buffer_.data() + (at - begin), part);
            done += part;
        }
        co_return done;
    }

private:
    static constexpr uint64_t kNone = UINT64_MAX;

    Task<Status<>> load(uint64_t block, uint64_t begin, std::span<char> into) {
        if (!file_) {
            auto opened = co_await disk_.open(content_->path, world::OpenMode::Read);
            if (!opened) co_return fail(opened.error().message);
            file_ = *std::move(opened);
        }
        auto got = co_await file_->read_at(begin, into);
        if (!got) co_return fail(got.error().message);
        std::string_view octets(into.data(), *got);
        if (*got != into.size() || crc32(octets) != content_->block_crcs[block]) {
            co_return fail(fmt::format("{}: octets {} to {} are not what was stored",
                                       content_->path, begin, begin + into.size()));
        }
        co_return Status<>{};
    }

    std::shared_ptr<const LargeContent> content_;
    world::Disk& disk_;
    std::unique_ptr<world::File> file_;
    std::string buffer_;
    uint64_t held_ = kNone;
};

}  // namespace

std::unique_ptr<ContentReader> open_content(const StoredMessage& message, world::Disk& disk) {
    assert((message.inline_content != nullptr) != (message.large_content != nullptr));
    if (message.inline_content) return std::make_unique<InlineReader>(message.inline_content);
    return std::make_unique<LargeReader>(message.large_content, disk);
}

Task<std::string> read_beginning(const StoredMessage& message, world::Disk& disk,
                                 std::size_t octets_max) {
    auto reader = open_content(message, disk);
    std::string content(std::min<uint64_t>(message.content_octets, octets_max), 0);
    std::size_t have = 0;
    while (have < content.size()) {
        auto got = co_await reader->read(have, std::span(content).subspan(have));
        if (!got || *got == 0) break;
        have += *got;
    }
    content.resize(have);
    co_return content;
}

}  // namespace postrider::spool
