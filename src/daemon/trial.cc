#include "daemon/trial.h"

#include <fmt/format.h>

#include <algorithm>

#include "mail/trace.h"

namespace postrider::daemon {

namespace {

constexpr std::size_t kShownOctetsMax = 16 * 1024;

// Nothing in a message may drive the terminal.
std::string shown(std::string_view content) {
    std::string out;
    while (!content.empty()) {
        std::size_t end = std::min(content.find('\n'), content.size());
        std::string_view line = content.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        std::string plain(line);
        std::ranges::replace(plain, '\t', ' ');
        out += "  | " + without_controls(plain) + "\n";
        content.remove_prefix(std::min(end + 1, content.size()));
    }
    return out;
}

Task<void> show(world::World& world, std::string path, std::string to, Say say) {
    std::string text = fmt::format("\nA message for {} has arrived: {}\n", to, path);
    auto file = co_await world.disk.open(path, world::OpenMode::Read);
    if (file) {
        std::string content(kShownOctetsMax, 0);
        auto got = co_await (*file)->read_at(0, content);
        if (got) {
            content.resize(*got);
            text += shown(content);
            if (*got == kShownOctetsMax) text += "  | ... (the rest is in the file)\n";
        }
    }
    say(text);
}

}  // namespace

std::string trial_welcome(const Config& config, std::string_view program) {
    std::string mailbox = "you@example.org";
    if (!config.routing.domains.empty() && !config.routing.domains.front().mailboxes.empty()) {
        mailbox = config.routing.domains.front().mailboxes.front().text();
    }
    std::string server =
        config.listeners.empty() ? "127.0.0.1:2525" : world::text(config.listeners.front().address);
    return fmt::format(
        "\nPostrider is running. SMTP at {}, one mailbox: {}\n"
        "Everything it keeps is below {}\n\n"
        "Send it a message, from another terminal:\n"
        "  {} send --server {} --from me@example.org --to {}\n"
        "  swaks --server {} --from me@example.org --to {}\n\n"
        "Ask it what it does:\n"
        "  {} status --socket {}\n"
        "  {} queue list --socket {}\n\n"
        "Messages are shown here when they arrive. Ctrl-C stops it.\n",
        server, mailbox, config.data_directory, program, server, mailbox, server, mailbox, program,
        config.admin.socket, program, config.admin.socket);
}

DeliveryObserver trial_observer(world::World& world, std::string hostname, Say say) {
    return [&world, hostname = std::move(hostname), say = std::move(say)](
               const Envelope& envelope, uint32_t recipient, const Destination& destination) {
        auto* maildir = std::get_if<MaildirDestination>(&destination);
        if (!maildir) return;
        std::string path =
            maildir->path + "/new/" + deliver::maildir_name(envelope, recipient, hostname);
        world.executor.spawn(
            show(world, std::move(path), envelope.recipient(recipient).mailbox.text(), say));
    };
}

}  // namespace postrider::daemon
