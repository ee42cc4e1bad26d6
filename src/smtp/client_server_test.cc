// smtp/client_server_test.cc: our client side against our server side, joined in memory.
//
// Goal: what one says the other understands, for SMTP and LMTP, and content arrives octet by octet
// as it was stored. (That both follow the RFC is shown by their own tests and by foreign programs.)

#include <gtest/gtest.h>

#include <array>

#include "smtp/client_script.h"
#include "smtp/client_session.h"
#include "smtp/data_encoder.h"
#include "smtp/scripted_driver.h"

namespace postrider::smtp {
namespace {

class ConnectionPair {
public:
    ConnectionPair(ClientMode mode, ServerOptions options, std::size_t cut)
        : server([&] {
              options.protocol = mode == ClientMode::Lmtp ? Protocol::Lmtp : Protocol::Smtp;
              return std::move(options);
          }()),
          client({mode, "me.example"}),
          cut_(cut) {
        server.feed("");  // lets the greeting out
    }

    // Sends one message on the connection; its results.
    std::vector<TransactionResult> send(TransactionRequest request, std::string_view content) {
        content_ = content;
        request.content_octets = content.size();
        run_until_ready();
        client.begin(std::move(request));
        run_until_ready();
        return std::move(results_);
    }
    void quit() {
        run_until_ready();
        client.quit();
        run_until_ready();
    }

    ScriptedDriver server;
    ClientSession client;
    std::optional<CloseReason> closed;

private:
    void run_until_ready() {
        for (int step = 0; step < 1000; ++step) {
            Action next = client.next_action();
            if (auto* send = std::get_if<action::Send>(&next)) {
                server.feed(send->bytes, cut_);
            } else if (std::get_if<action::NeedReply>(&next)) {
                std::string replies = server.take_replies();
                if (replies.empty()) return client.handle_end_of_stream();
                client.handle_bytes(replies);
            } else if (auto* content = std::get_if<action::SendContent>(&next)) {
                content->chunked ? send_chunk() : send_content();
            } else if (auto* done = std::get_if<action::TransactionDone>(&next)) {
                results_ = std::move(done->results);
            } else if (auto* end = std::get_if<action::Closed>(&next)) {
                closed = end->reason;
                return;
            } else {
                return;
            }
        }
        FAIL() << "no end in sight";
    }

    void send_content() {
        DataEncoder encoder;
        std::array<std::string_view, 8> pieces;
        for (std::string_view rest = content_; !rest.empty();) {
            auto encoded = encoder.encode(rest.substr(0, cut_), pieces);
            ASSERT_TRUE(encoded);
            for (std::size_t i = 0; i < encoded->pieces; ++i) server.feed(pieces[i], cut_);
            rest.remove_prefix(encoded->consumed);
        }
        auto end = encoder.finish();
        ASSERT_TRUE(end);
        server.feed(*end, cut_);
        client.content_sent(content_.size());
    }

    void send_chunk() {
        server.feed(content_, cut_);
        client.content_sent(content_.size());
    }

