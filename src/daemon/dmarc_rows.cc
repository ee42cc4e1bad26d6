#include "daemon/dmarc_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

namespace postrider::daemon {

namespace {

using world::DiskError;
using world::DiskStatus;
using Json = nlohmann::json;
using mailauth::dmarc::Alignment;

constexpr std::string_view kSuffix = ".jsonl";
constexpr std::size_t kDayOctets = 8;

std::string day_of(Wall at) {
    auto day = std::chrono::floor<std::chrono::days>(
        std::chrono::sys_seconds(std::chrono::seconds(at.seconds())));
    std::chrono::year_month_day date{day};
    return fmt::format("{:04}{:02}{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

// Nothing for any other name.
std::string day_of_name(std::string_view name) {
    bool fits = name.size() == kDayOctets + kSuffix.size() && name.ends_with(kSuffix) &&
                name.find_first_not_of("0123456789") == kDayOctets;
    return fits ? std::string(name.substr(0, kDayOctets)) : std::string();
}

const char* word(Alignment mode) { return mode == Alignment::Strict ? "s" : "r"; }
const char* word(bool pass) { return pass ? "pass" : "fail"; }

}  // namespace

// RFC 9990 §3.1.1.5 to §3.1.1.14.
std::string dmarc_row_line(const mailauth::dmarc::ReportRow& row, MessageId id, Wall at,
                           std::string_view source_ip) {
    Json dkim = Json::array();
    for (const auto& one : row.dkim) {
        dkim.push_back({{"domain", one.domain},
                        {"selector", one.selector},
                        {"result", name(one.result)},
                        {"human_result", one.reason}});
    }
    Json spf = Json::array();
    for (const auto& one : row.spf) {
        spf.push_back(
            {{"domain", one.domain}, {"result", name(one.result)}, {"human_result", one.reason}});
    }
    Json reasons = Json::array();
    for (const auto& one : row.overrides) {
        reasons.push_back({{"type", name(one.type)}, {"comment", one.comment}});
    }
    Json line{
        {"id", id.text()},
        {"at", at.seconds()},
        {"source_ip", source_ip},
        {"policy_published",
         {{"domain", row.policy_domain},
          {"p", name(row.policy)},
          {"sp", name(row.subdomain_policy)},
          {"np", name(row.nonexistent_policy)},
          {"fo", row.failure_options},
          {"adkim", word(row.dkim_alignment)},
          {"aspf", word(row.spf_alignment)},
          {"testing", row.testing ? "y" : "n"},
          {"error", row.problems}}},
        {"policy_evaluated",
         {{"disposition", name(row.disposition)},
          {"dkim", word(row.dkim_aligned)},
          {"spf", word(row.spf_aligned)},
          {"reason", std::move(reasons)}}},
        {"identifiers", {{"header_from", row.header_from}, {"envelope_from", row.envelope_from}}},
        {"auth_results", {{"dkim", std::move(dkim)}, {"spf", std::move(spf)}}}};
    return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

DmarcRows::DmarcRows(world::World& world, DmarcRowsOptions options)
    : world_(world), options_(std::move(options)), ended_(world.executor, world.clock) {}

void DmarcRows::add(Wall at, std::string line) {
    if (world_.executor.current_shard() == 0) return take(day_of(at), line);
    world_.executor.post_to(0, [this, day = day_of(at), line = std::move(line)]() mutable {
        take(std::move(day), line);
    });
}

void DmarcRows::take(std::string day, const std::string& line) {
    if (options_.octets_max == 0) return;
    if (waiting_octets_ + line.size() > kWaitingOctetsMax) {
        lost_++;
        return;
    }
    waiting_octets_ += line.size();
    waiting_[std::move(day)] += line;
    if (waiting_octets_ > kWaitingOctetsMax / 2 && !failing_) {
        begin_writing();
    } else {
        schedule();
    }
}

void DmarcRows::begin_writing() {
    if (writing_) return;
    writing_ = true;
    timer_.reset();
    world_.executor.spawn(write_waiting());
}

void DmarcRows::schedule() {
    if (writing_ || timer_ || waiting_.empty()) return;
    timer_ = world_.clock.call_at(world_.clock.now() + kWriteEvery, [this] { begin_writing(); });
}

void DmarcRows::reconfigure(DmarcRowsOptions options) { options_ = std::move(options); }

Task<void> DmarcRows::write_waiting() {
    auto written = co_await write_all();
    if (!written) {
        looked_ = false;  // somebody may change it to mend it
        if (!std::exchange(failing_, true)) {
            world_.log.write(Event::DmarcRowsNotWritten,
                             {{"reason", written.error().message}, {"lost", lost_}});
        }
    } else {
        failing_ = false;
        if (lost_ > 0) {
            world_.log.write(Event::DmarcRowsNotWritten, {{"reason", "there was no room for them"},
                                                          {"lost", std::exchange(lost_, 0)}});
        }
    }
    writing_ = false;
    ended_.notify_all();
    schedule();
}

Task<DiskStatus> DmarcRows::write_all() {
    if (!looked_) {
        auto looked = co_await look();
        if (!looked) co_return looked;
    }
    while (!waiting_.empty()) {
        std::string day = waiting_.begin()->first;
        std::string lines = waiting_.begin()->second;
        auto written = co_await write_day(day, lines);
        if (!written) co_return written;
        std::string& rest = waiting_[day];  // more may have come
        rest.erase(0, lines.size());
        waiting_octets_ -= lines.size();
        if (rest.empty()) waiting_.erase(day);
    }
    co_return DiskStatus{};
}

Task<DiskStatus> DmarcRows::write_day(const std::string& day, std::string_view lines) {
    auto room = co_await make_room(day, lines.size());
    if (!room) co_return room;
    bool is_new = !files_.contains(day);
    uint64_t at = is_new ? 0 : files_[day];
    if (at + lines.size() > options_.octets_max) {
        lost_ += std::ranges::count(lines, '\n');
        co_return DiskStatus{};
    }
    auto space = co_await world_.disk.space(options_.directory);
    if (!space) co_return std::unexpected(space.error());
    if (space->free_octets < options_.min_free_octets + lines.size()) {
        co_return std::unexpected(
            DiskError{DiskError::Kind::Full,
                      fmt::format("{}: {} octets are free, and the rest is kept for mail",
                                  options_.directory, space->free_octets)});
    }
    auto file = co_await world_.disk.open(path_of(day), world::OpenMode::Create);
    if (!file) co_return std::unexpected(file.error());
    // What a crash or a failed write cut short must not swallow the next row.
    std::string_view fence = at > 0 && day != whole_day_ ? "\n" : "";
    std::array<std::string_view, 2> pieces{fence, lines};
    auto done = co_await (*file)->write_at(at, pieces);
    if (done) done = co_await (*file)->sync();
    if (done && is_new) done = co_await world_.disk.sync_directory(options_.directory);
    if (done) files_[day] = at + fence.size() + lines.size();
    whole_day_ = done ? day : std::string();
    co_return done;
}

Task<DiskStatus> DmarcRows::look() {
    auto made = co_await world_.disk.make_directories(options_.directory);
    if (!made) co_return made;
    auto entries = co_await world_.disk.list(options_.directory);
    if (!entries) co_return std::unexpected(entries.error());
    files_.clear();
    for (const world::DirectoryEntry& entry : *entries) {
        std::string day = day_of_name(entry.name);
        if (day.empty() || entry.type != world::DirectoryEntry::Type::File) continue;
        auto info = co_await world_.disk.info(options_.directory + "/" + entry.name);
        if (info) files_[day] = info->size;
    }
    looked_ = true;
    co_return DiskStatus{};
}

Task<DiskStatus> DmarcRows::make_room(const std::string& day, uint64_t octets) {
    uint64_t total = octets;
    for (const auto& [name, size] : files_) total += size;
    while (total > options_.octets_max && !files_.empty() && files_.begin()->first < day) {
        auto oldest = files_.begin();
        auto removed = co_await world_.disk.remove(path_of(oldest->first));
        if (!removed && removed.error().kind != DiskError::Kind::NotFound) co_return removed;
        total -= oldest->second;
        files_.erase(oldest);
    }
    co_return DiskStatus{};
}

Task<void> DmarcRows::close(Deadline deadline) {
    timer_.reset();
    if (!writing_ && !waiting_.empty() && !failing_) {
        writing_ = true;
        world_.executor.spawn(write_waiting());
    }
    while (writing_) {
        if (!co_await ended_.wait(deadline)) co_return;
    }
    timer_.reset();
}

std::string DmarcRows::path_of(const std::string& day) const {
    return fmt::format("{}/{}{}", options_.directory, day, kSuffix);
}

}  // namespace postrider::daemon
