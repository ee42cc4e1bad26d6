#include "daemon/river.h"

#include <algorithm>

#include "daemon/operator_commands.h"
#include "daemon/options_of.h"

namespace postrider::daemon {

Task<Result<std::unique_ptr<River>>> River::open(world::World& world, RiverOptions options) {
    std::unique_ptr<River> river(new River(world, std::move(options)));
    if (auto opened = co_await river->open_spool(); !opened) {
        co_return std::unexpected(opened.error());
    }
    MessageId floor = river->recovered_.report.highest_id;
    river->reporter_ = std::make_unique<Reporter>(world, river->settings_, floor);
    river->dispatcher_ = std::make_unique<Dispatcher>(
        world, *river->spool_, river->account_, river->settings_, *river->reporter_,
        queue_options(*river->config_), river->options_.observer);
    river->intake_ = std::make_unique<Intake>(world, *river->spool_, river->account_,
                                              river->settings_, *river->dispatcher_, floor);
    river->dispatcher_->recover(std::move(river->recovered_.messages),
                                river->recovered_.report.clean_stop);
    if (auto listening = river->listen(); !listening) {
        co_await river->stop(Deadline::after(world.clock.now(), std::chrono::seconds(10)));
        co_return std::unexpected(listening.error());
    }
    if (!river->config_->drop_directory.empty()) {
        river->drop_ =
            std::make_unique<receive::Drop>(world, *river->intake_, drop_options(*river->config_));
        river->drop_->start();
    }
    co_return river;
}

River::River(world::World& world, RiverOptions options)
    : world_(world),
      options_(std::move(options)),
      config_(options_.config),
      account_(config_->memory_max),
      settings_(settings_of(*config_, world.net.own_addresses())) {}

River::~River() = default;

Task<Status<Error>> River::open_spool() {
    auto opened = co_await spool::Spool::open(world_, spool_options(*config_), recovered_);
    if (!opened) co_return fail("spool: " + opened.error().message);
    spool_ = std::move(*opened);
    co_return Status<Error>{};
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
        auto server =
            std::make_unique<receive::Server>(world_, *intake_, name, recovered_.report.highest_id);
        auto started = server->start(std::move(listener), session_settings(*config_, wanted));
        if (!started) return fail("listener " + name + ": " + started.error().message);
        world_.log.write(Event::Listening, {{"listener", world::text(server->local())}});
        servers_.push_back(std::move(server));
    }
    if (config_->admin.socket.empty()) return {};
    admin_ = std::make_unique<admin::Server>(world_, operator_commands(*this, options_.reload));
    return admin_->start(config_->admin.socket, static_cast<uint32_t>(config_->admin.mode));
}

Status<Error> River::reload(std::shared_ptr<const Config> next) {
    auto refuse = [](std::string_view what) {
        return fail(std::string(what) + " changed: that needs a restart; nothing was reloaded");
    };
    const Config& now = *config_;
    if (next->data_directory != now.data_directory) return refuse("data_directory");
    if (next->drop_directory != now.drop_directory) return refuse("drop_directory");
    if (next->shards != now.shards) return refuse("shards");
    if (next->memory_max != now.memory_max) return refuse("memory_max");
    if (next->admin.socket != now.admin.socket) return refuse("admin.socket");
    if (next->spool.segment_octets != now.spool.segment_octets) return refuse("spool.segment_size");
    bool same = std::ranges::equal(next->listeners, now.listeners,
                                   [](const ListenerConfig& a, const ListenerConfig& b) {
                                       return a.address == b.address && a.protocol == b.protocol;
                                   });
    if (!same) return refuse("the list of listeners");

    config_ = std::move(next);
    settings_.replace(settings_of(*config_, world_.net.own_addresses()));
    dispatcher_->reconfigure(queue_options(*config_));
    for (std::size_t i = 0; i < servers_.size(); i++) {
        servers_[i]->replace(session_settings(*config_, config_->listeners[i]));
    }
    world_.log.write(Event::Reloaded, {});
    return {};
}

Task<void> River::stop(Deadline deadline) {
    world_.log.write(Event::Stopping, {});
    for (auto& server : servers_) server->begin_drain();
    for (auto& server : servers_) co_await server->drained(deadline);
    if (drop_) co_await drop_->stop(deadline);
    if (dispatcher_) co_await dispatcher_->stop(deadline);
    if (spool_) co_await spool_->close();
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
