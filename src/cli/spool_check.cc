#include "cli/spool_check.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "spool/spool.h"

namespace postrider::cli {

namespace {

std::string for_people(const spool::SpoolReport& report) {
    std::string out = fmt::format(
        "segments           {} ({} in use, generations {} to {})\n"
        "records            {}\n"
        "live messages      {} with {} waiting recipients\n"
        "large files        {}\n"
        "last stop          {}\n"
        "torn tail          {} octets, never acknowledged\n",
        report.segments, report.segments_in_use, report.generation_first, report.generation_last,
        report.records, report.live_messages, report.waiting_recipients, report.large_files,
        report.clean_stop ? "clean" : "not clean, or a server is running", report.torn_octets);
    for (const auto& name : report.large_unreferenced) {
        out += fmt::format("unreferenced       large/{}\n", name);
    }
    for (const auto& id : report.large_missing) {
        out += fmt::format("MISSING            the content of message {}\n", id);
    }
    for (const auto& damage : report.damage) {
        out += fmt::format("DAMAGED            {} at {}, {} octets: {}\n", damage.path,
                           damage.offset, damage.octets, damage.reason);
    }
    return out;
}

std::string for_programs(const spool::SpoolReport& report) {
    nlohmann::json out = {{"segments", report.segments},
                          {"segments_in_use", report.segments_in_use},
                          {"records", report.records},
                          {"live_messages", report.live_messages},
                          {"waiting_recipients", report.waiting_recipients},
                          {"large_files", report.large_files},
                          {"torn_octets", report.torn_octets},
                          {"clean_stop", report.clean_stop},
                          {"large_missing", report.large_missing},
                          {"large_unreferenced", report.large_unreferenced},
                          {"damage", nlohmann::json::array()}};
    for (const auto& damage : report.damage) {
        out["damage"].push_back({{"path", damage.path},
                                 {"offset", damage.offset},
                                 {"octets", damage.octets},
                                 {"reason", damage.reason}});
    }
    return out.dump() + "\n";
}

}  // namespace

Task<int> spool_check(world::World& world, std::string directory, bool json, Console console) {
    auto report = co_await spool::check(world, std::move(directory));
    if (!report) {
        console.err("postrider: " + report.error().message + "\n");
        co_return kExitUnavailable;
    }
    console.out(json ? for_programs(*report) : for_people(*report));
    bool sound = report->damage.empty() && report->large_missing.empty();
    if (!json) console.out(sound ? "The spool is sound.\n" : "The spool is damaged.\n");
    co_return sound ? kExitOk : kExitFailed;
}

}  // namespace postrider::cli
