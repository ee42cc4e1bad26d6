// accounts/last_use.h: when each password was used last, so that forgotten ones can be removed.
//
// Kept in memory and, some seconds after a change, in a file: one line for each password, "seconds
// NAME/LABEL". It is a hint for the operator: it is never synced, and a crash forgets the last
// seconds.
//
// Threads: shard 0; record() from any.

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "world/world.h"

namespace postrider::accounts {

class LastUse {
public:
    static constexpr std::size_t kPasswordsMax = 200'000;

    // REQUIRES: world outlives it.
    LastUse(world::World& world, std::string path) : world_(world), path_(std::move(path)) {}

    Task<void> load();
    void record(const std::string& account, const std::string& label);
    // Seconds since 1970; 0 = never seen.
    int64_t of(const std::string& account, const std::string& label) const;
    // Writes what was not written yet.
    Task<void> flush();

private:
    void note(std::string key, int64_t seconds);
    Task<void> write_soon();

    world::World& world_;
    std::string path_;
    std::map<std::string, int64_t> used_;
    bool dirty_ = false;
    bool waiting_ = false;
};

}  // namespace postrider::accounts
