// How fast a session takes content and transactions, with nothing behind it.

#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "smtp/server_session.h"

namespace postrider::smtp {
namespace {

// Plays `input` into a session that accepts everything; octets of content seen.
uint64_t play(ServerSession& session, std::string_view input) {
    uint64_t octets = 0;
    for (;;) {
        const Event event = session.next(input);
        if (std::holds_alternative<event::NeedInput>(event)) break;
        if (const auto* chunk = std::get_if<event::DataChunk>(&event)) {
            octets += chunk->content.size();
        }
        while (session.answers_owed() > 0) session.accept();
    }
    session.clear_output();
    return octets;
}

void transactions(benchmark::State& state) {
    auto options = std::make_shared<ServerOptions>();
    options->hostname = "mx.example";
    ServerSession session(options);
    std::string message;
    while (message.size() < std::size_t(state.range(0))) {
        message += "This is a line of a message, as long as they mostly are, with a dot.\r\n";
    }
    play(session, "");
    play(session, "EHLO client.example\r\n");
    const std::string all =
        "MAIL FROM:<someone@client.example> SIZE=10000\r\n"
        "RCPT TO:<somebody@mx.example>\r\nDATA\r\n" +
        message + ".\r\n";
    for (auto _ : state) benchmark::DoNotOptimize(play(session, all));
    state.SetBytesProcessed(state.iterations() * int64_t(all.size()));
}
BENCHMARK(transactions)->Arg(100)->Arg(10 * 1024)->Arg(1024 * 1024);

}  // namespace
}  // namespace postrider::smtp
