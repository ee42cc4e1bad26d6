#include "mail/envelope.h"

#include <cassert>

namespace postrider {

namespace {

struct Place {
    const Variant* variant;
    std::size_t index;
};

Place place_of(const Envelope& envelope, std::size_t number) {
    for (const Variant& variant : envelope.variants) {
        if (number < variant.recipients.size()) return {&variant, number};
        number -= variant.recipients.size();
    }
    assert(false && "recipient number out of range");
    __builtin_unreachable();
}

}  // namespace

std::size_t Envelope::recipient_count() const {
    std::size_t count = 0;
    for (const Variant& variant : variants) count += variant.recipients.size();
    return count;
}

const Recipient& Envelope::recipient(std::size_t number) const {
    Place place = place_of(*this, number);
    return place.variant->recipients[place.index];
}

const Variant& Envelope::variant_of(std::size_t number) const {
    return *place_of(*this, number).variant;
}

}  // namespace postrider
