// sim/verdict_test.cc: the whole river judges mail from outside and signs mail of its own, over a
// DNS whose answers, silences and number of questions the test knows.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mailauth/dkim/key_record.h"
#include "mailauth/dkim/keys.h"
#include "mailauth/dkim/signer.h"
#include "mailauth/dkim/verifier.h"
#include "sim/river_host.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using dns::Answer;
using mailauth::dkim::PrivateKey;

constexpr std::string_view kStranger = "198.51.100.7";  // may not relay
constexpr std::string_view kForger = "203.0.113.66";
constexpr std::string_view kFriend = "192.0.2.50";  // may relay

// A client that says what it is told to, at an address of its own.
class Client {
public:
    Client(Simulation& sim, std::string name, std::string_view address)
        : sim_(sim), host_(sim.add_host(std::move(name), {*world::IpAddress::parse(address)})) {
        host_.boot([](world::World&) -> Task<void> { co_return; });
    }

    // The reply to the final dot, or to what was refused before.
    std::string deliver(std::string from, std::vector<std::string> to, std::string content) {
        std::vector<std::string> lines{"EHLO client.test\r\n", "MAIL FROM:<" + from + ">\r\n"};
        for (const std::string& one : to) lines.push_back("RCPT TO:<" + one + ">\r\n");
        lines.emplace_back("DATA\r\n");
        lines.push_back(content + ".\r\n");
        bool done = false;
        std::string reply;
        host_.spawn(0, [&](world::World& world) -> Task<void> {
            reply = co_await say(world, lines);
            done = true;
        });
        Monotonic begin = sim_.now();
        EXPECT_TRUE(sim_.run_until([&] { return done; }, 5min));
        took = sim_.now() - begin;
        return reply;
    }

    Duration took{};  // the last deliver()

private:
    static Task<std::string> say(world::World& world, const std::vector<std::string>& lines) {
        Deadline end = Deadline::after(world.clock.now(), 4min);
        world::IpEndpoint server{*world::IpAddress::parse("192.0.2.1"), 25};
        auto stream = co_await world.net.connect(server, std::nullopt, end);
        if (!stream) co_return stream.error().message;
        std::string heard;
        std::string last = co_await reply(**stream, heard, end);
        for (const std::string& line : lines) {
            std::array<std::string_view, 1> pieces{line};
            auto written = co_await (*stream)->write(pieces, end);
            if (!written) co_return written.error().message;
            last = co_await reply(**stream, heard, end);
            if (last.empty() || last[0] >= '4') break;
        }
        co_return last;
    }

    static Task<std::string> reply(world::Stream& stream, std::string& heard, Deadline end) {
        std::array<char, 2048> part;
        while (true) {
            std::size_t at = heard.find("\r\n");
            if (at != std::string::npos) {
                std::string line = heard.substr(0, at);
                heard.erase(0, at + 2);
                if (line.size() < 4 || line[3] != '-') co_return line;
                continue;
            }
            auto got = co_await stream.read(part, end);
            if (!got || *got == 0) co_return "";
            heard.append(part.data(), *got);
        }
    }

    Simulation& sim_;
    Host& host_;
};

std::string message(std::string_view author, std::string_view more = "") {
    return fmt::format("{}From: {}\r\nSubject: hello\r\n\r\ntext\r\n", more, author);
}

struct Scene {
    explicit Scene(std::string_view verdict = "", std::string_view domain = "")
        : sim(7), server(sim, config(verdict, domain), /*shards=*/1) {
        sim.dns().faults.latency_max = 5ms;
        txt("bank.test", "v=spf1 ip4:198.51.100.7 -all");
        txt("_dmarc.bank.test", "v=DMARC1; p=reject");
        txt("careful.test", "v=spf1 ip4:198.51.100.7 ~all");
        txt("_dmarc.careful.test", "v=DMARC1; p=quarantine");
    }

    static std::string config(std::string_view verdict, std::string_view domain) {
        return river_config() + std::string(domain) + "\n[verdict]\n" + std::string(verdict) + "\n";
    }

    void txt(std::string_view name, std::string text) {
        sim.dns().add(name, dns::Txt{std::move(text)});
    }

    void boot() {
        server.boot();
        ASSERT_TRUE(sim.run_until([&] { return server.is_open(); }, 1min)) << server.open_error();
    }

