// OpenSSL as an engine, both sides in one thread: what tests/contract cannot ask of every world
// (version 1.2, resumption, certificates by name and of clients).

#include "world/real/openssl_engine.h"

#include <gtest/gtest.h>

#include "world/real/self_signed.h"
#include "world/real/tls_contexts.h"

namespace postrider::world::real {
namespace {

TlsCertificate certificate_for(std::vector<std::string> names, KeyKind kind = KeyKind::Ecdsa) {
    auto made = self_signed(names, 1, kind);
    EXPECT_TRUE(made.has_value());
    made->name = names.front();
    return *made;
}

// Two engines and the octets between them.
struct Pair {
    Pair(const std::shared_ptr<const OpensslServerContext>& server_context,
         const std::shared_ptr<const OpensslClientContext>& client_context, const TlsPeer& peer,
         int max_version = 0)
        : client(limited(client_context->new_ssl(peer), max_version), OpensslEngine::Role::Client,
                 client_context),
          server(server_context->new_ssl(), OpensslEngine::Role::Server, server_context) {}

    static SslRef limited(SslRef ssl, int max_version) {
        if (max_version != 0) SSL_set_max_proto_version(ssl.get(), max_version);
        return ssl;
    }

    static std::string take(TlsWires& wires) {
        std::string out(wires.out_octets > 0 ? wires.out_block.borrow() : "", wires.out_octets);
        wires.out_octets = 0;
        return out;
    }

    // Nothing, or the error of the side that failed first.
    std::optional<TlsError> shake() {
        TlsStep at_client = TlsStep::WantInput;
        TlsStep at_server = TlsStep::WantInput;
        std::string to_client;
        for (int i = 0; i < 10 && (at_client != TlsStep::Done || at_server != TlsStep::Done); i++) {
            client_wires.in = to_client;
            at_client = client.handshake(client_wires);
            if (at_client == TlsStep::Failed) return client.error();
            std::string to_server = take(client_wires);
            server_wires.in = to_server;
            at_server = server.handshake(server_wires);
            if (at_server == TlsStep::Failed) return server.error();
            to_client = take(server_wires);
        }
        client_wires.in = to_client;  // the ticket
        EXPECT_EQ(client.peek(client_wires), TlsStep::WantInput);
        return std::nullopt;
    }

