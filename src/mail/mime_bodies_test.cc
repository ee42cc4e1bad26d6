// What mime4j states of its messages besides their structure: the fields of the header and each
// body decoded. Origin and licence: src/mail/testdata/vectors/SOURCES.md.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "mail/header.h"
#include "mail/mime.h"

namespace postrider {
namespace {

const std::string kFolder = POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/mime/mime4j/";

std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

std::vector<std::filesystem::path> messages() {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        if (entry.path().extension() == ".msg") out.push_back(entry.path());
    }
    std::ranges::sort(out);
    return out;
}

// From shortly before the place where the two part.
std::string differing(std::string_view got, std::string_view want) {
    std::size_t at = std::ranges::mismatch(got, want).in1 - got.begin();
    at -= std::min<std::size_t>(at, 20);
    return fmt::format("\ngot:  {}\nwant: {}", testing::PrintToString(got.substr(at, 60)),
                       testing::PrintToString(want.substr(at, 60)));
}

// Two lists, the one of what differs and the one of what is known to, must be the same.
class Tally {
public:
    Tally(std::string name, const std::map<std::string, std::string>& named)
        : name_(std::move(name)), named_(named) {}
    ~Tally() {
        fmt::print("vectors {}: {} of {}, {} differences\n", name_, all_ - differing_, all_,
                   differing_);
        EXPECT_EQ(differing_, named_.size());
    }

    void count(const std::string& what, std::string_view got, std::string_view want) {
        all_++;
        if (got == want) {
            EXPECT_FALSE(named_.contains(what)) << what << " does not differ any more";
            return;
        }
        differing_++;
        EXPECT_TRUE(named_.contains(what)) << what << differing(got, want);
    }
    std::size_t all() const { return all_; }

private:
    std::string name_;
    const std::map<std::string, std::string>& named_;
    std::size_t all_ = 0, differing_ = 0;
};

// "1_2_1" for each part that holds no others: the numbers on the way to it.
std::vector<std::pair<std::string, const MimePart*>> leaves(const std::vector<MimePart>& parts) {
    std::vector<std::pair<std::string, const MimePart*>> out;
    std::vector<int> way;
    for (std::size_t i = 0; i < parts.size(); i++) {
        auto depth = static_cast<std::size_t>(parts[i].depth);
        way.resize(depth + 1);
        way[depth]++;
        bool holds = i + 1 < parts.size() && parts[i + 1].depth > parts[i].depth;
        if (!holds) out.emplace_back(fmt::format("{}", fmt::join(way, "_")), &parts[i]);
    }
    return out;
}

// To mime4j a line that is no field lies in the header all the same; to us the body begins with it,
// as it does to the other parser of header_test.cc.
const std::string kNoField = "a line that is no field begins the body";
const std::string kHardBreak = "a line end in quoted-printable stays what it is; theirs is CRLF";

const std::map<std::string, std::string> kBodyDifferences = {
    {"basic-plain-with-bad-header-separator_decoded_1", kNoField},
    {"empty-preamble_decoded_1_1", kHardBreak},
    {"german-qp_decoded_1", kHardBreak},
    {"hdr-fakeout_decoded_1", kNoField},
    {"malformedHeader-nocrlfcrlf_decoded_1", kNoField},
    {"malformedHeader-noheader_decoded_1", kNoField},
    {"malformedHeaderStartsBody-nocrlfcrlf_decoded_1", kNoField},
    {"malformedHeaderStartsBody-noheader_decoded_1", kNoField},
    {"multi-frag_decoded_1_3_2", "words behind the base64 are decoded as far as they look like it"},
    {"obsolete_decoded_1", kNoField},
};

TEST(MimeVectors, BodiesAreDecodedAsMime4jDecodesThem) {
    std::map<std::string, std::filesystem::path> bodies;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        std::string stem = entry.path().stem();
        if (stem.contains("_decoded_")) bodies[stem] = entry.path();
    }
    Tally tally("mime/mime4j bodies", kBodyDifferences);
    std::set<std::string> seen;
    std::size_t within = 0;
    for (const auto& path : messages()) {
        std::string message = content(path);
        std::vector<MimePart> parts = mime_parts(message);
        for (const auto& [way, part] : leaves(parts)) {
            std::string name = fmt::format("{}_decoded_{}", path.stem().string(), way);
            auto body = bodies.find(name);
            if (body == bodies.end()) {
                // An attached message, which is not gone into (mime.h).
                within += std::erase_if(
                    bodies, [&](const auto& one) { return one.first.starts_with(name + "_"); });
                continue;
            }
            seen.insert(name);
            tally.count(name, part->decoded(), content(body->second));
        }
    }
    for (const auto& [name, path] : bodies) {
        if (!seen.contains(name)) tally.count(name, "", content(path));
    }
    EXPECT_EQ(tally.all() + within, 164u);
}

std::string unescaped(std::string_view xml) {
    std::string out;
    for (std::size_t at = 0; at < xml.size();) {
        bool found = false;
        for (auto [word, c] :
             {std::pair{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}}) {
            if (!xml.substr(at).starts_with(word)) continue;
            out += c;
            at += std::string_view(word).size();
            found = true;
        }
        if (!found) out += xml[at++];
    }
    return out;
}

// The fields of the first header, one a line, unfolded.
std::string fields_in_xml(std::string_view xml) {
    std::string out;
    xml = xml.substr(0, xml.find("</header>"));
    for (std::size_t at = xml.find("<field>"); at != std::string_view::npos;
         at = xml.find("<field>", at + 1)) {
        std::string_view field = xml.substr(at + 8, xml.find("</field>", at) - at - 8);
        out += unfolded(unescaped(field)) + "\n";
    }
    return out;
}

const std::string kMbox = "a line From of mbox is no field, and no part of a message in SMTP";

const std::map<std::string, std::string> kHeaderDifferences = {
    {"jt-0498", kMbox},       {"malformedHeader-nocrlfcrlf", kNoField},
    {"mp-msg-rfc822", kMbox}, {"obsolete", kNoField},
    {"twopart", kMbox},       {"uu-junk", kMbox},
};

TEST(MimeVectors, HeaderFieldsAreThoseOfMime4j) {
    Tally tally("mime/mime4j headers", kHeaderDifferences);
    for (const auto& path : messages()) {
        std::string message = content(path);
        HeaderReader reader(message);
        std::string got;
        while (auto field = reader.next()) got += unfolded(field->whole) + "\n";
        auto xml = path;
        tally.count(path.stem(), got, fields_in_xml(content(xml.replace_extension(".xml"))));
    }
    EXPECT_EQ(tally.all(), 80u);
}

}  // namespace
}  // namespace postrider
