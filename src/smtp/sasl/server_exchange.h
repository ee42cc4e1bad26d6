// smtp/sasl/server_exchange.h: the server's side of one authentication, as a value machine.
//
// A mechanism is fed what the client sent and says what comes next. Where it needs to know
// something about an account it asks, and is told: so the look-up, which waits, and the hashing,
// which costs, stay outside. Nonces are arguments.
//
//     ServerExchange exchange(mechanism, facts);
//     Step step = exchange.begin(initial_response);
//     on Challenge:       send it; step = exchange.respond(what the client answers)
//     on AskPassword:     step = exchange.tell(is it right?)
//     on AskScramKeys:    step = exchange.tell(keys, does this account exist?)
//     on AskToken:        step = exchange.tell(whose token it is)
//     on Success:         the identity is proved; whether it may act as `authorization` is the
//                         driver's to decide
//     on Failure:         535; the reason is for the log, the client is told nothing of it
//
// Promises
//   1. After Success or Failure nothing more happens.
//   2. An exchange about an account that does not exist goes the way of a wrong password.
//   3. With a binding in the client's first message, Success means that both ends of the TLS
//      connection are the same (RFC 5802 §6); "y" from a client that was offered -PLUS is a
//      downgrade and fails.
//
// Calling out of turn is our own error: abort. Threads: one at a time.
// RFC 4422, 4616, 5802, 7677, 7628.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "smtp/sasl/mechanism.h"
#include "smtp/sasl/scram.h"

namespace postrider::smtp::sasl {

namespace step {

struct Challenge {
    std::string octets;
};
// Is this the password of this user? Both as prepare() gives them.
struct AskPassword {
    std::string user;
    std::string password;
};
// For a user that does not exist: keys all the same, always the same ones (RFC 5802 §9 is silent;
// otherwise a stranger could ask who has an account).
struct AskScramKeys {
    std::string user;
    Hash hash = Hash::Sha256;
};
// Whose token is this? `user` is who the client says it is; may be empty.
struct AskToken {
    std::string user;
    std::string token;
};
struct Success {
    std::string identity;       // proved
    std::string authorization;  // whom it wants to act as; empty = itself
};
struct Failure {
    std::string_view reason;  // for the log
};

}  // namespace step

using Step = std::variant<step::Challenge, step::AskPassword, step::AskScramKeys, step::AskToken,
                          step::Success, step::Failure>;

struct ServerFacts {
    std::string nonce;         // nonce_of() fresh random octets
    ChannelBindings bindings;  // those of this TLS connection
    bool plus_offered = false;
    std::string certificate_identity;  // whose verified client certificate it is; empty = nobody's
};

class ServerExchange {
public:
    ServerExchange(Mechanism mechanism, ServerFacts facts);

    // Nothing: the client gave no initial response. Empty: it gave an empty one.
    Step begin(std::optional<std::string_view> initial_response);
    Step respond(std::string_view response);

    Step tell(bool is_right);
    Step tell(const ScramKeys& keys, bool exists);
    Step tell(std::optional<std::string> token_identity);

    Mechanism mechanism() const { return mechanism_; }
    // As far as the client has said; for the log.
    const std::string& user() const { return user_; }

private:
    enum class State : uint8_t {
        Start,
        First,          // the first message was asked for
        LoginPassword,  // LOGIN: the user's name came
        Asked,          // an answer about an account is owed
        ClientFinal,    // SCRAM: the server's first message went out
        LastEmpty,      // SCRAM: the server's proof went out
        TokenRefused,   // the error went out; the client's last word is awaited
        Over,
    };

    Step fail(std::string_view reason);
    Step succeed();
    Step first(std::string_view message);
    Step plain(std::string_view message);
    Step login_user(std::string_view message);
    Step login_password(std::string_view message);
    Step scram_first(std::string_view message);
    Step scram_final(std::string_view message);
    Step external(std::string_view message);
    Step token(std::string_view message);
    const ChannelBinding* binding_of(std::string_view type) const;

    Mechanism mechanism_;
    ServerFacts facts_;
    State state_ = State::Start;
    std::string user_;
    std::string authorization_;
    // SCRAM
    std::string client_first_;
    std::string server_first_;
    std::string header_;  // gs2-header
    std::string binding_type_;
    std::string nonce_;
    ScramKeys keys_;
    bool exists_ = false;
};

}  // namespace postrider::smtp::sasl
