// Any message, from any sender, and a DNS that says anything, late or never: the judgement ends in
// its time with a bounded number of questions, what is written about it is one field, and what is
// done follows the rules.
//
// Input: one octet of settings, HELO, the reverse-path's local-part and domain, each up to a line
// end; as many octets as there are questions, in the order of their asking; a NUL; the message.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mail/header.h"
#include "verdict/disposition.h"
#include "verdict/testing.h"

namespace {

using namespace postrider;
using namespace postrider::verdict;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string taken(std::string_view& rest, char end) {
    const std::size_t at = std::min(rest.find(end), rest.size());
    std::string out(rest.substr(0, at));
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return out;
}

// Records that lead on: to more questions, or to other methods' records.
dns::Rdata record_for(const dns::Question& question, uint8_t choice) {
    static constexpr std::string_view kTexts[] = {
        "v=spf1 include:a.test a mx ptr exists:%{i}.b.test redirect=c.test",
        "v=spf1 -all",
        "v=spf1 ~all exp=why.test",
        "v=DMARC1; p=reject; sp=quarantine; np=reject; t=y",
        "v=DMARC1; p=quarantine; aspf=s; adkim=s; psd=n",
        "v=DMARC1; p=none; psd=y",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "v=DKIM1; k=rsa; p=; t=y",
    };
    switch (question.type) {
        case dns::Type::A:
            return dns::A{{192, 0, 2, choice}};
        case dns::Type::Aaaa:
            return dns::Aaaa{};
        case dns::Type::Mx:
            return dns::Mx{choice, *dns::Name::parse(choice % 2 ? "mx.test" : "a.test")};
        case dns::Type::Ptr:
            return dns::Ptr{*dns::Name::parse("ptr.test")};
        default:
            return dns::Txt{std::string(kTexts[choice % std::size(kTexts)])};
    }
}

void require_one_field(const std::string& field) {
    HeaderReader reader(field);
    const auto read = reader.next();
    require(read && read->whole.size() == field.size());
}

void require_rules(const Evidence& evidence, uint8_t settings) {
    const auto client = *world::IpAddress::parse("192.0.2.7");
    Rules rules;
    rules.dmarc = static_cast<Action>(settings % 3);
    const Disposition done = decide(evidence, client, rules, std::nullopt);
    require(done.action <= rules.dmarc);
    require(static_cast<int>(done.action) <= static_cast<int>(evidence.dmarc.requested));
    require(done.reason.empty() == (evidence.dmarc.requested == mailauth::dmarc::Policy::None));
    rules.trusted_networks = {*world::IpNetwork::parse("192.0.2.0/24")};
    require(decide(evidence, client, rules, Action::Reject).action == Action::Accept);
    if (evidence.dmarc.code != mailauth::ResultCode::Fail) {
        require(evidence.dmarc.requested == mailauth::dmarc::Policy::None);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size == 0 || size > 32 * 1024) return 0;
    const uint8_t settings = data[0];
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    Facts facts{.client = *mailauth::IpAddress::parse(settings & 4 ? "2001:db8::7" : "192.0.2.7"),
                .helo = taken(rest, '\n'),
                .hostname = "mx.test"};
    Mailbox sender{taken(rest, '\n'), taken(rest, '\n')};
    if (!sender.domain.empty()) facts.reverse_path = {std::move(sender)};
    const std::string choices = taken(rest, '\0');

    TestWorld world;
    std::size_t answered = 0;
    world.answers = [&](const dns::Question& question) -> std::optional<dns::Answer> {
        const auto choice =
            static_cast<uint8_t>(choices.empty() ? 0 : choices[answered++ % choices.size()]);
        dns::Answer answer;
        if (choice % 8 == 7) return dns::Answer::temporary(dns::Answer::Failure::ServFail, "no");
        answer.status = choice % 8 == 6   ? dns::Answer::Status::NoData
                        : choice % 8 == 5 ? dns::Answer::Status::NxDomain
                                          : dns::Answer::Status::Ok;
        if (answer.status != dns::Answer::Status::Ok) return answer;
        for (int i = 0; i <= choice / 64; i++) {
            answer.records.push_back(record_for(question, static_cast<uint8_t>(choice / 8 + i)));
        }
        answer.ttl_seconds = 60;
        return answer;
    };
    world.latency = settings & 8 ? std::chrono::seconds(3) : std::chrono::milliseconds(20);

    HeaderReader reader(rest);
    while (reader.next()) {
    }
    const auto judged = world.judge(facts, rest.substr(0, reader.header_octets()),
                                    rest.substr(std::min(reader.body_begin(), rest.size())));
    require(judged.has_value());
    require(judged->waited <= facts.time_max);
    // SPF of two identities with 10 look-ups each, of which an MX or a PTR leads to 10 more; ten
    // keys; for each author walks of 8 names.
    require(judged->evidence.questions <= 2 * (1 + 10 * 11 + 11) + 10 + 8 * 8 * 11);
    std::sort(world.asked.begin(), world.asked.end(),
              [](const auto& a, const auto& b) { return a.second < b.second; });
    require(std::adjacent_find(world.asked.begin(), world.asked.end(),
                               [](const auto& a, const auto& b) { return a.second == b.second; }) ==
            world.asked.end());
    for (const AddressForm form : {AddressForm::Ascii, AddressForm::Utf8}) {
        require_one_field(
            results_field(judged->evidence, "mx.test", form, mailauth::dmarc::Policy::Quarantine));
    }
    require(!dkim_summary(judged->evidence).empty());
    require_rules(judged->evidence, settings);
    return 0;
}
