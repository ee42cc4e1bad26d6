// daemon/config_onward_test.cc: what the configuration says about mail that goes on to others.
//
// Goal: relay, routes, pools, resolver and next hosts arrive as typed values; each mistake has its
// place. Method: as config_test.cc, whole small files and errors written by hand.

#include <gtest/gtest.h>

#include "daemon/config.h"

namespace postrider::daemon {
namespace {

using Sender = PoolConfig::Sender;

Result<std::string> no_files(const std::string& path) { return fail("no file " + path); }

// `more` begins in line 8.
std::string right(std::string_view more) {
    return std::string(R"(hostname = "mail.example.org"
[[listener]]
address = "0.0.0.0:25"
[[domain]]
name = "a.example"
mailboxes = ["joe"]

)") + std::string(more);
}

auto loaded(std::string_view more) { return load(right(more), "p.toml", no_files); }

std::string errors(std::string_view more) {
    auto config = loaded(more);
    if (config) return "ok";
    std::string out;
    for (const ConfigError& error : config.error()) out += error.text() + '\n';
    return out;
}

std::string text(const std::optional<world::IpAddress>& address) {
    return address ? address->text() : "none";
}

TEST(ConfigOnward, DefaultsSendToMxHostsUnderOurName) {
    auto config = loaded("");
    ASSERT_TRUE(config) << errors("");
    EXPECT_EQ(config->relay.smarthost, "");
    EXPECT_EQ(config->relay.hello_name, "mail.example.org");
    EXPECT_EQ(text(config->relay.source_v4), "none");
    EXPECT_EQ(text(config->relay.source_v6), "none");
    EXPECT_TRUE(config->routing.routes.empty());
    EXPECT_TRUE(config->pools.empty());
    EXPECT_TRUE(config->resolver.forwarders.empty());
    EXPECT_EQ(config->resolver.trust_anchor_file, "");
    EXPECT_EQ(config->queue.connections_per_site, 20u);
    EXPECT_EQ(config->queue.messages_per_connection, 100u);
    EXPECT_EQ(config->queue.messages_per_minute_per_site, 0u);
    EXPECT_FALSE(config->routing.domains[0].via);
}

TEST(ConfigOnward, WrittenValuesReplaceDefaults) {
    constexpr std::string_view kText = R"(deliver_to = "pipe:/usr/bin/keep -v"
[relay]
smarthost = "Smart.example.net"
hello_name = "out.example.org"
source_v4 = "192.0.2.25"
source_v6 = "2001:DB8::25"
[resolver]
forwarders = ["192.0.2.53", "[2001:db8::53]:5353"]
trust_anchor_file = "/etc/root.key"
[queue]
connections_per_site = 3
messages_per_connection = 1
messages_per_minute_per_site = 60
)";
    auto config = loaded(kText);
    ASSERT_TRUE(config) << errors(kText);
    EXPECT_EQ(config->routing.domains[0].via, Destination(PipeDestination{"/usr/bin/keep -v"}));
    EXPECT_EQ(config->relay.smarthost, "smart.example.net:25");
    EXPECT_EQ(config->relay.hello_name, "out.example.org");
    EXPECT_EQ(text(config->relay.source_v4), "192.0.2.25");
    EXPECT_EQ(text(config->relay.source_v6), "2001:db8::25");
    ASSERT_EQ(config->resolver.forwarders.size(), 2u);
    EXPECT_EQ(config->resolver.forwarders[0].text(), "192.0.2.53:53");
    EXPECT_EQ(config->resolver.forwarders[1].text(), "[2001:db8::53]:5353");
    EXPECT_EQ(config->resolver.trust_anchor_file, "/etc/root.key");
    EXPECT_EQ(config->queue.connections_per_site, 3u);
    EXPECT_EQ(config->queue.messages_per_connection, 1u);
    EXPECT_EQ(config->queue.messages_per_minute_per_site, 60u);
}

TEST(ConfigOnward, RelayDomainsAndRoutesBecomeTheTablesRoutes) {
    constexpr std::string_view kText = R"([relay]
domains = ["B.example", "[192.0.2.1]"]
[[route]]
domain = "c.example"
host = "[192.0.2.9]:2525"
[[route]]
domain = "d.example"
host = "next.example"
relay = true
)";
    auto config = loaded(kText);
    ASSERT_TRUE(config) << errors(kText);
    struct Want {
        std::string_view domain, host;
        bool relay;
    };
    constexpr Want kWant[] = {{"b.example", "", true},
                              {"[192.0.2.1]", "", true},
                              {"c.example", "[192.0.2.9]:2525", false},
                              {"d.example", "next.example:25", true}};
    const std::vector<route::StaticRoute>& routes = config->routing.routes;
    ASSERT_EQ(routes.size(), std::size(kWant));
    for (std::size_t i = 0; i < routes.size(); ++i) {
        EXPECT_EQ(routes[i].domain, kWant[i].domain);
        EXPECT_EQ(routes[i].host, kWant[i].host) << routes[i].domain;
        EXPECT_EQ(routes[i].relay, kWant[i].relay) << routes[i].domain;
    }
}

