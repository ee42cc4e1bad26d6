#include "queue/names.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider::queue {
namespace {

struct Thing {
    std::string key;
    uint32_t next = kNone;
    int value = 0;
};

TEST(Named, APlaceIsUsedAgain) {
    Named<Thing> names;
    for (int i = 0; i < 5000; i++) {
        uint32_t index = names.make("name" + std::to_string(i), {.value = i});
        EXPECT_EQ(names.find("name" + std::to_string(i)), index);
        names.erase(index);
        EXPECT_EQ(names.find("name" + std::to_string(i)), kNone);
    }
    EXPECT_EQ(names.slab().end(), 1u);
    EXPECT_EQ(names.slab().used(), 0u);
}

}  // namespace
}  // namespace postrider::queue
