// base/log_test.cc: the catalogue is complete and its names can be relied on.

#include "base/log.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace postrider {
namespace {

TEST(LogCatalogue, EveryEventHasAUniqueNameAndAParagraph) {
    std::set<std::string> names;
    for (const EventInfo& event : event_catalogue()) {
        EXPECT_TRUE(names.insert(std::string(event.name)).second) << event.name;
        EXPECT_GE(event.paragraph.size(), 20u) << event.name;
        EXPECT_EQ(event.paragraph.back(), '.') << event.name;
    }
    EXPECT_FALSE(names.empty());
}

TEST(LogCatalogue, AnEventFindsItsOwnRow) {
    EXPECT_EQ(info(Event::MessageAccepted).name, "MessageAccepted");
    EXPECT_EQ(info(Event::MessageAccepted).level, LogLevel::Info);
}

}  // namespace
}  // namespace postrider
