// front/options_test.cc: command lines as programs really write them.

#include "front/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::front {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Options parsed(std::vector<std::string> words, std::string_view program = "/usr/sbin/sendmail") {
    auto options = parse_options(program, words);
    EXPECT_TRUE(options) << options.error().message;
    return options.value_or(Options{});
}

std::string mistake(std::vector<std::string> words) {
    auto options = parse_options("sendmail", words);
    return options ? "" : options.error().message;
}

TEST(FrontOptions, UsualCallersAreUnderstood) {
    Options cron = parsed({"-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"});
    EXPECT_EQ(cron.full_name, "CronDaemon");
    EXPECT_FALSE(cron.dot_ends);
    EXPECT_THAT(cron.recipients, ElementsAre("root"));

    Options php = parsed({"-t", "-i"});
    EXPECT_TRUE(php.recipients_from_header);
    EXPECT_THAT(php.recipients, IsEmpty());

    Options mutt = parsed({"-oem", "-oi", "-f", "me@example.org", "--", "-odd@example.org", "b@c"});
    EXPECT_EQ(mutt.sender, "me@example.org");
    EXPECT_FALSE(mutt.dot_ends);
    EXPECT_THAT(mutt.recipients, ElementsAre("-odd@example.org", "b@c"));

    Options git = parsed({"-i", "-fme@example.org", "a@b", "c@d"});
    EXPECT_EQ(git.sender, "me@example.org");
    EXPECT_THAT(git.recipients, ElementsAre("a@b", "c@d"));

    EXPECT_TRUE(parsed({"-ti"}).recipients_from_header);
    EXPECT_FALSE(parsed({"-ti"}).dot_ends);
    EXPECT_EQ(parsed({"-f", "", "a@b"}).sender, "");
    EXPECT_EQ(parsed({"-r", "<>", "a@b"}).sender, "<>");
    EXPECT_TRUE(parsed({"-bm", "-v", "-N", "never", "-R", "hdrs", "-V", "id", "a@b"}).verbose);
    EXPECT_TRUE(parsed({"a@b"}).dot_ends);
}

TEST(FrontOptions, TheNameAndTheModeSayWhatIsWanted) {
    EXPECT_EQ(parsed({}, "/usr/bin/mailq").mode, Mode::ListQueue);
    EXPECT_EQ(parsed({}, "newaliases").mode, Mode::NewAliases);
    EXPECT_EQ(parsed({"-bs"}).mode, Mode::Session);
    EXPECT_EQ(parsed({"-bp"}).mode, Mode::ListQueue);
    EXPECT_EQ(parsed({"-bi"}).mode, Mode::NewAliases);
    EXPECT_EQ(parsed({"-q"}).mode, Mode::RunQueue);
    EXPECT_EQ(parsed({"-q30m"}).mode, Mode::RunQueue);
    EXPECT_EQ(parsed({"-C", "/x", "-bm"}).config_path, "/x");
}

TEST(FrontOptions, WhatWeDoNotHaveIsAnErrorAndNotIgnored) {
    EXPECT_THAT(mistake({"-bd"}), HasSubstr("postrider serve"));
    EXPECT_THAT(mistake({"-bv", "a@b"}), HasSubstr("-bv"));
    EXPECT_THAT(mistake({"-f"}), HasSubstr("-f needs a value"));
    EXPECT_THAT(mistake({"-z"}), HasSubstr("-z"));
    EXPECT_THAT(mistake({"-BBINARY"}), HasSubstr("BINARY"));
}

TEST(FrontSettings, KeysAreRead) {
    auto settings = parse_settings(
        "# where\n\nsocket = /run/x.sock\n drop_directory=/var/drop \r\nhostname = h.example\n"
        "admin_socket = /run/admin");
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->socket, "/run/x.sock");
    EXPECT_EQ(settings->drop_directory, "/var/drop");
    EXPECT_EQ(settings->hostname, "h.example");
    EXPECT_EQ(settings->admin_socket, "/run/admin");
    EXPECT_EQ(parse_settings("")->socket, Settings().socket);
}

TEST(FrontSettings, MistakesNameTheirLine) {
    EXPECT_EQ(parse_settings("\nsocket\n").error().message, "line 2: write key = value");
    EXPECT_EQ(parse_settings("sokcet = x").error().message, "line 1: sokcet is not known");
}

}  // namespace
}  // namespace postrider::front
