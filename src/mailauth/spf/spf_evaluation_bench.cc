// mailauth/spf/spf_evaluation_bench.cc: what an evaluation costs when its answers are at hand.

#include <benchmark/benchmark.h>

#include "mailauth/spf/evaluation.h"
#include "mailauth/testing.h"

namespace postrider::mailauth::spf {
namespace {

// Five mechanisms, each of which asks or compares, and the fifth matches.
void five_mechanisms(benchmark::State& state) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 a mx ip4:203.0.113.0/24 include:_spf.example.net ~all");
    zone.add_txt("_spf.example.net", "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all");
    zone.add("example.org", dns::A{{203, 0, 113, 80}});
    zone.add("example.org", dns::Mx{10, plain_name("mail.example.org").value()});
    zone.add("mail.example.org", dns::A{{203, 0, 113, 81}});
    const auto client = IpAddress::parse("192.0.2.1").value();
    const ReversePath sender{Mailbox{"joe", "example.org"}};

    // The answers lie ready: looking them up is not part of it.
    std::vector<std::pair<dns::Question, dns::Answer>> ready;
    {
        Evaluation evaluation(Request::mail_from(client, "mail.example.org", sender));
        for (const dns::Question& question : drive(evaluation, zone)) {
            ready.emplace_back(question, zone.answer(question));
        }
    }
    for (auto _ : state) {
        Evaluation evaluation(Request::mail_from(client, "mail.example.org", sender));
        for (const auto& [question, answer] : ready) evaluation.answer(question, answer);
        if (!evaluation.done()) state.SkipWithError("not done");
        benchmark::DoNotOptimize(evaluation.result().code);
    }
}
BENCHMARK(five_mechanisms);

}  // namespace
}  // namespace postrider::mailauth::spf
