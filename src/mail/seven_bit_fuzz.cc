// Any octets as a message: what is converted has 7 bits and lines that are no longer, the second
// pass meets no obstacle that the first did not, and the cut changes nothing.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mail/seven_bit.h"

namespace {

using namespace postrider;

void feed(seven_bit::Walker& walker, std::string_view message, std::size_t cut) {
    for (std::size_t at = 0; at < message.size(); at += std::min(cut, message.size() - at)) {
        walker.feed(message.substr(at, cut));
    }
    walker.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    SevenBitPlan plan, cut_plan;
    feed(plan, message, SIZE_MAX);
    feed(cut_plan, message, 3);
    if (plan.obstacle() != cut_plan.obstacle()) std::abort();
    if (!plan.obstacle().empty()) return 0;
    SevenBitConverter whole(plan), cut(plan);
    feed(whole, message, SIZE_MAX);
    feed(cut, message, 3);
    const std::string out = whole.take_output();
    if (out != cut.take_output() || !whole.obstacle().empty()) std::abort();
    if (std::ranges::any_of(out, [](char c) { return (c & '\x80') != 0; })) std::abort();
    return 0;
}
