// Any octets as an address: what is taken is written again and read back as the same, within the
// limits, and holds nothing that could break out of a command line.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/limits.h"
#include "mail/domain.h"
#include "mail/mailbox.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const AddressForm form : {AddressForm::Ascii, AddressForm::Utf8}) {
        const auto mailbox = Mailbox::parse(text, form);
        if (!mailbox) continue;
        const std::string written = mailbox->text();
        require(written.size() <= text.size());
        require(written.size() <= kPathOctetsMax - 2);
        for (const char c : written) require(static_cast<unsigned char>(c) >= 32 && c != 127);
        require(form == AddressForm::Utf8 ? is_utf8(written) : mailbox->is_ascii());
        const auto again = Mailbox::parse(written, form);
        require(again && *again == *mailbox && again->text() == written);
        if (form == AddressForm::Ascii) require(Mailbox::parse(text, AddressForm::Utf8) == mailbox);
    }
    return 0;
}
