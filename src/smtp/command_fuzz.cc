// Any line as a command: what is taken can be written and read back as the same; what is refused is
// refused with a 5yz of one short line.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "smtp/command.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void require_refusal(const postrider::smtp::Reply& reply) {
    require(reply.is_permanent() && reply.status && reply.status->klass == 5);
    require(!reply.text.empty() && !reply.text.contains('\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider;
    using namespace postrider::smtp;
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const Command command = parse_verb(line);
    const Offered offered{.size = true, .eight_bit_mime = true, .smtputf8 = true};

    if (const auto mail = parse_mail(command.argument, offered)) {
        const std::string again = "FROM:<" + mail->reverse_path.text() + ">" +
                                  (mail->parameters.smtputf8 ? " SMTPUTF8" : "");
        const auto read = parse_mail(again, offered);
        require(read && read->reverse_path == mail->reverse_path);
    } else {
        require_refusal(mail.error());
    }
    for (const AddressForm form : {AddressForm::Ascii, AddressForm::Utf8}) {
        if (const auto rcpt = parse_rcpt(command.argument, offered, form)) {
            const auto read = parse_rcpt("TO:<" + rcpt->mailbox.text() + ">", offered, form);
            require(read && read->mailbox == rcpt->mailbox);
        } else {
            require_refusal(rcpt.error());
        }
    }
    if (const auto name = parse_hello(command.argument)) {
        require(!name->empty() && !name->contains(' '));
    } else {
        require_refusal(name.error());
    }
    if (const auto text = parse_vrfy(command.argument); !text) require_refusal(text.error());
    return 0;
}
