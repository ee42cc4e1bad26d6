#include "world/real/uncached_writes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "world/disk.h"

namespace postrider::world::real {

namespace {

constexpr std::size_t kBufferOctets = 1024 * 1024;

// Lives as long as its thread; memory is taken only for as much of it as was ever used.
char* thread_buffer() {
    thread_local const std::unique_ptr<char, decltype(&std::free)> buffer(
        static_cast<char*>(std::aligned_alloc(kBlockOctets, kBufferOctets)), &std::free);
    if (!buffer) throw std::bad_alloc();
    return buffer.get();
}

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

void UncachedWrites::end() const { ::fcntl(fd_, F_SETFL, flags_); }

int UncachedWrites::write(uint64_t offset, std::span<const std::string_view> pieces) {
    Run run{thread_buffer()};
    int error = take_first_block(run, offset);
    for (std::string_view piece : pieces) {
        while (error == 0 && !piece.empty()) {
            std::size_t octets = 0;
            if (run.filled == 0 && piece.size() >= kBlockOctets && is_aligned(piece.data())) {
                octets = piece.size() / kBlockOctets * kBlockOctets;
                error = put(run, piece.data(), octets);
            } else {
                octets = std::min(piece.size(), kBufferOctets - run.filled);
                std::memcpy(run.buffer + run.filled, piece.data(), octets);
                run.filled += octets;
                if (run.filled == kBufferOctets) {
                    error = put(run, run.buffer, run.filled);
                    run.filled = 0;
                }
            }
            piece.remove_prefix(octets);
        }
    }
    if (error != 0) return error;
    uint64_t end = run.at + run.filled;
    std::size_t rest = run.filled % kBlockOctets;
    if (rest > 0) {
        std::memset(run.buffer + run.filled, 0, kBlockOctets - rest);
        if (!tail_) tail_ = std::make_unique_for_overwrite<char[]>(kBlockOctets);
        std::memcpy(tail_.get(), run.buffer + (run.filled - rest), rest);
        run.filled += kBlockOctets - rest;
    }
    error = put(run, run.buffer, run.filled);
    if (error == 0) end_ = end;
    return error;
}

// The run begins with the block of `offset`, with what stands before it there.
int UncachedWrites::take_first_block(Run& run, uint64_t offset) {
    run.filled = offset % kBlockOctets;
    run.at = offset - run.filled;
    bool kept = std::exchange(end_, kNone) == offset;  // until all is written
    if (run.filled == 0) return 0;
    if (kept) {
        std::memcpy(run.buffer, tail_.get(), run.filled);
        return 0;
    }
    ssize_t got = 0;
    do {
        got = ::pread(fd_, run.buffer, kBlockOctets, static_cast<off_t>(run.at));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno;
    auto have = static_cast<std::size_t>(got);
    if (have < run.filled) std::memset(run.buffer + have, 0, run.filled - have);
    return 0;
}

// Writes whole blocks at run.at, which moves behind them.
int UncachedWrites::put(Run& run, const char* octets, std::size_t count) const {
    assert(count % kBlockOctets == 0);
    while (count > 0) {
        ssize_t wrote = ::pwrite(fd_, octets, count, static_cast<off_t>(run.at));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return errno;
        // A part that is no whole block would leave what cannot be gone on with.
        auto done = static_cast<std::size_t>(wrote);
        if (done == 0 || done % kBlockOctets != 0) return EIO;
        octets += done;
        count -= done;
        run.at += done;
    }
    return 0;
}

}  // namespace postrider::world::real
