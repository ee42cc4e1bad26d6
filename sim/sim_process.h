// sim/sim_process.h: the programs of a simulated host, as functions.
//
// A scenario registers a function under a path; world::Process then finds it there. The function is
// called once, when the program has read its input (or at once, if it reads none), and says what
// the program printed, how it ended and how long that took in virtual time. Programs survive
// power_loss() and kill() as files do; a run that is under way ends with its host.
//
// A program that takes longer than its deadline has still been called: what it did outside, it did
// before it was killed. A scenario in which it should not have says so in the function.
//
// Threads: one.

#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "world/process.h"

namespace postrider::sim {

struct HostState;

// How a simulated program ends.
struct ProgramEnd {
    int code = 0;  // exit code, or the signal
    std::string output;
    Duration takes{};  // after its input was read; Duration::max() = it hangs
    bool by_signal = false;
};

struct Program {
    std::function<ProgramEnd(const world::ProcessRequest&, std::string_view input)> run;
    bool reads_input = true;
};

class SimProcess : public world::Process {
public:
    explicit SimProcess(HostState& host) : host_(host) {}

    Task<world::ProcessEnd> run(world::ProcessRequest request, world::ProcessInput input) override;

    std::map<std::string, Program> programs;  // by path

private:
    HostState& host_;
};

}  // namespace postrider::sim
