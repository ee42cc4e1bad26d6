#include "daemon/suppression_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace postrider::daemon {

namespace {

using world::DiskError;
using world::DiskStatus;
using Json = nlohmann::json;

constexpr std::size_t kReadOctets = 256 * 1024;
constexpr std::size_t kLineOctetsMax = 4096;
constexpr std::size_t kLinesSpare = 1000;  // without a meaning, before the file is written anew

std::string line_of(const Suppressed& entry) {
    Json line{{"address", entry.address}, {"scope", entry.scope}, {"class", name(entry.failure)},
              {"reason", entry.reason},   {"at", entry.at.us},    {"until", entry.until.us}};
    return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string word(const Json& line, const char* key) {
    auto found = line.find(key);
    return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Wall moment(const Json& line, const char* key) {
    auto found = line.find(key);
    return found != line.end() && found->is_number_integer() ? Wall{found->get<int64_t>()} : Wall{};
}

}  // namespace

std::string suppression_key(std::string_view address) {
    std::string key(address);
    std::ranges::transform(key, key.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    });
    return key;
}

SuppressionList::SuppressionList(world::World& world, SuppressionOptions options)
    : world_(world), options_(std::move(options)), ended_(world.executor, world.clock) {}

Task<Status<Error>> SuppressionList::load() {
    auto file = co_await world_.disk.open(path(), world::OpenMode::Read);
    if (!file) {
        if (file.error().kind == DiskError::Kind::NotFound) co_return Status<Error>{};
        co_return fail(file.error().message);
    }
    std::string rest;
    std::vector<char> part(kReadOctets);
    while (file_octets_ < kFileOctetsMax) {
        auto got = co_await (*file)->read_at(file_octets_, part);
        if (!got) co_return fail(got.error().message);
        if (*got == 0) break;
        file_octets_ += *got;
        rest.append(part.data(), *got);
        std::size_t begin = 0;
        for (std::size_t end; (end = rest.find('\n', begin)) != std::string::npos;
             begin = end + 1) {
            take_line(std::string_view(rest).substr(begin, end - begin));
        }
        rest.erase(0, begin);
        if (rest.size() > kLineOctetsMax) rest.clear();
    }
    co_return Status<Error>{};
}

void SuppressionList::take_line(std::string_view text) {
    file_lines_++;
    Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) return;
    Suppressed entry{
        .address = word(line, "address"),
        .scope = word(line, "scope"),
        .failure = failure_class_named(word(line, "class")).value_or(FailureClass::Other),
        .reason = word(line, "reason"),
        .at = moment(line, "at"),
        .until = moment(line, "until")};
    if (entry.address.empty()) return;
    Key key{entry.address, entry.scope};
    if (entry.until == Wall{}) {  // taken off
        entries_.erase(key);
        return;
    }
    if (entry.until <= world_.clock.wall()) return;
    by_expiry_.emplace(entry.until, key);
    entries_.insert_or_assign(std::move(key), std::move(entry));
    make_room();
}

const Suppressed* SuppressionList::find(std::string_view address,
                                        std::string_view sender_domain) const {
    std::string key = suppression_key(address);
    std::string scope = suppression_key(sender_domain);
    Wall now = world_.clock.wall();
    for (const std::string& one : {std::string(), scope}) {
        auto found = entries_.find(Key{key, one});
        if (found != entries_.end() && found->second.until > now) return &found->second;
    }
    return nullptr;
}

void SuppressionList::add(Suppressed entry) {
    entry.address = suppression_key(entry.address);
    entry.scope = suppression_key(entry.scope);
    entry.reason.resize(std::min(entry.reason.size(), kReasonMax));
    waiting_ += line_of(entry);
    Key key{entry.address, entry.scope};
    by_expiry_.emplace(entry.until, key);
    entries_.insert_or_assign(std::move(key), std::move(entry));
    make_room();
    schedule();
}

bool SuppressionList::remove(std::string_view address, std::string_view scope) {
    Key key{suppression_key(address), suppression_key(scope)};
    if (entries_.erase(key) == 0) return false;
    waiting_ += line_of({.address = key.first, .scope = key.second});
    schedule();
    return true;
}

void SuppressionList::make_room() {
    while (entries_.size() > options_.entries_max && !by_expiry_.empty()) {
        auto first = by_expiry_.begin();
        auto found = entries_.find(first->second);
        if (found != entries_.end() && found->second.until == first->first) {
            waiting_ += line_of({.address = first->second.first, .scope = first->second.second});
            entries_.erase(found);
        }
        by_expiry_.erase(first);
    }
    // Of entries that were made anew, older moments are left behind.
    if (by_expiry_.size() <= 2 * entries_.size() + kLinesSpare) return;
    by_expiry_.clear();
    for (const auto& [key, entry] : entries_) by_expiry_.emplace(entry.until, key);
}

