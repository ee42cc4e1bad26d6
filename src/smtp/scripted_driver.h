// smtp/scripted_driver.h: drives a ServerSession in tests, with answers written down beforehand.
//
// The loop is the one of server_session.h. Answers come from a queue; when it is empty, everything
// is accepted. What happened is kept as text: the replies as they went out, the events one to a
// line, and each message's content.
//
// Threads: one at a time. For tests and fuzz targets only.

#pragma once

#include <cassert>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mail/dsn.h"
#include "smtp/server_session.h"

namespace postrider::smtp {

class ScriptedDriver {
public:
    explicit ScriptedDriver(ServerOptions options = test_options())
        : session(std::make_shared<const ServerOptions>(std::move(options))) {}

    static ServerOptions test_options() {
        ServerOptions options;
        options.hostname = "mx.example";
        return options;
    }

    // Gives input, in pieces of at most `cut` octets, until all is used.
    void feed(std::string_view octets, std::size_t cut = SIZE_MAX) {
        do {
            const std::string piece(octets.substr(0, cut));  // of its own: a stale view is seen
            octets.remove_prefix(piece.size());
            run(piece);
        } while (!octets.empty());
    }

    std::string take_replies() { return std::exchange(replies, {}); }

    ServerSession session;
    AuthOffer auth_offer;
    std::deque<Reply> answers;
    std::string replies;
    std::string events;
    std::vector<std::string> messages;  // whole ones
    std::string content;                // of the message that is coming in
    bool closed = false;

private:
    void run(std::string_view input) {
        for (;;) {
            const bool waits = session.wants_input(input);
            const Event event = session.next(input);
            assert(!waits || std::holds_alternative<event::NeedInput>(event));
            std::visit([this](const auto& happened) { on(happened); }, event);
            if (std::holds_alternative<event::NeedInput>(event) || closed) {
                assert(input.empty());
                replies += session.take_output();
                return;
            }
            while (session.answers_owed() > 0) decide();
            auth_owed_ = false;
        }
    }

    void decide() {
        if (answers.empty()) return session.accept();
        const Reply answer = answers.front();
        answers.pop_front();
        if (answer.is_intermediate()) {  // a challenge, where one can be
            return std::exchange(auth_owed_, false) ? session.challenge(answer.text)
                                                    : session.accept();
        }
        answer.code == 0 ? session.accept() : session.answer(answer);  // 0: the usual answer
    }

    void note(std::string line) { events += std::move(line) + "\n"; }

    void on(const event::NeedInput&) {}
    void on(const event::Opened&) { note("Opened"); }
    void on(const event::Hello& e) {
        session.offer_auth(auth_offer);
        note(std::string(e.extended ? "Hello extended " : "Hello ") + std::string(e.name));
    }
    void on(const event::MailFrom& e) {
        std::string line = "MailFrom <" + e.reverse_path.text() + ">";
        if (e.parameters.size) line += " SIZE=" + std::to_string(*e.parameters.size);
        if (e.parameters.body) line += " BODY=" + std::to_string(int(*e.parameters.body));
        if (e.parameters.smtputf8) line += " SMTPUTF8";
        if (e.parameters.priority) line += " PRIORITY=" + std::to_string(*e.parameters.priority);
        if (e.parameters.ret) line += " RET=" + std::to_string(int(*e.parameters.ret));
        if (e.parameters.by) {
            line += " BY=" + std::to_string(e.parameters.by->seconds) +
                    (e.parameters.by->returned ? ";R" : ";N") + (e.parameters.by->trace ? "T" : "");
        }
        if (e.parameters.hold) line += " HOLD=" + e.parameters.hold->given;
        if (e.parameters.requiretls) line += " REQUIRETLS";
        if (!e.parameters.envid.empty()) line += " ENVID=" + e.parameters.envid;
        if (!e.parameters.auth.empty()) line += " AUTH=" + e.parameters.auth;
        note(line);
    }
    void on(const event::RcptTo& e) {
        std::string line = "RcptTo <" + e.mailbox.text() + ">";
        if (e.parameters.notify) line += " NOTIFY=" + text(*e.parameters.notify);
        if (!e.parameters.orcpt.empty()) line += " ORCPT=" + e.parameters.orcpt;
        note(line);
    }
    void on(const event::ChunkEnded& e) {
        assert(e.octets == content.size());
        note("ChunkEnded " + std::to_string(e.octets));
    }
    void on(const event::DataRequested& e) {
        note(e.chunked ? "DataRequested chunked" : "DataRequested");
        content.clear();
    }
    void on(const event::DataChunk& e) {
        assert(!e.content.empty());
        content += e.content;
    }
    void on(const event::DataEnded& e) {
        assert(e.octets == content.size());
        note("DataEnded " + std::to_string(e.octets) + (e.eight_bit ? " 8bit" : ""));
        messages.push_back(std::exchange(content, {}));
    }
    void on(const event::DataSpoiled& e) {
        note("DataSpoiled " + e.reply.one_line());
        content.clear();
    }
    void on(const event::StartTls&) { note("StartTls"); }
    void on(const event::Handshake&) {
        note("Handshake");
        replies += session.take_output();
        session.handle_secured();
    }
    void on(const event::TransactionReset&) { note("TransactionReset"); }
    void on(const event::AuthBegun& e) {
        auth_owed_ = true;
        note("AuthBegun " + std::string(e.mechanism) + (e.initial ? " [" + *e.initial + "]" : ""));
    }
    void on(const event::AuthResponse& e) {
        auth_owed_ = true;
        note("AuthResponse [" + e.octets + "]");
    }
    void on(const event::AuthCancelled&) { note("AuthCancelled"); }
    void on(const event::Verify& e) { note("Verify " + std::string(e.text)); }
    void on(const event::Expand& e) { note("Expand " + std::string(e.text)); }
    void on(const event::QueueRun& e) { note("QueueRun " + e.domain + (e.below ? " below" : "")); }
    void on(const event::ClientTold& e) { note("ClientTold " + e.client.text()); }
    void on(const event::ClientForwarded& e) { note("ClientForwarded " + e.client.text()); }
    void on(const event::Closed& e) {
        if (!closed) note("Closed " + std::string(text_of(e.reason)));
        closed = true;
    }

    bool auth_owed_ = false;
};

}  // namespace postrider::smtp
