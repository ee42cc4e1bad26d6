#include "daemon/dispatcher.h"

#include <algorithm>
#include <map>

#include "base/situation.h"
#include "deliver/pipe.h"
#include "mail/header.h"

namespace postrider::daemon {

namespace {

// Whose share of the queue a message takes.
std::string sender_of(const Envelope& envelope) {
    if (!envelope.client.account.empty()) return envelope.client.account;
    const ReversePath& path = envelope.variants.front().reverse_path;
    return path.is_null() ? std::string("<>") : path.mailbox->domain;
}

// The domain of all these recipients; empty if they have several.
std::string_view domain_of(const Envelope& envelope, const std::vector<uint32_t>& recipients) {
    std::string_view domain = envelope.recipient(recipients.front()).mailbox.domain;
    bool one = std::ranges::all_of(recipients, [&](uint32_t number) {
        return envelope.recipient(number).mailbox.domain == domain;
    });
    return one ? domain : std::string_view();
}

bool was_delivered_to(std::string_view header, const Mailbox& mailbox) {
    HeaderReader reader(header);
    while (auto field = reader.next()) {
        if (!field->is_named("Delivered-To")) continue;
        auto before = Mailbox::parse(unfolded(field->value), AddressForm::Utf8);
        if (before && before->text() == mailbox.text()) return true;
    }
    return false;
}

}  // namespace

Dispatcher::Dispatcher(world::World& world, spool::Spool& spool, MemoryAccount& account,
                       SettingsSource& settings, Reporter& reporter, SuppressionList& suppression,
                       queue::Options options, AttemptLogOptions attempts,
                       DeliveryObserver observer)
    : world_(world),
      spool_(spool),
      account_(account),
      settings_(settings),
      reporter_(reporter),
      suppression_(suppression),
      observer_(std::move(observer)),
      scheduler_(std::move(options)),
      onward_(world, settings),
      attempts_(world, std::move(attempts)),
      ended_(world.executor, world.clock) {
    attempts_.start();
}

Dispatcher::~Dispatcher() = default;

void Dispatcher::accept(std::shared_ptr<const spool::StoredMessage> message) {
    auto take = [this, message = std::move(message)]() mutable {
        MessageId id = message->envelope.id;
        MemoryCharge charge(account_);
        std::size_t octets = message->inline_content ? message->inline_content->size() : 0;
        // What is held, or is for a site that does not answer, waits on disk.
        Enqueued queued = enqueue(*message, /*age=*/{}, std::nullopt);
        bool keep = queued.soon && account_.is_roomy() && !forced(Switch::DaemonContentNotKept) &&
                    charge.grow_to(octets);
        if (keep) kept_.emplace(id, Kept{std::move(message), std::move(charge), queued.entries});
        wake();
    };
    if (world_.executor.current_shard() == 0) {
        take();
    } else {
        world_.executor.post_to(0, std::move(take));
    }
}

// Puts the waiting recipients into the queue, one entry per site.
Dispatcher::Enqueued Dispatcher::enqueue(const spool::StoredMessage& message, Duration age,
                                         std::optional<Wall> due) {
    auto settings = settings_.now();
    using Site = std::pair<std::string, queue::SiteKind>;
    std::map<Site, std::vector<uint32_t>> sites;
    uint32_t attempts = 0;
    bool noticed = false;
    for (uint32_t number = 0; number < message.recipients.size(); number++) {
        const spool::Standing& standing = message.recipients[number];
        if (is_final(standing.state)) continue;
        const Recipient& recipient = message.envelope.recipient(number);
        Destination destination = settings->destination(recipient.mailbox);
        bool remote = std::holds_alternative<RemoteDestination>(destination) ||
                      std::holds_alternative<StaticDestination>(destination);
        // Recipients with one site key share limits and a turn; a program has its own.
        std::string key = Onward::is_onward(destination) ? onward_.site_of(destination)
                          : std::holds_alternative<PipeDestination>(destination) ? text(destination)
                                                                                 : "local";
        sites[{std::move(key), remote ? queue::SiteKind::Remote : queue::SiteKind::Local}]
            .push_back(number);
        attempts = std::max(attempts, standing.attempts);
        noticed = noticed || standing.delay_told;
    }
    std::string sender = sender_of(message.envelope);
    Monotonic now = world_.clock.now();
    Moments moments = moments_of(message, age);
    Enqueued queued{.entries = static_cast<int>(sites.size())};
    for (const auto& [site, recipients] : sites) {
        queued.soon |= !moments.held_until && !scheduler_.is_suspended(site.first, now);
        Monotonic at =
            due ? queue::monotonic_due(*due, world_.clock.wall(), now,
                                       queue::longest_delay(scheduler_.options().of(site.second)))
                : now;
        if (moments.held_until) at = std::max(at, *moments.held_until);
        queue::Handle handle = scheduler_.add({.message = message.envelope.id,
                                               .recipients = recipients,
                                               .site = site.first,
                                               .kind = site.second,
                                               .sender = sender,
                                               .priority = message.envelope.priority,
                                               .due = at,
                                               .age = moments.age,
                                               .attempts = attempts,
                                               .noticed = noticed,
                                               .lifetime = moments.lifetime,
                                               .notice_after = moments.notice_after},
                                              now);
        domains_.note(handle, domain_of(message.envelope, recipients));
    }
    return queued;
}

void Dispatcher::wake() {
    if (pumping_ || stopping_) return;
    pumping_ = true;
    world_.executor.post_to(0, [this] {
        pumping_ = false;
        pump();
    });
}

void Dispatcher::reconfigure(queue::Options options) {
    scheduler_.reconfigure(std::move(options), world_.clock.now());
    wake();
}

void Dispatcher::pump() {
    while (!stopping_) {
        queue::Decision decision = scheduler_.next(world_.clock.now());
        if (auto* job = std::get_if<queue::Job>(&decision)) {
            start(run_job(std::move(*job)));
        } else if (auto* expire = std::get_if<queue::Expire>(&decision)) {
            start(run_expire(std::move(*expire)));
        } else if (auto* notice = std::get_if<queue::DelayNotice>(&decision)) {
            start(run_notice(std::move(*notice)));
        } else if (auto* sleep = std::get_if<queue::SleepUntil>(&decision)) {
            if (!timer_ || timer_at_ != sleep->at) {
                timer_at_ = sleep->at;
                timer_ = world_.clock.call_at(sleep->at, [this] { wake(); });
            }
            return;
        } else {
            timer_.reset();
            return;
        }
    }
}

void Dispatcher::start(Task<void> work) {
    running_++;
    auto run = [](Dispatcher& self, Task<void> inner) -> Task<void> {
        co_await std::move(inner);
        self.running_--;
        self.ended_.notify_all();
        self.wake();
    };
    world_.executor.spawn(run(*this, std::move(work)));
}

Task<void> Dispatcher::run_job(queue::Job job) {
    if (waits_for_trial(job)) co_return;
    bool passing = false;
    auto message = co_await load(job.message, &passing);
    if (!message) {
        not_loaded(job, passing);
        co_return;
    }
    if (put_back_if_held(job, *message)) co_return;
    if (is_too_late(message->envelope)) {
        co_return co_await give_back_late(job, *message);
    }
    auto settings = settings_.now();
    Destination destination =
        settings->destination(message->envelope.recipient(job.recipients.front()).mailbox);
    std::string site(job.site);
    if (Onward::is_onward(destination)) {
        Work work{std::move(job), std::move(site), std::move(message), {}};
        leave_out_suppressed(work);
        co_await run_onward(std::move(work), std::move(destination));
    } else if (co_await may_try(job)) {
        WorkDone done{.results = co_await attempt_here(job, message)};
        co_await settle(job, std::move(site), *message, std::move(done));
    }
}

Task<void> Dispatcher::run_onward(Work work, Destination destination) {
    if (work.job.recipients.empty()) {
        co_await settle(work.job, work.site, *work.message, {.results = std::move(work.known)});
        co_return;
    }
    auto way = co_await onward_.way_to(std::move(destination));
    if (way->failure) {
        reached(Situation::DaemonNoWay);
        WorkDone done{.results = std::move(work.known)};
        for (uint32_t number : work.job.recipients) {
            done.results.push_back(*way->failure);
            done.results.back().recipient = number;
        }
        co_await settle(work.job, work.site, *work.message, std::move(done));
    } else if (way->site != work.site) {
        // Its hosts are known now, and with them whose limits count.
        auto kind =
            way->mode == smtp::ClientMode::Lmtp ? queue::SiteKind::Local : queue::SiteKind::Remote;
        scheduler_.move_to(work.job.handle, way->site, kind, world_.clock.now());
    } else if (co_await may_try(work.job)) {
        co_await find_loops(work);
        if (work.job.recipients.empty()) {
            co_await settle(work.job, work.site, *work.message, {.results = std::move(work.known)});
        } else {
            co_await onward_.run(std::move(work), std::move(way), *this);
        }
    }
}

// Takes recipients out of the job that are forwarded by an address which has forwarded this message
// before.
Task<void> Dispatcher::find_loops(Work& work) {
    const Envelope& envelope = work.message->envelope;
    std::vector<uint32_t> others;
    std::optional<std::string> header;
    for (uint32_t number : work.job.recipients) {
        const auto& named = envelope.recipient(number).original;
        bool forwarded = envelope.variant_of(number).prefix.starts_with("Delivered-To:");
        if (forwarded && !header) {
            header = co_await spool::read_beginning(*work.message, world_.disk,
                                                    work.message->header_octets);
        }
        if (!forwarded || !named || !was_delivered_to(*header, *named)) {
            others.push_back(number);
            continue;
        }
        reached(Situation::DaemonMailLoop);
        work.known.push_back(
            {.recipient = number,
             .verdict = RecipientResult::Verdict::Permanent,
             .status = {5, 4, 6},
             .reason = "mail loop: " + named->text() + " has forwarded this message before"});
    }
    work.job.recipients = std::move(others);
}

Task<std::optional<Work>> Dispatcher::finish(Work work, WorkDone done, bool wants_more) {
    done.results.insert(done.results.end(), work.known.begin(), work.known.end());
    co_await settle(work.job, work.site, *work.message, std::move(done));
    while (wants_more && !stopping_) {
        auto job = scheduler_.next_on(work.site, world_.clock.now());
        if (!job) break;
        if (waits_for_trial(*job)) continue;
        bool passing = false;
        auto message = co_await load(job->message, &passing);
        if (!message) {
            not_loaded(*job, passing);
            continue;
        }
        if (put_back_if_held(*job, *message)) continue;
        if (is_too_late(message->envelope)) {
            co_await give_back_late(*job, *message);
            continue;
        }
        if (!co_await may_try(*job)) continue;
        Work next{std::move(*job), work.site, std::move(message), {}};
        leave_out_suppressed(next);
        co_await find_loops(next);
        if (!next.job.recipients.empty()) co_return next;
        co_await settle(next.job, next.site, *next.message, {.results = std::move(next.known)});
    }
    co_return std::nullopt;
}

// A message that is gone or set aside leaves the queue: the spool has told the operator. What the
// disk does not give now stays.
void Dispatcher::not_loaded(const queue::Job& job, bool passing) {
    end_trial(job.message);
    Monotonic now = world_.clock.now();
    if (passing) {
        reached(Situation::DaemonUnreadableForNow);
        scheduler_.put_back(job.handle, now + kReadAgain, now);
    } else {
        scheduler_.give_up_job(job.handle, now);
        let_go(job.message);
    }
}

Task<std::shared_ptr<const spool::StoredMessage>> Dispatcher::load(MessageId id, bool* passing) {
    if (auto found = kept_.find(id); found != kept_.end()) co_return found->second.message;
    auto read = co_await spool_.read(id);
    if (read) co_return *read;
    if (read.error().kind != spool::SpoolError::Kind::NotFound) {
        world_.log.write(Event::MessageUnreadable,
                         {{"id", id.text()}, {"reason", read.error().message}});
    }
    if (passing) *passing = read.error().kind == spool::SpoolError::Kind::DiskFailing;
    co_return nullptr;
}

Task<std::vector<RecipientResult>> Dispatcher::attempt_here(
    const queue::Job& job, std::shared_ptr<const spool::StoredMessage> message) {
    auto settings = settings_.now();
    std::vector<RecipientResult> results;
    results.reserve(job.recipients.size());
    for (uint32_t number : job.recipients) {
        results.push_back(co_await attempt_one(message, number, *settings, job.attempt > 1));
    }
    co_return results;
}

Task<RecipientResult> Dispatcher::attempt_one(std::shared_ptr<const spool::StoredMessage> message,
                                              uint32_t recipient, const Settings& settings,
                                              bool repeated) {
    Destination destination = settings.destination_of(message->envelope, recipient);
    if (auto* maildir = std::get_if<MaildirDestination>(&destination)) {
        co_return co_await deliver::deliver_to_maildir(
            world_, {.envelope = std::shared_ptr<const Envelope>(message, &message->envelope),
                     .content = spool::open_content(*message, world_.disk),
                     .recipient = recipient,
                     .directory = maildir->path,
                     .host = settings.hostname,
                     .line_end = settings.maildir_line_end,
                     .repeated = repeated || message->recipients[recipient].attempts > 0 ||
                                 !kept_.contains(message->envelope.id)});
    }
    if (auto* pipe = std::get_if<PipeDestination>(&destination)) {
        co_return co_await deliver::deliver_to_pipe(
            world_, {.envelope = std::shared_ptr<const Envelope>(message, &message->envelope),
                     .content = spool::open_content(*message, world_.disk),
                     .recipient = recipient,
                     .command = pipe->command,
                     .delimiters = settings.recipient_delimiter});
    }
    RecipientResult none{.recipient = recipient, .verdict = RecipientResult::Verdict::Permanent};
    if (auto* nowhere = std::get_if<NoDestination>(&destination)) {
        none.status = nowhere->status;
        none.reason = nowhere->reason;
        none.kind = FailureKind::Mailbox;
    } else {  // the configuration has changed since the job was made
        none.verdict = RecipientResult::Verdict::Temporary;
        none.status = {4, 3, 5};
        none.reason = "the way to this mailbox has changed";
    }
    co_return none;
}

// Of what another host said the spool keeps the text, which begins with the code.
RecipientResult Dispatcher::last_result(const spool::StoredMessage& message,
                                        uint32_t number) const {
    const spool::Standing& standing = message.recipients[number];
    RecipientResult result{
        .recipient = number, .status = standing.status, .reason = standing.reason};
    const Mailbox& mailbox = message.envelope.recipient(number).mailbox;
    std::string_view code = std::string_view(standing.reason).substr(0, 3);
    bool is_code = code.size() == 3 && (code[0] == '4' || code[0] == '5') &&
                   std::ranges::all_of(code, [](char c) { return c >= '0' && c <= '9'; });
    if (is_code && Onward::is_onward(settings_.now()->destination(mailbox))) {
        result.reply_code = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    }
    return result;
}

Task<void> Dispatcher::run_expire(queue::Expire expire) {
    bool passing = false;
    auto message = co_await load(expire.message, &passing);
    if (passing) {
        Monotonic now = world_.clock.now();
        scheduler_.put_back(expire.handle, now + kReadAgain, now);
        co_return;
    }
    if (message) {
        std::vector<RecipientResult> results;
        results.reserve(expire.recipients.size());
        for (uint32_t number : expire.recipients) {
            RecipientResult result = last_result(*message, number);
            result.kind = expire.last;
            result.status = {4, 4, 7};
            if (result.reason.empty()) {
                result.reason = "the message could not be delivered in time";
            }
            results.push_back(std::move(result));
        }
        co_await give_up(*message, std::move(results), expire.attempts);
    }
    scheduler_.remove(expire.handle, world_.clock.now());
    let_go(expire.message);
}

Task<void> Dispatcher::run_notice(queue::DelayNotice notice) {
    auto message = co_await load(notice.message);
    if (!message) co_return;
    std::vector<RecipientResult> results;
    std::vector<RecipientChange> changes;
    for (uint32_t number : notice.recipients) {
        const spool::Standing& standing = message->recipients[number];
        results.push_back(last_result(*message, number));
        changes.push_back({.id = notice.message,
                           .recipient = number,
                           .status = standing.status,
                           .reason = standing.reason,
                           .attempts = standing.attempts,
                           .next_attempt = standing.next_attempt,
                           .at = world_.clock.wall()});
    }
    co_await tell_of_delay(*message, notice.handle, std::move(results), std::move(changes));
}

// One entry of the queue no longer needs the content in memory.
void Dispatcher::let_go(MessageId id) {
    auto found = kept_.find(id);
    if (found != kept_.end() && --found->second.entries <= 0) kept_.erase(found);
}

Task<void> Dispatcher::stop(Deadline deadline) {
    stopping_ = true;
    timer_.reset();
    onward_.close_idle();
    if (running_ > 0) reached(Situation::DaemonStopWithJobs);
    while (running_ > 0) {
        if (!co_await ended_.wait(deadline)) {
            reached(Situation::DaemonStopCutShort);
            break;
        }
    }
    co_await attempts_.close(deadline);
}

}  // namespace postrider::daemon