void SuppressionList::schedule() {
    if (writing_ || timer_ || waiting_.empty()) return;
    timer_ = world_.clock.call_at(world_.clock.now() + kWriteEvery, [this] {
        writing_ = true;
        world_.executor.spawn(write_waiting());
    });
}

bool SuppressionList::wants_new_file() const {
    return file_lines_ > 2 * entries_.size() + kLinesSpare;
}

Task<void> SuppressionList::write_waiting() {
    timer_.reset();
    std::string lines = std::exchange(waiting_, {});
    auto written = wants_new_file() ? co_await write_anew() : co_await append(lines);
    if (written) {
        failing_ = false;
        failure_.clear();
    } else {
        // The list itself is kept: when the disk works again, all of it is written.
        whole_ = false;
        file_lines_ = 2 * entries_.size() + 2 * kLinesSpare;
        waiting_ = "\n";
        failure_ = written.error().message;
        if (!std::exchange(failing_, true)) {
            world_.log.write(Event::SuppressionNotWritten, {{"reason", failure_}});
        }
    }
    writing_ = false;
    ended_.notify_all();
    schedule();
}

Task<DiskStatus> SuppressionList::append(std::string_view lines) {
    auto made = co_await world_.disk.make_directories(options_.directory);
    if (!made) co_return made;
    auto space = co_await world_.disk.space(options_.directory);
    if (!space) co_return std::unexpected(space.error());
    if (space->free_octets < options_.min_free_octets + lines.size()) {
        co_return std::unexpected(DiskError{
            DiskError::Kind::Full,
            fmt::format("{}: the space that is free is kept for mail", options_.directory)});
    }
    auto file = co_await world_.disk.open(path(), world::OpenMode::Create);
    if (!file) co_return std::unexpected(file.error());
    bool is_new = file_octets_ == 0;
    // What a crash cut short must not swallow the next line.
    std::string_view fence = whole_ || is_new ? "" : "\n";
    std::array<std::string_view, 2> pieces{fence, lines};
    auto done = co_await (*file)->write_at(file_octets_, pieces);
    if (done) done = co_await (*file)->sync();
    if (done && is_new) done = co_await world_.disk.sync_directory(options_.directory);
    if (!done) co_return done;
    whole_ = true;
    file_octets_ += fence.size() + lines.size();
    file_lines_ += std::ranges::count(lines, '\n');
    co_return done;
}

Task<DiskStatus> SuppressionList::write_anew() {
    std::string lines;
    visit([&](const Suppressed& entry) { lines += line_of(entry); });
    std::erase_if(entries_, [now = world_.clock.wall()](const auto& pair) {
        return pair.second.until <= now;
    });
    auto made = co_await world_.disk.make_directories(options_.directory);
    if (!made) co_return made;
    std::string next = path() + ".new";
    auto removed = co_await world_.disk.remove(next);  // of an attempt that failed
    if (!removed && removed.error().kind != DiskError::Kind::NotFound) co_return removed;
    {
        auto file = co_await world_.disk.open(next, world::OpenMode::CreateNew);
        if (!file) co_return std::unexpected(file.error());
        std::array<std::string_view, 1> pieces{lines};
        auto done = co_await (*file)->write_at(0, pieces);
        if (done) done = co_await (*file)->sync();
        if (!done) co_return done;
    }
    auto done = co_await world_.disk.rename(next, path());
    if (done) done = co_await world_.disk.sync_directory(options_.directory);
    if (!done) co_return done;
    whole_ = true;
    file_octets_ = lines.size();
    file_lines_ = std::ranges::count(lines, '\n');
    co_return done;
}

Task<Status<Error>> SuppressionList::written(Deadline deadline) {
    while (writing_ || !waiting_.empty()) {
        if (!writing_) {
            timer_.reset();
            writing_ = true;
            world_.executor.spawn(write_waiting());
        }
        if (!co_await ended_.wait(deadline)) co_return fail("the disk did not answer in time");
        if (failing_) co_return fail(failure_);
    }
    co_return Status<Error>{};
}

void SuppressionList::reconfigure(SuppressionOptions options) {
    options_ = std::move(options);
    make_room();
}

Task<void> SuppressionList::close(Deadline deadline) {
    (void)co_await written(deadline);  // what could not be written has been told
    while (writing_) {
        if (!co_await ended_.wait(deadline)) break;
    }
    timer_.reset();
}

}  // namespace postrider::daemon
