#include "mail/destination.h"

namespace postrider {

namespace {

struct Text {
    std::string operator()(const MaildirDestination& d) const { return "maildir:" + d.path; }
    std::string operator()(const LmtpDestination& d) const { return "lmtp:" + d.endpoint; }
    std::string operator()(const PipeDestination& d) const { return "pipe:" + d.command; }
    std::string operator()(const RemoteDestination& d) const { return "mx:" + d.domain; }
    std::string operator()(const StaticDestination& d) const { return "host:" + d.host; }
    std::string operator()(const NoDestination&) const { return "none"; }
};

}  // namespace

std::string text(const Destination& destination) { return std::visit(Text{}, destination); }

}  // namespace postrider
