#include "base/task.h"

#include <array>
#include <utility>

namespace postrider::task_detail {

namespace {

constexpr std::size_t kClassOctets = 128;
constexpr std::size_t kClassCount = 32;     // frames of up to 4 KiB are kept
constexpr std::size_t kKeptPerClass = 256;  // at most 16.5 MiB for a thread, in practice little

// Under a sanitizer every frame is a fresh allocation, so that use after free is seen.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kFramesAreKept = false;
#else
constexpr bool kFramesAreKept = true;
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
    std::size_t index = class_of(size);
    if (!kFramesAreKept || index >= kClassCount) return ::operator new(size);
    if (FreeFrame* frame = free_list.heads[index]) {
        free_list.heads[index] = frame->next;
        free_list.counts[index]--;
        return frame;
    }
    return ::operator new((index + 1) * kClassOctets);
}

void release_frame(void* frame, std::size_t size) noexcept {
    std::size_t index = class_of(size);
    if (!kFramesAreKept || index >= kClassCount || free_list.counts[index] >= kKeptPerClass) {
        ::operator delete(frame);
        return;
    }
    free_list.heads[index] = new (frame) FreeFrame{free_list.heads[index]};
    free_list.counts[index]++;
}

}  // namespace postrider::task_detail
