// world/real/timer_heap_test.cc: the order of timers.
//
// Method: the heap against a sorted list of (moment, order of adding) under a fixed pseudo-random
// sequence of adding, moving and removing; then single stories.

#include "world/real/timer_heap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>

namespace postrider::world::real {
namespace {

using testing::ElementsAre;

class CallingNode : public TimerHeap::Node {
public:
    explicit CallingNode(std::function<void()> work) : work_(std::move(work)) {}
    void fire() override {
        auto work = work_;
        work();
    }

private:
    std::function<void()> work_;
};

TEST(TimerHeap, FiresAsASortedListWould) {
    TimerHeap heap;
    std::vector<int> fired;
    std::vector<std::unique_ptr<CallingNode>> nodes;
    std::map<int, std::pair<int64_t, int>> listed;  // node: moment, order
    std::mt19937 random(7);
    for (int i = 0; i < 300; i++) {
        nodes.push_back(std::make_unique<CallingNode>([&fired, i] { fired.push_back(i); }));
    }
    for (int step = 0; step < 5000; step++) {
        int i = static_cast<int>(random() % 300);
        if (random() % 3 == 0 && nodes[i]->listed()) {
            heap.remove(*nodes[i]);
            listed.erase(i);
        } else {
            int64_t moment = random() % 100;
            heap.set(*nodes[i], {moment});
            listed[i] = {moment, step};
        }
    }
    std::map<std::pair<int64_t, int>, int> sorted;
    for (auto& [node, key] : listed) sorted[key] = node;
    std::vector<int> want;
    for (auto& [key, node] : sorted) want.push_back(node);
    ASSERT_GT(want.size(), 100u);
    heap.fire_due({100});
    EXPECT_EQ(fired, want);
    EXPECT_EQ(heap.first(), nullptr);
}

TEST(TimerHeap, WhatIsNotDueStays) {
    TimerHeap heap;
    std::vector<int> fired;
    CallingNode early([&] { fired.push_back(1); });
    CallingNode late([&] { fired.push_back(2); });
    heap.set(late, {20});
    heap.set(early, {10});
    heap.fire_due({19});
    EXPECT_THAT(fired, ElementsAre(1));
    EXPECT_EQ(heap.first(), &late);
}

TEST(TimerHeap, WhatIsAddedWhileFiringWaitsForTheNextRound) {
    TimerHeap heap;
    int count = 0;
    std::unique_ptr<CallingNode> again;
    again = std::make_unique<CallingNode>([&] {
        count++;
        heap.set(*again, {0});
    });
    heap.set(*again, {0});
    heap.fire_due({5});
    EXPECT_EQ(count, 1);
    heap.fire_due({5});
    EXPECT_EQ(count, 2);
}

TEST(TimerHeap, FiringMayDestroyTheNodeAndOthersThatAreDue) {
    TimerHeap heap;
    std::vector<int> fired;
    std::unique_ptr<CallingNode> other = std::make_unique<CallingNode>([&] { fired.push_back(9); });
    std::unique_ptr<CallingNode> self;
    self = std::make_unique<CallingNode>([&] {
        fired.push_back(1);
        other.reset();
        self.reset();
    });
    heap.set(*self, {1});
    heap.set(*other, {2});
    heap.fire_due({5});
    EXPECT_THAT(fired, ElementsAre(1));
    EXPECT_EQ(heap.first(), nullptr);
}

}  // namespace
}  // namespace postrider::world::real
