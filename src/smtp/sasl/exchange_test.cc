// Both sides of every mechanism: the exchanges that RFCs print, our client against our server, and
// what must not be taken. Origin of the exchanges: src/smtp/sasl/testdata/SOURCES.md.

#include <fstream>
#include <functional>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "smtp/sasl/base64.h"
#include "smtp/sasl/client_exchange.h"
#include "smtp/sasl/digest.h"
#include "smtp/sasl/server_exchange.h"

namespace postrider::smtp::sasl {
namespace {

using namespace std::string_literals;
using nlohmann::json;

std::string word(const json& vector, const char* key) { return vector[key].get<std::string>(); }

json load(const std::string& name) {
    std::ifstream file(std::string(POSTRIDER_SOURCE_DIR) + "/src/smtp/sasl/testdata/" + name);
    return json::parse(file);
}

std::string text_of(const Step& step) {
    if (auto* challenge = std::get_if<step::Challenge>(&step)) return challenge->octets;
    if (auto* failure = std::get_if<step::Failure>(&step)) {
        return fmt::format("failure: {}", failure->reason);
    }
    return "another step";
}

std::string nonce_in(const std::string& message, std::size_t skip) {
    const std::size_t at = message.find("r=") + 2;
    return message.substr(at + skip, message.find(',', at) - at - skip);
}

bool server_agrees_with_scram(const json& vector) {
    const auto mechanism = mechanism_named(word(vector, "mechanism"));
    const std::string client_first = word(vector, "client_first"),
                      server_first = word(vector, "server_first");
    const std::string client_nonce = nonce_in(client_first, 0);
    ServerExchange server(*mechanism, {.nonce = nonce_in(server_first, client_nonce.size())});
    const Step ask = server.begin(client_first);
    const auto* keys = std::get_if<step::AskScramKeys>(&ask);
    if (!keys || keys->user != word(vector, "user")) return false;
    const auto first = parse_server_first(server_first);
    const auto stored = ScramKeys::from_password(keys->hash, word(vector, "password"), first->salt,
                                                 first->iterations);
    if (text_of(server.tell(stored, true)) != server_first) return false;
    const Step last = server.respond(word(vector, "client_final"));
    if (text_of(last) != word(vector, "server_final")) return false;
    return std::holds_alternative<step::Success>(server.respond(""));
}

bool client_agrees_with_scram(const json& vector) {
    const auto mechanism = mechanism_named(word(vector, "mechanism"));
    const std::string client_first = word(vector, "client_first");
    ClientExchange client(*mechanism,
                          {.user = word(vector, "user"), .password = word(vector, "password")},
                          nonce_in(client_first, 0), {}, false);
    if (client.initial_response().value() != client_first) return false;
    if (client.respond(word(vector, "server_first")).value() != word(vector, "client_final")) {
        return false;
    }
    return client.respond(word(vector, "server_final")) == "" && client.server_proved();
}

bool agrees_with_plain(const json& vector) {
    ClientExchange client(Mechanism::Plain,
                          {.user = word(vector, "user"), .password = word(vector, "password")}, "",
                          {}, false);
    const std::string initial = *client.initial_response().value();
    if (encode_base64(initial) != word(vector, "initial_response_base64")) return false;
    ServerExchange server(Mechanism::Plain, {});
    const Step ask = server.begin(initial);
    const auto* password = std::get_if<step::AskPassword>(&ask);
    return password && password->user == word(vector, "user") &&
           password->password == word(vector, "password") &&
           std::holds_alternative<step::Success>(server.tell(true));
}

TEST(Sasl, BothSidesAgreeWithTheExchangesOfTheRfcs) {
    const json vectors = load("rfc/sasl-rfc.json");
    int agreed = 0, all = 0, differences = 0;
    for (const json& vector : vectors["cases"]) {
        all++;
        const std::string name = word(vector, "mechanism");
        if (name == "CRAM-MD5") {
            // Left out on purpose: the server would have to keep passwords in the clear
            // (RFC 8314 and the registry call it obsolete). It must not be known then.
            EXPECT_FALSE(mechanism_named(name));
            differences++;
            continue;
        }
        const bool good =
            name == "PLAIN" ? agrees_with_plain(vector)
                            : server_agrees_with_scram(vector) && client_agrees_with_scram(vector);
        EXPECT_TRUE(good) << word(vector, "ref");
        agreed += good;
    }
    fmt::print("vectors sasl: {} of {}, {} differences\n", agreed, all, differences);
    EXPECT_EQ(agreed, 3);
}

// One exchange between our two sides.
struct Play {
    Mechanism mechanism = Mechanism::ScramSha256;
    Credentials credentials = {.user = "alice", .password = "pencil", .token = "abc.def"};
    ChannelBindings client_bindings, server_bindings;
    bool plus_offered = false;
    std::string stored_password = "pencil";
    bool exists = true;
    std::string certificate_identity = "alice";
    std::function<std::string(std::string)> on_the_way = [](std::string text) { return text; };
};

struct End {
    std::string what;  // the identity, or why not
    bool server_proved = false;
};

End play(const Play& play) {
    ClientExchange client(play.mechanism, play.credentials, "clientnonce", play.client_bindings,
                          play.plus_offered);
    ServerExchange server(play.mechanism, {.nonce = "servernonce",
                                           .bindings = play.server_bindings,
                                           .plus_offered = play.plus_offered,
                                           .certificate_identity = play.certificate_identity});
    auto initial = client.initial_response();
    if (!initial) return {initial.error().message};
    std::optional<std::string> sent = *initial;
    if (sent) sent = play.on_the_way(*sent);
    Step step = server.begin(sent ? std::optional<std::string_view>(*sent) : std::nullopt);
    for (int i = 0; i < 10; i++) {
        if (auto* challenge = std::get_if<step::Challenge>(&step)) {
            auto response = client.respond(challenge->octets);
            if (!response) return {"client: " + response.error().message};
            step = server.respond(play.on_the_way(*response));
        } else if (auto* password = std::get_if<step::AskPassword>(&step)) {
            step = server.tell(play.exists && password->password == play.stored_password);
        } else if (auto* keys = std::get_if<step::AskScramKeys>(&step)) {
            step = server.tell(
                ScramKeys::from_password(keys->hash, play.stored_password, "salty", 4096),
                play.exists);
        } else if (auto* token = std::get_if<step::AskToken>(&step)) {
            step = server.tell(token->token == "abc.def" ? std::optional<std::string>("alice")
                                                         : std::nullopt);
        } else if (auto* success = std::get_if<step::Success>(&step)) {
            return {success->identity, client.server_proved()};
        } else {
            return {std::string(std::get<step::Failure>(step).reason), client.server_proved()};
        }
    }
    return {"no end"};
}

const ChannelBindings kBinding = {{"tls-exporter", "of this connection"}};

Play bound(Mechanism mechanism) {
    return {.mechanism = mechanism,
            .client_bindings = kBinding,
            .server_bindings = kBinding,
            .plus_offered = true};
}

TEST(Sasl, OurClientAndOurServerAgreeInEveryMechanism) {
    for (const Mechanism mechanism : kMechanisms) {
        Play good = is_plus(mechanism) ? bound(mechanism) : Play{.mechanism = mechanism};
        good.credentials.certificate = true;
        const End end = play(good);
        EXPECT_EQ(end.what, "alice") << name_of(mechanism);
        EXPECT_TRUE(end.server_proved) << name_of(mechanism);
    }
}

TEST(Sasl, WrongPasswordAndUnknownUserLookTheSame) {
    for (const Mechanism mechanism :
         {Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha1, Mechanism::ScramSha256}) {
        EXPECT_EQ(play({.mechanism = mechanism, .stored_password = "other"}).what,
                  "wrong user or password");
        EXPECT_EQ(play({.mechanism = mechanism, .exists = false}).what, "wrong user or password");
    }
}

TEST(Sasl, AnotherTlsConnectionIsNoticed) {
    Play between = bound(Mechanism::ScramSha256Plus);
    between.server_bindings = {{"tls-exporter", "of another connection"}};
    EXPECT_EQ(play(between).what,
              "the channel binding does not match: two TLS connections, not one");
    between.server_bindings = {{"tls-unique", "of this connection"}};
    EXPECT_EQ(play(between).what, "a channel binding that is not had");
    // RFC 5802 §6: a binding belongs to -PLUS, and -PLUS to a binding.
    for (const auto& [mechanism, first] : {std::pair(Mechanism::ScramSha256, "p=tls-exporter,,"),
                                           std::pair(Mechanism::ScramSha256Plus, "n,,")}) {
        ServerExchange server(mechanism,
                              {.nonce = "s", .bindings = kBinding, .plus_offered = true});
        EXPECT_TRUE(
            std::holds_alternative<step::Failure>(server.begin(std::string(first) + "n=alice,r=x")))
            << first;
    }
}

TEST(Sasl, AnOfferOfPlusThatWasTakenAwayIsNoticed) {
    // The client could bind itself, was shown no -PLUS, and says "y"; the server had offered it.
    ServerExchange server(Mechanism::ScramSha256, {.nonce = "s", .plus_offered = true});
    EXPECT_TRUE(std::holds_alternative<step::Failure>(server.begin("y,,n=alice,r=x")));
    ClientExchange client(Mechanism::ScramSha256, {.user = "a", .password = "b"}, "x", kBinding,
                          false);
    EXPECT_EQ(**client.initial_response(), "y,,n=a,r=x");
    ServerExchange without(Mechanism::ScramSha256, {.nonce = "s"});
    EXPECT_TRUE(std::holds_alternative<step::AskScramKeys>(without.begin("y,,n=alice,r=x")));
}

TEST(Sasl, ReplayedMessagesFail) {
    // The final message of one exchange in another, whose nonce is fresh.
    std::string final;
    Play first;
    first.on_the_way = [&](std::string text) {
        if (text.starts_with("c=")) final = text;
        return text;
    };
    ASSERT_EQ(play(first).what, "alice");
    ServerExchange server(Mechanism::ScramSha256, {.nonce = "fresh"});
    (void)server.begin("n,,n=alice,r=clientnonce");
    (void)server.tell(ScramKeys::from_password(Hash::Sha256, "pencil", "salty", 4096), true);
    EXPECT_EQ(text_of(server.respond(final)), "failure: not the nonce of this exchange");
}

TEST(Sasl, ServerWithoutThePasswordIsNotBelieved) {
    ClientExchange client(Mechanism::ScramSha256, {.user = "alice", .password = "pencil"}, "x", {},
                          false);
    EXPECT_TRUE(client.initial_response());
    EXPECT_FALSE(client.server_proved());
    ASSERT_TRUE(client.respond("r=xy,s=c2FsdA==,i=4096"));
    EXPECT_FALSE(client.server_proved());
    EXPECT_FALSE(client.respond("v=" + encode_base64(std::string(32, 'v'))));
    EXPECT_FALSE(client.server_proved());
}

TEST(Sasl, ClientRefusesWhatAServerMustNotAsk) {
    for (const char* first : {"r=other,s=c2FsdA==,i=4096", "r=x,s=c2FsdA==,i=4096",
                              "r=xy,s=c2FsdA==,i=1", "r=xy,s=c2FsdA==,i=99999999", "r=xy,s=,i=4096",
                              "m=x,r=xy,s=c2FsdA==,i=4096", "e=no", ""}) {
        ClientExchange client(Mechanism::ScramSha256, {.user = "alice", .password = "pencil"}, "x",
                              {}, false);
        EXPECT_TRUE(client.initial_response());
        EXPECT_FALSE(client.respond(first)) << first;
    }
}

TEST(Sasl, MalformedFirstMessagesFail) {
    for (const auto& [mechanism, message] :
         std::initializer_list<std::pair<Mechanism, std::string>>{
             {Mechanism::Plain, ""},
             {Mechanism::Plain, "alice"},
             {Mechanism::Plain, "alice\0pencil"s},
             {Mechanism::Plain, "\0\0pencil"s},
             {Mechanism::Plain, "\0alice\0"s},
             {Mechanism::Plain, "\0alice\0a\0b"s},
             {Mechanism::Plain, "\0alice\0\xff"s},
             {Mechanism::Login, ""},
             {Mechanism::ScramSha256, ""},
             {Mechanism::ScramSha256, "n,,n=alice"},
             {Mechanism::ScramSha256, "n,n=alice,r=x"},
             {Mechanism::ScramSha256, "n,,n=al=ice,r=x"},
             {Mechanism::ScramSha256, "n,,m=1,n=alice,r=x"},
             {Mechanism::ScramSha256, "n,,n=,r=x"},
             {Mechanism::ScramSha256, "n,,n=alice,r="},
             {Mechanism::ScramSha256, "p=tls-exporter,,n=alice,r=x"},
             {Mechanism::ScramSha256, "n,,n=alice,r=x,m=must"},
             {Mechanism::ScramSha256Plus, "n,,n=alice,r=x"},
             {Mechanism::ScramSha256Plus, "p=tls-exporter,,n=alice,r=x"},
             {Mechanism::OAuthBearer, "n,a=alice,\x01"},
             {Mechanism::OAuthBearer,
              "n,a=alice,\x01"
              "auth=Basic abc\x01\x01"},
             {Mechanism::OAuthBearer,
              "n,,\x01"
              "auth=Bearer a b\x01\x01"},
             {Mechanism::XOAuth2,
              "user=\x01"
              "auth=Bearer abc\x01\x01"},
             {Mechanism::XOAuth2,
              "user=alice\x01"
              "auth=Bearer abc\x01"},
             {Mechanism::XOAuth2,
              "user=alice\x01"
              "auth=Bearer abc\x01\x01more"},
             {Mechanism::XOAuth2,
              "user=alice\x01"
              "auth=Bearer abc\x01"
              "auth=Bearer abd\x01\x01"},
             {Mechanism::XOAuth2,
              "user=alice\x01"
              "user=bob\x01"
              "auth=Bearer abc\x01\x01"},
             {Mechanism::OAuthBearer,
              "p=tls-exporter,,\x01"
              "auth=Bearer abc\x01\x01"},
         }) {
        ServerExchange server(mechanism, {.nonce = "s"});
        EXPECT_TRUE(std::holds_alternative<step::Failure>(server.begin(message)))
            << name_of(mechanism) << " " << message;
    }
}

// RFC 7628 §4.1, with the token of its example.
TEST(Sasl, MessageOfRfc7628IsUnderstood) {
    ServerExchange server(Mechanism::OAuthBearer, {});
    const Step step = server.begin(
        "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01");
    const auto* ask = std::get_if<step::AskToken>(&step);
    ASSERT_TRUE(ask);
    EXPECT_EQ(ask->user, "user@example.com");
    EXPECT_EQ(ask->token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
}

TEST(Sasl, RefusedTokenIsToldAndEnds) {
    for (const Mechanism mechanism : {Mechanism::OAuthBearer, Mechanism::XOAuth2}) {
        Play wrong{.mechanism = mechanism};
        wrong.credentials.token = "other";
        EXPECT_EQ(play(wrong).what, "the token was refused");
    }
}

TEST(Sasl, CertificateOfNobodyProvesNothing) {
    Play nobody{.mechanism = Mechanism::External};
    nobody.certificate_identity = "";
    EXPECT_EQ(play(nobody).what, "no client certificate that is known");
}

TEST(Sasl, AuthorizationIdentityIsHandedOn) {
    ServerExchange server(Mechanism::Plain, {});
    (void)server.begin(std::string_view("bob\0alice\0pencil", 16));
    const Step step = server.tell(true);
    const auto* success = std::get_if<step::Success>(&step);
    ASSERT_TRUE(success);
    EXPECT_EQ(success->identity, "alice");
    EXPECT_EQ(success->authorization, "bob");
}

// RFC 4422 §3.4.1: whoever drives the exchange decides who may act as whom, so it must hear of it,
// in every mechanism that has such an identity.
TEST(Sasl, AuthorizationIdentityIsHandedOnByEveryMechanismThatHasOne) {
    const auto ends_as_bob = [](const Step& step) {
        const auto* success = std::get_if<step::Success>(&step);
        return success && success->identity == "alice" && success->authorization == "bob";
    };
    ServerExchange external(Mechanism::External, {.certificate_identity = "alice"});
    EXPECT_TRUE(ends_as_bob(external.begin("bob")));
    for (const auto& [mechanism, message] :
         std::initializer_list<std::pair<Mechanism, const char*>>{{Mechanism::OAuthBearer,
                                                                   "n,a=bob,\x01"
                                                                   "auth=Bearer abc\x01\x01"},
                                                                  {Mechanism::XOAuth2,
                                                                   "user=bob\x01"
                                                                   "auth=Bearer abc\x01\x01"}}) {
        ServerExchange server(mechanism, {});
        (void)server.begin(message);
        EXPECT_TRUE(ends_as_bob(server.tell(std::optional<std::string>("alice"))))
            << name_of(mechanism);
    }
    const auto keys = ScramKeys::from_password(Hash::Sha256, "pencil", "salty", 4096);
    Play play_as_bob;
    play_as_bob.on_the_way = [](std::string text) {
        if (text.starts_with("n,,")) text.replace(0, 3, "n,a=bob,");
        if (text.starts_with("c=")) text.replace(2, text.find(',') - 2, encode_base64("n,a=bob,"));
        return text;
    };
    // The proof is over the header, too: what was changed on the way is noticed.
    EXPECT_EQ(play(play_as_bob).what, "wrong user or password");
    ServerExchange server(Mechanism::ScramSha256, {.nonce = "s"});
    (void)server.begin("n,a=bob,n=alice,r=c");
    const std::string server_first = text_of(server.tell(keys, true));
    const std::string without = "c=" + encode_base64("n,a=bob,") + ",r=cs";
    const std::string auth_message = "n=alice,r=c," + server_first + "," + without;
    const std::string salted = pbkdf2(Hash::Sha256, "pencil", "salty", 4096);
    const std::string proof = exclusive_or(hmac(Hash::Sha256, salted, "Client Key"),
                                           client_signature(keys, auth_message));
    const Step last = server.respond(without + ",p=" + encode_base64(proof));
    EXPECT_TRUE(text_of(last).starts_with("v=")) << text_of(last);
    EXPECT_TRUE(ends_as_bob(server.respond("")));
}

// RFC 5802 §3: the client's last message is empty (RFC 4954 §4 has it sent).
TEST(Sasl, TheClientsLastMessageOfScramIsEmpty) {
    Play talks;
    talks.on_the_way = [](const std::string& text) {
        return text.empty() ? std::string("more") : text;
    };
    EXPECT_EQ(play(talks).what, "the client's last message is not empty");
}

TEST(Sasl, ATokenWithoutAnIdentityIsRefused) {
    for (const Mechanism mechanism : {Mechanism::OAuthBearer, Mechanism::XOAuth2}) {
        ServerExchange server(mechanism, {});
        (void)server.begin(mechanism == Mechanism::XOAuth2 ? "user=alice\x01"
                                                             "auth=Bearer abc\x01\x01"
                                                           : "n,,\x01"
                                                             "auth=Bearer abc\x01\x01");
        const Step step = server.tell(std::optional<std::string>(""));
        EXPECT_FALSE(std::holds_alternative<step::Success>(step));
    }
}

TEST(Sasl, NamesWithCommasAndEqualSignsArrive) {
    for (const char* name : {"a,b", "a=b", "a=2Cb", ",=", "=3D"}) {
        EXPECT_EQ(escape_name(name).find(','), std::string::npos);
        ServerExchange server(Mechanism::ScramSha256, {.nonce = "s"});
        const Step step = server.begin("n,,n=" + escape_name(name) + ",r=x");
        const auto* ask = std::get_if<step::AskScramKeys>(&step);
        ASSERT_TRUE(ask) << name;
        EXPECT_EQ(ask->user, name);
    }
}

TEST(Sasl, ClientChoosesTheStrongestAndShowsNothingInTheClear) {
    const std::vector<std::string> offered = {
        "LOGIN", "plain", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2"};
    const Credentials password{.user = "a", .password = "b"};
    EXPECT_EQ(choose(offered, password, kBinding, true), Mechanism::ScramSha256Plus);
    EXPECT_EQ(choose(offered, password, {}, true), Mechanism::ScramSha256);
    EXPECT_EQ(choose(offered, password, {}, false), Mechanism::ScramSha256);
    const std::vector<std::string> weak = {"LOGIN", "PLAIN", "CRAM-MD5"};
    EXPECT_EQ(choose(weak, password, {}, true), Mechanism::Plain);
    EXPECT_EQ(choose(weak, password, {}, false), std::nullopt);
    EXPECT_EQ(choose(offered, {.user = "a", .token = "t"}, {}, true), Mechanism::XOAuth2);
    EXPECT_EQ(choose(offered, {.user = "a", .token = "t"}, {}, false), std::nullopt);
}

}  // namespace
}  // namespace postrider::smtp::sasl
