// daemon/config_test.cc: what the configuration takes, and how it refuses.
//
// Goal: every key with a right and a wrong value, every kind of mistake with its place. Method:
// whole small files in the tests; the expected errors are written by hand.

#include "daemon/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "daemon/config_keys.h"
#include "daemon/config_reference.h"

namespace postrider::daemon {
namespace {

using namespace std::chrono_literals;

Result<std::string> no_files(const std::string& path) { return fail("no file " + path); }

auto loaded(std::string_view text) { return load(text, "p.toml", no_files); }

// The errors, one on each line; "ok" if there are none.
std::string errors(std::string_view text, const ReadFile& files = no_files) {
    auto config = load(text, "p.toml", files);
    if (config) return "ok";
    std::string out;
    for (const ConfigError& error : config.error()) out += error.text() + '\n';
    return out;
}

// A configuration that is right, in lines 1 to 5; what a test is about comes after it.
constexpr std::string_view kRight = R"(hostname = "mail.example.org"
[[listener]]
address = "127.0.0.1:2525"
[[domain]]
name = "a.example"
)";

std::string right(std::string_view more) {
    return std::string(kRight) + "mailboxes = [\"joe\", \"ann\"]\n" + std::string(more);
}

TEST(Config, SmallestConfigurationGetsEveryDefault) {
    auto config = loaded(right(""));
    ASSERT_TRUE(config) << errors(right(""));
    EXPECT_EQ(config->hostname, "mail.example.org");
    EXPECT_EQ(config->user, "");
    EXPECT_EQ(config->data_directory, "/var/lib/postrider");
    EXPECT_EQ(config->shards, 0u);
    EXPECT_EQ(config->memory_max, 512u << 20);
    ASSERT_EQ(config->listeners.size(), 1u);
    EXPECT_EQ(text(config->listeners[0].address), "127.0.0.1:2525");
    EXPECT_EQ(config->listeners[0].protocol, ListenerConfig::Protocol::Smtp);
    EXPECT_EQ(config->smtp.message_octets_max, 50u << 20);
    EXPECT_EQ(config->smtp.recipients_max, 1000u);
    EXPECT_EQ(config->smtp.command_timeout, 5min);
    ASSERT_EQ(config->smtp.relay_networks.size(), 2u);
    EXPECT_TRUE(config->smtp.relay_networks[0].contains(*world::IpAddress::parse("127.0.0.1")));
    EXPECT_TRUE(config->smtp.normalise_line_ends_networks.empty());
    EXPECT_EQ(config->spool.segment_octets, 32u << 20);
    EXPECT_EQ(config->queue.expiry, 120h);
    EXPECT_EQ(config->delivery.line_ends, DeliveryConfig::LineEnds::Lf);
    EXPECT_EQ(config->routing.mailbox_path, "/var/lib/postrider/mail/{domain}/{local}");
    EXPECT_EQ(config->routing.recipient_delimiter, "+");
    EXPECT_EQ(config->log.file, "");
    EXPECT_EQ(config->log.level, LogLevel::Info);
    EXPECT_EQ(config->admin.socket, "/var/lib/postrider/admin.sock");
    EXPECT_EQ(config->admin.mode, 0600u);
}

TEST(Config, WrittenValuesReplaceDefaults) {
    auto config = load(R"(hostname = "MX.Example.org"
user = "mail"
data_directory = "state"
recipient_delimiter = ""
local_part_case = "kept"
listener = [{ address = "unix:/run/lmtp", protocol = "lmtp" }, { address = "[::]:25" }]
[smtp]
message_octets_max = 70000
command_timeout = "1m30s"
relay_networks = ["192.0.2.0/24", "2001:db8::1"]
[queue]
[delivery]
mailbox_path = "{data}/{domain}/{local}/Maildir"
line_ends = "crlf"
[log]
file = "log/postrider.log"
format = "json"
level = "debug"
[admin]
socket = "/run/admin"
mode = "0660"
[[domain]]
name = "A.example"
mailboxes = ["joe", "ann@a.example"]
aliases = { sales = "joe", "all" = ["sales", "x@else.example"] }
catch_all = "ann"
postmaster = "root@else.example"
)",
                       "/etc/postrider/p.toml", no_files);
    ASSERT_TRUE(config) << config.error().front().text();
    EXPECT_EQ(config->hostname, "mx.example.org");
    EXPECT_EQ(config->user, "mail");
    EXPECT_EQ(config->data_directory, "/etc/postrider/state");
    EXPECT_EQ(config->routing.local_part_case, route::LocalPartCase::Kept);
    EXPECT_EQ(config->listeners[0].protocol, ListenerConfig::Protocol::Lmtp);
    EXPECT_EQ(text(config->listeners[1].address), "[::]:25");
    EXPECT_EQ(config->smtp.message_octets_max, 70'000u);
    EXPECT_EQ(config->smtp.command_timeout, 90s);
    EXPECT_EQ(config->smtp.relay_networks[0].prefix_bits, 24);
    EXPECT_EQ(config->smtp.relay_networks[1].prefix_bits, 128);
    EXPECT_EQ(config->routing.mailbox_path, "/etc/postrider/state/{domain}/{local}/Maildir");
    EXPECT_EQ(config->delivery.line_ends, DeliveryConfig::LineEnds::Crlf);
    EXPECT_EQ(config->log.file, "/etc/postrider/log/postrider.log");
    EXPECT_EQ(config->log.format, LogConfig::Format::Json);
    EXPECT_EQ(config->log.level, LogLevel::Debug);
    EXPECT_EQ(config->admin.mode, 0660u);
    const route::LocalDomain& domain = config->routing.domains.at(0);
    EXPECT_EQ(domain.name, "a.example");
    EXPECT_EQ(domain.mailboxes[1].text(), "ann@a.example");
    ASSERT_EQ(domain.aliases.size(), 2u);
    EXPECT_EQ(domain.aliases[0].local_part, "all");
    EXPECT_EQ(domain.aliases[0].targets[0].text(), "sales@a.example");
    EXPECT_EQ(domain.aliases[0].targets[1].text(), "x@else.example");
    EXPECT_EQ(domain.catch_all->text(), "ann@a.example");
    EXPECT_EQ(domain.postmaster->text(), "root@else.example");
}

struct ErrorCase {
    std::string_view name, more, want;  // `more` begins in line 7
};

const ErrorCase kErrorCases[] = {
    {"UnknownKeyNamesTheNearest", "[smtp]\nrecipient_max = 5",
     "p.toml:8:1: unknown key 'recipient_max', did you mean 'recipients_max'?\n"},
    {"UnknownSectionNamesTheNearest", "[smpt]\n",
     "p.toml:7:2: unknown section 'smpt', did you mean 'smtp'?\n"},
    {"KeyOfAnotherSectionNamesThatSection", "[log]\nhops_max = 5",
     "p.toml:8:1: unknown key 'hops_max' here: it belongs into [smtp]\n"},
    {"KeyOfTheTopNamesTheTop", "[log]\nhostname = \"a.b\"",
     "p.toml:8:1: unknown key 'hostname' here: it belongs at the top of the file, before any "
     "section\n"},
    {"UnknownKeyFarFromAllIsToldPlainly", "[log]\nzzzzzzzzzz = 5",
     "p.toml:8:1: unknown key 'zzzzzzzzzz'\n"},
    {"WrongTypeIsTold", "[smtp]\nrecipients_max = \"many\"",
     "p.toml:8:18: recipients_max must be a whole number, 100 to 10000, not a text\n"},
    {"ValueOutOfBoundsIsTold", "[smtp]\nrecipients_max = 99",
     "p.toml:8:18: recipients_max must be a whole number, 100 to 10000, not 99\n"},
    {"FractionIsNoCount", "[smtp]\n  errors_max = 1.5",
     "p.toml:8:16: errors_max must be a whole number, 1 to 10000, not a number with a fraction\n"},
    {"SizeOutOfBoundsIsTold", "[smtp]\nmessage_octets_max = \"1 KiB\"",
     "p.toml:8:22: message_octets_max must be a size, 64 KiB to 2 GiB, not 1 KiB\n"},
    {"NegativeSizeIsTold", "[spool]\nmin_free = -1",
     "p.toml:8:12: min_free must be a size, 0 to 16 TiB, not -1\n"},
    {"DurationWithoutUnitIsTold", "[queue]\nexpiry = \"5\"",
     "p.toml:8:10: \"5\" is not a duration: write \"10s\", \"5m\", \"1h30m\" or \"5d\"\n"},
    {"DurationAsNumberIsTold", "[queue]\nexpiry = 5",
     "p.toml:8:10: expiry must be a duration, 1m to 60d, not a whole number\n"},
    {"DurationOutOfBoundsIsTold", "[queue]\nexpiry = \"61d\"",
     "p.toml:8:10: expiry must be a duration, 1m to 60d, not 61d\n"},
    {"ChoiceNamesTheNearest", "[log]\nlevel = \"warn\"",
     "p.toml:8:9: level must be \"debug\" or \"info\" or \"warning\" or \"error\", not \"warn\"\n"},
    {"ChoiceWithASlipNamesTheNearest", "[log]\nformat = \"jason\"",
     "p.toml:8:10: format must be \"logfmt\" or \"json\", not \"jason\", did you mean \"json\"?\n"},
    {"WrongNetworkIsToldAtItsPlace", "[smtp]\nrelay_networks = [\"::1\", \"10.0.0.0/33\", 5]",
     "p.toml:8:26: \"10.0.0.0/33\" is not a network: write \"192.0.2.0/24\", \"2001:db8::/32\" or "
     "a "
     "single address\n"
     "p.toml:8:41: relay_networks must be an array of networks such as \"192.0.2.0/24\", not with "
     "a "
     "whole number in it\n"},
    {"SectionWrittenTwiceAsArrayIsTold", "[[smtp]]\n",
     "p.toml:7:1: smtp must stand once, as [smtp]\n"},
    {"ValueInPlaceOfASectionIsTold", "[log]\n[queue]\nactive_max = 0\n",
     "p.toml:9:14: active_max must be a whole number, 10 to 10000000, not 0\n"},
    {"SyntaxErrorHasItsPlace", "[log\nlevel = 5",
     "p.toml:7:5: Error while parsing table header: expected ']', saw '\\n'\n"},
    {"ThreeBracketsHaveTheirPlace", "[[[log]]]\nlevel = 5",
     "p.toml:7:3: Error while parsing key: expected bare key starting character or string "
     "delimiter, saw '['\n"},
    {"ControlCharacterInATextIsTold", "[log]\nfile = \"a\\u0001b\"",
     "p.toml:8:8: file holds a control character\n"},
    {"MailboxPathWithoutLocalIsTold", "[delivery]\nmailbox_path = \"/m/{domain}\"",
     "p.toml:8:16: the mailbox path must hold {local}, or all mailboxes are one\n"},
    {"MailboxPathWithoutDomainNeedsOneDomain",
     "[[domain]]\nname = \"b.example\"\nmailboxes = [\"x\"]\n[delivery]\nmailbox_path = "
     "\"/m/{local}\"",
     "p.toml:11:16: the mailbox path must hold {domain} when there are several domains\n"},
    {"ListenerWithoutAddressIsTold", "[[listener]]\nprotocol = \"lmtp\"",
     "p.toml:7:1: [[listener]] needs address: write address = \"0.0.0.0:25\"\n"},
    {"ListenersOnOneAddressOverlap", "[[listener]]\naddress = \"127.0.0.1:2525\"",
     "p.toml:8:11: 127.0.0.1:2525 overlaps the listener in line 3\n"},
    {"ListenerOnAllAddressesOverlaps", "[[listener]]\naddress = \"0.0.0.0:2525\"",
     "p.toml:8:11: 0.0.0.0:2525 overlaps the listener in line 3\n"},
    {"BothFamiliesStandSideBySide", "[[listener]]\naddress = \"[::]:2525\"", "ok"},
    {"AdminSocketIsNoListener",
     "[[listener]]\naddress = \"unix:/run/a\"\n[admin]\nsocket = \"/run/a\"",
     "p.toml:8:11: unix:/run/a is the socket of [admin]\n"},
    // Letters of U+00A1 to U+0499: toml.h.
    {"LetterOutsideAsciiNeedsQuotes", "\xC3\xBC = 1",
     "p.toml:7:1: Error while parsing root table: expected keys, tables, whitespace or comments, "
     "saw '\xC3\xBC'\n"},
    {"LetterOutsideAsciiBehindAStringIsTold", "x = \"a\\\"\" \xCF\xBF",
     "p.toml:7:11: Error while parsing key-value pair: expected a comment or whitespace, saw "
     "'\xCF\xBF'\n"},
    {"LettersInCommentsAndStringsAreTaken", "# \xC3\xBC\ncatch_all = 'joe' # \xCF\xBF", "ok"},
    {"BackoffMustGrow", "[queue]\nbackoff_first = \"1h\"\nbackoff_max = \"5m\"",
     "p.toml:9:15: backoff_max is shorter than backoff_first\n"},
    {"ExpiryComesAfterTheFirstRetry", "[queue]\nbackoff_first = \"1h\"\nexpiry = \"5m\"",
     "p.toml:9:10: expiry is shorter than backoff_first: nothing would be tried twice\n"},
    {"WrongAddressIsTold", "catch_all = \"a b\"", "p.toml:7:13: \"a b\" is not an address: "},
    {"AliasOfAnotherDomainIsTold", "aliases = { \"x@b.example\" = [\"joe\"] }",
     "p.toml:7:13: alias x@b.example is not in domain a.example\n"},
    {"AliasToNobodyIsToldAtItsTarget", "aliases = { x = [\"joe\", \"jim\"] }",
     "p.toml:7:25: alias x leads to jim@a.example, which does not exist\n"},
    {"AliasLoopIsTold", "aliases = { x = \"y\", y = \"x\" }",
     "p.toml:7:13: alias loop: x@a.example leads back to itself\n"
     "p.toml:7:22: alias loop: y@a.example leads back to itself\n"},
    {"AliasTableMayStandBelow", "[domain.aliases]\nsales = [\"joe\"]", "ok"},
    {"AliasTargetMustBeAText", "aliases = { x = [5] }",
     "p.toml:7:18: aliases must be a table of names, each with an array of addresses, not with a "
     "whole number in it\n"},
    {"CatchAllMustExist", "catch_all = \"jim\"", "p.toml:7:13: jim@a.example does not exist\n"},
    {"PostmasterMustExist", "postmaster = \"jim\"", "p.toml:7:14: jim@a.example does not exist\n"},
    {"DomainListedTwiceIsTold", "[[domain]]\nname = \"A.EXAMPLE\"\nmailboxes = [\"x\"]",
     "p.toml:7:1: domain a.example is listed twice\n"},
    {"DomainWithoutPostmasterIsTold", "[[domain]]\nname = \"b.example\"",
     "p.toml:7:1: domain b.example needs a postmaster: set postmaster, or list a mailbox\n"},
    {"DomainWithoutNameIsTold", "[[domain]]\nmailboxes = [\"x\"]",
     "p.toml:7:1: [[domain]] needs name: write name = \"example.org\"\n"},
    {"WrongDomainNameIsTold", "[[domain]]\nname = \"-b-\"\nmailboxes = [\"x\"]",
     "p.toml:8:8: name must be a domain, not \"-b-\"\n"},
    {"MissingMailboxesFileIsTold", "mailboxes_file = \"m\"",
     "p.toml:7:18: cannot read m: no file m\n"},
};

TEST(Config, MistakesAreToldAsSpecified) {
    for (const ErrorCase& c : kErrorCases) {
        std::string got = errors(right(c.more));
        if (c.want.ends_with(' ')) got.resize(std::min(got.size(), c.want.size()));
        EXPECT_EQ(got, c.want) << c.name;
    }
}

TEST(Config, EveryErrorOfAFileIsToldInTheOrderOfItsLines) {
    EXPECT_EQ(errors("shards = -1\n"
                     "listne = 5\n"
                     "[[listener]]\n"
                     "address = \"here\"\n"
                     "[smtp]\n"
                     "hops_max = true\n"),
              "p.toml:1:1: the configuration needs hostname: write hostname = "
              "\"mail.example.org\"\n"
              "p.toml:1:1: there is no [[domain]]: at least one is needed\n"
              "p.toml:1:10: shards must be a whole number, 0 to 256, not -1\n"
              "p.toml:2:1: unknown key 'listne', did you mean 'listener'?\n"
              "p.toml:4:11: \"here\" is not an address to listen on: write \"0.0.0.0:25\", "
              "\"[::]:25\" or \"unix:/path\"\n"
              "p.toml:6:12: hops_max must be a whole number, 1 to 100, not true or false\n");
}

TEST(Config, EmptyFileIsToldWhatItNeeds) {
    EXPECT_EQ(errors(""),
              "p.toml:1:1: the configuration needs hostname: write hostname = "
              "\"mail.example.org\"\n"
              "p.toml:1:1: there is no [[listener]]: at least one is needed\n"
              "p.toml:1:1: there is no [[domain]]: at least one is needed\n");
}

TEST(Config, ColumnsCountCharactersAndNotOctets) {
    EXPECT_EQ(errors(right("aliases = { \"\xC3\xBC\xC3\xBC\" = \"jim\" }")),
              "p.toml:7:20: alias \xC3\xBC\xC3\xBC leads to jim@a.example, which does not exist\n");
}

TEST(Config, ListOfErrorsIsBounded) {
    std::string many;
    for (int i = 0; i < 300; ++i) many += fmt::format("qqqqqqqqqqqq{} = 1\n", i);
    auto config = loaded(right("[log]\n" + many));
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().size(), 101u);
    EXPECT_EQ(config.error().back().text(), "p.toml: and 200 more errors");
}

