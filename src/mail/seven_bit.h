// mail/seven_bit.h: makes an 8-bit MIME message one of 7 bits, for a next host that takes no other.
//
// Text parts become quoted-printable, all others base64; containers keep their form. Nothing else
// is changed, so that what a reader decodes is octet by octet what was sent.
//
// It goes over the message twice, in any cut and without keeping it: SevenBitPlan::feed() learns
// which parts have octets above 127, and how large the result is; SevenBitConverter::feed() writes
// it. What cannot be converted without a guess has an obstacle, and must not be converted: 8-bit
// octets in header fields, outside of parts (preamble, epilogue), in a part that is encoded already
// or that must not be encoded (RFC 2046 §5.2), in a message without MIME-Version; and whatever is
// signed, since a signature covers the octets: DKIM and ARC fields, multipart/signed.
//
// Bounded: one line, one header block of a part (kPartHeaderOctetsMax), kDepthMax containers,
// kPartsMax parts.
// Threads: values.
// RFC 6152 §3, RFC 2045 §6 (encodings), RFC 2046 §5.1 (boundaries), RFC 5751 (what is signed).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postrider {

namespace seven_bit {

inline constexpr std::size_t kPartHeaderOctetsMax = 1024 * 1024;
inline constexpr std::size_t kDepthMax = 100;
inline constexpr std::size_t kPartsMax = 10'000;
inline constexpr std::size_t kLineOctetsMax = 1000;  // stored messages have no longer ones

// Content-Type and Content-Transfer-Encoding of one entity, as far as they matter here.
struct EntityHeader {
    std::string type = "text/plain";  // in lower case
    std::string boundary;
    std::string encoding = "7bit";  // in lower case
    bool is_mime = false;           // MIME-Version
    bool is_signed = false;

    static EntityHeader parse(std::string_view block);
    bool is_multipart() const { return type.starts_with("multipart/"); }
    bool is_message() const { return type == "message/rfc822"; }
    bool is_identity() const {
        return encoding == "7bit" || encoding == "8bit" || encoding == "binary";
    }
};

// Where in the message the walk is.
class Walker {
public:
    virtual ~Walker() = default;

    void feed(std::string_view octets);
    void finish();
    const std::string& obstacle() const { return obstacle_; }  // empty = none

protected:
    enum class Place : uint8_t {
        Header,
        Body,     // of a leaf
        Outside,  // preamble and epilogue
    };

    // One line with its end, which the last of the message may lack.
    virtual void on_header(const EntityHeader& header, std::string_view block) = 0;
    virtual void on_body(std::string_view line) = 0;
    virtual void on_outside(std::string_view line) = 0;  // boundaries too
    virtual void on_leaf_end(bool at_boundary) = 0;

    void stop(std::string_view obstacle);
    std::size_t leaf() const { return leaves_ - 1; }  // number of the leaf that is open
    const EntityHeader& open_leaf() const { return entity_; }

private:
    void take(std::string_view line);
    void take_header(std::string_view line);
    void header_ended();
    bool take_boundary(std::string_view line);
    void begin_header();

    Place place_ = Place::Header;
    bool at_top_ = true;
    std::string line_;
    std::string block_;
    EntityHeader entity_;
    std::vector<std::string> boundaries_;
    std::size_t leaves_ = 0;
    bool in_leaf_ = false;
    std::string obstacle_;
};

}  // namespace seven_bit

// The first pass.
class SevenBitPlan : public seven_bit::Walker {
public:
    bool must_convert(std::size_t number) const {
        return number < eight_bit_leaves_.size() && eight_bit_leaves_[number];
    }

private:
    void on_header(const seven_bit::EntityHeader& header, std::string_view block) override;
    void on_body(std::string_view line) override;
    void on_outside(std::string_view line) override;
    void on_leaf_end(bool at_boundary) override { (void)at_boundary; }

    std::vector<bool> eight_bit_leaves_;
};

// The second pass. REQUIRES: the plan has no obstacle, and the content is the same.
class SevenBitConverter : public seven_bit::Walker {
public:
    explicit SevenBitConverter(const SevenBitPlan& plan) : plan_(plan) {}

    std::string take_output() { return std::exchange(out_, {}); }

private:
    void on_header(const seven_bit::EntityHeader& header, std::string_view block) override;
    void on_body(std::string_view line) override;
    void on_outside(std::string_view line) override { out_ += line; }
    void on_leaf_end(bool at_boundary) override;

    void quoted_printable(std::string_view line);
    void base64(std::string_view octets, bool last);

    const SevenBitPlan& plan_;
    std::string out_;
    std::string held_;      // octets that no group of base64 has yet
    std::string line_end_;  // of the last line: the boundary's, if one follows
    std::size_t column_ = 0;
};

}  // namespace postrider
