// daemon/attempt_record_fuzz.cc: any octets in a file of attempts give what they hold, never a
// crash.
//
// The octets are looked at as a file, and as a payload whose header and CRCs are right, so that
// they reach what is behind them. However a file is cut for reading, the same is found.

#include <cstdlib>

#include "daemon/attempt_record.h"
#include "spool/bytes.h"
#include "spool/record.h"

using namespace postrider;
using namespace postrider::daemon;

namespace {

constexpr MessageId kWanted{7};

std::size_t found_in(std::string_view file, std::size_t block) {
    AttemptStory story;
    for (std::size_t at = 0; at < file.size();) {
        std::string_view part = file.substr(at, block);
        bool is_end = at + part.size() == file.size();
        std::size_t done =
            scan_attempts(part, is_end ? FilePart::End : FilePart::Middle, kWanted, story);
        if (done > part.size()) std::abort();
        if (is_end) break;
        if (done == 0) std::abort();
        at += done;
    }
    if (story.attempts.size() > kAttemptsPerMessageMax) std::abort();
    return story.attempts.size() + story.skipped;
}

std::string with_header(std::string_view payload) {
    std::string out("\x01PRA");
    spool::put<uint32_t>(out, static_cast<uint32_t>(payload.size()));
    spool::put<uint64_t>(out, kWanted.value);
    spool::put<uint32_t>(out, spool::crc32(payload));
    spool::put<uint32_t>(out, spool::crc32(out));
    return out.append(payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    std::string octets(reinterpret_cast<const char*>(data), size);
    std::string good;
    append_attempt(good, kWanted, {.number = 1, .site = "far.test"});
    std::string file = octets + good + octets + with_header(octets) + good;
    constexpr std::size_t kBlock = kAttemptHeaderOctets + kAttemptPayloadMax;
    std::size_t found = found_in(file, file.size());
    if (found < 2) std::abort();  // what surrounds them hides no whole record
    if (found_in(std::string(2 * kBlock, 'x') + file, kBlock) != found) std::abort();
    return 0;
}
