// The mechanisms of RFC 7208 §5, and the names they are about.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mailauth/domain.h"
#include "mailauth/spf/machine.h"

namespace postrider::mailauth::spf {

namespace {

constexpr std::size_t kTargetOctetsMax = 253;  // RFC 7208 §7.3

}  // namespace

Task<Evaluation::Machine::Tested> Evaluation::Machine::test(const Directive& directive) {
    if (asks_dns(directive.mechanism)) {
        if (auto failure = count_lookup(directive.text)) {
            co_return std::unexpected(std::move(*failure));
        }
    }
    switch (directive.mechanism) {
        case Mechanism::All:
            co_return true;
        case Mechanism::Include:
            co_return co_await test_include(directive);
        case Mechanism::A:
            co_return co_await test_a(directive);
        case Mechanism::Mx:
            co_return co_await test_mx(directive);
        case Mechanism::Ptr:
            co_return co_await test_ptr(directive);
        case Mechanism::Exists:
            co_return co_await test_exists(directive);
        case Mechanism::Ip4:
        case Mechanism::Ip6:
            break;
    }
    co_return test_network(directive);
}

// RFC 7208 §5.2: the table of results.
Task<Evaluation::Machine::Tested> Evaluation::Machine::test_include(const Directive& directive) {
    auto target = co_await target_of(directive.domain_spec, directive.text);
    if (!target) co_return std::unexpected(std::move(target.error()));
    if (!*target) co_return false;
    const std::size_t depth = path_.size();
    path_.push_back({std::move(**target), Step::How::Include});
    Outcome outcome = co_await check_host();
    path_.resize(depth);
    switch (outcome.code) {
        case ResultCode::Pass:
            co_return true;
        case ResultCode::TempError:
        case ResultCode::PermError:
            co_return std::unexpected(Failure{outcome.code, std::move(outcome.reason)});
        default:
            co_return false;
    }
}

// RFC 7208 §5.3.
Task<Evaluation::Machine::Tested> Evaluation::Machine::test_a(const Directive& directive) {
    auto target = co_await target_of(directive.domain_spec, directive.text);
    if (!target) co_return std::unexpected(std::move(target.error()));
    const auto name = *target ? plain_name(**target) : std::nullopt;
    if (!name) co_return false;
    const dns::Question question{*name, address_type()};
    inquiry_.announce(question);
    const dns::Answer& answer = co_await inquiry_.answer_to(0);
    if (answer.status == dns::Answer::Status::Temporary) {
        co_return std::unexpected(not_known(directive.text, question, answer));
    }
    if (auto failure = count_if_void(answer, directive.text)) {
        co_return std::unexpected(std::move(*failure));
    }
    co_return has_client(answer, directive.cidr4, directive.cidr6);
}

// RFC 7208 §5.4, §4.6.4. The hosts are asked for side by side and looked at in order.
Task<Evaluation::Machine::Tested> Evaluation::Machine::test_mx(const Directive& directive) {
    auto target = co_await target_of(directive.domain_spec, directive.text);
    if (!target) co_return std::unexpected(std::move(target.error()));
    const auto name = *target ? plain_name(**target) : std::nullopt;
    if (!name) co_return false;
    const dns::Question question{*name, dns::Type::Mx};
    inquiry_.announce(question);
    const dns::Answer& answer = co_await inquiry_.answer_to(0);
    if (answer.status == dns::Answer::Status::Temporary) {
        co_return std::unexpected(not_known(directive.text, question, answer));
    }
    if (auto failure = count_if_void(answer, directive.text)) {
        co_return std::unexpected(std::move(*failure));
    }
    auto records = answer.all<dns::Mx>();
    if (std::cmp_greater(records.size(), limits_.mx_records)) {
        co_return std::unexpected(Failure{
            ResultCode::PermError,
            fmt::format("{} has \"{}\", but {} has {} MX records; {} are allowed", record_words(),
                        shown(directive.text), name->text(), records.size(), limits_.mx_records)});
    }
    std::ranges::sort(records);
    std::vector<dns::Question> hosts;
    for (const dns::Mx& record : records) {
        // RFC 7505: the root says that there is no host.
        if (!record.exchange.is_root()) hosts.push_back({record.exchange, address_type()});
    }
    inquiry_.announce(hosts);
    for (std::size_t i = 0; i < hosts.size(); i++) {
        const dns::Answer& addresses = co_await inquiry_.answer_to(i);
        if (addresses.status == dns::Answer::Status::Temporary) {
            co_return std::unexpected(not_known(directive.text, hosts[i], addresses));
        }
        if (has_client(addresses, directive.cidr4, directive.cidr6)) co_return true;
    }
    co_return false;
}

// RFC 7208 §5.5. Only names that would match are validated.
Task<Evaluation::Machine::Tested> Evaluation::Machine::test_ptr(const Directive& directive) {
    auto target = co_await target_of(directive.domain_spec, directive.text);
    if (!target) co_return std::unexpected(std::move(target.error()));
    const auto name = *target ? plain_name(**target) : std::nullopt;
    if (!name) co_return false;
    inquiry_.announce({dns::reverse_name(request_.client.octets()), dns::Type::Ptr});
    const dns::Answer& answer = co_await inquiry_.answer_to(0);
    if (answer.status == dns::Answer::Status::Temporary) co_return false;
    if (auto failure = count_if_void(answer, directive.text)) {
        co_return std::unexpected(std::move(*failure));
    }
    std::vector<dns::Name> candidates;
    int seen = 0;
    for (const dns::Ptr& record : answer.all<dns::Ptr>()) {
        if (++seen > limits_.ptr_records) break;
        if (record.target.is_within(*name)) candidates.push_back(record.target);
    }
    const auto valid = co_await validated_names(std::move(candidates));
    co_return !valid.empty();
}

// RFC 7208 §5.7: an A record, whatever the client's address is.
Task<Evaluation::Machine::Tested> Evaluation::Machine::test_exists(const Directive& directive) {
    auto target = co_await target_of(directive.domain_spec, directive.text);
    if (!target) co_return std::unexpected(std::move(target.error()));
    const auto name = *target ? plain_name(**target) : std::nullopt;
    if (!name) co_return false;
    const dns::Question question{*name, dns::Type::A};
    inquiry_.announce(question);
    const dns::Answer& answer = co_await inquiry_.answer_to(0);
    if (answer.status == dns::Answer::Status::Temporary) {
        co_return std::unexpected(not_known(directive.text, question, answer));
    }
    if (auto failure = count_if_void(answer, directive.text)) {
        co_return std::unexpected(std::move(*failure));
    }
    co_return answer.status == dns::Answer::Status::Ok;
}

// RFC 7208 §5.6: a client is looked for in networks of its own family only.
bool Evaluation::Machine::test_network(const Directive& directive) const {
    const auto client = request_.client.octets();
    const bool v6 = directive.mechanism == Mechanism::Ip6;
    if (v6 != request_.client.is_v6()) return false;
    return same_prefix(client, std::span(directive.network).first(client.size()),
                       v6 ? directive.cidr6 : directive.cidr4);
}

// RFC 7208 §4.8, §7.3.
Task<Evaluation::Machine::Target> Evaluation::Machine::target_of(std::string_view spec,
                                                                 std::string_view term) {
    if (spec.empty()) co_return domain();
    std::string validated;
    if (uses_letter(spec, 'p')) {
        // §4.6.4: the PTR of %{p} is one of the limited look-ups.
        if (!validated_) {
            if (auto failure = count_lookup(term)) co_return std::unexpected(std::move(*failure));
        }
        validated = co_await validated_name();
    }
    auto text = expand(spec, values(validated));
    if (!text) co_return std::nullopt;
    co_return as_target(std::move(*text));
}

// RFC 7208 §7.3: a final dot means nothing, and too long a name loses labels at its left.
std::string Evaluation::Machine::as_target(std::string text) {
    // Two dots are an empty label, and stay wrong.
    if (text.ends_with('.') && !text.ends_with("..")) text.pop_back();
    while (text.size() > kTargetOctetsMax) {
        const std::size_t dot = text.find('.');
        if (dot == std::string::npos) break;
        text.erase(0, dot + 1);
    }
    return text;
}

// RFC 7208 §5.5: those of the names that lead back to the client; errors are passed over.
Task<std::vector<dns::Name>> Evaluation::Machine::validated_names(
    std::vector<dns::Name> candidates) {
    std::vector<dns::Question> questions;
    questions.reserve(candidates.size());
    for (const dns::Name& name : candidates) questions.push_back({name, address_type()});
    inquiry_.announce(questions);
    std::vector<dns::Name> valid;
    for (std::size_t i = 0; i < candidates.size(); i++) {
        const dns::Answer& answer = co_await inquiry_.answer_to(i);
        if (has_client(answer, 32, 128)) valid.push_back(candidates[i]);
    }
    co_return valid;
}

// RFC 7208 §7.3, "p": the domain itself before a name below it before any other.
Task<std::string> Evaluation::Machine::validated_name() {
    if (!validated_) {
        inquiry_.announce({dns::reverse_name(request_.client.octets()), dns::Type::Ptr});
        const dns::Answer& answer = co_await inquiry_.answer_to(0);
        std::vector<dns::Name> candidates;
        for (const dns::Ptr& record : answer.all<dns::Ptr>()) {
            if (std::cmp_less(candidates.size(), limits_.ptr_records)) {
                candidates.push_back(record.target);
            }
        }
        validated_ = co_await validated_names(std::move(candidates));
    }
    if (validated_->empty()) co_return "unknown";
    const auto own = plain_name(domain());
    const dns::Name* best = validated_->data();
    for (const dns::Name& name : *validated_) {
        if (!own || !name.is_within(*own)) continue;
        if (name == *own || !best->is_within(*own)) best = &name;
    }
    co_return best->text();
}

MacroValues Evaluation::Machine::values(std::string_view validated_name) const {
    MacroValues values;
    values.local_part = request_.local_part;
    values.sender_domain = request_.domain;
    values.domain = domain();
    values.helo = request_.helo;
    values.receiver = request_.receiver;
    values.validated_name = validated_name;
    values.client = request_.client;
    values.unix_seconds = request_.unix_seconds;
    return values;
}

dns::Type Evaluation::Machine::address_type() const {
    return request_.client.is_v6() ? dns::Type::Aaaa : dns::Type::A;
}

bool Evaluation::Machine::has_client(const dns::Answer& answer, unsigned cidr4,
                                     unsigned cidr6) const {
    const auto client = request_.client.octets();
    return std::ranges::any_of(answer.records, [&](const dns::Rdata& rdata) {
        if (request_.client.is_v6()) {
            const auto* aaaa = std::get_if<dns::Aaaa>(&rdata);
            return aaaa && same_prefix(client, aaaa->octets, cidr6);
        }
        const auto* a = std::get_if<dns::A>(&rdata);
        return a && same_prefix(client, a->octets, cidr4);
    });
}

}  // namespace postrider::mailauth::spf