TEST(ConfigOnward, PoolTakesWhatItDoesNotSetFromRelay) {
    constexpr std::string_view kText = R"([relay]
hello_name = "out.example.org"
source_v4 = "192.0.2.25"
[[pool]]
senders = ["News.example", "Billing@A.example", "b\u00fccher.example"]
hello_name = "news.example.org"
[[pool]]
destinations = ["Big.example"]
source_v4 = "192.0.2.26"
source_v6 = "2001:db8::26"
)";
    auto config = loaded(kText);
    ASSERT_TRUE(config) << errors(kText);
    ASSERT_EQ(config->pools.size(), 2u);
    const PoolConfig& news = config->pools[0];
    EXPECT_EQ(news.senders, (std::vector<Sender>{{std::nullopt, "news.example"},
                                                 {"billing", "a.example"},
                                                 {std::nullopt, "xn--bcher-kva.example"}}));
    EXPECT_TRUE(news.destinations.empty());
    EXPECT_EQ(news.hello_name, "news.example.org");
    EXPECT_EQ(text(news.source_v4), "192.0.2.25");
    EXPECT_EQ(text(news.source_v6), "none");
    const PoolConfig& big = config->pools[1];
    EXPECT_TRUE(big.senders.empty());
    EXPECT_EQ(big.destinations, std::vector<std::string>{"big.example"});
    EXPECT_EQ(big.hello_name, "out.example.org");
    EXPECT_EQ(text(big.source_v4), "192.0.2.26");
    EXPECT_EQ(text(big.source_v6), "2001:db8::26");
}

struct ErrorCase {
    std::string_view name, more, want;
};

