// What a client may ask besides sending mail: VRFY, EXPN, HELP, and ETRN.

#include <fmt/format.h>

#include "smtp/server_session.h"

namespace postrider::smtp {

std::optional<Event> ServerSession::verify(const Command& command) {
    const auto text = parse_vrfy(command.argument, offered());
    if (!text) {
        say_error(text.error());
        return std::nullopt;
    }
    count_idle();
    if (state_ == State::Closed) return std::nullopt;
    return owe(Owed::Verify, event::Verify{*text});
}

// RFC 5321 §3.5.2, §4.1.1.7. §7.3: where it is not allowed, 252 and nothing is said.
std::optional<Event> ServerSession::expand(const Command& command) {
    const auto text = parse_vrfy(command.argument, offered());
    if (!text) {
        say_error(text.error());
        return std::nullopt;
    }
    count_idle();
    if (state_ == State::Closed) return std::nullopt;
    if (!rights_.expn) {
        say(252, {{2, 0, 0}}, "lists are not expanded here, but mail for them is taken");
        return std::nullopt;
    }
    return owe(Owed::Expand, event::Expand{*text});
}

// RFC 1985 §5. Without a client that may, the command is not there.
std::optional<Event> ServerSession::queue_run(const Command& command) {
    if (!options_->etrn) {
        say_error(502, {5, 5, 1}, "command not implemented");
        return std::nullopt;
    }
    auto etrn = parse_etrn(command.argument);
    if (!etrn) {
        say_error(etrn.error());
        return std::nullopt;
    }
    if (!rights_.etrn) {
        say_error(459, {4, 7, 1}, "not allowed: this client may not start queues");
        return std::nullopt;
    }
    count_idle();
    if (state_ == State::Closed) return std::nullopt;
    return owe(Owed::QueueRun, event::QueueRun{std::move(etrn->domain), etrn->below});
}

// RFC 5321 §4.1.1.8.
std::string ServerSession::help() const {
    return fmt::format("{} MAIL RCPT DATA{}{}{} RSET NOOP VRFY EXPN{} HELP QUIT\nRFC {} applies",
                       is_lmtp() ? "LHLO" : "EHLO HELO", options_->chunking ? " BDAT" : "",
                       options_->starttls ? " STARTTLS" : "", options_->auth ? " AUTH" : "",
                       options_->etrn ? " ETRN" : "", is_lmtp() ? 2033 : 5321);
}

}  // namespace postrider::smtp
