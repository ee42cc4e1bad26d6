// main/config_file.h: reads the configuration from disk.
//
// Threads: before the server starts, or shard 0 at a reload (the file is small).

#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "daemon/config.h"

namespace postrider {

// The whole file. The error says why not. Limit: 64 MiB.
Result<std::string> read_file(const std::string& path);

// Loads and checks; the error holds all mistakes, one per line.
Result<std::shared_ptr<const daemon::Config>> load_config_file(const std::string& path);

}  // namespace postrider
