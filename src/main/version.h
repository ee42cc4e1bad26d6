// main/version.h: the version of the program, as `postrider --version` says it.
//
// Threads: a constant.

#pragma once

#include <string_view>

namespace postrider {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace postrider
