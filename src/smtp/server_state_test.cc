#include "smtp/server_state.h"

#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

TEST(ServerState, EndIsPossibleEverywhereAndClosedIsFinal) {
    for (std::size_t s = 0; s < kStateCount; ++s) {
        EXPECT_EQ(next_state(State(s), Transition::Ended), State::Closed);
    }
    for (std::size_t t = 0; t < kTransitionCount; ++t) {
        if (Transition(t) == Transition::Ended) continue;
        EXPECT_EQ(next_state(State::Closed, Transition(t)), std::nullopt);
    }
}

TEST(ServerState, ContentComesOnlyAfterARecipient) {
    for (std::size_t s = 0; s < kStateCount; ++s) {
        const auto to = next_state(State(s), Transition::DataAccepted);
        EXPECT_EQ(to.has_value(), State(s) == State::Rcpt);
    }
}

TEST(ServerState, EveryStateCanBeReached) {
    bool reached[kStateCount] = {true};
    for (std::size_t round = 0; round < kStateCount; ++round) {
        for (std::size_t s = 0; s < kStateCount; ++s) {
            for (std::size_t t = 0; reached[s] && t < kTransitionCount; ++t) {
                if (const auto to = next_state(State(s), Transition(t)))
                    reached[std::size_t(*to)] = true;
            }
        }
    }
    for (std::size_t s = 0; s < kStateCount; ++s) EXPECT_TRUE(reached[s]) << text_of(State(s));
}

// RFC 3030 §2: chunks are not mixed with DATA, and come after a recipient.
TEST(ServerState, ChunksComeOnlyAfterARecipientOrAChunk) {
    for (std::size_t s = 0; s < kStateCount; ++s) {
        const auto to = next_state(State(s), Transition::ChunkBegun);
        EXPECT_EQ(to.has_value(), State(s) == State::Rcpt || State(s) == State::Chunks);
    }
    EXPECT_EQ(check(State::Chunks, Verb::Data), Check::WithinChunks);
    EXPECT_EQ(check(State::Chunks, Verb::Rcpt), Check::WithinChunks);
    EXPECT_EQ(check(State::Chunks, Verb::Bdat), Check::Proceed);
}

// RFC 5321 §4.1.4: these can be used at any time.
TEST(ServerState, FreeCommandsProceedWithoutHello) {
    for (const Verb verb : {Verb::Noop, Verb::Help, Verb::Expn, Verb::Vrfy, Verb::Rset, Verb::Quit,
                            Verb::Ehlo, Verb::Helo}) {
        for (const State state : {State::Idle, State::Greeted, State::Mail, State::Rcpt}) {
            EXPECT_EQ(check(state, verb), Check::Proceed);
        }
    }
}

}  // namespace
}  // namespace postrider::smtp
