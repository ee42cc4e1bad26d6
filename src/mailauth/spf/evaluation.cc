#include "mailauth/spf/evaluation.h"

#include <cassert>
#include <utility>

#include "mailauth/domain.h"
#include "mailauth/spf/machine.h"

namespace postrider::mailauth::spf {

Request Request::mail_from(IpAddress client, std::string helo, const ReversePath& path) {
    Request request = helo_identity(client, std::move(helo));
    request.identity = Identity::MailFrom;
    if (path.mailbox) {
        request.local_part = path.mailbox->local_part;
        request.domain = path.mailbox->domain;
    }
    return request;
}

Request Request::helo_identity(IpAddress client, std::string helo) {
    Request request;
    request.client = client;
    request.domain = helo;
    request.helo = std::move(helo);
    request.identity = Identity::Helo;
    return request;
}

MethodResult method_result(const Finding& finding) {
    MethodResult out;
    out.method = "spf";
    out.result = name(finding.code);
    out.comment = finding.reason;
    const bool helo = finding.identity == Identity::Helo;
    out.properties.push_back({"smtp", helo ? "helo" : "mailfrom", finding.domain});
    return out;
}

Evaluation::Evaluation(Request request, Limits limits)
    : machine_(std::make_unique<Machine>(std::move(request), limits)) {}

Evaluation::~Evaluation() = default;
Evaluation::Evaluation(Evaluation&&) noexcept = default;
Evaluation& Evaluation::operator=(Evaluation&&) noexcept = default;

std::span<const dns::Question> Evaluation::next() const { return machine_->wanted(); }

void Evaluation::answer(const dns::Question& question, dns::Answer answer) {
    machine_->answer(question, std::move(answer));
}

void Evaluation::expire(std::string_view why) { machine_->expire(why); }

const Finding& Evaluation::result() const {
    assert(done());
    return machine_->result();
}

}  // namespace postrider::mailauth::spf
