#include "world/real/real_random.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace postrider::world::real {

namespace {

constexpr std::size_t kBufferOctets = 256;  // what getrandom gives whole, even under signals

struct Buffer {
    std::array<std::byte, kBufferOctets> octets;
    std::size_t used = kBufferOctets;
};

thread_local Buffer buffer;

void fill_from_system(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) std::abort();
        bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
}

}  // namespace

void RealRandom::fill(std::span<std::byte> bytes) {
    Buffer& mine = buffer;
    if (bytes.size() > kBufferOctets / 4) return fill_from_system(bytes);
    if (kBufferOctets - mine.used < bytes.size()) {
        fill_from_system(mine.octets);
        mine.used = 0;
    }
    auto from = mine.octets.begin() + static_cast<std::ptrdiff_t>(mine.used);
    auto end = from + static_cast<std::ptrdiff_t>(bytes.size());
    std::copy(from, end, bytes.begin());
    std::fill(from, end, std::byte{0});
    mine.used += bytes.size();
}

}  // namespace postrider::world::real
