// Any octets as RDATA of any type: what is taken holds only names that are names, and names are the
// same when they are written and read again.

#include <cstdint>
#include <cstdlib>

#include "dns/rdata.h"

namespace {

using namespace postrider::dns;

void require(bool holds) {
    if (!holds) std::abort();
}

void require_name(const Name& name) {
    require(Name::parse(name.text()) == name);
    require(name.is_within(name.parent()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::span<const uint8_t> wire(data, size);
    for (Type type :
         {Type::A, Type::Cname, Type::Ptr, Type::Mx, Type::Txt, Type::Aaaa, Type::Tlsa}) {
        auto rdata = parse_rdata(type, wire);
        if (!rdata) continue;
        require(type_of(*rdata) == type);
        require(!text(*rdata).empty());
        if (const auto* mx = std::get_if<Mx>(&*rdata)) require_name(mx->exchange);
        if (const auto* cname = std::get_if<Cname>(&*rdata)) require_name(cname->target);
        if (const auto* txt = std::get_if<Txt>(&*rdata)) require(txt->text.size() < size);
    }
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto name = Name::parse(text)) require_name(*name);
    return 0;
}
