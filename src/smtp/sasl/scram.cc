#include "smtp/sasl/scram.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include <fmt/format.h>

#include "mail/domain.h"
#include "smtp/sasl/base64.h"

namespace postrider::smtp::sasl {
namespace {

// Takes what stands before the next comma from the front of `text`.
std::string_view take_field(std::string_view& text) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view field = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    return field;
}

// "x=value": the value, if the field is of this name.
std::optional<std::string_view> value_of(std::string_view field, char name) {
    if (field.size() < 2 || field[0] != name || field[1] != '=') return std::nullopt;
    return field.substr(2);
}

// saslname: UTF-8 without NUL, "=" only as =2C or =3D.
std::optional<std::string> unescape_name(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] != '=') {
            out += text[i];
            continue;
        }
        const std::string_view code = text.substr(i + 1, 2);
        if (code != "2C" && code != "3D") return std::nullopt;
        out += code == "2C" ? ',' : '=';
        i += 2;
    }
    if (out.empty() || out.contains('\0') || !is_utf8(out)) return std::nullopt;
    return out;
}

// printable = %x21-2B / %x2D-7E
bool is_nonce(std::string_view text) {
    return !text.empty() && text.size() <= 512 &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

// posit-number
std::optional<uint32_t> parse_iterations(std::string_view text) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.starts_with('0')) {
        return std::nullopt;
    }
    return value;
}

// extensions = attr-val *("," attr-val), and attr-val = ALPHA "=" value. All are ignored but m,
// which is never taken (RFC 5802 §5.1).
bool are_extensions(std::string_view text) {
    while (!text.empty()) {
        const std::string_view field = take_field(text);
        const bool alpha = !field.empty() && ((field[0] >= 'a' && field[0] <= 'z') ||
                                              (field[0] >= 'A' && field[0] <= 'Z'));
        if (!alpha || field[0] == 'm' || field.size() < 3 || field[1] != '=') return false;
    }
    return true;
}

}  // namespace

Hash hash_of(Mechanism scram) {
    assert(is_scram(scram));
    return scram == Mechanism::ScramSha1 || scram == Mechanism::ScramSha1Plus ? Hash::Sha1
                                                                              : Hash::Sha256;
}

std::optional<ScramKeys> ScramKeys::parse(std::string_view text) {
    ScramKeys keys;
    if (text.starts_with("SCRAM-SHA-256$")) {
        keys.hash = Hash::Sha256;
    } else if (text.starts_with("SCRAM-SHA-1$")) {
        keys.hash = Hash::Sha1;
    } else {
        return std::nullopt;
    }
    text.remove_prefix(text.find('$') + 1);
    const std::size_t colon = text.find(':');
    const std::size_t dollar = text.find('$');
    const std::size_t second = text.rfind(':');
    if (colon == std::string_view::npos || dollar == std::string_view::npos || colon > dollar ||
        second < dollar) {
        return std::nullopt;
    }
    const auto iterations = parse_iterations(text.substr(0, colon));
    auto salt = decode_base64(text.substr(colon + 1, dollar - colon - 1));
    auto stored = decode_base64(text.substr(dollar + 1, second - dollar - 1));
    auto server = decode_base64(text.substr(second + 1));
    if (!iterations || *iterations < kScramIterationsMin || *iterations > kScramIterationsMax ||
        !salt || salt->empty() || salt->size() > 256 || !stored || !server ||
        stored->size() != octets_of(keys.hash) || server->size() != octets_of(keys.hash)) {
        return std::nullopt;
    }
    keys.iterations = *iterations;
    keys.salt = std::move(*salt);
    keys.stored_key = std::move(*stored);
    keys.server_key = std::move(*server);
    return keys;
}

std::string ScramKeys::text() const {
    return fmt::format("SCRAM-SHA-{}${}:{}${}:{}", hash == Hash::Sha1 ? "1" : "256", iterations,
                       encode_base64(salt), encode_base64(stored_key), encode_base64(server_key));
}

