// Any octets as the value of a DKIM-Signature field, and as a list of tags: what is taken is whole
// and in bounds, what is wrong has a printable reason, and white space between tags means nothing.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mailauth/dkim/signature.h"
#include "mailauth/dkim/tag_list.h"
#include "mailauth/domain.h"

namespace {

using namespace postrider::mailauth;
using namespace postrider::mailauth::dkim;

void require(bool holds) {
    if (!holds) std::abort();
}

void require_inside(std::string_view text, std::string_view part) {
    if (part.empty()) return;
    require(part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size());
}

void require_tags(std::string_view text) {
    const auto list = TagList::parse(text);
    if (!list) {
        for (const char c : list.error().message) require(c >= ' ' && c <= '~');
        return;
    }
    require(list->tags().size() <= kTagsMax);
    std::size_t behind = 0;
    for (const Tag& tag : list->tags()) {
        require(tag.value_begin > behind && tag.value_begin <= tag.value_end);
        require(tag.value_end <= text.size());
        require(trimmed(text.substr(tag.value_begin, tag.value_end - tag.value_begin)) ==
                tag.value);
        require_inside(text, tag.name);
        require(list->find(tag.name) == &tag);
        behind = tag.value_end;
        if (const auto octets = decode_base64(tag.value)) {
            require(decode_base64(encode_base64(*octets)) == octets);
        }
        if (const auto octets = decode_quoted(tag.value)) {
            require(decode_quoted(encode_quoted(*octets)) == octets);
        }
    }
}

void require_whole(std::string_view text, const Signature& signature) {
    for (const std::string* name : {&signature.domain, &signature.selector}) {
        require(a_labels(*name) == *name);
    }
    require(signature.domain.find('.') != std::string::npos);
    require(signature.key_name.text() ==
            key_record_name(signature.selector, signature.domain)->text());
    require(!signature.signature.empty() && !signature.body_hash.empty());
    require(signature.b_begin <= signature.b_end && signature.b_end <= text.size());
    require(decode_base64(text.substr(signature.b_begin, signature.b_end - signature.b_begin)) ==
            signature.signature);
    const std::size_t at = signature.identity.rfind('@');
    require(at != std::string::npos);
    const std::string_view of = std::string_view(signature.identity).substr(at + 1);
    require(of == signature.domain || of.ends_with("." + signature.domain));
    require(signature.identity_is_below == (of != signature.domain));
    require(std::ranges::any_of(signature.fields, [](std::string_view field) {
        return equal_ignoring_case(field, "from");
    }));
    for (const std::string_view field : signature.fields) require_inside(text, field);
    if (signature.signed_at && signature.expires_at) {
        require(*signature.expires_at > *signature.signed_at);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    require_tags(text);
    const Signature signature = parse_signature(text);
    for (const char c : signature.error) require(c >= ' ' && c <= '~');
    if (!signature.error.empty()) return 0;
    require_whole(text, signature);

    std::string folded = "\r\n\t";
    for (const char c : text) folded += c == ';' ? std::string(" ;\r\n ") : std::string(1, c);
    const Signature again = parse_signature(folded);
    require(again.error.empty() && again.signature == signature.signature &&
            again.domain == signature.domain && again.identity == signature.identity &&
            again.length == signature.length && again.fields == signature.fields);
    return 0;
}
