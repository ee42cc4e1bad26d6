// queue/scheduler_model_test.cc: long random lives of a queue, held against a simple model.
//
// Goal: whatever is added, ended, held, released, removed and put back, in any order: each entry is
// given out only when it may be, limits hold, the scheduler sleeps only when nothing can be done,
// and each entry ends exactly once.

#include <algorithm>
#include <map>

#include "queue/scheduler.h"
#include "queue/testing.h"

namespace postrider::queue {
namespace {

using namespace testing_words;

// xorshift64*: the tests' own chance, the same on every machine.
struct Chance {
    uint64_t state;
    uint64_t below(uint64_t bound) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545F4914F6CDD1Du % bound;
    }
};

struct Known {
    Handle handle;
    std::string site;
    EntryState state = EntryState::Scheduled;  // Ready counts as Scheduled with a due in the past
    Monotonic due;
    bool expiring = false;
    bool hold_wanted = false;
};

class Life {
public:
    explicit Life(uint64_t seed) : chance_{seed * 2 + 1} {
        Options options;
        options.active_max = 12;
        options.delay_notice_after = minutes(30);
        options.remote.lifetime = hours(6);
        options.remote.limits = {.connections_max = 4, .connections_first = 2};
        options.sites["site2"] = {.connections_max = 3,
                                  .connections_first = 3,
                                  .rate_messages = 5,
                                  .rate_interval = minutes(5)};
        options.idle_site_kept = minutes(20);
        b_ = std::make_unique<Bench>(options);
    }

    void run(int steps) {
        for (int step = 0; step < steps && !::testing::Test::HasFatalFailure(); step++) {
            switch (chance_.below(10)) {
                case 0:
                case 1:
                case 2:
                    add();
                    break;
                case 3:
                    operate();
                    break;
                case 4:
                case 5:
                    finish_one();
                    break;
                case 6:
                    b_->now = b_->now + seconds(chance_.below(600));
                    break;
                default:
                    ask();
                    break;
            }
            check_totals();
        }
        drain();
    }

private:
    void add() {
        std::string site = "site" + std::to_string(chance_.below(6));
        std::string sender = "sender" + std::to_string(chance_.below(4));
        std::vector<uint32_t> one{static_cast<uint32_t>(chance_.below(50))};
        uint64_t id = ++last_id_;
        Monotonic due = b_->now + seconds(chance_.below(3) == 0 ? chance_.below(900) : 0);
        Handle handle = b_->queue.add({.message = {id},
                                       .recipients = one,
                                       .site = site,
                                       .sender = sender,
                                       .priority = static_cast<int>(chance_.below(19)) - 9,
                                       .due = due},
                                      b_->now);
        known_[id] = {handle, site, EntryState::Scheduled, due};
    }

    // Returns false when the scheduler has nothing to do now.
    bool ask() {
        Decision decision = b_->queue.next(b_->now);
        if (auto* job = std::get_if<Job>(&decision)) {
            take(job->message, job->handle, false);
            EXPECT_LE(b_->site(job->site).active, b_->site(job->site).connections);
            return true;
        }
        if (auto* expire = std::get_if<Expire>(&decision)) {
            take(expire->message, expire->handle, true);
            return true;
        }
        if (auto* notice = std::get_if<DelayNotice>(&decision)) {
            EXPECT_TRUE(known_.contains(notice->message.value));
            EXPECT_FALSE(noticed_[notice->message.value]++);
            return true;
        }
        if (auto* until = std::get_if<SleepUntil>(&decision)) {
            EXPECT_GT(until->at, b_->now);
        }
        expect_nothing_startable();
        return false;
    }

    void take(MessageId id, Handle handle, bool expiring) {
        auto at = known_.find(id.value);
        ASSERT_NE(at, known_.end()) << "given out after its end";
        Known& known = at->second;
        EXPECT_EQ(known.handle, handle);
        EXPECT_EQ(known.state, EntryState::Scheduled);
        EXPECT_LE(known.due, b_->now);
        known.state = EntryState::Active;
        known.expiring = expiring;
        active_.push_back(id.value);
        if (!expiring) EXPECT_LE(++jobs_, 12);
    }

