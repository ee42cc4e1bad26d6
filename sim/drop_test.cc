// sim/drop_test.cc: what was left in the drop directory becomes a message, or is kept and told.
//
// Method: files are put into a simulated host's directory and a house of our own says yes or no.

#include "receive/drop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mail/drop_file.h"
#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using receive::ContentFacts;
using receive::Drop;
using receive::DropOptions;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using world::World;

constexpr std::string_view kDirectory = "/drop";
constexpr std::string_view kContent = "Subject: x\r\n\r\nhello\r\n";

struct Taken {
    std::string account, address, from, content;
    std::vector<std::string> to;
    ContentFacts facts;
};

// Says what it was told to say, and remembers what it took.
class House : public receive::Host {
public:
    std::vector<Taken> taken;
    std::map<std::string, smtp::Reply> rcpt_refusals;  // by address
    std::optional<smtp::Reply> greeting, mail_refusal, finish_refusal;
    int visits = 0;

    std::unique_ptr<receive::Visit> visit(ClientFacts client) override {
        visits++;
        return std::make_unique<TheVisit>(*this, std::move(client));
    }

private:
    class TheSink : public receive::Sink {
    public:
        TheSink(House& house, Taken taken) : house_(house), taken_(std::move(taken)) {}
        MessageId id() const override { return {1}; }
        Task<Status<smtp::Reply>> append(std::string_view piece) override {
            taken_.content += piece;
            co_return Status<smtp::Reply>{};
        }
        Task<std::vector<smtp::Reply>> finish(ContentFacts facts) override {
            if (house_.finish_refusal) co_return std::vector{*house_.finish_refusal};
            taken_.facts = facts;
            house_.taken.push_back(std::move(taken_));
            co_return std::vector{smtp::Reply{250, EnhancedStatus{2, 0, 0}, "ok"}};
        }

    private:
        House& house_;
        Taken taken_;
    };

    class TheVisit : public receive::Visit {
    public:
        TheVisit(House& house, ClientFacts client) : house_(house) {
            taken_.account = client.account;
            taken_.address = client.address;
        }
        Task<Status<smtp::Reply>> greet() override { co_return verdict(house_.greeting); }
        void hello(std::string_view, std::string_view) override {}
        Task<Status<smtp::Reply>> mail(smtp::event::MailFrom mail) override {
            taken_.from = mail.reverse_path.text();
            co_return verdict(house_.mail_refusal);
        }
        Task<Status<smtp::Reply>> rcpt(smtp::event::RcptTo rcpt) override {
            auto refusal = house_.rcpt_refusals.find(rcpt.mailbox.text());
            if (refusal != house_.rcpt_refusals.end()) co_return std::unexpected(refusal->second);
            taken_.to.push_back(rcpt.mailbox.text());
            co_return Status<smtp::Reply>{};
        }
        Task<Result<std::unique_ptr<receive::Sink>, smtp::Reply>> data() override {
            std::unique_ptr<receive::Sink> sink = std::make_unique<TheSink>(house_, taken_);
            co_return sink;
        }
        void reset() override {}

    private:
        static Status<smtp::Reply> verdict(const std::optional<smtp::Reply>& refusal) {
            if (refusal) return std::unexpected(*refusal);
            return {};
        }
        House& house_;
        Taken taken_;
    };
};

Task<void> put(World& world, std::string name, std::string octets) {
    auto file =
        co_await world.disk.open(std::string(kDirectory) + "/" + name, world::OpenMode::CreateNew);
    EXPECT_TRUE(file.has_value());
    std::string_view pieces[] = {octets};
    auto wrote = co_await (*file)->write_at(0, pieces);
    EXPECT_TRUE(wrote.has_value());
}

std::string letter(std::string_view content = kContent, std::string_view to = "bob@b.example") {
    return std::string(kDropMagic) + "MAIL FROM:<joe@h.example>\r\nRCPT TO:<" + std::string(to) +
           ">\r\nDATA\r\n" + std::string(content);
}

class DropDirectory : public testing::Test {
protected:
    // Runs `body` on a host with an empty drop directory.
    void run(std::function<Task<void>(World&)> body) {
        bool is_done = false;
        host_.boot([&](World& world) -> Task<void> {
            (void)co_await world.disk.make_directories(std::string(kDirectory));
            co_await body(world);
            is_done = true;
        });
        EXPECT_TRUE(sim_.run_until([&] { return is_done; }, 48h));
    }

    static Task<std::vector<std::string>> names(World& world, std::string folder) {
        std::vector<std::string> found;
        auto entries = co_await world.disk.list(std::move(folder));
        if (!entries) co_return found;
        for (const auto& entry : *entries) found.push_back(entry.name);
        std::ranges::sort(found);
        co_return found;
    }
    static Task<std::vector<std::string>> left(World& world) {
        auto found = co_await names(world, std::string(kDirectory));
        std::erase(found, "refused");
        co_return found;
    }
    static Task<std::vector<std::string>> refused(World& world) {
        return names(world, std::string(kDirectory) + "/refused");
    }
    std::string logged(Event event) {
        for (const LogLine& line : host_.log_lines()) {
            if (line.event == event) return line.text;
        }
        return "";
    }
    static DropOptions options() { return {.directory = std::string(kDirectory)}; }

