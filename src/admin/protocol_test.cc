// admin/protocol_test.cc: lines of the operator's API.

#include "admin/protocol.h"

#include <gtest/gtest.h>

namespace postrider::admin {
namespace {

TEST(AdminProtocol, ARequestIsReadAsItIsWritten) {
    auto request = parse_request(R"({"command": "queue list", "args": {"site": "local"}})");
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(request->command, "queue list");
    EXPECT_EQ(request->args["site"], "local");

    auto again = parse_request(request_line(*request));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->command, request->command);
    EXPECT_EQ(again->args, request->args);
}

TEST(AdminProtocol, ArgumentsMayBeLeftOut) {
    auto request = parse_request(R"({"command":"status"})");
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(request->args, Json::object());
}

TEST(AdminProtocol, WhatIsNoRequestIsRefusedWithASentence) {
    const std::pair<std::string, std::string> cases[] = {
        {"", "the request is not a JSON object on one line"},
        {"status", "the request is not a JSON object on one line"},
        {"[]", "the request is not a JSON object on one line"},
        {"{\"command\": \"status\"", "the request is not a JSON object on one line"},
        {"{\"command\": \"status\"} x", "the request is not a JSON object on one line"},
        {"{}", "the request has no \"command\""},
        {R"({"command": 7})", "the request has no \"command\""},
        {R"({"command": "x", "args": []})", "\"args\" is not an object"},
        {R"({"command": "x", "args": "y"})", "\"args\" is not an object"},
    };
    for (const auto& [line, message] : cases) {
        auto request = parse_request(line);
        ASSERT_FALSE(request.has_value()) << line;
        EXPECT_EQ(request.error().message, message) << line;
    }
}

TEST(AdminProtocol, AnswersAreOneLineEach) {
    EXPECT_EQ(row_line({{"id", "A\nB"}}), "{\"row\":{\"id\":\"A\\nB\"}}\n");
    EXPECT_EQ(done_line({{"entries", 2}}), "{\"done\":{\"entries\":2}}\n");
    EXPECT_EQ(error_line("no such \"thing\""), "{\"error\":\"no such \\\"thing\\\"\"}\n");
}

TEST(AdminProtocol, OctetsThatAreNoUtf8AreReplaced) {
    EXPECT_EQ(row_line({{"reason", "caf\xE9"}}), "{\"row\":{\"reason\":\"caf\xEF\xBF\xBD\"}}\n");
}

}  // namespace
}  // namespace postrider::admin
