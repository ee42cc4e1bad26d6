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

TEST(AdminProtocol, ARowMemberByMemberIsReadAsOneMadeAtOnce) {
    const std::string texts[] = {"",
                                 "plain text",
                                 "a \"quoted\" \\ word",
                                 "two\nlines\t",
                                 "\x7F",
                                 "caf\xC3\xA9",
                                 "caf\xE9",
                                 std::string(1, '\0')};
    for (const std::string& text : texts) {
        std::string line = "before\n";
        RowWriter row(line);
        row.add_text("text", text);
        row.add_number("number", 18'446'744'073'709'551'615U);
        row.add_flag("yes", true);
        row.add_flag("no", false);
        row.add_seconds("age", std::chrono::microseconds(86'400'005'999));
        row.add_seconds("past", -std::chrono::seconds(3));
        row.end();
        ASSERT_TRUE(line.starts_with("before\n") && line.ends_with("}\n"));
        std::string expected = row_line({{"text", text},
                                         {"number", 18'446'744'073'709'551'615U},
                                         {"yes", true},
                                         {"no", false},
                                         {"age", 86'400.005},
                                         {"past", 0.0}});
        EXPECT_EQ(Json::parse(line.substr(7)), Json::parse(expected)) << text;
    }
}

TEST(AdminProtocol, ARowIsReadMemberByMember) {
    const Json row{{"text", "plain"},  {"quoted", "a \"b\" \\\\ \n caf\xC3\xA9"},
                   {"empty", ""},      {"number", -12.5},
                   {"flag", false},    {"nothing", nullptr},
                   {"odd \"key\"", 7}, {"comma", "a,b}{"},
                   {"\\", "\\"}};
    std::string line = row_line(row);
    Json read = Json::object();
    RowReader members(std::string_view(line).substr(7, line.size() - 9));
    for (std::string_view key, value; members.next(key, value);) {
        // One member at a time: views hold until the next call.
        read[std::string(key)] = std::string(value);
    }
    EXPECT_EQ(read.size(), row.size());
    for (const auto& [key, value] : row.items()) {
        EXPECT_EQ(read[key], value.is_string() ? value.get<std::string>() : value.dump()) << key;
    }
}

TEST(AdminProtocol, ARowThatIsNoneEndsWhereItIsNot) {
    for (std::string_view text :
         {"", "{", "[]", "{\"a\"", "{\"a\":", "{\"a\":\"b", "{\"a\":\"b\\", "{\"a\":\"\\q\"}",
          "{\"a\":1", "{\"a\":[1]}", "{\"a\":{}}", "{a:1}", "{\"a\":}", "x"}) {
        std::string_view key, value;
        EXPECT_FALSE(RowReader(text).next(key, value)) << text;
    }
    std::string_view key, value;
    RowReader members(R"({"a":1 "b":2})");
    EXPECT_TRUE(members.next(key, value));
    EXPECT_FALSE(members.next(key, value));
}

TEST(AdminProtocol, ARowMayBeEmpty) {
    std::string line;
    RowWriter(line).end();
    EXPECT_EQ(line, "{\"row\":{}}\n");
}

TEST(AdminProtocol, OctetsThatAreNoUtf8AreReplaced) {
    EXPECT_EQ(row_line({{"reason", "caf\xE9"}}), "{\"row\":{\"reason\":\"caf\xEF\xBF\xBD\"}}\n");
}

}  // namespace
}  // namespace postrider::admin