    Simulation sim_{1};
    Host& host_ = sim_.add_host("h.example", {*world::IpAddress::parse("192.0.2.1")}, 1);
    House house_;
};

TEST_F(DropDirectory, AFileBecomesAMessageAndGoes) {
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", letter());
        Drop drop(world, house_, options());
        EXPECT_EQ(co_await drop.scan(), 1u);
        EXPECT_THAT(co_await left(world), IsEmpty());
    });
    ASSERT_EQ(house_.taken.size(), 1u);
    const Taken& taken = house_.taken.front();
    EXPECT_EQ(taken.from, "joe@h.example");
    EXPECT_THAT(taken.to, ElementsAre("bob@b.example"));
    EXPECT_EQ(taken.content, kContent);
    EXPECT_THAT(taken.account, testing::StartsWith("uid:"));
    EXPECT_EQ(taken.address, "");
    EXPECT_EQ(taken.facts.octets, kContent.size());
    EXPECT_EQ(taken.facts.header_octets, 14u);
    EXPECT_FALSE(taken.facts.has_8bit);
}

TEST_F(DropDirectory, ALargeMessageIsReadWholeInBlocks) {
    std::string content = "A: b\r\n\r\n";
    while (content.size() < 300'000) content += "a line of some length, with \xc3\xa4\r\n";
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", letter(content));
        Drop drop(world, house_, options());
        EXPECT_EQ(co_await drop.scan(), 1u);
    });
    ASSERT_EQ(house_.taken.size(), 1u);
    EXPECT_TRUE(house_.taken.front().content == content);
    EXPECT_TRUE(house_.taken.front().facts.has_8bit);
}

TEST_F(DropDirectory, WhatIsNoWholeLetterIsSetAsideAndNeverLost) {
    const std::pair<std::string, const char*> cases[] = {
        {"", "no dropped message"},
        {"something else\r\n", "no dropped message"},
        {std::string(kDropMagic), "not whole"},
        {letter().substr(0, 60), "not whole"},
        {std::string(kDropMagic) + "RCPT TO:<a@b>\r\nDATA\r\nx\r\n", "form"},
        {std::string(kDropMagic) + "MAIL FROM:<a@b>\r\nDATA\r\nx\r\n", "form"},
        {std::string(kDropMagic) + "MAIL FROM:<a@b>\r\nRSET\r\nDATA\r\nx\r\n", "form"},
        {std::string(kDropMagic) + "MAIL FROM:<a b>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n", "MAIL"},
        {letter("A: b\r\n\r\nbare\nline\r\n"), "bare LF"},
        {letter("A: b\r\n\r\nbare\rcr\r\n"), "bare CR"},
        {letter(std::string("A: b\r\n\r\n\0\r\n", 11)), "NUL"},
        {letter("A: b\r\n\r\nno end"), "does not end with CRLF"},
    };
    for (const auto& [octets, reason] : cases) {
        run([&](World& world) -> Task<void> {
            co_await put(world, "1", octets);
            Drop drop(world, house_, options());
            EXPECT_EQ(co_await drop.scan(), 0u);
            EXPECT_THAT(co_await left(world), IsEmpty());
            EXPECT_THAT(co_await refused(world), ElementsAre("1"));
            (void)co_await world.disk.remove(std::string(kDirectory) + "/refused/1");
        });
        EXPECT_THAT(host_.log_lines().back().text, HasSubstr(reason)) << octets;
        host_.kill();
    }
    EXPECT_THAT(house_.taken, IsEmpty());
}

TEST_F(DropDirectory, AMessageThatWentRoundTooOftenOrIsTooLargeIsSetAside) {
    DropOptions small = options();
    small.hops_max = 2;
    small.message_octets_max = 1000;
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", letter("Received: a\r\nReceived: b\r\nReceived: c\r\n\r\nx\r\n"));
        co_await put(world, "2", letter("A: b\r\n\r\n" + std::string(1000, 'x') + "\r\n"));
        Drop drop(world, house_, small);
        EXPECT_EQ(co_await drop.scan(), 0u);
        EXPECT_THAT(co_await refused(world), ElementsAre("1", "2"));
    });
}

TEST_F(DropDirectory, WhatIsNoRegularFileIsSetAsideUnopened) {
    run([&](World& world) -> Task<void> {
        (void)co_await world.disk.make_directories(std::string(kDirectory) + "/folder");
        Drop drop(world, house_, options());
        EXPECT_EQ(co_await drop.scan(), 0u);
        EXPECT_THAT(co_await left(world), IsEmpty());
    });
    EXPECT_EQ(house_.visits, 0);
    EXPECT_THAT(logged(Event::DropRefused), HasSubstr("no regular file"));
}

