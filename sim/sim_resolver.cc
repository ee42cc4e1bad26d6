#include "sim/sim_resolver.h"

#include <algorithm>
#include <cassert>

#include "sim/host_state.h"

namespace postrider::sim {

using dns::Answer;
using dns::Name;
using dns::Question;
using Failure = dns::Answer::Failure;

namespace {

constexpr uint32_t kNegativeTtlSeconds = 300;

Answer failed(Failure failure, const Question& question) {
    return Answer::temporary(failure, text(question) + ": simulated failure");
}

}  // namespace

Name Dns::read(std::string_view name) {
    auto read = Name::parse(name);
    assert(read && "a scenario asks for a name that is none");
    return *read;
}

void Dns::add(std::string_view name, dns::Rdata rdata, uint32_t ttl_seconds) {
    Set& set = sets_[{read(name), type_of(rdata)}];
    set.ttl_seconds = set.records.empty() ? ttl_seconds : std::min(set.ttl_seconds, ttl_seconds);
    set.records.push_back(std::move(rdata));
}

void Dns::remove(std::string_view name, dns::Type type) { sets_.erase({read(name), type}); }

void Dns::remove(std::string_view name) {
    Name gone = read(name);
    std::erase_if(sets_, [&](const auto& entry) { return entry.first.name == gone; });
}

void Dns::sign(std::string_view name) { signed_.push_back(read(name)); }

void Dns::break_names(std::string_view name, Failure failure) { broken_[read(name)] = failure; }

void Dns::mend(std::string_view name) { broken_.erase(read(name)); }

void Dns::script(std::string_view name, dns::Type type, std::vector<Answer> answers) {
    Question question{read(name), type};
    if (answers.empty()) {
        scripts_.erase(question);
    } else {
        scripts_[question] = {answers.begin(), answers.end()};
    }
}

bool Dns::exists(const Name& name) const {
    return std::any_of(sets_.begin(), sets_.end(),
                       [&](const auto& entry) { return entry.first.name.is_within(name); });
}

bool Dns::is_signed(const Name& name) const {
    return std::any_of(signed_.begin(), signed_.end(),
                       [&](const Name& zone) { return name.is_within(zone); });
}

const Failure* Dns::failure_of(const Name& name) const {
    if (broken_.empty()) return nullptr;
    for (Name at = name;; at = at.parent()) {
        if (auto found = broken_.find(at); found != broken_.end()) return &found->second;
        if (at.is_root()) return nullptr;
    }
}

Answer Dns::look_up(const Question& question) const {
    Answer answer;
    answer.secure = true;
    answer.ttl_seconds = UINT32_MAX;
    answer.canonical_name = question.name;
    for (int followed = 0; followed <= kCnamesMax; followed++) {
        const Name& name = answer.canonical_name;
        answer.secure = answer.secure && is_signed(name);
        if (const Failure* failure = failure_of(name)) return failed(*failure, question);
        if (auto set = sets_.find({name, question.type}); set != sets_.end()) {
            answer.status = Answer::Status::Ok;
            answer.records = set->second.records;
            answer.ttl_seconds = std::min(answer.ttl_seconds, set->second.ttl_seconds);
            return answer;
        }
        auto alias = sets_.find({name, dns::Type::Cname});
        if (alias == sets_.end()) {
            answer.status = exists(name) ? Answer::Status::NoData : Answer::Status::NxDomain;
            answer.ttl_seconds = std::min(answer.ttl_seconds, kNegativeTtlSeconds);
            return answer;
        }
        answer.ttl_seconds = std::min(answer.ttl_seconds, alias->second.ttl_seconds);
        answer.canonical_name = std::get<dns::Cname>(alias->second.records.front()).target;
    }
    return failed(Failure::ServFail, question);
}

Dns::Reply Dns::ask(const Question& question) {
    asked_++;
    Reply reply{.latency = random_.between(faults.latency_min, faults.latency_max)};
    if (faults.is_down || random_.chance(faults.timeouts_per_1000)) {
        reply.is_silent = true;
        return reply;
    }
    auto script = scripts_.find(question);
    if (random_.chance(faults.servfails_per_1000)) {
        reply.answer = failed(Failure::ServFail, question);
    } else if (const Failure* failure = failure_of(question.name)) {
        reply.answer = failed(*failure, question);
    } else if (script != scripts_.end()) {
        reply.answer = script->second.front();
        if (script->second.size() > 1) script->second.pop_front();
    } else {
        reply.answer = look_up(question);
    }
    reply.is_silent = reply.answer.failure == Failure::Timeout;
    return reply;
}

Task<Answer> SimResolver::query(Question question, Deadline deadline) {
    Monotonic now = host_.now();
    Monotonic end = std::min(deadline.at, now + Dns::kPatience);
    Dns::Reply reply = dns_.ask(question);
    Monotonic comes = now + reply.latency;
    bool in_time = !reply.is_silent && comes < end;
    co_await host_.clock.sleep_until(in_time ? comes : end);
    if (!in_time) {
        co_return Answer::temporary(Failure::Timeout, text(question) + ": no answer in time");
    }
    host_.loop.trace().mix(Trace::Dns, uint64_t(host_.index),
                           static_cast<uint64_t>(reply.answer.status));
    co_return std::move(reply.answer);
}

}  // namespace postrider::sim
