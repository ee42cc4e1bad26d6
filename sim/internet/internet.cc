#include "sim/internet/internet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr Duration kStartAgain = 1s;
constexpr Duration kOpensWithin = 10min;
constexpr const char* kDeadAddress = "203.0.113.250";
constexpr int kDeadDomains = 30;
constexpr int kTooManyHops = 150;
constexpr uint64_t kLargeOctetsMin = 130'000;
constexpr uint64_t kLargeOctetsMax = 260'000;
constexpr std::string_view kBounced = "bounced";
constexpr std::string_view kPoison = "poison@";
constexpr std::array<std::string_view, 3> kNowhere{"nowhere", "nomail", "loop"};

std::string server_address(int number) { return fmt::format("192.0.2.{}", 11 + number); }
std::string clients_address(int number) { return fmt::format("192.0.2.{}", 101 + number); }

std::string list_addresses(const std::vector<std::string>& members) {
    std::string out;
    for (const std::string& member : members) {
        out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", member);
    }
    return out;
}

std::string config_of(const Internet& net, const PostriderPlan& plan, int number) {
    std::string aliases, mailboxes;
    for (int list = 0; list < Internet::kLists; list++) {
        aliases += fmt::format("list{} = [{}]\n", list,
                               list_addresses(members_of_list(net, number, list)));
    }
    int neighbour = (number + 1) % net.server_count();
    if (neighbour != number) {
        aliases += fmt::format("circle = [\"circle@{}\"]\n", net.domain(neighbour));
    }
    for (int user = 0; user < Internet::kUsers; user++) {
        mailboxes += fmt::format("{}\"u{}\"", user == 0 ? "" : ", ", user);
    }
    std::string smtp = plan.smtp;
    if (smtp.find("sessions_per_address_max") == std::string::npos) {
        smtp += "\nsessions_per_address_max = 1000";
    }
    std::string certificate = plan.tls ? "[[certificate]]\nchain_file = \"" +
                                             std::string(RiverHost::kCertificateFile) + "\"\n"
                                       : std::string();
    return fmt::format(R"(hostname = "mx.{0}"
data_directory = "/data"
{1}
[[listener]]
address = "{2}:25"
[smtp]
relay_networks = ["{3}/32"]
recipients_max = 1000
unknown_recipients_max = 0
data_rate_min = 0
{4}
[queue]
{5}
[spool]
segment_octets = "1 MiB"
min_free = "0"
[[domain]]
name = "{0}"
mailboxes = [{6}]
[domain.aliases]
{7}
{8})",
                       net.domain(number), plan.general, server_address(number),
                       clients_address(number), smtp, plan.queue, mailboxes, aliases, certificate);
}

dns::Name name_of(const std::string& text) { return *dns::Name::parse(text); }

void add_mail_host(Dns& dns, const std::string& domain, const world::IpAddress& address) {
    dns.add(domain, dns::Mx{10, name_of("mx." + domain)});
    dns::A a;
    std::copy_n(address.octets.begin(), a.octets.size(), a.octets.begin());
    dns.add("mx." + domain, a);
}

}  // namespace

std::vector<std::string> members_of_list(const Internet& net, int server, int list) {
    std::vector<std::string> out{fmt::format("u{}@{}", list, net.domain(server))};
    int neighbour = (server + 1) % net.server_count();
    if (neighbour != server) out.push_back(fmt::format("u{}@{}", list + 1, net.domain(neighbour)));
    if (!net.foreign_domains.empty()) {
        std::size_t place = std::size_t(list) % net.foreign_domains.size();
        out.push_back(fmt::format("member{}@{}", list, net.foreign_domains[place]));
    }
    return out;
}