// RFC 5802 §3.
ScramKeys ScramKeys::from_password(Hash hash, std::string_view password, std::string_view salt,
                                   uint32_t iterations) {
    const std::string salted = pbkdf2(hash, password, salt, iterations);
    return {.hash = hash,
            .iterations = iterations,
            .salt = std::string(salt),
            .stored_key = digest(hash, hmac(hash, salted, "Client Key")),
            .server_key = hmac(hash, salted, "Server Key")};
}

bool ScramKeys::knows(std::string_view password) const {
    const ScramKeys other = from_password(hash, password, salt, iterations);
    return equal_secrets(other.stored_key, stored_key);
}

std::optional<ClientFirst> parse_client_first(std::string_view text) {
    const std::string_view whole = text;
    ClientFirst first;
    const std::string_view flag = take_field(text);
    if (flag == "n" || flag == "y") {
        first.binding_flag = flag[0];
    } else if (flag.starts_with("p=") && flag.size() > 2) {
        first.binding_flag = 'p';
        first.binding_type = flag.substr(2);
    } else {
        return std::nullopt;
    }
    const std::string_view authorization = take_field(text);
    if (!authorization.empty()) {
        const auto value = value_of(authorization, 'a');
        auto name = value ? unescape_name(*value) : std::nullopt;
        if (!name) return std::nullopt;
        first.authorization = std::move(*name);
    }
    first.header = whole.substr(0, whole.size() - text.size());
    // Without the second comma there is no header.
    if (!first.header.ends_with(',')) return std::nullopt;
    first.bare = text;
    const auto user = value_of(take_field(text), 'n');
    auto name = user ? unescape_name(*user) : std::nullopt;
    const auto nonce = value_of(take_field(text), 'r');
    if (!name || !nonce || !is_nonce(*nonce) || !are_extensions(text)) return std::nullopt;
    first.user = std::move(*name);
    first.nonce = *nonce;
    return first;
}

std::optional<ServerFirst> parse_server_first(std::string_view text) {
    ServerFirst first;
    const auto nonce = value_of(take_field(text), 'r');
    const auto salt = value_of(take_field(text), 's');
    const auto iterations = value_of(take_field(text), 'i');
    if (!nonce || !salt || !iterations || !is_nonce(*nonce) || !are_extensions(text)) {
        return std::nullopt;
    }
    auto octets = decode_base64(*salt);
    const auto count = parse_iterations(*iterations);
    if (!octets || octets->empty() || !count) return std::nullopt;
    first.nonce = *nonce;
    first.salt = std::move(*octets);
    first.iterations = *count;
    return first;
}

std::optional<ClientFinal> parse_client_final(std::string_view text) {
    const std::size_t proof_at = text.rfind(",p=");
    if (proof_at == std::string_view::npos) return std::nullopt;
    ClientFinal final;
    final.without_proof = text.substr(0, proof_at);
    auto proof = decode_base64(text.substr(proof_at + 3));
    std::string_view rest = final.without_proof;
    const auto binding = value_of(take_field(rest), 'c');
    auto octets = binding ? decode_base64(*binding) : std::nullopt;
    const auto nonce = value_of(take_field(rest), 'r');
    if (!proof || !octets || !nonce || !is_nonce(*nonce) || !are_extensions(rest)) {
        return std::nullopt;
    }
    final.binding = std::move(*octets);
    final.nonce = *nonce;
    final.proof = std::move(*proof);
    return final;
}

std::string escape_name(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (c == ',') {
            out += "=2C";
        } else if (c == '=') {
            out += "=3D";
        } else {
            out += c;
        }
    }
    return out;
}

std::string client_signature(const ScramKeys& keys, std::string_view auth_message) {
    return hmac(keys.hash, keys.stored_key, auth_message);
}

std::string server_signature(const ScramKeys& keys, std::string_view auth_message) {
    return hmac(keys.hash, keys.server_key, auth_message);
}

std::string exclusive_or(std::string_view a, std::string_view b) {
    assert(a.size() == b.size());
    std::string out(a);
    for (std::size_t i = 0; i < out.size(); i++) out[i] = static_cast<char>(out[i] ^ b[i]);
    return out;
}

std::string nonce_of(std::string_view random_octets) { return encode_base64(random_octets); }

}  // namespace postrider::smtp::sasl
