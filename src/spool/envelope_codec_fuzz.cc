// Any octets as a Message's fields or a record's payload: no crash; what is understood once is
// understood the same after being written again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "spool/payload.h"

using namespace postrider;
using namespace postrider::spool;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void message_again(const MessageFields& fields) {
    std::string octets;
    encode_message(fields.envelope, fields.header_octets, fields.has_8bit, fields.content_octets,
                   octets);
    auto again = decode_message(octets);
    require(again && *again == fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    std::string_view octets(reinterpret_cast<const char*>(data), size);
    if (auto fields = decode_message(octets)) message_again(*fields);
    if (auto payload = parse_payload(octets)) {
        for (const MessageItem& item : payload->messages) message_again(item.fields);
        for (const RecipientChange& change : payload->changes) {
            std::string written;
            put_change(change, written);
            auto again = parse_payload(written);
            require(again && again->changes.size() == 1 && again->changes[0] == change);
        }
    }
    return 0;
}
