#include "mailauth/dmarc/tree_walk.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "mailauth/domain.h"

namespace postrider::mailauth::dmarc {

std::optional<dns::Question> record_question(std::string_view domain) {
    auto name = plain_name("_dmarc." + std::string(domain));
    if (!name) return std::nullopt;
    return dns::Question{std::move(*name), dns::Type::Txt};
}

// RFC 9989 §4.10, steps 2 and 6.
std::optional<Record> record_in(const dns::Answer& answer) {
    const std::string* found = nullptr;
    for (const dns::Rdata& rdata : answer.records) {
        const auto* txt = std::get_if<dns::Txt>(&rdata);
        if (!txt || !is_dmarc_record(txt->text)) continue;
        if (found) return std::nullopt;
        found = &txt->text;
    }
    return found ? Record::parse(*found) : std::nullopt;
}

TreeWalk::TreeWalk(std::string start) : start_(std::move(start)), labels_(count_labels(start_)) {}

std::optional<std::string_view> TreeWalk::next() const {
    if (over_) return std::nullopt;
    return at_start_ ? std::string_view(start_) : last_labels(start_, labels_);
}

void TreeWalk::take(std::optional<Record> record) {
    assert(!over_);
    if (record) {
        found_.push_back({std::string(*next()), std::move(*record)});
        over_ = found_.back().record.psd != PublicSuffix::Unknown;
    }
    // RFC 9989 §4.10, steps 4 and 7.
    labels_ = at_start_ ? std::min(labels_ - 1, kWalkQueriesMax - 1) : labels_ - 1;
    at_start_ = false;
    over_ = over_ || labels_ == 0;
}

std::string TreeWalk::organizational_domain() const {
    assert(over_);
    for (const Found& found : found_) {
        if (found.record.psd == PublicSuffix::No) return found.domain;
        if (found.record.psd == PublicSuffix::Yes && found.domain != start_) {
            return std::string(last_labels(start_, count_labels(found.domain) + 1));
        }
    }
    return found_.empty() ? start_ : found_.back().domain;
}

}  // namespace postrider::mailauth::dmarc
