// mailauth/dmarc/tree_walk.h: the DNS Tree Walk: which names are asked for a DMARC Policy Record,
// in which order, and which domain is the Organizational Domain then.
//
// Invariant: at most 8 names are asked, whatever the length of the domain (RFC 9989 §4.10).
// RFC 9989 §4.10, §4.10.2. Threads: values.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/answer.h"
#include "mailauth/dmarc/record.h"

namespace postrider::mailauth::dmarc {

inline constexpr std::size_t kWalkQueriesMax = 8;

// The question for the record of a domain: TXT of "_dmarc." and the domain. Nothing when that is
// too long a name.
std::optional<dns::Question> record_question(std::string_view domain);

// The one DMARC Policy Record of an answer; nothing when there is none or more than one.
std::optional<Record> record_in(const dns::Answer& answer);

class TreeWalk {
public:
    // REQUIRES: a domain in A-labels, lower case, without final dot.
    explicit TreeWalk(std::string start);

    const std::string& start() const { return start_; }

    // The domain whose record is asked for now; nothing when the walk is over.
    std::optional<std::string_view> next() const;

    // The record found at next(), or that there is none. REQUIRES: next().
    void take(std::optional<Record> record);

    struct Found {
        std::string domain;
        Record record;
    };
    // Those found so far, the longest name first.
    const std::vector<Found>& found() const { return found_; }

    // RFC 9989 §4.10.2. REQUIRES: the walk is over.
    std::string organizational_domain() const;

private:
    std::string start_;
    std::size_t labels_;    // of the next target
    bool at_start_ = true;  // the next target is the whole domain
    bool over_ = false;
    std::vector<Found> found_;
};

}  // namespace postrider::mailauth::dmarc
