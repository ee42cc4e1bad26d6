// world/real/log_descriptor_test.cc: lines reach the file, also after rotation.

#include "world/real/log_descriptor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace postrider::world::real {
namespace {

class LogDescriptorTest : public testing::Test {
protected:
    LogDescriptorTest() {
        char name[] = "/tmp/postrider-log-XXXXXX";
        folder_ = ::mkdtemp(name);
        path_ = folder_ + "/log";
    }
    ~LogDescriptorTest() override { std::filesystem::remove_all(folder_); }

    static std::string content(const std::string& path) {
        std::ostringstream out;
        out << std::ifstream(path).rdbuf();
        return out.str();
    }

    std::string folder_;
    std::string path_;
};

TEST_F(LogDescriptorTest, LinesGoToTheEndOfTheFile) {
    std::ofstream(path_) << "old\n";
    auto log = LogDescriptor::open(path_);
    ASSERT_TRUE(log);
    EXPECT_TRUE((*log)->write("one\n"));
    std::ofstream(path_, std::ios::app) << "other\n";
    EXPECT_TRUE((*log)->write("two\nthree\n"));
    EXPECT_EQ(content(path_), "old\none\nother\ntwo\nthree\n");
}

TEST_F(LogDescriptorTest, NewFileIsNotForEverybody) {
    auto log = LogDescriptor::open(path_);
    ASSERT_TRUE(log);
    struct stat info{};
    ASSERT_EQ(::stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07, 0u);
}

TEST_F(LogDescriptorTest, ReopenFollowsRotation) {
    auto log = LogDescriptor::open(path_);
    ASSERT_TRUE(log);
    EXPECT_TRUE((*log)->write("one\n"));
    std::filesystem::rename(path_, path_ + ".1");
    EXPECT_TRUE((*log)->write("two\n"));
    EXPECT_TRUE((*log)->reopen());
    EXPECT_TRUE((*log)->write("three\n"));
    EXPECT_EQ(content(path_ + ".1"), "one\ntwo\n");
    EXPECT_EQ(content(path_), "three\n");
}

TEST_F(LogDescriptorTest, FailedReopenKeepsTheOldFile) {
    std::filesystem::create_directory(folder_ + "/sub");
    auto log = LogDescriptor::open(folder_ + "/sub/log");
    ASSERT_TRUE(log);
    std::filesystem::rename(folder_ + "/sub", folder_ + "/gone");
    EXPECT_FALSE((*log)->reopen());
    EXPECT_TRUE((*log)->write("still\n"));
    EXPECT_EQ(content(folder_ + "/gone/log"), "still\n");
}

TEST_F(LogDescriptorTest, MissingFolderIsAnErrorWithThePath) {
    auto log = LogDescriptor::open(folder_ + "/none/log");
    ASSERT_FALSE(log);
    EXPECT_NE(log.error().message.find(folder_ + "/none/log"), std::string::npos);
}

TEST_F(LogDescriptorTest, FullDiskIsAnError) {
    auto log = LogDescriptor::open("/dev/full");
    if (!log) GTEST_SKIP() << "no /dev/full here";
    Status<> status = (*log)->write("line\n");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message, "cannot write to /dev/full: No space left on device");
}

}  // namespace
}  // namespace postrider::world::real
