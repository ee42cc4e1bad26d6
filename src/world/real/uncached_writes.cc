#include "world/real/uncached_writes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "world/disk.h"

namespace postrider::world::real {

namespace {

constexpr std::size_t kHugePageOctets = 2 * 1024 * 1024;
constexpr std::size_t kBufferOctets = kHugePageOctets / 2;

// What is written comes from here. To the disk a buffer is one stretch of memory, since it lies in
// a huge page; out of ordinary pages it is 256, and the system, and in a virtual machine the host
// too, looks at each by itself. There are as many as were ever in use at the same time.
class Buffers {
public:
    char* take() {
        std::lock_guard lock(mutex_);
        if (free_.empty()) add_page();
        char* buffer = free_.back();
        free_.pop_back();
        return buffer;
    }
    void give_back(char* buffer) {
        std::lock_guard lock(mutex_);
        free_.push_back(buffer);
    }

private:
    // Where the system has no huge pages to give, it takes ordinary ones.
    void add_page() {
        void* space = ::mmap(nullptr, 2 * kHugePageOctets, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (space == MAP_FAILED) throw std::bad_alloc();
        std::size_t octets = 2 * kHugePageOctets;
        void* page = std::align(kHugePageOctets, kHugePageOctets, space, octets);
        ::madvise(page, kHugePageOctets, MADV_HUGEPAGE);
        free_.push_back(static_cast<char*>(page) + kBufferOctets);
        free_.push_back(static_cast<char*>(page));
    }

    std::mutex mutex_;
    std::vector<char*> free_;  // who was given back last is the warmest, and goes first
};

Buffers& buffers() {
    static Buffers all;
    return all;
}

struct GiveBack {
    void operator()(char* buffer) const { buffers().give_back(buffer); }
};

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
    std::unique_ptr<char, GiveBack> buffer(buffers().take());
    Run run{buffer.get()};
    int error = take_first_block(run, offset);
    for (std::string_view piece : pieces) {
        while (error == 0 && !piece.empty()) {
            std::size_t octets = std::min(piece.size(), kBufferOctets - run.filled);
            std::memcpy(run.buffer + run.filled, piece.data(), octets);
            run.filled += octets;
            piece.remove_prefix(octets);
            if (run.filled == kBufferOctets) error = put(run);
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
    error = put(run);
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

// Writes what is in the buffer, whole blocks; then it is empty, and run.at behind them.
int UncachedWrites::put(Run& run) const {
    assert(run.filled % kBlockOctets == 0);
    const char* octets = run.buffer;
    while (run.filled > 0) {
        ssize_t wrote = ::pwrite(fd_, octets, run.filled, static_cast<off_t>(run.at));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return errno;
        // A part that is no whole block would leave what cannot be gone on with.
        auto done = static_cast<std::size_t>(wrote);
        if (done == 0 || done % kBlockOctets != 0) return EIO;
        octets += done;
        run.filled -= done;
        run.at += done;
    }
    return 0;
}

}  // namespace postrider::world::real
