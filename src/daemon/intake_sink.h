// daemon/intake_sink.h: one message on its way into the spool.
//
// Follows the content once, as it flows: the header block is held until it is whole, judged (mail
// from outside) or signed (mail of our own), and freed of fields that claim our name; everything is
// kept in a draft, and committed at the end.
//
// Promise: finish() accepts only after Spool::commit has answered, so that 250 means durable.
// Threads: a sink lives on its session's shard.
// RFC 6409 §8 (completion); RFC 8601 §5 (fields that claim our name); RFC 6710 §4.1 (the reply to a
// lowered priority); RFC 6758 §3.1 (a priority told in the header).

#pragma once

#include <memory>
#include <optional>

#include "daemon/settings.h"
#include "mail/envelope.h"
#include "receive/visit.h"
#include "seal/submission.h"
#include "smtp/reply.h"

namespace postrider::daemon {

class Intake;

// What the visit has learnt when the content begins.
struct Handover {
    Envelope envelope;
    std::shared_ptr<const Settings> settings;         // of the transaction
    std::string origin;                               // as a filter told by XFORWARD; or empty
    bool is_own = false;                              // handed in by a client of ours
    bool priority_lowered = false;                    // to be told with the 250
    std::optional<seal::SubmissionRules> submission;  // it is completed by these
    uint64_t octets_max = UINT64_MAX;                 // of the account
    uint64_t octets_told = 0;                         // by the client (RFC 1870); 0 = nothing
};

// REQUIRES: house outlives the sink.
std::unique_ptr<receive::Sink> open_sink(Intake& house, Handover handover);

// 452: the memory account is near its limit.
smtp::Reply memory_tight();

}  // namespace postrider::daemon
