#include "verdict/verdict.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "mailauth/dmarc/author.h"
#include "mailauth/dmarc/tree_walk.h"

namespace postrider::verdict {

namespace {

using mailauth::ResultCode;
using mailauth::SpfIdentifier;

mailauth::spf::Request with_names(mailauth::spf::Request request, const Facts& facts, Wall now) {
    request.receiver = facts.hostname;
    request.unix_seconds = now.seconds();
    return request;
}

}  // namespace

// Everything that answers may still come for.
class Verdict::Inquest {
public:
    Inquest(Doors doors, mailauth::dkim::KeyCache& keys, Facts facts)
        : doors_(doors),
          keys_(keys),
          facts_(std::move(facts)),
          helo_(with_names(mailauth::spf::Request::helo_identity(facts_.client, facts_.helo),
                           facts_, doors.clock.wall())) {
        if (!facts_.reverse_path.is_null()) {
            mail_from_.emplace(with_names(
                mailauth::spf::Request::mail_from(facts_.client, facts_.helo, facts_.reverse_path),
                facts_, doors.clock.wall()));
        }
    }

    void start() {
        lookups_ = std::make_shared<Lookups>(doors_, facts_.time_max, [this] { advance(); });
        advance();
    }

    void stop() { lookups_->stop(); }

    void take_header(std::string_view block) {
        authors_ = mailauth::dmarc::authors_of(block);
        // RFC 9989 §5.3.2: the record of the author's own domain is needed whatever SPF and DKIM
        // find, unless nobody asks for it.
        for (const std::string& domain : authors_.domains) {
            if (auto question = mailauth::dmarc::record_question(domain)) lookups_->want(*question);
        }
        verifier_.emplace(block);
        for (const dns::Question& question : verifier_->questions()) {
            if (auto known = keys_.find(question.name, doors_.clock.now())) {
                verifier_->answer(question, known);
            } else {
                open_keys_.push_back(question);
            }
        }
        advance();
    }

    bool wants_body() const { return verifier_ && verifier_->signature_count() > 0; }
    void take_body(std::string_view chunk) { verifier_->update(chunk); }

    Task<Evidence> finish() {
        Deadline end = Deadline::after(doors_.clock.now(), facts_.time_max);
        lookups_->end_at(end);
        while (!identifiers_known()) {
            if (!co_await lookups_->next_answer(end)) break;
        }
        Evidence evidence;
        if (!identifiers_known()) expire_identifiers();
        evidence.helo = helo_.result();
        if (mail_from_) evidence.mail_from = mail_from_->result();
        evidence.dkim = verifier_->finish(doors_.clock.wall());

        begin_dmarc(evidence);
        while (!dmarc_known()) {
            if (!co_await lookups_->next_answer(end)) break;
        }
        for (auto& evaluation : dmarc_) evaluation.expire(late());
        conclude(evidence);
        evidence.questions = lookups_->asked();
        co_return evidence;
    }

private:
    // Goes as far as the answers that are there allow, and asks for what is missing.
    void advance() {
        drive(helo_);
        if (mail_from_) drive(*mail_from_);
        std::erase_if(open_keys_, [this](const dns::Question& question) {
            const dns::Answer* answer = lookups_->want(question);
            if (!answer) return false;
            auto keys = mailauth::dkim::read_keys(*answer);
            if (!keys->temporary) keys_.store(question.name, keys, doors_.clock.now());
            verifier_->answer(question, std::move(keys));
            return true;
        });
        for (auto& evaluation : dmarc_) drive(evaluation);
    }

    template <typename Evaluation>
    void drive(Evaluation& evaluation) {
        for (bool moved = true; moved && !evaluation.done();) {
            moved = false;
            std::vector<dns::Question> wanted(evaluation.next().begin(), evaluation.next().end());
            for (const dns::Question& question : wanted) {
                const dns::Answer* answer = lookups_->want(question);
                if (!answer) continue;
                evaluation.answer(question, *answer);
                moved = true;
            }
        }
    }

    bool identifiers_known() const {
        return helo_.done() && (!mail_from_ || mail_from_->done()) && open_keys_.empty();
    }

    bool dmarc_known() const {
        for (const auto& evaluation : dmarc_) {
            if (!evaluation.done()) return false;
        }
        return true;
    }

    std::string late() const {
        return fmt::format(
            "not known within {} s",
            std::chrono::duration_cast<std::chrono::seconds>(facts_.time_max).count());
    }

    void expire_identifiers() {
        helo_.expire(late());
        if (mail_from_) mail_from_->expire(late());
        open_keys_.clear();  // a key that was never answered is a temporary error
    }

    // RFC 9989 §5.3: with what SPF and DKIM found. One evaluation for each author (§11.5).
    void begin_dmarc(const Evidence& evidence) {
        mailauth::dmarc::Input input;
        const mailauth::spf::Finding& spf = evidence.spf();
        input.spf = SpfIdentifier{spf.code, spf.domain, spf.reason};
        for (const auto& signature : evidence.dkim.signatures) {
            // RFC 6376 §3.6.1, t=y: not to be treated otherwise than unsigned mail.
            ResultCode code = signature.testing && signature.code == ResultCode::Pass
                                  ? ResultCode::Neutral
                                  : signature.code;
            input.dkim.push_back({code, signature.domain, signature.selector, signature.reason});
        }
        dmarc_.reserve(authors_.domains.size());
        for (const std::string& domain : authors_.domains) {
            input.author_domain = domain;
            dmarc_.emplace_back(input);
        }
        advance();
    }

    void conclude(Evidence& evidence) const {
        if (dmarc_.empty()) {
            // RFC 9989 §5.3.1: there is no domain whose policy could be asked for.
            evidence.dmarc.code = ResultCode::PermError;
            evidence.dmarc.reason = authors_.problem;
            return;
        }
        std::vector<mailauth::dmarc::Finding> findings;
        findings.reserve(dmarc_.size());
        for (const auto& evaluation : dmarc_) findings.push_back(evaluation.result());
        evidence.dmarc = mailauth::dmarc::strictest(findings);
        for (const auto& evaluation : dmarc_) {
            if (evaluation.result().author_domain != evidence.dmarc.author_domain) continue;
            evidence.dmarc_input = evaluation.input();
            break;
        }
    }

    Doors doors_;
    mailauth::dkim::KeyCache& keys_;
    Facts facts_;
    std::shared_ptr<Lookups> lookups_;
    mailauth::spf::Evaluation helo_;
    std::optional<mailauth::spf::Evaluation> mail_from_;
    std::optional<mailauth::dkim::Verifier> verifier_;
    std::vector<dns::Question> open_keys_;  // not answered yet
    mailauth::dmarc::Authors authors_;
    std::vector<mailauth::dmarc::Evaluation> dmarc_;
};

Verdict::Verdict(Doors doors, mailauth::dkim::KeyCache& keys, Facts facts)
    : inquest_(std::make_unique<Inquest>(doors, keys, std::move(facts))) {
    inquest_->start();
}

Verdict::~Verdict() { inquest_->stop(); }

void Verdict::take_header(std::string_view block) { inquest_->take_header(block); }
bool Verdict::wants_body() const { return inquest_->wants_body(); }
void Verdict::take_body(std::string_view chunk) { inquest_->take_body(chunk); }
Task<Evidence> Verdict::finish() { return inquest_->finish(); }

}  // namespace postrider::verdict
