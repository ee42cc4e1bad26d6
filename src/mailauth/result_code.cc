#include "mailauth/result_code.h"

#include <array>

#include "mailauth/domain.h"

namespace postrider::mailauth {

namespace {

constexpr std::array<std::string_view, 8> kNames = {"none",    "pass",   "fail",      "softfail",
                                                    "neutral", "policy", "temperror", "permerror"};

}  // namespace

std::string_view name(ResultCode code) { return kNames[static_cast<std::size_t>(code)]; }

std::optional<ResultCode> result_code(std::string_view name) {
    for (std::size_t i = 0; i < kNames.size(); i++) {
        if (equal_ignoring_case(name, kNames[i])) return static_cast<ResultCode>(i);
    }
    return std::nullopt;
}

}  // namespace postrider::mailauth
