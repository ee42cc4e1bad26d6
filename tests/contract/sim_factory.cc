// tests/contract/sim_factory.cc: the contract suite's world inside the simulator: one host of its
// own, from a fixed seed, which POSTRIDER_SIM_SEED may replace.

#include <algorithm>
#include <cstdlib>

#include "contract/contract_world.h"
#include "sim/simulation.h"

namespace postrider::contract {

namespace {

uint64_t chosen_seed() {
    const char* text = std::getenv("POSTRIDER_SIM_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 1;
}

sim::ProgramEnd end_of(Program which, const ProcessRequest& request, std::string_view input) {
    sim::ProgramEnd end;
    switch (which) {
        case Program::Echo:
            end.output = input;
            break;
        case Program::Exit:
            end.code = std::atoi(request.arguments.at(1).c_str());
            break;
        case Program::Tell: {
            for (std::size_t i = 1; i < request.arguments.size(); i++) {
                end.output += request.arguments[i] + "\n";
            }
            end.output += request.directory + "\n";
            auto environment = request.environment;
            std::ranges::sort(environment);
            for (const std::string& one : environment) end.output += one + "\n";
            break;
        }
        case Program::Hang:
        case Program::Deaf:
            end.takes = Duration::max();
            break;
        case Program::Die:
            end.by_signal = true;
            end.code = 15;
            break;
        case Program::Chatter:
            for (int i = 1; i <= 100'000; i++) end.output += std::to_string(i) + "\n";
            break;
    }
    return end;
}

class SimContractWorld : public ContractWorld {
public:
    explicit SimContractWorld(int shards)
        : sim_(chosen_seed()),
          host_(sim_.add_host("contract.example", {*IpAddress::parse("192.0.2.1")}, shards)) {
        sim_.net().faults.others_first_per_1000 = 200;  // a busy host: callers meet each other
    }

    void run(Body body) override {
        bool is_done = false;
        host_.boot([&](World& world) -> Task<void> {
            Status<DiskError> made = co_await world.disk.make_directories(directory());
            EXPECT_TRUE(made.has_value());
            co_await body(world);
            is_done = true;
        });
        // Virtual time: far more than any test of the suite waits for.
        EXPECT_TRUE(sim_.run_until([&] { return is_done; }, 24h)) << "seed " << sim_.seed();
    }

    std::string program(Program which) override {
        std::string path = "/programs/" + std::to_string(static_cast<int>(which));
        host_.process().programs[path] = {
            .run = [which](const ProcessRequest& request,
                           std::string_view input) { return end_of(which, request, input); },
            .reads_input = which != Program::Exit && which != Program::Deaf};
        return path;
    }

    IpAddress address() override { return host_.addresses().front(); }
    std::string directory() override { return "/contract"; }

    TlsCertificate certificate() override {
        return sim::sim_certificate("contract.example,*.wild.example", "contract");
    }
    std::string roots() override { return "contract"; }

    Endpoint silent_endpoint() override {
        IpAddress silent = *IpAddress::parse("198.51.100.1");
        sim_.net().black_hole(silent);
        return IpEndpoint{silent, 25};
    }

private:
    sim::Simulation sim_;
    sim::Host& host_;
};

}  // namespace

std::unique_ptr<ContractWorld> make_contract_world(int shards) {
    return std::make_unique<SimContractWorld>(shards);
}

}  // namespace postrider::contract
