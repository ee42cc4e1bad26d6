// Any octets as a sender, a client and the answers of a hostile DNS: the evaluation ends within its
// bounds, and what it says is printable.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "mailauth/spf/evaluation.h"

namespace {

using namespace postrider;
using namespace postrider::mailauth;
using namespace postrider::mailauth::spf;

void require(bool holds) {
    if (!holds) std::abort();
}

// Reads the input piece by piece; at its end it gives zeros.
class Input {
public:
    Input(const uint8_t* data, std::size_t size)
        : rest_(reinterpret_cast<const char*>(data), size) {}

    uint8_t octet() {
        if (rest_.empty()) return 0;
        const auto value = static_cast<uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    std::string line() {
        const std::size_t end = std::min(rest_.find('\n'), rest_.size());
        std::string out(rest_.substr(0, end));
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        return out;
    }

private:
    std::string_view rest_;
};

dns::Rdata record_of(Input& input, const dns::Question& question, const IpAddress& client) {
    const uint8_t kind = input.octet();
    const dns::Name name =
        dns::Name::parse(kind % 3 == 0 ? input.line() : "d.example.org").value_or(question.name);
    switch (question.type) {
        case dns::Type::A: {
            dns::A a{{192, 0, 2, kind}};
            if (!client.is_v6()) std::ranges::copy(client.octets(), a.octets.begin());
            if (kind % 2) a.octets[3] ^= 1;
            return a;
        }
        case dns::Type::Aaaa: {
            dns::Aaaa aaaa;
            if (client.is_v6()) std::ranges::copy(client.octets(), aaaa.octets.begin());
            if (kind % 2) aaaa.octets[15] ^= 1;
            return aaaa;
        }
        case dns::Type::Mx:
            return dns::Mx{kind, name};
        case dns::Type::Ptr:
            return dns::Ptr{name};
        default:
            return dns::Txt{(kind % 2 ? "v=spf1 " : "") + input.line()};
    }
}

dns::Answer answer_of(Input& input, const dns::Question& question, const IpAddress& client) {
    dns::Answer answer;
    const uint8_t kind = input.octet();
    if (kind % 16 == 1) return dns::Answer::temporary(dns::Answer::Failure::Timeout, input.line());
    if (kind % 16 < 4) {
        answer.status = kind % 2 ? dns::Answer::Status::NoData : dns::Answer::Status::NxDomain;
        return answer;
    }
    answer.status = dns::Answer::Status::Ok;
    const int count = kind > 250 ? 12 : kind > 200 ? 3 : 1;
    for (int i = 0; i < count; i++) answer.records.push_back(record_of(input, question, client));
    return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    Input input(data, size);
    const uint8_t flags = input.octet();
    Request request;
    request.client = IpAddress::parse(flags & 1 ? "2001:db8::1" : "192.0.2.1").value();
    request.local_part = input.line();
    request.domain = flags & 2 ? input.line() : "d.example.org";
    request.helo = input.line();
    Evaluation evaluation(std::move(request));
    int questions = 0;
    while (!evaluation.next().empty()) {
        const std::vector<dns::Question> wanted(evaluation.next().begin(), evaluation.next().end());
        require(std::set(wanted.begin(), wanted.end()).size() == wanted.size());
        const std::size_t first = flags & 4 ? wanted.size() - 1 : 0;
        for (std::size_t i = 0; i < wanted.size(); i++) {
            const dns::Question& question = wanted[(first + i) % wanted.size()];
            require(++questions <= 150);
            evaluation.answer(
                question,
                answer_of(input, question,
                          IpAddress::parse(flags & 1 ? "2001:db8::1" : "192.0.2.1").value()));
        }
        if (flags & 8) evaluation.expire("over");
    }
    const Finding& finding = evaluation.result();
    require(!finding.reason.empty());
    require(finding.lookups <= 10 && finding.void_lookups <= 3);
    for (const std::string& text : {finding.reason, finding.explanation, finding.mechanism}) {
        for (const char c : text) require(c >= ' ' && c <= '~');
    }
    require(finding.explanation.size() <= kExplanationOctetsMax);
    require(finding.explanation.empty() || finding.code == ResultCode::Fail);
    return 0;
}