    // What sleeps must have a reason: all is held, active, not due, or its site is at its limit.
    void expect_nothing_startable() {
        if (jobs_ >= 12) return;
        std::map<std::string, SiteView, std::less<>> sites;
        int unproven_active = 0;
        b_->queue.visit_sites(
            [&](const SiteView& view) {
                sites[std::string(view.site)] = view;
                bool proven = view.failures == 0 && view.delivered > 0;
                if (!proven) unproven_active += view.active;
            },
            b_->now);
        for (const auto& [id, known] : known_) {
            if (known.state != EntryState::Scheduled || known.due > b_->now) continue;
            const SiteView& site = sites[known.site];
            bool full = site.active >= site.connections;
            bool rated = known.site == "site2";
            EXPECT_TRUE(full || site.suspended_until || rated || unproven_active >= 5)
                << known.site << " id " << id;
        }
    }

    void finish_one() {
        if (active_.empty()) return;
        std::size_t which = chance_.below(active_.size());
        uint64_t id = active_[which];
        active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(which));
        Known& known = known_.at(id);
        if (!known.expiring) jobs_--;
        if (chance_.below(10) == 0) {
            Monotonic due = b_->now + seconds(30);
            EXPECT_TRUE(b_->queue.put_back(known.handle, due, b_->now));
            wait_again(known, due);
        } else if (known.expiring) {
            EXPECT_TRUE(b_->queue.remove(known.handle, b_->now));
            known_.erase(id);
        } else {
            end_attempt(id, known);
        }
    }

    void end_attempt(uint64_t id, Known& known) {
        EntryView view = find(known.handle);
        uint64_t luck = chance_.below(10);
        RecipientResult result;
        result.recipient = recipient_;
        result.kind = static_cast<FailureKind>(chance_.below(kFailureKindCount));
        result.verdict = luck < 4   ? Verdict::Relayed
                         : luck < 5 ? Verdict::Permanent
                                    : Verdict::Temporary;
        EXPECT_EQ(view.state, EntryState::Active);
        Settlement s = b_->queue.done(known.handle, {&result, 1}, b_->now);
        if (result.is_final()) EXPECT_EQ(s.outcome, Outcome::Finished);
        if (s.outcome == Outcome::Deferred) {
            EXPECT_GT(s.due, b_->now);
            if (s.delay_notice) EXPECT_FALSE(noticed_[id]++);
            wait_again(known, s.due);
        } else {
            known_.erase(id);
        }
    }

    void wait_again(Known& known, Monotonic due) {
        known.state = known.hold_wanted ? EntryState::Held : EntryState::Scheduled;
        known.due = due;
        known.hold_wanted = false;
        known.expiring = false;
    }

    EntryView find(Handle handle) {
        EntryView found;
        b_->queue.scan(handle.index, 1, {}, b_->now, [&](const EntryView& view) {
            found = view;
            recipient_ = view.recipients.front();
        });
        EXPECT_EQ(found.handle, handle);
        return found;
    }

    void operate() {
        if (known_.empty()) return;
        auto at = known_.lower_bound(1 + chance_.below(last_id_));
        if (at == known_.end()) at = known_.begin();
        Known& known = at->second;
        switch (chance_.below(4)) {
            case 0:
                EXPECT_EQ(b_->queue.hold(known.handle, b_->now), !known.expiring);
                if (known.state == EntryState::Active) {
                    known.hold_wanted = !known.expiring;
                } else {
                    known.state = EntryState::Held;
                }
                break;
            case 1: {
                bool want = known.state == EntryState::Held || known.hold_wanted;
                EXPECT_EQ(b_->queue.release(known.handle, b_->now), want);
                if (known.state == EntryState::Held) {
                    known.state = EntryState::Scheduled;
                    known.due = b_->now;
                }
                known.hold_wanted = false;
                break;
            }
            case 2:
                EXPECT_EQ(b_->queue.retry_now(known.handle, b_->now),
                          known.state == EntryState::Scheduled);
                if (known.state == EntryState::Scheduled) {
                    known.due = std::min(known.due, b_->now);
                }
                break;
            default: {
                bool want = known.state != EntryState::Active || known.expiring;
                EXPECT_EQ(b_->queue.remove(known.handle, b_->now), want);
                if (!want) break;
                std::erase(active_, at->first);
                known_.erase(at);
            }
        }
    }

