// world/real/system_words.h: what the system calls an errno.
//
// Threads: from anywhere.

#pragma once

#include <cstring>
#include <string_view>

namespace postrider::world::real {

inline std::string_view system_words(int error) {
    const char* words = ::strerrordesc_np(error);
    return words ? words : "unknown error";
}

}  // namespace postrider::world::real
