#include "world/real/tls_contexts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "world/real/openssl_engine.h"

namespace postrider::world::real {

namespace {

constexpr long kTicketSeconds = 2 * 60 * 60;
constexpr int kSecurityLevel = 2;  // 112 bits: RSA of 2048 bits and more

TlsError settings_error(std::string message) {
    return {TlsError::Kind::Settings, std::move(message), {}};
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// A group that this OpenSSL does not know makes the whole list fail, so it is asked first.
void choose_groups(SSL_CTX* context) {
    std::string groups = "X25519:P-256:P-384:P-521";
    constexpr const char* kHybrid = "X25519MLKEM768";
    if (SSL_CTX_set1_groups_list(context, kHybrid) == 1) {
        groups = std::string(kHybrid) + ":" + groups;
    }
    ERR_clear_error();
    SSL_CTX_set1_groups_list(context, groups.c_str());
}

SslContextRef new_context(const SSL_METHOD* method, TlsVersion min_version) {
    SslContextRef context(SSL_CTX_new(method));
    SSL_CTX_set_min_proto_version(
        context.get(), min_version == TlsVersion::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_security_level(context.get(), kSecurityLevel);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    choose_groups(context.get());
    return context;
}

X509Ref read_certificate(BIO* from) {
    return X509Ref(PEM_read_bio_X509(from, nullptr, nullptr, nullptr));
}

// No password is asked for on a terminal.
int no_password(char*, int, int, void*) { return -1; }

// The first certificate with those behind it, and the key, into the context.
Result<X509Ref, TlsError> use_certificate(SSL_CTX* context, const TlsCertificate& certificate) {
    auto wrong = [&](std::string_view what) {
        return std::unexpected(
            settings_error(fmt::format("{}: {}: {}", certificate.name, what, openssl_words())));
    };
    ERR_clear_error();
    BioRef chain = bio_of(certificate.chain_pem);
    X509Ref first = read_certificate(chain.get());
    if (!first) return wrong("no certificate can be read");
    BioRef key_bio = bio_of(certificate.key_pem);
    KeyRef key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr));
    if (!key) return wrong("no private key can be read");
    if (X509_check_private_key(first.get(), key.get()) != 1) {
        return wrong("the private key does not belong to the certificate");
    }
    if (SSL_CTX_use_certificate(context, first.get()) != 1) {
        return wrong("the certificate is of no use");
    }
    while (X509Ref next = read_certificate(chain.get())) {
        if (SSL_CTX_add1_chain_cert(context, next.get()) != 1) return wrong("the chain");
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return wrong("a certificate of the chain cannot be read");
    }
    ERR_clear_error();
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) return wrong("the private key");
    return first;
}

Status<TlsError> use_roots(SSL_CTX* context, const std::string& pem, std::string_view what) {
    ERR_clear_error();
    BioRef from = bio_of(pem);
    int count = 0;
    while (X509Ref root = read_certificate(from.get())) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get());
        count++;
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || count == 0) {
        return std::unexpected(settings_error(
            fmt::format("{}: no certificate can be read: {}", what, openssl_words())));
    }
    ERR_clear_error();
    return {};
}

Wall wall_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return Wall{static_cast<int64_t>(timegm(&parts)) * 1'000'000};
}

int choose_by_name(SSL* ssl, int*, void* context) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX* found = static_cast<const OpensslServerContext*>(context)->find(name);
    if (found) SSL_set_SSL_CTX(ssl, found);
    return found ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

int look_at_hello(SSL* ssl, int*, void*) {
    if (OpensslEngine* engine = OpensslEngine::of(ssl)) engine->note_offer(ssl);
    return SSL_CLIENT_HELLO_SUCCESS;
}

// Takes any certificate; what it is worth is looked up afterwards.
int take_any(int, X509_STORE_CTX*) { return 1; }

Status<TlsError> ask_for_certificates(SSL_CTX* context, const TlsServerOptions& options) {
    using Wanted = TlsServerOptions::ClientCertificates;
    // Without it OpenSSL refuses to resume a session in which a certificate was shown.
    constexpr std::array<unsigned char, 9> kName{'p', 'o', 's', 't', 'r', 'i', 'd', 'e', 'r'};
    SSL_CTX_set_session_id_context(context, kName.data(), kName.size());
    if (options.client_certificates == Wanted::None) return {};
    if (!options.client_roots_pem.empty()) {
        auto used = use_roots(context, options.client_roots_pem, "roots of client certificates");
        if (!used) return used;
    }
    if (options.client_certificates == Wanted::Require) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    } else {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, take_any);
    }
    return {};
}

std::string session_key_of(const TlsPeer& peer) {
    if (peer.session_key.empty()) return {};
    return fmt::format("{}\n{}\n{}\n{}", peer.session_key, peer.name, static_cast<int>(peer.check),
                       fmt::join(peer.names, " "));
}

// Where the client context and the session's key of an SSL are kept for the callback.
struct ClientMark {
    const OpensslClientContext* context;
    std::string session_key;
};

int mark_index() {
    static const int index = SSL_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* mark, CRYPTO_EX_DATA*, int, long, void*) {
            delete static_cast<ClientMark*>(mark);
        });
    return index;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* mark = static_cast<ClientMark*>(SSL_get_ex_data(ssl, mark_index()));
    if (mark && !mark->session_key.empty()) mark->context->keep(ssl, session);
    return 0;  // not taken over: keep() has made a copy of its own
}

}  // namespace

