// tests/contract/contract_world.h: what the contract suite needs of a world it is run against.
//
// The suite is written once against src/world and linked once per world: contract_real_test with
// real_factory.cc, contract_sim_test with sim_factory.cc. A factory file defines
// make_contract_world(); nothing else differs.
//
// Tests say only what src/world promises. Moments have no upper bounds: a real machine may be slow.

#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::contract {

using namespace world;
using namespace std::chrono_literals;

using Body = std::move_only_function<Task<void>(World&)>;

// Programs that every world of the suite can run.
enum class Program : uint8_t {
    Echo,     // writes what it reads
    Exit,     // reads nothing; ends with the exit code in its first argument
    Tell,     // writes its arguments, its folder and its environment (sorted), each on a line
    Hang,     // reads its input and never ends
    Deaf,     // never reads its input and never ends
    Die,      // reads its input and ends by SIGTERM
    Chatter,  // writes the lines 1 to 100000
};

class ContractWorld {
public:
    virtual ~ContractWorld() = default;

    // Runs body(world) as a task on shard 0 until it has ended. `body` lives until then. Called
    // once.
    virtual void run(Body body) = 0;

    // An address of this host at which it can listen and to which it can connect.
    virtual IpAddress address() = 0;

    // An existing directory for this test alone, short enough for the path of a Unix socket.
    virtual std::string directory() = 0;

    // The path of a program that the world has for the suite (see Program); asked before run().
    virtual std::string program(Program which) = 0;

    // For contract.example and *.wild.example; its own root.
    virtual TlsCertificate certificate() = 0;
    // What a client must be given to trust it.
    virtual std::string roots() = 0;

    // Where a connection is neither accepted nor refused; asked before run().
    virtual Endpoint silent_endpoint() = 0;
};

// A new world of its own, with at least two workers where there are any.
std::unique_ptr<ContractWorld> make_contract_world(int shards);

// In a coroutine ASSERT_* cannot return; this can.
#define CO_ASSERT(condition)                              \
    if (!(condition)) {                                   \
        ADD_FAILURE() << "does not hold: " << #condition; \
        co_return;                                        \
    }                                                     \
    static_assert(true)

// The same with the words of the error of a Result.
#define CO_ASSERT_OK(result)                                          \
    if (!(result)) {                                                  \
        ADD_FAILURE() << #result << ": " << (result).error().message; \
        co_return;                                                    \
    }                                                                 \
    static_assert(true)

class Contract : public testing::Test {
protected:
    // Makes the world; in a test that needs its address or directory before run().
    ContractWorld& make(int shards) {
        contract_ = make_contract_world(shards);
        return *contract_;
    }
    ContractWorld& contract() { return contract_ ? *contract_ : make(1); }

    void run(Body body) { contract().run(std::move(body)); }
    void run_on_shards(int shards, Body body) { make(shards).run(std::move(body)); }

    std::string path(std::string_view name) {
        return contract().directory() + "/" + std::string(name);
    }
    IpEndpoint free_port() { return {contract().address(), 0}; }

    // Far enough that only a hanging test reaches it.
    static Deadline patience(World& world) { return Deadline::after(world.clock.now(), 60s); }

private:
    std::unique_ptr<ContractWorld> contract_;
};

// Comes back after everything that was posted from this shard to itself before.
inline Task<void> round_trip(World& world) {
    co_await world.executor.switch_to(world.executor.current_shard());
}

// Lets one task wait until others, on any shard, have ended.
class Gathering {
public:
    Gathering(World& world, int expected)
        : world_(world), home_(world.executor.current_shard()), missing_(expected) {}

    // Called by each at its end.
    void arrive() {
        world_.executor.post_to(home_, [this] {
            missing_--;
            changed_.notify_all();
        });
    }

    // False when they did not all come.
    Task<bool> all(Deadline deadline) {
        while (missing_ > 0) {
            if (!co_await changed_.wait(deadline)) co_return false;
        }
        co_return true;
    }

private:
    World& world_;
    ShardId home_;
    int missing_;
    Signal changed_{world_.executor, world_.clock};
};

// Spawns a task that runs `body` and keeps `body` alive meanwhile.
template <typename Callable>
void spawn(World& world, Callable body) {
    world.executor.spawn([](Callable kept) -> Task<void> { co_await kept(); }(std::move(body)));
}

}  // namespace postrider::contract
