// daemon/reference_text.h: text for pages made by code, in lines of up to 100 columns.
//
// Threads: plain function.

#pragma once

#include <string>
#include <string_view>

namespace postrider::daemon {

// Breaks at spaces; each line begins with `prefix` and ends with LF.
std::string wrapped(std::string_view text, std::string_view prefix);

}  // namespace postrider::daemon
