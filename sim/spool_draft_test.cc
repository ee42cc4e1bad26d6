// Drafts of large messages: what they hold in memory, and what they leave behind.

#include "sim/spool_machine.h"
#include "spool/draft.h"
#include "spool/stored_message.h"

namespace postrider::sim {
namespace {

std::string large_file(uint64_t id) { return "/spool/large/" + MessageId{id}.text(); }

// Octets that tell where they stand.
std::string numbered(std::size_t octets) {
    std::string out;
    while (out.size() < octets) out += std::to_string(out.size()) + '\n';
    out.resize(octets);
    return out;
}

Task<void> append_in_parts(spool::Draft& draft, std::string_view octets) {
    while (!octets.empty()) {
        std::string_view part = octets.substr(0, 30'000);
        EXPECT_TRUE(co_await draft.append(part));
        octets.remove_prefix(part.size());
    }
}

TEST(SpoolDraft, OneThatIsGivenUpLeavesNoFile) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        {
            spool::Draft draft = spool.begin({300});
            std::string octets(500'000, 'y');
            EXPECT_TRUE(co_await draft.append(octets));
            EXPECT_EQ(draft.size(), 500'000u);
            EXPECT_TRUE(co_await world.disk.info(large_file(300)));
        }
        co_await world.clock.sleep_for(1s);
        EXPECT_FALSE(co_await world.disk.info(large_file(300)));
    });
}

TEST(SpoolDraft, AWideOneHoldsMoreAndKeepsEveryOctet) {
    Machine machine;
    std::string content = numbered(3'000'000);
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        CommitRequest request = message(300);
        spool::Draft draft = spool.begin({300});
        co_await append_in_parts(draft, std::string_view(content).substr(0, 150'000));
        EXPECT_TRUE(draft.widen());
        EXPECT_EQ(draft.memory_max(), spool::kWideDraftOctetsMax);
        co_await append_in_parts(draft, std::string_view(content).substr(150'000, 850'000));
        EXPECT_FALSE(co_await world.disk.info(large_file(300)));
        co_await append_in_parts(draft, std::string_view(content).substr(1'000'000));
        EXPECT_TRUE(co_await world.disk.info(large_file(300)));
        request.messages[0].content = std::move(draft);
        co_await store(spool, std::move(request));
    });
    machine.with_spool([&](world::World& world, Spool& spool, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.live_messages, 1u);
        auto read = co_await spool.read({300});
        EXPECT_TRUE(read);
        if (!read) co_return;
        auto reader = spool::open_content(**read, world.disk);
        std::string got((*read)->content_octets, '\0');
        for (std::size_t at = 0; at < got.size();) {
            auto part = co_await reader->read(at, {got.data() + at, got.size() - at});
            EXPECT_TRUE(part);
            if (!part || *part == 0) co_return;
            at += *part;
        }
        EXPECT_EQ(got, content);
    });
}

TEST(SpoolDraft, OnlySoManyAreWideAtATime) {
    Machine machine;
    machine.with_spool([&](world::World&, Spool& spool, Recovered&) -> Task<void> {
        std::vector<spool::Draft> wide;
        for (uint64_t id = 300; id < 300 + spool::kWideDraftsMax; ++id) {
            wide.push_back(spool.begin({id}));
            EXPECT_TRUE(wide.back().widen());
            EXPECT_TRUE(wide.back().widen()) << "is so already, and takes no second place";
        }
        spool::Draft late = spool.begin({400});
        EXPECT_FALSE(late.widen());
        EXPECT_EQ(late.memory_max(), spool::kDraftMemoryOctetsMax);

        wide.pop_back();  // given up
        EXPECT_TRUE(late.widen());
        spool::Draft later = spool.begin({401});
        EXPECT_FALSE(later.widen());

        // A place goes along with what is moved, and comes back with what is committed.
        later = std::move(late);
        EXPECT_FALSE(spool.begin({402}).widen());
        CommitRequest request = message(401);
        std::string octets(300'000, 'y');
        EXPECT_TRUE(co_await wide[0].append(octets));
        request.messages[0].envelope.id = wide[0].id();
        request.messages[0].content = std::move(wide[0]);
        co_await store(spool, std::move(request));
        spool::Draft next = spool.begin({403});
        EXPECT_TRUE(next.widen());
        EXPECT_FALSE(spool.begin({404}).widen());
        later = spool.begin({405});
        EXPECT_TRUE(spool.begin({406}).widen());
    });
}

}  // namespace
}  // namespace postrider::sim
