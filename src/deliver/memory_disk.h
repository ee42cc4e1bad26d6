// deliver/memory_disk.h: a disk in memory for this room's tests, which forgets what was not synced.
//
// Everything is done at once, on the caller's thread; a fault can be set for one kind of operation.
// power_loss() keeps what is durable by the words of world/disk.h, and nothing else: the harshest
// of all allowed outcomes.
//
// Threads: one test's.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "world/world.h"

namespace postrider::deliver {

using world::DiskError;
using world::DiskResult;
using world::DiskStatus;

class MemoryDisk : public world::Disk {
public:
    struct Node {
        std::string octets, synced;
    };

    std::map<std::string, std::shared_ptr<Node>> files;    // as seen
    std::map<std::string, std::shared_ptr<Node>> durable;  // names after a loss of power
    std::set<std::string> folders;                         // durable when made
    std::vector<std::string> log;                          // operations, in order
    // Called before each operation with its line of the log; an error makes it fail.
    std::function<std::optional<DiskError::Kind>(const std::string&)> fault;
    std::size_t largest_write = 0;

    void power_loss() {
        files = durable;
        for (auto& [path, node] : files) node->octets = node->synced;
    }

    std::vector<std::string> names(const std::string& folder) const {
        std::vector<std::string> found;
        for (const auto& [path, node] : files) {
            if (folder_of(path) == folder) found.push_back(path.substr(folder.size() + 1));
        }
        return found;
    }

    Task<DiskResult<std::unique_ptr<world::File>>> open(std::string path,
                                                        world::OpenMode mode) override {
        if (auto error = step("open " + path)) co_return std::unexpected(*error);
        if (!folders.contains(folder_of(path))) co_return failure(DiskError::Kind::NotFound, path);
        bool there = files.contains(path);
        if (there && mode == world::OpenMode::CreateNew) {
            co_return failure(DiskError::Kind::Exists, path);
        }
        bool may_create = mode == world::OpenMode::Create || mode == world::OpenMode::CreateNew;
        if (!there && !may_create) co_return failure(DiskError::Kind::NotFound, path);
        if (!there) files[path] = std::make_shared<Node>();
        co_return std::make_unique<MemoryFile>(*this, files[path]);
    }
    Task<DiskStatus> rename(std::string from, std::string to) override {
        if (auto error = step("rename " + from + " " + to)) co_return std::unexpected(*error);
        if (!files.contains(from) || !folders.contains(folder_of(to))) {
            co_return failure(DiskError::Kind::NotFound, from);
        }
        files[to] = files[from];
        files.erase(from);
        co_return DiskStatus{};
    }
    Task<DiskStatus> link(std::string from, std::string to) override {
        files[to] = files[from];
        co_return DiskStatus{};
    }
    Task<DiskStatus> remove(std::string path) override {
        if (auto error = step("remove " + path)) co_return std::unexpected(*error);
        if (files.erase(path) == 0) co_return failure(DiskError::Kind::NotFound, path);
        co_return DiskStatus{};
    }
    Task<DiskStatus> make_directories(std::string path) override {
        if (auto error = step("make " + path)) co_return std::unexpected(*error);
        folders.insert(path);
        co_return DiskStatus{};
    }
    Task<DiskResult<std::vector<world::DirectoryEntry>>> list(std::string path) override {
        if (auto error = step("list " + path)) co_return std::unexpected(*error);
        if (!folders.contains(path)) co_return failure(DiskError::Kind::NotFound, path);
        std::vector<world::DirectoryEntry> entries;
        for (std::string& name : names(path)) entries.push_back({std::move(name)});
        co_return entries;
    }
    Task<DiskResult<world::FileInfo>> info(std::string path) override {
        if (auto error = step("info " + path)) co_return std::unexpected(*error);
        auto at = files.find(path);
        if (at == files.end()) co_return failure(DiskError::Kind::NotFound, path);
        world::FileInfo found;
        found.size = at->second->octets.size();
        co_return found;
    }
    Task<DiskStatus> sync_directory(std::string path) override {
        if (auto error = step("sync_directory " + path)) co_return std::unexpected(*error);
        std::erase_if(durable, [&](const auto& entry) { return folder_of(entry.first) == path; });
        for (const auto& [name, node] : files) {
            if (folder_of(name) == path) durable[name] = node;
        }
        co_return DiskStatus{};
    }
    Task<DiskResult<world::SpaceInfo>> space(std::string) override { co_return world::SpaceInfo{}; }
    Task<DiskResult<std::unique_ptr<world::DiskLock>>> lock(std::string path) override {
        co_return failure(DiskError::Kind::Locked, path);
    }

private:
    class MemoryFile : public world::File {
    public:
        MemoryFile(MemoryDisk& disk, std::shared_ptr<Node> node)
            : disk_(disk), node_(std::move(node)) {}

        Task<DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) override {
            std::size_t begin = std::min<std::size_t>(offset, node_->octets.size());
            co_return node_->octets.copy(into.data(), into.size(), begin);
        }
        Task<DiskStatus> write_at(uint64_t offset,
                                  std::span<const std::string_view> pieces) override {
            if (auto error = disk_.step("write")) co_return std::unexpected(*error);
            std::string all;
            for (std::string_view piece : pieces) all += piece;
            disk_.largest_write = std::max(disk_.largest_write, all.size());
            if (node_->octets.size() < offset + all.size()) {
                node_->octets.resize(offset + all.size());
            }
            node_->octets.replace(offset, all.size(), all);
            co_return DiskStatus{};
        }
        Task<DiskStatus> sync() override {
            if (auto error = disk_.step("sync")) co_return std::unexpected(*error);
            node_->synced = node_->octets;
            co_return DiskStatus{};
        }
        Task<DiskResult<uint64_t>> size() override { co_return node_->octets.size(); }
        Task<DiskStatus> truncate(uint64_t size) override {
            if (auto error = disk_.step("truncate")) co_return std::unexpected(*error);
            node_->octets.resize(size);
            co_return DiskStatus{};
        }
        void bypass_cache() override {}
        Task<DiskStatus> allocate(uint64_t size) override {
            if (auto error = disk_.step("allocate")) co_return std::unexpected(*error);
            if (node_->octets.size() < size) node_->octets.resize(size);
            co_return DiskStatus{};
        }

    private:
        MemoryDisk& disk_;
        std::shared_ptr<Node> node_;
    };

    static std::string folder_of(const std::string& path) {
        return path.substr(0, path.rfind('/'));
    }
    static std::unexpected<DiskError> failure(DiskError::Kind kind, const std::string& path) {
        return std::unexpected(DiskError{kind, path});
    }
    std::optional<DiskError> step(std::string line) {
        log.push_back(std::move(line));
        if (!fault) return std::nullopt;
        if (auto kind = fault(log.back())) return DiskError{*kind, "fault at " + log.back()};
        return std::nullopt;
    }
};

}  // namespace postrider::deliver
