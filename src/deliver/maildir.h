// deliver/maildir.h: puts one recipient's copy into a Maildir, durably and only once.
//
// The problem: after "delivered" is recorded nobody will try again, so the copy must be on stable
// storage before; and a crash between the two makes us try again, so a second try must not make a
// second copy.
//
// Promise
//   1. Delivered is said only after the file's octets were synced, it was renamed from tmp to new,
//      and the directory new was synced.
//   2. The file's name is made from the message's id, its time of receipt and the recipient's
//   number
//      (maildir_name), so a repeated delivery finds the first one, in new or in cur, and only makes
//      sure that it is durable. What a crash left in tmp is overwritten.
//   3. A failure leaves nothing in new, and nothing in tmp that it could remove.
//   4. The file holds Return-Path, Delivered-To, the variant's prefix and the content, with LF line
//      ends or CRLF as asked; a BINARYMIME message (RFC 3030) is stored unconverted.
//   5. Memory is bounded whatever the message's size: one block of 64 KiB, or about the size of a
//      message that is in memory already.
//
// Failure: every failure is temporary, for it is ours or the disk's; `detail` of the result says
//   what the operator must look at.
// Threads: called on a shard; all work is done in one journey to a worker.
// Maildir: cr.yp.to/proto/maildir.html. RFC 5321 §4.4 (Return-Path at final delivery).

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mail/attempt.h"
#include "mail/content.h"
#include "mail/envelope.h"
#include "world/world.h"

namespace postrider::deliver {

enum class LineEnd : uint8_t {
    Lf,
    Crlf
};

struct MaildirJob {
    std::shared_ptr<const Envelope> envelope;
    std::shared_ptr<ContentReader> content;
    uint32_t recipient = 0;  // REQUIRES: below envelope->recipient_count()
    std::string directory;   // the Maildir, absolute; made with tmp, new and cur if it is missing
    std::string host;        // ours, for the file's name; must not change between attempts
    LineEnd line_end = LineEnd::Lf;
    // It may have been delivered before (a later attempt, or recovered after a restart): look in
    // cur too, where a reader may have moved it.
    bool repeated = false;
};

// Verdict is Delivered or Temporary. world must outlive the task.
Task<RecipientResult> deliver_to_maildir(world::World& world, MaildirJob job);

// "<seconds>.<ID>R<recipient>.<host>": the part of the file's name before any flags. "/" and ":" of
// the host are written as \057 and \072; what is longer than 180 octets is cut.
std::string maildir_name(const Envelope& envelope, uint32_t recipient, std::string_view host);

}  // namespace postrider::deliver
