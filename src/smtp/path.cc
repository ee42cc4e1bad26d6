#include "smtp/path.h"

#include "mail/domain.h"

namespace postrider::smtp {
namespace {

// A-d-l ":" in front of the mailbox: At-domain *( "," At-domain ), each "@" Domain. Taken off
// `text`.
Status<> skip_source_route(std::string_view& text, AddressForm form) {
    if (!text.starts_with('@')) return {};
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return fail("the local-part is missing");
    std::string_view hosts = text.substr(0, colon);
    while (!hosts.empty()) {
        const std::size_t comma = std::min(hosts.find(','), hosts.size());
        const std::string_view host = hosts.substr(0, comma);
        if (!host.starts_with('@') || !parse_domain(host.substr(1), form)) {
            return fail("the source route is not a list of \"@\" and domain");
        }
        hosts.remove_prefix(comma);
        if (hosts.size() == 1) return fail("the source route ends with a comma");
        if (!hosts.empty()) hosts.remove_prefix(1);
    }
    text.remove_prefix(colon + 1);
    return {};
}

Result<Mailbox> parse_path(std::string_view path, AddressForm form) {
    std::string_view inner = path.substr(1, path.size() - 2);
    if (auto route = skip_source_route(inner, form); !route) {
        return std::unexpected(std::move(route.error()));
    }
    return Mailbox::parse(inner, form);
}

}  // namespace

std::size_t path_length(std::string_view text) {
    if (!text.starts_with('<')) return 0;
    bool quoted = false;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (quoted && text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (text[i] == '>' && !quoted) {
            return i + 1;
        }
    }
    return 0;
}

Result<ReversePath> parse_reverse_path(std::string_view path, AddressForm form) {
    if (path == "<>") return ReversePath{};
    auto mailbox = parse_path(path, form);
    if (!mailbox) return std::unexpected(std::move(mailbox.error()));
    return ReversePath{std::move(*mailbox)};
}

Result<Mailbox> parse_forward_path(std::string_view path, AddressForm form) {
    // RFC 5321 §4.1.1.3: "<Postmaster>", case-insensitive, without a domain.
    if (Mailbox bare{std::string(path.substr(1, path.size() - 2)), {}}; bare.is_postmaster()) {
        return bare;
    }
    if (path == "<>") return fail("the recipient is missing");
    return parse_path(path, form);
}

}  // namespace postrider::smtp
