// Any argument of XCLIENT and XFORWARD: what is taken has its form, and what is told in the log is
// one line; what is refused is refused with 501.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "smtp/told_client.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider::smtp;
    const std::string_view argument(reinterpret_cast<const char*>(data), size);
    for (const ToldCommand command : {ToldCommand::XClient, ToldCommand::XForward}) {
        const auto told = parse_told_client(command, argument);
        if (!told) {
            if (told.error().code != 501 || told.error().text.contains('\n')) std::abort();
            continue;
        }
        for (std::size_t i = 0; i < kToldNameCount; ++i) {
            const auto& attribute = (*told)[static_cast<ToldName>(i)];
            if (attribute.value.size() > 255 || (!attribute.told && !attribute.value.empty())) {
                std::abort();
            }
        }
        for (const char c : told->text()) {
            if (static_cast<unsigned char>(c) < 32) std::abort();
        }
    }
    return 0;
}
