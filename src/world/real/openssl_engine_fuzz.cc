// Fuzz target: a server's handshake with a client who says anything, in any cuts. It ends, the
// error has words, and what was offered is one line of printable text.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "world/real/openssl_engine.h"
#include "world/real/self_signed.h"
#include "world/real/tls_contexts.h"

namespace {

using namespace postrider::world;
using namespace postrider::world::real;

void require(bool holds) {
    if (!holds) std::abort();
}

const OpensslServerContext& context() {
    static auto made = [] {
        TlsServerOptions options;
        options.certificates.push_back(*self_signed({"fuzz.example"}, 1));
        options.client_certificates = TlsServerOptions::ClientCertificates::Ask;
        return *OpensslServerContext::make(options);
    }();
    return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    std::size_t cut = 1 + data[0];
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    OpensslEngine engine(context().new_ssl(), OpensslEngine::Role::Server, nullptr);
    TlsWires wires;
    for (;;) {
        TlsStep step = engine.handshake(wires);
        require(step != TlsStep::Done);  // nobody guesses a Finished message
        if (step == TlsStep::WantRoom) require(wires.out_octets > 0);
        wires.out_octets = 0;
        if (step == TlsStep::Failed) break;
        if (step != TlsStep::WantInput) continue;
        require(wires.in.empty() && !wires.in_ended);
        wires.in = rest.substr(0, cut);
        rest.remove_prefix(wires.in.size());
        wires.in_ended = wires.in.empty();
    }
    require(!engine.error().message.empty());
    require(engine.error().offered.size() < 4096);
    for (char c : engine.error().offered) require(c >= ' ' && c <= '~');
    return 0;
}
