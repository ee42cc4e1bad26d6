// receive/session.h: one client's session, from greeting to goodbye.
//
// Joins three things that know nothing of each other: the protocol (smtp::ServerSession, a value
// machine), the stream, and the house's answers (Visit). It reads, lets the machine say what that
// means, asks the Visit where a decision is needed, pours content into the Sink, and writes the
// replies that have collected when there is nothing more to read.
//
// Promise
//   1. Every wait has a deadline; the client is told which one passed (421 4.4.2).
//   2. Memory is bounded: one block while input is at hand, nothing while idle.
//   3. A message that was not accepted leaves nothing behind.
//   4. While draining, a session ends at its next moment without a transaction, with 421 4.3.2.
//
// Threads: a session lives and dies on its shard.
// RFC 5321 §3, §4.5.3.2, §6.3 (loops); RFC 2920.

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
    std::shared_ptr<const smtp::ServerOptions> smtp;
    // The same with bare line ends normalised, for clients in these networks.
    std::shared_ptr<const smtp::ServerOptions> smtp_normalising;
    std::vector<world::IpNetwork> normalise_networks;

    Duration command_time = std::chrono::minutes(5);  // RFC 5321 §4.5.3.2.7
    Duration data_time = std::chrono::minutes(5);     // for each piece of content
    Duration write_time = std::chrono::minutes(5);
    Duration session_time_max = std::chrono::hours(24);
    std::size_t hops_max = 100;
    ConnectionLimits connections;
};

class Session;

// What the sessions of one shard share.
struct SessionShard {
    world::World& world;
    Log& log;
    BufferPool buffers;
    std::list<Session*> sessions;
    bool draining = false;
};

class Session {
public:
    // REQUIRES: shard outlives the session.
    Session(SessionShard& shard, std::shared_ptr<const SessionSettings> settings,
            std::shared_ptr<world::Stream> stream, std::unique_ptr<Visit> visit, std::string name,
            std::string client);
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
        End
    };

    Task<Step> take(smtp::Event event);
    Task<Step> read_more();
    Task<bool> flush();
    Task<void> opened();
    Task<void> mail(smtp::event::MailFrom mail);
    Task<void> rcpt(smtp::event::RcptTo rcpt);
    Task<void> data_requested();
    Task<void> data_chunk(std::string_view content);
    Task<void> data_ended(smtp::event::DataEnded ended);
    void hello(const smtp::event::Hello& hello);
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
    std::string name_;    // of this session, in the log
    std::string client_;  // its address, in the log
    std::string helo_;
    std::list<Session*>::iterator place_;

    BufferPool::Block block_;
    std::string_view input_;  // what is in the block and was not used yet
    Deadline session_deadline_;

    std::unique_ptr<Sink> sink_;
    std::optional<smtp::Reply> refusal_;  // of the message that is flowing, given at its end
    HeaderBlockScanner header_;
    HopCounter hops_;
    uint64_t header_seen_ = 0;  // octets of content given to the two
    bool idle_ = false;         // waits for a command, outside a transaction
    bool goodbye_ = false;      // somebody else has said the last words
    uint64_t messages_ = 0;
    std::string_view end_reason_ = "quit";
};

}  // namespace postrider::receive
