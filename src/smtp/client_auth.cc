// AUTH to the next host (RFC 4954): the exchange's lines, none of which is shown in a transcript.

#include <cassert>

#include <fmt/format.h>

#include "smtp/client_session.h"
#include "smtp/sasl/base64.h"

namespace postrider::smtp {

void ClientSession::send_hidden(std::string line, std::string_view shown) {
    drop_taken_output();
    output_ += std::move(line) + "\r\n";
    transcript_.sent(shown);
    owe(ClientWait::Auth);
}

// RFC 4954 §4: "=" is an initial response of no octets; one that makes the line too long comes
// after an empty challenge instead.
void ClientSession::auth_begin(std::string_view mechanism,
                               const std::optional<std::string>& initial, bool proved) {
    assert(state_ == State::Auth && next_owed_ == owed_.size());
    proved_ = proved;
    std::string line = fmt::format("AUTH {}", mechanism);
    const std::string shown = line + (initial ? " (hidden)" : "");
    if (initial) line += " " + (initial->empty() ? "=" : sasl::encode_base64(*initial));
    send_hidden(std::move(line), shown);
}

void ClientSession::auth_respond(std::string_view response, bool proved) {
    assert(state_ == State::Auth && next_owed_ == owed_.size());
    proved_ = proved;
    challenge_.reset();
    send_hidden(sasl::encode_base64(response), "(hidden)");
}

void ClientSession::auth_failed(std::string_view why) {
    assert(state_ == State::Auth);
    close({CloseReason::Kind::NotLoggedIn, Stage::Hello, nullptr, {{4, 7, 8}, std::string(why)}});
}

// A refusal is taken for passing, whatever it says: the password is the operator's to mend, and the
// message is not to blame.
void ClientSession::on_auth(const Reply& reply) {
    if (reply.is_positive()) {
        if (proved_) return enter(State::Ready);
        return auth_failed("the next host took our word and did not prove that it knows us");
    }
    if (!reply.is_intermediate()) {
        return auth_failed(fmt::format("the next host refused our login: {}", reply.one_line()));
    }
    challenge_ = sasl::decode_base64(reply.text);
    if (!challenge_) return auth_failed("the next host's challenge is not base64");
}

}  // namespace postrider::smtp
