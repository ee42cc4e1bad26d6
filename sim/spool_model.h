// sim/spool_model.h: what a spool must hold: the model that tests hold it against.
//
// Invariant: `live` is what was acknowledged and is not finished, `open` what was begun and may or
// may not be there; once a start has been read, nothing of earlier lives is open any more.
// Threads: one.

#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sim/seeded_random.h"
#include "spool/spool.h"

namespace postrider::sim {

struct Wanted {
    Envelope envelope;
    std::string content;
    std::vector<RecipientState> states;  // acknowledged
};

// One commit that was begun and not (yet) acknowledged.
struct Open {
    std::vector<MessageId> messages;
    std::vector<RecipientChange> changes;
    bool refused = false;     // answered with an error
    uint64_t refused_at = 0;  // commits begun until then
    uint64_t life = 0;        // in which it was begun
};

struct Model {
    SeededRandom random;
    std::map<MessageId, Wanted> messages;  // also those in flight
    std::set<MessageId> live;              // acknowledged and not finished
    std::map<uint64_t, Open> open;
    std::set<MessageId> busy;  // one commit at a time touches a message
    uint64_t begun = 0;
    uint64_t acknowledged = 0;
    uint64_t recovered_lives = 0;
    uint64_t large = 0;
    uint64_t reports = 0;
    uint64_t damage = 0;
    MessageId highest;
    MessageId floor;  // messages up to here are of earlier lives, which are being read
    uint64_t lives = 0;
    bool recovering = false;
    bool stop = false;
    int workers = 0;
    std::vector<std::string> faults;

    explicit Model(uint64_t seed) : random(seed) {}
    void fault(std::string text) {
        if (faults.size() < 20) faults.push_back(std::move(text));
    }
};

inline void acknowledge(Model& model, uint64_t number) {
    Open open = std::move(model.open[number]);
    model.open.erase(number);
    for (MessageId id : open.messages) {
        model.live.insert(id);
        model.busy.erase(id);
    }
    for (const RecipientChange& change : open.changes) {
        Wanted& wanted = model.messages[change.id];
        wanted.states[change.recipient] = change.state;
        model.busy.erase(change.id);
        if (std::none_of(wanted.states.begin(), wanted.states.end(),
                         [](RecipientState s) { return s == RecipientState::Waiting; })) {
            model.live.erase(change.id);
            model.messages.erase(change.id);
        }
    }
}

// Picks an acknowledged message that nothing else is being done to.
inline std::optional<MessageId> pick(Model& model) {
    std::vector<MessageId> idle;
    for (MessageId id : model.live) {
        // Those of earlier lives only when all has been read.
        if (!model.busy.contains(id) && id > model.floor) idle.push_back(id);
    }
    if (idle.empty()) return std::nullopt;
    return idle[model.random.below(idle.size())];
}

using Found = std::map<MessageId, std::vector<RecipientState>>;

inline void mark_busy(Model& model, const Open& open, bool busy) {
    auto mark = [&](MessageId id) {
        if (busy) {
            model.busy.insert(id);
        } else {
            model.busy.erase(id);
        }
    };
    for (MessageId id : open.messages) mark(id);
    for (const RecipientChange& change : open.changes) mark(change.id);
}

// Settles what was in flight in earlier lives by what was found; complains when only a part of it
// is there.
inline void settle_open(Model& model, const Found& found) {
    for (auto& [number, open] : model.open) {
        if (open.life == model.lives) continue;
        mark_busy(model, open, false);
        int there = 0;
        int missing = 0;
        for (MessageId id : open.messages) ++(found.contains(id) ? there : missing);
        for (const RecipientChange& change : open.changes) {
            auto it = found.find(change.id);
            bool applied = it == found.end() || is_final(it->second[change.recipient]);
            ++(applied ? there : missing);
        }
        if (there > 0 && missing > 0) model.fault(fmt::format("commit {} is half there", number));
        if (there > 0 && missing == 0) {
            for (MessageId id : open.messages) model.live.insert(id);
            for (const RecipientChange& change : open.changes) {
                model.messages[change.id].states[change.recipient] = change.state;
                if (!found.contains(change.id)) model.live.erase(change.id);
                if (!found.contains(change.id)) model.messages.erase(change.id);
            }
        } else {
            for (MessageId id : open.messages) model.messages.erase(id);
        }
    }
    std::erase_if(model.open, [&](const auto& entry) { return entry.second.life != model.lives; });
}

}  // namespace postrider::sim
