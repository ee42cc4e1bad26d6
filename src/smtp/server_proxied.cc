// XCLIENT and XFORWARD: a listed proxy tells who its client is.

#include "smtp/server_session.h"

namespace postrider::smtp {

// Postfix XCLIENT_README and XFORWARD_README: 550 for who may not, 501 for what is no attribute.
std::optional<Event> ServerSession::told_client(const Command& command) {
    const bool xclient = command.verb == Verb::XClient;
    if (xclient ? !rights_.xclient : !rights_.xforward) {
        say_error(550, {5, 7, 0}, "this client may not speak for others");
        return std::nullopt;
    }
    auto told =
        parse_told_client(xclient ? ToldCommand::XClient : ToldCommand::XForward, command.argument);
    if (!told) {
        say_error(told.error());
        return std::nullopt;
    }
    count_idle();
    if (state_ == State::Closed) return std::nullopt;
    if (xclient) return owe(Owed::ClientTold, event::ClientTold{std::move(*told)});
    return owe(Owed::ClientForwarded, event::ClientForwarded{std::move(*told)});
}

}  // namespace postrider::smtp
