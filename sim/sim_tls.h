// sim/sim_tls.h: TLS of a simulated host: a toy that fails as the real one does.
//
// The problem: what matters in the simulator is not arithmetic but outcomes: a handshake that
// fails, hangs or breaks off, a certificate that is the wrong one, and whether any octet of a
// message went in plaintext that must not. So the toy has hellos, certificates with names and
// roots, records, alerts and close_notify, each by one octet of a type, and hides data by a mask:
// a watcher of the net that looks for a text finds it only where it went in plaintext.
//
// The driver is production code (world/tls_stream.h), so records are cut, delayed and lost as the
// simulated net has it.
//
// A certificate is the text "sim names=a.example,*.b.example root=NAME expired=no"; roots are names
// of roots, separated by blanks; the system's root is "world". Channel bindings are made up, equal
// on both sides and different for each connection.
//
// Threads: one.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "world/tls.h"

namespace postrider::sim {

struct HostState;

// What becomes of a handshake in which the host is the server.
enum class TlsOutcome : uint8_t {
    Works,
    Refused,           // an alert in place of an answer
    WrongCertificate,  // names somebody else
    Expired,
    Hangs,     // no answer
    BreaksOff  // the connection ends in the middle
};

class SimTls : public world::Tls {
public:
    explicit SimTls(HostState& host) : host_(host) {}

    Result<std::shared_ptr<const world::TlsServerContext>, world::TlsError> server_context(
        world::TlsServerOptions options) override;
    Result<std::shared_ptr<const world::TlsClientContext>, world::TlsError> client_context(
        world::TlsClientOptions options) override;
    Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> accept(
        std::shared_ptr<world::Stream> stream,
        std::shared_ptr<const world::TlsServerContext> context, Deadline deadline) override;
    Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> connect(
        std::shared_ptr<world::Stream> stream,
        std::shared_ptr<const world::TlsClientContext> context, world::TlsPeer peer,
        Deadline deadline) override;

    // Asked at each handshake as a server; empty: it works.
    std::function<TlsOutcome()> outcome;

private:
    HostState& host_;
    uint64_t handshakes_ = 0;
};

// A certificate of the toy.
world::TlsCertificate sim_certificate(std::string_view names, std::string_view root = "world");

}  // namespace postrider::sim
