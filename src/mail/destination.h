// mail/destination.h: where a recipient's copy goes next.
//
// The answer of route to "where now?", asked at the time of delivery, so that a changed
// configuration counts also for what waits. It names a place; how to speak to it is deliver's
// matter, and finding the hosts of a domain is the resolver's.
//
// Threads: values.

#pragma once

#include <string>
#include <variant>

#include "mail/outcome.h"

namespace postrider {

// A Maildir on our disk. The path was made from the address by an encoding that cannot leave the
// folder of mailboxes (route/mailbox_path.h).
struct MaildirDestination {
    std::string path;
    friend auto operator<=>(const MaildirDestination&, const MaildirDestination&) = default;
};

// An LMTP server (RFC 2033): "unix:/path" or "192.0.2.1:24".
struct LmtpDestination {
    std::string endpoint;
    friend auto operator<=>(const LmtpDestination&, const LmtpDestination&) = default;
};

// A program that reads the message from its standard input.
struct PipeDestination {
    std::string command;
    friend auto operator<=>(const PipeDestination&, const PipeDestination&) = default;
};

// Another domain, found through DNS (RFC 5321 §5.1); an address literal keeps its brackets.
struct RemoteDestination {
    std::string domain;
    friend auto operator<=>(const RemoteDestination&, const RemoteDestination&) = default;
};

// A next host written in the configuration: "mail.example.org:25" or "[192.0.2.1]:25".
struct StaticDestination {
    std::string host;
    friend auto operator<=>(const StaticDestination&, const StaticDestination&) = default;
};

// Nowhere: the mailbox was removed after its message had been taken.
struct NoDestination {
    EnhancedStatus status;
    std::string reason;  // a sentence for the report
    friend bool operator==(const NoDestination&, const NoDestination&) = default;
};

using Destination = std::variant<MaildirDestination, LmtpDestination, PipeDestination,
                                 RemoteDestination, StaticDestination, NoDestination>;

// For logs: "maildir:/var/...", "lmtp:unix:/run/lmtp", "pipe:command", "mx:example.org",
// "host:[192.0.2.1]:25", "none".
std::string text(const Destination& destination);

}  // namespace postrider
