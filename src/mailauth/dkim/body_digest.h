// mailauth/dkim/body_digest.h: the hashes of one canonical form of a body, for all signatures that
// ask for that form and algorithm, in one pass.
//
// The problem: several signatures may cover the whole body or only its first octets (l=). The hash
// runs once; at each length asked for, a copy of its state is finished.
//
// Failure: none.
// Threads: one thread at a time.
// RFC 6376 §3.4.3, §3.4.4, §3.5 (l=), §3.7.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mailauth/dkim/canonical.h"
#include "mailauth/dkim/digest.h"

namespace postrider::mailauth::dkim {

class BodyDigest {
public:
    BodyDigest(Canonicalization form, HashAlgorithm algorithm);

    Canonicalization form() const { return form_; }
    HashAlgorithm algorithm() const { return algorithm_; }

    // Asks for the hash of the first `length` octets. REQUIRES: no update() yet.
    void want(uint64_t length);

    void update(std::string_view chunk);
    void finish();

    // After finish(): octets of the canonical body, and its hash.
    uint64_t octets() const;
    const std::string& whole() const { return whole_; }
    // The hash of the first octets; nothing when the body is shorter. REQUIRES: want(length).
    const std::string* first(uint64_t length) const;

private:
    struct Cut {
        uint64_t length;
        std::string hash;  // empty until the body has reached the length
    };

    // Gathers small pieces, so that the hash is called for few large ones.
    class Sink {
    public:
        explicit Sink(HashAlgorithm algorithm) : digest_(algorithm) {}
        void put(const char* text, std::size_t size);
        void want(uint64_t length);
        std::string finish();
        uint64_t octets() const { return octets_; }
        const std::vector<Cut>& cuts() const { return cuts_; }

    private:
        static constexpr std::size_t kGatheredMax = 1024;
        void flush();
        void hash(std::string_view octets);

        Digest digest_;
        std::vector<Cut> cuts_;     // by length
        std::size_t next_cut_ = 0;  // the first one not reached
        uint64_t octets_ = 0;       // hashed
        std::size_t gathered_ = 0;
        std::array<char, kGatheredMax> buffer_;
    };

    using Body = std::variant<SimpleBody<Sink>, RelaxedBody<Sink>>;

    Sink& sink();
    const Sink& sink() const { return const_cast<BodyDigest*>(this)->sink(); }

    Canonicalization form_;
    HashAlgorithm algorithm_;
    Body body_;
    std::string whole_;
};

}  // namespace postrider::mailauth::dkim
