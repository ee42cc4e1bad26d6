// sim/internet/internet.h: the hosts of a scenario and the letters that go round among them.
//
// Who is there
//   p1.example ...     our servers, at 192.0.2.11 ..., with the mailboxes u0 to u9, the aliases
//                      list0 to list4, and clients that may relay, at 192.0.2.101 ...
//   NAME1.example ...  foreign hosts, at 198.51.100.1 ..., which keep what they are given
//   dead1.example ...  have an address at which nobody says anything
//   poison.example     a foreign host; who names a recipient there to it dies at once
//   nowhere.example    does not exist; nomail.example wants no mail; loop.example points to p1
// Every second foreign domain has a first host that is not there.
// and somebody outside who gives bounces of foreign hosts to our servers.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/foreign_host.h"
#include "sim/internet/clients.h"
#include "sim/internet/ledger.h"
#include "sim/internet/scenario.h"
#include "sim/river_host.h"

namespace postrider::sim {

class Internet {
public:
    static constexpr int kUsers = 10;
    static constexpr int kLists = 5;

    // Everybody is there, our servers are down. REQUIRES: scenario outlives this.
    Internet(const Scenario& scenario, uint64_t seed);
    ~Internet();
    Internet(const Internet&) = delete;
    Internet& operator=(const Internet&) = delete;

    // Starts a server, unless it is up.
    void start(int server);
    // Starts a server and waits until it serves; a violation if it does not.
    void boot(int server);
    void boot_all();

    // Clients compose letters, or stop composing.
    void set_mailing(bool on);
    bool clients_idle() const;

    std::string domain(int server) const { return "p" + std::to_string(server + 1) + ".example"; }
    // The number of our server with that domain of an address; -1 = none.
    int server_of(std::string_view address) const;
    int server_at(const world::Endpoint& endpoint) const;
    bool may_expire() const { return how_.may_expire; }
    int server_count() const { return int(servers.size()); }
    // Lets a foreign domain be served by that foreign host from now on.
    void point(const std::string& foreign_domain, std::size_t host);

    Simulation sim;
    Ledger ledger;
    std::vector<std::unique_ptr<RiverHost>> servers;
    std::vector<std::unique_ptr<Clients>> clients;  // as servers
    std::vector<std::unique_ptr<Clients>> outside;  // as servers: they give bounces to it
    std::vector<std::unique_ptr<ForeignHost>> foreign;
    std::vector<std::string> foreign_domains;  // of those that ordinary mail goes to

    // Called when somebody sends poison.
    std::function<void(int server)> on_poison;

private:
    void add_server(int number);
    void add_foreign(const std::string& domain, const std::vector<std::string>& manners,
                     Demand demand = Demand::Nothing);
    void schedule(int server);
    std::optional<uint64_t> compose(int server);
    std::string draw_sender(int server);
    std::optional<Target> draw_target(int server, uint64_t mark);
    std::string draw_user(int server);
    int draw_neighbour(int server);
    void send_back(const Kept& kept);
    Letter& new_letter(int through, std::string from);

    const Scenario& how_;
    SeededRandom random_;
    uint64_t next_mark_ = 1;
    uint64_t mailing_turn_ = 0;  // schedules of earlier turns are over
    bool mailing_ = false;
    std::vector<Goal> goals_;  // each as often as its share says
};

// Every address that the alias stands for.
std::vector<std::string> members_of_list(const Internet& net, int server, int list);

}  // namespace postrider::sim
