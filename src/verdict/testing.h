// verdict/testing.h: a world for tests of this room: one thread, a clock that jumps to what happens
// next, and a DNS whose answers and delays the test writes. For tests only.

#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mailauth/dkim/key_cache.h"
#include "mailauth/testing.h"
#include "verdict/verdict.h"

namespace postrider::verdict {

class TestWorld : public world::Clock, public world::Executor, public world::Resolver {
public:
    ~TestWorld() override {
        for (auto& task : tasks_) task.destroy();
    }

    // --- the DNS
    mailauth::TestZone zone;
    Duration latency = std::chrono::seconds(1);
    std::map<std::string, Duration> latencies;  // of single names, instead
    // In place of the zone, where it gives something.
    std::function<std::optional<dns::Answer>(const dns::Question&)> answers;
    std::vector<std::pair<Duration, std::string>> asked;  // when, since judge(), and what
    Duration latest{};  // the last moment, since judge(), at which an answer would be taken

    Task<dns::Answer> query(dns::Question question, Deadline deadline) override {
        asked.emplace_back(now_ - begun_, text(question));
        latest = std::max(latest, deadline.at - begun_);
        auto own = latencies.find(question.name.text());
        Duration wait = own == latencies.end() ? latency : own->second;
        if (!deadline.is_never() && now_ + wait > deadline.at) {
            co_await sleep_until(deadline.at);
            co_return dns::Answer::temporary(dns::Answer::Failure::Timeout, "no answer in time");
        }
        co_await sleep_for(wait);
        std::optional<dns::Answer> given = answers ? answers(question) : std::nullopt;
        co_return given ? std::move(*given) : zone.answer(question);
    }

    // --- time and work
    Monotonic now() const override { return now_; }
    Wall wall() const override { return {1'800'000'000'000'000}; }
    std::unique_ptr<world::Timer> call_at(Monotonic moment,
                                          std::move_only_function<void()> work) override {
        std::pair place{std::max(moment, now_), ++numbers_};
        events_.emplace(place, std::move(work));
        return std::make_unique<Entry>(events_, place);
    }
    int shard_count() const override { return 1; }
    world::ShardId current_shard() const override { return 0; }
    void post_to(world::ShardId, std::move_only_function<void()> work) override {
        ready_.push_back(std::move(work));
    }
    void resume_on(world::ShardId, std::coroutine_handle<> waiting) override {
        ready_.push_back([waiting] { waiting.resume(); });
    }
    void spawn(Task<void> task) override {
        tasks_.push_back(std::move(task).release());
        ready_.push_back([task = tasks_.back()] { task.resume(); });
    }

    // Everything that happens before this time since the start.
    void run_until(Duration end) {
        while (true) {
            while (!ready_.empty()) {
                auto work = std::move(ready_.front());
                ready_.pop_front();
                work();
            }
            auto next = events_.begin();
            if (next == events_.end() || next->first.first > Monotonic{} + end) break;
            now_ = next->first.first;
            auto work = std::move(next->second);
            events_.erase(next);
            work();
        }
        now_ = std::max(now_, Monotonic{} + end);
    }

    Doors doors() { return {*this, *this, *this}; }

    // A message from outside, judged: its evidence, and how long its client waited behind the final
    // dot. The content begins now and takes `content_time`.
    struct Judged {
        Evidence evidence;
        Duration waited{};
    };
    std::optional<Judged> judge(Facts facts, std::string_view header, std::string_view body = "",
                                Duration content_time = {}) {
        std::optional<Judged> out;
        begun_ = now_;
        spawn(judge_one(*this, std::move(facts), std::string(header), std::string(body),
                        content_time, out));
        run_until(now_ - Monotonic{} + std::chrono::hours(1));
        return out;
    }
    mailauth::dkim::KeyCache keys;

private:
    // By time, then in the order of call_at().
    using Place = std::pair<Monotonic, uint64_t>;
    using Events = std::map<Place, std::move_only_function<void()>>;

    struct Entry : world::Timer {
        Entry(Events& all, Place at) : events(all), place(at) {}
        ~Entry() override { events.erase(place); }
        Events& events;
        Place place;
    };

    static Task<void> judge_one(TestWorld& world, Facts facts, std::string header, std::string body,
                                Duration content_time, std::optional<Judged>& out) {
        Verdict verdict(world.doors(), world.keys, std::move(facts));
        verdict.take_header(header);
        if (verdict.wants_body()) verdict.take_body(body);
        co_await world.sleep_for(content_time);
        Monotonic begun = world.now();
        Judged judged{.evidence = co_await verdict.finish()};
        judged.waited = world.now() - begun;
        out = std::move(judged);
    }

    Monotonic now_{};
    Monotonic begun_{};
    std::deque<std::move_only_function<void()>> ready_;
    Events events_;
    uint64_t numbers_ = 0;
    std::deque<Task<void>::Handle> tasks_;
};

}  // namespace postrider::verdict
