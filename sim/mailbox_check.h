// sim/mailbox_check.h: holds the mailboxes against what the clients were told.
//
// The problem: "every message answered 250 is in its mailbox exactly once, octet for octet" must be
// checked by somebody who does not ask the server.
//
// What is checked, for each file in each mailbox and each message in the book
//   - a file is either a copy of a message that was sent, whole, behind the trace fields that its
//     mailbox and sender ask for, or a report about one;
//   - no id is in one mailbox twice, now or after it was seen earlier;
//   - an id that was answered 250 is in every mailbox that it was sent to;
//   - a mark has no more copies than final dots were sent;
//   - a recipient elsewhere caused exactly one report to a sender of ours, and none otherwise.
//
// REQUIRES: nothing is under way: queue empty, clients idle. What was checked is taken out of the
// mailboxes and the book, so that long runs stay quick; ids are remembered.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "sim/mail_client.h"
#include "sim/sim_file_system.h"

namespace postrider::sim {

class MailboxCheck {
public:
    // `set_aside`: ids that the server has told its operator about; they may be missing.
    void run(FileSystem& files, MailBook& book, const std::set<MessageId>& set_aside);

    uint64_t copies() const { return copies_; }    // found so far
    uint64_t reports() const { return reports_; }  // the same
    uint64_t faults_count() const { return faults_count_; }
    const std::vector<std::string>& faults() const { return faults_; }  // the first of them

private:
    using Seen = std::pair<std::string, MessageId>;  // mailbox and id

    void take_file(const MailBook& book, const std::string& user, const std::string& name,
                   const std::string& text);
    void take_copy(const MailBook& book, const std::string& user, MessageId id,
                   const std::string& text);
    void take_report(const std::string& user, MessageId id, const std::string& text);
    void look_for(uint64_t mark, const SentMessage& message, const std::set<MessageId>& set_aside);
    void look_for_reports(uint64_t mark, const SentMessage& message,
                          const std::set<MessageId>& set_aside);
    void fault(std::string text);

    std::set<Seen> seen_;                                  // of all runs
    std::map<uint64_t, std::set<MessageId>> ids_of_mark_;  // of this run
    std::map<MessageId, int> reports_about_;               // of this run
    uint64_t copies_ = 0, reports_ = 0, faults_count_ = 0;
    std::vector<std::string> faults_;
};

}  // namespace postrider::sim
