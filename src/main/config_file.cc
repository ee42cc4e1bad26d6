#include "main/config_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace postrider {

namespace {
constexpr std::size_t kFileOctetsMax = 64 * 1024 * 1024;
}

Result<std::string> read_file(const std::string& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return fail("cannot read " + path + ": " + std::strerror(errno));
    auto size = file.tellg();
    if (size < 0) return fail("cannot read " + path + ": it is no plain file");
    if (static_cast<std::size_t>(size) > kFileOctetsMax) return fail(path + " is too large");
    std::string content(static_cast<std::size_t>(size), 0);
    file.seekg(0);
    if (!file.read(content.data(), size)) return fail("cannot read " + path);
    return content;
}

Result<std::shared_ptr<const daemon::Config>> load_config_file(const std::string& path) {
    auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    auto config = daemon::load(*text, path, read_file);
    if (config) return std::make_shared<const daemon::Config>(std::move(*config));
    std::string all;
    for (const auto& error : config.error()) all += (all.empty() ? "" : "\n") + error.text();
    return fail(std::move(all));
}

}  // namespace postrider
