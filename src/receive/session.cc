#include "receive/session.h"

#include <array>

namespace postrider::receive {

namespace {

std::string_view protocol_keyword(const smtp::ServerSession& session, bool extended) {
    if (session.options().protocol == smtp::Protocol::Lmtp) return "LMTP";
    return extended ? "ESMTP" : "SMTP";
}

smtp::Reply header_refusal(HeaderBlockScanner::State state) {
    if (state == HeaderBlockScanner::State::TooManyFields) {
        return {554, EnhancedStatus{5, 6, 0}, "The message has too many header fields"};
    }
    return {554, EnhancedStatus{5, 6, 0}, "The message's header block is too large"};
}

}  // namespace

Session::Session(SessionShard& shard, std::shared_ptr<const SessionSettings> settings,
                 std::shared_ptr<world::Stream> stream, std::unique_ptr<Visit> visit,
                 std::string name, std::string client)
    : shard_(shard),
      settings_(std::move(settings)),
      stream_(std::move(stream)),
      visit_(std::move(visit)),
      smtp_([this] {
          if (auto* ip = std::get_if<world::IpEndpoint>(&stream_->peer())) {
              for (const auto& network : settings_->normalise_networks) {
                  if (network.contains(ip->address)) return settings_->smtp_normalising;
              }
          }
          return settings_->smtp;
      }()),
      name_(std::move(name)),
      client_(std::move(client)),
      session_deadline_(Deadline::after(shard.world.clock.now(), settings_->session_time_max)) {
    place_ = shard_.sessions.insert(shard_.sessions.end(), this);
}

Session::~Session() {
    give_block_back();
    shard_.sessions.erase(place_);
}

Task<void> Session::run() {
    shard_.log.write(Event::SessionOpened, {{"session", name_}, {"client", client_}});
    Step step = Step::GoOn;
    while (step == Step::GoOn) step = co_await take(smtp_.next(input_));
    sink_.reset();
    if (!goodbye_) stream_->close();
    shard_.log.write(Event::SessionClosed, {{"session", name_},
                                            {"client", client_},
                                            {"helo", helo_},
                                            {"messages", static_cast<int64_t>(messages_)},
                                            {"reason", end_reason_}});
}

Task<Session::Step> Session::take(smtp::Event event) {
    if (std::get_if<smtp::event::NeedInput>(&event)) {
        co_return co_await read_more();
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
    } else if (auto* spoiled = std::get_if<smtp::event::DataSpoiled>(&event)) {
        shard_.log.write(Event::MessageRefused, {{"id", sink_ ? sink_->id().text() : ""},
                                                 {"session", name_},
                                                 {"client", client_},
                                                 {"reply", spoiled->reply.one_line()}});
        forget_transaction();
    } else if (auto* greeting = std::get_if<smtp::event::Hello>(&event)) {
        hello(*greeting);
    } else if (std::get_if<smtp::event::TransactionReset>(&event)) {
        forget_transaction();
    } else if (std::get_if<smtp::event::Opened>(&event)) {
        co_await opened();
    } else if (std::get_if<smtp::event::Verify>(&event)) {
        smtp_.accept();
    } else if (auto* closed = std::get_if<smtp::event::Closed>(&event)) {
        if (end_reason_ == "quit") end_reason_ = smtp::text_of(closed->reason);
        co_await flush();
        co_return Step::End;
    }
    co_return Step::GoOn;
}

// Writes what is due, then waits for more; holds no memory while nothing comes.
Task<Session::Step> Session::read_more() {
    world::Clock& clock = shard_.world.clock;
    if (!co_await flush()) co_return Step::End;
    give_block_back();

    bool between = !smtp_.in_transaction() && smtp_.waiting_for() == smtp::WaitingFor::Command;
    if (shard_.draining && between) {
        end_reason_ = "server is stopping";
        smtp_.shut_down({421, EnhancedStatus{4, 3, 2}, "The server is stopping, come again soon"});
        co_return Step::GoOn;
    }
    Duration patience = smtp_.waiting_for() == smtp::WaitingFor::DataBlock
                            ? settings_->data_time
                            : settings_->command_time;
    Deadline deadline = std::min(Deadline::after(clock.now(), patience), session_deadline_);

    idle_ = between;
    auto readable = co_await stream_->wait_readable(deadline);
    idle_ = false;
    if (goodbye_) co_return Step::End;
    if (readable) {
        block_ = shard_.buffers.take();
        auto got = co_await stream_->read({block_.get(), BufferPool::kBlockOctets}, deadline);
        if (got && *got > 0) {
            input_ = {block_.get(), *got};
            co_return Step::GoOn;
        }
        if (got) {
            end_reason_ = "client ended the connection";
            co_return Step::End;
        }
        readable = std::unexpected(got.error());
    }
    if (readable.error().kind == world::NetError::Kind::TimedOut) {
        end_reason_ = smtp_.waiting_for() == smtp::WaitingFor::DataBlock
                          ? "time-out while waiting for content"
                          : "time-out while waiting for a command";
        smtp_.shut_down(smtp_.timeout_reply());
        co_return Step::GoOn;
    }
    end_reason_ = "connection lost";
    co_return Step::End;
}

Task<bool> Session::flush() {
    if (smtp_.output().empty()) co_return true;
    std::array<std::string_view, 1> pieces{smtp_.output()};
    auto written = co_await stream_->write(
        pieces, Deadline::after(shard_.world.clock.now(), settings_->write_time));
    smtp_.clear_output();
    if (!written) {
        end_reason_ = written.error().kind == world::NetError::Kind::TimedOut
                          ? "time-out while writing a reply"
                          : "connection lost";
    }
    co_return written.has_value();
}

Task<void> Session::opened() {
    auto verdict = co_await visit_->greet();
    answer("connect", verdict);
}

void Session::hello(const smtp::event::Hello& greeting) {
    helo_ = std::string(greeting.name);
    visit_->hello(greeting.name, protocol_keyword(smtp_, greeting.extended));
    forget_transaction();
    smtp_.accept();
}

Task<void> Session::mail(smtp::event::MailFrom mail_from) {
    answer("MAIL", co_await visit_->mail(std::move(mail_from)));
}

Task<void> Session::rcpt(smtp::event::RcptTo rcpt_to) {
    answer("RCPT", co_await visit_->rcpt(std::move(rcpt_to)));
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
    return smtp::Reply{
        554, EnhancedStatus{5, 4, 6},
        "The message has passed " + std::to_string(hops) + " hosts already: it is in a mail loop"};
}

Task<void> Session::data_ended(smtp::event::DataEnded ended) {
    if (!refusal_ && header_.state() == HeaderBlockScanner::State::More) {
        header_.finish();
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