    std::size_t cut_;
    std::string_view content_;
    std::vector<TransactionResult> results_;
};

constexpr std::string_view kContent =
    "Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\nin.side\r\n\r\n. \r\n.\r\n";

std::string text_of(const std::vector<TransactionResult>& results) {
    std::string text;
    for (const TransactionResult& result : results) text += word(result.state), text += ' ';
    return text;
}

TEST(ClientAndServer, MessagesArriveAsTheyWereStored) {
    for (ClientMode mode : {ClientMode::Smtp, ClientMode::Lmtp}) {
        for (bool pipelining : {true, false}) {
            for (std::size_t cut : {1, 2, 3, 7, 1000}) {
                ServerOptions options = ScriptedDriver::test_options();
                options.pipelining = pipelining;
                ConnectionPair pair(mode, options, cut);
                EXPECT_EQ(text_of(pair.send(message({to("b"), to("c")}), kContent)),
                          "accepted accepted ");
                EXPECT_EQ(text_of(pair.send(message({to("d")}), "x\r\n")), "accepted ");
                pair.quit();
                ASSERT_EQ(pair.server.messages.size(), 2u);
                EXPECT_EQ(pair.server.messages[0], kContent);
                EXPECT_EQ(pair.server.messages[1], "x\r\n");
                EXPECT_EQ(pair.closed->kind, CloseReason::Kind::Quit);
            }
        }
    }
}

TEST(ClientAndServer, BinaryArrivesOctetByOctet) {
    constexpr std::string_view kBinary("a: b\r\n\r\n\0\r\r\n.\n\n.\r\n\xff\r", 20);
    for (ClientMode mode : {ClientMode::Smtp, ClientMode::Lmtp}) {
        for (std::size_t cut : {1, 2, 3, 7, 1000}) {
            ServerOptions options = ScriptedDriver::test_options();
            options.chunking = options.binary_mime = true;
            ConnectionPair pair(mode, options, cut);
            TransactionRequest request = message({to("b"), to("c")});
            request.body = BodyType::BinaryMime;
            EXPECT_EQ(text_of(pair.send(request, kBinary)), "accepted accepted ");
            EXPECT_EQ(text_of(pair.send(message({to("d")}), "x\r\n")), "accepted ");
            pair.server.answers = {{}, {}, {}, Reply(452, {4, 3, 1}, "full")};
            EXPECT_EQ(text_of(pair.send(request, kBinary)), "temporary temporary ");
            pair.quit();
            ASSERT_EQ(pair.server.messages.size(), 2u);
            EXPECT_EQ(pair.server.messages[0], kBinary);
            EXPECT_EQ(pair.server.messages[1], "x\r\n");
        }
    }
}

TEST(ClientAndServer, RefusalsAreUnderstoodAndTheConnectionLivesOn) {
    for (bool pipelining : {true, false}) {
        ServerOptions options = ScriptedDriver::test_options();
        options.pipelining = pipelining;
        ConnectionPair pair(ClientMode::Smtp, options, 1000);
        pair.send(message({to("first")}), "1\r\n");
        // MAIL taken, one recipient refused, another taken.
        pair.server.answers = {Reply(250, {2, 1, 0}, "ok"), Reply(550, {5, 1, 1}, "no b"),
                               Reply(250, {2, 1, 5}, "ok")};
        EXPECT_EQ(text_of(pair.send(message({to("b"), to("c")}), "2\r\n")), "permanent accepted ");
        // All refused: the server refuses DATA too, when it is in the group.
        pair.server.answers = {Reply(250, {2, 1, 0}, "ok"), Reply(450, {4, 2, 1}, "later")};
        EXPECT_EQ(text_of(pair.send(message({to("b")}), "3\r\n")), "temporary ");
        pair.server.answers = {Reply(550, {5, 7, 1}, "not you")};
        EXPECT_EQ(text_of(pair.send(message({to("b")}), "4\r\n")), "permanent ");
        EXPECT_EQ(text_of(pair.send(message({to("b")}), "5\r\n")), "accepted ");
        pair.quit();
        EXPECT_EQ(pair.server.messages, (std::vector<std::string>{"1\r\n", "2\r\n", "5\r\n"}));
        EXPECT_EQ(pair.closed->kind, CloseReason::Kind::Quit);
    }
}

TEST(ClientAndServer, LmtpGivesEachRecipientItsOwnResult) {
    ConnectionPair pair(ClientMode::Lmtp, ScriptedDriver::test_options(), 1000);
    pair.send(message({to("first")}), "1\r\n");
    pair.server.answers = {Reply(250, {2, 1, 0}, "ok"),
                           Reply(250, {2, 1, 5}, "ok"),
                           Reply(250, {2, 1, 5}, "ok"),
                           Reply(250, {2, 1, 5}, "ok"),
                           Reply(354, "go"),
                           Reply(250, {2, 0, 0}, "b has it"),
                           Reply(452, {4, 2, 2}, "full"),
                           Reply(554, {5, 6, 0}, "no")};
    EXPECT_EQ(text_of(pair.send(message({to("b"), to("c"), to("d")}), "2\r\n")),
              "accepted temporary permanent ");
}

TEST(ClientAndServer, A421EndsTheSession) {
    ConnectionPair pair(ClientMode::Smtp, ScriptedDriver::test_options(), 1000);
    pair.send(message({to("first")}), "1\r\n");
    pair.server.answers = {Reply(421, {4, 3, 2}, "stopping")};
    EXPECT_EQ(text_of(pair.send(message({to("b")}), "2\r\n")), "temporary ");
    EXPECT_EQ(pair.closed->kind, CloseReason::Kind::ServiceClosing);
}

}  // namespace
}  // namespace postrider::smtp
