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
    std::deque<Reply> answers;
    std::string replies;
    std::string events;
    std::vector<std::string> messages;  // whole ones
    std::string content;                // of the message that is coming in
    bool closed = false;

private:
    void run(std::string_view input) {
        for (;;) {
            const Event event = session.next(input);
            std::visit([this](const auto& happened) { on(happened); }, event);
            if (std::holds_alternative<event::NeedInput>(event) || closed) {
                assert(input.empty());
                replies += session.take_output();
                return;
            }
            while (session.answers_owed() > 0) decide();
        }
    }

    void decide() {
        if (answers.empty()) return session.accept();
        const Reply answer = answers.front();
        answers.pop_front();
        answer.code == 0 ? session.accept() : session.answer(answer);  // 0: the usual answer
    }

    void note(std::string line) { events += std::move(line) + "\n"; }

    void on(const event::NeedInput&) {}
    void on(const event::Opened&) { note("Opened"); }
    void on(const event::Hello& e) {
        note(std::string(e.extended ? "Hello extended " : "Hello ") + std::string(e.name));
    }
    void on(const event::MailFrom& e) {
        std::string line = "MailFrom <" + e.reverse_path.text() + ">";
        if (e.parameters.size) line += " SIZE=" + std::to_string(*e.parameters.size);
        if (e.parameters.body) line += " BODY=" + std::to_string(int(*e.parameters.body));
        if (e.parameters.smtputf8) line += " SMTPUTF8";
        note(line);
    }
    void on(const event::RcptTo& e) { note("RcptTo <" + e.mailbox.text() + ">"); }
    void on(const event::DataRequested&) {
        note("DataRequested");
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
    void on(const event::TransactionReset&) { note("TransactionReset"); }
    void on(const event::Verify& e) { note("Verify " + std::string(e.text)); }
    void on(const event::Closed& e) {
        if (!closed) note("Closed " + std::string(text_of(e.reason)));
        closed = true;
    }
};

}  // namespace postrider::smtp
