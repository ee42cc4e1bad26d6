// smtp/sasl/scram.h: the messages and keys of SCRAM.
//
// A server that keeps these keys can tell whether a client knows the password, and cannot itself
// pass for that client elsewhere. Both exchanges (server_exchange.h, client_exchange.h) are written
// over what stands here.
//
// Threads: values and pure functions. Failure: the parsers answer nothing to what is not grammar.
// RFC 5802 §3 (algorithm), §5 (attributes), §7 (grammar); RFC 7677 (SHA-256, at least 4096
// iterations); RFC 5803 (how keys are written down).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "smtp/sasl/digest.h"
#include "smtp/sasl/mechanism.h"

namespace postrider::smtp::sasl {

inline constexpr uint32_t kScramIterationsMin = 4096;
inline constexpr uint32_t kScramIterationsMax = 10'000'000;

Hash hash_of(Mechanism scram);

// What a server keeps of a password.
struct ScramKeys {
    Hash hash = Hash::Sha256;
    uint32_t iterations = kScramIterationsMin;
    std::string salt;
    std::string stored_key;
    std::string server_key;

    // "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey", the three in base64 (RFC 5803).
    static std::optional<ScramKeys> parse(std::string_view text);
    std::string text() const;
    // `password` as prepare() gives it. Costs a PBKDF2.
    static ScramKeys from_password(Hash hash, std::string_view password, std::string_view salt,
                                   uint32_t iterations);
    bool knows(std::string_view password) const;  // costs a PBKDF2
    friend bool operator==(const ScramKeys&, const ScramKeys&) = default;
};

// gs2-header and client-first-message-bare.
struct ClientFirst {
    char binding_flag = 'n';    // 'n', 'y' or 'p'
    std::string binding_type;   // with 'p'
    std::string authorization;  // decoded; empty = none
    std::string user;           // decoded
    std::string nonce;
    std::string_view header;  // the gs2-header, with its last comma
    std::string_view bare;
};
std::optional<ClientFirst> parse_client_first(std::string_view text);

struct ServerFirst {
    std::string_view nonce;
    std::string salt;
    uint32_t iterations = 0;
};
std::optional<ServerFirst> parse_server_first(std::string_view text);

struct ClientFinal {
    std::string binding;  // decoded
    std::string_view nonce;
    std::string proof;  // decoded
    std::string_view without_proof;
};
std::optional<ClientFinal> parse_client_final(std::string_view text);

// RFC 5802 §5.1: "=2C" for a comma, "=3D" for "=".
std::string escape_name(std::string_view name);

// What the server expects: ClientSignature and ServerSignature.
std::string client_signature(const ScramKeys& keys, std::string_view auth_message);
std::string server_signature(const ScramKeys& keys, std::string_view auth_message);
std::string exclusive_or(std::string_view a, std::string_view b);  // REQUIRES: the same size

// A nonce out of random octets: printable, without a comma.
std::string nonce_of(std::string_view random_octets);

}  // namespace postrider::smtp::sasl
