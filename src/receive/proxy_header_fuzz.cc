// Any octets as a PROXY header: in one piece and in pieces of one octet it is read as the same, no
// octet behind it is wanted, and it is bounded.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "receive/proxy_header.h"

namespace {

using postrider::receive::ProxyHeaderReader;

// How many octets were used.
std::size_t read(ProxyHeaderReader& reader, std::string_view input, std::size_t cut) {
    std::size_t used = 0;
    while (reader.state() == ProxyHeaderReader::State::More && used < input.size()) {
        const std::size_t wanted = reader.wants();
        if (wanted == 0 || wanted > ProxyHeaderReader::kV2OctetsMax) std::abort();
        const std::string_view piece = input.substr(used, std::min(wanted, cut));
        reader.feed(piece);
        used += piece.size();
    }
    return used;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    ProxyHeaderReader whole, single;
    const std::size_t used = read(whole, input, SIZE_MAX);
    const std::size_t used_singly = read(single, input, 1);
    if (used > ProxyHeaderReader::kV2OctetsMax) std::abort();
    if (whole.state() != single.state()) std::abort();
    const bool good = whole.state() == ProxyHeaderReader::State::Client ||
                      whole.state() == ProxyHeaderReader::State::Itself;
    if (good && (used != used_singly || whole.client() != single.client())) std::abort();
    return 0;
}
