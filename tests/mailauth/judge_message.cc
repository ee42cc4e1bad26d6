// judge_message CLIENT HELO MAIL-FROM < message: SPF, DKIM and DMARC of one message, without the
// server. Prints the Authentication-Results field.
//
// It is an example of how others use the library: it links pr_mailauth_spf, pr_mailauth_dkim and
// pr_mailauth_dmarc, nothing else of Postrider, and asks the DNS by the C library, one question
// after the other. POSTRIDER_NAME_SERVER is the address of another name server.

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "mail/header.h"
#include "mailauth/dkim/verifier.h"
#include "mailauth/dmarc/author.h"
#include "mailauth/dmarc/evaluation.h"
#include "mailauth/spf/evaluation.h"

namespace {

using namespace postrider;
using namespace postrider::mailauth;

// What the C library knows of the DNS, as the library's values.
class SystemDns {
public:
    SystemDns() {
        res_ninit(&state_);
        if (const char* server = std::getenv("POSTRIDER_NAME_SERVER")) {
            inet_pton(AF_INET, server, &state_.nsaddr_list[0].sin_addr);
            state_.nscount = 1;
        }
    }
    ~SystemDns() { res_nclose(&state_); }

    dns::Answer ask(const dns::Question& question) {
        std::vector<unsigned char> wire(65536);
        const int size =
            res_nquery(&state_, question.name.text().c_str(), ns_c_in,
                       static_cast<int>(question.type), wire.data(), static_cast<int>(wire.size()));
        dns::Answer answer;
        if (size < 0) {
            if (state_.res_h_errno == HOST_NOT_FOUND) answer.status = dns::Answer::Status::NxDomain;
            if (state_.res_h_errno == NO_DATA) answer.status = dns::Answer::Status::NoData;
            answer.reason = hstrerror(state_.res_h_errno);
            return answer;
        }
        ns_msg message;
        if (ns_initparse(wire.data(), size, &message) != 0) return answer;
        for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
            ns_rr record;
            if (ns_parserr(&message, ns_s_an, i, &record) != 0) return answer;
            if (ns_rr_type(record) == static_cast<int>(question.type)) add(message, record, answer);
        }
        answer.status =
            answer.records.empty() ? dns::Answer::Status::NoData : dns::Answer::Status::Ok;
        return answer;
    }

private:
    static void add(const ns_msg& message, const ns_rr& record, dns::Answer& answer) {
        const unsigned char* data = ns_rr_rdata(record);
        const std::size_t size = ns_rr_rdlen(record);
        switch (static_cast<dns::Type>(ns_rr_type(record))) {
            case dns::Type::Txt: {
                dns::Txt txt;
                for (std::size_t at = 0; at < size; at += data[at] + std::size_t{1}) {
                    txt.text.append(reinterpret_cast<const char*>(data) + at + 1, data[at]);
                }
                answer.records.emplace_back(std::move(txt));
                return;
            }
            case dns::Type::A: {
                dns::A a;
                std::memcpy(a.octets.data(), data, a.octets.size());
                answer.records.emplace_back(a);
                return;
            }
            case dns::Type::Aaaa: {
                dns::Aaaa aaaa;
                std::memcpy(aaaa.octets.data(), data, aaaa.octets.size());
                answer.records.emplace_back(aaaa);
                return;
            }
            case dns::Type::Mx:
                if (auto name = name_at(message, data + 2)) {
                    answer.records.emplace_back(
                        dns::Mx{static_cast<uint16_t>(ns_get16(data)), *name});
                }
                return;
            case dns::Type::Ptr:
                if (auto name = name_at(message, data))
                    answer.records.emplace_back(dns::Ptr{*name});
                return;
            default:
                return;
        }
    }

    static std::optional<dns::Name> name_at(const ns_msg& message, const unsigned char* at) {
        char text[NS_MAXDNAME];
        if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), at, text, sizeof text) <
            0) {
            return std::nullopt;
        }
        return dns::Name::parse(text);
    }

    struct __res_state state_{};
};

// SPF and DMARC say what they want to know, until they know it.
template <typename Evaluation>
void drive(Evaluation& evaluation, SystemDns& dns) {
    while (!evaluation.next().empty()) {
        const std::vector<dns::Question> wanted(evaluation.next().begin(), evaluation.next().end());
        for (const dns::Question& question : wanted) evaluation.answer(question, dns.ask(question));
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto client = argc == 4 ? IpAddress::parse(argv[1]) : std::nullopt;
    const auto sender = argc == 4 ? Mailbox::parse(argv[3]) : Result<Mailbox>(fail("missing"));
    if (!client || !sender) {
        std::cerr << "usage: judge_message CLIENT HELO MAIL-FROM < message\n";
        return 2;
    }
    const std::string message(std::istreambuf_iterator<char>(std::cin), {});
    HeaderReader reader(message);
    while (reader.next()) {
    }
    const std::string header = message.substr(0, reader.header_octets());
    SystemDns dns;
    std::vector<MethodResult> results;

    spf::Evaluation spf(spf::Request::mail_from(*client, argv[2], ReversePath{*sender}));
    drive(spf, dns);
    results.push_back(spf::method_result(spf.result()));

    dkim::Verifier verifier(header);
    for (const dns::Question& question : verifier.questions()) {
        verifier.answer(question, dns.ask(question));
    }
    verifier.update(std::string_view(message).substr(reader.body_begin()));
    const dkim::Report report = verifier.finish(Wall{std::time(nullptr) * 1'000'000});

    dmarc::Input input;
    input.spf = SpfIdentifier{spf.result().code, spf.result().domain, spf.result().reason};
    for (const dkim::SignatureResult& one : report.signatures) {
        MethodResult& result = results.emplace_back();
        result.method = "dkim";
        result.result = name(one.code);
        result.comment = one.reason;
        result.properties = {{"header", "d", one.domain}, {"header", "s", one.selector}};
        input.dkim.push_back({one.code, one.domain, one.selector, one.reason});
    }
    const dmarc::Authors authors = dmarc::authors_of(header);
    for (const std::string& author : authors.domains) {
        input.author_domain = author;
        dmarc::Evaluation evaluation(input);
        drive(evaluation, dns);
        results.push_back(dmarc::method_result(evaluation.result(), dmarc::Policy::None));
    }
    std::cout << authentication_results_field("example.org", results, AddressForm::Ascii);
    return 0;
}
