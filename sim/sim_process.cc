#include "sim/sim_process.h"

#include "sim/host_state.h"

namespace postrider::sim {

namespace {

using Kind = world::ProcessEnd::Kind;

constexpr Duration kStartTime = std::chrono::milliseconds(1);

// As the real one: no octet NUL, a bounded size.
std::string obstacle(const world::ProcessRequest& request) {
    if (request.arguments.empty() || !request.arguments.front().starts_with('/')) {
        return "the program is not named by an absolute path";
    }
    std::size_t octets = request.directory.size();
    for (const auto* texts : {&request.arguments, &request.environment}) {
        for (const std::string& text : *texts) {
            if (text.find('\0') != std::string::npos) return "an argument holds an octet NUL";
            octets += text.size() + 1;
        }
    }
    return octets > world::kProcessRequestOctetsMax ? "arguments and environment are too large"
                                                    : "";
}

}  // namespace

Task<world::ProcessEnd> SimProcess::run(world::ProcessRequest request, world::ProcessInput input) {
    std::string why = obstacle(request);
    auto found = why.empty() ? programs.find(request.arguments.front()) : programs.end();
    if (why.empty() && found == programs.end()) why = "No such file or directory";
    if (!why.empty()) co_return world::ProcessEnd{.kind = Kind::NotStarted, .message = why};

    Program program = found->second;  // the scenario may change it meanwhile
    co_await Pause{host_, kStartTime};
    std::string octets;
    while (program.reads_input) {
        auto piece = co_await input();
        if (!piece) {
            co_return world::ProcessEnd{.kind = Kind::InputFailed,
                                        .message = piece.error().message};
        }
        if (piece->empty()) break;
        octets += *piece;
    }

    ProgramEnd end = program.run(request, octets);
    std::size_t kept = std::min(end.output.size(), request.output_octets_max);
    world::ProcessEnd out{.kind = end.by_signal ? Kind::Signalled : Kind::Exited,
                          .code = end.code,
                          .output = end.output.substr(end.output.size() - kept)};
    Duration left =
        request.deadline.is_never() ? Duration::max() : request.deadline.at - host_.now();
    if (end.takes >= left) {
        out.kind = Kind::TimedOut;
        out.code = 0;
    }
    co_await host_.clock.sleep_for(std::max(Duration{}, std::min(end.takes, left)));
    co_return out;
}

}  // namespace postrider::sim
