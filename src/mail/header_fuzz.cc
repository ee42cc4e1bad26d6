// mail/header_fuzz.cc: on any octets, the reader's fields are the block without a gap, and the
// scanner finds the same end whatever the cut.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "mail/header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider;
    if (size == 0 || size > 64 * 1024) return 0;
    std::size_t piece = data[0] % 19 + 1;
    std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);

    HeaderReader reader(content);
    std::size_t end = 0, fields = 0;
    while (auto field = reader.next()) {
        if (field->begin != end || field->name.empty()) std::abort();
        if (field->whole.size() < field->name.size() + 1 + field->value.size()) std::abort();
        end += field->whole.size();
        fields++;
        (void)unfolded(field->value);
    }
    if (end != reader.header_octets() || reader.body_begin() > content.size()) std::abort();

    HeaderBlockScanner scanner;
    for (std::size_t at = 0; at < content.size(); at += piece) {
        scanner.feed(content.substr(at, piece));
    }
    scanner.finish();
    if (fields > kHeaderFieldsMax) {
        if (scanner.state() != HeaderBlockScanner::State::TooManyFields) std::abort();
        return 0;
    }
    if (scanner.state() != HeaderBlockScanner::State::Ended) std::abort();
    if (scanner.header_octets() != reader.header_octets()) std::abort();
    if (scanner.body_begin() != reader.body_begin()) std::abort();
    if (scanner.field_count() != fields) std::abort();
    return 0;
}
