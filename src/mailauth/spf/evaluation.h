// mailauth/spf/evaluation.h: may this client send mail for this domain? The check_host() of RFC
// 7208.
//
// The problem: an evaluation asks the DNS many times, and what it asks next depends on the answers.
// An Evaluation is the same over a real resolver, in the simulator and in a fuzzer: it says what it
// wants to know now, is told the answers in any order, and has a result in the end.
//
//     Evaluation evaluation(Request::mail_from(client, helo, reverse_path));
//     while (!evaluation.next().empty()) {
//         std::vector<dns::Question> questions(evaluation.next().begin(), evaluation.next().end());
//         for (each question, side by side) evaluation.answer(question, its answer);
//     }
//     use(evaluation.result());
//
// Promise
//   1. Terms are tested from left to right, and the result is that of the RFC whatever the order of
//      the answers.
//   2. An evaluation asks at most about (10 + 1) * 11 questions, and never the same one twice in
//   one
//      round; who answers equal questions of one message from a table asks each of them once.
//   3. Every result has a reason: a sentence that names the record and the term it comes from.
//   4. What comes from the DNS stands in Finding only as printable US-ASCII of bounded length.
//
// Failure: none; errors are results. Time is the driver's: expire() when it is over (§4.6.4).
// Threads: one at a time.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "dns/answer.h"
#include "mail/mailbox.h"
#include "mailauth/authentication_results.h"
#include "mailauth/ip_address.h"
#include "mailauth/result_code.h"

namespace postrider::mailauth::spf {

inline constexpr std::size_t kExplanationOctetsMax = 500;

enum class Identity : uint8_t {
    MailFrom,  // RFC 7208 §2.4
    Helo,      // §2.3
};

struct Request {
    IpAddress client;
    std::string helo;        // as the client gave it
    std::string local_part;  // of the identity, decoded; empty: "postmaster" (§4.3)
    std::string domain;      // of the identity, as given
    Identity identity = Identity::MailFrom;
    std::string receiver = "unknown";  // our name, for explanations
    int64_t unix_seconds = 0;          // now, for explanations

    // The null reverse-path is postmaster@HELO (§2.4).
    static Request mail_from(IpAddress client, std::string helo, const ReversePath& path);
    static Request helo_identity(IpAddress client, std::string helo);
};

// RFC 7208 §4.6.4; only tests have a reason for others.
struct Limits {
    int lookups = 10;      // terms that ask the DNS
    int void_lookups = 2;  // of them, those whose question has no answer
    int mx_records = 10;   // of one "mx"; more is an error
    int ptr_records = 10;  // of the client's address; more are ignored
};

struct Finding {
    ResultCode code = ResultCode::None;
    Identity identity = Identity::MailFrom;
    std::string domain;       // that was asked for, in A-labels; as given when it is no domain
    std::string reason;       // why, as a sentence without a full stop
    std::string mechanism;    // the term of the domain's own record that matched, as written;
                              // "default" when none did; empty for none, temperror, permerror
    std::string explanation;  // of "exp": a text of the domain's owner, not ours; mostly empty
    int lookups = 0;          // terms that asked the DNS
    int void_lookups = 0;
};

// As the Authentication-Results field says it, the reason as a comment. RFC 8601 §2.7.2: the domain
// without the local-part.
MethodResult method_result(const Finding& finding);

class Evaluation {
public:
    explicit Evaluation(Request request, Limits limits = {});
    ~Evaluation();
    Evaluation(Evaluation&&) noexcept;
    Evaluation& operator=(Evaluation&&) noexcept;

    // The questions whose answers are wanted now; empty: the result stands. Holds until the next
    // call of answer() or expire().
    std::span<const dns::Question> next() const;

    // A question that is not wanted (any more) is passed over.
    void answer(const dns::Question& question, dns::Answer answer);

    // The time for all of it is over: temperror, unless the result stands. `why`: for the reason.
    void expire(std::string_view why);

    bool done() const { return next().empty(); }
    const Finding& result() const;  // REQUIRES: done()

private:
    class Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace postrider::mailauth::spf