TEST(Config, MailboxesFileIsReadBesideTheConfiguration) {
    std::string asked;
    ReadFile files = [&](const std::string& path) -> Result<std::string> {
        asked = path;
        return "# people\njim\r\n\n  kim@a.example  \n\"o dd\"";
    };
    auto config = load(right("mailboxes_file = \"m.txt\""), "/etc/p/p.toml", files);
    ASSERT_TRUE(config) << config.error().front().text();
    EXPECT_EQ(asked, "/etc/p/m.txt");
    std::vector<std::string> names;
    for (const Mailbox& m : config->routing.domains[0].mailboxes) names.push_back(m.local_part);
    EXPECT_EQ(names, (std::vector<std::string>{"joe", "ann", "jim", "kim", "o dd"}));
}

TEST(Config, ErrorsInTheMailboxesFileNameThatFile) {
    ReadFile files = [](const std::string&) -> Result<std::string> {
        return "jim\n  joe\nx@b.example\njim\n";
    };
    EXPECT_EQ(errors(right("mailboxes_file = \"m.txt\""), files),
              "m.txt:2:3: mailbox joe@a.example is listed twice\n"
              "m.txt:3:1: mailbox x@b.example is not in domain a.example\n"
              "m.txt:4:1: mailbox jim@a.example is listed twice\n");
}

