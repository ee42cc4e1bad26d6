#include "smtp/sasl/mechanism.h"

#include <algorithm>

namespace postrider::smtp::sasl {

std::string_view name_of(Mechanism mechanism) {
    switch (mechanism) {
        case Mechanism::External:
            return "EXTERNAL";
        case Mechanism::ScramSha256Plus:
            return "SCRAM-SHA-256-PLUS";
        case Mechanism::ScramSha256:
            return "SCRAM-SHA-256";
        case Mechanism::ScramSha1Plus:
            return "SCRAM-SHA-1-PLUS";
        case Mechanism::ScramSha1:
            return "SCRAM-SHA-1";
        case Mechanism::OAuthBearer:
            return "OAUTHBEARER";
        case Mechanism::XOAuth2:
            return "XOAUTH2";
        case Mechanism::Plain:
            return "PLAIN";
        case Mechanism::Login:
            return "LOGIN";
    }
    return "";
}

std::optional<Mechanism> mechanism_named(std::string_view name) {
    auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    for (const Mechanism mechanism : kMechanisms) {
        if (std::ranges::equal(name_of(mechanism), name, {}, {}, upper)) return mechanism;
    }
    return std::nullopt;
}

bool is_plus(Mechanism mechanism) {
    return mechanism == Mechanism::ScramSha256Plus || mechanism == Mechanism::ScramSha1Plus;
}

bool is_scram(Mechanism mechanism) {
    return is_plus(mechanism) || mechanism == Mechanism::ScramSha256 ||
           mechanism == Mechanism::ScramSha1;
}

bool shows_secret(Mechanism mechanism) {
    return mechanism == Mechanism::Plain || mechanism == Mechanism::Login ||
           mechanism == Mechanism::OAuthBearer || mechanism == Mechanism::XOAuth2;
}

}  // namespace postrider::smtp::sasl
