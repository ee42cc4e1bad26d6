// world/real/real_tls.h: TLS by OpenSSL.
//
// Threads: any shard.

#pragma once

#include "world/clock.h"
#include "world/executor.h"
#include "world/tls.h"

namespace postrider::world::real {

class RealTls : public Tls {
public:
    RealTls(Executor& executor, Clock& clock) : executor_(executor), clock_(clock) {}

    Result<std::shared_ptr<const TlsServerContext>, TlsError> server_context(
        TlsServerOptions options) override;
    Result<std::shared_ptr<const TlsClientContext>, TlsError> client_context(
        TlsClientOptions options) override;
    Task<Result<std::unique_ptr<TlsStream>, TlsError>> accept(
        std::shared_ptr<Stream> stream, std::shared_ptr<const TlsServerContext> context,
        Deadline deadline) override;
    Task<Result<std::unique_ptr<TlsStream>, TlsError>> connect(
        std::shared_ptr<Stream> stream, std::shared_ptr<const TlsClientContext> context,
        TlsPeer peer, Deadline deadline) override;

private:
    Executor& executor_;
    Clock& clock_;
};

}  // namespace postrider::world::real
