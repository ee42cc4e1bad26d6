// bench/store/work.h: the work that two stores do side by side: Postrider's spool, and RocksDB.
//
// Many sessions at once; each stores a message durably and, with `finished`, then its outcome,
// durably too, after which the message is gone; then the next one. Both programs take the same
// words and print the same line of JSON, so that nothing but the store differs.
//
// Failures: what cannot be done ends the program with one line on standard error.
//
// Threads: values.

#pragma once

#include <cstdint>
#include <string>

namespace postrider::bench::store {

struct Work {
    std::string folder;  // empty, on a real disk
    uint64_t messages = 10'000;
    uint64_t sessions = 100;
    uint64_t octets = 10'240;
    bool finished = false;
};

// By the program's words; ends the program when they are wrong.
Work parse(int count, char** words, const char* about);

// A message that no store can make smaller.
std::string content_of(const Work& work);

struct Costs {
    double seconds;
    double cpu_seconds;
};
Costs costs_now();
// Prints the line: what it took since `begin`.
void tell(const Work& work, Costs begin);

}  // namespace postrider::bench::store
