// queue/timer_heap.h: which of many things is due first.
//
// A heap of numbers into a Slab; each thing tells its moment by timer() (nanoseconds, Monotonic)
// and keeps its place in the heap in `heap_at`, so that any of them can be taken out. Costs 4
// octets a thing here and 4 there; O(log n) each operation.
//
// A thing's timer() must not change while it is in the heap.
// Threads: one owner.

#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "queue/slab.h"

namespace postrider::queue {

template <typename T>
class TimerHeap {
public:
    explicit TimerHeap(Slab<T>& slab) : slab_(slab) {}

    bool empty() const { return heap_.empty(); }
    std::size_t size() const { return heap_.size(); }
    uint32_t top() const { return heap_.front(); }
    int64_t top_timer() const { return slab_[heap_.front()].timer(); }

    void push(uint32_t index) {
        assert(slab_[index].heap_at == kNone);
        heap_.push_back(index);
        move_up(heap_.size() - 1);
    }

    // REQUIRES: it is in the heap.
    void erase(uint32_t index) {
        std::size_t at = slab_[index].heap_at;
        assert(at < heap_.size() && heap_[at] == index);
        slab_[index].heap_at = kNone;
        uint32_t last = heap_.back();
        heap_.pop_back();
        if (last == index) return;
        heap_[at] = last;
        slab_[last].heap_at = static_cast<uint32_t>(at);
        move_down(at);
        move_up(slab_[last].heap_at);
    }

private:
    static constexpr std::size_t kArity = 4;  // flatter than two, and kinder to the cache

    void move_up(std::size_t at) {
        uint32_t index = heap_[at];
        int64_t timer = slab_[index].timer();
        while (at > 0) {
            std::size_t parent = (at - 1) / kArity;
            if (slab_[heap_[parent]].timer() <= timer) break;
            put(at, heap_[parent]);
            at = parent;
        }
        put(at, index);
    }

    void move_down(std::size_t at) {
        uint32_t index = heap_[at];
        int64_t timer = slab_[index].timer();
        for (;;) {
            std::size_t child = at * kArity + 1;
            if (child >= heap_.size()) break;
            std::size_t end = std::min(child + kArity, heap_.size());
            std::size_t least = child;
            int64_t least_timer = slab_[heap_[child]].timer();
            for (std::size_t i = child + 1; i < end; i++) {
                int64_t other = slab_[heap_[i]].timer();
                if (other < least_timer) {
                    least = i;
                    least_timer = other;
                }
            }
            if (timer <= least_timer) break;
            put(at, heap_[least]);
            at = least;
        }
        put(at, index);
    }

    void put(std::size_t at, uint32_t index) {
        heap_[at] = index;
        slab_[index].heap_at = static_cast<uint32_t>(at);
    }

    Slab<T>& slab_;
    std::vector<uint32_t> heap_;
};

}  // namespace postrider::queue
