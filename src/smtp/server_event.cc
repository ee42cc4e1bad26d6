#include "smtp/server_event.h"

namespace postrider::smtp {

std::string_view text_of(event::Reason reason) {
    switch (reason) {
        case event::Reason::Quit:
            return "quit";
        case event::Reason::NotSmtp:
            return "not SMTP";
        case event::Reason::TooManyErrors:
            return "too many errors";
        case event::Reason::TooManyIdle:
            return "too many idle commands";
        case event::Reason::EarlyData:
            return "data before the go-ahead";
        case event::Reason::EarlyTls:
            return "plaintext behind STARTTLS";
        case event::Reason::EndlessData:
            return "endless data";
        case event::Reason::ShutDown:
            return "shut down";
    }
    return "unknown";
}

std::string_view text_of(WaitingFor waiting) {
    switch (waiting) {
        case WaitingFor::Nothing:
            return "nothing";
        case WaitingFor::Decision:
            return "our own decision";
        case WaitingFor::Command:
            return "a command";
        case WaitingFor::DataBlock:
            return "more of the message";
        case WaitingFor::Handshake:
            return "the TLS handshake";
    }
    return "unknown";
}

}  // namespace postrider::smtp
