// smtp/client_session_fuzz.cc: a server that says anything, at any time.
//
// Octets of the input are instructions: replies to give, raw octets, end of stream, silence. Held
// against the promises of client_session.h: one TransactionDone per transaction with a result for
// each recipient; Accepted only after content; an end in bounded steps; nothing bare on the wire.

#include <fmt/format.h>

#include <cstdlib>

#include "smtp/client_session.h"
#include "smtp/data_encoder.h"

namespace {

using namespace postrider;
using namespace postrider::smtp;

void require(bool condition) {
    if (!condition) std::abort();
}

constexpr std::string_view kSayings[] = {
    "220 mx\r\n",
    "250 ok\r\n",
    "250-mx\r\n250-PIPELINING\r\n250-SIZE 5000\r\n250 SMTPUTF8\r\n",
    "250-mx\r\n250-8BITMIME\r\n250 LIMITS RCPTMAX=2 RCPTDOMAINMAX=1 MAILMAX=2\r\n",
    "354 go\r\n",
    "421 4.3.2 bye\r\n",
    "450 4.2.0 later\r\n",
    "452 4.5.3 enough\r\n",
    "550 5.1.1 no\r\n",
    "552 full\r\n",
    "250-un",
    "\r\n",
    "250-mx\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 DSN\r\n",
};

struct Input {
    std::string_view rest;
    uint8_t next() {
        if (rest.empty()) return 0xff;
        uint8_t value = static_cast<uint8_t>(rest.front());
        rest.remove_prefix(1);
        return value;
    }
};

TransactionRequest message(uint8_t choice) {
    TransactionRequest request;
    for (int i = 0; i <= choice % 5; ++i) {
        Recipient recipient;
        recipient.mailbox = {fmt::format("r{}", i),
                             choice & 8 ? fmt::format("d{}.example", i) : "d.example"};
        request.recipients.push_back(std::move(recipient));
    }
    if (choice & 16) request.body = BodyType::EightBitMime;
    if (choice & 32) request.smtputf8 = true;
    if (choice & 64) request.content_octets = 6000;
    if (choice & 128) request.body = BodyType::BinaryMime;
    return request;
}

void hear(ClientSession& session, Input& input) {
    uint8_t choice = input.next();
    if (choice == 0xff) return session.handle_end_of_stream();
    if (choice == 0xfe) return session.handle_timeout();
    if (choice == 0xfd) return session.abort("stop");
    if (choice >= 0xf0) {
        std::string_view raw = input.rest.substr(0, choice & 15);
        input.rest.remove_prefix(raw.size());
        return session.handle_bytes(raw);
    }
    session.handle_bytes(kSayings[choice % std::size(kSayings)]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    Input input{std::string_view(reinterpret_cast<const char*>(data), size)};
    ClientMode mode = input.next() & 1 ? ClientMode::Lmtp : ClientMode::Smtp;
    ClientSession session({mode, "me.example", 4});
    std::size_t recipients = 0;  // of the transaction that runs; 0 = none
    bool content_sent = false;
    uint64_t content_octets = 0;  // of the transaction that runs
    for (std::size_t steps = 0;; ++steps) {
        require(steps < 16 * (size + 100));
        Action next = session.next_action();
        if (auto* send = std::get_if<action::Send>(&next)) {
            require(send->bytes.ends_with("\r\n") && send->bytes.size() < 20'000);
        } else if (std::get_if<action::NeedReply>(&next)) {
            hear(session, input);
        } else if (auto* content = std::get_if<action::SendContent>(&next)) {
            uint8_t choice = input.next();
            if (choice < 16) {
                session.content_failed({{4, 3, 0}, "disk"});
            } else if (choice < 32) {
                hear(session, input);
                if (session.state() == ClientSession::State::Content) session.handle_timeout();
            } else {
                session.content_sent(content->chunked ? content_octets : 6);
                content_sent = true;
            }
        } else if (auto* done = std::get_if<action::TransactionDone>(&next)) {
            require(recipients > 0 && done->results.size() == recipients);
            for (const TransactionResult& result : done->results) {
                require(result.reply || !result.reason.empty());
                if (result.state == TransactionResult::State::Accepted) {
                    require(content_sent && result.reply && result.reply->is_positive());
                }
                if (result.outcome_unknown) require(content_sent && !result.reply);
            }
            recipients = 0;
        } else if (std::get_if<action::Ready>(&next)) {
            require(recipients == 0);
            content_sent = false;
            uint8_t choice = input.next();
            if (choice == 0xff) {
                session.quit();
            } else {
                TransactionRequest request = message(choice);
                recipients = request.recipients.size();
                content_octets = request.content_octets;
                session.begin(std::move(request));
            }
        } else {
            require(recipients == 0);
            return 0;
        }
    }
}
