// The canonical forms, against the examples of RFC 6376 §3.4 and hashes made with other tools.

#include "mailauth/dkim/canonical.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mailauth/dkim/body_digest.h"
#include "mailauth/dkim/header_data.h"
#include "mailauth/dkim/tag_list.h"

namespace postrider::mailauth::dkim {
namespace {

using namespace std::string_literals;

struct ToString {
    std::string* out;
    void put(const char* text, std::size_t size) const { out->append(text, size); }
};

// The pieces are those between the cuts.
template <template <typename> typename Body>
std::string canonical(const std::vector<std::string_view>& pieces) {
    std::string out;
    Body<ToString> body{ToString{&out}};
    for (const std::string_view piece : pieces) body.update(piece);
    body.finish();
    return out;
}

struct Case {
    std::string body, simple, relaxed;
};

const Case kCases[] = {
    // RFC 6376 §3.4.5, example 1 and §3.4.3, §3.4.4 on bodies without text
    {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
    {"", "\r\n", ""},
    {"\r\n", "\r\n", ""},
    {"\r\n\r\n\r\n", "\r\n", ""},
    // White space alone
    {" ", " \r\n", ""},
    {" \t\r\n \r\n", " \t\r\n \r\n", ""},
    {"\r\n \r\n\t", "\r\n \r\n\t\r\n", ""},
    // Empty lines before and between text stay
    {"\r\n\r\na\r\n\r\n\r\nb\r\n", "\r\n\r\na\r\n\r\n\r\nb\r\n", "\r\n\r\na\r\n\r\n\r\nb\r\n"},
    {"a\r\n \r\n\t\r\nb\r\n \r\n", "a\r\n \r\n\t\r\nb\r\n \r\n", "a\r\n\r\n\r\nb\r\n"},
    // No line end at the end
    {"a", "a\r\n", "a\r\n"},
    {"a \t", "a \t\r\n", "a\r\n"},
    {"a\r\n\r\nb", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
    // White space: runs, tabs, at the beginning of a line
    {"\ta  b\tc \t d\r\n", "\ta  b\tc \t d\r\n", " a b c d\r\n"},
    {"  \t\r\n  a\r\n", "  \t\r\n  a\r\n", "\r\n a\r\n"},
    // A bare CR or LF is content
    {"a\rb\nc\r\n", "a\rb\nc\r\n", "a\rb\nc\r\n"},
    {"a \r b\r\n", "a \r b\r\n", "a \r b\r\n"},
    {"a \r\r\n\r\n", "a \r\r\n", "a \r\r\n"},
    {"a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n"},
    {" \r", " \r\r\n", " \r\r\n"},
    {"\n", "\n\r\n", "\n\r\n"},
    {"a \n", "a \n\r\n", "a \n\r\n"},
    // Any octet
    {"\0\xff \x80\r\n"s, "\0\xff \x80\r\n"s, "\0\xff \x80\r\n"s},
};

TEST(CanonicalBody, IsAsSpecified) {
    for (const Case& test : kCases) {
        EXPECT_EQ(canonical<SimpleBody>({test.body}), test.simple) << test.body;
        EXPECT_EQ(canonical<RelaxedBody>({test.body}), test.relaxed) << test.body;
    }
}

TEST(CanonicalBody, IsTheSameAtEveryPairOfCuts) {
    for (const Case& test : kCases) {
        const std::string_view body = test.body;
        for (std::size_t i = 0; i <= body.size(); i++) {
            for (std::size_t j = i; j <= body.size(); j++) {
                const std::vector<std::string_view> pieces{body.substr(0, i), body.substr(i, j - i),
                                                           body.substr(j)};
                ASSERT_EQ(canonical<SimpleBody>(pieces), test.simple) << test.body << i << ' ' << j;
                ASSERT_EQ(canonical<RelaxedBody>(pieces), test.relaxed)
                    << test.body << i << ' ' << j;
            }
        }
    }
}

// What changes is found at every place of the blocks in which it is looked for.
TEST(CanonicalBody, ChangesAreFoundAtEveryPlaceOfALongLine) {
    for (std::size_t place = 1; place < 200; place++) {
        const std::string before(place, 'a'), behind(150, 'b');
        for (const std::string_view space : {"\t", "  ", " \t", "\t\t  "}) {
            const std::string body = fmt::format("{}{}{} \r\n", before, space, behind);
            const std::string want = fmt::format("{} {}\r\n", before, behind);
            ASSERT_EQ(canonical<RelaxedBody>({body}), want) << place;
        }
    }
}

// RFC 6376 §3.4.3, §3.4.4 print the hashes of an empty body.
TEST(BodyDigest, OfAnEmptyBodyIsTheOneOfTheRfc) {
    const auto hash = [](Canonicalization form, HashAlgorithm algorithm) {
        BodyDigest digest(form, algorithm);
        digest.finish();
        return encode_base64(digest.whole());
    };
    EXPECT_EQ(hash(Canonicalization::Simple, HashAlgorithm::Sha1), "uoq1oCgLlTqpdDX/iUbLy7J1Wic=");
    EXPECT_EQ(hash(Canonicalization::Simple, HashAlgorithm::Sha256),
              "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
    EXPECT_EQ(hash(Canonicalization::Relaxed, HashAlgorithm::Sha1), "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    EXPECT_EQ(hash(Canonicalization::Relaxed, HashAlgorithm::Sha256),
              "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

// Hashes by sha256sum, of "abc" and its beginnings; l= may ask for any length, in any order.
TEST(BodyDigest, OfSeveralLengthsComesFromOnePass) {
    for (const std::size_t piece : {1u, 2u, 5u}) {
        BodyDigest digest(Canonicalization::Simple, HashAlgorithm::Sha256);
        for (const uint64_t length : {3u, 0u, 5u, 1u, 6u, 3u}) digest.want(length);
        digest.want(UINT64_MAX);
        const std::string_view body = "abc\r\n";
        for (std::size_t at = 0; at < body.size(); at += piece) {
            digest.update(body.substr(at, piece));
        }
        digest.finish();
        EXPECT_EQ(digest.octets(), 5u);
        ASSERT_TRUE(digest.first(0) && digest.first(1) && digest.first(3) && digest.first(5));
        EXPECT_EQ(encode_base64(*digest.first(0)), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        EXPECT_EQ(encode_base64(*digest.first(1)), "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=");
        EXPECT_EQ(encode_base64(*digest.first(3)), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        EXPECT_EQ(*digest.first(5), digest.whole());
        EXPECT_EQ(digest.first(6), nullptr);
        EXPECT_EQ(digest.first(UINT64_MAX), nullptr);
    }
}

// RFC 6376 §3.4.5, example 1
TEST(CanonicalHeader, IsThatOfTheExample) {
    HeaderReader reader("A: X\r\nB : Y\t\r\n\tZ  \r\n");
    std::string relaxed, simple;
    while (auto field = reader.next()) {
        append_field(Canonicalization::Relaxed, *field, relaxed);
        append_field(Canonicalization::Simple, *field, simple);
    }
    EXPECT_EQ(relaxed, "a:X\r\nb:Y Z\r\n");
    EXPECT_EQ(simple, "A: X\r\nB : Y\t\r\n\tZ  \r\n");
}

TEST(CanonicalHeader, IsRelaxedAsSpecified) {
    const struct {
        std::string_view field, relaxed;
    } cases[] = {
        {"SubJect:AbC\r\n", "subject:AbC"},
        {"Subject:\r\n", "subject:"},
        {"Subject: \t \r\n", "subject:"},
        {"Subject:\r\n \r\n\ta\r\n \r\n", "subject:a"},
        {"Subject: a\r\n\t b  c\t\r\n d \r\n", "subject:a b c d"},
        {"Subject: a", "subject:a"},
    };
    for (const auto& test : cases) {
        const HeaderField field = *HeaderReader(test.field).next();
        std::string out;
        append_relaxed_field(field.name, field.value, out);
        EXPECT_EQ(out, test.relaxed);
    }
}

TEST(CanonicalHeader, OfTheSignatureIsWithoutTheValueOfBAndItsLineEnd) {
    const HeaderField field = *HeaderReader("DKIM-Signature : a=1; b = x\r\n y ; c=2\r\n").next();
    const TagList tags = *TagList::parse(field.value);
    const Tag* b = tags.find("b");
    std::string simple, relaxed;
    append_signature_field(Canonicalization::Simple, field, b->value_begin, b->value_end, simple);
    append_signature_field(Canonicalization::Relaxed, field, b->value_begin, b->value_end, relaxed);
    EXPECT_EQ(simple, "DKIM-Signature : a=1; b =; c=2");
    EXPECT_EQ(relaxed, "dkim-signature:a=1; b =; c=2");
}

}  // namespace
}  // namespace postrider::mailauth::dkim
