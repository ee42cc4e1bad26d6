// mail/bounce_fuzz.cc: any octets are read as a bounce and as parts, within the bounds.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/limits.h"
#include "mail/bounce.h"
#include "mail/mime.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider;
    if (size > 64 * 1024) return 0;
    std::string_view message(reinterpret_cast<const char*>(data), size);
    Bounce bounce = read_bounce(message);
    if (bounce.recipients.size() > kBouncedRecipientsMax) std::abort();
    if (bounce.recipients.empty() == (bounce.kind == Bounce::Kind::Report)) std::abort();
    for (const BouncedRecipient& one : bounce.recipients) {
        if (one.address.empty() || one.text.size() > kReasonOctetsMax + 1) std::abort();
        if (one.permanent && one.action != BouncedRecipient::Action::Failed) std::abort();
    }
    std::vector<MimePart> parts = mime_parts(message);
    if (parts.empty() || parts.size() > 2 * kMimePartsMax) std::abort();
    for (const MimePart& part : parts) {
        if (part.depth > kMimeDepthMax) std::abort();
        if (part.body.data() + part.body.size() > message.data() + size) std::abort();
        if (part.decoded().size() > part.body.size()) std::abort();
    }
    return 0;
}