    OpensslEngine client, server;
    TlsWires client_wires, server_wires;
};

std::shared_ptr<const OpensslServerContext> server_of(const TlsServerOptions& options) {
    auto made = OpensslServerContext::make(options);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
}

std::shared_ptr<const OpensslClientContext> client_of(TlsClientOptions options) {
    auto made = OpensslClientContext::make(std::move(options));
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
}

void expect_equal_bindings(const Pair& pair, ChannelBinding kind) {
    auto one = pair.client.channel_binding(kind);
    ASSERT_TRUE(one.has_value());
    EXPECT_FALSE(one->empty());
    EXPECT_EQ(one, pair.server.channel_binding(kind));
}

TEST(OpensslEngine, BindingsAreThoseOfTheVersion) {
    TlsCertificate own = certificate_for({"mx.example"});
    auto server = server_of({.certificates = {own}});
    auto client = client_of({.roots_pem = own.chain_pem, .system_roots = false});
    TlsPeer peer{.name = "mx.example", .check = TlsPeer::Check::Name};

    Pair old(server, client, peer, TLS1_2_VERSION);
    ASSERT_FALSE(old.shake());
    EXPECT_EQ(old.client.facts().version, "TLSv1.2");
    expect_equal_bindings(old, ChannelBinding::TlsUnique);
    EXPECT_EQ(old.client.channel_binding(ChannelBinding::TlsUnique)->size(), 12u);
    EXPECT_EQ(old.client.channel_binding(ChannelBinding::TlsExporter), std::nullopt);
    expect_equal_bindings(old, ChannelBinding::TlsServerEndPoint);
    EXPECT_EQ(old.client.channel_binding(ChannelBinding::TlsServerEndPoint)->size(), 32u);

    Pair now(server, client, peer);
    ASSERT_FALSE(now.shake());
    EXPECT_EQ(now.client.facts().version, "TLSv1.3");
    expect_equal_bindings(now, ChannelBinding::TlsExporter);
    EXPECT_EQ(now.client.channel_binding(ChannelBinding::TlsExporter)->size(), 32u);
    EXPECT_EQ(now.client.channel_binding(ChannelBinding::TlsUnique), std::nullopt);
    Pair again(server, client, peer);
    ASSERT_FALSE(again.shake());
    EXPECT_NE(now.client.channel_binding(ChannelBinding::TlsExporter),
              again.client.channel_binding(ChannelBinding::TlsExporter));
}

TEST(OpensslEngine, ASessionIsResumedWithTheSameKeyAndNameOnly) {
    TlsCertificate own = certificate_for({"mx.example", "other.example"});
    auto server = server_of({.certificates = {own}});
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        auto client = client_of({.roots_pem = own.chain_pem, .system_roots = false});
        TlsPeer peer{
            .name = "mx.example", .check = TlsPeer::Check::Name, .session_key = "192.0.2.1:25"};
        int number = 0;
        for (bool resumed : {false, true, true}) {
            SCOPED_TRACE(testing::Message() << std::hex << version << " handshake " << ++number);
            Pair pair(server, client, peer, version);
            ASSERT_FALSE(pair.shake());
            EXPECT_EQ(pair.client.facts().resumed, resumed);
            EXPECT_EQ(pair.server.facts().resumed, resumed);
            EXPECT_EQ(pair.client.facts().peer, TlsFacts::Peer::Verified);
            ChannelBinding kind =
                version == TLS1_2_VERSION ? ChannelBinding::TlsUnique : ChannelBinding::TlsExporter;
            expect_equal_bindings(pair, kind);
            // The server cannot know which certificate the first handshake showed.
            if (resumed) {
                EXPECT_EQ(pair.server.channel_binding(ChannelBinding::TlsServerEndPoint),
                          std::nullopt);
            }
        }
        for (const TlsPeer& another :
             {TlsPeer{.name = "other.example",
                      .check = TlsPeer::Check::Name,
                      .session_key = "192.0.2.1:25"},
              TlsPeer{.name = "mx.example", .session_key = "192.0.2.1:25"},
              TlsPeer{.name = "mx.example", .check = TlsPeer::Check::Name}}) {
            Pair pair(server, client, another, version);
            ASSERT_FALSE(pair.shake());
            EXPECT_FALSE(pair.client.facts().resumed);
        }
    }
}

TEST(OpensslEngine, TheCertificateIsTheOneForTheName) {
    TlsCertificate first = certificate_for({"mx.example"});
    TlsCertificate second = certificate_for({"*.wild.example"}, KeyKind::Rsa);
    auto server = server_of({.certificates = {first, second}});
    ASSERT_EQ(server->certificates().size(), 2u);
    EXPECT_EQ(server->certificates()[1].names, (std::vector<std::string>{"*.wild.example"}));
    EXPECT_LT(server->certificates()[1].not_before, server->certificates()[1].not_after);
    auto client = client_of({});
    for (auto [name, want] :
         {std::pair("mx.example", "mx.example"), std::pair("A.wild.EXAMPLE", "*.wild.example"),
          std::pair("a.b.wild.example", "mx.example"), std::pair("else.example", "mx.example")}) {
        Pair pair(server, client, {.name = name});
        ASSERT_FALSE(pair.shake());
        EXPECT_EQ(pair.client.facts().peer_names, (std::vector<std::string>{want})) << name;
        EXPECT_EQ(pair.server.facts().server_name, name);
    }
}

TEST(OpensslEngine, TheNamesThatAreGivenCountAndNoOther) {
    TlsCertificate own = certificate_for({"mx.example", "*.wild.example"});
    auto server = server_of({.certificates = {own}});
    auto client = client_of({.roots_pem = own.chain_pem, .system_roots = false});
    using Names = std::vector<std::string>;
    struct Case {
        std::string name;
        Names names;
        bool is_good;
    };
    for (const Case& one :
         {Case{"mx.example", {}, true}, Case{"MX.Example", {}, true},
          Case{"other.example", {}, false}, Case{"a.wild.example", {}, true},
          Case{"a.b.wild.example", {}, false},
          // In place of the host's own name, which whoever forges the DNS chooses.
          Case{"mx.example", {"other.example"}, false}, Case{"other.example", {"mx.example"}, true},
          Case{"mx.example", {"first.example", "mx.example"}, true},
          Case{"mx.example", {"bank.example", ".bank.example"}, false},
          Case{"mx.example", {"example", ".example"}, true}}) {
        Pair checked(server, client,
                     {.name = one.name, .check = TlsPeer::Check::Name, .names = one.names});
        auto error = checked.shake();
        EXPECT_EQ(!error, one.is_good) << one.name << " " << testing::PrintToString(one.names);
        if (error) EXPECT_EQ(error->kind, TlsError::Kind::Certificate);
        Pair unchecked(server, client, {.name = one.name, .names = one.names});
        EXPECT_FALSE(unchecked.shake());
    }
}

TEST(OpensslEngine, AClientsCertificateIsJudged) {
    TlsCertificate own = certificate_for({"mx.example"});
    TlsCertificate known = certificate_for({"client.example"});
    TlsCertificate stranger = certificate_for({"stranger.example"});
    using Wanted = TlsServerOptions::ClientCertificates;
    auto asking = server_of({.certificates = {own},
                             .client_certificates = Wanted::Ask,
                             .client_roots_pem = known.chain_pem});
    auto requiring = server_of({.certificates = {own},
                                .client_certificates = Wanted::Require,
                                .client_roots_pem = known.chain_pem});
    TlsPeer peer{.name = "mx.example"};
    auto facts_of = [&](std::optional<TlsCertificate> shown) {
        Pair pair(asking, client_of({.certificate = std::move(shown)}), peer);
        EXPECT_FALSE(pair.shake());
        return pair.server.facts();
    };
    EXPECT_EQ(facts_of({}).peer, TlsFacts::Peer::None);
    TlsFacts good = facts_of(known);
    EXPECT_EQ(good.peer, TlsFacts::Peer::Verified);
    EXPECT_EQ(good.peer_names, (std::vector<std::string>{"client.example"}));
    EXPECT_EQ(good.peer_subject, "CN=client.example");
    EXPECT_EQ(good.peer_fingerprint.size(), 64u);
    TlsFacts bad = facts_of(stranger);
    EXPECT_EQ(bad.peer, TlsFacts::Peer::NotVerified);
    EXPECT_FALSE(bad.not_verified.empty());

    auto error_of = [&](std::optional<TlsCertificate> shown) {
        return Pair(requiring, client_of({.certificate = std::move(shown)}), peer).shake();
    };
    EXPECT_FALSE(error_of(known));
    EXPECT_TRUE(error_of({}));
    EXPECT_TRUE(error_of(stranger));
}

TEST(OpensslEngine, WhatIsOfNoUseIsRefusedWithItsReason) {
    TlsCertificate own = certificate_for({"mx.example"});
    TlsCertificate wrong = own;
    wrong.key_pem = certificate_for({"mx.example"}).key_pem;
    auto made = OpensslServerContext::make({.certificates = {wrong}});
    ASSERT_FALSE(made.has_value());
    EXPECT_NE(made.error().message.find("does not belong to the certificate"), std::string::npos);
    wrong = own;
    wrong.chain_pem += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    EXPECT_FALSE(OpensslServerContext::make({.certificates = {wrong}}).has_value());
    EXPECT_FALSE(OpensslClientContext::make({.roots_pem = "nothing"}).has_value());
}

TEST(OpensslEngine, AnOfferIsToldWhenNothingComesOfIt) {
    TlsCertificate own = certificate_for({"mx.example"});
    auto server = server_of({.certificates = {own}, .min_version = TlsVersion::Tls13});
    Pair pair(server, client_of({}), {.name = "mx.example"}, TLS1_2_VERSION);
    std::optional<TlsError> error = pair.shake();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->message, "unsupported protocol");
    EXPECT_TRUE(error->offered.starts_with("TLSv1.2 at most; ")) << error->offered;
    EXPECT_NE(error->offered.find("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), std::string::npos);
}

}  // namespace
}  // namespace postrider::world::real
