// mail/trace.h: the header fields and dates that more than one room writes.
//
// Promise: what is given cannot break out of its field: no octet below SP and no DEL is written but
// the line end. Fields end with CRLF.
// Threads: pure functions; time is an argument.
// RFC 5321 §4.4 (Return-Path), RFC 5322 §3.3 (date-time), RFC 9228 (Delivered-To).

#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "mail/mailbox.h"

namespace postrider {

// "Sat, 21 Nov 2026 21:04:05 +0000". The zone is in minutes east of UTC, -1439 to 1439.
std::string date_time(Wall at, int zone_minutes = 0);

// "Return-Path: <a@b.example>" or "Return-Path: <>".
std::string return_path_field(const ReversePath& path);

// "Delivered-To: a@b.example".
std::string delivered_to_field(const Mailbox& mailbox);

// Put in front of a copy that looks forged, for whoever files it: "X-Postrider-Quarantine: reason".
std::string quarantine_field(std::string_view reason);
// Whether fields that we wrote (a variant's prefix) hold that one.
bool is_quarantined(std::string_view prefix);
// What such fields say about a message's authenticity and what followed: Authentication-Results and
// the mark of a quarantine, as they stand. Empty for a message that was not judged.
std::string judgement_in(std::string_view prefix);

// `text` with every control octet replaced by "?"; octets above 127 stay.
std::string without_controls(std::string_view text);

}  // namespace postrider
