#include "accounts/last_use.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "accounts/user.h"

namespace postrider::accounts {

namespace {

constexpr uint64_t kFileOctetsMax = 64 * 1024 * 1024;
constexpr auto kWriteDelay = std::chrono::seconds(5);

std::string key_of(const std::string& account, const std::string& label) {
    return folded(account) + "/" + label;
}

}  // namespace

Task<void> LastUse::load() {
    auto file = co_await world_.disk.open(path_, world::OpenMode::Read);
    if (!file) co_return;
    auto size = co_await (*file)->size();
    if (!size || *size > kFileOctetsMax) co_return;
    std::string text(*size, '\0');
    auto got = co_await (*file)->read_at(0, text);
    if (!got) co_return;
    std::string_view rest(text.data(), *got);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        int64_t seconds = 0;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), seconds);
        const auto used = static_cast<std::size_t>(end - line.data());
        if (error != std::errc() || used + 1 >= line.size() || used_.size() >= kPasswordsMax)
            continue;
        used_.emplace(line.substr(used + 1), seconds);
    }
}

void LastUse::record(const std::string& account, const std::string& label) {
    world_.executor.post_to(0, [this, key = key_of(account, label),
                                seconds = world_.clock.wall().seconds()] { note(key, seconds); });
}

void LastUse::note(std::string key, int64_t seconds) {
    if (used_.size() >= kPasswordsMax && !used_.contains(key)) return;
    used_[std::move(key)] = seconds;
    dirty_ = true;
    if (waiting_) return;
    waiting_ = true;
    world_.executor.spawn(write_soon());
}

int64_t LastUse::of(const std::string& account, const std::string& label) const {
    const auto found = used_.find(key_of(account, label));
    return found == used_.end() ? 0 : found->second;
}

Task<void> LastUse::write_soon() {
    co_await world_.clock.sleep_for(kWriteDelay);
    waiting_ = false;
    co_await flush();
}

Task<void> LastUse::flush() {
    if (!dirty_) co_return;
    dirty_ = false;
    std::string text;
    for (const auto& [key, seconds] : used_) text += fmt::format("{} {}\n", seconds, key);
    const std::string fresh = path_ + ".new";
    auto file = co_await world_.disk.open(fresh, world::OpenMode::Create);
    if (!file) co_return;
    std::array<std::string_view, 1> pieces{text};
    auto done = co_await (*file)->truncate(0);
    if (done) done = co_await (*file)->write_at(0, pieces);
    if (done) (void)co_await world_.disk.rename(fresh, path_);
}

}  // namespace postrider::accounts