    // The only message in a Maildir, with LF line ends; empty when there is none.
    std::string mail_of(const std::string& folder) {
        EXPECT_TRUE(server.run_until_empty(10min));
        FileSystem& files = server.host().disk().files();
        std::string path = "/data/mail/river.example/" + folder + "/new";
        auto directory = files.find_directory(path);
        if (!directory || (*directory)->names.empty()) return "";
        EXPECT_EQ((*directory)->names.size(), 1u);
        return files.visible_text(path + "/" + (*directory)->names.begin()->first).value_or("");
    }

    std::string judged() {
        std::string out;
        for (const LogLine& line : server.host().log_lines()) {
            if (line.event == Event::MessageJudged) out = line.text;
        }
        return out;
    }

    std::string delivered() {
        std::string out;
        for (const LogLine& line : server.host().log_lines()) {
            if (line.event == Event::Delivered) out = line.text;
        }
        return out;
    }

    std::string rows() {
        sim.run_for(3s);
        FileSystem& files = server.host().disk().files();
        auto directory = files.find_directory("/data/dmarc");
        std::string out;
        if (!directory) return out;
        for (const auto& [name, file] : (*directory)->names) {
            out += files.visible_text("/data/dmarc/" + name).value_or("");
        }
        return out;
    }

    Simulation sim;
    RiverHost server;
    Client stranger{sim, "stranger", kStranger};
    Client forger{sim, "forger", kForger};
    Client own{sim, "friend", kFriend};
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST(Verdict, TrueMailIsAcceptedWithItsResultsInFront) {
    Scene scene;
    scene.boot();
    EXPECT_TRUE(
        scene.stranger.deliver("a@bank.test", {"alice@river.example"}, message("a@bank.test"))
            .starts_with("250 2.0.0"));
    std::string mail = scene.mail_of("alice");
    std::size_t results = mail.find("Authentication-Results: mx.river.example;");
    ASSERT_NE(results, mail.npos) << mail;
    EXPECT_LT(results, mail.find("Received:")) << "RFC 8601 §4: above other trace fields";
    EXPECT_TRUE(has(mail, "spf=pass")) << mail;
    EXPECT_TRUE(has(mail, "smtp.mailfrom=bank.test")) << mail;
    EXPECT_TRUE(has(mail, "dkim=none")) << mail;
    EXPECT_TRUE(has(mail, "dmarc=pass")) << mail;
    EXPECT_TRUE(has(mail, "header.from=bank.test")) << mail;
    EXPECT_TRUE(has(scene.judged(), "action=accept")) << scene.judged();
    std::string rows = scene.rows();
    EXPECT_TRUE(has(rows, R"("source_ip":"198.51.100.7")")) << rows;
    EXPECT_TRUE(has(rows, R"("disposition":"none","dkim":"fail","reason":[],"spf":"pass")") ||
                has(rows, R"("disposition":"none")"))
        << rows;
}

TEST(Verdict, ForgedMailIsQuarantinedEvenWhenItsAuthorAsksToReject) {
    Scene scene;
    scene.boot();
    EXPECT_TRUE(
        scene.forger.deliver("x@nowhere.test", {"alice@river.example"}, message("a@bank.test"))
            .starts_with("250"));
    std::string mail = scene.mail_of("alice/.Junk");
    EXPECT_TRUE(has(mail, "dmarc=fail")) << mail;
    EXPECT_TRUE(has(mail,
                    "X-Postrider-Quarantine: DMARC fails for bank.test, whose policy is "
                    "reject\n"))
        << mail;
    EXPECT_EQ(scene.mail_of("alice"), "");
    EXPECT_TRUE(has(scene.judged(), "action=quarantine")) << scene.judged();
    EXPECT_TRUE(has(scene.delivered(), "state=quarantined")) << scene.delivered();
    EXPECT_TRUE(has(scene.rows(), R"("disposition":"quarantine")"));
    EXPECT_TRUE(has(scene.rows(), R"("type":"local_policy")"));
}

TEST(Verdict, ASettingRejects) {
    for (std::string_view setting : {"dmarc = \"reject\"", "reject_domains = [\"bank.test\"]",
                                     "reject_networks = [\"203.0.113.0/24\"]"}) {
        Scene scene(setting);
        scene.boot();
        EXPECT_EQ(
            scene.forger.deliver("x@nowhere.test", {"alice@river.example"}, message("a@bank.test")),
            "550 5.7.1 Message refused: DMARC fails for bank.test, whose policy is reject")
            << setting;
        // p=quarantine is not made stricter.
        EXPECT_TRUE(
            scene.forger
                .deliver("x@nowhere.test", {"alice@river.example"}, message("a@careful.test"))
                .starts_with("250"));
        EXPECT_TRUE(has(scene.mail_of("alice/.Junk"), "From: a@careful.test"));
        EXPECT_TRUE(has(scene.rows(), R"("disposition":"reject")"));
    }
}

TEST(Verdict, EachRecipientIsTreatedAsItsDomainWants) {
    Scene scene("",
                "[[domain]]\nname = \"open.example\"\nmailboxes = [\"olga\"]\n"
                "dmarc = \"accept\"\n"
                "[[domain]]\nname = \"strict.example\"\nmailboxes = [\"sue\"]\n"
                "dmarc = \"reject\"\n");
    scene.boot();
    auto send = [&](std::vector<std::string> to) {
        return scene.forger.deliver("x@nowhere.test", std::move(to), message("a@bank.test"));
    };
    EXPECT_TRUE(send({"sue@strict.example"}).starts_with("550 5.7.1"));
    // With others who take it, it cannot be refused.
    EXPECT_TRUE(send({"alice@river.example", "olga@open.example", "sue@strict.example"})
                    .starts_with("250"));
    EXPECT_TRUE(has(scene.mail_of("alice/.Junk"), "policy.dmarc=quarantine"));
    EXPECT_TRUE(has(scene.mail_of("../open.example/olga"), "policy.dmarc=none"));
    EXPECT_TRUE(has(scene.mail_of("../strict.example/sue/.Junk"), "X-Postrider-Quarantine"));
}

TEST(Verdict, SilentDnsEndsAfterTwentySecondsAndTheMessageIsTaken) {
    Scene scene;
    scene.boot();
    scene.sim.dns().faults.is_down = true;
    EXPECT_TRUE(
        scene.stranger.deliver("a@bank.test", {"alice@river.example"}, message("a@bank.test"))
            .starts_with("250"));
    EXPECT_GE(scene.stranger.took, 19s);
    EXPECT_LE(scene.stranger.took, 21s);
    std::string mail = scene.mail_of("alice");
    EXPECT_TRUE(has(mail, "spf=temperror")) << mail;
    EXPECT_TRUE(has(mail, "dmarc=temperror")) << mail;
}

TEST(Verdict, ASettingDefersWhatIsNotKnown) {
    Scene scene("unknown = \"defer\"\ntime_max = \"5s\"");
    scene.boot();
    scene.sim.dns().faults.is_down = true;
    EXPECT_TRUE(
        scene.stranger.deliver("a@bank.test", {"alice@river.example"}, message("a@bank.test"))
            .starts_with("451 4.7.0"));
    EXPECT_LE(scene.stranger.took, 6s);
    EXPECT_EQ(scene.rows(), "") << "it comes again";
}

TEST(Verdict, NoQuestionIsAskedTwiceForAMessage) {
    Scene scene;
    scene.txt("shared.test", "v=spf1 include:spf.test include:spf.test -all");
    scene.txt("spf.test", "v=spf1 ip4:192.0.2.99 ?all");
    scene.txt("_dmarc.shared.test", "v=DMARC1; p=none");
    // HELO has the same policy as the sender.
    scene.txt("client.test", "v=spf1 include:spf.test -all");
    scene.boot();
    uint64_t before = scene.sim.dns().asked();
    EXPECT_TRUE(
        scene.stranger.deliver("a@shared.test", {"alice@river.example"}, message("a@shared.test"))
            .starts_with("250"));
    // TXT of shared.test, client.test, spf.test and _dmarc.shared.test.
    EXPECT_EQ(scene.sim.dns().asked() - before, 4u) << scene.judged();
    EXPECT_TRUE(has(scene.judged(), "questions=4")) << scene.judged();
}

TEST(Verdict, MailOfOurOwnClientsIsNotJudged) {
    Scene scene("dmarc = \"reject\"");
    scene.boot();
    uint64_t before = scene.sim.dns().asked();
    EXPECT_TRUE(scene.own.deliver("x@nowhere.test", {"alice@river.example"}, message("a@bank.test"))
                    .starts_with("250"));
    EXPECT_EQ(scene.sim.dns().asked(), before);
    EXPECT_FALSE(has(scene.mail_of("alice"), "Authentication-Results"));
}

TEST(Verdict, FieldsThatClaimOurNameAreTakenOutAndOthersStay) {
    const std::string forged =
        "Authentication-Results: mx.river.example; dmarc=pass header.from=bank.test\r\n"
        "Authentication-Results: other.test; spf=pass smtp.mailfrom=a.test\r\n"
        "authentication-results: (x) MX.River.Example;\r\n\tdkim=pass\r\n";
    for (bool own : {false, true}) {
        Scene scene;
        scene.boot();
        Client& client = own ? scene.own : scene.forger;
        EXPECT_TRUE(
            client
                .deliver("x@nowhere.test", {"alice@river.example"}, message("a@plain.test", forged))
                .starts_with("250"));
        std::string mail = scene.mail_of("alice");
        EXPECT_FALSE(has(mail, "header.from=bank.test")) << mail;
        EXPECT_FALSE(has(mail, "MX.River.Example")) << mail;
        EXPECT_TRUE(has(mail, "other.test; spf=pass")) << mail;
        EXPECT_TRUE(mail.ends_with("From: a@plain.test\nSubject: hello\n\ntext\n")) << mail;
    }
}

TEST(Verdict, ASignatureIsVerifiedOverTheHeaderAsItCame) {
    Scene scene;
    auto key = *PrivateKey::generate_ed25519();
    scene.txt("sel._domainkey.bank.test", mailauth::dkim::key_record_text(key));
    scene.boot();
    // It signs a field that is taken out before the message is kept.
    std::string header =
        "Authentication-Results: mx.river.example; spf=pass\r\n"
        "From: a@bank.test\r\nSubject: signed\r\n";
    mailauth::dkim::SignOptions options;
    options.fields.push_back({"Authentication-Results", mailauth::dkim::Oversign::No});
    std::string body;
    for (int i = 0; i < 20'000; i++) body += fmt::format("line {}\r\n", i);
    Wall now = scene.server.host().world().clock.wall();
    auto signer = mailauth::dkim::Signer::start(header, {{"bank.test", "sel", key, std::nullopt}},
                                                options, now);
    ASSERT_TRUE(signer);
    signer->update(body);
    std::string content = *signer->finish() + header + "\r\n" + body;
    EXPECT_TRUE(scene.forger.deliver("x@nowhere.test", {"alice@river.example"}, content)
                    .starts_with("250"));
    std::string mail = scene.mail_of("alice");
    EXPECT_TRUE(has(mail, "dkim=pass")) << scene.judged();
    EXPECT_TRUE(has(mail, "header.d=bank.test")) << mail.substr(0, 1000);
    EXPECT_TRUE(has(mail, "dmarc=pass")) << mail.substr(0, 1000);
    EXPECT_FALSE(has(mail, "mx.river.example; spf=pass\n")) << mail.substr(0, 1000);
    // The same domain again: its key is known.
    uint64_t before = scene.sim.dns().asked();
    EXPECT_TRUE(
        scene.forger.deliver("x@nowhere.test", {"bob@river.example"}, content).starts_with("250"));
    EXPECT_TRUE(has(scene.mail_of("bob"), "dkim=pass"));
    // TXT of nowhere.test, client.test and _dmarc.bank.test; not the key's.
    EXPECT_LE(scene.sim.dns().asked() - before, 3u) << scene.judged();
}

TEST(Verdict, AMessageWithoutHeaderOrBodyIsJudgedToo) {
    Scene scene;
    scene.boot();
    for (std::string content : {"", "\r\n", "no field at all\r\n", "Subject: only a header\r\n"}) {
        EXPECT_TRUE(scene.forger.deliver("", {"bob@river.example"}, content).starts_with("250"))
            << content;
        EXPECT_TRUE(has(scene.judged(), "dmarc=permerror")) << scene.judged();
    }
}

}  // namespace
}  // namespace postrider::sim
