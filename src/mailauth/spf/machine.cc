#include "mailauth/spf/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mailauth/domain.h"

namespace postrider::mailauth::spf {

namespace {

std::string ordinal(int number) {
    const bool teen = number / 10 % 10 == 1;
    const int last = teen ? 0 : number % 10;
    return fmt::format("{}{}", number,
                       last == 1   ? "st"
                       : last == 2 ? "nd"
                       : last == 3 ? "rd"
                                   : "th");
}

}  // namespace

Evaluation::Machine::Machine(Request request, Limits limits)
    : request_(std::move(request)), limits_(limits) {
    if (request_.local_part.empty()) request_.local_part = "postmaster";
    if (request_.receiver.empty()) request_.receiver = "unknown";
    // RFC 8616 §4: U-labels become A-labels before anything is done with them.
    if (auto ascii = a_labels(request_.domain)) {
        request_.domain = std::move(*ascii);
        has_domain_ = true;
    }
    if (!is_ascii(request_.helo)) request_.helo = a_labels(request_.helo).value_or("unknown");
    result_.identity = request_.identity;
    result_.domain = shown(request_.domain, 255);
    path_.push_back({request_.domain, Step::How::Start});
    root_ = run().release();
    root_.resume();
}

Evaluation::Machine::~Machine() {
    if (root_) root_.destroy();
}

void Evaluation::Machine::answer(const dns::Question& question, dns::Answer answer) {
    inquiry_.answer(question, std::move(answer));
}

void Evaluation::Machine::expire(std::string_view why) {
    if (inquiry_.wanted().empty()) return;
    result_.code = ResultCode::TempError;
    result_.reason = fmt::format("{}: \"{}\" was not answered", why, text(inquiry_.wanted()[0]));
    inquiry_.close();
}

Task<void> Evaluation::Machine::run() {
    Outcome outcome = co_await check_host();
    result_.code = outcome.code;
    result_.reason = std::move(outcome.reason);
    result_.mechanism = shown(outcome.mechanism);
    result_.explanation = std::move(outcome.explanation);
    inquiry_.close();
}

// RFC 7208 §4.3 to §4.7, for domain(). A redirect goes on in the same coroutine: path_ grows.
Task<Evaluation::Machine::Outcome> Evaluation::Machine::check_host() {
    for (;;) {
        auto fetched = co_await fetch_record();
        if (!fetched) co_return std::move(fetched.error());
        const std::string text = std::move(*fetched);  // outlives the views of the record
        const auto record = Record::parse(text);
        if (!record) {
            co_return Outcome{
                ResultCode::PermError,
                fmt::format("{} has a syntax error: {}", record_words(), record.error().message)};
        }
        for (const Directive& directive : record->directives) {
            auto tested = co_await test(directive);
            if (!tested) co_return Outcome{tested.error().code, std::move(tested.error().reason)};
            if (!*tested) continue;
            Outcome outcome = match(directive);
            // RFC 7208 §6.2: the explanation of an included record is not used.
            if (outcome.code == ResultCode::Fail && record->explanation && !included()) {
                outcome.explanation = co_await explain(*record->explanation);
            }
            co_return outcome;
        }
        if (!record->redirect) {
            co_return Outcome{
                ResultCode::Neutral,
                fmt::format("{} says nothing about {}", record_words(), request_.client.text()),
                "default"};
        }
        auto redirected = co_await redirect(*record->redirect);
        if (!redirected) {
            co_return Outcome{redirected.error().code, std::move(redirected.error().reason)};
        }
        if (*redirected) co_return std::move(**redirected);
    }
}

// RFC 7208 §4.3, §4.4, §4.5: the text of the one SPF record of domain(), or how it ends.
Task<Result<std::string, Evaluation::Machine::Outcome>> Evaluation::Machine::fetch_record() {
    // §6.1, §5.2: reached by redirect or include, a domain without a record is an error.
    const ResultCode missing = path_.size() == 1 ? ResultCode::None : ResultCode::PermError;
    const auto name = has_domain_ ? plain_name(domain()) : std::nullopt;
    if (!name || count_labels(name->text()) < 2) {
        const std::string words =
            path_.size() == 1 ? fmt::format("\"{}\"", shown(domain())) : domain_words();
        co_return std::unexpected(
            Outcome{missing, words + " is not a domain name of at least two labels"});
    }
    inquiry_.announce({*name, dns::Type::Txt});
    dns::Answer& answer = co_await inquiry_.answer_to(0);
    if (answer.status == dns::Answer::Status::Temporary) {
        co_return std::unexpected(
            Outcome{ResultCode::TempError, fmt::format("{} could not be looked up: {}",
                                                       record_words(), shown(answer.reason, 200))});
    }
    if (answer.status == dns::Answer::Status::NxDomain) {
        co_return std::unexpected(Outcome{missing, domain_words() + " does not exist"});
    }
    std::string* found = nullptr;
    int count = 0;
    for (dns::Rdata& rdata : answer.records) {
        auto* txt = std::get_if<dns::Txt>(&rdata);
        if (!txt || !is_spf_record(txt->text)) continue;
        found = &txt->text;
        count++;
    }
    if (count == 0) {
        co_return std::unexpected(Outcome{missing, domain_words() + " has no SPF record"});
    }
    if (count > 1) {
        co_return std::unexpected(
            Outcome{ResultCode::PermError,
                    fmt::format("{} has {} SPF records; there may be one", domain_words(), count)});
    }
    co_return std::move(*found);
}

// RFC 7208 §6.1. Nothing: path_ leads to the other record now.
Task<Result<std::optional<Evaluation::Machine::Outcome>, Evaluation::Machine::Failure>>
Evaluation::Machine::redirect(std::string_view spec) {
    const std::string term = fmt::format("redirect={}", spec);
    if (auto failure = count_lookup(term)) co_return std::unexpected(std::move(*failure));
    auto target = co_await target_of(spec, term);
    if (!target) co_return std::unexpected(std::move(target.error()));
    if (!*target) {
        co_return Outcome{ResultCode::Neutral,
                          fmt::format("{} has \"{}\", which stands for no name for this sender",
                                      record_words(), shown(term)),
                          "default"};
    }
    path_.push_back({std::move(**target), Step::How::Redirect});
    co_return std::nullopt;
}

// RFC 7208 §6.2: any trouble means that there is no explanation.
Task<std::string> Evaluation::Machine::explain(std::string_view spec) {
    std::string validated;
    if (uses_letter(spec, 'p')) validated = co_await validated_name();
    auto target = expand(spec, values(validated));
    const auto name = target ? plain_name(as_target(std::move(*target))) : std::nullopt;
    if (!name) co_return std::string();
    inquiry_.announce({*name, dns::Type::Txt});
    dns::Answer& answer = co_await inquiry_.answer_to(0);
    if (answer.records.size() != 1) co_return std::string();
    auto* txt = std::get_if<dns::Txt>(answer.records.data());
    if (!txt) co_return std::string();
    const std::string text = std::move(txt->text);
    if (!check_macros(text, MacroPlace::Explanation)) co_return std::string();
    if (uses_letter(text, 'p')) validated = co_await validated_name();
    auto explanation = expand(text, values(validated));
    const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
    if (!explanation || !std::ranges::all_of(*explanation, is_printable)) co_return std::string();
    explanation->resize(std::min(explanation->size(), kExplanationOctetsMax));
    co_return std::move(*explanation);
}

bool Evaluation::Machine::included() const {
    return std::ranges::any_of(path_,
                               [](const Step& step) { return step.how == Step::How::Include; });
}

// RFC 7208 §4.6.4.
std::optional<Evaluation::Machine::Failure> Evaluation::Machine::count_lookup(
    std::string_view term) {
    if (result_.lookups < limits_.lookups) {
        result_.lookups++;
        return std::nullopt;
    }
    return Failure{
        ResultCode::PermError,
        fmt::format("{} has \"{}\", which is the {} term that asks the DNS; {} are allowed",
                    record_words(), shown(term), ordinal(limits_.lookups + 1), limits_.lookups)};
}

// RFC 7208 §4.6.4 limits terms: what an MX host or the client's own PTR leads to is not counted.
std::optional<Evaluation::Machine::Failure> Evaluation::Machine::count_if_void(
    const dns::Answer& answer, std::string_view term) {
    if (answer.status == dns::Answer::Status::Ok) return std::nullopt;
    result_.void_lookups++;
    if (result_.void_lookups <= limits_.void_lookups) return std::nullopt;
    return Failure{
        ResultCode::PermError,
        fmt::format("{} has \"{}\", which is the {} term that asks for something that does "
                    "not exist; {} are allowed",
                    record_words(), shown(term), ordinal(result_.void_lookups),
                    limits_.void_lookups)};
}

Evaluation::Machine::Failure Evaluation::Machine::not_known(std::string_view term,
                                                            const dns::Question& question,
                                                            const dns::Answer& answer) const {
    return Failure{
        ResultCode::TempError,
        fmt::format("{} has \"{}\", but \"{}\" could not be looked up: {}", record_words(),
                    shown(term), text(question), shown(answer.reason, 200))};
}

Evaluation::Machine::Outcome Evaluation::Machine::match(const Directive& directive) const {
    const std::string client = request_.client.text();
    Outcome outcome{directive.result, {}, std::string(directive.text)};
    outcome.reason = directive.mechanism == Mechanism::All
                         ? fmt::format("{} has \"{}\", and nothing before it matches {}",
                                       record_words(), shown(directive.text), client)
                         : fmt::format("{} has \"{}\", which matches {}", record_words(),
                                       shown(directive.text), client);
    return outcome;
}

std::string Evaluation::Machine::record_words() const {
    if (path_.size() == 1) return fmt::format("the record of {}", shown(domain(), 255));
    std::string words = domain_words();
    words.replace(words.rfind("which"), 5, "whose record");
    return words;
}

std::string Evaluation::Machine::domain_words() const {
    if (path_.size() == 1) return shown(domain(), 255);
    std::string words = fmt::format("the record of {}", shown(path_.front().domain, 255));
    for (std::size_t i = 1; i < path_.size(); i++) {
        fmt::format_to(std::back_inserter(words), " {} {}, which",
                       path_[i].how == Step::How::Include ? "includes" : "redirects to",
                       shown(path_[i].domain, 255));
    }
    return words;
}

}  // namespace postrider::mailauth::spf
