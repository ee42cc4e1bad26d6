// base/limits.h: every fixed bound of the house in one place, with the relations between them.
//
// What an operator may set has its default in the options of its room and is held below these.

#pragma once

#include <cstddef>
#include <cstdint>

namespace postrider {

// RFC 5321 §4.5.3.1: what must at least be taken; ours are the same or larger.
inline constexpr std::size_t kLocalPartOctetsMax = 64;  // §4.5.3.1.1
inline constexpr std::size_t kDomainOctetsMax = 255;    // §4.5.3.1.2
inline constexpr std::size_t kPathOctetsMax = 256;      // §4.5.3.1.3, with the brackets
inline constexpr std::size_t kCommandLineOctetsMax =
    2048;  // §4.5.3.1.4 asks for 512 and more per extension
// RFC 4954 §4, §4.3: a line of an AUTH exchange; 12288 octets must at least be taken.
inline constexpr std::size_t kAuthLineOctetsMax = 12'288 + 2;
inline constexpr std::size_t kReplyLineOctetsMax = 512;  // §4.5.3.1.5
inline constexpr std::size_t kTextLineOctetsMax = 1000;  // §4.5.3.1.6, with CRLF
inline constexpr std::size_t kRecipientsMin = 100;       // §4.5.3.1.8

inline constexpr std::size_t kHopsMax = 100;  // §6.3: Received fields
inline constexpr std::size_t kRecipientsAfterExpansionMax = 10'000;
inline constexpr std::size_t kAliasDepthMax = 10;

inline constexpr std::size_t kHeaderBlockOctetsMax = 1024 * 1024;  // without the empty line
inline constexpr std::size_t kHeaderFieldsMax = 10'000;

// A message up to this size is kept in memory until it is stored in the log; a larger one flows
// into a file of its own.
inline constexpr std::size_t kInlineMessageOctetsMax = 128 * 1024;
inline constexpr std::size_t kLogRecordOctetsMax = 8 * 1024 * 1024;  // envelope and inline content
inline constexpr std::size_t kReasonOctetsMax = 1024;                // text kept with an outcome

static_assert(kInlineMessageOctetsMax < kLogRecordOctetsMax);
static_assert(kCommandLineOctetsMax > kPathOctetsMax + 512);

}  // namespace postrider
