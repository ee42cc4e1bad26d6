// base/situation.h: rare moments in production code, named, so that the simulator can bring them
// about and can say which of them a run has seen.
//
// The problem: lines that are covered prove little; what counts is whether any run was ever in the
// *situation* that a line is there for (a torn tail was found, a full disk hit the write of an
// outcome). And some situations are so rare that chance alone would not find them in years.
//
//     reached(Situation::SpoolTornTail);                      // "somebody was here"
//     bool early = octets > limit || forced(Switch::SpoolSegmentEndsEarly);
//
// Outside the simulator nobody watches: reached() does nothing and forced() answers false, at the
// price of reading one thread-local pointer. A switch may only choose among ways that production
// can go by itself; it never changes what is promised.
//
// Threads: the watcher belongs to the thread that set it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace postrider {

enum class Situation : uint8_t {
#define POSTRIDER_SITUATION(name, text) name,
#define POSTRIDER_SWITCH(name, text)
#include "base/situation_catalogue.inc"
#undef POSTRIDER_SITUATION
#undef POSTRIDER_SWITCH
};

enum class Switch : uint8_t {
#define POSTRIDER_SITUATION(name, text)
#define POSTRIDER_SWITCH(name, text) name,
#include "base/situation_catalogue.inc"
#undef POSTRIDER_SITUATION
#undef POSTRIDER_SWITCH
};

struct SituationInfo {
    std::string_view name;
    std::string_view text;  // one sentence
};

inline constexpr SituationInfo kSituations[] = {
#define POSTRIDER_SITUATION(name, text) {#name, text},
#define POSTRIDER_SWITCH(name, text)
#include "base/situation_catalogue.inc"
#undef POSTRIDER_SITUATION
#undef POSTRIDER_SWITCH
};

inline constexpr SituationInfo kSwitches[] = {
#define POSTRIDER_SITUATION(name, text)
#define POSTRIDER_SWITCH(name, text) {#name, text},
#include "base/situation_catalogue.inc"
#undef POSTRIDER_SITUATION
#undef POSTRIDER_SWITCH
};

inline constexpr std::size_t kSituationCount = std::size(kSituations);
inline constexpr std::size_t kSwitchCount = std::size(kSwitches);

class SituationWatcher {
public:
    virtual void reached(Situation situation) = 0;
    // Whether the rare way is taken this time.
    virtual bool forced(Switch which) = 0;

protected:
    ~SituationWatcher() = default;
};

inline thread_local SituationWatcher* situation_watcher = nullptr;

inline void reached(Situation situation) {
    if (situation_watcher) [[unlikely]]
        situation_watcher->reached(situation);
}

inline bool forced(Switch which) { return situation_watcher && situation_watcher->forced(which); }

}  // namespace postrider