TEST_F(DropDirectory, AStrangersFileIsSetAsideUnopened) {
    DropOptions picky = options();
    picky.owners = {424242};
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", letter());
        Drop drop(world, house_, picky);
        EXPECT_EQ(co_await drop.scan(), 0u);
        EXPECT_THAT(co_await refused(world), ElementsAre("1"));
    });
    EXPECT_EQ(house_.visits, 0);
    EXPECT_THAT(logged(Event::DropRefused), HasSubstr("owner may not"));
}

TEST_F(DropDirectory, ATemporaryRefusalLeavesTheFileForLater) {
    const smtp::Reply busy{452, EnhancedStatus{4, 3, 1}, "busy"};
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", letter());
        Drop drop(world, house_, options());
        house_.greeting = smtp::Reply{421, EnhancedStatus{4, 3, 2}, "tight"};
        EXPECT_EQ(co_await drop.scan(), 0u);
        house_.greeting.reset();
        EXPECT_EQ(co_await drop.scan(), 0u) << "not before its time";
        EXPECT_EQ(house_.visits, 1);
        co_await world.clock.sleep_for(61s);
        house_.finish_refusal = busy;
        EXPECT_EQ(co_await drop.scan(), 0u);
        EXPECT_THAT(co_await left(world), ElementsAre("1"));
        house_.finish_refusal.reset();
        co_await world.clock.sleep_for(61s);
        EXPECT_EQ(co_await drop.scan(), 1u);
        EXPECT_THAT(co_await left(world), IsEmpty());
    });
    EXPECT_EQ(house_.taken.size(), 1u);
    EXPECT_THAT(logged(Event::DropDelayed), HasSubstr("tight"));
}

TEST_F(DropDirectory, OneRecipientThatMustWaitMakesTheWholeMessageWait) {
    std::string two = std::string(kDropMagic) +
                      "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" +
                      std::string(kContent);
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", two);
        house_.rcpt_refusals["c@d"] = {451, EnhancedStatus{4, 3, 0}, "broken alias"};
        Drop drop(world, house_, options());
        EXPECT_EQ(co_await drop.scan(), 0u);
        EXPECT_THAT(co_await left(world), ElementsAre("1"));
        EXPECT_THAT(house_.taken, IsEmpty());
        house_.rcpt_refusals.clear();
        co_await world.clock.sleep_for(61s);
        EXPECT_EQ(co_await drop.scan(), 1u);
    });
    EXPECT_THAT(house_.taken.front().to, ElementsAre("a@b", "c@d"));
}

TEST_F(DropDirectory, ARefusedRecipientIsToldAndTheOthersGetTheirs) {
    std::string two = std::string(kDropMagic) +
                      "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" +
                      std::string(kContent);
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", two);
        house_.rcpt_refusals["c@d"] = {550, EnhancedStatus{5, 1, 1}, "no such mailbox"};
        Drop drop(world, house_, options());
        co_await drop.scan();
        EXPECT_THAT(co_await refused(world), ElementsAre("1"));
        co_await world.clock.sleep_for(120s);
        co_await drop.scan();
    });
    ASSERT_EQ(house_.taken.size(), 1u) << "once only";
    EXPECT_THAT(house_.taken.front().to, ElementsAre("a@b"));
    EXPECT_THAT(logged(Event::DropRefused), HasSubstr("<c@d>: 550 5.1.1 no such mailbox"));
}

TEST_F(DropDirectory, AnUnfinishedFileIsLeftAloneUntilItIsOld) {
    run([&](World& world) -> Task<void> {
        co_await put(world, "tmp.1", letter().substr(0, 30));
        Drop drop(world, house_, options());
        co_await drop.scan();
        EXPECT_THAT(co_await left(world), ElementsAre("tmp.1"));
        co_await world.clock.sleep_for(25h);
        co_await drop.scan();
        EXPECT_THAT(co_await left(world), IsEmpty());
    });
    EXPECT_EQ(house_.visits, 0);
}

TEST_F(DropDirectory, ItLooksAtTheStartNowAndThenAndWhenTold) {
    run([&](World& world) -> Task<void> {
        co_await put(world, "1", letter());
        DropOptions slow = options();
        slow.poll = 1h;
        Drop drop(world, house_, slow);
        drop.start();
        co_await world.clock.sleep_for(1s);
        EXPECT_EQ(house_.taken.size(), 1u) << "at the start";
        co_await put(world, "2", letter());
        co_await world.clock.sleep_for(1s);
        EXPECT_EQ(house_.taken.size(), 1u);
        drop.wake();
        co_await world.clock.sleep_for(1s);
        EXPECT_EQ(house_.taken.size(), 2u) << "when told";
        co_await put(world, "3", letter());
        co_await world.clock.sleep_for(61min);
        EXPECT_EQ(house_.taken.size(), 3u) << "by itself";
        co_await drop.stop(Deadline::after(world.clock.now(), 10s));
    });
}

TEST_F(DropDirectory, AMissingDirectoryIsToldOnce) {
    run([&](World& world) -> Task<void> {
        DropOptions none = options();
        none.directory = "/nowhere";
        Drop drop(world, house_, none);
        co_await drop.scan();
        co_await drop.scan();
    });
    auto count = std::ranges::count(host_.log_lines(), Event::DropUnreadable, &LogLine::event);
    EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace postrider::sim
