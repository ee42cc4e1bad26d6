// receive/session.h: one client's session, from greeting to goodbye.
//
// Joins three things that know nothing of each other: the protocol (smtp::ServerSession, a value
// machine), the stream, and the house's answers (Visit). It reads, lets the machine say what that
// means, asks the Visit where a decision is needed, pours content into the Sink, and writes the
// replies that have collected when there is nothing more to read.
//
// Promise
//   1. Every wait has a deadline, which octets that trickle in do not move; the client is told
//      which one passed (421 4.4.2).
//   2. Memory is bounded: one block while input is at hand, nothing while idle.
//   3. A message that was not accepted leaves nothing behind.
//   4. TLS, where the listener has it: first of all, or when the client says STARTTLS. A handshake
//      that fails is logged with its reason and what the client offered, and ends the session.
//   5. Who speaks before the greeting (where that is asked for), TLS where none is spoken, and a
//      harvest of addresses end the session.
//   6. While draining, a session ends at its next moment without a transaction, with 421 4.3.2.
//
// Who the client is may change: a listed proxy says so with XCLIENT (session_told.cc). What it may
// as a proxy follows from the address that is connected, all else from the one that was told.
//
// Threads: a session lives and dies on its shard.
// RFC 5321 §3, §4.5.3.2, §6.3 (loops); RFC 2920; RFC 3207 (STARTTLS), RFC 8314 §3.3 (TLS first).

#pragma once

#include <list>
#include <memory>
#include <string>

#include "base/memory_account.h"
#include "mail/header.h"
#include "receive/buffer_pool.h"
#include "receive/connection_table.h"
#include "receive/hop_counter.h"
#include "receive/visit.h"
#include "smtp/server_session.h"
#include "world/world.h"

namespace postrider::receive {

// What one listener asks of its sessions; replaced as a whole by a reload.
struct SessionSettings {
    enum class Tls : uint8_t {
        Off,
        StartTls,  // offered if smtp->starttls says so
        Implicit,  // before the greeting
    };
    std::shared_ptr<const smtp::ServerOptions> smtp;
    // The same with bare line ends normalised, for clients in these networks.
    std::shared_ptr<const smtp::ServerOptions> smtp_normalising;
    std::vector<world::IpNetwork> normalise_networks;

    Tls tls = Tls::Off;
    std::shared_ptr<const world::TlsServerContext> tls_context;  // not null unless Off

    Duration handshake_time = std::chrono::minutes(1);
    // Proxies, whose connections begin with a PROXY header (proxy_header.h).
    std::vector<world::IpNetwork> proxy_networks;
    // Proxies and filters that may use XCLIENT and XFORWARD: by the address that is connected.
    std::vector<world::IpNetwork> xclient_networks, xforward_networks;
    // Clients whose VRFY and EXPN is answered, and who may start queues by ETRN.
    std::vector<world::IpNetwork> verify_networks, etrn_networks;
    bool takes_no_mail = false;  // RFC 7504 §3: 521 to everybody
    Duration proxy_header_time = std::chrono::seconds(10);

    // For each command as a whole: octets that trickle in do not move it (RFC 5321 §4.5.3.2.7).
    Duration command_time = std::chrono::minutes(5);
    Duration data_time = std::chrono::minutes(5);  // for each piece of content
    uint64_t data_rate_min = 0;  // octets in a second, behind the first data_time; 0 = none
    // How long a client is watched before it is greeted; who speaks first is refused. 0 = not.
    Duration greeting_pause{};
    Duration write_time = std::chrono::minutes(5);
    Duration session_time_max = std::chrono::hours(24);
    std::size_t hops_max = 100;
    ConnectionLimits connections;
    HistoryLimits history;
    // Clients for which pause, rates and limits (but that of all together) do not hold.
    std::vector<world::IpNetwork> unlimited_networks;