Result<std::shared_ptr<const OpensslServerContext>, TlsError> OpensslServerContext::make(
    const TlsServerOptions& options) {
    if (options.certificates.empty()) {
        return std::unexpected(settings_error("TLS needs a certificate"));
    }
    auto made = std::make_shared<OpensslServerContext>();
    for (const TlsCertificate& certificate : options.certificates) {
        auto added = made->add(certificate, options);
        if (!added) return std::unexpected(added.error());
    }
    for (std::size_t i = 0; i < made->names_.size(); i++) {
        for (const std::string& name : made->names_[i]) made->by_name_.try_emplace(name, i);
    }
    SSL_CTX* first = made->contexts_.front().get();
    SSL_CTX_set_client_hello_cb(first, look_at_hello, nullptr);
    SSL_CTX_set_tlsext_servername_callback(first, choose_by_name);
    SSL_CTX_set_tlsext_servername_arg(first, made.get());
    return made;
}

// A certificate for names that are there already joins the others with its own kind of key.
Status<TlsError> OpensslServerContext::add(const TlsCertificate& certificate,
                                           const TlsServerOptions& options) {
    SslContextRef fresh = new_context(TLS_server_method(), options.min_version);
    auto first = use_certificate(fresh.get(), certificate);
    if (!first) return std::unexpected(first.error());
    std::vector<std::string> names = dns_names_of(first->get());
    for (std::string& name : names) name = lower(name);
    std::ranges::sort(names);
    facts_.push_back({certificate.name, subject_of(first->get()), names,
                      wall_of(X509_get0_notBefore(first->get())),
                      wall_of(X509_get0_notAfter(first->get()))});
    auto known = std::ranges::find(names_, names);
    if (known != names_.end()) {
        auto joined = use_certificate(contexts_[known - names_.begin()].get(), certificate);
        if (!joined) return std::unexpected(joined.error());
        return {};
    }
    SSL_CTX_set_session_cache_mode(fresh.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(fresh.get(), kTicketSeconds);
    SSL_CTX_set_num_tickets(fresh.get(), 1);
    auto asked = ask_for_certificates(fresh.get(), options);
    if (!asked) return asked;
    contexts_.push_back(std::move(fresh));
    names_.push_back(std::move(names));
    return {};
}

SSL_CTX* OpensslServerContext::find(std::string_view server_name) const {
    std::string name = lower(server_name);
    if (name.ends_with('.')) name.pop_back();
    auto known = by_name_.find(name);
    std::size_t dot = name.find('.');
    if (known == by_name_.end() && dot != std::string::npos) {
        known = by_name_.find("*" + name.substr(dot));
    }
    return known == by_name_.end() ? nullptr : contexts_[known->second].get();
}

Result<std::shared_ptr<const OpensslClientContext>, TlsError> OpensslClientContext::make(
    TlsClientOptions options) {
    auto made = std::make_shared<OpensslClientContext>();
    made->context_ = new_context(TLS_client_method(), options.min_version);
    made->sessions_max_ = options.sessions_max;
    SSL_CTX* context = made->context_.get();
    if (options.system_roots) SSL_CTX_set_default_verify_paths(context);
    if (!options.roots_pem.empty()) {
        auto used = use_roots(context, options.roots_pem, "roots");
        if (!used) return std::unexpected(used.error());
    }
    if (options.certificate) {
        auto used = use_certificate(context, *options.certificate);
        if (!used) return std::unexpected(used.error());
    }
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return made;
}

SslRef OpensslClientContext::new_ssl(const TlsPeer& peer) const {
    SslRef ssl(SSL_new(context_.get()));
    bool is_domain = !peer.name.empty() && !IpAddress::parse(peer.name);
    if (is_domain) SSL_set_tlsext_host_name(ssl.get(), peer.name.c_str());
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool first = true;
    auto accept_name = [&](const std::string& name) {
        if (name.empty()) return;
        // Takes an IP address, too.
        std::exchange(first, false) ? SSL_set1_host(ssl.get(), name.c_str())
                                    : SSL_add1_host(ssl.get(), name.c_str());
    };
    if (peer.names.empty()) accept_name(peer.name);
    for (const std::string& name : peer.names) accept_name(name);
    bool check = peer.check == TlsPeer::Check::Name;
    SSL_set_verify(ssl.get(), check ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);

    auto mark = std::make_unique<ClientMark>(ClientMark{this, session_key_of(peer)});
    if (!mark->session_key.empty()) {
        std::lock_guard lock(mutex_);
        // RFC 8446 §C.4: a ticket is used once.
        if (auto known = sessions_.extract(mark->session_key)) {
            SSL_SESSION* session = known.mapped().get();
            SSL_set_session(ssl.get(), session);
            if (SSL_SESSION_get_protocol_version(session) != TLS1_3_VERSION) {
                // A copy: OpenSSL spoils the session of a connection that just ends.
                known.mapped() = SslSessionRef(SSL_SESSION_dup(session));
                if (known.mapped()) sessions_.insert(std::move(known));
            }
        }
    }
    SSL_set_ex_data(ssl.get(), mark_index(), mark.release());
    return ssl;
}

void OpensslClientContext::keep(const SSL* ssl, SSL_SESSION* session) const {
    if (sessions_max_ == 0) return;
    auto* mark = static_cast<ClientMark*>(SSL_get_ex_data(ssl, mark_index()));
    // A copy: the connection that it came from goes on changing its own.
    SslSessionRef copy(SSL_SESSION_dup(session));
    if (!copy) return;
    std::lock_guard lock(mutex_);
    if (sessions_.size() >= sessions_max_) sessions_.erase(sessions_.begin());
    sessions_[mark->session_key] = std::move(copy);
}

}  // namespace postrider::world::real
