// queue/names.h: things that are found by a text and named by a number.
//
// The text is kept once, in the thing itself (member `key`); a Slab's things never move, so views
// of the key stay valid as long as the thing does. Threads: one owner.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "queue/slab.h"

namespace postrider::queue {

template <typename T>
class Named {
public:
    T& operator[](uint32_t index) { return slab_[index]; }
    const T& operator[](uint32_t index) const { return slab_[index]; }

    // Its number, or kNone.
    uint32_t find(std::string_view key) const {
        auto at = by_key_.find(key);
        return at == by_key_.end() ? kNone : at->second;
    }

    // Makes it, as `thing` with that key. REQUIRES: find(key) == kNone.
    uint32_t make(std::string_view key, T thing) {
        uint32_t index = slab_.take();
        slab_[index] = std::move(thing);
        slab_[index].key = key;
        by_key_.emplace(slab_[index].key, index);
        return index;
    }

    void erase(uint32_t index) {
        by_key_.erase(slab_[index].key);
        slab_[index] = T{};
        slab_.give_back(index);
    }

    std::size_t size() const { return by_key_.size(); }
    Slab<T>& slab() { return slab_; }

    template <typename Visit>
    void for_each(Visit visit) {
        for (auto& [key, index] : by_key_) visit(index);
    }
    template <typename Visit>
    void for_each(Visit visit) const {
        for (const auto& [key, index] : by_key_) visit(index);
    }

private:
    Slab<T> slab_;
    std::unordered_map<std::string_view, uint32_t> by_key_;
};

}  // namespace postrider::queue
