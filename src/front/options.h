// front/options.h: the command line of sendmail, as programs have called it for forty years.
//
// Many of its switches have no meaning any more; they are taken and ignored, since programs give
// them. A switch that would change what happens to mail, and that we do not have, is an error.
//
// Threads: values.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postrider::front {

// What <sysexits.h> calls them.
enum ExitCode : int {
    kExitOk = 0,
    kExitUsage = 64,
    kExitDataError = 65,
    kExitNoUser = 67,
    kExitUnavailable = 69,
    kExitOsError = 71,
    kExitIoError = 74,
    kExitTempFail = 75,
    kExitNoPermission = 77,
    kExitConfig = 78,
};

enum class Mode : uint8_t {
    Submit,      // -bm: a message on standard input
    Session,     // -bs: SMTP on standard input and output
    ListQueue,   // -bp, mailq
    RunQueue,    // -q
    NewAliases,  // -bi, newaliases
};

struct Options {
    Mode mode = Mode::Submit;
    bool recipients_from_header = false;  // -t
    bool dot_ends = true;                 // a line "." ends the message; not with -i, -oi
    bool verbose = false;                 // -v
    std::optional<std::string> sender;    // -f, -r: as given; "<>" or empty = the null reverse-path
    std::string full_name;                // -F
    std::string config_path;              // -C; empty = the default
    std::vector<std::string> recipients;  // words behind the switches
};

// `program`: the name we were called by, with or without folders. `words`: without that name.
Result<Options> parse_options(std::string_view program, const std::vector<std::string>& words);

// Where the front finds the server. Lines "key = value"; "#" begins a comment.
struct Settings {
    std::string socket = "/run/postrider/submit.sock";       // the server's listener for us: SMTP
    std::string drop_directory = "/var/lib/postrider/drop";  // for when it does not answer
    std::string hostname;      // behind addresses without a domain; empty = the machine's name
    std::string admin_socket;  // for mailq; empty = that of the server's configuration
};
inline constexpr const char* kSettingsPath = "/etc/postrider/sendmail.conf";

Result<Settings> parse_settings(std::string_view text);

}  // namespace postrider::front
