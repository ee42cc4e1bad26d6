// What a TLS handshake costs, and what an idle session holds, beside bare OpenSSL over its own
// memory buffers. CPU of both sides together, since they run on one thread.

#include <benchmark/benchmark.h>
#include <malloc.h>
#include <openssl/bio.h>

#include <cstdlib>
#include <vector>

#include "world/real/openssl_engine.h"
#include "world/real/self_signed.h"
#include "world/real/tls_contexts.h"

namespace postrider::world::real {
namespace {

constexpr int kSessions = 200;  // held at once, to measure memory

struct Contexts {
    std::shared_ptr<const OpensslServerContext> server;
    std::shared_ptr<const OpensslClientContext> client;
};

const Contexts& contexts(KeyKind kind) {
    auto make = [](KeyKind which) {
        TlsCertificate certificate = *self_signed({"bench.example"}, 1, which);
        TlsServerOptions server;
        server.certificates.push_back(certificate);
        TlsClientOptions client{.roots_pem = certificate.chain_pem, .system_roots = false};
        return Contexts{*OpensslServerContext::make(server), *OpensslClientContext::make(client)};
    };
    static const Contexts ecdsa = make(KeyKind::Ecdsa);
    static const Contexts rsa = make(KeyKind::Rsa);
    return kind == KeyKind::Rsa ? rsa : ecdsa;
}

TlsPeer peer(bool resumes) {
    return {.name = "bench.example",
            .check = TlsPeer::Check::Name,
            .session_key = resumes ? "bench" : ""};
}

// Two engines, and the octets between them.
struct Pair {
    Pair(const Contexts& both, bool resumes)
        : client(both.client->new_ssl(peer(resumes)), OpensslEngine::Role::Client, both.client),
          server(both.server->new_ssl(), OpensslEngine::Role::Server, both.server) {}

    static std::string take(TlsWires& wires) {
        std::string out(wires.out_octets > 0 ? wires.out_block.borrow() : "", wires.out_octets);
        wires.out_octets = 0;
        wires.out_block.release();
        return out;
    }

    void shake() {
        TlsStep at_client = TlsStep::WantInput;
        TlsStep at_server = TlsStep::WantInput;
        std::string to_client;
        while (at_client != TlsStep::Done || at_server != TlsStep::Done) {
            client_wires.in = to_client;
            at_client = client.handshake(client_wires);
            std::string to_server = take(client_wires);
            server_wires.in = to_server;
            at_server = server.handshake(server_wires);
            to_client = take(server_wires);
            if (at_client == TlsStep::Failed || at_server == TlsStep::Failed) std::abort();
        }
        // The ticket.
        client_wires.in = to_client;
        (void)client.peek(client_wires);
    }

    OpensslEngine client, server;
    TlsWires client_wires, server_wires;
};

void handshake(benchmark::State& state, KeyKind kind, bool resumes) {
    const Contexts& both = contexts(kind);
    if (resumes) Pair(both, true).shake();
    for (auto _ : state) Pair(both, resumes).shake();
}

// The same by OpenSSL's own means, over buffers in memory that grow with what is in them.
struct Bare {
    explicit Bare(const Contexts& both)
        : client(both.client->new_ssl(peer(false))), server(both.server->new_ssl()) {
        BIO* to_server = BIO_new(BIO_s_mem());
        BIO* to_client = BIO_new(BIO_s_mem());
        BIO_up_ref(to_server);
        BIO_up_ref(to_client);
        SSL_set_bio(client.get(), to_client, to_server);
        SSL_set_bio(server.get(), to_server, to_client);
        SSL_set_connect_state(client.get());
        SSL_set_accept_state(server.get());
    }
    void shake() {
        while (SSL_do_handshake(client.get()) != 1 || SSL_do_handshake(server.get()) != 1) {
            (void)SSL_do_handshake(server.get());
        }
        char octet = 0;  // The ticket.
        std::size_t got = 0;
        (void)SSL_peek_ex(client.get(), &octet, 1, &got);
    }
    SslRef client, server;
};

void bare_handshake(benchmark::State& state, KeyKind kind) {
    const Contexts& both = contexts(kind);
    for (auto _ : state) Bare(both).shake();
}

// Octets of the heap for each pair of idle sessions, halved: the two sides hold about as much.
template <typename Both, typename... Arguments>
void idle_memory(benchmark::State& state, Arguments... arguments) {
    const Contexts& both = contexts(KeyKind::Ecdsa);
    {
        Both(both, arguments...).shake();
    }
    for (auto _ : state) {
        std::vector<std::unique_ptr<Both>> held;
        auto before = static_cast<double>(mallinfo2().uordblks);
        for (int i = 0; i < kSessions; i++) {
            held.push_back(std::make_unique<Both>(both, arguments...));
            held.back()->shake();
        }
        auto after = static_cast<double>(mallinfo2().uordblks);
        state.counters["octets_per_session"] = (after - before) / kSessions / 2;
    }
}

BENCHMARK_CAPTURE(handshake, ecdsa, KeyKind::Ecdsa, false);
BENCHMARK_CAPTURE(bare_handshake, ecdsa, KeyKind::Ecdsa);
BENCHMARK_CAPTURE(handshake, rsa, KeyKind::Rsa, false);
BENCHMARK_CAPTURE(bare_handshake, rsa, KeyKind::Rsa);
BENCHMARK_CAPTURE(handshake, ecdsa_resumed, KeyKind::Ecdsa, true);
void idle(benchmark::State& state) { idle_memory<Pair>(state, false); }
void bare_idle(benchmark::State& state) { idle_memory<Bare>(state); }
BENCHMARK(idle)->Iterations(1);
BENCHMARK(bare_idle)->Iterations(1);

}  // namespace
}  // namespace postrider::world::real
