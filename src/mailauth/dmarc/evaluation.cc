#include "mailauth/dmarc/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <set>
#include <utility>

#include "mailauth/domain.h"

namespace postrider::mailauth::dmarc {

namespace {

// `name` is `ancestor` or stands below it.
bool is_within(std::string_view name, std::string_view ancestor) {
    return name == ancestor || (name.size() > ancestor.size() && name.ends_with(ancestor) &&
                                name[name.size() - ancestor.size() - 1] == '.');
}

bool counts(ResultCode code) { return code == ResultCode::Pass || code == ResultCode::TempError; }

std::string_view words(Alignment mode) {
    return mode == Alignment::Strict ? "strict alignment" : "relaxed alignment";
}

}  // namespace

Evaluation::Evaluation(Input input) : input_(std::move(input)) {
    finding_.author_domain = input_.author_domain;
    if (auto domain = a_labels(input_.author_domain)) {
        input_.author_domain = finding_.author_domain = std::move(*domain);
    }
    // Identifiers are compared as A-labels in lower case; what is no domain is aligned with
    // nothing.
    if (input_.spf) input_.spf->domain = a_labels(input_.spf->domain).value_or("");
    std::set<std::pair<std::string, bool>> seen;
    for (DkimIdentifier& signature : input_.dkim) {
        signature.domain = a_labels(signature.domain).value_or("");
        if (!counts(signature.result) || signature.domain.empty()) continue;
        const bool pass = signature.result == ResultCode::Pass;
        if (!seen.emplace(signature.domain, pass).second) continue;
        const bool own = signature.domain == input_.author_domain;
        signers_.insert(own ? signers_.begin() : signers_.end(), {signature.domain, pass});
    }
    advance();
}

const Finding& Evaluation::result() const {
    assert(done());
    return finding_;
}

void Evaluation::answer(const dns::Question& question, const dns::Answer& answer) {
    if (std::erase(wanted_, question) == 0) return;
    const bool temporary = answer.status == dns::Answer::Status::Temporary;
    if (question.type == dns::Type::Txt) {
        Known known;
        if (temporary) {
            known.trouble = fmt::format("\"{}\" could not be looked up: {}", text(question),
                                        shown(answer.reason, 200));
        } else {
            known.record = record_in(answer);
        }
        records_.emplace(question, std::move(known));
    } else {
        // RFC 9989 §3.2.13. Not known: taken as existing, which is the usual case.
        author_exists_ = answer.status != dns::Answer::Status::NxDomain;
    }
    if (wanted_.empty()) advance();
}

void Evaluation::expire(std::string_view why) {
    if (wanted_.empty()) return;
    const std::string open = text(wanted_.front());
    if (discover() == Progress::Done) {
        if (finished_) return;
        const Alignments known = align();
        if (finding_.spf_aligned || finding_.dkim_aligned) {
            choose_policy(/*fails=*/false);
            return conclude(known);
        }
    }
    finish(ResultCode::TempError, fmt::format("{}: \"{}\" was not answered", why, open));
}

// Goes as far as what is known allows; what is missing is wanted then.
void Evaluation::advance() {
    if (finished_) return;
    switch (discover()) {
        case Progress::Waits:
            return;
        case Progress::Broken:
            return finish(ResultCode::TempError, trouble_);
        case Progress::Done:
            break;
    }
    if (finished_) return;
    const Alignments alignments = align();
    if (alignments.waits) return;
    const bool passes = finding_.spf_aligned || finding_.dkim_aligned;
    if (choose_policy(!passes) == Progress::Waits) return;
    conclude(alignments);
}

// RFC 9989 §4.10.1: the record that applies; or the end, when there is none.
Evaluation::Progress Evaluation::discover() {
    const std::string& author = input_.author_domain;
    TreeWalk walked(author);
    if (const Known* own = known(author); own && own->record) {
        finding_.place = Finding::Place::AuthorDomain;
        finding_.policy_domain = author;
        finding_.record = *own->record;
    } else {
        const Progress progress = walk(walked);
        if (progress != Progress::Done) return progress;
        finding_.organizational_domain = walked.organizational_domain();
        for (const TreeWalk::Found& found : walked.found()) {
            const bool suffix = found.record.psd == PublicSuffix::Yes;
            if (found.domain != finding_.organizational_domain && !suffix) continue;
            finding_.place =
                suffix ? Finding::Place::PublicSuffixDomain : Finding::Place::OrganizationalDomain;
            finding_.policy_domain = found.domain;
            finding_.record = found.record;
            break;
        }
    }
    if (!finding_.has_record()) {
        finish(ResultCode::None,
               fmt::format("neither {} nor a domain above it has a DMARC record", author));
    } else if (!finding_.record.applies()) {
        finish(ResultCode::PermError,
               fmt::format("the DMARC record of {} has no policy that can be used: {}",
                           finding_.policy_domain,
                           finding_.record.problems.empty() ? std::string("there is no p")
                                                            : finding_.record.problems.front()));
    }
    return Progress::Done;
}

Evaluation::Progress Evaluation::walk(TreeWalk& walk) {
    while (const auto target = walk.next()) {
        const Known* here = known(std::string(*target));
        if (!here) return Progress::Waits;
        if (!here->trouble.empty()) {
            trouble_ = here->trouble;
            return Progress::Broken;
        }
        walk.take(here->record);
    }
    return Progress::Done;
}

// RFC 9989 §4.10.2: are these two domains of one organization?
Evaluation::Aligned Evaluation::aligned(const std::string& domain, Alignment mode,
                                        std::size_t& walks) {
    const std::string& author = input_.author_domain;
    if (domain == author) return Aligned::Yes;
    if (mode == Alignment::Strict || domain.empty()) return Aligned::No;
    // No name stands above both: then none can be the Organizational Domain of both.
    if (last_labels(domain, 1) != last_labels(author, 1)) return Aligned::No;

    const auto as_aligned = [](Progress progress) {
        return progress == Progress::Waits ? Aligned::Waits : Aligned::Unknown;
    };
    TreeWalk of_author(author);
    if (const Progress progress = walk(of_author); progress != Progress::Done) {
        return as_aligned(progress);
    }
    finding_.organizational_domain = of_author.organizational_domain();
    if (!is_within(domain, finding_.organizational_domain)) return Aligned::No;
    if (++walks > kWalksMax) return Aligned::No;
    TreeWalk of_domain(domain);
    if (const Progress progress = walk(of_domain); progress != Progress::Done) {
        return as_aligned(progress);
    }
    return of_domain.organizational_domain() == finding_.organizational_domain ? Aligned::Yes
                                                                               : Aligned::No;
}

// RFC 9989 §5.3.4. Identifiers that could not be checked are looked at too: a failure that hangs on
// one of them is none.
Evaluation::Alignments Evaluation::align() {
    Alignments out;
    std::size_t walks = 0;
    finding_.spf_aligned = finding_.dkim_aligned = false;
    if (input_.spf && counts(input_.spf->result)) {
        const Alignment mode = finding_.record.spf_alignment;
        const Aligned found = aligned(input_.spf->domain, mode, walks);
        out.waits = found == Aligned::Waits;
        const bool pass = input_.spf->result == ResultCode::Pass;
        finding_.spf_aligned = pass && found == Aligned::Yes;
        out.spf_open = found == Aligned::Unknown || (!pass && found == Aligned::Yes);
        if (finding_.spf_aligned) {
            out.via = fmt::format("SPF passes for {} ({})", input_.spf->domain, words(mode));
        }
    }
    const Alignment mode = finding_.record.dkim_alignment;
    for (const Signer& signer : signers_) {
        if (finding_.dkim_aligned) break;
        const Aligned found = aligned(signer.domain, mode, walks);
        out.waits = out.waits || found == Aligned::Waits;
        finding_.dkim_aligned = signer.pass && found == Aligned::Yes;
        out.dkim_open =
            out.dkim_open || found == Aligned::Unknown || (!signer.pass && found == Aligned::Yes);
        if (finding_.dkim_aligned) {
            out.via =
                fmt::format("the DKIM signature of {} passes ({})", signer.domain, words(mode));
        }
    }
    return out;
}

// RFC 9989 §4.10.1, §4.7: p of the author's own record; sp, np, then p of one above it.
Evaluation::Progress Evaluation::choose_policy(bool fails) {
    const Record& record = finding_.record;
    finding_.policy = record.policy;
    finding_.policy_tag = "p";
    if (finding_.policy_domain == input_.author_domain) return Progress::Done;
    if (record.subdomain_policy) {
        finding_.policy = *record.subdomain_policy;
        finding_.policy_tag = "sp";
    }
    if (!record.nonexistent_policy || *record.nonexistent_policy == finding_.policy) {
        return Progress::Done;
    }
    if (!author_exists_ && fails) {
        if (const auto name = plain_name(input_.author_domain)) {
            want({*name, dns::Type::A});
            return Progress::Waits;
        }
    }
    if (author_exists_ == false) {
        finding_.policy = *record.nonexistent_policy;
        finding_.policy_tag = "np";
    }
    return Progress::Done;
}

// RFC 9989 §5.3.5, §5.3.6.
void Evaluation::conclude(const Alignments& alignments) {
    if (finding_.spf_aligned || finding_.dkim_aligned) {
        return finish(ResultCode::Pass, alignments.via);
    }
    if (alignments.spf_open || alignments.dkim_open) {
        std::string why = trouble_;
        if (why.empty() && alignments.spf_open) why = input_.spf->reason;
        return finish(ResultCode::TempError,
                      fmt::format("{} would be aligned with {}, but is not known for now{}{}",
                                  alignments.spf_open ? "SPF" : "a DKIM signature",
                                  input_.author_domain, why.empty() ? "" : ": ", why));
    }
    finding_.requested = finding_.record.testing ? milder(finding_.policy) : finding_.policy;
    const bool spf_passes = input_.spf && input_.spf->result == ResultCode::Pass;
    const auto signature =
        std::ranges::find(input_.dkim, ResultCode::Pass, &DkimIdentifier::result);
    finish(ResultCode::Fail,
           fmt::format("{}, and {}, so nothing proves {}",
                       spf_passes ? fmt::format("SPF passes for {}, which is not aligned",
                                                input_.spf->domain)
                                  : std::string("SPF does not pass"),
                       signature != input_.dkim.end()
                           ? fmt::format("the DKIM signature of {} passes, which is not aligned",
                                         signature->domain)
                           : std::string("no DKIM signature passes"),
                       input_.author_domain));
}

void Evaluation::finish(ResultCode code, std::string reason) {
    finding_.code = code;
    finding_.reason = std::move(reason);
    finished_ = true;
    wanted_.clear();
}

// What is known of the record at this domain; nothing: it is wanted now.
const Evaluation::Known* Evaluation::known(const std::string& domain) {
    static const Known kNone;
    auto question = record_question(domain);
    if (!question) return &kNone;
    const auto found = records_.find(*question);
    if (found != records_.end()) return &found->second;
    want(std::move(*question));
    return nullptr;
}

void Evaluation::want(dns::Question question) {
    if (std::ranges::find(wanted_, question) == wanted_.end()) {
        wanted_.push_back(std::move(question));
    }
}

MethodResult method_result(const Finding& finding, Policy applied) {
    MethodResult out;
    out.method = "dmarc";
    out.result = name(finding.code);
    out.comment = finding.reason;
    if (!finding.author_domain.empty()) {
        out.properties.push_back({"header", "from", finding.author_domain});
    }
    if (finding.has_record()) {
        out.properties.push_back({"policy", "dmarc", std::string(name(applied))});
    }
    return out;
}

Policy milder(Policy policy) {
    return policy == Policy::Reject ? Policy::Quarantine : Policy::None;
}

const Finding& strictest(std::span<const Finding> findings) {
    assert(!findings.empty());
    const auto weight = [](const Finding& finding) {
        switch (finding.code) {
            case ResultCode::Fail:
                return 10 + static_cast<int>(finding.requested);
            case ResultCode::TempError:
                return 3;
            case ResultCode::PermError:
                return 2;
            case ResultCode::None:
                return 1;
            default:
                return 0;
        }
    };
    return *std::ranges::max_element(findings, {}, weight);
}

}  // namespace postrider::mailauth::dmarc
