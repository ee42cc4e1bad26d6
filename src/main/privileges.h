// main/privileges.h: one unprivileged uid for everything.
//
// Started as root, the server becomes the configured user before it reads any input from outside.
//
// Threads: before the first thread starts.

#pragma once

#include <string>

#include "base/result.h"

namespace postrider {

// Becomes `user` for good when we are root; nothing when we are not. `user` empty as root: an error
// with the line to add to the configuration. "root" must be written out to stay root.
Status<Error> become_user(const std::string& user);

// An error when the program runs with more rights than its caller has: installed setuid or setgid,
// it would read the caller's configuration and run the caller's programs with them.
Status<Error> refuse_lent_rights();

// As many open files as the system lets us have; says how many.
std::size_t raise_open_files_limit();

}  // namespace postrider
