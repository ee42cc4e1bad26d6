#include "world/real/openssl_engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>

#include <algorithm>
#include <cassert>

namespace postrider::world::real {

namespace {

int engine_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// The BIO: its data is the wires of the call that is under way.
int bio_read(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    auto* wires = static_cast<TlsWires*>(BIO_get_data(bio));
    if (size <= 0) return 0;
    std::size_t taken = std::min(static_cast<std::size_t>(size), wires->in.size());
    if (taken == 0) {
        if (wires->in_ended) return 0;
        BIO_set_retry_read(bio);
        return -1;
    }
    std::copy_n(wires->in.data(), taken, into);
    wires->in.remove_prefix(taken);
    return static_cast<int>(taken);
}

int bio_write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    auto* wires = static_cast<TlsWires*>(BIO_get_data(bio));
    if (size <= 0) return 0;
    std::size_t taken = wires->put({from, static_cast<std::size_t>(size)});
    if (taken == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    return static_cast<int>(taken);
}

long bio_ctrl(BIO* bio, int command, long, void*) {
    switch (command) {
        case BIO_CTRL_FLUSH:
            return 1;
        case BIO_CTRL_EOF: {
            auto* wires = static_cast<TlsWires*>(BIO_get_data(bio));
            return wires && wires->in.empty() && wires->in_ended ? 1 : 0;
        }
        default:
            return 0;
    }
}

BIO_METHOD* wires_method() {
    static BIO_METHOD* method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wires");
        BIO_meth_set_read(made, bio_read);
        BIO_meth_set_write(made, bio_write);
        BIO_meth_set_ctrl(made, bio_ctrl);
        BIO_meth_set_create(made, [](BIO* bio) {
            BIO_set_init(bio, 1);
            return 1;
        });
        return made;
    }();
    return method;
}

// Binds the wires to the BIO for one call, and leaves no old errors about.
class Bound {
public:
    Bound(SSL* ssl, TlsWires& wires) : bio_(SSL_get_rbio(ssl)) {
        BIO_set_data(bio_, &wires);
        ERR_clear_error();
    }
    ~Bound() { BIO_set_data(bio_, nullptr); }
    Bound(const Bound&) = delete;
    Bound& operator=(const Bound&) = delete;

private:
    BIO* bio_;
};

std::string version_name(unsigned version) {
    switch (version) {
        case SSL3_VERSION:
            return "SSLv3";
        case TLS1_VERSION:
            return "TLSv1";
        case TLS1_1_VERSION:
            return "TLSv1.1";
        case TLS1_2_VERSION:
            return "TLSv1.2";
        case TLS1_3_VERSION:
            return "TLSv1.3";
        default:
            return "";  // GREASE (RFC 8701), and what will come
    }
}

// The versions of the extension supported_versions (RFC 8446 §4.2.1), or the one of old hellos.
std::string versions_offered(SSL* ssl) {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    std::vector<std::string> names;
    auto add = [&](unsigned version) {
        std::string name = version_name(version);
        if (!name.empty() && names.size() < 8) names.push_back(std::move(name));
    };
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &size) == 1) {
        for (std::size_t i = 1; i + 1 < size; i += 2) add(data[i] << 8U | data[i + 1]);
        return fmt::format("{}", fmt::join(names, " "));
    }
    add(SSL_client_hello_get0_legacy_version(ssl));
    return names.empty() ? "an unknown version" : names.front() + " at most";
}

}  // namespace

OpensslEngine::OpensslEngine(SslRef ssl, Role role, std::shared_ptr<const void> keeps_alive)
    : keeps_alive_(std::move(keeps_alive)), ssl_(std::move(ssl)), role_(role) {
    BIO* bio = BIO_new(wires_method());
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_ex_data(ssl_.get(), engine_index(), this);
    role == Role::Client ? SSL_set_connect_state(ssl_.get()) : SSL_set_accept_state(ssl_.get());
}

OpensslEngine* OpensslEngine::of(const SSL* ssl) {
    return static_cast<OpensslEngine*>(SSL_get_ex_data(ssl, engine_index()));
}

TlsStep OpensslEngine::handshake(TlsWires& wires) {
    Bound bound(ssl_.get(), wires);
    TlsStep step = step_of(SSL_do_handshake(ssl_.get()));
    if (step == TlsStep::Done) error_.offered = {};  // nobody will ask
    return step;
}

TlsProgress OpensslEngine::read(TlsWires& wires, std::span<char> into) {
    Bound bound(ssl_.get(), wires);
    std::size_t octets = 0;
    // One record at a time comes out; more of them are taken while there is room.
    while (octets < into.size()) {
        std::size_t got = 0;
        int result = SSL_read_ex(ssl_.get(), into.data() + octets, into.size() - octets, &got);
        if (result != 1) {
            if (octets > 0) break;  // the next call finds the same
            return {step_of(result), 0};
        }
        octets += got;
        if (wires.in.empty() && SSL_pending(ssl_.get()) == 0) break;
    }
    return {TlsStep::Done, octets};
}

TlsStep OpensslEngine::peek(TlsWires& wires) {
    Bound bound(ssl_.get(), wires);
    char octet = 0;
    std::size_t got = 0;
    return step_of(SSL_peek_ex(ssl_.get(), &octet, 1, &got));
}

TlsProgress OpensslEngine::write(TlsWires& wires, std::string_view from) {
    Bound bound(ssl_.get(), wires);
    std::size_t octets = 0;
    TlsStep step = step_of(SSL_write_ex(ssl_.get(), from.data(), from.size(), &octets));
    // TLS 1.3 has no handshake in the middle, and in 1.2 it is refused: input is never wanted.
    if (step == TlsStep::WantInput) step = TlsStep::Failed;
    return {step, octets};
}

void OpensslEngine::say_end(TlsWires& wires) {
    Bound bound(ssl_.get(), wires);
    (void)SSL_shutdown(ssl_.get());  // 0: ours is said, the peer's not heard
    ERR_clear_error();
}

TlsStep OpensslEngine::step_of(int result) {
    if (result == 1) return TlsStep::Done;
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return TlsStep::WantInput;
        case SSL_ERROR_WANT_WRITE:
            return TlsStep::WantRoom;
        case SSL_ERROR_ZERO_RETURN:
            return TlsStep::Ended;
        default:
            break;
    }
    if (error_.message.empty()) {
        long verified = SSL_get_verify_result(ssl_.get());
        bool by_certificate = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
        std::string words = openssl_words();
        if (by_certificate) words += std::string(": ") + X509_verify_cert_error_string(verified);
        error_.kind = by_certificate ? TlsError::Kind::Certificate : TlsError::Kind::Protocol;
        error_.message = std::move(words);
    }
    return TlsStep::Failed;
}

// What a client offered, for the operator who wonders why it failed: "TLSv1.3 TLSv1.2; name
// mx.example; TLS_AES_256_GCM_SHA384 ...".
void OpensslEngine::note_offer(SSL* ssl) {
    constexpr std::size_t kCiphersMax = 40;
    const unsigned char* data = nullptr;
    std::size_t size = SSL_client_hello_get0_ciphers(ssl, &data);
    std::vector<std::string_view> ciphers;
    for (std::size_t i = 0; i + 1 < size && ciphers.size() < kCiphersMax; i += 2) {
        const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, data + i);
        const char* name = cipher ? SSL_CIPHER_standard_name(cipher) : nullptr;
        if (name) ciphers.emplace_back(name);
    }
    error_.offered =
        fmt::format("{}; {} ciphers: {}", versions_offered(ssl), size / 2, fmt::join(ciphers, " "));
}

}  // namespace postrider::world::real
