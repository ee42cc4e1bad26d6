// tests/program/name_server.h: somebody else's DNS server (NSD) for a test, on a port of loopback,
// with the zones of tests/program/zones.
//
// NSD lies in build/peers (tools/peers), or where POSTRIDER_PEERS says. Each server has a folder of
// its own and ends with the test.

#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace postrider {

class NameServer {
public:
    NameServer();
    ~NameServer();
    NameServer(const NameServer&) = delete;
    NameServer& operator=(const NameServer&) = delete;

    // Returns when it answers.
    Status<Error> start();

    // Before start(): serves signed.zone too, as "secure", and as "altered" with an address changed
    // after it was signed. The keys of both are in trust_anchors().
    Status<Error> sign_zones();
    std::string trust_anchors() const { return directory_ + "/anchors"; }

    void kill();

    uint16_t port() const { return port_; }
    // As a forwarder: "127.0.0.1@5353".
    std::string forwarder() const { return "127.0.0.1@" + std::to_string(port_); }

private:
    Status<Error> sign(const std::string& zone);
    Status<Error> wait_until_it_answers();

    std::string directory_;
    std::string more_zones_;  // configuration
    uint16_t port_ = 0;
    int process_ = -1;
};

}  // namespace postrider
