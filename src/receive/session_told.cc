// Who the client is when a proxy stands between, and what a client may ask besides sending mail.

#include <algorithm>
#include <charconv>

#include "base/situation.h"
#include "receive/session.h"

namespace postrider::receive {

namespace {

using smtp::ToldName;

// Of nobody: in no network that a rule is for, and no client of this machine's own.
constexpr std::string_view kNobody = "0.0.0.0";

uint16_t port_of(const std::string& text) {
    uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

}  // namespace

std::string client_text(const ClientFacts& client) {
    auto address = world::IpAddress::parse(client.address);
    return address ? world::text(world::IpEndpoint{*address, client.port}) : "local";
}

bool is_in(const std::vector<world::IpNetwork>& networks, std::string_view address) {
    if (networks.empty()) return false;
    auto parsed = world::IpAddress::parse(address);
    return parsed && std::ranges::any_of(
                         networks, [&](const auto& network) { return network.contains(*parsed); });
}

world::Endpoint Session::client_endpoint() const {
    auto address = world::IpAddress::parse(facts_.address);
    return address ? world::Endpoint(world::IpEndpoint{*address, facts_.port}) : stream_->peer();
}

// A proxy's rights are those of the connection; a client's those of the client that was told.
void Session::decide_rights() {
    auto* peer = std::get_if<world::IpEndpoint>(&stream_->peer());
    auto has_peer = [&](const std::vector<world::IpNetwork>& networks) {
        return peer && std::ranges::any_of(networks, [&](const auto& network) {
                   return network.contains(peer->address);
               });
    };
    smtp_.set_rights({.etrn = is_in(settings_->etrn_networks, facts_.address),
                      .expn = is_in(settings_->verify_networks, facts_.address),
                      .xclient = has_peer(settings_->xclient_networks),
                      .xforward = has_peer(settings_->xforward_networks)});
}

Task<Session::Step> Session::take_query(smtp::Event event) {
    if (auto* verify = std::get_if<smtp::event::Verify>(&event)) {
        co_await this->verify(std::string(verify->text));
    } else if (auto* expand = std::get_if<smtp::event::Expand>(&event)) {
        smtp_.answer(co_await visit_->expand(std::string(expand->text)));
    } else if (auto* run = std::get_if<smtp::event::QueueRun>(&event)) {
        smtp_.answer(co_await visit_->run_queue(std::move(run->domain), run->below));
    } else if (auto* told = std::get_if<smtp::event::ClientTold>(&event)) {
        client_told(told->client);
    } else if (auto* forwarded = std::get_if<smtp::event::ClientForwarded>(&event)) {
        client_forwarded(forwarded->client);
    }
    co_return Step::GoOn;
}

// RFC 5321 §7.3: strangers are not told who is here.
Task<void> Session::verify(std::string text) {
    if (is_in(settings_->verify_networks, facts_.address)) {
        smtp_.answer(co_await visit_->verify(std::move(text)));
    } else {
        smtp_.accept();
    }
}

void Session::client_told(const smtp::ToldClient& told) {
    ClientFacts facts = facts_;
    if (told[ToldName::Addr].told) {
        const std::string& address = told[ToldName::Addr].value;
        auto parsed = world::IpAddress::parse(address.empty() ? kNobody : address);
        facts.address = parsed ? parsed->text() : std::string(kNobody);
        facts.port = 0;
        // Not turned away: its connection is the proxy's, which may hold it back itself.
        if (parsed && connection_.move_to(*parsed, settings_->connections)) {
            reached(Situation::ReceiveTurnedAway);
            end_reason_ = "too many connections from the address that was told";
            smtp_.shut_down(
                {421, EnhancedStatus{4, 7, 0}, "Too many connections from this address"});
            return;
        }
    }
    if (told[ToldName::Port].told) facts.port = port_of(told[ToldName::Port].value);
    if (told[ToldName::Helo].told) facts.helo = told[ToldName::Helo].value;
    if (told[ToldName::Login].told) facts.account = told[ToldName::Login].value;
    facts_ = std::move(facts);
    shard_.log.write(Event::ClientTold,
                     {{"session", name_}, {"client", client_}, {"told", told.text()}});
    client_ = client_text(facts_);
    limited_ = settings_->is_limited(client_endpoint());
    account_.clear();
    decide_rights();
    visit_->client_told(facts_);
    smtp_.accept();
}

void Session::client_forwarded(const smtp::ToldClient& told) {
    shard_.log.write(Event::ClientForwarded,
                     {{"session", name_}, {"client", client_}, {"told", told.text()}});
    visit_->forwarded(told.text());
    smtp_.accept();
}

}  // namespace postrider::receive
