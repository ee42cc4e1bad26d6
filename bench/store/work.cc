#include "bench/store/work.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <random>

#include "bench/load.h"

namespace postrider::bench::store {

Work parse(int count, char** words, const char* about) {
    Work work;
    CLI::App app(about);
    app.add_option("folder", work.folder, "an empty folder")->required();
    app.add_option("-m,--messages", work.messages, "messages in all");
    app.add_option("-s,--sessions", work.sessions, "sessions at once")
        ->check(CLI::Range(1, 10'000));
    app.add_option("-l,--octets", work.octets, "octets of each message");
    app.add_flag("--finished", work.finished, "each message gets its outcome, and is gone");
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return work;
}

std::string content_of(const Work& work) {
    std::mt19937_64 random(1);
    std::string out;
    while (out.size() < work.octets) out += fmt::format("{:016x}{:016x}\r\n", random(), random());
    out.resize(work.octets);
    return out;
}

Costs costs_now() { return {seconds_now(), cpu_seconds()}; }

void tell(const Work& work, Costs begin) {
    Costs end = costs_now();
    fmt::print(R"({{"messages": {}, "seconds": {:.6f}, "cpu_seconds": {:.6f}}})"
               "\n",
               work.messages, end.seconds - begin.seconds, end.cpu_seconds - begin.cpu_seconds);
}

}  // namespace postrider::bench::store
