#include "world/real/log_descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace postrider::world::real {

namespace {

std::unexpected<Error> failed(std::string_view what, std::string_view path, int error) {
    return fail(fmt::format("cannot {} {}: {}", what, path.empty() ? "standard error" : path,
                            std::generic_category().message(error)));
}

Result<int> open_file(const std::string& path) {
    int descriptor = -1;
    do {
        descriptor =
            ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) return failed("open", path, errno);
    return descriptor;
}

}  // namespace

Result<std::unique_ptr<LogDescriptor>> LogDescriptor::open(std::string path) {
    if (path.empty()) {
        return std::unique_ptr<LogDescriptor>(new LogDescriptor({}, STDERR_FILENO));
    }
    Result<int> descriptor = open_file(path);
    if (!descriptor) return std::unexpected(descriptor.error());
    return std::unique_ptr<LogDescriptor>(new LogDescriptor(std::move(path), *descriptor));
}

LogDescriptor::~LogDescriptor() {
    if (!path_.empty()) ::close(descriptor_);
}

Status<> LogDescriptor::write(std::string_view lines) {
    constexpr int kPatienceMs = 1000;  // for a pipe on standard error that nobody reads
    std::string repaired;
    if (torn_) {
        repaired = '\n';
        repaired += lines;
        lines = repaired;
    }
    while (!lines.empty()) {
        ssize_t written = ::write(descriptor_, lines.data(), lines.size());
        if (written > 0) {
            torn_ = lines[static_cast<std::size_t>(written) - 1] != '\n';
            lines.remove_prefix(static_cast<std::size_t>(written));
            continue;
        }
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) {
            pollfd waiting{descriptor_, POLLOUT, 0};
            if (::poll(&waiting, 1, kPatienceMs) > 0) continue;
            errno = EAGAIN;
        }
        return failed("write to", path_, written == 0 ? EIO : errno);
    }
    return {};
}

Status<> LogDescriptor::reopen() {
    if (path_.empty()) return {};
    Result<int> descriptor = open_file(path_);
    if (!descriptor) return std::unexpected(descriptor.error());
    ::close(descriptor_);
    descriptor_ = *descriptor;
    torn_ = false;
    return {};
}

}  // namespace postrider::world::real