// --- every key of the table

// A right and a wrong value for each type of key, as TOML.
struct Values {
    std::string_view good, bad;
};

const std::map<KeyType, Values> kValues = {
    {KeyType::Boolean, {"true", "\"true\""}},
    {KeyType::Count, {"100", "\"100\""}},
    {KeyType::Size, {"\"64 MiB\"", "\"much\""}},
    {KeyType::Duration, {"\"5m\"", "\"soon\""}},
    {KeyType::Mode, {"\"0640\"", "\"rwx\""}},
    {KeyType::Choice, {"", "\"neither\""}},
    {KeyType::Text, {"\"text\"", "7"}},
    {KeyType::Delimiters, {"\"-\"", "\"@\""}},
    {KeyType::HostName, {"\"a.example\"", "\"localhost\""}},
    {KeyType::Domain, {"\"b.example\"", "\"a..b\""}},
    {KeyType::Domains, {"[\"b.example\"]", "[\"a..b\"]"}},
    {KeyType::Senders, {"[\"b.example\", \"x@b.example\"]", "[\"x@\"]"}},
    {KeyType::NextHost, {"\"next.example:587\"", "\"next.example:\""}},
    {KeyType::Ipv4, {"\"192.0.2.1\"", "\"2001:db8::1\""}},
    {KeyType::Ipv6, {"\"2001:db8::1\"", "\"192.0.2.1\""}},
    {KeyType::Servers, {"[\"192.0.2.53:5353\"]", "[\"dns.example\"]"}},
    {KeyType::DeliverTo, {"\"lmtp:127.0.0.1:24\"", "\"smtp:127.0.0.1:25\""}},
    {KeyType::Path, {"\"/tmp/x\"", "\"\""}},
    {KeyType::Template, {"\"/m/{local}\"", "\"/m\""}},
    {KeyType::Endpoint, {"\"[::1]:25\"", "\"::1\""}},
    {KeyType::Networks, {"[\"10.0.0.0/8\"]", "\"10.0.0.0/8\""}},
    {KeyType::Address, {"\"joe\"", "\"j@j@j\""}},
    {KeyType::Addresses, {"[\"joe\"]", "[\"\\u0000\"]"}},
    {KeyType::Aliases, {"{ x = [\"joe\"] }", "[\"joe\"]"}},
    {KeyType::AddressFile, {"\"mailboxes\"", "17"}},
    {KeyType::Texts, {"[\"news\", \"ann@a.example\"]", "[\"\"]"}},
    {KeyType::SigningKeys, {"[\"author\", \"S._domainkey.B\u00fccher.example\"]", "[\"a\"]"}},
};

