#include "receive/session.h"

#include <algorithm>
#include <array>

#include "base/situation.h"

namespace postrider::receive {

namespace {

std::string_view protocol_keyword(const smtp::ServerSession& session, bool extended) {
    // RFC 3848. It has no word for HELO under TLS.
    if (session.options().protocol == smtp::Protocol::Lmtp) {
        return session.secured() ? "LMTPS" : "LMTP";
    }
    if (!extended) return "SMTP";
    return session.secured() ? "ESMTPS" : "ESMTP";
}

smtp::Reply header_refusal(HeaderBlockScanner::State state) {
    if (state == HeaderBlockScanner::State::TooManyFields) {
        return {554, EnhancedStatus{5, 6, 0}, "The message has too many header fields"};
    }
    return {554, EnhancedStatus{5, 6, 0}, "The message's header block is too large"};
}

}  // namespace

bool SessionSettings::is_limited(const world::Endpoint& peer) const {
    auto* ip = std::get_if<world::IpEndpoint>(&peer);
    return ip && std::ranges::none_of(unlimited_networks, [&](const world::IpNetwork& network) {
               return network.contains(ip->address);
           });
}

Session::Session(SessionShard& shard, std::shared_ptr<const SessionSettings> settings,
                 std::shared_ptr<world::Stream> stream, std::unique_ptr<Visit> visit,
                 std::string name, ClientFacts client, ConnectionTable::Place place)
    : shard_(shard),
      settings_(std::move(settings)),
      stream_(std::move(stream)),
      visit_(std::move(visit)),
      smtp_(is_in(settings_->normalise_networks, client.address) ? settings_->smtp_normalising
                                                                 : settings_->smtp),
      name_(std::move(name)),
      facts_(std::move(client)),
      client_(client_text(facts_)),
      connection_(std::move(place)),
      session_deadline_(Deadline::after(shard.world.clock.now(), settings_->session_time_max)),
      limited_(settings_->is_limited(client_endpoint())) {
    place_ = shard_.sessions.insert(shard_.sessions.end(), this);
    decide_rights();
}

Session::~Session() {
    give_block_back();
    shard_.sessions.erase(place_);
}

Task<void> Session::run() {
    shard_.log.write(Event::SessionOpened, {{"session", name_}, {"client", client_}});
    Step step = Step::GoOn;
    if (settings_->tls == SessionSettings::Tls::Implicit) step = co_await shake_hands();
    while (step != Step::End) {
        if (step == Step::GoOn && smtp_.wants_input(input_)) step = Step::Read;
        step = step == Step::Read ? co_await read_more() : co_await take_next();
    }
    sink_.reset();
    if (!goodbye_) stream_->close();
    shard_.log.write(Event::SessionClosed, {{"session", name_},
                                            {"client", client_},
                                            {"helo", helo_},
                                            {"account", account_},
                                            {"messages", static_cast<int64_t>(messages_)},
                                            {"reason", end_reason_}});
}

Task<Session::Step> Session::take_next() {
    smtp::Event event = smtp_.next(input_);
    if (std::get_if<smtp::event::NeedInput>(&event)) {
        co_return Step::Read;
    } else if (auto* chunk = std::get_if<smtp::event::DataChunk>(&event)) {
        co_await data_chunk(chunk->content);
    } else if (auto* mail_from = std::get_if<smtp::event::MailFrom>(&event)) {
        co_await mail(std::move(*mail_from));
    } else if (auto* rcpt_to = std::get_if<smtp::event::RcptTo>(&event)) {
        co_await rcpt(std::move(*rcpt_to));
    } else if (std::get_if<smtp::event::DataRequested>(&event)) {
        co_await data_requested();
    } else if (auto* ended = std::get_if<smtp::event::DataEnded>(&event)) {
        co_await data_ended(*ended);
    } else if (std::get_if<smtp::event::ChunkEnded>(&event)) {
        chunk_ended();
    } else if (auto* spoiled = std::get_if<smtp::event::DataSpoiled>(&event)) {
        shard_.log.write(Event::MessageRefused, {{"id", sink_ ? sink_->id().text() : ""},
                                                 {"session", name_},
                                                 {"client", client_},
                                                 {"reply", spoiled->reply.one_line()}});
        forget_transaction();
    } else if (auto* greeting = std::get_if<smtp::event::Hello>(&event)) {
        hello(*greeting);
    } else if (std::get_if<smtp::event::AuthBegun>(&event) ||
               std::get_if<smtp::event::AuthResponse>(&event)) {
        co_await auth(std::move(event));
    } else if (std::get_if<smtp::event::AuthCancelled>(&event)) {
        visit_->auth_cancelled();
    } else if (std::get_if<smtp::event::TransactionReset>(&event)) {
        forget_transaction();
    } else if (std::get_if<smtp::event::Opened>(&event)) {
        co_await opened();
    } else if (std::get_if<smtp::event::StartTls>(&event)) {
        smtp_.accept();
    } else if (std::get_if<smtp::event::Handshake>(&event)) {
        co_return co_await shake_hands();
    } else if (auto* closed = std::get_if<smtp::event::Closed>(&event)) {
        bool is_last = closed->reason == smtp::event::Reason::Quit && input_.empty();
        if (is_last) stream_->note_farewell();
        if (end_reason_ == "quit") end_reason_ = smtp::text_of(closed->reason);
        co_await flush();
        co_return Step::End;
    } else {
        co_await take_query(std::move(event));
    }
    co_return Step::GoOn;
}

// Writes what is due, then waits for more; holds no memory while nothing comes.
Task<Session::Step> Session::read_more() {
    bool replied = !smtp_.output().empty();
    if (!co_await flush()) co_return Step::End;
    give_block_back();

    bool between = !smtp_.in_transaction() && smtp_.waiting_for() == smtp::WaitingFor::Command;
    if (shard_.draining && between) {
        reached(Situation::ReceiveToldOfStop);
        end_reason_ = "server is stopping";
        smtp_.shut_down({421, EnhancedStatus{4, 3, 2}, "The server is stopping, come again soon"});
        co_return Step::GoOn;
    }
    Deadline deadline = next_deadline(replied);

    // Content that filled a whole block is most likely followed by more.
    bool follows = std::exchange(filled_, false) && in_content_;
    Status<world::NetError> readable;
    if (!follows) {
        idle_ = between;
        readable = co_await stream_->wait_readable(deadline);
        idle_ = false;
    }
    if (goodbye_) co_return Step::End;
    if (readable) {
        block_ = shard_.buffers.take();
        auto got = co_await stream_->read({block_.get(), BufferPool::kBlockOctets}, deadline);
        if (got && *got > 0) {
            input_ = {block_.get(), *got};
            filled_ = *got == BufferPool::kBlockOctets;
            content_octets_ += *got;
            if (!std::exchange(heard_, true) && is_tls_hello()) {
                end_reason_ = "TLS where none is spoken";
                smtp_.shut_down(
                    {421, EnhancedStatus{4, 7, 0}, "This port does not begin with TLS"});
            }
            smtp_.set_time(shard_.world.clock.wall());
            co_return Step::GoOn;
        }
        if (got) {
            if (!between) reached(Situation::ReceiveClientGone);
            end_reason_ = "client ended the connection";
            co_return Step::End;
        }
        readable = std::unexpected(got.error());
    }
    if (readable.error().kind == world::NetError::Kind::TimedOut) {
        reached(Situation::ReceiveTimedOut);
        end_reason_ = smtp_.waiting_for() == smtp::WaitingFor::DataBlock
                          ? "time-out while waiting for content"
                          : "time-out while waiting for a command";
        smtp_.shut_down(smtp_.timeout_reply());
        co_return Step::GoOn;
    }
    if (!between) reached(Situation::ReceiveClientGone);
    end_reason_ = "connection lost";
    co_return Step::End;
}

// Hands the connection to TLS; what was said before is forgotten on both sides.
Task<Session::Step> Session::shake_hands() {
    if (!co_await flush()) co_return Step::End;
    give_block_back();
    world::World& world = shard_.world;
    Deadline deadline =
        std::min(Deadline::after(world.clock.now(), settings_->handshake_time), session_deadline_);
    auto tls = co_await world.tls.accept(stream_, settings_->tls_context, deadline);
    if (!tls) {
        reached(Situation::ReceiveTlsFailed);
        shard_.log.write(Event::TlsFailed, {{"session", name_},
                                            {"client", client_},
                                            {"reason", tls.error().message},
                                            {"offered", tls.error().offered}});
        end_reason_ = "the TLS handshake failed";
        co_return Step::End;
    }
    const world::TlsFacts& facts = (*tls)->facts();
    shard_.log.write(Event::TlsBegun, {{"session", name_},
                                       {"client", client_},
                                       {"version", facts.version},
                                       {"cipher", facts.cipher},
                                       {"group", facts.group},
                                       {"name", facts.server_name},
                                       {"resumed", facts.resumed ? "yes" : "no"}});
    helo_.clear();
    account_.clear();
    forget_transaction();
    visit_->secured(**tls);
    command_deadline_ = Deadline::never();  // begins anew with the next command
    stream_ = std::move(*tls);
    smtp_.handle_secured();
    co_return Step::GoOn;
}

// A reply ends a command (or grants the content); only then does the time begin again. Content may
// come as slowly as its rate allows, and never pauses for longer than data_time.
Deadline Session::next_deadline(bool replied) {
    Monotonic now = shard_.world.clock.now();
    bool was_content =
        std::exchange(in_content_, smtp_.waiting_for() == smtp::WaitingFor::DataBlock);
    if (!in_content_) {
        if (replied || was_content || command_deadline_.is_never()) {
            command_deadline_ = Deadline::after(now, settings_->command_time);
        }
        return std::min(command_deadline_, session_deadline_);
    }
    if (!was_content) {
        content_began_ = now;
        content_octets_ = 0;
    }
    Deadline deadline = Deadline::after(now, settings_->data_time);
    if (settings_->data_rate_min > 0 && limited_) {
        auto earned = std::chrono::seconds(content_octets_ / settings_->data_rate_min);
        deadline =
            std::min(deadline, Deadline::after(content_began_, settings_->data_time + earned));
    }
    return std::min(deadline, session_deadline_);
}

// RFC 8446 §5.1, §4.1.2: a handshake record of version 3.z.
bool Session::is_tls_hello() { return input_.starts_with("\x16\x03"); }

// RFC 5321 §4.3.1: a client waits for the greeting. Programs that only send do not.
Task<bool> Session::speaks_first() {
    if (settings_->greeting_pause <= Duration{} || !limited_) co_return false;
    auto readable = co_await stream_->wait_readable(
        Deadline::after(shard_.world.clock.now(), settings_->greeting_pause));
    if (!readable) co_return false;  // silent, or gone, which the next read will tell
    shard_.log.write(Event::EarlyTalker, {{"session", name_}, {"client", client_}});
    end_reason_ = "spoke before the greeting";
    smtp_.shut_down({554, EnhancedStatus{5, 5, 1}, "You spoke before you were greeted"});
    co_return true;
}

// RFC 5321 §7.3: what tells senders that an address is gone tells others which are there.
Task<void> Session::count_unknown_recipient() {
    world::Endpoint client = client_endpoint();
    auto* ip = std::get_if<world::IpEndpoint>(&client);
    if (!ip || !limited_) co_return;
    auto consequence =
        shard_.history.unknown_recipient(ip->address, settings_->history, shard_.world.clock.now());
    if (consequence.pause > Duration{}) {
        co_await shard_.world.clock.sleep_for(consequence.pause);
    }
    if (!consequence.cut) co_return;
    shard_.log.write(Event::HarvestCut, {{"session", name_}, {"client", client_}});
    end_reason_ = "too many unknown recipients";
    smtp_.shut_down(
        {421, EnhancedStatus{4, 7, 0}, "Too many unknown recipients, come again later"});
}

Task<bool> Session::flush() {
    if (smtp_.output().empty()) co_return true;
    std::array<std::string_view, 1> pieces{smtp_.output()};
    auto written = co_await stream_->write(
        pieces, Deadline::after(shard_.world.clock.now(), settings_->write_time));
    smtp_.clear_output();
    if (written) {
        told_ = messages_;
    } else {
        if (told_ < messages_) reached(Situation::ReceiveReplyLost);
        end_reason_ = written.error().kind == world::NetError::Kind::TimedOut
                          ? "time-out while writing a reply"
                          : "connection lost";
    }
    co_return written.has_value();
}

Task<void> Session::opened() {
    if (settings_->takes_no_mail) {
        smtp_.answer(
            {521, EnhancedStatus{5, 3, 2}, smtp_.options().hostname + " does not accept mail"});
        co_return;
    }
    // Behind XCLIENT it was heard already.
    if (!heard_ && co_await speaks_first()) co_return;
    auto verdict = co_await visit_->greet();
    answer("connect", verdict);
}

void Session::hello(const smtp::event::Hello& greeting) {
    helo_ = std::string(greeting.name);
    visit_->hello(greeting.name, protocol_keyword(smtp_, greeting.extended));
    forget_transaction();
    if (smtp_.options().auth) smtp_.offer_auth(visit_->auth_offer());
    smtp_.accept();
}

Task<void> Session::auth(smtp::Event event) {
    AuthStep step;
    if (auto* begun = std::get_if<smtp::event::AuthBegun>(&event)) {
        step =
            co_await visit_->auth_begin(std::string(begun->mechanism), std::move(begun->initial));
    } else {
        auto& response = std::get<smtp::event::AuthResponse>(event);
        step = co_await visit_->auth_respond(std::move(response.octets));
    }
    if (auto* challenge = std::get_if<AuthChallenge>(&step)) {
        smtp_.challenge(challenge->octets);
    } else if (auto* done = std::get_if<AuthDone>(&step)) {
        account_ = done->account;
        smtp_.accept();
    } else {
        answer("AUTH", std::unexpected(std::get<smtp::Reply>(step)));
    }
}

Task<void> Session::mail(smtp::event::MailFrom mail_from) {
    answer("MAIL", co_await visit_->mail(std::move(mail_from)));
}

Task<void> Session::rcpt(smtp::event::RcptTo rcpt_to) {
    auto verdict = co_await visit_->rcpt(std::move(rcpt_to));
    bool unknown = !verdict && verdict.error().code == 550 &&
                   verdict.error().status == EnhancedStatus{5, 1, 1};
    answer("RCPT", verdict);
    if (unknown) co_await count_unknown_recipient();
}

Task<void> Session::data_requested() {
    auto sink = co_await visit_->data();
    if (!sink) {
        answer("DATA", std::unexpected(sink.error()));
        forget_transaction();
        co_return;
    }
    sink_ = std::move(*sink);
    refusal_.reset();
    header_ = HeaderBlockScanner();
    hops_ = HopCounter();
    header_seen_ = 0;
    smtp_.accept();
}

Task<void> Session::data_chunk(std::string_view content) {
    if (refusal_) co_return;  // the rest is swallowed
    if (header_.state() == HeaderBlockScanner::State::More) {
        refusal_ = look_at_header(content);
        if (refusal_) co_return;
    }
    auto taken = co_await sink_->append(content);
    if (!taken) refusal_ = std::move(taken.error());
}

// Follows the header block; when it is whole, looks at its fields.
std::optional<smtp::Reply> Session::look_at_header(std::string_view content) {
    auto state = header_.feed(content);
    uint64_t before = std::exchange(header_seen_, header_seen_ + content.size());
    if (state == HeaderBlockScanner::State::More) {
        hops_.feed(content);
        return std::nullopt;
    }
    if (state != HeaderBlockScanner::State::Ended) return header_refusal(state);
    sink_->header_ended(header_.header_octets(), header_.body_begin());
    // The end may lie before this piece: where a line began that turned out to be no field.
    if (header_.header_octets() > before) {
        hops_.feed(content.substr(0, header_.header_octets() - before));
    }
    return check_hops();
}

// RFC 5321 §6.3: a message that has gone round too often is in a loop.
std::optional<smtp::Reply> Session::check_hops() const {
    std::size_t hops = hops_.hops();
    if (hops <= settings_->hops_max) return std::nullopt;
    reached(Situation::ReceiveMailLoop);
    return smtp::Reply{
        554, EnhancedStatus{5, 4, 6},
        "The message has passed " + std::to_string(hops) + " hosts already: it is in a mail loop"};
}

// RFC 3030 §2: a chunk is answered by itself, and after a refusal no more of the message comes.
void Session::chunk_ended() {
    if (!refusal_) return smtp_.accept();
    shard_.log.write(Event::MessageRefused, {{"id", sink_->id().text()},
                                             {"session", name_},
                                             {"client", client_},
                                             {"reply", refusal_->one_line()}});
    smtp_.answer(*refusal_);
    forget_transaction();
}

Task<void> Session::data_ended(smtp::event::DataEnded ended) {
    if (!refusal_ && header_.state() == HeaderBlockScanner::State::More) {
        header_.finish();
        sink_->header_ended(header_.header_octets(), header_.body_begin());
        refusal_ = check_hops();
    }
    std::size_t owed = smtp_.answers_owed();
    if (refusal_) {
        shard_.log.write(Event::MessageRefused, {{"id", sink_->id().text()},
                                                 {"session", name_},
                                                 {"client", client_},
                                                 {"reply", refusal_->one_line()}});
        sink_.reset();
        for (std::size_t i = 0; i < owed; i++) smtp_.answer(*refusal_);
    } else {
        ContentFacts facts{.octets = ended.octets,
                           .header_octets = static_cast<uint32_t>(header_.body_begin()),
                           .has_8bit = ended.eight_bit};
        auto replies = co_await sink_->finish(facts);
        if (replies.front().is_positive()) messages_++;
        for (std::size_t i = 0; i < owed; i++) {
            smtp_.answer(replies[std::min(i, replies.size() - 1)]);
        }
    }
    forget_transaction();
}

void Session::answer(std::string_view command, const Status<smtp::Reply>& verdict) {
    if (verdict) {
        smtp_.accept();
        return;
    }
    shard_.log.write(Event::CommandRefused, {{"session", name_},
                                             {"client", client_},
                                             {"command", command},
                                             {"reply", verdict.error().one_line()}});
    smtp_.answer(verdict.error());
}

void Session::forget_transaction() {
    sink_.reset();
    refusal_.reset();
    visit_->reset();
}

void Session::give_block_back() {
    if (block_) shard_.buffers.give(std::move(block_));
    input_ = {};
}

void Session::say_goodbye_if_idle() {
    if (!idle_ || goodbye_) return;
    reached(Situation::ReceiveToldOfStop);
    goodbye_ = true;
    end_reason_ = "server is stopping";
    auto goodbye = [](world::World& world, std::shared_ptr<world::Stream> stream,
                      std::string hostname) -> Task<void> {
        std::string line =
            smtp::Reply{421, EnhancedStatus{4, 3, 2}, hostname + " is stopping, come again soon"}
                .wire();
        std::array<std::string_view, 1> pieces{line};
        // The client may be gone already: then there is nobody to tell.
        (void)co_await stream->write(pieces,
                                     Deadline::after(world.clock.now(), std::chrono::seconds(5)));
        stream->close();
    };
    shard_.world.executor.spawn(goodbye(shard_.world, stream_, smtp_.options().hostname));
}

}  // namespace postrider::receive
