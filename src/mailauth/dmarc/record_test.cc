#include "mailauth/dmarc/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::mailauth::dmarc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(DmarcRecord, EveryTagIsRead) {
    const auto record = Record::parse(
        "v=DMARC1; p=reject; sp=quarantine; np=none; t=y; psd=n; adkim=s; aspf=s; fo=1:d:s; "
        "rua=mailto:a@example.org; ruf=mailto:b@example.org,https://example.org/dmarc");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->policy, Policy::Reject);
    EXPECT_EQ(record->subdomain_policy, Policy::Quarantine);
    EXPECT_EQ(record->nonexistent_policy, Policy::None);
    EXPECT_TRUE(record->testing);
    EXPECT_EQ(record->psd, PublicSuffix::No);
    EXPECT_EQ(record->dkim_alignment, Alignment::Strict);
    EXPECT_EQ(record->spf_alignment, Alignment::Strict);
    EXPECT_EQ(text(record->failure_options), "1:d:s");
    EXPECT_THAT(record->aggregate_uris, ElementsAre("mailto:a@example.org"));
    EXPECT_THAT(record->failure_uris,
                ElementsAre("mailto:b@example.org", "https://example.org/dmarc"));
    EXPECT_THAT(record->problems, IsEmpty());
}

TEST(DmarcRecord, DefaultsStandForWhatIsAbsentOrWrong) {
    const auto record = Record::parse(
        "v=DMARC1; p=quarantine; adkim=x; aspf=; psd=maybe; t=1; fo=0:1; ruf=mailto:b@example.org");
    ASSERT_TRUE(record);
    EXPECT_TRUE(record->applies());
    EXPECT_EQ(record->policy, Policy::Quarantine);
    EXPECT_FALSE(record->testing);
    EXPECT_EQ(record->psd, PublicSuffix::Unknown);
    EXPECT_EQ(record->dkim_alignment, Alignment::Relaxed);
    EXPECT_EQ(text(record->failure_options), "0");
    EXPECT_THAT(record->problems,
                ElementsAre("adkim has the wrong value \"x\"", "aspf has the wrong value \"\"",
                            "psd has the wrong value \"maybe\"", "t has the wrong value \"1\"",
                            "fo has the wrong value \"0:1\""));
}

// RFC 9989 §4.7: pct, rf and ri are no tags any more.
TEST(DmarcRecord, TagsOf2015AreIgnored) {
    const auto record = Record::parse("v=DMARC1; p=reject; pct=0; rf=afrf; ri=3600");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->policy, Policy::Reject);
    EXPECT_FALSE(record->testing);
    EXPECT_THAT(record->problems, IsEmpty());
}

TEST(DmarcRecord, FailureOptionsNeedAnAddress) {
    EXPECT_EQ(text(Record::parse("v=DMARC1; p=none; fo=1").value().failure_options), "0");
    for (const char* fo : {"0", "1", "d", "s:1", "1:s:d", "d:s"}) {
        const std::string record =
            std::string("v=DMARC1; p=none; ruf=mailto:a@b.example; fo=") + fo;
        EXPECT_THAT(Record::parse(record).value().problems, IsEmpty()) << fo;
    }
    for (const char* fo : {"", ":", "0:", "d:d", "2", "0:1", "01"}) {
        const std::string record =
            std::string("v=DMARC1; p=none; ruf=mailto:a@b.example; fo=") + fo;
        EXPECT_EQ(Record::parse(record).value().problems.size(), 1U) << fo;
    }
}

TEST(DmarcRecord, OnlyAddressesThatCanBeWrittenToCount) {
    for (const char* uri :
         {"mailto:a@b.example", "MAILTO:a@b.example", "mailto:a@b.example!10m",
          "mailto:a%2Bx@b.example", "https://x.example/y?z=1", "mailto:a@b.example?subject=x"}) {
        const auto record = Record::parse(std::string("v=DMARC1; p=none; rua=") + uri);
        EXPECT_EQ(record.value().aggregate_uris.size(), 1U) << uri;
    }
    for (const char* uri :
         {"a@b.example", "mailto:", "mailto:b.example", "mailto:a@b.example!",
          "mailto:a@b.example!10x", "mailto:a@b c.example", ":x", "1x:y", "mailto:a%2@b.example",
          "mailto:a%0A@b.example", "mailto:\xC3\xB6@b.example"}) {
        const auto record = Record::parse(std::string("v=DMARC1; p=none; rua=") + uri);
        EXPECT_THAT(record.value().aggregate_uris, IsEmpty()) << uri;
    }
}

TEST(DmarcRecord, WhatIsNoRecordIsIgnored) {
    for (const char* text : {"", "v=DMARC1 p=none", "p=none; v=DMARC1", "v=DMARC2; p=none",
                             "v=dmarc1", "v=DMARC1; v=DMARC1; p=none", "v=DMARC1; p=none; P=none",
                             "v=DMARC1; x=1; x=2; p=none", "v=spf1 -all"}) {
        EXPECT_FALSE(Record::parse(text)) << text;
    }
    EXPECT_TRUE(is_dmarc_record("v=DMARC1; p=none; p=none"));
    EXPECT_TRUE(Record::parse(" v = DMARC1 ;p=none"));
}

}  // namespace
}  // namespace postrider::mailauth::dmarc
