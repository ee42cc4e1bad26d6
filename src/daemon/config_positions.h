// daemon/config_positions.h: where in the files each value of a Config stands.
//
// Threads: values, used by one load().

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/config_keys.h"

namespace postrider::daemon {

struct Position {
    uint32_t file = 0;  // index into Positions::files
    uint32_t line = 1;
    uint32_t column = 1;
};

struct DomainPositions {
    Position self;
    Position catch_all;
    Position postmaster;
    Position deliver_to;
    std::vector<Position> mailboxes;             // as LocalDomain::mailboxes
    std::vector<Position> aliases;               // as LocalDomain::aliases
    std::vector<std::vector<Position>> targets;  // of each alias
};

struct RoutePositions {
    Position domain;
    Position host;
};

struct Positions {
    std::vector<std::string> files;       // the first is the configuration itself
    std::map<const Key*, Position> keys;  // of sections that stand once
    std::vector<Position> listeners;      // of their addresses
    std::vector<DomainPositions> domains;
    std::vector<RoutePositions> routes;  // as TableSource::routes
    std::vector<Position> pools;
};

// The errors of one load, bounded: a list of 100,000 broken lines helps nobody.
class ConfigErrors {
public:
    static constexpr std::size_t kErrorsMax = 100;

    explicit ConfigErrors(const Positions& positions) : positions_(positions) {}

    void add(Position at, std::string message);
    std::size_t count() const { return count_; }

    // In the order of file and line.
    std::vector<ConfigError> take();

private:
    struct Item {
        Position at;
        std::size_t number;  // in the order of add()
        std::string message;
    };

    const Positions& positions_;
    std::vector<Item> items_;
    std::size_t count_ = 0;
};

}  // namespace postrider::daemon
