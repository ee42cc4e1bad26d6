// world/real/tls_contexts.h: what many handshakes share, as OpenSSL's contexts.
//
// Server: one SSL_CTX for each set of names; the first one begins each handshake and holds the keys
// of the session tickets, the others only lend their certificates (SNI). Sessions live in tickets
// alone, so the server keeps nothing; a new context has new keys, and its clients shake hands anew.
// Client: sessions to resume, by key, name and check; bounded, any one goes when they are too many.
//
// Threads: any; the client's sessions are behind a lock, taken once or twice in a handshake.

#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "world/real/openssl_words.h"
#include "world/tls.h"

namespace postrider::world::real {

class OpensslServerContext : public TlsServerContext {
public:
    static Result<std::shared_ptr<const OpensslServerContext>, TlsError> make(
        const TlsServerOptions& options);

    std::span<const TlsCertificateFacts> certificates() const override { return facts_; }

    SslRef new_ssl() const { return SslRef(SSL_new(contexts_.front().get())); }
    // The certificates for a name, by exact match or a wildcard for its first label; else null.
    SSL_CTX* find(std::string_view server_name) const;

private:
    Status<TlsError> add(const TlsCertificate& certificate, const TlsServerOptions& options);

    std::vector<SslContextRef> contexts_;
    std::vector<std::vector<std::string>> names_;  // of each context, sorted
    std::unordered_map<std::string, std::size_t> by_name_;
    std::vector<TlsCertificateFacts> facts_;
};

class OpensslClientContext : public TlsClientContext {
public:
    static Result<std::shared_ptr<const OpensslClientContext>, TlsError> make(
        TlsClientOptions options);

    // With the name, its check, and a session to resume if there is one.
    SslRef new_ssl(const TlsPeer& peer) const;
    void keep(const SSL* ssl, SSL_SESSION* session) const;

private:
    SslContextRef context_;
    std::size_t sessions_max_ = 0;
    mutable std::mutex mutex_;
    mutable std::unordered_map<std::string, SslSessionRef> sessions_;
};

}  // namespace postrider::world::real
