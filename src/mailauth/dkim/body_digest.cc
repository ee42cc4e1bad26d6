#include "mailauth/dkim/body_digest.h"

#include <algorithm>
#include <cstring>

namespace postrider::mailauth::dkim {

BodyDigest::BodyDigest(Canonicalization form, HashAlgorithm algorithm)
    : form_(form),
      algorithm_(algorithm),
      body_(form == Canonicalization::Simple ? Body(SimpleBody<Sink>(Sink(algorithm)))
                                             : Body(RelaxedBody<Sink>(Sink(algorithm)))) {}

void BodyDigest::want(uint64_t length) { sink().want(length); }

void BodyDigest::update(std::string_view chunk) {
    std::visit([&](auto& body) { body.update(chunk); }, body_);
}

void BodyDigest::finish() {
    std::visit([](auto& body) { body.finish(); }, body_);
    whole_ = sink().finish();
}

uint64_t BodyDigest::octets() const { return sink().octets(); }

const std::string* BodyDigest::first(uint64_t length) const {
    for (const Cut& cut : sink().cuts()) {
        if (cut.length == length && !cut.hash.empty()) return &cut.hash;
    }
    return nullptr;
}

BodyDigest::Sink& BodyDigest::sink() {
    return std::visit([](auto& body) -> Sink& { return body.sink(); }, body_);
}

void BodyDigest::Sink::put(const char* text, std::size_t size) {
    if (size > kGatheredMax - gathered_) flush();
    if (size > kGatheredMax / 2) {
        flush();
        hash({text, size});
        return;
    }
    std::memcpy(buffer_.data() + gathered_, text, size);
    gathered_ += size;
}

void BodyDigest::Sink::want(uint64_t length) {
    const auto place = std::ranges::lower_bound(cuts_, length, {}, &Cut::length);
    if (place == cuts_.end() || place->length != length) cuts_.insert(place, {length, {}});
}

std::string BodyDigest::Sink::finish() {
    flush();
    hash({});  // reaches a length that is exactly the body's, or none of an empty one
    return digest_.finish();
}

void BodyDigest::Sink::flush() {
    hash({buffer_.data(), gathered_});
    gathered_ = 0;
}

void BodyDigest::Sink::hash(std::string_view octets) {
    while (next_cut_ < cuts_.size() && cuts_[next_cut_].length - octets_ <= octets.size()) {
        Cut& cut = cuts_[next_cut_++];
        const auto before = static_cast<std::size_t>(cut.length - octets_);
        digest_.update(octets.substr(0, before));
        octets.remove_prefix(before);
        octets_ = cut.length;
        cut.hash = Digest(digest_).finish();
    }
    if (!octets.empty()) digest_.update(octets);
    octets_ += octets.size();
}

}  // namespace postrider::mailauth::dkim
