// mailauth/spf/machine.h: check_host() as coroutines, so that it reads as RFC 7208 tells it. Only
// evaluation.cc uses it.
//
// Theory: one coroutine per check_host() that is being evaluated (an "include" calls another one, a
// "redirect" goes on in the same), all of them waiting in one Inquiry. path_ is how the evaluation
// came to the record it is in; every reason is written from it.
//
// A term that cannot be tested ends everything: that is a Failure. Threads: one at a time.

#pragma once

#include <coroutine>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "mailauth/spf/evaluation.h"
#include "mailauth/spf/inquiry.h"
#include "mailauth/spf/macro.h"
#include "mailauth/spf/record.h"

namespace postrider::mailauth::spf {

class Evaluation::Machine {
public:
    Machine(Request request, Limits limits);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    std::span<const dns::Question> wanted() const { return inquiry_.wanted(); }
    void answer(const dns::Question& question, dns::Answer answer);
    void expire(std::string_view why);
    const Finding& result() const { return result_; }

private:
    // Why a term could not be tested.
    struct Failure {
        ResultCode code = ResultCode::PermError;
        std::string reason;
    };
    using Tested = Result<bool, Failure>;
    // Of a domain-spec; nothing: it stands for no name, and its term does not match.
    using Target = Result<std::optional<std::string>, Failure>;

    struct Outcome {
        ResultCode code = ResultCode::None;
        std::string reason;
        std::string mechanism;
        std::string explanation;
    };

    struct Step {
        enum class How : uint8_t {
            Start,
            Include,
            Redirect
        };
        std::string domain;
        How how = How::Start;
    };

    Task<void> run();
    Task<Outcome> check_host();
    Task<Result<std::string, Outcome>> fetch_record();
    Task<Result<std::optional<Outcome>, Failure>> redirect(std::string_view spec);
    Task<std::string> explain(std::string_view spec);

    Task<Tested> test(const Directive& directive);
    Task<Tested> test_include(const Directive& directive);
    Task<Tested> test_a(const Directive& directive);
    Task<Tested> test_mx(const Directive& directive);
    Task<Tested> test_ptr(const Directive& directive);
    Task<Tested> test_exists(const Directive& directive);
    bool test_network(const Directive& directive) const;

    // An expansion as presentation text: without final dot, within the length of a name.
    static std::string as_target(std::string text);
    Task<Target> target_of(std::string_view spec, std::string_view term);
    Task<std::vector<dns::Name>> validated_names(std::vector<dns::Name> candidates);
    Task<std::string> validated_name();

    const std::string& domain() const { return path_.back().domain; }
    MacroValues values(std::string_view validated_name) const;
    dns::Type address_type() const;
    bool has_client(const dns::Answer& answer, unsigned cidr4, unsigned cidr6) const;
    bool included() const;

    std::optional<Failure> count_lookup(std::string_view term);
    std::optional<Failure> count_if_void(const dns::Answer& answer, std::string_view term);
    Failure not_known(std::string_view term, const dns::Question& question,
                      const dns::Answer& answer) const;
    Outcome match(const Directive& directive) const;

    std::string record_words() const;  // "the record of a.example includes b.example, whose record"
    std::string domain_words() const;  // "the record of a.example includes b.example, which"

    Request request_;
    bool has_domain_ = false;  // request_.domain is a domain, in A-labels
    Limits limits_;
    Finding result_;
    Inquiry inquiry_;
    std::vector<Step> path_;
    std::optional<std::vector<dns::Name>> validated_;  // of %{p}: asked once
    std::coroutine_handle<> root_;
};

}  // namespace postrider::mailauth::spf