const ErrorCase kErrorCases[] = {
    {"SmarthostIsAHostWithAPort", "[relay]\nsmarthost = \"next\"",
     "p.toml:9:13: \"next\" is not a next host: write \"mail.example.net\", "
     "\"mail.example.net:587\" or \"[192.0.2.1]:25\"\n"},
    {"SmarthostOnALoopbackPortOfOursIsTold", "[relay]\nsmarthost = \"[127.0.0.1]\"",
     "p.toml:9:13: [127.0.0.1]:25 is a listener of this server\n"},
    {"SmarthostUnderOurNameIsTold", "[relay]\nsmarthost = \"mail.example.org\"",
     "p.toml:9:13: mail.example.org:25 is a listener of this server\n"},
    {"SmarthostOnAnotherPortOfThisMachineIsRight", "[relay]\nsmarthost = \"[127.0.0.1]:2500\"",
     "ok"},
    {"SmarthostElsewhereIsRight", "[relay]\nsmarthost = \"[192.0.2.1]\"", "ok"},
    {"RouteToAListenerIsTold",
     "[[listener]]\naddress = \"192.0.2.1:26\"\n[[route]]\ndomain = \"b.example\"\nhost = "
     "\"192.0.2.1:26\"",
     "p.toml:12:8: [192.0.2.1]:26 is a listener of this server\n"},
    {"LmtpToAListenerIsTold",
     "deliver_to = \"lmtp:unix:/run/l\"\n[[listener]]\naddress = \"unix:/run/l\"",
     "p.toml:8:14: unix:/run/l is a listener of this server\n"},
    {"SourceOfTheOtherFamilyIsTold", "[relay]\nsource_v4 = \"::1\"\nsource_v6 = \"192.0.2.1\"",
     "p.toml:9:13: source_v4 must be an IPv4 address such as \"192.0.2.1\", not \"::1\"\n"
     "p.toml:10:13: source_v6 must be an IPv6 address such as \"2001:db8::1\", not "
     "\"192.0.2.1\"\n"},
    {"SourceMustBeOneAddress", "[relay]\nsource_v4 = \"0.0.0.0\"",
     "p.toml:9:13: source_v4 must be an IPv4 address such as \"192.0.2.1\", not \"0.0.0.0\"\n"},
    {"RelayDomainOfOursIsTold", "[relay]\ndomains = [\"b.example\", \"A.example\"]",
     "p.toml:9:25: a.example is a domain of ours: it cannot have a route\n"},
    {"RelayDomainMustBeADomain", "[relay]\ndomains = [\"b@c\", 5]",
     "p.toml:9:12: \"b@c\" is not a domain\n"
     "p.toml:9:19: domains must be an array of domains, not with a whole number in it\n"},
    {"RouteForADomainOfOursIsTold", "[[route]]\ndomain = \"a.example\"\nhost = \"h.example\"",
     "p.toml:9:10: a.example is a domain of ours: it cannot have a route\n"},
    {"TwoRoutesForADomainAreTold",
     "[[route]]\ndomain = \"b.example\"\nhost = \"h.example\"\n"
     "[[route]]\ndomain = \"B.example\"\nhost = \"i.example\"",
     "p.toml:12:10: b.example has two routes\n"},
    {"RouteAndRelayDomainAreTold",
     "[[route]]\ndomain = \"b.example\"\nhost = \"h.example\"\n[relay]\ndomains = "
     "[\"b.example\"]",
     "p.toml:9:10: b.example has two routes\n"},
    {"RouteNeedsAHost", "[[route]]\ndomain = \"b.example\"",
     "p.toml:8:1: [[route]] needs host: write host = \"[192.0.2.1]:25\"\n"},
    {"RouteWrittenOnceIsTold", "[route]\ndomain = \"b.example\"",
     "p.toml:8:1: write [[route]]: there may be several\n"},
    {"RelayOfARouteIsTrueOrFalse",
     "[[route]]\ndomain = \"b.example\"\nhost = \"h.example\"\nrelay = 1",
     "p.toml:11:9: relay must be true or false, not a whole number\n"},
    {"HoldingMailIsForSubmission",
     "[[listener]]\naddress = \"[::1]:26\"\nfuture_release_max = \"1h\"\n"
     "[[listener]]\naddress = \"[::1]:587\"\nkind = \"submission\"\nfuture_release_max = \"1h\"",
     "p.toml:9:11: [::1]:26 holds no mail for later: future_release_max is for listeners with kind "
     "= "
     "\"submission\"\n"},
    {"PoolWithoutAListIsTold", "[[pool]]\nhello_name = \"x.example\"",
     "p.toml:8:1: [[pool]] needs senders or destinations: for all mail set these keys in "
     "[relay]\n"},
    {"EmptyListOfAPoolIsTold", "[[pool]]\nsenders = []\ndestinations = [\"b.example\"]",
     "p.toml:9:11: senders is empty: leave it out to match everything\n"},
    {"PoolSenderMustBeADomainOrAddress", "[[pool]]\nsenders = [\"x@@y\", \"b..c\"]",
     "p.toml:9:12: \"x@@y\" is neither a domain nor an address\n"
     "p.toml:9:20: \"b..c\" is neither a domain nor an address\n"},
    {"KeyOfARepeatedSectionNamesIt", "[log]\nsenders = [\"b.example\"]",
     "p.toml:9:1: unknown key 'senders' here: it belongs into [[pool]]\n"},
    {"DeliverToNamesWhatItTakes", "deliver_to = \"/var/mail\"",
     "p.toml:8:14: \"/var/mail\" takes no mail: write \"lmtp:unix:/path\", "
     "\"lmtp:127.0.0.1:24\" or \"pipe:/path/of/program arguments\"\n"},
    {"ForwarderMustBeAnAddress", "[resolver]\nforwarders = [\"192.0.2.53\", \"dns.example\"]",
     "p.toml:9:29: \"dns.example\" is not the address of a server: write \"192.0.2.53\", "
     "\"192.0.2.53:5353\" or \"[2001:db8::53]:53\"\n"},
    {"LimitsOfASiteHaveBounds", "[queue]\nconnections_per_site = 0",
     "p.toml:9:24: connections_per_site must be a whole number, 1 to 1000, not 0\n"},
};

TEST(ConfigOnward, MistakesAreToldAsSpecified) {
    for (const ErrorCase& c : kErrorCases) EXPECT_EQ(errors(c.more), c.want) << c.name;
}

}  // namespace
}  // namespace postrider::daemon
