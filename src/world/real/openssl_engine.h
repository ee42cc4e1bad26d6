// world/real/openssl_engine.h: OpenSSL as a TlsEngine: octets in, octets out, no descriptor.
//
// An SSL object reads and writes through a BIO of our own, which takes from and puts into the wires
// of the call that is under way; between calls it is bound to nothing. So no buffer stands between
// OpenSSL and the blocks lent by tls_stream.h, and with SSL_MODE_RELEASE_BUFFERS an idle session is
// its SSL object alone.
//
// Signing and key exchange run inside handshake(), on the shard, without a journey to a worker;
// real_tls_bench.cc measures them beside bare OpenSSL.
//
// Threads: one shard's.

#pragma once

#include <string>

#include "world/real/openssl_words.h"
#include "world/tls_stream.h"

namespace postrider::world::real {

class OpensslEngine : public TlsEngine {
public:
    enum class Role : uint8_t {
        Client,
        Server
    };

    // `keeps_alive`: the context that the SSL was made from, with what its callbacks use.
    OpensslEngine(SslRef ssl, Role role, std::shared_ptr<const void> keeps_alive);

    TlsStep handshake(TlsWires& wires) override;
    TlsProgress read(TlsWires& wires, std::span<char> into) override;
    TlsStep peek(TlsWires& wires) override;
    TlsProgress write(TlsWires& wires, std::string_view from) override;
    void say_end(TlsWires& wires) override;
    TlsError error() const override { return error_; }
    TlsFacts facts() const override;
    std::optional<std::string> channel_binding(ChannelBinding kind) const override;

    // From the callback that sees the client's first words.
    void note_offer(SSL* ssl);

    // The engine of an SSL, for callbacks.
    static OpensslEngine* of(const SSL* ssl);

private:
    TlsStep step_of(int result);
    X509* server_certificate() const;

    std::shared_ptr<const void> keeps_alive_;  // before ssl_: goes after it
    SslRef ssl_;
    Role role_;
    TlsError error_;
};

}  // namespace postrider::world::real
