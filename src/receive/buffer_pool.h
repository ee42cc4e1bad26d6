// receive/buffer_pool.h: memory to read into, lent for as long as there is input.
//
// An idle session holds no buffer: thousands of them must cost little. One that has input borrows a
// block of its shard and gives it back when the block is used up.
//
// Threads: one shard's.

#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace postrider::receive {

class BufferPool {
public:
    static constexpr std::size_t kBlockOctets = 32 * 1024;
    static constexpr std::size_t kKeptMax = 64;

    using Block = std::unique_ptr<char[]>;

    Block take() {
        if (kept_.empty()) return std::make_unique_for_overwrite<char[]>(kBlockOctets);
        Block block = std::move(kept_.back());
        kept_.pop_back();
        return block;
    }

    void give(Block block) {
        if (block && kept_.size() < kKeptMax) kept_.push_back(std::move(block));
    }

private:
    std::vector<Block> kept_;
};

}  // namespace postrider::receive
