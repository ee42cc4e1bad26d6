// What is known of a TLS connection after its handshake, and its channel bindings.

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>
#include <span>

#include "world/real/openssl_engine.h"

namespace postrider::world::real {

namespace {

std::string text_or_empty(const char* text) { return text ? text : ""; }

std::string octets_of(std::span<const unsigned char> octets) {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

std::string hex(std::span<const unsigned char> octets) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (unsigned char octet : octets) {
        out += kDigits[octet >> 4U];
        out += kDigits[octet & 15U];
    }
    return out;
}

std::string digest_of(X509* certificate, const EVP_MD* kind) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (X509_digest(certificate, kind, digest.data(), &size) != 1) return {};
    return octets_of(std::span(digest).first(size));
}

// RFC 9266 §2: 32 octets, label EXPORTER-Channel-Binding, context of length nought.
std::optional<std::string> exporter(SSL* ssl) {
    constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
    std::array<unsigned char, 32> out;
    if (SSL_version(ssl) != TLS1_3_VERSION) return std::nullopt;
    if (SSL_export_keying_material(ssl, out.data(), out.size(), kLabel.data(), kLabel.size(),
                                   nullptr, 0, 1) != 1) {
        ERR_clear_error();
        return std::nullopt;
    }
    return octets_of(out);
}

// RFC 5929 §3: the first Finished message of the handshake. That is the client's, but the server's
// where a session is resumed. RFC 7627 §5.4: worth nothing without the extended master secret.
std::optional<std::string> unique(SSL* ssl) {
    if (SSL_version(ssl) != TLS1_2_VERSION || SSL_get_extms_support(ssl) != 1) return std::nullopt;
    std::array<unsigned char, EVP_MAX_MD_SIZE> out;
    bool first_is_client = SSL_session_reused(ssl) == 0;
    bool first_is_ours = first_is_client != (SSL_is_server(ssl) == 1);
    std::size_t size = first_is_ours ? SSL_get_finished(ssl, out.data(), out.size())
                                     : SSL_get_peer_finished(ssl, out.data(), out.size());
    if (size == 0) return std::nullopt;
    return octets_of(std::span(out).first(size));
}

// RFC 5929 §4.1: the hash of the certificate's signature, but SHA-256 in place of MD5 and SHA-1;
// none where the signature has no single hash of its own (as Ed25519).
std::optional<std::string> end_point(X509* certificate) {
    int hash = NID_undef;
    if (!certificate ||
        X509_get_signature_info(certificate, &hash, nullptr, nullptr, nullptr) != 1 ||
        hash == NID_undef) {
        return std::nullopt;
    }
    if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
    const EVP_MD* kind = EVP_get_digestbynid(hash);
    if (!kind) return std::nullopt;
    return digest_of(certificate, kind);
}

}  // namespace

// Null where it is not known: a resumed session says nothing of it to a server.
X509* OpensslEngine::server_certificate() const {
    if (role_ == Role::Client) return SSL_get0_peer_certificate(ssl_.get());
    if (SSL_session_reused(ssl_.get()) == 1) return nullptr;
    return SSL_get_certificate(ssl_.get());
}

TlsFacts OpensslEngine::facts() const {
    SSL* ssl = ssl_.get();
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
    TlsFacts facts;
    facts.version = SSL_get_version(ssl);
    facts.cipher = text_or_empty(SSL_CIPHER_standard_name(cipher));
    facts.cipher_bits = SSL_CIPHER_get_bits(cipher, nullptr);
    facts.resumed = SSL_session_reused(ssl) == 1;
    facts.server_name = text_or_empty(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    if (role_ == Role::Server || SSL_version(ssl) == TLS1_3_VERSION) {
        int group = SSL_get_negotiated_group(ssl);
        if (group != NID_undef) facts.group = text_or_empty(SSL_group_to_name(ssl, group));
    }
    X509* peer = SSL_get0_peer_certificate(ssl);
    if (!peer) return facts;
    long verified = SSL_get_verify_result(ssl);
    facts.peer = verified == X509_V_OK ? TlsFacts::Peer::Verified : TlsFacts::Peer::NotVerified;
    if (verified != X509_V_OK) facts.not_verified = X509_verify_cert_error_string(verified);
    facts.peer_subject = subject_of(peer);
    facts.peer_names = dns_names_of(peer);
    facts.peer_emails = emails_of(peer);
    std::string fingerprint = digest_of(peer, EVP_sha256());
    facts.peer_fingerprint =
        hex({reinterpret_cast<const unsigned char*>(fingerprint.data()), fingerprint.size()});
    return facts;
}

std::optional<std::string> OpensslEngine::channel_binding(ChannelBinding kind) const {
    switch (kind) {
        case ChannelBinding::TlsExporter:
            return exporter(ssl_.get());
        case ChannelBinding::TlsUnique:
            return unique(ssl_.get());
        case ChannelBinding::TlsServerEndPoint:
            return end_point(server_certificate());
    }
    return std::nullopt;
}

}  // namespace postrider::world::real