std::string file_with(const Key& key, std::string_view value) {
    std::string line = fmt::format("{} = {}\n", key.name, value);
    std::string top = "hostname = \"mail.example.org\"\n";
    std::string listener = "[[listener]]\n";
    std::string domain = "[[domain]]\n";
    std::string section;
    if (key.section.empty()) {
        if (key.name == "hostname") top.clear();
        top += line;
    } else if (key.section == "listener") {
        listener += line;
        if (key.name == "future_release_max") listener += "kind = \"submission\"\n";
    } else if (key.section == "domain") {
        domain += line;
    } else {
        section = fmt::format("{}\n{}", find_section(key.section)->heading(), line);
        // What the section needs besides.
        if (key.section == "route" && key.name != "domain") section += "domain = \"b.example\"\n";
        if (key.section == "route" && key.name != "host") section += "host = \"h.example\"\n";
        if (key.section == "pool" && key.name != "senders")
            section += "senders = [\"b.example\"]\n";
        if (key.section == "signer" && key.name != "keys") section += "keys = []\n";
        if (key.section == "certificate" && key.name != "chain_file")
            section += "chain_file = \"/c\"\n";
        if (key.name == "smarthost_user")
            section += "smarthost = \"h.example\"\nsmarthost_password_file = \"/p\"\n";
        if (key.name == "smarthost_password_file")
            section += "smarthost = \"h.example\"\nsmarthost_user = \"u\"\n";
        if (key.name == "client_certificates") section += "client_roots_file = \"/r\"\n";
        if (key.section == "tls_policy" && key.name != "tls") section += "tls = \"required\"\n";
        if (key.section == "tls_policy" && key.name != "destinations")
            section += "destinations = [\"b.example\"]\n";
    }
    if (key.section == "listener" && key.name.starts_with("tls"))
        section += "[[certificate]]\nchain_file = \"/c\"\n";
    if (key.name != "address") listener += "address = \"127.0.0.1:2525\"\n";
    if (key.name != "name") domain += "name = \"a.example\"\n";
    if (key.name != "mailboxes") domain += "mailboxes = [\"joe\"]\n";
    return top + listener + domain + section;
}