Internet::Internet(const Scenario& scenario, uint64_t seed)
    : sim(seed),
      ledger(scenario.postriders.count),
      how_(scenario),
      random_(seed, /*label=*/0x1E77E8) {
    sim.net().faults.latency_max = how_.latency_max;
    sim.net().faults.segment_max = how_.segment_max;
    sim.dns().faults.latency_max = 20ms;
    for (int goal = 0; goal < kGoals; goal++) {
        goals_.insert(goals_.end(), how_.mail.shares[goal], Goal(goal));
    }
    for (const ForeignPlan& plan : how_.foreign) {
        for (int i = 1; i <= plan.count; i++) {
            std::string domain = fmt::format("{}{}.example", plan.name, i);
            add_foreign(domain, plan.manners, plan.demand);
            foreign_domains.push_back(domain);
        }
    }
    add_foreign("poison.example", {});
    sim.add_host("dead", {*world::IpAddress::parse(kDeadAddress)});
    sim.net().black_hole(*world::IpAddress::parse(kDeadAddress));
    for (int i = 1; i <= kDeadDomains; i++) {
        add_mail_host(sim.dns(), fmt::format("dead{}.example", i),
                      *world::IpAddress::parse(kDeadAddress));
    }
    sim.dns().add("nomail.example", dns::Mx{0, dns::Name()});  // RFC 7505
    sim.dns().add("loop.example", dns::Mx{10, name_of("mx." + domain(0))});
    servers.resize(std::size_t(how_.postriders.count));
    for (int number = 0; number < how_.postriders.count; number++) add_server(number);
}

// Their tasks use what is destroyed before the simulation is.
Internet::~Internet() {
    for (auto& one : servers) one->host().kill();
    for (auto& one : clients) one->host().kill();
    for (auto& one : outside) one->host().kill();
    for (auto& one : foreign) one->host().kill();
}

void Internet::add_foreign(const std::string& domain, const std::vector<std::string>& manners,
                           Demand demand) {
    Manners all;
    for (const std::string& word : manners) add_manner(all, word);
    std::string address = fmt::format("198.51.100.{}", foreign.size() + 1);
    foreign.push_back(std::make_unique<ForeignHost>(sim, "mx." + domain, address, all));
    foreign.back()->demand = demand;
    add_mail_host(sim.dns(), domain, *world::IpAddress::parse(address));
    if (foreign.size() % 2 == 0) {  // its first host is gone
        sim.dns().add(domain, dns::Mx{5, name_of("mx.gone.example")});
        sim.dns().add("mx.gone.example", dns::A{{203, 0, 113, 249}});
    }
    foreign.back()->on_keep = [this](const Kept& kept) { send_back(kept); };
    // Two servers may give the same id.
    foreign.back()->key_of = [](std::string_view content) {
        std::size_t server = content.find("mx.p");
        std::string id = id_of_trace(content);
        if (id.empty() || server == content.npos) return id;
        return id + " " + std::string(content.substr(server, content.find('e', server) - server));
    };
    foreign.back()->on_recipient = [this](const std::string& to, const world::Endpoint& client) {
        if (!to.starts_with(kPoison) || !on_poison) return;
        sim.call_after(Duration{}, [this, server = server_at(client)] { on_poison(server); });
    };
}

void Internet::add_server(int number) {
    std::string config = config_of(*this, how_.postriders, number);
    auto& server = servers[std::size_t(number)];
    server = std::make_unique<RiverHost>(sim, config, how_.postriders.shards,
                                         "p" + std::to_string(number + 1), server_address(number));
    auto address = *world::IpAddress::parse(server_address(number));
    add_mail_host(sim.dns(), domain(number), address);
    Host& host = server->host();
    host.watch_log([this, number, &host](const LogLine& line) { ledger.hear(number, host, line); });
    if (how_.postriders.tls) {
        host.tls().outcome = [this] {
            return random_.chance(950)   ? TlsOutcome::Works
                   : random_.chance(500) ? TlsOutcome::Refused
                                         : TlsOutcome::BreaksOff;
        };
    }
    host.disk_faults().forget_sync = how_.forget_sync;
    host.disk_faults().forget_directory_sync = how_.forget_directory_sync;
    ClientsOptions options{.name = fmt::format("clients{}", number + 1),
                           .address = clients_address(number),
                           .server = {address, 25},
                           .sessions = how_.mail.sessions,
                           .reply_time = how_.mail.reply_time,
                           .pause_max = how_.mail.pause_max};
    std::function<std::optional<uint64_t>()> source;
    if (how_.mail.per_hour == 0) source = [this, number] { return compose(number); };
    clients.push_back(std::make_unique<Clients>(sim, ledger, options, std::move(source)));
    options.name = fmt::format("outside{}", number + 1);
    options.address = fmt::format("203.0.113.{}", number + 1);
    options.sessions = 2;
    outside.push_back(std::make_unique<Clients>(sim, ledger, options, nullptr));
}

