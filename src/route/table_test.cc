// route/table_test.cc: where each address of a small configuration goes.
//
// Goal: the order of look-up, aliases with their limits, postmaster, destinations. Method: one
// configuration written below, a table of addresses with the answer each must get.

#include "route/table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"

namespace postrider::route {
namespace {

Mailbox at(std::string local_part, std::string domain = "a.example") {
    return {std::move(local_part), std::move(domain)};
}

TableSource source() {
    TableSource out;
    out.mailbox_path = "/mail/{domain}/{local}";
    out.hostname = "mx1.our.example";
    out.domains.push_back(
        {.name = "a.example",
         .mailboxes = {at("joe"), at("ann+news"), at("ann"), at("keep"), at("x"), at("y")},
         .aliases = {{"sales", {at("joe"), at("carl", "else.example"), at("ann")}},
                     {"info", {at("sales"), at("joe")}},
                     {"keep", {at("keep"), at("copy", "else.example")}},
                     {"x", {at("x"), at("y")}},
                     {"y", {at("y"), at("x")}},
                     {"ring1", {at("joe"), at("ring2")}},
                     {"ring2", {at("ring1")}},
                     {"self", {at("self")}},
                     {"lost", {at("nobody")}},
                     {"tagged", {at("joe+work")}},
                     {"over", {at("any", "b.example")}}}});
    out.domains.push_back({.name = "b.example",
                           .mailboxes = {at("first", "b.example"), at("any", "b.example")},
                           .catch_all = at("joe"),
                           .postmaster = at("any", "b.example")});
    out.domains.push_back({.name = "b\xC3\xBC"
                                   "cher.example",
                           .mailboxes = {at("leser", "xn--bcher-kva.example")}});
    out.domains.push_back({.name = "lmtp.example",
                           .mailboxes = {at("u", "lmtp.example")},
                           .via = LmtpDestination{"unix:/run/lmtp"}});
    out.domains.push_back({.name = "[192.0.2.1]", .mailboxes = {at("root", "[192.0.2.1]")}});
    out.routes = {{.domain = "inner.example", .host = "[192.0.2.9]:25", .relay = true},
                  {.domain = "mx.example", .relay = true},
                  {.domain = "smart.example", .host = "relay.example:25"}};
    return out;
}

// One line for each decision.
std::string said(const Decision& decision) {
    if (const auto* local = std::get_if<Local>(&decision)) {
        std::string out;
        for (const Mailbox& m : local->targets) {
            out += fmt::format("{}{}@{}", out.empty() ? "" : " ", m.local_part, m.domain);
        }
        return out;
    }
    if (const auto* relay = std::get_if<Relay>(&decision)) {
        return relay->open_to_all ? "relay for all" : "relay";
    }
    if (const auto* unknown = std::get_if<UnknownRecipient>(&decision)) {
        return "unknown " + unknown->status.text();
    }
    const auto& error = std::get<AliasError>(decision);
    constexpr std::string_view kKinds[] = {"loop", "too deep", "too many", "dangling"};
    return fmt::format("{} {}", kKinds[static_cast<int>(error.kind)], error.status.text());
}

struct ResolveCase {
    std::string_view name;
    std::string local_part;
    std::string domain;
    std::string_view want;
};

const ResolveCase kResolveCases[] = {
    {"MailboxIsFound", "joe", "a.example", "joe@a.example"},
    {"CaseOfTheLocalPartIsIgnored", "JoE", "a.example", "joe@a.example"},
    {"CaseOfTheDomainIsIgnored", "joe", "A.Example", "joe@a.example"},
    {"TagFallsBackToTheUser", "joe+work", "a.example", "joe@a.example"},
    {"TwoTagsFallBackStepByStep", "ann+news+x", "a.example", "ann+news@a.example"},
    {"ExactMailboxComesBeforeItsTag", "ann+news", "a.example", "ann+news@a.example"},
    {"OtherTagFallsBackPastIt", "ann+old", "a.example", "ann@a.example"},
    {"TagWithoutAUserIsNoTag", "+joe", "a.example", "unknown 5.1.1"},
    {"EmptyTagIsATag", "joe+", "a.example", "joe@a.example"},
    {"UnknownIsUnknown", "nobody", "a.example", "unknown 5.1.1"},
    {"EmptyLocalPartIsUnknown", "", "a.example", "unknown 5.1.1"},
    {"OverlongLocalPartIsUnknown", std::string(65, 'j'), "a.example", "unknown 5.1.1"},
    {"AliasGivesItsTargetsInOrder", "sales", "a.example",
     "joe@a.example carl@else.example ann@a.example"},
    {"AliasOfAliasGivesEachTargetOnce", "info", "a.example",
     "joe@a.example carl@else.example ann@a.example"},
    {"TagFallsBackToAnAlias", "sales+eu", "a.example",
     "joe@a.example carl@else.example ann@a.example"},
    {"AliasMayKeepACopyInItsOwnMailbox", "keep", "a.example", "keep@a.example copy@else.example"},
    {"TwoWhoForwardToEachOtherBothGetIt", "x", "a.example", "x@a.example y@a.example"},
    {"RingWithoutMailboxIsALoop", "ring1", "a.example", "loop 4.4.6"},
    {"RingEnteredFromTheOtherSideIsALoop", "ring2", "a.example", "loop 4.4.6"},
    {"AliasOfItselfIsALoop", "self", "a.example", "loop 4.4.6"},
    {"AliasToNobodyIsTheOperatorsMistake", "lost", "a.example", "dangling 4.3.5"},
    {"TargetMayHaveATag", "tagged", "a.example", "joe@a.example"},
    {"TargetMayLieInAnotherLocalDomain", "over", "a.example", "any@b.example"},
    {"CatchAllTakesTheRest", "whoever", "b.example", "joe@a.example"},
    {"CatchAllTakesNothingThatExists", "first", "b.example", "first@b.example"},
    {"PostmasterGoesToTheFirstMailbox", "postmaster", "a.example", "joe@a.example"},
    {"PostmasterHasNoCase", "PostMaster", "a.example", "joe@a.example"},
    {"PostmasterWithTagIsPostmaster", "postmaster+x", "a.example", "joe@a.example"},
    {"PostmasterGoesWhereConfigured", "postmaster", "b.example", "any@b.example"},
    {"BarePostmasterIsTheFirstDomains", "Postmaster", "", "joe@a.example"},
    {"PostmasterOfOurHostnameIsTheFirstDomains", "Postmaster", "MX1.our.example", "joe@a.example"},
    {"OthersAtOurHostnameAreNot", "joe", "mx1.our.example", "relay"},
    {"PostmasterElsewhereIsRelayed", "postmaster", "else.example", "relay"},
    {"ALabelIsFoundByItsULabel", "leser",
     "b\xC3\xBC"
     "cher.example",
     "leser@xn--bcher-kva.example"},
    {"ULabelDomainIsFoundByItsALabel", "leser", "xn--bcher-kva.example",
     "leser@xn--bcher-kva.example"},
    {"AddressLiteralMayBeOurs", "root", "[192.0.2.1]", "root@[192.0.2.1]"},
    {"OtherLiteralIsNotOurs", "root", "[192.0.2.2]", "relay"},
    {"OtherDomainIsRelayed", "joe", "else.example", "relay"},
    {"SubdomainIsAnotherDomain", "joe", "sub.a.example", "relay"},
    {"RelayDomainIsOpen", "joe", "inner.example", "relay for all"},
    {"RelayDomainWithoutHostIsOpen", "joe", "MX.example", "relay for all"},
    {"StaticRouteAloneIsNotOpen", "joe", "smart.example", "relay"},
};

TEST(Table, ResolvesAsSpecified) {
    auto table = Table::build(source()).table;
    for (const ResolveCase& c : kResolveCases) {
        EXPECT_EQ(said(table->resolve(at(c.local_part, c.domain))), c.want) << c.name;
    }
}

TEST(Table, EveryLocalTargetHasADestination) {
    auto table = Table::build(source()).table;
    for (const ResolveCase& c : kResolveCases) {
        Decision decision = table->resolve(at(c.local_part, c.domain));
        const auto* local = std::get_if<Local>(&decision);
        if (!local) continue;
        for (const Mailbox& target : local->targets) {
            EXPECT_FALSE(std::holds_alternative<NoDestination>(table->destination(target)))
                << c.name << ' ' << target.local_part;
        }
    }
}

struct DestinationCase {
    std::string_view name, local_part, domain, want;
};

constexpr DestinationCase kDestinationCases[] = {
    {"MailboxIsAMaildir", "joe", "a.example", "maildir:/mail/a.example/joe"},
    {"EverySpellingIsOneMaildir", "JOE+x", "a.example", "maildir:/mail/a.example/joe"},
    {"AliasWithMailboxIsItsMailbox", "keep", "a.example", "maildir:/mail/a.example/keep"},
    {"MailboxThatIsGoneIsNowhere", "nobody", "a.example", "none"},
    {"AliasIsNoPlace", "sales", "a.example", "none"},
    {"DomainMayHaveAnLmtpServer", "u", "lmtp.example", "lmtp:unix:/run/lmtp"},
    {"OtherDomainIsLookedUp", "joe", "else.example", "mx:else.example"},
    {"OtherLiteralIsLookedUp", "joe", "[192.0.2.2]", "mx:[192.0.2.2]"},
    {"StaticRouteNamesItsHost", "joe", "smart.example", "host:relay.example:25"},
    {"RelayDomainMayNameItsHost", "joe", "inner.example", "host:[192.0.2.9]:25"},
    {"RelayDomainWithoutHostIsLookedUp", "joe", "mx.example", "mx:mx.example"},
    {"LiteralsFolderIsEncoded", "root", "[192.0.2.1]", "maildir:/mail/%5B192.0.2.1%5D/root"},
};

TEST(Table, GivesDestinationsAsSpecified) {
    auto table = Table::build(source()).table;
    for (const DestinationCase& c : kDestinationCases) {
        Mailbox mailbox = at(std::string(c.local_part), std::string(c.domain));
        EXPECT_EQ(text(table->destination(mailbox)), c.want) << c.name;
    }
}

TEST(Table, MailboxThatIsGoneFailsWith511) {
    Destination destination = Table::build(source()).table->destination(at("nobody"));
    ASSERT_TRUE(std::holds_alternative<NoDestination>(destination));
    EXPECT_EQ(std::get<NoDestination>(destination).status.text(), "5.1.1");
}

// a chain of `length` aliases that ends in a mailbox
TableSource chain(std::size_t length) {
    TableSource out{.mailbox_path = "/{local}"};
    LocalDomain& domain = out.domains.emplace_back();
    domain.name = "a.example";
    domain.mailboxes = {at("end")};
    for (std::size_t i = 1; i < length; ++i) {
        domain.aliases.push_back({fmt::format("c{}", i), {at(fmt::format("c{}", i + 1))}});
    }
    domain.aliases.push_back({fmt::format("c{}", length), {at("end")}});
    return out;
}

TEST(Table, AliasesMayLieAsDeepAsTheLimitAndNoDeeper) {
    auto deep = Table::build(chain(kAliasDepthMax));
    EXPECT_EQ(said(deep.table->resolve(at("c1"))), "end@a.example");
    EXPECT_TRUE(deep.problems.empty());
    auto too_deep = Table::build(chain(kAliasDepthMax + 1));
    EXPECT_EQ(said(too_deep.table->resolve(at("c1"))), "too deep 4.4.6");
    EXPECT_EQ(said(too_deep.table->resolve(at("c2"))), "end@a.example");
    ASSERT_EQ(too_deep.problems.size(), 1u);
    EXPECT_EQ(too_deep.problems[0].item, 0u);
}

TableSource list_of(std::size_t count) {
    TableSource out{.mailbox_path = "/{local}"};
    LocalDomain& domain = out.domains.emplace_back();
    domain.name = "a.example";
    domain.mailboxes = {at("joe")};
    Alias& all = domain.aliases.emplace_back();
    all.local_part = "all";
    for (std::size_t i = 0; i < count; ++i) {
        all.targets.push_back(at(fmt::format("m{}", i), "else.example"));
    }
    return out;
}

TEST(Table, AliasMayGiveAsManyTargetsAsTheLimitAndNoMore) {
    auto full = Table::build(list_of(kRecipientsAfterExpansionMax)).table->resolve(at("all"));
    ASSERT_TRUE(std::holds_alternative<Local>(full));
    EXPECT_EQ(std::get<Local>(full).targets.size(), kRecipientsAfterExpansionMax);
    auto over = Table::build(list_of(kRecipientsAfterExpansionMax + 1)).table->resolve(at("all"));
    EXPECT_EQ(said(over), "too many 4.3.5");
}

TEST(Table, AliasesThatMultiplyAreFollowedOnceEach) {
    // Ten levels, each listing the next one a hundred times: 10^20 ways, ten aliases.
    TableSource out = chain(kAliasDepthMax);
    for (Alias& alias : out.domains[0].aliases) {
        alias.targets.assign(100, alias.targets.front());
    }
    EXPECT_EQ(said(Table::build(out).table->resolve(at("c1"))), "end@a.example");
}

TEST(Table, CaseIsKeptWhenConfigured) {
    TableSource out = source();
    out.local_part_case = LocalPartCase::Kept;
    auto table = Table::build(out).table;
    EXPECT_EQ(said(table->resolve(at("JOE"))), "unknown 5.1.1");
    EXPECT_EQ(said(table->resolve(at("POSTMASTER"))), "joe@a.example");
}

TEST(Table, EachDelimiterCharacterSeparatesAndNoneMeansNoTags) {
    TableSource out = source();
    out.recipient_delimiter = "-+";
    EXPECT_EQ(said(Table::build(out).table->resolve(at("joe-a+b"))), "joe@a.example");
    out.recipient_delimiter = "";
    EXPECT_EQ(said(Table::build(out).table->resolve(at("joe+b"))), "unknown 5.1.1");
}

TEST(Table, WithoutDomainsEverythingIsRelay) {
    auto table = Table::build({.mailbox_path = "/{local}"}).table;
    EXPECT_EQ(said(table->resolve(at("joe"))), "relay");
}

TEST(Table, ProblemsOfTheConfigurationAreAllListed) {
    TableSource out = source();
    out.domains.push_back({.name = "A.example", .mailboxes = {at("joe")}});
    out.domains.push_back({.name = "empty.example"});
    out.domains.push_back(
        {.name = "c.example",
         .mailboxes = {at("u", "c.example"), at("U", "c.example"), at("joe")},
         .aliases = {{"none", {}}, {"s", {at("u", "c.example")}}, {"S", {at("u", "c.example")}}},
         .catch_all = at("ghost", "c.example"),
         .postmaster = at("ghost")});
    out.routes.push_back({.domain = "a.example", .host = "h:25"});
    out.routes.push_back({.domain = "smart.example", .host = "h:25"});
    std::vector<std::string> got;
    for (const Problem& p : Table::build(out).problems) {
        got.push_back(
            fmt::format("{}.{}.{} {}", static_cast<int>(p.part), p.domain, p.item, p.message));
    }
    const std::vector<std::string> want = {
        "0.5.0 domain A.example is listed twice",
        "0.6.0 domain empty.example needs a postmaster: set postmaster, or list a mailbox",
        "1.7.1 mailbox U@c.example is listed twice",
        "1.7.2 mailbox joe@a.example is not in domain c.example",
        "2.7.0 alias none leads nowhere: give at least one address",
        "2.7.2 alias S is listed twice",
        "5.3.0 a.example is a domain of ours: it cannot have a route",
        "5.4.0 smart.example has two routes",
        "2.0.5 alias loop: ring1@a.example leads back to itself",
        "2.0.6 alias loop: ring2@a.example leads back to itself",
        "2.0.7 alias loop: self@a.example leads back to itself",
        "2.0.8 alias lost leads to nobody@a.example, which does not exist",
        "3.7.0 ghost@c.example does not exist",
        "4.7.0 ghost@a.example does not exist",
    };
    EXPECT_EQ(got, want);
}

TEST(Table, AHundredThousandMailboxesAreFound) {
    TableSource out{.mailbox_path = "/{local}"};
    LocalDomain& domain = out.domains.emplace_back();
    domain.name = "a.example";
    for (int i = 0; i < 100'000; ++i) domain.mailboxes.push_back(at(fmt::format("user{}", i)));
    auto built = Table::build(out);
    EXPECT_TRUE(built.problems.empty());
    EXPECT_EQ(built.table->mailbox_count(), 100'000u);
    EXPECT_EQ(said(built.table->resolve(at("USER99999+t"))), "user99999@a.example");
    EXPECT_EQ(said(built.table->resolve(at("user100000"))), "unknown 5.1.1");
}

}  // namespace
}  // namespace postrider::route
