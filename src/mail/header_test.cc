// mail/header_test.cc: where the header block ends, and which fields are in it.
//
// Goal: HeaderReader and HeaderBlockScanner agree with each other on any octets and any cut, and
// with another program's parser on real messages (testdata/header/SOURCES.md).

#include "mail/header.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/limits.h"

namespace postrider {
namespace {

using State = HeaderBlockScanner::State;

struct Case {
    std::string_view name, content, names;
    std::size_t header_octets, body_begin;
};

const Case kCases[] = {
    {"FieldsThenBody", "A: 1\r\nB: 2\r\n\r\nbody\r\n", "A,B", 12, 14},
    {"NoBody", "A: 1\r\n", "A", 6, 6},
    {"EmptyContent", "", "", 0, 0},
    {"EmptyLineFirst", "\r\nA: 1\r\n", "", 0, 2},
    {"BodyWithoutEmptyLine", "A: 1\r\nno field here\r\n", "A", 6, 6},
    {"FoldedValue", "A: 1\r\n 2\r\n\t3\r\nB: x\r\n\r\n", "A,B", 20, 22},
    {"FoldingLineOfWhiteSpaceOnly", "A: 1\r\n \r\n 3\r\n\r\nx", "A", 13, 15},
    {"ContinuationFirstIsBody", " A: 1\r\n\r\n", "", 0, 0},
    {"SpaceBeforeColon", "A \t: 1\r\n\r\n", "A", 8, 10},
    {"SpaceInsideNameIsNoField", "A B: 1\r\n\r\n", "", 0, 0},
    {"EmptyNameIsNoField", ": 1\r\n\r\n", "", 0, 0},
    {"EmptyValue", "A:\r\nB:\r\n\r\n", "A,B", 8, 10},
    {"EightBitNameIsNoField", "A: 1\r\nB\xC3: 2\r\n", "A", 6, 6},
    {"MboxFromLineIsNoField", "From a@b Mon Jan  1\r\nA: 1\r\n\r\n", "", 0, 0},
    {"BareLfEndsALine", "A: 1\nB: 2\n\nbody", "A,B", 10, 11},
    {"CrWithoutLfAtLineBeginIsNoField", "A: 1\r\n\rB: 2\r\n", "A", 6, 6},
    {"CrInsideAValueStays", "A: 1\r2\r\n\r\n", "A", 8, 10},
    {"LastLineWithoutEnd", "A: 1\r\nB: 2", "A,B", 10, 10},
    {"LastLineCutInItsName", "A: 1\r\nB", "A", 6, 6},
    {"LastLineCutAfterCr", "A: 1\r\n\r", "A", 6, 6},
    {"ColonsInValue", "A: b:c:d\r\n\r\n:", "A", 10, 12},
};

std::string names_of(std::string_view content, HeaderReader& reader) {
    std::string names, wholes;
    while (auto field = reader.next()) {
        names += (names.empty() ? "" : ",") + std::string(field->name);
        EXPECT_EQ(field->begin, wholes.size());
        wholes += field->whole;
    }
    EXPECT_EQ(wholes, content.substr(0, reader.header_octets()));
    return names;
}

HeaderBlockScanner scanned(std::string_view content, std::size_t piece) {
    HeaderBlockScanner scanner;
    for (std::size_t at = 0; at < content.size(); at += piece) {
        scanner.feed(content.substr(at, piece));
    }
    scanner.finish();
    return scanner;
}

class HeaderBlock : public testing::TestWithParam<Case> {};

TEST_P(HeaderBlock, IsReadAsWritten) {
    const Case& c = GetParam();
    HeaderReader reader(c.content);
    EXPECT_EQ(names_of(c.content, reader), c.names);
    EXPECT_EQ(reader.header_octets(), c.header_octets);
    EXPECT_EQ(reader.body_begin(), c.body_begin);
}

TEST_P(HeaderBlock, EndIsFoundInAnyCut) {
    const Case& c = GetParam();
    for (std::size_t piece = 1; piece <= c.content.size() + 1; piece++) {
        HeaderBlockScanner scanner = scanned(c.content, piece);
        ASSERT_EQ(scanner.state(), State::Ended) << piece;
        EXPECT_EQ(scanner.header_octets(), c.header_octets) << piece;
        EXPECT_EQ(scanner.body_begin(), c.body_begin) << piece;
    }
}

INSTANTIATE_TEST_SUITE_P(Header, HeaderBlock, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HeaderReader, ValueIsRawAndWholeKeepsItsLineEnd) {
    HeaderReader reader("Subject :  a\r\n  b \r\nX: y\r\n\r\n");
    auto field = reader.next();
    ASSERT_TRUE(field);
    EXPECT_EQ(field->name, "Subject");
    EXPECT_EQ(field->value, "  a\r\n  b ");
    EXPECT_EQ(field->whole, "Subject :  a\r\n  b \r\n");
    EXPECT_EQ(unfolded(field->value), "a  b");
    EXPECT_TRUE(field->is_named("sUBJECT"));
    EXPECT_FALSE(field->is_named("Subjec"));
}

TEST(HeaderReader, NothingComesAfterTheEnd) {
    HeaderReader reader("A: 1\r\n\r\nB: 2\r\n");
    EXPECT_TRUE(reader.next());
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.next());
}

TEST(Unfolded, WhiteSpaceOnlyIsEmpty) { EXPECT_EQ(unfolded(" \r\n \t"), ""); }

TEST(CountFields, CountsReceivedInAnyCaseAndNotInTheBody) {
    std::string_view message =
        "Received: a\r\nRECEIVED: b\r\n c\r\nReceived-SPF: none\r\nreceived : d\r\n\r\n"
        "Received: body\r\n";
    EXPECT_EQ(count_fields(message, "Received"), 3u);
    EXPECT_EQ(find_field(message, "received-spf")->value, " none");
    EXPECT_FALSE(find_field(message, "X"));
}

TEST(HeaderBlockScanner, EndIsSeenAtOnceAndTheBodyChangesNothing) {
    HeaderBlockScanner scanner;
    EXPECT_EQ(scanner.feed("A: 1\r\n\r"), State::More);
    EXPECT_EQ(scanner.feed("\nB: 2\r\n"), State::Ended);
    EXPECT_EQ(scanner.header_octets(), 6u);
    EXPECT_EQ(scanner.feed("C: 3\r\n"), State::Ended);
    EXPECT_EQ(scanner.field_count(), 1u);
}

TEST(HeaderBlockScanner, BlockLargerThanItsBoundIsAnError) {
    std::string line = "A: " + std::string(995, 'x') + "\r\n";  // 1000 octets
    std::string block;
    while (block.size() + line.size() <= kHeaderBlockOctetsMax) block += line;
    EXPECT_EQ(scanned(block + "\r\n", 4096).state(), State::Ended);
    for (std::size_t piece : {1000, 4096, 1 << 21}) {
        EXPECT_EQ(scanned(block + line + "\r\n", piece).state(), State::TooLarge) << piece;
    }
    std::string endless(kHeaderBlockOctetsMax + 1, 'x');
    EXPECT_EQ(scanned(endless, 777).state(), State::TooLarge);
}

TEST(HeaderBlockScanner, MoreFieldsThanTheBoundAreAnError) {
    std::string block;
    for (std::size_t i = 0; i < kHeaderFieldsMax; i++) block += "A:\r\n";
    EXPECT_EQ(scanned(block, 4096).state(), State::Ended);
    EXPECT_EQ(scanned(block + "A:\r\n", 4096).state(), State::TooManyFields);
}

// Deliberate differences from the other program.
const std::map<std::string, std::string> kDifferences = {
    // It skips a "From " line of the mbox format; such a line is not part of a message in SMTP
    // (RFC 5321 §2.3.1), and here it is the first line that is no field: all is body.
    {"msg_25.txt", "mbox From line"},
    {"msg_43.txt", "mbox From line"},
};

TEST(HeaderVectors, FieldsAndBodyAreWhereAnotherParserFindsThem) {
    std::string folder = std::string(POSTRIDER_SOURCE_DIR) + "/src/mail/testdata/header/";
    std::ifstream list(folder + "expected.txt");
    ASSERT_TRUE(list);
    int total = 0, equal = 0, differences = 0;
    for (std::string line; std::getline(list, line); total++) {
        std::istringstream words(line);
        std::string file, names;
        std::size_t body = 0;
        words >> file >> body >> names;
        if (names == "-") names.clear();
        std::ifstream input(folder + file, std::ios::binary);
        ASSERT_TRUE(input) << file;
        std::string content{std::istreambuf_iterator<char>(input), {}};
        HeaderReader reader(content);
        std::string found = names_of(content, reader);
        HeaderBlockScanner scanner = scanned(content, 7);
        EXPECT_EQ(scanner.header_octets(), reader.header_octets()) << file;
        EXPECT_EQ(scanner.body_begin(), reader.body_begin()) << file;
        if (kDifferences.contains(file)) {
            EXPECT_EQ(reader.header_octets(), 0u) << file;
            differences++;
        } else {
            EXPECT_EQ(found, names) << file;
            EXPECT_EQ(reader.body_begin(), body) << file;
            equal += found == names && reader.body_begin() == body ? 1 : 0;
        }
    }
    EXPECT_EQ(equal + differences, total);
    std::printf("vectors mime/python headers: %d of %d, %d differences\n", equal, total,
                differences);
}

}  // namespace
}  // namespace postrider