// As a supervisor does: what does not come up is started again a little later.
void Internet::start(int server) {
    RiverHost& river = *servers[std::size_t(server)];
    if (river.host().main_ended()) river.kill();
    if (river.host().is_up()) return;
    river.boot();
    sim.call_after(kStartAgain, [this, server, life = river.host().lives()] {
        const Host& host = servers[std::size_t(server)]->host();
        if (host.lives() == life && host.main_ended()) start(server);
    });
}

void Internet::boot(int server) {
    RiverHost& river = *servers[std::size_t(server)];
    if (river.is_open()) return;
    start(server);
    if (!sim.run_until([&] { return river.is_open(); }, kOpensWithin)) {
        ledger.violation(domain(server) + " does not open: " + river.open_error());
    }
}

void Internet::boot_all() {
    for (int server = 0; server < server_count(); server++) boot(server);
}

void Internet::set_mailing(bool on) {
    mailing_ = on;
    mailing_turn_++;
    if (!on) return;
    for (int server = 0; server < server_count(); server++) {
        if (how_.mail.per_hour == 0) {
            clients[std::size_t(server)]->wake();
        } else {
            schedule(server);
        }
    }
}

// The next burst of letters, after a drawn time with the wanted mean.
void Internet::schedule(int server) {
    Duration mean = Duration(1h) / how_.mail.per_hour * how_.mail.burst;
    sim.call_after(random_.between(Duration{}, 2 * mean), [this, server, turn = mailing_turn_] {
        if (turn != mailing_turn_) return;
        for (uint32_t i = 0; i < how_.mail.burst; i++) {
            if (auto mark = compose(server)) clients[std::size_t(server)]->post(*mark);
        }
        schedule(server);
    });
}

bool Internet::clients_idle() const {
    auto idle = [](const auto& one) { return one->is_idle(); };
    return std::ranges::all_of(clients, idle) && std::ranges::all_of(outside, idle);
}

int Internet::server_of(std::string_view address) const {
    std::string_view host = address.substr(address.rfind('@') + 1);
    for (int server = 0; server < server_count(); server++) {
        if (host == domain(server)) return server;
    }
    return -1;
}

int Internet::server_at(const world::Endpoint& endpoint) const {
    auto* ip = std::get_if<world::IpEndpoint>(&endpoint);
    for (int server = 0; ip && server < server_count(); server++) {
        if (servers[std::size_t(server)]->host().addresses().front() == ip->address) return server;
    }
    return -1;
}

void Internet::point(const std::string& foreign_domain, std::size_t host) {
    sim.dns().remove(foreign_domain, dns::Type::Mx);
    std::string name = foreign[host]->host().name();
    sim.dns().add(foreign_domain, dns::Mx{10, name_of(name)}, /*ttl_seconds=*/300);
}

Letter& Internet::new_letter(int through, std::string from) {
    uint64_t mark = next_mark_++;
    Letter& letter = ledger.letters[mark];
    letter.mark = mark;
    letter.through = through;
    letter.from = std::move(from);
    return letter;
}

std::optional<uint64_t> Internet::compose(int server) {
    if (!mailing_) return std::nullopt;
    Letter& letter = new_letter(server, draw_sender(server));
    uint64_t count = 1 + random_.below(uint64_t(how_.mail.recipients_max));
    for (uint64_t i = 0; i < count; i++) {
        auto target = draw_target(server, letter.mark);
        if (!target) continue;
        if (target->finals.empty()) target->finals = {target->to};
        auto is_there = [&](const Target& other) {
            return std::ranges::any_of(other.finals, [&](const std::string& final) {
                return std::ranges::find(target->finals, final) != target->finals.end();
            });
        };
        if (std::ranges::any_of(letter.to, is_there)) continue;
        letter.to.push_back(std::move(*target));
        if (letter.to.back().fate != Fate::Circles) continue;
        letter.to.erase(letter.to.begin(), letter.to.end() - 1);  // goes alone
        break;
    }
    if (random_.chance(how_.mail.far_travelled_per_1000)) {
        letter.hops = kTooManyHops;
        letter.is_refused = true;
    }
    if (letter.to.empty()) {
        std::string user = draw_user(server);
        letter.to.push_back({user, Fate::Arrives, {user}});
    }
    letter.octets = random_.chance(how_.mail.large_per_1000)
                        ? random_.between(kLargeOctetsMin, kLargeOctetsMax)
                        : random_.between(60, how_.mail.octets_max);
    return letter.mark;
}

