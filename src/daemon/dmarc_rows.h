// daemon/dmarc_rows.h: keeps, for each message, the row that an aggregate report will need.
//
// The problem: who publishes a DMARC record wants to be told once a day what others saw
// (RFC 9990). Reports are made later; what they are made of must outlive a restart and not grow
// without end.
//
// A row is one line of JSON, in a file for each day (UTC): YYYYMMDD.jsonl. Its keys are those of
// RFC 9990 §3.1.1. A line that is empty or no JSON was cut short by a crash and is passed over.
//
// Promise
//   1. add() neither waits nor fails. Rows are written and synced in groups, once a second: a crash
//      loses what is younger.
//   2. No error of the disk touches mail. It is logged once per stretch with the number of rows
//      that were lost; at most kWaitingOctetsMax wait in memory.
//   3. Never more than octets_max on disk: the files of the oldest days go first, then new rows are
//      not taken. Nothing is written when less than min_free_octets are free.
//
// Threads: add() from any shard, all else from shard 0.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "mail/envelope.h"
#include "mailauth/dmarc/report_row.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::daemon {

struct DmarcRowsOptions {
    std::string directory;
    uint64_t octets_max = 0;  // on disk; 0 = nothing is kept
    uint64_t min_free_octets = 0;
};

// One line of JSON with its line end: the row, with what the message's session knows.
std::string dmarc_row_line(const mailauth::dmarc::ReportRow& row, MessageId id, Wall at,
                           std::string_view source_ip);

class DmarcRows {
public:
    static constexpr std::size_t kWaitingOctetsMax = 1024 * 1024;
    static constexpr auto kWriteEvery = std::chrono::seconds(1);  // or when half of that waits

    // REQUIRES: world outlives it.
    DmarcRows(world::World& world, DmarcRowsOptions options);

    // A line of dmarc_row_line(), of a message that came `at`.
    void add(Wall at, std::string line);

    void reconfigure(DmarcRowsOptions options);

    // Writes what waits.
    Task<void> close(Deadline deadline);

private:
    void take(std::string day, const std::string& line);
    void schedule();
    void begin_writing();
    Task<void> write_waiting();
    Task<world::DiskStatus> write_all();
    Task<world::DiskStatus> write_day(const std::string& day, std::string_view lines);
    Task<world::DiskStatus> look();
    Task<world::DiskStatus> make_room(const std::string& day, uint64_t octets);
    std::string path_of(const std::string& day) const;

    world::World& world_;
    DmarcRowsOptions options_;
    std::map<std::string, std::string> waiting_;  // lines, by day
    std::size_t waiting_octets_ = 0;
    std::map<std::string, uint64_t> files_;  // octets, by day
    bool looked_ = false;                    // files_ is what is there
    std::string whole_day_;                  // whose file ends with a whole row of ours
    std::unique_ptr<world::Timer> timer_;
    world::Signal ended_;  // writing_ has become false
    bool writing_ = false;
    bool failing_ = false;  // the operator was told
    int64_t lost_ = 0;      // rows
};

}  // namespace postrider::daemon
