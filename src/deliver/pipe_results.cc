#include "deliver/pipe_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mail/trace.h"

namespace postrider::deliver {

namespace {

using Verdict = RecipientResult::Verdict;
using Kind = world::ProcessEnd::Kind;

constexpr std::size_t kLineOctetsMax = 300;

constexpr auto kDelivered = Verdict::Delivered;
constexpr auto kTemporary = Verdict::Temporary;
constexpr auto kPermanent = Verdict::Permanent;

// Permanent is what speaks of this message or this address. Temporary is what speaks of the machine
// or of the operator's own doing: it can be repaired while the mail waits.
// RFC 3463: X.1 address, X.2 mailbox, X.3 system, X.5 protocol, X.6 content, X.7 policy.
constexpr std::array<ExitCode, 16> kExitCodes = {{
    {0, "EX_OK", kDelivered, {2, 0, 0}, FailureKind::Other, "delivered to the program"},
    {64,
     "EX_USAGE",
     kTemporary,
     {4, 3, 5},
     FailureKind::Other,
     "the program was called in a wrong way"},
    {65,
     "EX_DATAERR",
     kPermanent,
     {5, 6, 0},
     FailureKind::Other,
     "the program does not take this content"},
    {66,
     "EX_NOINPUT",
     kPermanent,
     {5, 3, 0},
     FailureKind::Other,
     "the program did not find its input"},
    {67, "EX_NOUSER", kPermanent, {5, 1, 1}, FailureKind::Mailbox, "no such user"},
    {68, "EX_NOHOST", kPermanent, {5, 1, 2}, FailureKind::Other, "no such host"},
    {69,
     "EX_UNAVAILABLE",
     kPermanent,
     {5, 3, 0},
     FailureKind::Other,
     "the service is not available"},
    {70,
     "EX_SOFTWARE",
     kPermanent,
     {5, 3, 0},
     FailureKind::Other,
     "the program found a fault in itself"},
    {71,
     "EX_OSERR",
     kTemporary,
     {4, 3, 0},
     FailureKind::Other,
     "the program met an error of the system"},
    {72,
     "EX_OSFILE",
     kTemporary,
     {4, 3, 5},
     FailureKind::Other,
     "a file of the system is missing for the program"},
    {73,
     "EX_CANTCREAT",
     kPermanent,
     {5, 2, 0},
     FailureKind::Mailbox,
     "the program cannot make its output"},
    {74,
     "EX_IOERR",
     kTemporary,
     {4, 3, 0},
     FailureKind::Other,
     "the program could not read or write"},
    {75,
     "EX_TEMPFAIL",
     kTemporary,
     {4, 3, 0},
     FailureKind::Other,
     "the program asks to try again later"},
    {76,
     "EX_PROTOCOL",
     kPermanent,
     {5, 5, 0},
     FailureKind::Other,
     "the program met an error of protocol"},
    {77,
     "EX_NOPERM",
     kPermanent,
     {5, 7, 0},
     FailureKind::Policy,
     "the program does not permit this message"},
    {78, "EX_CONFIG", kTemporary, {4, 3, 5}, FailureKind::Other, "the program is misconfigured"},
}};

// The last line with something in it, safe to show.
std::string last_line(std::string_view output) {
    std::size_t end = output.find_last_not_of(" \t\r\n");
    if (end == std::string_view::npos) return {};
    output = output.substr(0, end + 1);
    std::size_t begin = output.rfind('\n');
    std::string line(output.substr(begin == std::string_view::npos ? 0 : begin + 1));
    line.resize(std::min(line.size(), kLineOctetsMax));
    std::ranges::replace(line, '\t', ' ');
    // A foreign program says it and other hosts may see it: ASCII alone is safe everywhere.
    for (char& c : line) {
        if (static_cast<unsigned char>(c) > 126) c = '?';
    }
    return without_controls(line);
}

RecipientResult temporary(uint32_t recipient, EnhancedStatus status, std::string reason,
                          std::string detail) {
    return {.recipient = recipient,
            .verdict = kTemporary,
            .status = status,
            .reason = std::move(reason),
            .detail = std::move(detail)};
}

RecipientResult result_of_exit(uint32_t recipient, int code, const std::string& said) {
    auto known = std::ranges::find(kExitCodes, code, &ExitCode::code);
    if (known == kExitCodes.end()) {
        std::string detail = fmt::format("exit code {}", code);
        if (!said.empty()) detail += ": " + said;
        return temporary(recipient, {4, 3, 0}, "the program failed", std::move(detail));
    }
    RecipientResult result{.recipient = recipient,
                           .verdict = known->verdict,
                           .status = known->status,
                           .reason = std::string(known->reason),
                           .kind = known->kind};
    if (known->verdict == kDelivered) return result;
    result.detail = fmt::format("exit code {} ({})", code, known->name);
    if (!said.empty()) result.reason += ": " + said;
    return result;
}

}  // namespace

std::span<const ExitCode> exit_codes() { return kExitCodes; }

RecipientResult pipe_result(uint32_t recipient, const world::ProcessEnd& end) {
    std::string said = last_line(end.output);
    std::string behind = said.empty() ? "" : ": " + said;
    switch (end.kind) {
        case Kind::Exited:
            return result_of_exit(recipient, end.code, said);
        case Kind::Signalled:
            return temporary(recipient, {4, 3, 0}, "the program was ended by a signal",
                             fmt::format("signal {}{}", end.code, behind));
        case Kind::TimedOut:
            return temporary(recipient, {4, 3, 0}, "the program took too long",
                             "it was killed at its deadline" + behind);
        case Kind::NotStarted:
            return temporary(recipient, {4, 3, 5}, "the program cannot be started now",
                             end.message);
        case Kind::InputFailed:
            return temporary(recipient, {4, 3, 0}, "the stored message cannot be read now",
                             end.message);
        case Kind::Lost:
            break;
    }
    return temporary(recipient, {4, 3, 0}, "nobody knows how the program ended", end.message);
}

}  // namespace postrider::deliver
