// queue/slab.h: many small things of one type, named by 32-bit numbers, and rings of them.
//
// A million entries must not cost a malloc each nor 8 octets for each reference. A Slab keeps them
// in chunks that never move, so references stay valid as long as their thing is taken.
//
// A Ring is a circular list through the members `next` and `prev` of the things; a thing is in at
// most one ring at a time. All its operations are O(1).
//
// Threads: one owner.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace postrider::queue {

inline constexpr uint32_t kNone = 0xFFFFFFFF;

// REQUIRES of T: a default constructor, and `uint32_t next` for the list of free places.
template <typename T>
class Slab {
public:
    T& operator[](uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }
    const T& operator[](uint32_t index) const { return chunks_[index / kChunk][index % kChunk]; }

    // A place for a new thing. It holds what was last there: the caller sets all members.
    uint32_t take() {
        used_++;
        if (free_ != kNone) {
            uint32_t index = free_;
            free_ = (*this)[index].next;
            return index;
        }
        if (end_ % kChunk == 0) chunks_.push_back(std::make_unique<T[]>(kChunk));
        return end_++;
    }

    void give_back(uint32_t index) {
        used_--;
        (*this)[index].next = free_;
        free_ = index;
    }

    uint32_t end() const { return end_; }  // every number ever taken is below
    std::size_t used() const { return used_; }

private:
    static constexpr std::size_t kChunk = 1024;

    std::vector<std::unique_ptr<T[]>> chunks_;
    uint32_t free_ = kNone;
    uint32_t end_ = 0;
    std::size_t used_ = 0;
};

struct Ring {
    uint32_t front = kNone;

    bool empty() const { return front == kNone; }

    template <typename T>
    void push_back(Slab<T>& slab, uint32_t index) {
        T& item = slab[index];
        if (empty()) {
            item.next = item.prev = front = index;
            return;
        }
        uint32_t back = slab[front].prev;
        item.prev = back;
        item.next = front;
        slab[back].next = slab[front].prev = index;
    }

    template <typename T>
    void erase(Slab<T>& slab, uint32_t index) {
        T& item = slab[index];
        if (item.next == index) {
            front = kNone;
            return;
        }
        slab[item.prev].next = item.next;
        slab[item.next].prev = item.prev;
        if (front == index) front = item.next;
    }

    // The front goes to the back.
    template <typename T>
    void rotate(const Slab<T>& slab) {
        if (!empty()) front = slab[front].next;
    }
};

}  // namespace postrider::queue
