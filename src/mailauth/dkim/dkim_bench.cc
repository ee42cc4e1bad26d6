// mailauth/dkim/dkim_bench.cc: MiB/s of bodies, signatures per second, and what of it is the bare
// cost of hash and key. BM_Bare* is OpenSSL alone, with everything made ready beforehand.

#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstdlib>
#include <string>

#include "mailauth/dkim/key_cache.h"
#include "mailauth/dkim/signer.h"
#include "mailauth/dkim/verifier.h"

namespace postrider::mailauth::dkim {
namespace {

constexpr Wall kNow{1'800'000'000'000'000};
constexpr std::size_t kChunkOctets = 16 * 1024;

// Prose in lines of 70 octets; or source code, indented with tabs and spaces, aligned with runs of
// spaces, and with white space at the ends of lines.
std::string body_of(std::size_t octets, bool ragged) {
    const std::string prose =
        "The quick brown fox jumps over the lazy dog, and then it goes home.\r\n";
    const std::string code =
        "\t\tif (ready)    next =  at + 1;  \r\n        while (next != end) {\r\n\r\n";
    std::string body;
    while (body.size() < octets) body += ragged ? code : prose;
    return body;
}

const std::string& header_block() {
    static const std::string header =
        "Received: from mx.example.net (mx.example.net [192.0.2.1])\r\n"
        "\tby mx.example.org with ESMTPS id 1234567890abcdef\r\n"
        "\tfor <somebody@example.org>; Mon, 21 Sep 2026 12:00:00 +0000\r\n"
        "From: Some Body <some.body@example.net>\r\n"
        "To: Any Body <any.body@example.org>\r\n"
        "Subject: A subject of ordinary length, about nothing\r\n"
        "Date: Mon, 21 Sep 2026 12:00:00 +0000\r\n"
        "Message-ID: <12345678.1234567890@example.net>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n";
    return header;
}

const PrivateKey& rsa_key() {
    static const PrivateKey key = *PrivateKey::generate_rsa(2048);
    return key;
}

const PrivateKey& ed25519_key() {
    static const PrivateKey key = *PrivateKey::generate_ed25519();
    return key;
}

std::string sign(const PrivateKey& key, const std::string& body) {
    static const SignOptions options;
    auto signer = Signer::start(
        header_block(), {{.domain = "example.net", .selector = "s1", .key = key}}, options, kNow);
    if (!signer) std::abort();
    signer->update(body);
    return *signer->finish();
}

dns::Answer answer_of(const PrivateKey& key) {
    return {.status = dns::Answer::Status::Ok,
            .records = {dns::Txt{key_record_text(key)}},
            .ttl_seconds = 3600};
}

void BM_Body(benchmark::State& state) {
    const auto form = state.range(0) == 0 ? Canonicalization::Simple : Canonicalization::Relaxed;
    const std::string body = body_of(std::size_t{1} << 20, state.range(1) != 0);
    for (auto _ : state) {
        BodyDigest digest(form, HashAlgorithm::Sha256);
        for (std::size_t at = 0; at < body.size(); at += kChunkOctets) {
            digest.update(std::string_view(body).substr(at, kChunkOctets));
        }
        digest.finish();
        benchmark::DoNotOptimize(digest.whole());
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
BENCHMARK(BM_Body)->ArgNames({"relaxed", "ragged"})->ArgsProduct({{0, 1}, {0, 1}});

// The same without the hash.
struct Nothing {
    void put(const char* text, std::size_t size) {
        benchmark::DoNotOptimize(text);
        benchmark::DoNotOptimize(size);
    }
};
void BM_RelaxedWithoutHash(benchmark::State& state) {
    const std::string body = body_of(std::size_t{1} << 20, state.range(0) != 0);
    for (auto _ : state) {
        RelaxedBody<Nothing> relaxed{Nothing{}};
        relaxed.update(body);
        relaxed.finish();
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
BENCHMARK(BM_RelaxedWithoutHash)->ArgName("ragged")->Arg(0)->Arg(1);

void BM_BareSha256(benchmark::State& state) {
    const std::string body = body_of(static_cast<std::size_t>(state.range(0)), false);
    for (auto _ : state) {
        Digest digest(HashAlgorithm::Sha256);
        digest.update(body);
        benchmark::DoNotOptimize(digest.finish());
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
BENCHMARK(BM_BareSha256)->Arg(10 * 1024)->Arg(1 << 20);

// A whole message of 10 KiB with one signature. cold: the key record is read each time.
void BM_Verify(benchmark::State& state) {
    const PrivateKey& key = state.range(0) == 0 ? rsa_key() : ed25519_key();
    const bool cold = state.range(1) != 0;
    const std::string body = body_of(std::size_t{10} * 1024, false);
    const std::string header = sign(key, body) + header_block();
    const dns::Answer answer = answer_of(key);
    KeyCache cache;
    cache.store(*dns::Name::parse("s1._domainkey.example.net"), read_keys(answer), {});
    for (auto _ : state) {
        Verifier verifier(header);
        for (const dns::Question& question : verifier.questions()) {
            if (cold) {
                verifier.answer(question, answer);
            } else {
                verifier.answer(question, cache.find(question.name, {}));
            }
        }
        verifier.update(body);
        if (verifier.finish(kNow).signatures.at(0).code != ResultCode::Pass) std::abort();
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Verify)->ArgNames({"ed25519", "cold"})->ArgsProduct({{0, 1}, {0, 1}});

// Its floor: the hash of as many octets, and the verification with a context made beforehand.
void BM_BareVerifyRsa(benchmark::State& state) {
    const std::string body = body_of(std::size_t{10} * 1024, false);
    EVP_PKEY* key = EVP_RSA_gen(2048);
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
    unsigned char signature[256], hash[32] = {1};
    std::size_t size = sizeof signature;
    EVP_PKEY_sign_init(context);
    EVP_PKEY_CTX_set_signature_md(context, evp_md(HashAlgorithm::Sha256));
    if (EVP_PKEY_sign(context, signature, &size, hash, sizeof hash) != 1) std::abort();
    EVP_PKEY_verify_init(context);
    EVP_PKEY_CTX_set_signature_md(context, evp_md(HashAlgorithm::Sha256));
    for (auto _ : state) {
        Digest digest(HashAlgorithm::Sha256);
        digest.update(body);
        digest.update(header_block());
        benchmark::DoNotOptimize(digest.finish());
        if (EVP_PKEY_verify(context, signature, size, hash, sizeof hash) != 1) std::abort();
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_BareVerifyRsa);

void BM_Sign(benchmark::State& state) {
    const PrivateKey& key = state.range(0) == 0 ? rsa_key() : ed25519_key();
    const std::string body = body_of(std::size_t{10} * 1024, false);
    for (auto _ : state) benchmark::DoNotOptimize(sign(key, body));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Sign)->ArgName("ed25519")->Arg(0)->Arg(1);

void BM_BareSignRsa(benchmark::State& state) {
    EVP_PKEY* key = EVP_RSA_gen(2048);
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
    unsigned char signature[256], hash[32] = {1};
    EVP_PKEY_sign_init(context);
    EVP_PKEY_CTX_set_signature_md(context, evp_md(HashAlgorithm::Sha256));
    for (auto _ : state) {
        std::size_t size = sizeof signature;
        if (EVP_PKEY_sign(context, signature, &size, hash, sizeof hash) != 1) std::abort();
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_BareSignRsa);

void BM_ReadKeyRecord(benchmark::State& state) {
    const std::string record = key_record_text(state.range(0) == 0 ? rsa_key() : ed25519_key());
    for (auto _ : state) benchmark::DoNotOptimize(parse_key_record(record));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ReadKeyRecord)->ArgName("ed25519")->Arg(0)->Arg(1);

// OpenSSL's own reader of the same key, without base64 and tags.
void BM_BareReadPublicKey(benchmark::State& state) {
    const std::string der = rsa_key().public_octets();
    for (auto _ : state) {
        const auto* at = reinterpret_cast<const unsigned char*>(der.data());
        EVP_PKEY* key = d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size()));
        if (!key) std::abort();
        EVP_PKEY_free(key);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_BareReadPublicKey);

}  // namespace
}  // namespace postrider::mailauth::dkim
