#include "daemon/river.h"

#include <algorithm>

#include "base/situation.h"
#include "daemon/operator_commands.h"
#include "daemon/options_of.h"

namespace postrider::daemon {

namespace {

constexpr std::size_t kFilesForOthers = 1500;
constexpr Duration kRecoverAgain = std::chrono::seconds(10);

}  // namespace

Task<Result<std::unique_ptr<River>>> River::open(world::World& world, RiverOptions options) {
    std::unique_ptr<River> river(new River(world, std::move(options)));
    if (auto loaded = co_await river->certificates_.load(river->config_); !loaded) {
        co_return fail("TLS: " + loaded.error().message);
    }
    river->settings_.replace(
        settings_of(*river->config_, world.net.own_addresses(), river->certificates_.contexts()));
    if (auto opened = co_await river->open_spool(); !opened) {
        co_return std::unexpected(opened.error());
    }
    co_await river->keys_.load();
    if (auto read = co_await river->suppression_.load(); !read) {
        world.log.write(Event::SuppressionNotRead, {{"reason", read.error().message}});
    }
    co_await river->accounts_.load(river->config_);
    MessageId floor = river->opened_.highest_id;
    river->reporter_ = std::make_unique<Reporter>(world, river->settings_, river->keys_, floor);
    river->dispatcher_ = std::make_unique<Dispatcher>(
        world, *river->spool_, river->account_, river->settings_, *river->reporter_,
        river->suppression_, queue_options(*river->config_), attempt_log_options(*river->config_),
        river->options_.observer);
    river->intake_ = std::make_unique<Intake>(world, *river->spool_, river->account_,
                                              river->settings_, *river->dispatcher_, river->keys_,
                                              river->rows_, river->accounts_, floor);
    river->recovering_ = true;
    world.executor.spawn(river->recover());
    if (auto listening = river->listen(); !listening) {
        co_await river->stop(Deadline::after(world.clock.now(), std::chrono::seconds(10)));
        co_return std::unexpected(listening.error());
    }
    if (!river->config_->drop_directory.empty()) {
        river->drop_ =
            std::make_unique<receive::Drop>(world, *river->intake_, drop_options(*river->config_));
        river->drop_->start();
    }
    river->certificates_.watch([raw = river.get()] { raw->put_in_force(); });
    co_return river;
}

River::River(world::World& world, RiverOptions options)
    : world_(world),
      options_(std::move(options)),
      config_(options_.config),
      account_(config_->memory_max),
      certificates_(world),
      settings_(nullptr),
      keys_(world, config_->data_directory + "/dkim"),
      rows_(world, dmarc_rows_options(*config_)),
      suppression_(world, suppression_options(*config_)),
      accounts_(world, *config_, options_.sql),
      still_(world.executor, world.clock) {}

River::~River() = default;

Task<Status<Error>> River::open_spool() {
    auto opened = co_await spool::Spool::open(world_, spool_options(*config_), opened_);
    if (!opened) co_return fail("spool: " + opened.error().message);
    spool_ = std::move(*opened);
    co_return Status<Error>{};
}

// Whatever the disk refuses: what was accepted must not wait for the next start.
Task<void> River::recover() {
    while (!stopping_) {
        auto recovered = co_await spool_->recover();
        if (recovered) {
            dispatcher_->recover(std::move(recovered->messages), opened_.clean_stop);
            break;
        }
        if (stopping_) break;
        world_.log.write(Event::SpoolNotRecovered, {{"reason", recovered.error().message}});
        reached(Situation::DaemonRecoveryRepeated);
        co_await still_.wait(Deadline::after(world_.clock.now(), kRecoverAgain));
    }
    recovering_ = false;
    still_.notify_all();
}

// So many descriptors are left for what sessions are there for: deliveries, files, DNS. A client
// too many hears 421; without descriptors nothing could be said to it.
std::shared_ptr<const receive::SessionSettings> River::sessions_of(const ListenerConfig& listener) {
    auto settings = session_settings(*config_, listener, certificates_.contexts());
    std::size_t files = options_.open_files_max;
    std::size_t left = files - std::min<std::size_t>(files / 4, kFilesForOthers);
    if (files == 0 || settings->connections.in_all <= left) return settings;
    auto fewer = std::make_shared<receive::SessionSettings>(*settings);
    fewer->connections.in_all = left;
    return fewer;
}

Status<Error> River::listen() {
    for (const ListenerConfig& wanted : config_->listeners) {
        std::string name = world::text(wanted.address);
        std::unique_ptr<world::Listener> listener;
        auto adopted = std::ranges::find_if(options_.adopted, [&](const auto& given) {
            return given && given->local() == wanted.address;
        });
        if (adopted != options_.adopted.end()) {
            listener = std::move(*adopted);
        } else {
            auto made = world_.net.listen(wanted.address, {.unix_mode = 0660});
            if (!made) return fail("listener " + name + ": " + made.error().message);
            listener = std::move(*made);
        }
        auto server = std::make_unique<receive::Server>(world_, intake_->door(wanted.kind), name,
                                                        opened_.highest_id);
        auto started = server->start(std::move(listener), sessions_of(wanted));
        if (!started) return fail("listener " + name + ": " + started.error().message);
        world_.log.write(Event::Listening, {{"listener", world::text(server->local())}});
        servers_.push_back(std::move(server));
    }
    if (config_->admin.socket.empty()) return {};
    admin_ = std::make_unique<admin::Server>(world_, operator_commands(*this, options_.reload));
    return admin_->start(config_->admin.socket, static_cast<uint32_t>(config_->admin.mode));
}

Task<Status<Error>> River::reload(std::shared_ptr<const Config> next) {
    auto refuse = [](std::string_view what) {
        return fail(std::string(what) + " changed: that needs a restart; nothing was reloaded");
    };
    const Config& now = *config_;
    if (next->data_directory != now.data_directory) co_return refuse("data_directory");
    if (next->drop_directory != now.drop_directory) co_return refuse("drop_directory");
    if (next->shards != now.shards) co_return refuse("shards");
    if (next->memory_max != now.memory_max) co_return refuse("memory_max");
    if (next->admin.socket != now.admin.socket) co_return refuse("admin.socket");
    if (next->spool.segment_octets != now.spool.segment_octets)
        co_return refuse("spool.segment_size");
    bool same = std::ranges::equal(
        next->listeners, now.listeners, [](const ListenerConfig& a, const ListenerConfig& b) {
            return a.address == b.address && a.protocol == b.protocol && a.kind == b.kind;
        });
    if (!same) co_return refuse("the list of listeners");

    if (auto loaded = co_await certificates_.load(next); !loaded) {
        co_return fail("TLS: " + loaded.error().message + "; nothing was reloaded");
    }

    config_ = std::move(next);
    put_in_force();
    dispatcher_->reconfigure(queue_options(*config_));
    dispatcher_->attempts().reconfigure(attempt_log_options(*config_));
    rows_.reconfigure(dmarc_rows_options(*config_));
    suppression_.reconfigure(suppression_options(*config_));
    world_.executor.spawn(keys_.load());
    world_.executor.spawn(accounts_.load(config_));
    world_.log.write(Event::Reloaded, {});
    co_return Status<Error>{};
}

// For clients that come and attempts that begin from now on.
void River::put_in_force() {
    const TlsContexts& tls = certificates_.contexts();
    settings_.replace(settings_of(*config_, world_.net.own_addresses(), tls));
    for (std::size_t i = 0; i < servers_.size(); i++) {
        servers_[i]->replace(sessions_of(config_->listeners[i]));
    }
}

Task<void> River::stop(Deadline deadline) {
    world_.log.write(Event::Stopping, {});
    stopping_ = true;
    still_.notify_all();
    for (auto& server : servers_) server->begin_drain();
    for (auto& server : servers_) co_await server->drained(deadline);
    if (drop_) co_await drop_->stop(deadline);
    if (dispatcher_) co_await dispatcher_->stop(deadline);
    co_await rows_.close(deadline);
    co_await certificates_.stop(deadline);
    co_await suppression_.close(deadline);
    co_await accounts_.last_use().flush();
    if (spool_) co_await spool_->close();
    while (recovering_) co_await still_.wait(Deadline::never());
    if (admin_) admin_->close();
    world_.log.write(Event::Stopped, {});
}

std::vector<world::Endpoint> River::listening() const {
    std::vector<world::Endpoint> endpoints;
    endpoints.reserve(servers_.size());
    for (const auto& server : servers_) endpoints.push_back(server->local());
    return endpoints;
}

std::size_t River::session_count() const {
    std::size_t count = 0;
    for (const auto& server : servers_) count += server->session_count();
    return count;
}

}  // namespace postrider::daemon
