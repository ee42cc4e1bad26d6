// smtp/client_script.h: for tests: runs a ClientSession against a written server.
//
// A script holds the server's turns, each a list of replies; there are no sockets and no time. The
// whole course of the session is written down as text (C: sent, R: result of a recipient, X: end).
// run() does it with the server's octets cut in several ways, which must make no difference.
//
// Threads: tests only.

#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "smtp/client_session.h"

namespace postrider::smtp {

using Replies = std::vector<std::string>;  // without CRLF at the end of each

inline constexpr std::string_view kEof = "<eof>";
inline constexpr std::string_view kTimeout = "<timeout>";

struct Script {
    ClientMode mode = ClientMode::Smtp;
    std::vector<TransactionRequest> requests;
    std::vector<Replies> turns;
    std::size_t recipients_max = 100;
    std::optional<LocalReason> content_fails;
    ClientSecurity security = ClientSecurity::None;
    bool handshake_fails = false;
};

inline Recipient to(std::string_view local, std::string_view domain = "x.example") {
    Recipient recipient;
    recipient.mailbox = {std::string(local), std::string(domain)};
    return recipient;
}

inline TransactionRequest message(std::vector<Recipient> recipients) {
    TransactionRequest request;
    request.reverse_path.mailbox = Mailbox{"a", "o.example"};
    request.recipients = std::move(recipients);
    request.content_octets = 1000;
    return request;
}

inline std::string_view word(TransactionResult::State state) {
    switch (state) {
        case TransactionResult::State::Accepted:
            return "accepted";
        case TransactionResult::State::Temporary:
            return "temporary";
        case TransactionResult::State::Permanent:
            return "permanent";
        case TransactionResult::State::NotTried:
            return "not tried";
    }
    return "";
}

inline std::string line_of(const TransactionResult& result) {
    return fmt::format("R: {} {} at {}: {}{}\n", word(result.state), result.status.text(),
                       text_of(result.stage), result.text(),
                       result.outcome_unknown ? " (outcome unknown)" : "");
}

// One run of a script; what it leaves to look at.
struct Course {
    std::string course;
    std::vector<std::vector<TransactionResult>> done;
    std::optional<CloseReason> closed;
    std::size_t begun = 0;
    std::string transcript;
};

class Runner {
public:
    Runner(const Script& script, std::size_t chunk_octets)
        : script_(script),
          chunk_octets_(chunk_octets),
          session_({script.mode, "me.example", script.recipients_max, script.security}) {}

    Course run() {
        for (int steps = 0; steps < 20'000 && !run_.closed; ++steps) step();
        EXPECT_TRUE(run_.closed) << "the session did not come to its end";
        run_.transcript = session_.transcript().text();
        return std::move(run_);
    }

private:
    void step() {
        Action action = session_.next_action();
        if (auto* send = std::get_if<action::Send>(&action)) {
            EXPECT_TRUE(input_.empty()) << "sent before the turn was heard";
            std::string_view rest = send->bytes;
            while (!rest.empty()) {
                std::size_t end = rest.find("\r\n");
                ASSERT_NE(end, std::string_view::npos);
                run_.course += fmt::format("C: {}\n", rest.substr(0, end));
                rest.remove_prefix(end + 2);
            }
        } else if (std::get_if<action::NeedReply>(&action)) {
            hear();
        } else if (std::get_if<action::Handshake>(&action)) {
            EXPECT_TRUE(input_.empty()) << "octets of plaintext are left";
            run_.course += "C: (handshake)\n";
            if (script_.handshake_fails) return session_.handshake_failed("no shared cipher");
            session_.handle_secured();
        } else if (std::get_if<action::SendContent>(&action)) {
            run_.course += "C: (content)\n";
            if (script_.content_fails) return session_.content_failed(*script_.content_fails);
            session_.content_sent(1000);
        } else if (auto* done = std::get_if<action::TransactionDone>(&action)) {
            for (const TransactionResult& result : done->results) run_.course += line_of(result);
            run_.done.push_back(done->results);
        } else if (std::get_if<action::Ready>(&action)) {
            if (run_.begun == script_.requests.size()) return session_.quit();
            session_.begin(script_.requests[run_.begun++]);
        } else {
            run_.closed = std::get<action::Closed>(action).reason;
            run_.course += fmt::format("X: {}\n", run_.closed->text());
        }
    }

    void hear() {
        if (input_.empty()) {
            if (turn_ == script_.turns.size()) return session_.handle_end_of_stream("script ended");
            for (const std::string& reply : script_.turns[turn_++]) {
                input_ += reply;
                if (reply != kEof && reply != kTimeout) input_ += "\r\n";
            }
        }
        if (input_ == kEof) return input_.clear(), session_.handle_end_of_stream("gone");
        if (input_ == kTimeout) return input_.clear(), session_.handle_timeout();
        std::size_t end = input_.find('<') == std::string::npos ? input_.size() : input_.find('<');
        std::string chunk = input_.substr(0, std::min(end, chunk_octets_));
        input_.erase(0, chunk.size());
        session_.handle_bytes(chunk);
    }

    const Script& script_;
    std::size_t chunk_octets_;
    ClientSession session_;
    std::string input_;
    std::size_t turn_ = 0;
    Course run_;
};

// Runs with several cuts; all must agree.
inline Course run(const Script& script) {
    Course whole = Runner(script, 1 << 20).run();
    for (std::size_t chunk : {1, 2, 3, 5, 7, 11, 19}) {
        EXPECT_EQ(Runner(script, chunk).run().course, whole.course) << "in chunks of " << chunk;
    }
    return whole;
}

inline const std::string kPlain = "250 mx.example";
inline const std::string kPipelining =
    "250-mx.example hello\r\n250-PIPELINING\r\n250-SIZE 5000\r\n250 8BITMIME";

}  // namespace postrider::smtp