std::string Internet::draw_user(int server) {
    return fmt::format("u{}@{}", random_.below(kUsers), domain(server));
}

int Internet::draw_neighbour(int server) {
    if (server_count() == 1) return server;
    return (server + 1 + int(random_.below(uint64_t(server_count() - 1)))) % server_count();
}

std::string Internet::draw_sender(int server) {
    if (random_.chance(how_.mail.null_per_1000)) return "";
    if (!foreign_domains.empty() && random_.chance(how_.mail.foreign_sender_per_1000)) {
        return "sender@" + foreign_domains[random_.below(foreign_domains.size())];
    }
    if (random_.chance(how_.mail.neighbour_sender_per_1000)) server = draw_neighbour(server);
    return draw_user(server);
}

std::optional<Target> Internet::draw_target(int server, uint64_t mark) {
    Goal goal = goals_[random_.below(goals_.size())];
    Fate far = how_.may_expire ? Fate::Either : Fate::Arrives;
    auto foreign_address = [&](std::string_view who) {
        return fmt::format("{}{}-{}@{}", who, mark, random_.below(1000),
                           foreign_domains[random_.below(foreign_domains.size())]);
    };
    switch (goal) {
        case Goal::Mailbox:
            return Target{draw_user(server), Fate::Arrives, {}};
        case Goal::Neighbour: {
            int neighbour = draw_neighbour(server);
            return Target{draw_user(neighbour), neighbour == server ? Fate::Arrives : far, {}};
        }
        case Goal::Foreign:
            if (foreign_domains.empty()) return std::nullopt;
            return Target{foreign_address("r"), far, {}};
        case Goal::List: {
            int list = int(random_.below(kLists));
            return Target{fmt::format("list{}@{}", list, domain(server)), far,
                          members_of_list(*this, server, list)};
        }
        case Goal::Refused:
            if (foreign_domains.empty()) return std::nullopt;
            return Target{foreign_address("refused"), Fate::Fails, {}};
        case Goal::Unknown: {
            int neighbour = draw_neighbour(server);
            if (neighbour == server) return std::nullopt;
            return Target{fmt::format("nobody{}@{}", mark, domain(neighbour)), Fate::Fails, {}};
        }
        case Goal::Nowhere:
            return Target{
                fmt::format("r{}@{}.example", mark, kNowhere[random_.below(kNowhere.size())]),
                Fate::Fails,
                {}};
        case Goal::Dead:
            return Target{fmt::format("r{}@dead{}.example", mark, 1 + random_.below(kDeadDomains)),
                          Fate::Fails,
                          {}};
        case Goal::Bounced:
            if (foreign_domains.empty()) return std::nullopt;
            return Target{foreign_address(kBounced), far, {}};
        case Goal::Poison:
            return Target{"poison@poison.example", Fate::IsSetAside, {}};
        case Goal::Circle:
            if (draw_neighbour(server) == server) return std::nullopt;
            return Target{"circle@" + domain(server), Fate::Circles, {}};
    }
    return std::nullopt;
}

// A foreign host that has taken a message sends it back to its sender, if that is one of us.
void Internet::send_back(const Kept& kept) {
    bool bounces = std::ranges::any_of(
        kept.recipients, [](const std::string& to) { return to.starts_with(kBounced); });
    int server = server_of(kept.reverse_path);
    if (!bounces || server < 0) return;
    Letter& letter = new_letter(server, "");
    letter.to.push_back({kept.reverse_path, Fate::Arrives, {kept.reverse_path}});
    letter.octets = 400;
    outside[std::size_t(server)]->post(letter.mark);
}

}  // namespace postrider::sim
