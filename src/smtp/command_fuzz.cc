// Any line as a command: what is taken can be written and read back as the same; what is refused is
// refused with a 5yz of one short line.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mail/dsn.h"
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
    const Offered offered{.size = true,
                          .eight_bit_mime = true,
                          .binary_mime = true,
                          .smtputf8 = true,
                          .dsn = true,
                          .mt_priority = true,
                          .deliver_by = true,
                          .future_release = true,
                          .requiretls = true};

    if (const auto mail = parse_mail(command.argument, offered)) {
        const std::string again = "FROM:<" + mail->reverse_path.text() + ">" +
                                  (mail->parameters.smtputf8 ? " SMTPUTF8" : "") +
                                  (mail->parameters.envid.empty() ? "" : " ENVID=") +
                                  mail->parameters.envid;
        const auto read = parse_mail(again, offered);
        require(read && read->reverse_path == mail->reverse_path &&
                read->parameters.envid == mail->parameters.envid);
        if (const auto& by = mail->parameters.by) {
            require(by->seconds >= -999'999'999 && by->seconds <= 999'999'999);
            require(!by->returned || by->seconds > 0);
        }
        if (const auto& hold = mail->parameters.hold) {
            require(hold->seconds.has_value() != hold->until.has_value());
            require(hold->given.size() < 64 || hold->until);
        }
    } else {
        require_refusal(mail.error());
    }
    for (const AddressForm form : {AddressForm::Ascii, AddressForm::Utf8}) {
        if (const auto rcpt = parse_rcpt(command.argument, offered, form)) {
            std::string again = "TO:<" + rcpt->mailbox.text() + ">";
            const bool nothing = rcpt->parameters.notify == DsnNotify{};
            if (rcpt->parameters.notify) again += " NOTIFY=" + text(*rcpt->parameters.notify);
            if (!rcpt->parameters.orcpt.empty()) again += " ORCPT=" + rcpt->parameters.orcpt;
            const auto read = parse_rcpt(again, offered, form);
            require(read && !nothing && read->mailbox == rcpt->mailbox &&
                    read->parameters == rcpt->parameters);
            const std::string ascii = ascii_orcpt(rcpt->parameters.orcpt);
            require(ascii.empty() || ascii.size() > kOrcptOctetsMax ||
                    is_orcpt(ascii, AddressForm::Ascii));
        } else {
            require_refusal(rcpt.error());
        }
    }
    if (const auto name = parse_hello(command.argument)) {
        require(!name->empty() && !name->contains(' '));
    } else {
        require_refusal(name.error());
    }
    if (const auto name = parse_vrfy(command.argument, offered); !name) {
        require_refusal(name.error());
    }
    if (const auto etrn = parse_etrn(command.argument); !etrn) require_refusal(etrn.error());
    if (const auto chunk = parse_bdat(command.argument); !chunk) require_refusal(chunk.error());
    require(decode_xtext(encode_xtext(line)) == line);
    return 0;
}
