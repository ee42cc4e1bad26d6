// mailauth/testing.h: a DNS that fits into a test: names and their records, or silence.
//
// The answers are those of a resolver: CNAMEs are followed, a loop of them is an error, and a name
// without records exists when another one stands below it.

#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dns/answer.h"
#include "mailauth/domain.h"

namespace postrider::mailauth {

class TestZone {
public:
    void add(std::string_view name, dns::Rdata rdata) {
        records_[plain_name(name).value()].push_back(std::move(rdata));
    }
    void add_txt(std::string_view name, std::string text) { add(name, dns::Txt{std::move(text)}); }

    // What is not known of this name is not answered.
    void add_silence(std::string_view name) { silent_.insert(plain_name(name).value()); }

    dns::Answer answer(const dns::Question& question) const {
        dns::Name name = question.name;
        dns::Answer answer;
        for (int hops = 0; hops < 8; hops++) {
            const auto found = records_.find(name);
            if (found != records_.end()) {
                for (const dns::Rdata& rdata : found->second) {
                    if (dns::type_of(rdata) == question.type) answer.records.push_back(rdata);
                }
            }
            answer.canonical_name = name;
            if (!answer.records.empty()) {
                answer.status = dns::Answer::Status::Ok;
                return answer;
            }
            if (silent_.contains(name)) {
                return dns::Answer::temporary(dns::Answer::Failure::Timeout, "no answer in time");
            }
            const dns::Name* alias = alias_of(name);
            if (!alias) {
                answer.status =
                    exists(name) ? dns::Answer::Status::NoData : dns::Answer::Status::NxDomain;
                return answer;
            }
            name = *alias;
        }
        return dns::Answer::temporary(dns::Answer::Failure::ServFail, "a loop of aliases");
    }

private:
    const dns::Name* alias_of(const dns::Name& name) const {
        const auto found = records_.find(name);
        if (found == records_.end()) return nullptr;
        for (const dns::Rdata& rdata : found->second) {
            if (const auto* cname = std::get_if<dns::Cname>(&rdata)) return &cname->target;
        }
        return nullptr;
    }
    bool exists(const dns::Name& name) const {
        for (const auto& [other, records] : records_) {
            if (other.is_within(name)) return true;
        }
        return false;
    }

    std::map<dns::Name, std::vector<dns::Rdata>> records_;
    std::set<dns::Name> silent_;
};

// Answers until there is a result; the questions asked, in order.
template <typename Evaluation>
std::vector<dns::Question> drive(Evaluation& evaluation, const TestZone& zone) {
    std::vector<dns::Question> asked;
    while (!evaluation.next().empty() && asked.size() < 1000) {
        const std::vector<dns::Question> wanted(evaluation.next().begin(), evaluation.next().end());
        for (const dns::Question& question : wanted) {
            asked.push_back(question);
            evaluation.answer(question, zone.answer(question));
        }
    }
    return asked;
}

}  // namespace postrider::mailauth
