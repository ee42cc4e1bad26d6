// tests/contract/disk_contract.cc: what Disk promises while the power stays on.

#include <gmock/gmock.h>

#include <algorithm>

#include "contract/contract_world.h"

namespace postrider::contract {
namespace {

using testing::ElementsAre;

class DiskContract : public Contract {
protected:
    // The whole content of `path`, or the error's words in angle brackets.
    static Task<std::string> content(World& world, std::string path) {
        auto file = co_await world.disk.open(path, OpenMode::Read);
        if (!file) co_return "<" + file.error().message + ">";
        auto size = co_await (*file)->size();
        std::string out(size ? *size : 0, '?');
        auto got = co_await (*file)->read_at(0, out);
        if (!got || *got != out.size()) co_return "<short read>";
        co_return out;
    }

    // A file with this content.
    static Task<DiskStatus> put(World& world, std::string path, std::string text) {
        auto file = co_await world.disk.open(path, OpenMode::Create);
        if (!file) co_return std::unexpected(file.error());
        std::string_view pieces[] = {text};
        co_return co_await (*file)->write_at(0, pieces);
    }

    static std::vector<std::string> sorted_names(const std::vector<DirectoryEntry>& entries) {
        std::vector<std::string> out;
        out.reserve(entries.size());
        for (const DirectoryEntry& entry : entries) out.push_back(entry.name);
        std::sort(out.begin(), out.end());
        return out;
    }
};

template <typename T>
std::optional<DiskError::Kind> kind(const DiskResult<T>& result) {
    if (result) return std::nullopt;
    EXPECT_FALSE(result.error().message.empty());
    return result.error().kind;
}

TEST_F(DiskContract, OpenModesSayWhatTheyNeedAndMake) {
    run([&](World& world) -> Task<void> {
        Disk& disk = world.disk;
        std::string name = path("file");
        EXPECT_EQ(kind(co_await disk.open(name, OpenMode::Read)), DiskError::Kind::NotFound);
        EXPECT_EQ(kind(co_await disk.open(name, OpenMode::ReadWrite)), DiskError::Kind::NotFound);
        CO_ASSERT_OK(co_await disk.open(name, OpenMode::CreateNew));
        EXPECT_EQ(kind(co_await disk.open(name, OpenMode::CreateNew)), DiskError::Kind::Exists);
        CO_ASSERT_OK(co_await put(world, name, "kept"));
        for (OpenMode mode : {OpenMode::Read, OpenMode::ReadWrite, OpenMode::Create}) {
            CO_ASSERT_OK(co_await disk.open(name, mode));
        }
        EXPECT_EQ(co_await content(world, name), "kept");
        CO_ASSERT_OK(co_await disk.open(path("other"), OpenMode::Create));
        EXPECT_EQ(kind(co_await disk.open(path("no/file"), OpenMode::Create)),
                  DiskError::Kind::NotFound);
    });
}

TEST_F(DiskContract, AnErrorNamesOperationAndPath) {
    run([&](World& world) -> Task<void> {
        auto file = co_await world.disk.open(path("missing"), OpenMode::Read);
        CO_ASSERT(!file);
        EXPECT_THAT(file.error().message, testing::HasSubstr("open"));
        EXPECT_THAT(file.error().message, testing::HasSubstr(path("missing")));
    });
}

TEST_F(DiskContract, PiecesAreWrittenOneAfterTheOther) {
    run([&](World& world) -> Task<void> {
        auto file = co_await world.disk.open(path("file"), OpenMode::CreateNew);
        CO_ASSERT_OK(file);
        std::string_view pieces[] = {"ab", "", "cde", "f", ""};
        CO_ASSERT_OK(co_await (*file)->write_at(0, pieces));
        std::string_view over[] = {"XY"};
        CO_ASSERT_OK(co_await (*file)->write_at(2, over));
        EXPECT_EQ(co_await content(world, path("file")), "abXYef");
        CO_ASSERT_OK(co_await (*file)->write_at(0, {}));
        EXPECT_EQ(*co_await (*file)->size(), 6u);
    });
}

TEST_F(DiskContract, ThousandsOfPiecesAreOneWrite) {
    run([&](World& world) -> Task<void> {
        std::vector<std::string> texts;
        std::string want;
        for (int i = 0; i < 3000; i++) {
            texts.push_back(std::to_string(i) + (i % 5 ? "," : ""));
            want += texts.back();
        }
        std::vector<std::string_view> pieces(texts.begin(), texts.end());
        auto file = co_await world.disk.open(path("file"), OpenMode::CreateNew);
        CO_ASSERT_OK(file);
        CO_ASSERT_OK(co_await (*file)->write_at(0, pieces));
        EXPECT_EQ(co_await content(world, path("file")), want);
    });
}

TEST_F(DiskContract, ReadsAreShortOnlyAtTheEnd) {
    run([&](World& world) -> Task<void> {
        CO_ASSERT_OK(co_await put(world, path("file"), "0123456789"));
        auto file = co_await world.disk.open(path("file"), OpenMode::Read);
        CO_ASSERT_OK(file);
        std::string into(4, '?');
        EXPECT_EQ(*co_await (*file)->read_at(3, into), 4u);
        EXPECT_EQ(into, "3456");
        EXPECT_EQ(*co_await (*file)->read_at(8, into), 2u);
        EXPECT_EQ(into, "8956");
        EXPECT_EQ(*co_await (*file)->read_at(10, into), 0u);
        EXPECT_EQ(*co_await (*file)->read_at(1000, into), 0u);
        EXPECT_EQ(*co_await (*file)->read_at(0, {}), 0u);
    });
}

TEST_F(DiskContract, AHoleReadsAsZeros) {
    run([&](World& world) -> Task<void> {
        auto file = co_await world.disk.open(path("file"), OpenMode::CreateNew);
        CO_ASSERT_OK(file);
        std::string_view pieces[] = {"end"};
        CO_ASSERT_OK(co_await (*file)->write_at(10000, pieces));
        EXPECT_EQ(co_await content(world, path("file")), std::string(10000, '\0') + "end");
    });
}

TEST_F(DiskContract, TruncateCutsAndExtends) {
    run([&](World& world) -> Task<void> {
        CO_ASSERT_OK(co_await put(world, path("file"), "0123456789"));
        auto file = co_await world.disk.open(path("file"), OpenMode::ReadWrite);
        CO_ASSERT_OK(file);
        CO_ASSERT_OK(co_await (*file)->truncate(4));
        EXPECT_EQ(co_await content(world, path("file")), "0123");
        CO_ASSERT_OK(co_await (*file)->truncate(6));
        using namespace std::string_literals;
        EXPECT_EQ(co_await content(world, path("file")), "0123\0\0"s);
    });
}

TEST_F(DiskContract, AllocateExtendsWithZerosAndNeverCuts) {
    run([&](World& world) -> Task<void> {
        using namespace std::string_literals;
        CO_ASSERT_OK(co_await put(world, path("file"), "kept"));
        auto file = co_await world.disk.open(path("file"), OpenMode::ReadWrite);
        CO_ASSERT_OK(file);
        CO_ASSERT_OK(co_await (*file)->allocate(10000));
        EXPECT_EQ(co_await content(world, path("file")), "kept" + std::string(9996, '\0'));
        CO_ASSERT_OK(co_await (*file)->allocate(2));
        auto size = co_await (*file)->size();
        CO_ASSERT_OK(size);
        EXPECT_EQ(*size, 10000u);
        std::string_view pieces[] = {"end"};
        CO_ASSERT_OK(co_await (*file)->write_at(9997, pieces));
        EXPECT_EQ(co_await content(world, path("file")), "kept" + std::string(9993, '\0') + "end");
        auto other = co_await world.disk.open(path("file"), OpenMode::Read);
        CO_ASSERT_OK(other);
        EXPECT_FALSE((co_await (*other)->allocate(20000)).has_value());
    });
}

// What is written past the cache is where it belongs, whatever its place and length; behind it, to
// the end of the block, stand zeros or what stood there before.
TEST_F(DiskContract, WritesPastTheCacheReadBackAndTouchNothingBeyondTheirBlock) {
    run([&](World& world) -> Task<void> {
        constexpr std::size_t kOctets = 4 * 1024 * 1024;
        std::string model(kOctets, 'o');
        CO_ASSERT_OK(co_await put(world, path("file"), model));
        auto file = co_await world.disk.open(path("file"), OpenMode::ReadWrite);
        CO_ASSERT_OK(file);
        CO_ASSERT_OK(co_await (*file)->sync());
        (*file)->bypass_cache();
        struct Step {
            std::size_t at;  // 0: where the last one ended
            std::vector<std::size_t> lengths;
        };
        std::size_t end = 0;
        for (const Step& step :
             {Step{5000, {1}}, Step{0, {3000, 0, 95}}, Step{0, {1, 2, 3}}, Step{0, {0}},
              Step{0, {8192 - 8102 % 4096}}, Step{0, {300'000}}, Step{0, {17, 270'000}},
              Step{8192, {4096}}, Step{4096, {1}}, Step{655'360, {1'500'000, 5, 900'000}},
              Step{0, {77}}, Step{1'048'576, {1'048'576}}, Step{0, {1'048'575, 2}}}) {
            std::size_t at = step.at == 0 ? end : step.at;
            end = at;
            std::vector<std::string> texts;
            texts.reserve(step.lengths.size());
            for (std::size_t length : step.lengths) {
                texts.emplace_back(length, static_cast<char>('A' + texts.size() + at % 20));
            }
            std::vector<std::string_view> pieces(texts.begin(), texts.end());
            CO_ASSERT_OK(co_await (*file)->write_at(at, pieces));
            for (const std::string& text : texts) {
                model.replace(end, text.size(), text);
                end += text.size();
            }
            std::size_t block_end = (end + kBlockOctets - 1) / kBlockOctets * kBlockOctets;
            std::string now = co_await content(world, path("file"));
            CO_ASSERT(now.size() == kOctets);
            std::string behind = now.substr(end, block_end - end);
            EXPECT_TRUE(behind == model.substr(end, block_end - end) ||
                        behind == std::string(behind.size(), '\0'));
            model.replace(end, behind.size(), behind);
            CO_ASSERT(now == model);
        }
        CO_ASSERT_OK(co_await (*file)->sync());
    });
}

TEST_F(DiskContract, AFileOpenedToReadRefusesWrites) {
    run([&](World& world) -> Task<void> {
        CO_ASSERT_OK(co_await put(world, path("file"), "kept"));
        auto file = co_await world.disk.open(path("file"), OpenMode::Read);
        CO_ASSERT_OK(file);
        std::string_view pieces[] = {"lost"};
        EXPECT_FALSE((co_await (*file)->write_at(0, pieces)).has_value());
        EXPECT_EQ(co_await content(world, path("file")), "kept");
    });
}

TEST_F(DiskContract, RenameReplaces) {
    run([&](World& world) -> Task<void> {
        Disk& disk = world.disk;
        CO_ASSERT_OK(co_await put(world, path("new"), "new"));
        CO_ASSERT_OK(co_await put(world, path("old"), "old"));
        CO_ASSERT_OK(co_await disk.rename(path("new"), path("old")));
        EXPECT_EQ(co_await content(world, path("old")), "new");
        EXPECT_EQ(kind(co_await disk.info(path("new"))), DiskError::Kind::NotFound);
        EXPECT_EQ(kind(co_await disk.rename(path("new"), path("old"))), DiskError::Kind::NotFound);
        CO_ASSERT_OK(co_await disk.make_directories(path("dir")));
        CO_ASSERT_OK(co_await disk.rename(path("old"), path("dir/moved")));
        EXPECT_EQ(co_await content(world, path("dir/moved")), "new");
    });
}

TEST_F(DiskContract, AnOpenFileFollowsItsRename) {
    run([&](World& world) -> Task<void> {
        CO_ASSERT_OK(co_await put(world, path("a"), "12"));
        auto file = co_await world.disk.open(path("a"), OpenMode::ReadWrite);
        CO_ASSERT_OK(file);
        CO_ASSERT_OK(co_await world.disk.rename(path("a"), path("b")));
        std::string_view pieces[] = {"34"};
        CO_ASSERT_OK(co_await (*file)->write_at(2, pieces));
        EXPECT_EQ(co_await content(world, path("b")), "1234");
    });
}

TEST_F(DiskContract, LinkIsASecondNameAndNeverReplaces) {
    run([&](World& world) -> Task<void> {
        Disk& disk = world.disk;
        CO_ASSERT_OK(co_await put(world, path("a"), "text"));
        CO_ASSERT_OK(co_await put(world, path("taken"), "other"));
        EXPECT_EQ(kind(co_await disk.link(path("a"), path("taken"))), DiskError::Kind::Exists);
        EXPECT_EQ(co_await content(world, path("taken")), "other");
        CO_ASSERT_OK(co_await disk.link(path("a"), path("b")));
        CO_ASSERT_OK(co_await disk.remove(path("a")));
        EXPECT_EQ(co_await content(world, path("b")), "text");
        EXPECT_EQ(kind(co_await disk.link(path("a"), path("c"))), DiskError::Kind::NotFound);
    });
}

TEST_F(DiskContract, RemoveTakesTheNameAndAnOpenFileStays) {
    run([&](World& world) -> Task<void> {
        CO_ASSERT_OK(co_await put(world, path("a"), "text"));
        auto file = co_await world.disk.open(path("a"), OpenMode::Read);
        CO_ASSERT_OK(file);
        CO_ASSERT_OK(co_await world.disk.remove(path("a")));
        EXPECT_EQ(kind(co_await world.disk.info(path("a"))), DiskError::Kind::NotFound);
        EXPECT_EQ(kind(co_await world.disk.remove(path("a"))), DiskError::Kind::NotFound);
        std::string into(4, '?');
        EXPECT_EQ(*co_await (*file)->read_at(0, into), 4u);
        EXPECT_EQ(into, "text");
    });
}

TEST_F(DiskContract, ListShowsFilesAndDirectories) {
    run([&](World& world) -> Task<void> {
        Disk& disk = world.disk;
        CO_ASSERT_OK(co_await disk.make_directories(path("d")));
        auto empty = co_await disk.list(path("d"));
        CO_ASSERT_OK(empty);
        EXPECT_TRUE(empty->empty());
        CO_ASSERT_OK(co_await put(world, path("d/file"), ""));
        CO_ASSERT_OK(co_await put(world, path("d/.hidden"), ""));
        CO_ASSERT_OK(co_await disk.make_directories(path("d/sub/deeper")));
        auto entries = co_await disk.list(path("d"));
        CO_ASSERT_OK(entries);
        EXPECT_THAT(sorted_names(*entries), ElementsAre(".hidden", "file", "sub"));
        for (const DirectoryEntry& entry : *entries) {
            EXPECT_EQ(entry.type, entry.name == "sub" ? DirectoryEntry::Type::Directory
                                                      : DirectoryEntry::Type::File);
        }
        EXPECT_EQ(kind(co_await disk.list(path("none"))), DiskError::Kind::NotFound);
        EXPECT_EQ(kind(co_await disk.list(path("d/file"))), DiskError::Kind::NotFound);
    });
}

TEST_F(DiskContract, InfoTellsSizeTypeAndTime) {
    run([&](World& world) -> Task<void> {
        CO_ASSERT_OK(co_await put(world, path("file"), "12345"));
        auto info = co_await world.disk.info(path("file"));
        CO_ASSERT_OK(info);
        EXPECT_EQ(info->size, 5u);
        EXPECT_EQ(info->type, DirectoryEntry::Type::File);
        EXPECT_GT(info->modified.seconds(), 946'684'800);  // 2000-01-01
        auto directory = co_await world.disk.info(contract().directory());
        CO_ASSERT_OK(directory);
        EXPECT_EQ(directory->type, DirectoryEntry::Type::Directory);
        EXPECT_EQ(directory->owner, info->owner);
    });
}

TEST_F(DiskContract, MakeDirectoriesMakesEveryParent) {
    run([&](World& world) -> Task<void> {
        Disk& disk = world.disk;
        CO_ASSERT_OK(co_await disk.make_directories(path("a/b/c/d")));
        CO_ASSERT_OK(co_await disk.make_directories(path("a/b/c/d")));
        CO_ASSERT_OK(co_await disk.make_directories(path("a/b")));
        CO_ASSERT_OK(co_await put(world, path("a/b/c/d/file"), "x"));
        EXPECT_FALSE((co_await disk.make_directories(path("a/b/c/d/file"))).has_value());
        EXPECT_FALSE((co_await disk.make_directories(path("a/b/c/d/file/e"))).has_value());
    });
}

TEST_F(DiskContract, TheLockExcludesUntilItIsGone) {
    run([&](World& world) -> Task<void> {
        auto first = co_await world.disk.lock(path("lock"));
        CO_ASSERT_OK(first);
        EXPECT_EQ(kind(co_await world.disk.lock(path("lock"))), DiskError::Kind::Locked);
        EXPECT_TRUE((co_await world.disk.lock(path("other"))).has_value());
        first->reset();
        EXPECT_TRUE((co_await world.disk.lock(path("lock"))).has_value());
    });
}

TEST_F(DiskContract, SyncsSucceedOnASoundDisk) {
    run([&](World& world) -> Task<void> {
        auto file = co_await world.disk.open(path("file"), OpenMode::CreateNew);
        CO_ASSERT_OK(file);
        std::string_view pieces[] = {"durable"};
        for (int i = 0; i < 3; i++) {
            CO_ASSERT_OK(co_await (*file)->write_at(0, pieces));
            CO_ASSERT_OK(co_await (*file)->sync());
        }
        CO_ASSERT_OK(co_await world.disk.sync_directory(contract().directory()));
        EXPECT_EQ(kind(co_await world.disk.sync_directory(path("none"))),
                  DiskError::Kind::NotFound);
    });
}

TEST_F(DiskContract, SpaceIsMoreThanNothingAndLessThanAll) {
    run([&](World& world) -> Task<void> {
        auto space = co_await world.disk.space(contract().directory());
        CO_ASSERT_OK(space);
        EXPECT_GT(space->free_octets, 0u);
        EXPECT_LE(space->free_octets, space->total_octets);
        EXPECT_GT(space->free_files, 0u);
    });
}

TEST_F(DiskContract, TasksOnSeveralShardsWorkSideBySide) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        constexpr int kTasks = 20;
        Gathering gathering(world, kTasks);
        for (int i = 0; i < kTasks; i++) {
            world.executor.post_to(i % 2, [&, i] {
                spawn(world, [&, i]() -> Task<void> {
                    std::string name = path("file" + std::to_string(i));
                    std::string text(static_cast<std::size_t>(100 * i), static_cast<char>('a' + i));
                    EXPECT_TRUE((co_await put(world, name, text)).has_value());
                    EXPECT_EQ(co_await content(world, name), text);
                    EXPECT_EQ(world.executor.current_shard(), i % 2);
                    gathering.arrive();
                });
            });
        }
        CO_ASSERT(co_await gathering.all(patience(world)));
        auto entries = co_await world.disk.list(contract().directory());
        CO_ASSERT_OK(entries);
        EXPECT_EQ(entries->size(), 20u);
    });
}

}  // namespace
}  // namespace postrider::contract
