// dns/answer.h: what is asked of DNS, and what comes back, as values.
//
// The problem: "there is no such name" and "nobody could tell me" lead to opposite deeds in mail
// (fail for good, try again), and so does "there is nothing of this type". The answer keeps them
// apart, and says whether DNSSEC vouches for it.
//
// Invariants
//   1. records is empty unless status is Ok, and then it is not; all are of the type asked for.
//      CNAMEs were followed by the resolver: canonical_name is where the chain ended.
//   2. ttl_seconds says how long the answer may be used from now on; 0 for Temporary.
//   3. secure is true only for an answer, or a proof that there is none, that was validated.
//
// RFC 1034 §3.7, RFC 2308 (negative answers), RFC 4033 §5 (secure, insecure, bogus).
// Threads: values.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "dns/rdata.h"

namespace postrider::dns {

struct Question {
    Name name;
    Type type = Type::A;
    friend auto operator<=>(const Question&, const Question&) = default;
};

struct Answer {
    enum class Status : uint8_t {
        Ok,
        NoData,     // the name exists, without records of this type
        NxDomain,   // neither the name nor anything below it exists
        Temporary,  // not known for now: failure and reason say why
    };

    // Of a Temporary answer.
    enum class Failure : uint8_t {
        None,
        Timeout,    // no answer by the deadline
        ServFail,   // the resolver gave up, or the name's servers failed
        Bogus,      // DNSSEC: the answer contradicts its signatures
        Malformed,  // an answer that cannot be read
        TooMany,    // too many questions are open
        Broken,     // our resolver does not run
    };

    Status status = Status::Temporary;
    Failure failure = Failure::None;
    std::string reason;  // one line for people
    std::vector<Rdata> records;
    bool secure = false;
    uint32_t ttl_seconds = 0;
    Name canonical_name;

    static Answer temporary(Failure failure, std::string reason) {
        Answer answer;
        answer.failure = failure;
        answer.reason = std::move(reason);
        return answer;
    }

    // The records of one type, e.g. all<Mx>().
    template <typename Record>
    std::vector<Record> all() const {
        std::vector<Record> out;
        for (const Rdata& rdata : records) {
            if (const auto* record = std::get_if<Record>(&rdata)) out.push_back(*record);
        }
        return out;
    }

    friend bool operator==(const Answer&, const Answer&) = default;
};

// "MX example.org", for logs.
inline std::string text(const Question& question) {
    return std::string(name(question.type)) + " " + question.name.text();
}

}  // namespace postrider::dns

template <>
struct std::hash<postrider::dns::Question> {
    std::size_t operator()(const postrider::dns::Question& question) const noexcept {
        return std::hash<std::string_view>{}(question.name.text()) * 31 +
               static_cast<std::size_t>(question.type);
    }
};
