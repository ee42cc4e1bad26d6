// world/tls.h: TLS over a stream that is there already, as client or as server.
//
// The problem: TLS brings files, clocks, random octets and a large foreign library with it, and
// most of what goes wrong between mail servers goes wrong in it. Rooms see a stream that became
// another stream, facts about it, and one error with words.
//
// Promise
//   1. A TlsStream keeps every promise of Stream. In addition the end of the peer is an end only if
//      the peer said so (close_notify); a connection that just ends is NetError::Reset.
//   2. close() and shut_write() say close_notify, if nothing of a write is still under way.
//   3. A handshake ends by its deadline, with a stream or with an error that names the reason in
//      the library's words and, on a server, what the client offered. After an error the connection
//      is closed.
//   4. An idle TlsStream holds no buffer.
//   5. Nothing below TLS 1.2, no renegotiation, no compression, no early data, no ALPN.
//   6. Under TlsPeer::Check::Name no stream comes out unless the certificate leads to a root and
//      bears the name.
//
// A context is what many handshakes share: certificates, roots, sessions to resume. It is immutable
// and lives as long as anybody holds it, so a new one can replace it at any time.
//
// Threads: contexts may be made and used on any shard; a stream belongs to its shard.
// RFC 8446 (TLS 1.3), RFC 5246 (1.2), RFC 6066 (SNI), RFC 5077 (tickets), RFC 6125 (names), RFC
// 5929 and RFC 9266 (channel bindings).

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "world/net.h"

namespace postrider::world {

enum class TlsVersion : uint8_t {
    Tls12,
    Tls13
};

struct TlsError {
    enum class Kind : uint8_t {
        Settings,     // a certificate, key or list of ours is of no use
        Protocol,     // the two sides did not agree, or the peer does not speak TLS
        Certificate,  // the peer's does not satisfy what was asked
        TimedOut,
        Lost,  // the connection ended or broke meanwhile
    };
    Kind kind = Kind::Protocol;
    std::string message;
    std::string offered;  // by the client, for a server's log; empty when nothing was understood
};

struct TlsFacts {
    enum class Peer : uint8_t {
        None,      // showed no certificate
        Verified,  // it leads to a root and, where one was given, bears the name
        NotVerified,
    };
    std::string version;  // "TLSv1.3"
    std::string cipher;   // IANA's name: TLS_AES_256_GCM_SHA384
    int cipher_bits = 0;
    std::string group;  // of the key exchange: x25519; empty when the library does not say
    bool resumed = false;
    std::string server_name;  // SNI, as it was sent; empty = none
    Peer peer = Peer::None;
    std::string not_verified;              // why
    std::string peer_subject;              // one line, RFC 2253
    std::vector<std::string> peer_names;   // DNS names of its certificate
    std::vector<std::string> peer_emails;  // and addresses of mail
    std::string peer_fingerprint;          // SHA-256 of the certificate, lower-case hex
};

// RFC 5929, RFC 9266.
enum class ChannelBinding : uint8_t {
    TlsExporter,        // TLS 1.3 only
    TlsUnique,          // TLS 1.2 with the extended master secret only (RFC 7627)
    TlsServerEndPoint,  // where the server's certificate is known
};

class TlsStream : public Stream {
public:
    virtual const TlsFacts& facts() const = 0;

    // The octets, or nothing where this binding must not be used.
    virtual std::optional<std::string> channel_binding(ChannelBinding kind) const = 0;
};

// A certificate with what leads to its root, and its key; as PEM.
struct TlsCertificate {
    std::string name;  // for messages: the file it came from
    std::string chain_pem;
    std::string key_pem;
};

struct TlsCertificateFacts {
    std::string name;                // of TlsCertificate
    std::string subject;             // one line
    std::vector<std::string> names;  // DNS names that it is for
    Wall not_before;
    Wall not_after;
};

struct TlsServerOptions {
    enum class ClientCertificates : uint8_t {
        None,
        Ask,  // and take any; what it is worth stands in the facts
        Require,
    };
    // By SNI; the first one for clients that name nothing or something else. Two with the same
    // names and different kinds of keys belong together: each client gets the one it can check.
    std::vector<TlsCertificate> certificates;
    TlsVersion min_version = TlsVersion::Tls12;
    ClientCertificates client_certificates = ClientCertificates::None;
    std::string client_roots_pem;  // what client certificates must lead to
};

struct TlsClientOptions {
    std::string roots_pem;     // besides the system's
    bool system_roots = true;  // false: roots_pem alone
    TlsVersion min_version = TlsVersion::Tls12;
    std::optional<TlsCertificate> certificate;  // shown when the server asks for one
    std::size_t sessions_max = 1000;            // kept to be resumed
};

class TlsServerContext {
public:
    virtual ~TlsServerContext() = default;
    virtual std::span<const TlsCertificateFacts> certificates() const = 0;
};

class TlsClientContext {
public:
    virtual ~TlsClientContext() = default;
};

// What a client wants of its server.
struct TlsPeer {
    enum class Check : uint8_t {
        None,  // any certificate; whether it would have passed stands in the facts
        Name,
    };
    std::string name;  // domain or IP address: for SNI (domains only) and the check
    Check check = Check::None;
    // Names of which one must be in the certificate, ".example.net" for any host below; empty =
    // name.
    std::vector<std::string> names;
    // Sessions are resumed with the same key, name and check only; empty = never.
    std::string session_key;
};

class Tls {
public:
    virtual ~Tls() = default;

    virtual Result<std::shared_ptr<const TlsServerContext>, TlsError> server_context(
        TlsServerOptions options) = 0;
    virtual Result<std::shared_ptr<const TlsClientContext>, TlsError> client_context(
        TlsClientOptions options) = 0;

    // The handshake over `stream`, which nobody else uses from then on but to close() it.
    virtual Task<Result<std::unique_ptr<TlsStream>, TlsError>> accept(
        std::shared_ptr<Stream> stream, std::shared_ptr<const TlsServerContext> context,
        Deadline deadline) = 0;
    virtual Task<Result<std::unique_ptr<TlsStream>, TlsError>> connect(
        std::shared_ptr<Stream> stream, std::shared_ptr<const TlsClientContext> context,
        TlsPeer peer, Deadline deadline) = 0;
};

}  // namespace postrider::world
