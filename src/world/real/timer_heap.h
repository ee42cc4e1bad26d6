// world/real/timer_heap.h: the pending timers of one shard, earliest first.
//
// The problem: every session carries a deadline that is moved at each step and hardly ever passes,
// so adding, moving and removing must be cheap and must not allocate. Nodes live in their owners;
// the heap keeps pointers, and each node knows its place.
//
// Promise
//   1. first() is the node with the earliest moment; among equal moments the one added first.
//   2. A node that is destroyed leaves the heap.
//
// Threads: one shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace postrider::world::real {

class TimerHeap {
public:
    class Node {
    public:
        Node() = default;
        Node(const Node&) = delete;
        Node& operator=(const Node&) = delete;
        virtual ~Node() {
            if (heap_) heap_->remove(*this);
        }

        bool listed() const { return heap_ != nullptr; }
        Monotonic moment() const { return moment_; }

        // Called once the moment is reached, after the node was taken out; may destroy the node.
        virtual void fire() = 0;

    private:
        friend TimerHeap;
        TimerHeap* heap_ = nullptr;
        std::size_t place_ = 0;
        Monotonic moment_;
        uint64_t order_ = 0;
    };

    // Adds `node`, or moves it if it is listed.
    void set(Node& node, Monotonic moment);
    void remove(Node& node);
    Node* first() const { return nodes_.empty() ? nullptr : nodes_.front(); }

    // Takes out and fires what is due at `now`, but not what is added meanwhile.
    void fire_due(Monotonic now);

private:
    static bool before(const Node& a, const Node& b) {
        return a.moment_ != b.moment_ ? a.moment_ < b.moment_ : a.order_ < b.order_;
    }
    void put(Node* node, std::size_t place);
    void sift_up(std::size_t place);
    void sift_down(std::size_t place);

    std::vector<Node*> nodes_;  // a binary heap by before()
    uint64_t next_order_ = 0;
};

}  // namespace postrider::world::real
