// world/real/uncached_writes.h: writes to one file that go past the system's cache (O_DIRECT).
//
// The problem: the spool's octets are read again only after a delayed attempt or a start, and a
// page of the cache for them costs more than all else that the system does for the write. Such
// writes must begin and end at multiples of kBlockOctets, in the file and in memory. So pieces are
// copied into a buffer, and the last block, when it is not full yet, is kept and written again with
// what follows it: its octets stay the same on the disk, as with the cache, which writes whole
// pages too. What would lie well in memory is copied as well: out of a buffer that is one stretch
// of memory the system writes for so much less that the copy is paid for three times over.
//
// Failure: an errno; EINVAL when the file system does not do it after all.
// Threads: as the file's.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace postrider::world::real {

class UncachedWrites {
public:
    // Null where the file system cannot do it; then nothing has changed.
    static std::unique_ptr<UncachedWrites> begin(int fd);

    // The file's writes go through the cache again.
    void end() const;

    // Writes all pieces, beginning at `offset`, and zeros behind them to the end of their block.
    // 0, or an errno; then some of it may be written.
    int write(uint64_t offset, std::span<const std::string_view> pieces);

private:
    static constexpr uint64_t kNone = UINT64_MAX;

    // What is being written.
    struct Run {
        char* buffer;
        std::size_t filled = 0;  // of the buffer
        uint64_t at = 0;         // where its first octet belongs
    };

    UncachedWrites(int fd, int flags) : fd_(fd), flags_(flags) {}
    int take_first_block(Run& run, uint64_t offset);
    int put(Run& run) const;

    const int fd_;
    const int flags_;               // those of the file before
    std::unique_ptr<char[]> tail_;  // the last block, if it is not full
    uint64_t end_ = kNone;          // of the last write
};

}  // namespace postrider::world::real
