#include "base/task.h"

#include <array>
#include <utility>

namespace postrider::task_detail {

namespace {

constexpr std::size_t kClassOctets = 128;
constexpr std::size_t kClassCount = 32;    // frames of up to 4 KiB are kept
constexpr std::size_t kKeptPerClass = 256;  // so a thread keeps at most 16.5 MiB, in practice little

// Under a sanitizer every frame is a fresh allocation, so that use after free is seen.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTRIDER_FRESH_FRAMES 1
#endif
#endif

struct FreeFrame {
    FreeFrame* next;
};

struct FreeList {
    std::array<FreeFrame*, kClassCount> heads{};
    std::array<std::size_t, kClassCount> counts{};

    ~FreeList() {
        for (FreeFrame* head : heads) {
            while (head) ::operator delete(std::exchange(head, head->next));
        }
    }
};

thread_local FreeList free_list;

constexpr std::size_t class_of(std::size_t size) { return (size - 1) / kClassOctets; }

}  // namespace

void* allocate_frame(std::size_t size) {
#ifndef POSTRIDER_FRESH_FRAMES
    std::size_t index = class_of(size);
    if (index < kClassCount) {
        if (FreeFrame* frame = free_list.heads[index]) {
            free_list.heads[index] = frame->next;
            free_list.counts[index]--;
            return frame;
        }
        return ::operator new((index + 1) * kClassOctets);
    }
#endif
    return ::operator new(size);
}

void release_frame(void* frame, std::size_t size) noexcept {
#ifndef POSTRIDER_FRESH_FRAMES
    std::size_t index = class_of(size);
    if (index < kClassCount && free_list.counts[index] < kKeptPerClass) {
        free_list.heads[index] = new (frame) FreeFrame{free_list.heads[index]};
        free_list.counts[index]++;
        return;
    }
#endif
    ::operator delete(frame);
}

}  // namespace postrider::task_detail