TEST(Config, EveryKeyTakesARightValueAndRefusesAWrongOneAtItsPlace) {
    ReadFile files = [](const std::string&) -> Result<std::string> { return "kim\n"; };
    for (const Key& key : config_keys()) {
        Values values = kValues.at(key.type);
        std::string good(values.good);
        if (key.type == KeyType::Choice) good = fmt::format("\"{}\"", key.choices.back());
        if (key.type == KeyType::Count)
            good = fmt::format("{}", std::clamp(100., key.min, key.max));
        if (key.type == KeyType::Duration) {
            good = fmt::format("\"{}s\"", std::clamp(300., key.min, key.max));
        }
        EXPECT_EQ(errors(file_with(key, good), files), "ok") << key.name;

        std::string text = file_with(key, values.bad);
        auto config = load(text, "p.toml", files);
        ASSERT_FALSE(config) << key.name;
        auto line = static_cast<uint32_t>(
            1 + std::ranges::count(
                    text.substr(0, text.find(fmt::format("{} = {}", key.name, values.bad))), '\n'));
        EXPECT_EQ(config.error().front().line, line) << key.name;
        EXPECT_GT(config.error().front().column, key.name.size() + 2) << key.name;
    }
}

TEST(Config, EveryKeyIsDocumentedAndItsDefaultIsRight) {
    for (const Key& key : config_keys()) {
        EXPECT_TRUE(key.documentation.ends_with('.')) << key.name;
        EXPECT_FALSE(key.fallback.empty() && key.example.empty()) << key.name;
        EXPECT_FALSE(key.required() && !key.fallback.empty()) << key.name;
        EXPECT_NE(find_section(key.section), nullptr) << key.name;
        EXPECT_EQ(find_key(key.section, key.name), &key) << "twice: " << key.name;
    }
}

TEST(Config, BuiltInConfigurationIsRightAndStaysOnThisMachine) {
    Config config = default_config_for("/srv/a \"quoted\" \\ folder");
    EXPECT_EQ(config.data_directory, "/srv/a \"quoted\" \\ folder");
    ASSERT_EQ(config.listeners.size(), 1u);
    EXPECT_EQ(text(config.listeners[0].address), "127.0.0.1:2525");
    EXPECT_TRUE(config.routing.mailbox_path.starts_with(config.data_directory + "/"));
    EXPECT_TRUE(config.admin.socket.starts_with(config.data_directory + "/"));
    auto table = route::Table::build(config.routing).table;
    auto decision = table->resolve(*Mailbox::parse("you@postrider.test"));
    ASSERT_TRUE(std::holds_alternative<route::Local>(decision));
    EXPECT_TRUE(std::holds_alternative<route::Local>(table->resolve({"postmaster", ""})));
}

}  // namespace
}  // namespace postrider::daemon
