// spool/bytes.h: integers and tagged fields as octets (docs/spool-format.md, "Item").
//
// Reading is for hostile input: every length is checked against what is there, nothing is
// allocated.
//
// Threads: values.

#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace postrider::spool {

template <typename T>
void put(std::string& out, T value) {
    char octets[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        octets[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    }
    out.append(octets, sizeof(T));
}

template <typename T>
void put_at(char* out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    }
}

// REQUIRES: sizeof(T) octets at `from`.
template <typename T>
T take_at(const char* from) {
    uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value |= static_cast<uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
    }
    return static_cast<T>(value);
}

// Whether any octet is above 127. Looks at all of them, so that it can take many at a time.
inline bool has_high_bit(std::string_view octets) {
    unsigned char all = 0;
    for (char c : octets) all |= static_cast<unsigned char>(c);
    return all > 127;
}

inline constexpr std::size_t kFieldHeaderOctets = 6;  // tag, length
inline constexpr std::size_t kItemHeaderOctets = 8;   // type, zero, length

// Appends fields and items to a string.
class FieldWriter {
public:
    explicit FieldWriter(std::string& out) : out_(out) {}

    template <typename T>
    void number(uint16_t tag, T value) {
        put<uint16_t>(out_, tag);
        put<uint32_t>(out_, sizeof(T));
        put<T>(out_, value);
    }
    // A number that is left out when it is zero.
    template <typename T>
    void number_if(uint16_t tag, T value) {
        if (value != T{}) number<T>(tag, value);
    }
    void text(uint16_t tag, std::string_view value) {
        put<uint16_t>(out_, tag);
        put<uint32_t>(out_, static_cast<uint32_t>(value.size()));
        out_.append(value);
    }
    void text_if(uint16_t tag, std::string_view value) {
        if (!value.empty()) text(tag, value);
    }

    // What is written between begin_x and end becomes the content.
    std::size_t begin_field(uint16_t tag) {
        put<uint16_t>(out_, tag);
        return begin_length();
    }
    std::size_t begin_item(uint16_t type) {
        put<uint16_t>(out_, type);
        put<uint16_t>(out_, 0);
        return begin_length();
    }
    void end(std::size_t begun) {
        put_at<uint32_t>(out_.data() + begun - 4, static_cast<uint32_t>(out_.size() - begun));
    }

private:
    std::size_t begin_length() {
        put<uint32_t>(out_, 0);
        return out_.size();
    }

    std::string& out_;
};

struct Field {
    uint16_t tag = 0;
    std::string_view value;

    // The number in it; a shorter one is filled up with zeros, of a longer one the first octets
    // count.
    template <typename T>
    T number() const {
        char octets[sizeof(T)] = {};
        std::memcpy(octets, value.data(), value.size() < sizeof(T) ? value.size() : sizeof(T));
        return take_at<T>(octets);
    }
};

// Goes through fields (kFieldHeaderOctets) or items (kItemHeaderOctets).
class FieldReader {
public:
    explicit FieldReader(std::string_view octets, std::size_t header = kFieldHeaderOctets)
        : rest_(octets), header_(header) {}

    // The next one; empty at the end, and when what is left is not one (see broken()).
    std::optional<Field> next() {
        if (rest_.empty()) return std::nullopt;
        if (rest_.size() < header_) return fail();
        auto length = take_at<uint32_t>(rest_.data() + header_ - 4);
        if (length > rest_.size() - header_) return fail();
        Field field{take_at<uint16_t>(rest_.data()), rest_.substr(header_, length)};
        rest_.remove_prefix(header_ + length);
        return field;
    }
    bool broken() const { return broken_; }

private:
    std::optional<Field> fail() {
        broken_ = true;
        rest_ = {};
        return std::nullopt;
    }

    std::string_view rest_;
    std::size_t header_;
    bool broken_ = false;
};

}  // namespace postrider::spool
