// base/situation_test.cc: the catalogue can be relied on, and only who watches sees anything.

#include "base/situation.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace postrider {
namespace {

class Witness : public SituationWatcher {
public:
    explicit Witness(Switch forced) : forced_(forced) { situation_watcher = this; }
    ~Witness() { situation_watcher = nullptr; }
    Witness(const Witness&) = delete;
    Witness& operator=(const Witness&) = delete;

    void reached(Situation situation) override { seen.push_back(situation); }
    bool forced(Switch which) override {
        asked.push_back(which);
        return which == forced_;
    }

    std::vector<Situation> seen;
    std::vector<Switch> asked;

private:
    Switch forced_;
};

TEST(SituationCatalogue, EachNameStandsOnceAndHasASentence) {
    std::set<std::string> names;
    auto look_at = [&](const SituationInfo& info) {
        EXPECT_TRUE(names.emplace(info.name).second) << info.name;
        EXPECT_GE(info.text.size(), 20u) << info.name;
        EXPECT_EQ(info.text.back(), '.') << info.name;
    };
    for (const SituationInfo& info : kSituations) look_at(info);
    for (const SituationInfo& info : kSwitches) look_at(info);
    EXPECT_EQ(names.size(), kSituationCount + kSwitchCount);
}

TEST(SituationCatalogue, AValueFindsItsOwnRow) {
    EXPECT_EQ(kSituations[static_cast<std::size_t>(Situation::SpoolTornTail)].name,
              "SpoolTornTail");
    EXPECT_EQ(kSwitches[static_cast<std::size_t>(Switch::SpoolSegmentEndsEarly)].name,
              "SpoolSegmentEndsEarly");
}

TEST(SituationWatcher, NothingHappensWhereNobodyWatches) {
    ASSERT_EQ(situation_watcher, nullptr);
    for (std::size_t i = 0; i < kSituationCount; ++i) reached(static_cast<Situation>(i));
    for (std::size_t i = 0; i < kSwitchCount; ++i) EXPECT_FALSE(forced(static_cast<Switch>(i)));
}

TEST(SituationWatcher, SeesWhatIsReachedAndDecidesWhatIsForced) {
    Witness witness(Switch::SpoolGroupOfOne);
    reached(Situation::SpoolGroupOfMany);
    reached(Situation::SpoolGroupOfMany);
    EXPECT_TRUE(forced(Switch::SpoolGroupOfOne));
    EXPECT_FALSE(forced(Switch::SpoolMovesEarly));
    EXPECT_EQ(witness.seen,
              (std::vector{Situation::SpoolGroupOfMany, Situation::SpoolGroupOfMany}));
    EXPECT_EQ(witness.asked, (std::vector{Switch::SpoolGroupOfOne, Switch::SpoolMovesEarly}));
}

TEST(SituationWatcher, BelongsToTheThreadThatSetIt) {
    Witness witness(Switch::SpoolGroupOfOne);
    bool elsewhere = true;
    std::thread([&] {
        reached(Situation::SpoolGroupOfMany);
        elsewhere = forced(Switch::SpoolGroupOfOne);
    }).join();
    EXPECT_FALSE(elsewhere);
    EXPECT_TRUE(witness.seen.empty());
    EXPECT_TRUE(witness.asked.empty());
}

}  // namespace
}  // namespace postrider
