// deliver/pipe.h: gives one recipient's copy to a program on its standard input.
//
// The problem: the program decides what becomes of the message and says so by its exit code alone;
// it may hang, crash or be misconfigured, and mail must not be lost by any of it.
//
// Promise
//   1. Standard input is Return-Path, Delivered-To, the variant's prefix and the content, with LF
//   line
//      ends; a BINARYMIME message (RFC 3030) goes unconverted. A message that cannot be read whole
//      is never given as if it were: the program is killed before its input ends.
//   2. The command is split without a shell; addresses never become options (pipe_command.h).
//   3. The environment is PATH, HOME (the folder), SENDER, RECIPIENT, ORIGINAL_RECIPIENT, LOCAL,
//      EXTENSION, DOMAIN, MESSAGE_ID (ours, not the header's), CLIENT_ADDRESS, CLIENT_HELO,
//      CLIENT_PROTOCOL: nothing of the server's own. Control characters in values are "?".
//   4. At time_max the program and its group are killed, and the attempt was temporary.
//   5. Exit codes are those of sysexits, by the table in pipe_results.h. What is not in it, a
//      signal and a program that cannot be started are temporary: an operator can repair them.
//   6. The last line that the program wrote goes with a failure, cleaned and cut, as `detail` for
//      the operator, and into `reason` when the code is one of sysexits.
//   7. Memory is bounded: two blocks and kPipeOutputOctetsMax.
//
// A crash between the program's end and the record of the outcome means that it is run again: a
// program that must not do its work twice looks at MESSAGE_ID and RECIPIENT.
//
// Threads: called on a shard.
// RFC 5321 §4.4 (Return-Path at final delivery); RFC 3463 (status).

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mail/attempt.h"
#include "mail/content.h"
#include "mail/envelope.h"
#include "world/world.h"

namespace postrider::deliver {

inline constexpr std::size_t kPipeOutputOctetsMax = 8 * 1024;  // the end of what it wrote

struct PipeJob {
    std::shared_ptr<const Envelope> envelope;
    std::shared_ptr<ContentReader> content;
    uint32_t recipient = 0;       // REQUIRES: below envelope->recipient_count()
    std::string command;          // as the operator wrote it; PipeCommand::parse takes it
    std::string directory = "/";  // in which the program runs
    std::string search_path = "/usr/local/bin:/usr/bin:/bin";  // PATH of the program
    std::string delimiters = "+";                              // of LOCAL and EXTENSION
    Duration time_max = std::chrono::minutes(10);
};

// Verdict is Delivered, Temporary or Permanent. world must outlive the task.
Task<RecipientResult> deliver_to_pipe(world::World& world, PipeJob job);

}  // namespace postrider::deliver
