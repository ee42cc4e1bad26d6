#include "route/host_order.h"

#include <fmt/format.h>

#include <algorithm>

#include "route/hosts.h"

namespace postrider::route {

namespace {

using world::IpAddress;

template <typename Record>
std::vector<IpAddress> addresses_of(const dns::Answer& answer, IpAddress::Family family) {
    std::vector<IpAddress> out;
    for (const Record& record : answer.all<Record>()) {
        IpAddress address{.family = family};
        std::copy(record.octets.begin(), record.octets.end(), address.octets.begin());
        // A mapped address becomes IPv4, as everywhere.
        if (family == IpAddress::Family::V6) address = *IpAddress::parse(address.text());
        if (!is_usable(address)) continue;
        if (std::find(out.begin(), out.end(), address) == out.end()) out.push_back(address);
    }
    return out;
}

// FNV-1a, 64 bits. A collision makes two sites share limits; whoever wants that may as well name
// the other's hosts.
uint64_t hash_of(std::string_view text) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
    return hash;
}

}  // namespace

bool is_usable(const IpAddress& address) {
    const auto& octets = address.octets;
    if (address.family == IpAddress::Family::V4) return octets[0] != 0 && octets[0] < 224;
    bool is_any = std::all_of(octets.begin(), octets.end(), [](uint8_t o) { return o == 0; });
    return !is_any && octets[0] != 0xFF;
}

std::vector<IpAddress> interleaved(const dns::Answer& v6, const dns::Answer& v4) {
    auto first = addresses_of<dns::Aaaa>(v6, IpAddress::Family::V6);
    auto second = addresses_of<dns::A>(v4, IpAddress::Family::V4);
    std::vector<IpAddress> out;
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); i++) {
        if (i < first.size()) out.push_back(first[i]);
        if (i < second.size()) out.push_back(second[i]);
    }
    return out;
}

std::string bounded_site(std::string text) {
    if (text.size() <= kSiteOctetsMax) return text;
    std::string hash = fmt::format("#{:016x}", hash_of(text));
    text.resize(kSiteOctetsMax - hash.size());
    return text + hash;
}

std::string mx_site(std::vector<dns::Name> names) {
    std::sort(names.begin(), names.end());
    std::string text = "mx:";
    for (const dns::Name& name : names) {
        if (text.size() > 3) text += ',';
        text += name.text();
    }
    return bounded_site(std::move(text));
}

}  // namespace postrider::route
