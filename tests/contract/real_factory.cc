// tests/contract/real_factory.cc: the contract suite's world on this machine: loopback addresses
// and a fresh directory in the system's place for such.

#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "contract/contract_world.h"
#include "world/real/fd.h"
#include "world/real/real_world.h"
#include "world/real/socket_address.h"

namespace postrider::contract {

namespace {

const char* script(Program which) {
    switch (which) {
        case Program::Echo:
            return "exec cat";
        case Program::Exit:
            return "exit $1";
        // The shell adds PWD and its like: env -i gives what came in, from /proc.
        case Program::Tell:
            return "for word; do echo \"$word\"; done; pwd\n"
                   "tr '\\0' '\\n' < /proc/$$/environ | LC_ALL=C sort";
        case Program::Hang:
            return "cat > /dev/null; sleep 3600 & sleep 3600";
        case Program::Deaf:
            return "sleep 3600 & sleep 3600";
        case Program::Die:
            return "cat > /dev/null; kill -TERM $$";
        case Program::Chatter:
            return "exec seq 1 100000";
    }
    return "";
}

class RealContractWorld : public ContractWorld {
public:
    explicit RealContractWorld(int shards) : real_({.shards = shards, .workers = 3}, log_) {
        std::string pattern = (std::filesystem::temp_directory_path() / "prXXXXXX").string();
        if (!::mkdtemp(pattern.data())) std::abort();
        directory_ = pattern;
        if (!real_.fork_spawner()) std::abort();
    }
    ~RealContractWorld() override {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    void run(Body body) override {
        World world = real_.world();
        real_.executor().post_to(0, [&] { real_.executor().spawn(to_the_end(body, world)); });
        real_.run();
    }

    IpAddress address() override { return *IpAddress::parse("127.0.0.1"); }
    std::string directory() override { return directory_; }

    std::string program(Program which) override {
        std::string file = directory_ + "/program" + std::to_string(static_cast<int>(which));
        std::ofstream(file) << "#!/bin/sh\n" << script(which) << "\n";
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
        return file;
    }

    TlsCertificate certificate() override { return {"contract", roots(), text_of_file("key.pem")}; }
    std::string roots() override { return text_of_file("certificate.pem"); }

    // A listener that never accepts and whose queue is full: the system drops what comes then.
    Endpoint silent_endpoint() override {
        Endpoint any = IpEndpoint{address(), 0};
        auto bound = world::real::socket_address(any);
        silent_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        int listener = silent_.back().get();
        EXPECT_EQ(::bind(listener, bound->get(), bound->size), 0);
        EXPECT_EQ(::listen(listener, 0), 0);
        Endpoint local = world::real::local_endpoint(listener);
        auto to = world::real::socket_address(local);
        for (int i = 0; i < 4; i++) {
            silent_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            // It is under way, or will never be: that is what the test wants.
            EXPECT_LE(::connect(silent_.back().get(), to->get(), to->size), 0);
        }
        return local;
    }

private:
    static std::string text_of_file(const char* name) {
        std::ifstream in(std::string(POSTRIDER_SOURCE_DIR "/tests/contract/testdata/") + name);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    Task<void> to_the_end(Body& body, World& world) {
        co_await body(world);
        real_.stop();
    }

    NoLog log_;
    world::real::RealWorld real_;
    std::string directory_;
    std::vector<world::real::Fd> silent_;
};

}  // namespace

std::unique_ptr<ContractWorld> make_contract_world(int shards) {
    return std::make_unique<RealContractWorld>(shards);
}

}  // namespace postrider::contract
