// daemon/moments.h: the moments that a client has set for its message, on the wall clock.
//
// BY counts from MAIL (RFC 2852 §4), HOLDFOR too (RFC 4865 §3); from there on the envelope keeps
// moments, so that a restart changes nothing.
//
// Threads: values.

#pragma once

#include <optional>

#include "mail/envelope.h"
#include "smtp/command.h"

namespace postrider::daemon {

struct Moments {
    std::optional<smtp::DeliverBy> by;
    std::optional<smtp::Hold> hold;
    Wall at;  // of MAIL

    void write_into(Envelope& envelope) const {
        if (by) {
            envelope.deliver_by = at + std::chrono::seconds(by->seconds);
            envelope.deliver_by_return = by->returned;
            envelope.deliver_by_trace = by->trace;
        }
        if (hold) {
            envelope.hold_until =
                hold->until ? *hold->until : at + std::chrono::seconds(*hold->seconds);
            envelope.hold_request = hold->given;
        }
    }
};

inline Moments moments_of(const smtp::MailParameters& parameters, Wall at) {
    return {parameters.by, parameters.hold, at};
}

}  // namespace postrider::daemon
