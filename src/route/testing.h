// route/testing.h: a world for tests of hosts.h: one thread, a clock that stands still, and a DNS
// written as text. For tests only.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "route/hosts.h"
#include "world/world.h"

namespace postrider::route {

using dns::Answer;
using dns::Name;
using dns::Question;
using dns::Type;
using world::IpAddress;

class QueueExecutor : public world::Executor {
public:
    int shard_count() const override { return 1; }
    world::ShardId current_shard() const override { return 0; }
    void post_to(world::ShardId, std::move_only_function<void()> work) override {
        work_.push_back(std::move(work));
    }
    void resume_on(world::ShardId, std::coroutine_handle<> waiting) override {
        work_.push_back([waiting] { waiting.resume(); });
    }
    void spawn(Task<void> task) override {
        tasks_.push_back(std::move(task).release());
        work_.push_back([task = tasks_.back()] { task.resume(); });
    }
    void run() {
        while (!work_.empty()) {
            auto work = std::move(work_.front());
            work_.pop_front();
            work();
        }
    }
    ~QueueExecutor() override {
        for (auto& task : tasks_) task.destroy();
    }

private:
    std::deque<std::move_only_function<void()>> work_;
    std::deque<Task<void>::Handle> tasks_;
};

class StillClock : public world::Clock {
public:
    Monotonic now() const override { return {1'000'000'000}; }
    Wall wall() const override { return {}; }
    std::unique_ptr<world::Timer> call_at(Monotonic, std::move_only_function<void()>) override {
        return nullptr;
    }
};

// splitmix64 from a counter.
class CountedRandom : public world::Random {
public:
    explicit CountedRandom(uint64_t seed) : state_(seed) {}
    void fill(std::span<std::byte> bytes) override {
        for (std::byte& byte : bytes) {
            state_ += 0x9E3779B97F4A7C15u;
            uint64_t z = (state_ ^ (state_ >> 30)) * 0xBF58476D1CE4E5B9u;
            byte = static_cast<std::byte>((z ^ (z >> 27)) >> 13);
        }
    }

private:
    uint64_t state_;
};

// Zones as text: "NAME TTL TYPE RDATA", one record per line, and "NAME fails"; "!" before the TTL:
// signed.
class TextResolver : public world::Resolver {
public:
    TextResolver(world::Executor& executor, std::string_view zones) : executor_(executor) {
        while (!zones.empty()) {
            std::size_t end = std::min(zones.find('\n'), zones.size());
            read(zones.substr(0, end));
            zones.remove_prefix(std::min(end + 1, zones.size()));
        }
    }

    Task<Answer> query(Question question, Deadline) override {
        asked.insert(text(question));
        open_++;
        open_max = std::max(open_max, open_);
        co_await executor_.switch_to(0);
        open_--;
        co_return answer(question);
    }

    std::multiset<std::string> asked;
    int open_max = 0;

private:
    void read(std::string_view line) {
        std::vector<std::string> words;
        while (!line.empty()) {
            std::size_t end = std::min(line.find(' '), line.size());
            if (end > 0) words.emplace_back(line.substr(0, end));
            line.remove_prefix(std::min(end + 1, line.size()));
        }
        if (words.empty()) return;
        Name name = *Name::parse(words[0]);
        if (words[1] == "fails") {
            broken_.insert(name);
            return;
        }
        bool is_signed = words[1].front() == '!';
        if (is_signed) words[1].erase(0, 1);
        dns::Rdata rdata;
        if (words[2] == "MX") {
            rdata = dns::Mx{static_cast<uint16_t>(std::stoi(words[3])), *Name::parse(words[4])};
        } else if (words[2] == "A") {
            dns::A a;
            auto address = *IpAddress::parse(words[3]);
            std::copy_n(address.octets.begin(), 4, a.octets.begin());
            rdata = a;
        } else {
            EXPECT_EQ(words[2], "AAAA");
            rdata = dns::Aaaa{IpAddress::parse(words[3])->octets};
        }
        Answer& set = sets_[{name, type_of(rdata)}];
        set.status = Answer::Status::Ok;
        set.ttl_seconds = static_cast<uint32_t>(std::stoul(words[1]));
        set.secure = is_signed;
        set.canonical_name = name;
        set.records.push_back(rdata);
        names_.insert(name);
    }

    Answer answer(const Question& question) const {
        if (broken_.contains(question.name)) {
            return Answer::temporary(Answer::Failure::ServFail, "SERVFAIL");
        }
        if (auto set = sets_.find(question); set != sets_.end()) return set->second;
        Answer none;
        none.status =
            names_.contains(question.name) ? Answer::Status::NoData : Answer::Status::NxDomain;
        none.ttl_seconds = 900;
        return none;
    }

    world::Executor& executor_;
    std::map<Question, Answer> sets_;
    std::set<Name> names_;
    std::set<Name> broken_;
    int open_ = 0;
};

// Doors that nothing here goes through.
struct NoDoors : world::Net, world::Disk, world::Worker, world::Process, world::Tls {
    explicit NoDoors(world::Executor& its) : executor_(its) {}
    Result<std::unique_ptr<world::Listener>, world::NetError> listen(
        const world::Endpoint&, world::ListenOptions) override {
        std::abort();
    }
    Result<std::unique_ptr<world::Listener>, world::NetError> share(
        const world::Listener&) override {
        std::abort();
    }
    std::vector<world::IpAddress> own_addresses() override { return {}; }
    Task<Result<std::unique_ptr<world::Stream>, world::NetError>> connect(world::Endpoint,
                                                                          std::optional<IpAddress>,
                                                                          Deadline) override {
        std::abort();
    }
    Task<world::DiskResult<std::unique_ptr<world::File>>> open(std::string,
                                                               world::OpenMode) override {
        std::abort();
    }
    Task<world::DiskStatus> rename(std::string, std::string) override { std::abort(); }
    Task<world::DiskStatus> link(std::string, std::string) override { std::abort(); }
    Task<world::DiskStatus> remove(std::string) override { std::abort(); }
    Task<world::DiskStatus> make_directories(std::string) override { std::abort(); }
    Task<world::DiskResult<std::vector<world::DirectoryEntry>>> list(std::string) override {
        std::abort();
    }
    Task<world::DiskResult<world::FileInfo>> info(std::string) override { std::abort(); }
    Task<world::DiskStatus> sync_directory(std::string) override { std::abort(); }
    Task<world::DiskResult<world::SpaceInfo>> space(std::string) override { std::abort(); }
    Task<world::DiskResult<std::unique_ptr<world::DiskLock>>> lock(std::string) override {
        std::abort();
    }
    void enter(std::coroutine_handle<>) override { std::abort(); }
    Task<world::ProcessEnd> run(world::ProcessRequest, world::ProcessInput) override {
        std::abort();
    }
    Result<std::shared_ptr<const world::TlsServerContext>, world::TlsError> server_context(
        world::TlsServerOptions) override {
        std::abort();
    }
    Result<std::shared_ptr<const world::TlsClientContext>, world::TlsError> client_context(
        world::TlsClientOptions) override {
        std::abort();
    }
    Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> accept(
        std::shared_ptr<world::Stream>, std::shared_ptr<const world::TlsServerContext>,
        Deadline) override {
        std::abort();
    }
    Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> connect(
        std::shared_ptr<world::Stream>, std::shared_ptr<const world::TlsClientContext>,
        world::TlsPeer, Deadline) override {
        std::abort();
    }
    world::Executor& executor() override { return executor_; }

private:
    world::Executor& executor_;
};

struct Rig {
    QueueExecutor executor;
    StillClock clock;
    CountedRandom random;
    NoDoors none{executor};
    NoLog log;
    TextResolver resolver;
    world::World world{clock, random, none, none, executor, none, log, resolver, none, none};
    HostsOptions options{
        .own_names = {"us.example", "Other-Us.example."},
        .own_addresses = {*IpAddress::parse("192.0.2.99"), *IpAddress::parse("2001:db8::99")}};

    explicit Rig(std::string_view zones, uint64_t seed = 1)
        : random(seed), resolver(executor, zones) {}

    HostsAnswer run(Task<HostsAnswer> task) {
        std::optional<HostsAnswer> answer;
        auto into = [](Task<HostsAnswer> asked, std::optional<HostsAnswer>& to) -> Task<void> {
            to = co_await std::move(asked);
        };
        executor.spawn(into(std::move(task), answer));
        executor.run();
        EXPECT_TRUE(answer);
        return answer ? *answer : HostsAnswer{};
    }
    HostsAnswer find(std::string domain) {
        return run(find_hosts(world, std::move(domain), options, deadline()));
    }
    HostsAnswer find_static(std::string host) {
        return run(find_static_host(world, std::move(host), options, deadline()));
    }
    Duration kept(const HostsAnswer& answer) const { return answer.expires - clock.now(); }
    static Deadline deadline() { return {{60'000'000'000}}; }
};

}  // namespace postrider::route
