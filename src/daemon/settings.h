// daemon/settings.h: what the river needs of the configuration, as one immutable value.
//
// A reload makes a new value and swaps it; who is in the middle of something keeps the old one.
//
// Threads: Settings is immutable; SettingsSource may be asked from any shard.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "deliver/maildir.h"
#include "route/table.h"
#include "world/net.h"

namespace postrider::daemon {

struct Settings {
    std::string hostname;
    std::vector<world::IpNetwork> relay_networks;
    std::shared_ptr<const route::Table> table;
    deliver::LineEnd maildir_line_end = deliver::LineEnd::Lf;
    uint64_t recipients_max = 1000;
};

class SettingsSource {
public:
    explicit SettingsSource(std::shared_ptr<const Settings> first) : current_(std::move(first)) {}

    std::shared_ptr<const Settings> now() const { return current_.load(); }
    void replace(std::shared_ptr<const Settings> next) { current_.store(std::move(next)); }

private:
    std::atomic<std::shared_ptr<const Settings>> current_;
};

}  // namespace postrider::daemon
