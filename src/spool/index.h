// spool/index.h: what the spool remembers of each live message: where its newest record lies and
// where each recipient stands.
//
// Invariant: a message is here exactly while one of its recipients waits; a final state never
// changes again; the newest record of a message is the only one that counts.
//
// Memory: about 100 octets for a message with one recipient, 32 more for each further one; texts of
// reasons are shared (thousands of messages for one dead host have one text).
// Threads: the owner's shard.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "mail/outcome.h"
#include "spool/stored_message.h"

namespace postrider::spool {

// Where a record lies.
struct Place {
    uint32_t segment = 0;  // number of the file
    uint32_t offset = 0;
    uint32_t payload_octets = 0;
    friend bool operator==(const Place&, const Place&) = default;
};

class Index {
public:
    struct Known {
        Place place;
        bool large = false;
        uint8_t unfinished_attempts = 0;
        uint32_t recipients = 0;
        uint32_t waiting = 0;  // of them, at least 1
    };
    enum class Effect : uint8_t {
        None,
        Changed,
        Finished
    };

    std::size_t size() const { return entries_.size(); }
    std::size_t reason_count() const { return reasons_.size(); }  // different ones in memory
    std::optional<Known> find(MessageId id) const;

    // REQUIRES: not there yet; recipients > 0.
    void add(MessageId id, Place place, uint32_t recipients, bool large);
    // REQUIRES: there.
    void move(MessageId id, Place place);
    // None: not live, no such recipient, or its state is final. Finished: the message is gone now.
    Effect change(const RecipientChange& change);
    // Takes over all of `other`, of which none is here; the time it takes is that of `other`.
    void take_over(Index& other);
    // Takes the message out, whatever its recipients' states.
    void forget(MessageId id);
    void set_attempts(MessageId id, uint8_t count);
    void add_attempt(MessageId id);

    // REQUIRES: there.
    std::vector<Standing> standings(MessageId id) const;
    // As they would be written again: one change for each recipient that is not as it was at first.
    std::vector<RecipientChange> changes(MessageId id) const;
    std::vector<MessageId> ids() const;  // in order of age
    // In no order.
    void visit(const std::function<void(MessageId, const Known&)>& handle) const;

    // Slices of a walk over all: appends to `out` the messages in `segment` from `count` places on.
    // Answers where to go on; 0 = done, or the table has grown meanwhile and the walk must be begun
    // again (what was found before stays true).
    std::size_t collect(uint32_t segment, std::size_t from, std::size_t count,
                        std::vector<MessageId>& out) const;

private:
    using Reasons = std::map<std::string, std::size_t, std::less<>>;  // text, users
    struct Kept {
        Wall next_attempt;
        Reasons::value_type* reason = nullptr;
        uint32_t attempts = 0;
        uint16_t subject = 0;
        uint16_t detail = 0;
        RecipientState state = RecipientState::Waiting;
        uint8_t klass = 0;
        bool delay_told = false;
    };
    struct Entry {
        Place place;
        uint32_t recipients = 0;
        uint32_t waiting = 0;
        std::unique_ptr<Kept[]> kept;
        bool large = false;
        uint8_t unfinished_attempts = 0;
    };

    static Known known(const Entry& entry);
    void set_reason(Kept& kept, const std::string& reason);
    static Standing standing(const Kept& kept);

    std::unordered_map<MessageId, Entry> entries_;
    Reasons reasons_;
};

}  // namespace postrider::spool
