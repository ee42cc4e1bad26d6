// The sections of the configuration; their keys are in config_keys.cc.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/config_keys.h"

namespace postrider::daemon {

namespace {

constexpr auto kSections = std::to_array<Section>({
    {"", Times::Once, "At the top of the file, before the first [section]."},
    {"listener", Times::OneOrMore,
     "Where clients connect. One [[listener]] for each address; at least one is needed."},
    {"certificate", Times::AnyNumber,
     "A TLS certificate of this server, with its key. One [[certificate]] for each; clients get "
     "the "
     "one that is for the name they ask for, and the first one if they ask for none. Changed files "
     "are read again by themselves. See docs/tls.md."},
    {"tls", Times::Once, "TLS with clients and with other hosts. See docs/tls.md."},
    {"tls_policy", Times::AnyNumber,
     "What is asked of the hosts of some destinations. The first [[tls_policy]] that lists a "
     "recipient's domain counts."},
    {"smtp", Times::Once, "The conversation with clients, and its limits."},
    {"relay", Times::Once,
     "How mail goes to other hosts. Whose mail is taken for them: relay_networks in [smtp], and "
     "domains here."},
    {"route", Times::AnyNumber,
     "A domain that is not kept here and goes to a host named here, past its MX records. One "
     "[[route]] for each."},
    {"pool", Times::AnyNumber,
     "Another name and other source addresses for some of the mail, so that its reputation is its "
     "own. The first [[pool]] counts whose lists both match; a list that is left out matches "
     "everything, and at least one is needed. What a pool does not set is as in [relay]."},
    {"resolver", Times::Once, "How the DNS is asked."},
    {"spool", Times::Once, "Where accepted messages wait on disk."},
    {"queue", Times::Once, "When a message is tried again, and for how long."},
    {"delivery", Times::Once, "How messages are put into mailboxes."},
    {"verdict", Times::Once,
     "How mail from outside is judged by SPF, DKIM and DMARC, and what follows. Mail of clients "
     "that "
     "may relay is not judged. See docs/mail-authentication.md."},
    {"signing", Times::Once,
     "DKIM signatures on mail of clients that may relay. Keys are made by postrider domain add."},
    {"signer", Times::AnyNumber,
     "Other DKIM keys for some of that mail: by the account that hands it in, the author's domain, "
     "or both. The first [[signer]] counts whose lists match; a list that is left out matches "
     "everything. Without one, the keys of the author's domain sign, or of the nearest domain "
     "above it that has any."},
    {"suppression", Times::Once,
     "Recipients that failed as no such mailbox or no such domain, and are not written to again. "
     "See docs/bounces.md."},
    {"accounts", Times::Once,
     "Who may send through listeners of kind submission, and how they prove who they are. Accounts "
     "are made by postrider account add. See docs/accounts.md."},
    {"submission", Times::Once,
     "What is done with the mail of our own people and programs, on listeners of kind submission. "
     "See docs/submission.md."},
    {"domain", Times::OneOrMore,
     "A domain whose mail is kept here. One [[domain]] for each; at least one is needed, since "
     "every mail server has a postmaster (RFC 5321 section 4.5.1). Addresses may be written "
     "without their domain when it is this one."},
    {"log", Times::Once,
     "What is told to the operator, and where. The events are in docs/logging.md."},
    {"admin", Times::Once, "The socket through which the operator's commands reach the server."},
});

}  // namespace

std::span<const Section> config_sections() { return kSections; }

std::string Section::heading() const {
    if (name.empty()) return {};
    return repeated() ? fmt::format("[[{}]]", name) : fmt::format("[{}]", name);
}

const Section* find_section(std::string_view name) {
    auto found = std::ranges::find(kSections, name, &Section::name);
    return found == kSections.end() ? nullptr : &*found;
}

}  // namespace postrider::daemon
