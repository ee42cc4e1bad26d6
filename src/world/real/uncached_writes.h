// world/real/uncached_writes.h: writes to one file that go past the system's cache (O_DIRECT).
//
// The problem: what the spool writes is read again only after a delayed attempt or a start, and a
// page of the cache for it costs more than all else that the system does for the write. Such writes
// must begin and end at multiples of kBlockOctets, in the file and in memory. So pieces are copied
// into one buffer, and the last block, which is not full yet, is kept and written again with what
// follows it: its octets stay the same on the disk, as with the cache, which writes whole pages
// too.
//
// Failure: an errno; EINVAL when the file system does not do it after all.
// Threads: as the file's.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

namespace postrider::world::real {

class UncachedWrites {
public:
    // Null where the file system cannot do it; then nothing has changed.
    static std::unique_ptr<UncachedWrites> begin(int fd);

    // The file's writes go through the cache again.
    void end();

    // Writes all pieces, beginning at `offset`, and zeros behind them to the end of their block.
    // 0, or an errno; then some of it may be written.
    int write(uint64_t offset, std::span<const std::string_view> pieces);

private:
    static constexpr std::size_t kBufferOctets = 256 * 1024;
    static constexpr uint64_t kNone = UINT64_MAX;

    UncachedWrites(int fd, int flags) : fd_(fd), flags_(flags) {}
    int take_first_block(uint64_t offset);
    int put(const char* octets, std::size_t count);

    const int fd_;
    const int flags_;  // those of the file before
    std::unique_ptr<char, decltype(&std::free)> buffer_{nullptr, &std::free};
    std::size_t filled_ = 0;  // of the buffer
    uint64_t at_ = 0;         // where its first octet belongs
    uint64_t end_ = kNone;    // of the last write, if the buffer begins with its last block
};

}  // namespace postrider::world::real
