// daemon/judgement.h: what the evidence about a message means for each of its recipients.
//
// One message has one evidence; what is done is decided for each recipient by its domain's setting.
// Recipients of one variant that are treated differently become two variants, each with the fields
// that say so in front: Authentication-Results first of the trace, then the mark of a quarantined
// copy.
//
// A message is refused when it would be for every recipient. It cannot be refused for some of them
// behind the final dot; for these it is quarantined.
//
// Threads: values of one message; settings and evidence must outlive it.
// RFC 8601 §4, §5; RFC 9989 §7.4.

#pragma once

#include <array>
#include <optional>
#include <vector>

#include "daemon/settings.h"
#include "mail/envelope.h"
#include "smtp/reply.h"
#include "verdict/disposition.h"
#include "verdict/evidence.h"

namespace postrider::daemon {

// Puts fields before the trace of a variant, behind the mark by which loops are found
// (dispatcher.h).
void insert_trace(Variant& variant, std::string_view fields);

class Judgement {
public:
    Judgement(const Settings& settings, const verdict::Evidence& evidence,
              const Envelope& envelope);

    // Set when the message is not taken.
    std::optional<smtp::Reply> refusal() const;
    bool is_deferred() const { return deferred_; }

    // Of all recipients.
    const verdict::Disposition& strictest() const { return strictest_; }

    // REQUIRES: no refusal().
    void write_into(Envelope& envelope) const;

private:
    const verdict::Disposition& decide(const Recipient& recipient);

    const Settings& settings_;
    const verdict::Evidence& evidence_;
    world::IpAddress client_;
    AddressForm form_;
    bool deferred_ = false;
    bool all_refuse_ = true;
    verdict::Disposition strictest_;
    std::array<std::optional<verdict::Disposition>, 4> decided_;  // by the domain's setting
    std::vector<const verdict::Disposition*> by_recipient_;       // by number, into decided_
};

}  // namespace postrider::daemon
