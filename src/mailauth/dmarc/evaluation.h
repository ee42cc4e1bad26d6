// mailauth/dmarc/evaluation.h: is the author's domain proved, and what does its owner ask for if
// not?
//
// The problem: which record applies, and which domains belong together, is found by walks through
// the DNS whose steps depend on each other. As with SPF, an Evaluation says what it wants to know,
// is told, and has a finding in the end; the walks go on side by side.
//
//     Evaluation evaluation(Input{author_domain, spf, dkim});
//     while (!evaluation.next().empty()) { ask all; evaluation.answer(question, answer) for each; }
//     use(evaluation.result());
//
// The finding is what the RFC derives from records and results. What is done with the message is
// policy of the receiver (RFC 9989 §5.4, §7.4) and not decided here: `requested` is a request.
//
// Promise
//   1. No name is asked for twice, a walk asks at most 8, and at most kWalksMax walks begin.
//   2. An aligned pass that is certain is a pass, whatever else could not be looked up; a fail
//   needs
//      every answer on which it depends (RFC 9989 §5.3.6).
//
// RFC 9989 §4.4, §4.10, §5.3. Threads: one at a time.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dns/answer.h"
#include "mailauth/authentication_results.h"
#include "mailauth/dmarc/record.h"
#include "mailauth/dmarc/tree_walk.h"
#include "mailauth/identifier.h"
#include "mailauth/result_code.h"

namespace postrider::mailauth::dmarc {

// Of Organizational Domains of identifiers; a message that needs more is not honest mail.
inline constexpr std::size_t kWalksMax = 10;

struct Input {
    std::string author_domain;         // authors_of(): in A-labels
    std::optional<SpfIdentifier> spf;  // nothing: not checked
    std::vector<DkimIdentifier> dkim;  // in the order of the signatures
};

struct Finding {
    ResultCode code = ResultCode::None;  // none, pass, fail, temperror, permerror
    std::string author_domain;
    std::string reason;  // why, as a sentence without a full stop

    // RFC 9989 §4.10.1: whose record applies. The rest means something only with a record.
    enum class Place : uint8_t {
        None,
        AuthorDomain,
        OrganizationalDomain,
        PublicSuffixDomain,
    };
    Place place = Place::None;
    std::string policy_domain;
    Record record;

    // Of the author's domain; empty when nothing depended on it.
    std::string organizational_domain;

    bool spf_aligned = false;   // with a pass
    bool dkim_aligned = false;  // at least one signature, with a pass

    // What the owner wants for mail of this domain that fails: p, sp or np, as published.
    Policy policy = Policy::None;
    std::string_view policy_tag = "p";
    // What the owner asks for this message: none unless it fails, and one step milder with t=y.
    Policy requested = Policy::None;

    bool has_record() const { return place != Place::None; }
};

// As the Authentication-Results field says it, the reason as a comment; `applied`: what is done
// with the message because of it. RFC 9989 §9.1.
MethodResult method_result(const Finding& finding, Policy applied);

// RFC 9989 §4.7, "t": one level below.
Policy milder(Policy policy);

class Evaluation {
public:
    explicit Evaluation(Input input);

    // The questions whose answers are wanted now; empty: the finding stands. Holds until the next
    // call of answer() or expire().
    std::span<const dns::Question> next() const { return wanted_; }

    // A question that is not wanted is passed over.
    void answer(const dns::Question& question, const dns::Answer& answer);

    // The time for all of it is over: temperror, unless the finding stands or a pass is certain.
    void expire(std::string_view why);

    bool done() const { return wanted_.empty(); }
    const Finding& result() const;  // REQUIRES: done()
    const Input& input() const { return input_; }

private:
    struct Known {
        std::optional<Record> record;
        std::string trouble;  // not empty: not known for now
    };
    enum class Progress : uint8_t {
        Done,
        Waits,   // for what is wanted now
        Broken,  // what it needs is not known for now
    };
    enum class Aligned : uint8_t {
        No,
        Yes,
        Waits,
        Unknown,
    };
    struct Alignments {
        bool waits = false;
        bool spf_open = false;  // could still be aligned, if somebody knew
        bool dkim_open = false;
        std::string via;  // which identifier is aligned, in words
    };

    // A domain that some signatures are of, each once.
    struct Signer {
        std::string domain;
        bool pass = false;  // else not known for now
    };

    void advance();
    Progress walk(TreeWalk& walk);
    Progress discover();
    Alignments align();
    Aligned aligned(const std::string& domain, Alignment mode, std::size_t& walks);
    Progress choose_policy(bool fails);
    void conclude(const Alignments& alignments);
    void finish(ResultCode code, std::string reason);
    const Known* known(const std::string& domain);
    void want(dns::Question question);

    Input input_;
    std::vector<Signer> signers_;  // the author's own domain first: it needs no walk
    Finding finding_;
    std::vector<dns::Question> wanted_;
    std::map<dns::Question, Known> records_;
    std::optional<bool> author_exists_;  // asked only when "np" depends on it
    std::string trouble_;                // of the last walk that is Broken
    bool finished_ = false;
};

// RFC 9989 §11.5: for a message with several author domains, the one finding that counts: the first
// with the strictest request among those that fail, else one that is not known, else one without a
// result, else the first. REQUIRES: not empty.
const Finding& strictest(std::span<const Finding> findings);

}  // namespace postrider::mailauth::dmarc
