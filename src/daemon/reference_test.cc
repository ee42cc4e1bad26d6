// daemon/reference_test.cc: the pages made by code are the ones in docs/, and the example is right.
//
// With POSTRIDER_WRITE_DOCS=1 in the environment the pages are written instead of compared.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/config_keys.h"
#include "daemon/config_reference.h"
#include "daemon/log_reference.h"

namespace postrider::daemon {
namespace {

void expect_page(const std::string& name, const std::string& want) {
    std::string path = std::string(POSTRIDER_SOURCE_DIR) + "/docs/" + name;
    if (std::getenv("POSTRIDER_WRITE_DOCS")) {
        std::ofstream(path, std::ios::binary) << want;
        return;
    }
    std::ostringstream got;
    got << std::ifstream(path, std::ios::binary).rdbuf();
    EXPECT_TRUE(got.str() == want)
        << name << " is not what the code makes: run this test with POSTRIDER_WRITE_DOCS=1";
}

TEST(Reference, ExampleInDocsIsTheOneFromTheTable) {
    expect_page("postrider.example.toml", annotated_example());
}

TEST(Reference, ConfigurationPageIsTheOneFromTheTable) {
    expect_page("configuration.md", configuration_reference());
}

TEST(Reference, LoggingPageIsTheOneFromTheCatalogue) {
    expect_page("logging.md", logging_reference());
}

TEST(Reference, EveryEventIsDocumentedAndHasItsOwnName) {
    std::set<std::string_view> names;
    for (const EventInfo& event : event_catalogue()) {
        EXPECT_TRUE(event.paragraph.ends_with('.')) << event.name;
        EXPECT_TRUE(names.insert(event.name).second) << event.name;
    }
}

std::string first_error(const std::string& text) {
    ReadFile files = [](const std::string&) -> Result<std::string> { return "dave\n"; };
    auto config = load(text, "example", files);
    return config ? "ok" : config.error().front().text();
}

TEST(Reference, ExampleLoadsAsItIs) { EXPECT_EQ(first_error(annotated_example()), "ok"); }

TEST(Reference, ExampleLoadsWithEveryKeySwitchedOn) {
    std::string text = annotated_example();
    for (const Section& section : config_sections()) {
        std::size_t at = text.find("\n#" + section.heading() + '\n');
        if (section.times == Times::AnyNumber) text.erase(at + 1, 1);
    }
    std::size_t switched = 0;
    for (const Key& key : config_keys()) {
        std::string line = fmt::format("\n#{} = ", key.name);
        std::size_t at = text.find(line);
        if (at == text.npos) continue;
        text.erase(at + 1, 1);
        ++switched;
    }
    EXPECT_GT(switched, config_keys().size() / 2);
    EXPECT_EQ(first_error(text), "ok");
}

TEST(Reference, NoLineIsWiderThan100Columns) {
    for (const std::string& page :
         {configuration_reference(), logging_reference(), annotated_example()}) {
        std::istringstream lines(page);
        for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
    }
}

}  // namespace
}  // namespace postrider::daemon
