// Accounts: the users file, stored passwords made by other programs, and who is shut out.

#include <gtest/gtest.h>

#include "accounts/failures.h"
#include "accounts/password.h"
#include "accounts/quota.h"
#include "accounts/users_file.h"

namespace postrider::accounts {
namespace {

using namespace std::chrono_literals;

// Made with Python: crypt (crypt(3) forms), cryptography (argon2id), hashlib and hmac (SCRAM, in
// the form that PostgreSQL stores); the password is "pencil".
constexpr const char* kSha512 =
    "$6$saltsalt$"
    "rD9fW1BwIrjB90WCgCTdIQc3phTBhf04I6Iw/XlgKD9E9aEbzqGZipjiFxGo/4wWXDA6jV6/vZO.kKdDSfUJb0";
constexpr const char* kYescrypt =
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$rPeawue/nS.5CE6nTU9GpACAbn46u5ZGm.W6wf1Q.RD";
constexpr const char* kBcrypt = "$2b$08$abcdefghijklmnopqrstuulCAiAs03qB5R1lbM2fDa1s/uxc8VDe6";
constexpr const char* kArgon2id =
    "$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
    "I4cCeOfbYJmA04i9kXkJasmDdfTykpuQH7o0Jv1olho";
constexpr const char* kPostgres =
    "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$nQpbZ77WudtqufPwikHXGRt6g2QJ4zns8bZLw273DRM=:"
    "jn2amWP1q1h+jgjy0YTO14S6/F02SV7taipOeB7ef20=";
constexpr const char* kDovecot =
    "{SHA512-CRYPT}$6$dovecotsalt$"
    "c1w49Kd9PITOnmGyWthxJQ8dD66ICPJ9JgyaXhjmUIJuv0aWBBwD9w3TCAlGWseJ525PY6rwDvo4di/VWoBvl1";

TEST(Password, SecretsOfOtherProgramsFit) {
    for (const char* secret : {kSha512, kYescrypt, kBcrypt, kArgon2id, kPostgres, kDovecot}) {
        EXPECT_TRUE(is_secret(secret)) << secret;
        EXPECT_TRUE(fits(secret, "pencil")) << secret;
        EXPECT_FALSE(fits(secret, "Pencil")) << secret;
        EXPECT_FALSE(fits(secret, "")) << secret;
    }
    EXPECT_TRUE(scram_keys_in(kPostgres));
    EXPECT_FALSE(scram_keys_in(kArgon2id));
}

TEST(Password, WhatIsNoSecretIsRefused) {
    for (const char* text :
         {"", "pencil", "{PLAIN}pencil", "rEK1ecacw.7.c", "$", "$6$",
          "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "SCRAM-SHA-256$1:x$y:z"}) {
        EXPECT_FALSE(is_secret(text)) << text;
    }
}

TEST(Password, EverySchemeFitsItsOwnPasswordOnly) {
    for (const char* name :
         {"scram-sha-256", "scram-sha-1", "argon2id", "yescrypt", "sha512-crypt"}) {
        const auto secret = hash(*scheme_named(name), "pencil", "0123456789abcdef");
        ASSERT_TRUE(secret) << name;
        EXPECT_TRUE(is_secret(*secret)) << *secret;
        EXPECT_TRUE(fits(*secret, "pencil")) << name;
        EXPECT_FALSE(fits(*secret, "pencil2")) << name;
    }
    EXPECT_FALSE(scheme_named("plain"));
}

std::string file_text() {
    return std::string("# people\n") + "alice@example.org secret=" + kPostgres +
           " send_as=alice@example.org,@example.net messages_per_hour=5\n" +
           "Alice@example.org app=phone secret=" + kSha512 + "\n\n" + "printer  secret=" + kSha512 +
           " disabled\n";
}

TEST(UsersFile, LinesBecomeAccounts) {
    const auto file = UsersFile::parse(file_text());
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->users().size(), 2);
    const User* alice = file->find("ALICE@example.org");
    ASSERT_TRUE(alice);
    EXPECT_EQ(alice->credentials.size(), 2);
    EXPECT_EQ(alice->credentials[1].label, "phone");
    EXPECT_EQ(alice->rights.messages_per_hour, 5);
    EXPECT_TRUE(alice->rights.may_send_as(alice->name, "anybody@EXAMPLE.net"));
    EXPECT_FALSE(alice->rights.may_send_as(alice->name, "bob@example.org"));
    EXPECT_TRUE(file->find("printer")->disabled);
    EXPECT_FALSE(file->find("bob"));
    EXPECT_EQ(file->text(), file_text());
}

TEST(UsersFile, ChangesLeaveOtherLinesAlone) {
    auto file = UsersFile::parse(file_text());
    User alice = *file->find("alice@example.org");
    alice.credentials.pop_back();
    ASSERT_TRUE(file->put(alice));
    EXPECT_TRUE(file->text().starts_with("# people\nalice@example.org secret="));
    EXPECT_FALSE(file->text().contains("phone"));
    EXPECT_TRUE(file->text().ends_with(" disabled\n"));
    EXPECT_TRUE(file->remove("Alice@Example.org"));
    EXPECT_FALSE(file->remove("alice@example.org"));
    EXPECT_TRUE(file->text().starts_with("# people\n\nprinter"));
    EXPECT_TRUE(UsersFile::parse(file->text()));
}

TEST(UsersFile, MistakesNameTheirLine) {
    const std::string good = std::string("a secret=") + kSha512 + "\n";
    for (const auto& [line, word] : std::initializer_list<std::pair<std::string, std::string>>{
             {"b", "no secret"},
             {"b secret=pencil", "no known form"},
             {"b secret=" + std::string(kSha512) + " colour=red", "colour"},
             {"b secret=" + std::string(kSha512) + " recipients_max=many", "recipients_max"},
             {"b secret=" + std::string(kSha512) + " send_as=example.org", "send_as"},
             {"b app=a/b secret=" + std::string(kSha512), "label"},
             {"b app=x disabled secret=" + std::string(kSha512), "app password"},
             {"a secret=" + std::string(kSha512), "twice"},
             {"a/b secret=" + std::string(kSha512), "name"}}) {
        const auto file = UsersFile::parse(good + line + "\n");
        ASSERT_FALSE(file) << line;
        EXPECT_TRUE(file.error().message.starts_with("line 2: ")) << file.error().message;
        EXPECT_TRUE(file.error().message.contains(word)) << file.error().message;
    }
}

TEST(Failures, EachCostsMoreAndThenTheAddressIsShutOut) {
    Failures failures;
    const FailureRules rules{.failures_max = 3, .shut_out = 15min};
    const auto address = *world::IpAddress::parse("192.0.2.1");
    Monotonic now{};
    EXPECT_EQ(failures.failed(address, now, rules), 1s);
    EXPECT_EQ(failures.failed(address, now, rules), 2s);
    EXPECT_FALSE(failures.is_shut_out(address, now, rules));
    EXPECT_EQ(failures.failed(address, now, rules), 4s);
    EXPECT_TRUE(failures.is_shut_out(address, now, rules));
    EXPECT_FALSE(failures.is_shut_out(*world::IpAddress::parse("192.0.2.2"), now, rules));
    now = now + 15min;
    EXPECT_FALSE(failures.is_shut_out(address, now, rules));
    EXPECT_EQ(failures.failed(address, now, rules), 1s);
    failures.succeeded(address);
    EXPECT_EQ(failures.size(), 0);
}

TEST(Failures, TheDelayHasItsBound) {
    Failures failures;
    const FailureRules rules{.failures_max = 100};
    const auto address = *world::IpAddress::parse("192.0.2.1");
    Duration last{};
    for (int i = 0; i < 60; i++) last = failures.failed(address, {}, rules);
    EXPECT_EQ(last, rules.delay_max);
}

TEST(Failures, NeighboursInOneIpv6NetworkAreOne) {
    Failures failures;
    const FailureRules rules{.failures_max = 1};
    failures.failed(*world::IpAddress::parse("2001:db8::1"), {}, rules);
    EXPECT_TRUE(failures.is_shut_out(*world::IpAddress::parse("2001:db8::2"), {}, rules));
    EXPECT_FALSE(failures.is_shut_out(*world::IpAddress::parse("2001:db8:0:1::2"), {}, rules));
}

TEST(Failures, TableIsBounded) {
    Failures failures;
    const FailureRules rules{.failures_max = 1};
    for (std::size_t i = 0; i < Failures::kAddressesMax + 10; i++) {
        world::IpAddress address;
        address.octets = {10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8),
                          static_cast<uint8_t>(i)};
        failures.failed(address, {}, rules);
    }
    EXPECT_EQ(failures.size(), Failures::kAddressesMax);
}

// What was not sent in an hour is not saved for the next.
TEST(Quota, FillsAgainInAnHourAndNeverBeyond) {
    Quota quota;
    Monotonic now{};
    const auto taken = [&] {
        int count = 0;
        while (quota.take("alice", now, 4)) count++;
        return count;
    };
    EXPECT_EQ(taken(), 4);
    EXPECT_TRUE(quota.take("bob", now, 4)) << "each has his own";
    now = now + 15min;
    EXPECT_EQ(taken(), 1);
    now = now + 45min;
    EXPECT_EQ(taken(), 3);
    now = now + 24h;
    EXPECT_EQ(taken(), 4);
}

}  // namespace
}  // namespace postrider::accounts
