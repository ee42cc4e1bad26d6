#include "bench/keeper.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "bench/load.h"

namespace postrider::bench {

namespace {

constexpr std::size_t kHugePage = 2 << 20;
constexpr std::size_t kBlock = 4096;
constexpr off_t kFileOctets = 64 << 20;  // then from the beginning

char* buffer_of_huge_pages() {
    void* octets = std::aligned_alloc(kHugePage, Keeper::kGroupOctets);
    if (octets == nullptr) give_up("no memory");
    ::madvise(octets, Keeper::kGroupOctets, MADV_HUGEPAGE);
    std::memset(octets, 0, Keeper::kGroupOctets);
    return static_cast<char*>(octets);
}

void write_all(int file, const char* octets, std::size_t size, off_t at) {
    while (size > 0) {
        ssize_t wrote = ::pwrite(file, octets, size, at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) give_up("cannot write what came");
        octets += wrote;
        size -= static_cast<std::size_t>(wrote);
        at += wrote;
    }
}

}  // namespace

Keeper::Keeper(const std::string& path)
    : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (file_ < 0 || event_ < 0) give_up("cannot open " + path);
    filling_.octets = buffer_of_huge_pages();
    writing_.octets = buffer_of_huge_pages();
    for (off_t at = 0; at < kFileOctets; at += kGroupOctets) {
        write_all(file_, filling_.octets, kGroupOctets, at);
    }
    if (::fsync(file_) != 0) give_up("cannot sync " + path);
    if (::fcntl(file_, F_SETFL, O_RDWR | O_DIRECT) != 0) give_up("no way past the cache");
    thread_ = std::thread([this] { run(); });
}

Keeper::~Keeper() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    called_.notify_one();
    thread_.join();
    ::close(event_);
    ::close(file_);
    std::free(filling_.octets);
    std::free(writing_.octets);
}

void Keeper::add(std::string_view content, uint64_t who) {
    if (filling_.size + content.size() > kGroupOctets) give_up("more than a group holds");
    std::memcpy(filling_.octets + filling_.size, content.data(), content.size());
    filling_.size += content.size();
    filling_.members.push_back(who);
}

void Keeper::begin() {
    if (busy_ || filling_.members.empty()) return;
    busy_ = true;
    std::swap(filling_, writing_);
    {
        std::lock_guard lock(mutex_);
        due_ = true;
    }
    called_.notify_one();
}

std::vector<uint64_t> Keeper::take_durable() {
    uint64_t count = 0;
    if (::read(event_, &count, sizeof count) < 0) return {};
    busy_ = false;
    writing_.size = 0;
    return std::exchange(writing_.members, {});
}

void Keeper::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        called_.wait(lock, [&] { return due_ || stop_; });
        if (stop_) return;
        due_ = false;
        lock.unlock();
        std::size_t size = (writing_.size + kBlock - 1) / kBlock * kBlock;
        if (at_ + static_cast<off_t>(size) > kFileOctets) at_ = 0;
        write_all(file_, writing_.octets, size, at_);
        if (::fdatasync(file_) != 0) give_up("cannot sync what came");
        at_ += static_cast<off_t>(size);
        uint64_t one = 1;
        if (::write(event_, &one, sizeof one) < 0) give_up("cannot tell of what is durable");
        lock.lock();
    }
}

}  // namespace postrider::bench