    void check_totals() {
        Totals totals = b_->queue.totals();
        EXPECT_EQ(totals.entries, known_.size());
        EXPECT_EQ(totals.entries, totals.scheduled + totals.ready + totals.active + totals.held);
        EXPECT_EQ(totals.active, active_.size());
        auto held = std::ranges::count_if(
            known_, [](const auto& one) { return one.second.state == EntryState::Held; });
        EXPECT_EQ(totals.held, static_cast<std::size_t>(held));
    }

    // Everything comes to its end when time goes on.
    void drain() {
        for (auto& [id, known] : known_) {
            if (known.state != EntryState::Held) continue;
            EXPECT_TRUE(b_->queue.release(known.handle, b_->now));
            known.state = EntryState::Scheduled;
            known.due = b_->now;
        }
        for (int step = 0; step < 100'000 && !known_.empty(); step++) {
            while (!active_.empty()) finish_one();
            release_held();
            if (!ask()) {
                Decision decision = b_->queue.next(b_->now);
                auto* until = std::get_if<SleepUntil>(&decision);
                if (until) b_->now = until->at;
            }
        }
        EXPECT_TRUE(known_.empty());
    }

    void release_held() {
        for (auto& [id, known] : known_) {
            if (known.state != EntryState::Held) continue;
            EXPECT_TRUE(b_->queue.release(known.handle, b_->now));
            known.state = EntryState::Scheduled;
            known.due = b_->now;
        }
    }

    Chance chance_;
    std::unique_ptr<Bench> b_;
    std::map<uint64_t, Known> known_;
    std::map<uint64_t, int> noticed_;
    std::vector<uint64_t> active_;
    int jobs_ = 0;
    uint64_t last_id_ = 0;
    uint32_t recipient_ = 0;
};

class SchedulerModel : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SchedulerModel, RandomLifeAgreesWithTheModel) { Life(GetParam()).run(1500); }

INSTANTIATE_TEST_SUITE_P(Seeds, SchedulerModel, ::testing::Range<uint64_t>(1, 17));

// The heap alone, against a sorted list.
struct Thing {
    int64_t moment = 0;
    uint32_t heap_at = kNone;
    uint32_t next = kNone;
    int64_t timer() const { return moment; }
};

TEST(TimerHeap, GivesTheEarliestUnderAnyOrderOfChanges) {
    Slab<Thing> slab;
    TimerHeap<Thing> heap(slab);
    std::multimap<int64_t, uint32_t> model;
    Chance chance{99};
    for (int step = 0; step < 20'000; step++) {
        if (model.empty() || chance.below(5) < 3) {
            uint32_t index = slab.take();
            slab[index] = {};
            slab[index].moment = static_cast<int64_t>(chance.below(500));
            heap.push(index);
            model.emplace(slab[index].moment, index);
        } else {
            auto at = chance.below(2) == 0
                          ? model.begin()
                          : std::next(model.begin(), static_cast<std::ptrdiff_t>(chance.below(
                                                         std::min<std::size_t>(model.size(), 50))));
            heap.erase(at->second);
            slab.give_back(at->second);
            model.erase(at);
        }
        ASSERT_EQ(heap.size(), model.size());
        if (!model.empty()) ASSERT_EQ(heap.top_timer(), model.begin()->first);
    }
}

}  // namespace
}  // namespace postrider::queue
