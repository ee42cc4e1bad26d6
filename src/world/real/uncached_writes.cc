#include "world/real/uncached_writes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>

#include "world/disk.h"

namespace postrider::world::real {

namespace {

bool is_aligned(const char* octets) {
    return reinterpret_cast<uintptr_t>(octets) % kBlockOctets == 0;
}

// What the file system asks for; systems before 6.1 do not say it, and ask for no more than this.
bool asks_for_larger_blocks(int fd) {
#ifdef STATX_DIOALIGN
    struct statx info{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0) return false;
    if ((info.stx_mask & STATX_DIOALIGN) == 0) return false;
    return info.stx_dio_offset_align == 0 || info.stx_dio_offset_align > kBlockOctets ||
           info.stx_dio_mem_align > kBlockOctets;
#else
    return false;
#endif
}

}  // namespace

std::unique_ptr<UncachedWrites> UncachedWrites::begin(int fd) {
    int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || asks_for_larger_blocks(fd)) return nullptr;
    if (::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return nullptr;
    return std::unique_ptr<UncachedWrites>(new UncachedWrites(fd, flags));
}

void UncachedWrites::end() { ::fcntl(fd_, F_SETFL, flags_); }

int UncachedWrites::write(uint64_t offset, std::span<const std::string_view> pieces) {
    int error = take_first_block(offset);
    for (std::string_view piece : pieces) {
        while (error == 0 && !piece.empty()) {
            std::size_t octets = 0;
            if (filled_ == 0 && piece.size() >= kBufferOctets && is_aligned(piece.data())) {
                octets = piece.size() / kBlockOctets * kBlockOctets;
                error = put(piece.data(), octets);
            } else {
                octets = std::min(piece.size(), kBufferOctets - filled_);
                std::memcpy(buffer_.get() + filled_, piece.data(), octets);
                filled_ += octets;
                if (filled_ == kBufferOctets) {
                    error = put(buffer_.get(), filled_);
                    filled_ = 0;
                }
            }
            piece.remove_prefix(octets);
        }
    }
    if (error != 0) return error;
    std::size_t whole = filled_ / kBlockOctets * kBlockOctets;
    std::size_t rest = filled_ - whole;
    if (rest > 0) std::memset(buffer_.get() + filled_, 0, kBlockOctets - rest);
    uint64_t last_block = at_ + whole;
    error = put(buffer_.get(), rest > 0 ? whole + kBlockOctets : whole);
    if (error != 0) return error;
    std::memmove(buffer_.get(), buffer_.get() + whole, rest);
    at_ = last_block;
    end_ = last_block + rest;
    return 0;
}

// The buffer begins at the block of `offset`, with what stands before it there.
int UncachedWrites::take_first_block(uint64_t offset) {
    if (!buffer_) {
        buffer_.reset(static_cast<char*>(std::aligned_alloc(kBlockOctets, kBufferOctets)));
        if (!buffer_) throw std::bad_alloc();
    }
    filled_ = offset % kBlockOctets;
    bool kept = end_ == offset;
    end_ = kNone;  // until all is written
    if (kept) return 0;
    at_ = offset - filled_;
    if (filled_ == 0) return 0;
    ssize_t got = 0;
    do {
        got = ::pread(fd_, buffer_.get(), kBlockOctets, static_cast<off_t>(at_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno;
    auto have = static_cast<std::size_t>(got);
    if (have < filled_) std::memset(buffer_.get() + have, 0, filled_ - have);
    return 0;
}

// Writes whole blocks at at_, which moves behind them.
int UncachedWrites::put(const char* octets, std::size_t count) {
    assert(count % kBlockOctets == 0);
    while (count > 0) {
        ssize_t wrote = ::pwrite(fd_, octets, count, static_cast<off_t>(at_));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return errno;
        // A part that is no whole block would leave what cannot be gone on with.
        auto done = static_cast<std::size_t>(wrote);
        if (done == 0 || done % kBlockOctets != 0) return EIO;
        octets += done;
        count -= done;
        at_ += done;
    }
    return 0;
}

}  // namespace postrider::world::real
