#include "world/real/real_tls.h"

#include "world/real/openssl_engine.h"
#include "world/real/tls_contexts.h"
#include "world/tls_stream.h"

namespace postrider::world::real {

Result<std::shared_ptr<const TlsServerContext>, TlsError> RealTls::server_context(
    TlsServerOptions options) {
    return OpensslServerContext::make(options);
}

Result<std::shared_ptr<const TlsClientContext>, TlsError> RealTls::client_context(
    TlsClientOptions options) {
    return OpensslClientContext::make(std::move(options));
}

Task<Result<std::unique_ptr<TlsStream>, TlsError>> RealTls::accept(
    std::shared_ptr<Stream> stream, std::shared_ptr<const TlsServerContext> context,
    Deadline deadline) {
    // Contexts come from here alone.
    const auto& own = static_cast<const OpensslServerContext&>(*context);
    auto engine =
        std::make_unique<OpensslEngine>(own.new_ssl(), OpensslEngine::Role::Server, context);
    return tls_handshake(std::move(stream), std::move(engine), executor_, clock_, deadline);
}

Task<Result<std::unique_ptr<TlsStream>, TlsError>> RealTls::connect(
    std::shared_ptr<Stream> stream, std::shared_ptr<const TlsClientContext> context, TlsPeer peer,
    Deadline deadline) {
    const auto& own = static_cast<const OpensslClientContext&>(*context);
    auto engine =
        std::make_unique<OpensslEngine>(own.new_ssl(peer), OpensslEngine::Role::Client, context);
    return tls_handshake(std::move(stream), std::move(engine), executor_, clock_, deadline);
}

}  // namespace postrider::world::real