    bool is_limited(const world::Endpoint& peer) const;
};

// "192.0.2.1:4711", as a client stands in the log; "local" without an address.
std::string client_text(const ClientFacts& client);
bool is_in(const std::vector<world::IpNetwork>& networks, std::string_view address);

class Session;

// What the sessions of one shard share.
struct SessionShard {
    world::World& world;
    Log& log;
    ClientHistory& history;
    BufferPool buffers{};
    std::list<Session*> sessions{};
    bool draining = false;
};

class Session {
public:
    // `client`: who it is, which a PROXY header may have said. REQUIRES: shard outlives the
    // session.
    Session(SessionShard& shard, std::shared_ptr<const SessionSettings> settings,
            std::shared_ptr<world::Stream> stream, std::unique_ptr<Visit> visit, std::string name,
            ClientFacts client, ConnectionTable::Place place);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Task<void> run();

    // Says goodbye now if the session waits for a command outside a transaction.
    void say_goodbye_if_idle();
    // Ends the session at once.
    void close() { stream_->close(); }

private:
    enum class Step : uint8_t {
        GoOn,
        Read,
        End
    };

    // Not inlined: else what an event needs would be part of the frame of run(), which lives as
    // long as the session.
    [[gnu::noinline]] Task<Step> take_next();
    Deadline next_deadline(bool replied);
    bool is_tls_hello();
    Task<bool> speaks_first();
    Task<void> count_unknown_recipient();
    Task<Step> read_more();
    Task<bool> flush();
    Task<Step> shake_hands();
    Task<void> opened();
    Task<void> mail(smtp::event::MailFrom mail);
    Task<void> rcpt(smtp::event::RcptTo rcpt);
    Task<void> data_requested();
    Task<void> data_chunk(std::string_view content);
    void chunk_ended();
    Task<void> data_ended(smtp::event::DataEnded ended);
    [[gnu::noinline]] Task<void> auth(smtp::Event event);  // rare, and large
    void hello(const smtp::event::Hello& hello);
    [[gnu::noinline]] Task<Step> take_query(smtp::Event event);
    void client_told(const smtp::ToldClient& told);
    void client_forwarded(const smtp::ToldClient& told);
    void decide_rights();
    world::Endpoint client_endpoint() const;  // who it is by what was told
    Task<void> verify(std::string text);
    void answer(std::string_view command, const Status<smtp::Reply>& verdict);
    void forget_transaction();
    void give_block_back();
    std::optional<smtp::Reply> look_at_header(std::string_view content);
    std::optional<smtp::Reply> check_hops() const;

    SessionShard& shard_;
    std::shared_ptr<const SessionSettings> settings_;
    std::shared_ptr<world::Stream> stream_;
    std::unique_ptr<Visit> visit_;
    smtp::ServerSession smtp_;
    std::string name_;  // of this session, in the log
    ClientFacts facts_;
    std::string client_;  // its address, in the log
    std::string helo_;
    std::string account_;  // who the client has proved to be
    ConnectionTable::Place connection_;
    std::list<Session*>::iterator place_;

    BufferPool::Block block_;
    std::string_view input_;  // what is in the block and was not used yet
    Deadline session_deadline_;
    Deadline command_deadline_ = Deadline::never();  // of the command that is coming
    Monotonic content_began_;
    uint64_t content_octets_ = 0;  // since then
    bool in_content_ = false;      // the last wait was for content
    bool heard_ = false;           // something came
    bool filled_ = false;          // the last read filled the block
    bool limited_;

    std::unique_ptr<Sink> sink_;
    std::optional<smtp::Reply> refusal_;  // of the message that is flowing, given at its end
    HeaderBlockScanner header_;
    HopCounter hops_;
    uint64_t header_seen_ = 0;  // octets of content given to the two
    bool idle_ = false;         // waits for a command, outside a transaction
    bool goodbye_ = false;      // somebody else has said the last words
    uint64_t messages_ = 0;     // stored
    uint64_t told_ = 0;         // of them, those whose 250 was written
    std::string_view end_reason_ = "quit";
};

}  // namespace postrider::receive
