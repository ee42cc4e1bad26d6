// mail/priority_field.h: the header field MT-Priority, which carries a priority through hosts that
// do not know the parameter.
//
// Threads: pure functions.
// RFC 6758 §4 (form), §3.1 (what it means); RFC 6710 §7 (priority-value).

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider {

struct PriorityFields {
    struct Range {
        std::size_t begin = 0;
        std::size_t size = 0;
    };
    std::vector<Range> fields;    // all of that name, in order
    std::optional<int8_t> value;  // of exactly one field that has the right form
};

PriorityFields priority_fields(std::string_view header_block);

// "MT-Priority: 3", with its line end.
std::string priority_field(int8_t priority);

}  // namespace postrider
