#include "daemon/intake_queries.h"

#include <fmt/format.h>

namespace postrider::daemon {

namespace {

constexpr std::size_t kMembersMax = 1000;

struct Found {
    Mailbox named;
    route::Decision decision;
};

// What stands behind the words of a client. Nothing: they are no address.
std::optional<Found> find(const Settings& settings, std::string_view text) {
    // "User Name <user@domain>", "<user@domain>" (§3.5.1).
    if (text.ends_with('>') && text.contains('<')) {
        text = text.substr(text.rfind('<') + 1);
        text.remove_suffix(1);
    }
    if (auto mailbox = Mailbox::parse(text, AddressForm::Utf8)) {
        auto decision = settings.table->resolve(*mailbox);
        return Found{std::move(*mailbox), std::move(decision)};
    }
    if (Mailbox bare{std::string(text), {}}; bare.is_postmaster()) {
        auto decision = settings.table->resolve(bare);
        return Found{std::move(bare), std::move(decision)};
    }
    std::optional<Found> last;
    for (const std::string& domain : settings.local_domains) {
        auto mailbox = Mailbox::parse(std::string(text) + "@" + domain, AddressForm::Utf8);
        if (!mailbox) return std::nullopt;
        auto decision = settings.table->resolve(*mailbox);
        last = Found{std::move(*mailbox), std::move(decision)};
        if (std::holds_alternative<route::Local>(last->decision)) break;
    }
    return last;
}

smtp::Reply no_address() { return {553, EnhancedStatus{5, 1, 3}, "That is no address"}; }

// Nobody of ours, or an alias that is broken.
smtp::Reply not_here(const route::Decision& decision) {
    if (auto* unknown = std::get_if<route::UnknownRecipient>(&decision)) {
        return {550, unknown->status, unknown->reason};
    }
    const auto& error = std::get<route::AliasError>(decision);
    return {451, error.status, error.reason};
}

}  // namespace

smtp::Reply verify_reply(const Settings& settings, std::string_view text) {
    auto found = find(settings, text);
    if (!found) return no_address();
    if (std::holds_alternative<route::Local>(found->decision)) {
        return {250, EnhancedStatus{2, 1, 5}, "<" + found->named.text() + ">"};
    }
    if (std::holds_alternative<route::Relay>(found->decision)) {
        return {252, EnhancedStatus{2, 0, 0}, "That is not for this host to say"};
    }
    return not_here(found->decision);
}

smtp::Reply expand_reply(const Settings& settings, std::string_view text) {
    auto found = find(settings, text);
    if (!found) return no_address();
    auto* local = std::get_if<route::Local>(&found->decision);
    if (!local) {
        if (std::holds_alternative<route::Relay>(found->decision)) {
            return {252, EnhancedStatus{2, 0, 0}, "That is not for this host to say"};
        }
        return not_here(found->decision);
    }
    std::string members;
    for (const Mailbox& member : local->targets) {
        if (&member - local->targets.data() >= static_cast<std::ptrdiff_t>(kMembersMax)) break;
        members += (members.empty() ? "<" : "\n<") + member.text() + ">";
    }
    return {250, EnhancedStatus{2, 1, 5}, members};
}

smtp::Reply queue_run_reply(std::string_view domain, std::optional<std::size_t> entries) {
    if (!entries) {
        return {459, EnhancedStatus{4, 7, 1},
                fmt::format("Node {} not allowed: no mail waits here for it", domain)};
    }
    if (*entries == 0) {
        return {251, EnhancedStatus{2, 0, 0},
                fmt::format("No messages waiting for node {}", domain)};
    }
    return {253, EnhancedStatus{2, 0, 0},
            fmt::format("{} pending messages for node {} started", *entries, domain)};
}

}  // namespace postrider::daemon
