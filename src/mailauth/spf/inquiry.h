// mailauth/spf/inquiry.h: how a coroutine gets answers from somebody who only answers questions.
//
// The coroutine announces questions and awaits their answers one by one, in its own order; outside,
// wanted() lists what is open, and answer() resumes the coroutine when what it awaits has come. An
// announcement ends the one before it, with its answers.
//
// Threads: one at a time.

#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "dns/answer.h"

namespace postrider::mailauth::spf {

class Inquiry {
public:
    std::span<const dns::Question> wanted() const { return wanted_; }

    void announce(std::span<const dns::Question> questions) {
        slots_.clear();
        wanted_.clear();
        for (const dns::Question& question : questions) add(question);
    }
    void announce(const dns::Question& question) { announce({&question, 1}); }

    // Nothing is wanted any more.
    void close() {
        waiting_ = {};
        slots_.clear();
        wanted_.clear();
    }

    void answer(const dns::Question& question, dns::Answer answer) {
        if (std::erase(wanted_, question) == 0) return;
        Slot* last = nullptr;
        for (Slot& slot : slots_) {
            if (slot.question != question) continue;
            if (last) last->answer = answer;
            last = &slot;
        }
        if (last) last->answer = std::move(answer);
        if (waiting_ && slots_[awaited_].answer) std::exchange(waiting_, {}).resume();
    }

    // co_await answer_to(n): the answer to the n-th announced question; it may be moved from.
    // REQUIRES: n is below the number of announced questions.
    auto answer_to(std::size_t number) {
        struct Awaiter {
            Inquiry& inquiry;
            std::size_t number;
            bool await_ready() const { return inquiry.slots_[number].answer.has_value(); }
            void await_suspend(std::coroutine_handle<> handle) {
                inquiry.waiting_ = handle;
                inquiry.awaited_ = number;
            }
            dns::Answer& await_resume() { return *inquiry.slots_[number].answer; }
        };
        return Awaiter{*this, number};
    }

private:
    struct Slot {
        dns::Question question;
        std::optional<dns::Answer> answer;
    };

    void add(const dns::Question& question) {
        bool known = false;
        for (const Slot& slot : slots_) known = known || slot.question == question;
        slots_.push_back({question, std::nullopt});
        if (!known) wanted_.push_back(question);
    }

    std::vector<Slot> slots_;
    std::vector<dns::Question> wanted_;
    std::coroutine_handle<> waiting_;
    std::size_t awaited_ = 0;
};

}  // namespace postrider::mailauth::spf
