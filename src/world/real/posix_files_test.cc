// world/real/posix_files_test.cc: errors of the system as ours, and modes of what is made.
//
// Devices that fail on purpose stand in for bad disks: /dev/full has no space, and cannot be
// synced.

#include "world/real/posix_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace postrider::world::real {
namespace {

using testing::HasSubstr;
using Kind = DiskError::Kind;

TEST(PosixFiles, EachSystemErrorHasItsKind) {
    struct Case {
        int error;
        Kind want;
    };
    constexpr Case kCases[] = {
        {ENOENT, Kind::NotFound},     {ENOTDIR, Kind::NotFound}, {EEXIST, Kind::Exists},
        {ENOTEMPTY, Kind::Exists},    {ENOSPC, Kind::Full},      {EDQUOT, Kind::Full},
        {EFBIG, Kind::Full},          {EROFS, Kind::ReadOnly},   {EACCES, Kind::NotPermitted},
        {EPERM, Kind::NotPermitted},  {EAGAIN, Kind::Locked},    {EMFILE, Kind::TooManyOpen},
        {ENFILE, Kind::TooManyOpen},  {EIO, Kind::Broken},       {EINVAL, Kind::Broken},
        {ENAMETOOLONG, Kind::Broken}, {ESTALE, Kind::Broken},    {99999, Kind::Broken},
    };
    for (const Case& c : kCases) EXPECT_EQ(disk_error("do", "it", c.error).kind, c.want) << c.error;
}

TEST(PosixFiles, AMessageNamesOperationPathAndCause) {
    EXPECT_EQ(disk_error("open", "/a/b", ENOENT).message, "open /a/b: No such file or directory");
}

TEST(PosixFiles, AFullDeviceIsFull) {
    auto file = PosixFile::open("/dev/full", OpenMode::ReadWrite);
    ASSERT_TRUE(file);
    std::string_view pieces[] = {"x"};
    auto wrote = file->write_at(0, pieces);
    ASSERT_FALSE(wrote);
    EXPECT_EQ(wrote.error().kind, Kind::Full);
}

TEST(PosixFiles, AfterAFailedSyncNothingIsWrittenAnyMore) {
    auto file = PosixFile::open("/dev/full", OpenMode::ReadWrite);  // EINVAL from its sync
    ASSERT_TRUE(file);
    auto first = file->sync();
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().kind, Kind::Broken);
    std::string_view pieces[] = {"x"};
    for (const DiskStatus& later : {file->sync(), file->write_at(0, pieces), file->truncate(0)}) {
        ASSERT_FALSE(later);
        EXPECT_EQ(later.error().kind, Kind::Broken);
        EXPECT_THAT(later.error().message, HasSubstr("an earlier sync failed"));
    }
    std::string into(4, '?');
    EXPECT_EQ(file->read_at(0, into), DiskResult<std::size_t>(4u)) << "reading goes on";
}

TEST(PosixFiles, WhatIsMadeIsForItsOwnerOnly) {
    std::string pattern = (std::filesystem::temp_directory_path() / "prXXXXXX").string();
    std::string directory = ::mkdtemp(pattern.data());
    mode_t old = ::umask(0);
    EXPECT_TRUE(make_directory_chain(directory + "/a//b/"));
    EXPECT_TRUE(PosixFile::open(directory + "/a/b/file", OpenMode::CreateNew));
    EXPECT_TRUE(lock_file(directory + "/lock"));
    ::umask(old);
    auto permissions = [&](const char* name) {
        return static_cast<unsigned>(std::filesystem::status(directory + name).permissions());
    };
    EXPECT_EQ(permissions("/a"), 0700u);
    EXPECT_EQ(permissions("/a/b"), 0700u);
    EXPECT_EQ(permissions("/a/b/file"), 0600u);
    EXPECT_EQ(permissions("/lock"), 0600u);
    std::filesystem::remove_all(directory);
}

TEST(PosixFiles, AnEmptyDirectoryIsRemovedAndAFullOneIsNot) {
    std::string pattern = (std::filesystem::temp_directory_path() / "prXXXXXX").string();
    std::string directory = ::mkdtemp(pattern.data());
    EXPECT_TRUE(make_directory_chain(directory + "/a/b"));
    auto full = remove_file(directory + "/a");
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().kind, Kind::Exists);
    EXPECT_TRUE(remove_file(directory + "/a/b"));
    EXPECT_TRUE(remove_file(directory + "/a"));
    EXPECT_TRUE(remove_file(directory));
}

TEST(PosixFiles, MakingNothingIsAnError) {
    auto made = make_directory_chain("");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, Kind::NotFound);
    EXPECT_TRUE(make_directory_chain("/"));
}

}  // namespace
}  // namespace postrider::world::real
