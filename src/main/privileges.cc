#include "main/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postrider {

Status<Error> become_user(const std::string& user) {
    if (geteuid() != 0) return {};
    if (user.empty()) {
        return fail(
            "started as root, and no user is configured to switch to; add the line\n"
            "    user = \"postrider\"\n"
            "to the configuration (`adduser --system --group postrider` makes that user)");
    }
    if (user == "root") return {};
    const passwd* entry = getpwnam(user.c_str());
    if (!entry) return fail("user \"" + user + "\" of the configuration does not exist");
    if (initgroups(user.c_str(), entry->pw_gid) != 0 ||
        setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0) {
        return fail("cannot become user \"" + user + "\": " + std::strerror(errno));
    }
    if (setuid(0) == 0) return fail("root could be taken back after the switch to " + user);
    return {};
}

Status<Error> refuse_lent_rights() {
    if (getuid() == geteuid() && getgid() == getegid()) return {};
    return fail(
        "this program is installed setuid or setgid, and must not be; type\n"
        "    chmod u-s,g-s postrider\n"
        "Only postrider-sendmail is setgid (docs/sendmail.md)");
}

std::size_t raise_open_files_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

}  // namespace postrider
