#include "daemon/domain_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "mailauth/dmarc/record.h"
#include "mailauth/domain.h"
#include "mailauth/spf/evaluation.h"

namespace postrider::daemon {

namespace {

using State = DnsFinding::State;
using mailauth::ResultCode;

constexpr std::size_t kRoundsMax = 200;  // of an SPF evaluation, which ends sooner by itself

Task<dns::Answer> ask(world::World& world, std::string name, dns::Type type) {
    auto parsed = mailauth::plain_name(name);
    if (!parsed) {
        co_return dns::Answer::temporary(dns::Answer::Failure::Malformed, "the name is too long");
    }
    co_return co_await world.resolver.query({*parsed, type},
                                            Deadline::after(world.clock.now(), kCheckTime));
}

// The TXT records, or a finding that says why there are none.
std::optional<DnsFinding> without_answer(std::string_view about, const std::string& name,
                                         const dns::Answer& answer) {
    DnsFinding out{std::string(about), name, State::Missing, "there is no TXT record"};
    if (answer.status == dns::Answer::Status::Ok) return std::nullopt;
    if (answer.status == dns::Answer::Status::Temporary) {
        out.state = State::Unknown;
        out.text = "the DNS did not answer: " + mailauth::shown(answer.reason, 200);
    }
    return out;
}

// The public key in a record, without the white space that may stand in it (RFC 6376 §3.6.1).
std::string key_in(std::string_view record) {
    std::string plain;
    for (char c : record) {
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') plain += c;
    }
    std::size_t at = plain.starts_with("p=") ? 0 : plain.find(";p=");
    if (at == std::string::npos) return {};
    at = plain.find('=', at) + 1;
    return plain.substr(at, plain.find(';', at) - at);
}

DnsFinding compare_key(const DomainKey& key, const dns::Answer& answer) {
    if (auto none = without_answer("DKIM", key.record_name(), answer)) return *none;
    DnsFinding out{"DKIM", key.record_name(), State::Ok, ""};
    auto texts = answer.all<dns::Txt>();
    std::string wanted = key_in(key.record);
    bool is_there =
        std::ranges::any_of(texts, [&](const dns::Txt& txt) { return key_in(txt.text) == wanted; });
    out.text = fmt::format("{} key, {}", key.algorithm, name(key.state));
    if (!is_there) {
        out.state = State::Wrong;
        out.text = "the record holds another key";
    } else if (texts.size() > 1) {
        out.state = State::Wrong;
        out.text = fmt::format("{} TXT records stand there; one must", texts.size());
    }
    return out;
}

// RFC 7208: whether this address may send for the domain.
Task<mailauth::spf::Finding> evaluate_spf(world::World& world, std::string domain,
                                          world::IpAddress from, std::string helo) {
    auto client = mailauth::IpAddress::parse(from.text());
    mailauth::spf::Evaluation evaluation(mailauth::spf::Request::mail_from(
        *client, std::move(helo), ReversePath{Mailbox{"postmaster", std::move(domain)}}));
    Deadline end = Deadline::after(world.clock.now(), kCheckTime);
    for (std::size_t round = 0; round < kRoundsMax && !evaluation.done(); round++) {
        std::vector<dns::Question> wanted(evaluation.next().begin(), evaluation.next().end());
        for (dns::Question& question : wanted) {
            evaluation.answer(question, co_await world.resolver.query(question, end));
        }
    }
    evaluation.expire("it takes too long");
    co_return evaluation.result();
}

Task<DnsFinding> check_spf(world::World& world, const Config& config, std::string domain) {
    dns::Answer answer = co_await ask(world, domain, dns::Type::Txt);
    if (auto none = without_answer("SPF", domain, answer)) co_return *none;
    DnsFinding out{"SPF", domain, State::Ok, ""};
    std::size_t records = 0;
    for (const dns::Txt& txt : answer.all<dns::Txt>()) {
        if (txt.text != "v=spf1" && !txt.text.starts_with("v=spf1 ")) continue;
        records++;
        out.text = mailauth::shown(txt.text, 200);
    }
    if (records != 1) {
        out.state = records == 0 ? State::Missing : State::Wrong;
        out.text = records == 0 ? "there is no SPF record"
                                : fmt::format("{} SPF records stand there; one must", records);
        co_return out;
    }
    std::vector<world::IpAddress> sources = sending_addresses(config);
    if (sources.empty()) sources = world.net.own_addresses();
    for (const world::IpAddress& source : sources) {
        if (source.is_loopback() && sending_addresses(config).empty()) continue;
        auto found = co_await evaluate_spf(world, domain, source, config.hostname);
        if (found.code == ResultCode::Pass) continue;
        out.state = found.code == ResultCode::TempError ? State::Unknown : State::Wrong;
        out.text = fmt::format("{} for {}, from which we send: {}", name(found.code), source.text(),
                               found.reason);
        co_return out;
    }
    if (!config.relay.smarthost.empty()) {
        out.state = State::Note;
        out.text += "; mail goes out through " + config.relay.smarthost +
                    ", whose addresses must pass: that was not checked";
    }
    co_return out;
}

DnsFinding judge_dmarc(const std::string& at, const dns::Answer& answer) {
    if (auto none = without_answer("DMARC", at, answer)) return *none;
    DnsFinding out{"DMARC", at, State::Missing, "there is no DMARC record"};
    std::size_t records = 0;
    for (const dns::Txt& txt : answer.all<dns::Txt>()) {
        auto record = mailauth::dmarc::Record::parse(txt.text);
        if (!record) continue;
        records++;
        out.state = State::Ok;
        out.text = mailauth::shown(txt.text, 200);
        if (!record->problems.empty()) {
            out.state = State::Wrong;
            out.text = mailauth::shown(record->problems.front(), 200);
        } else if (record->policy == mailauth::dmarc::Policy::None) {
            out.state = State::Note;
            out.text += "; p=none asks nobody to act on forged mail";
        }
    }
    if (records > 1) {
        out.state = State::Wrong;
        out.text = fmt::format("{} DMARC records stand there; one must", records);
    }
    return out;
}

}  // namespace

std::string_view name(State state) {
    switch (state) {
        case State::Ok:
            return "ok";
        case State::Note:
            return "note";
        case State::Missing:
            return "missing";
        case State::Wrong:
            return "wrong";
        case State::Unknown:
            return "unknown";
    }
    return "";
}

std::vector<world::IpAddress> sending_addresses(const Config& config) {
    std::vector<world::IpAddress> out;
    auto add = [&](const std::optional<world::IpAddress>& address) {
        if (address && std::ranges::find(out, *address) == out.end()) out.push_back(*address);
    };
    add(config.relay.source_v4);
    add(config.relay.source_v6);
    for (const PoolConfig& pool : config.pools) {
        add(pool.source_v4);
        add(pool.source_v6);
    }
    return out;
}

Task<DnsFinding> check_key(world::World& world, DomainKey key) {
    dns::Answer answer = co_await ask(world, key.record_name(), dns::Type::Txt);
    co_return compare_key(key, answer);
}

Task<std::vector<DnsFinding>> check_domain(world::World& world, const Config& config,
                                           std::string domain, std::vector<DomainKey> keys) {
    std::vector<DnsFinding> out;
    if (keys.empty()) {
        out.push_back(
            {"DKIM", domain, State::Missing, "there are no keys: postrider domain add makes them"});
    }
    for (DomainKey& key : keys) out.push_back(co_await check_key(world, std::move(key)));
    out.push_back(co_await check_spf(world, config, domain));
    std::string at = "_dmarc." + domain;
    out.push_back(judge_dmarc(at, co_await ask(world, at, dns::Type::Txt)));
    co_return out;
}

}  // namespace postrider::daemon
