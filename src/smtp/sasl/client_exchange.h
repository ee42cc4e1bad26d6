// smtp/sasl/client_exchange.h: the client's side of one authentication, as a value machine.
//
// Promises
//   1. choose() never takes a mechanism that shows a secret unless the connection is encrypted.
//   2. With SCRAM the server must prove itself too: server_proved() is asked before its 235 is
//      believed.
//   3. A nonce of the server that does not begin with ours, fewer iterations than the RFC asks for,
//      or so many that they would only burn our time, end the exchange.
//
// respond() may cost a PBKDF2: call it where that does no harm. Threads: one at a time.
// RFC 4422, 4616, 5802, 7677, 7628.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "smtp/sasl/mechanism.h"
#include "smtp/sasl/scram.h"

namespace postrider::smtp::sasl {

struct Credentials {
    std::string user;
    std::string password;      // empty: none
    std::string token;         // empty: none; a bearer token
    bool certificate = false;  // we show a client certificate
    std::string host;          // of the server, for OAUTHBEARER
    unsigned port = 0;
};

// The strongest mechanism that is offered and for which we have what it needs. Nothing: none may be
// used.
std::optional<Mechanism> choose(std::span<const std::string> offered,
                                const Credentials& credentials, const ChannelBindings& bindings,
                                bool encrypted);

class ClientExchange {
public:
    // `nonce`: nonce_of() fresh random octets. `plus_offered`: the server offered a -PLUS.
    ClientExchange(Mechanism mechanism, Credentials credentials, std::string nonce,
                   ChannelBindings bindings, bool plus_offered);

    // What goes with the AUTH command; nothing where the server speaks first.
    Result<std::optional<std::string>> initial_response();
    Result<std::string> respond(std::string_view challenge);
    // Whether a positive reply of the server may be believed now.
    bool server_proved() const;

    Mechanism mechanism() const { return mechanism_; }

private:
    enum class State : uint8_t {
        Start,
        Sent,         // the first message
        FinalSent,    // SCRAM
        ServerProved  // SCRAM
    };

    Result<std::string> scram_final(std::string_view challenge);
    Result<std::string> check_server(std::string_view challenge);

    Mechanism mechanism_;
    Credentials credentials_;
    std::string nonce_;
    ChannelBinding binding_;
    bool plus_offered_;
    State state_ = State::Start;
    std::string first_bare_;
    std::string header_;
    std::string server_signature_;
    int answered_ = 0;
};

}  // namespace postrider::smtp::sasl
