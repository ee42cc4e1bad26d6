// smtp/reply_parser_fuzz.cc: any octets, cut in two ways, give the same replies and the same error,
// within the bounds, and with texts that are safe to print.

#include <cstdlib>
#include <vector>

#include "smtp/reply_parser.h"

namespace {

using namespace postrider;
using namespace postrider::smtp;

void require(bool condition) {
    if (!condition) std::abort();
}

struct Parsed {
    std::vector<Reply> replies;
    std::optional<ReplyError> error;
};

Parsed parse(std::string_view input, std::size_t first_octets) {
    Parsed parsed;
    ReplyParser parser;
    for (std::string_view chunk : {input.substr(0, first_octets), input.substr(first_octets)}) {
        while (!chunk.empty()) {
            auto reply = parser.next(chunk);
            if (!reply) {
                parsed.error = reply.error();
                return parsed;
            }
            if (*reply) parsed.replies.push_back(*std::move(*reply));
        }
    }
    return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view input(reinterpret_cast<const char*>(data), size);
    std::size_t cut = std::min<std::size_t>(data[0] * size / 256, size);
    Parsed whole = parse(input, size), parts = parse(input, cut);
    require(whole.replies == parts.replies && whole.error == parts.error);
    for (const Reply& reply : whole.replies) {
        require(reply.code >= 200 && reply.code < 600);
        require(reply.text.size() <= kReplyOctetsMax);
        for (unsigned char c : reply.text) {
            require((c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n');
        }
        if (reply.status) require(reply.status->klass == reply.code / 100);
    }
    if (whole.error) {
        require(whole.error->seen.size() <= 80);
        for (unsigned char c : whole.error->seen) require(c >= 0x20 && c < 0x7f);
    }
    return 0;
}
