#include "world/real/timer_heap.h"

namespace postrider::world::real {

void TimerHeap::set(Node& node, Monotonic moment) {
    if (node.heap_) node.heap_->remove(node);
    node.heap_ = this;
    node.moment_ = moment;
    node.order_ = next_order_++;
    nodes_.push_back(nullptr);
    put(&node, nodes_.size() - 1);
    sift_up(node.place_);
}

void TimerHeap::remove(Node& node) {
    std::size_t place = node.place_;
    Node* last = nodes_.back();
    nodes_.pop_back();
    node.heap_ = nullptr;
    if (last == &node) return;
    put(last, place);
    sift_up(place);
    sift_down(last->place_);
}

void TimerHeap::fire_due(Monotonic now) {
    uint64_t end = next_order_;
    while (Node* node = first()) {
        if (node->moment_ > now || node->order_ >= end) return;
        remove(*node);
        node->fire();
    }
}

void TimerHeap::put(Node* node, std::size_t place) {
    nodes_[place] = node;
    node->place_ = place;
}

void TimerHeap::sift_up(std::size_t place) {
    Node* node = nodes_[place];
    while (place > 0) {
        std::size_t parent = (place - 1) / 2;
        if (!before(*node, *nodes_[parent])) break;
        put(nodes_[parent], place);
        place = parent;
    }
    put(node, place);
}

void TimerHeap::sift_down(std::size_t place) {
    Node* node = nodes_[place];
    while (2 * place + 1 < nodes_.size()) {
        std::size_t child = 2 * place + 1;
        if (child + 1 < nodes_.size() && before(*nodes_[child + 1], *nodes_[child])) child++;
        if (!before(*nodes_[child], *node)) break;
        put(nodes_[child], place);
        place = child;
    }
    put(node, place);
}

}  // namespace postrider::world::real
