// mail/drop_file.h: the form of a message that was left in the drop directory.
//
// Written by the sendmail front when the server is down (src/front), read by receive/drop.h.
//
//   POSTRIDER-DROP 1 CRLF
//   MAIL FROM:<...> parameters CRLF         as RFC 5321 §4.1.1.2 has it
//   RCPT TO:<...> parameters CRLF           one or more, §4.1.1.3
//   DATA CRLF
//   the message, every line ended by CRLF, no dots added, to the end of the file
//
// A file is written under a name that begins with kDropTemporaryPrefix, synced, and then renamed:
// under any other name it is whole. Its owner is the user who sent it.
//
// Threads: constants.

#pragma once

#include <cstddef>
#include <string_view>

namespace postrider {

inline constexpr std::string_view kDropMagic = "POSTRIDER-DROP 1\r\n";
inline constexpr std::string_view kDropTemporaryPrefix = "tmp.";
inline constexpr std::size_t kDropEnvelopeOctetsMax = 1024 * 1024;  // up to the line DATA

}  // namespace postrider
