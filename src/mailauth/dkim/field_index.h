// mailauth/dkim/field_index.h: takes fields of a header block by name, from the bottom up.
//
// The problem: h= names fields, a repeated name the next one upwards, and a name without a field
// stands for nothing. A header may have thousands of fields and h= thousands of names, so nothing
// here is looked for by walking through all.
//
// Failure: none.
// Threads: one thread at a time; the header block must outlive it.
// RFC 6376 §5.4.2.

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "mail/header.h"

namespace postrider::mailauth::dkim {

class FieldIndex {
public:
    explicit FieldIndex(std::string_view header_block);

    // In the order of the block.
    const std::vector<HeaderField>& fields() const { return fields_; }

    // How many fields have that name.
    std::size_t count(std::string_view name) const;

    // The lowest field of that name that was not taken yet, or null.
    const HeaderField* take(std::string_view name);

    // Nothing is taken any more.
    void reset();

private:
    struct Group {
        std::size_t begin = 0, end = 0;  // in order_
        std::size_t taken = 0;
    };
    Group* group_of(std::string_view name);

    std::vector<HeaderField> fields_;
    std::vector<uint32_t> order_;  // places in fields_: by name without case, then from the bottom
    std::vector<Group> groups_;    // by name
};

}  // namespace postrider::mailauth::dkim
