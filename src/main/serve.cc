#include "main/serve.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/console.h"
#include "daemon/log_file.h"
#include "daemon/river.h"
#include "daemon/trial.h"
#include "main/config_file.h"
#include "main/privileges.h"
#include "main/version.h"
#include "world/real/log_descriptor.h"
#include "world/real/real_sql.h"
#include "world/real/real_world.h"
#include "world/real/self_signed.h"

namespace postrider {

namespace {

constexpr auto kDrainTime = std::chrono::seconds(30);
constexpr int kTrialDays = 365;
constexpr int kFirstPassedDescriptor = 3;  // sd_listen_fds(3)

int complain(std::string_view message, int code) {
    fmt::print(stderr, "postrider: {}\n", message);
    return code;
}

// A certificate of its own for a trial, made once; nothing where that fails: TLS is not the point.
std::optional<std::string> trial_certificate(const std::filesystem::path& directory,
                                             const std::string& hostname) {
    std::string path = (directory / "certificate.pem").string();
    if (std::filesystem::exists(path)) return path;
    auto made = world::real::self_signed({hostname, "localhost"}, kTrialDays);
    if (!made) return std::nullopt;
    mode_t before = umask(077);
    std::ofstream file(path, std::ios::binary);
    umask(before);
    file << made->chain_pem << made->key_pem;
    file.close();
    if (!file) return std::nullopt;
    return path;
}

Result<std::shared_ptr<const daemon::Config>> load(const ServeOptions& options) {
    if (options.try_directory.empty()) return load_config_file(options.config_path);
    std::error_code failed;
    auto path = std::filesystem::absolute(options.try_directory, failed);
    if (!failed) std::filesystem::create_directories(path, failed);
    if (failed) return fail("cannot use " + options.try_directory + ": " + failed.message());
    path = path.lexically_normal();
    daemon::Config config = daemon::default_config_for(path.string());
    if (auto certificate = trial_certificate(path, config.hostname)) {
        config.certificates.push_back({*certificate, ""});
    }
    return std::make_shared<const daemon::Config>(std::move(config));
}

// Listening sockets given by the service manager (socket activation).
std::vector<std::unique_ptr<world::Listener>> passed_listeners(world::real::RealWorld& real) {
    std::vector<std::unique_ptr<world::Listener>> listeners;
    const char* pid = std::getenv("LISTEN_PID");
    const char* count = std::getenv("LISTEN_FDS");
    if (!pid || !count || std::atol(pid) != getpid()) return listeners;
    for (int i = 0; i < std::atoi(count); i++) {
        auto listener = real.adopt_listener(kFirstPassedDescriptor + i);
        if (listener) listeners.push_back(std::move(*listener));
    }
    return listeners;
}

// As many as the system allows: each client takes one. 0 = not known.
std::size_t raise_open_files() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    rlimit wanted{limit.rlim_max, limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
    return limit.rlim_cur == RLIM_INFINITY ? 0 : limit.rlim_cur;
}

// The server's life, from the first task on shard 0 to its end.
class Server {
public:
    Server(const ServeOptions& options, std::shared_ptr<const daemon::Config> config,
           daemon::LogFile& log)
        : options_(options),
          config_(std::move(config)),
          log_(log),
          open_files_(raise_open_files()),
          real_({.shards = shards(*config_), .resolver = resolver(*config_)}, log),
          world_(real_.world()),
          sql_(world_.worker, world_.clock) {}

    int run() {
        log_.write(Event::OpenFilesLimit, {{"files", static_cast<int64_t>(open_files_)}});
        // Before the first thread. Without it mail for programs waits; all else goes on.
        if (auto forked = real_.fork_spawner(); !forked) {
            log_.write(Event::SpawnerMissing, {{"reason", forked.error().message}});
        }
        if (auto ready = real_.prepare_resolver(); !ready) {
            return complain(ready.error().message, cli::kExitConfig);
        }
        for (int signal : {SIGTERM, SIGINT}) watch(signal, [this] { stop(); });
        watch(SIGHUP, [this] {
            log_.reopen();
            // What went wrong has been logged.
            if (river_) world_.executor.spawn(reload_and_forget());
        });
        watch(SIGUSR1, [this] { log_.reopen(); });
        real_.executor().post_to(0, [this] { world_.executor.spawn(open()); });
        log_.start();
        real_.run();
        river_.reset();
        return exit_code_;
    }

private:
    static int shards(const daemon::Config& config) {
        if (config.shards > 0) return static_cast<int>(config.shards);
        return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1);
    }

    static world::real::ResolverOptions resolver(const daemon::Config& config) {
        world::real::ResolverOptions options;
        for (const auto& forwarder : config.resolver.forwarders) {
            options.forwarders.push_back(forwarder.address.text() + "@" +
                                         std::to_string(forwarder.port));
        }
        if (!config.resolver.trust_anchor_file.empty()) {
            options.trust_anchor_file = config.resolver.trust_anchor_file;
        }
        return options;
    }

    void watch(int signal, std::move_only_function<void()> work) {
        auto watched = real_.on_signal(signal, std::move(work));
        if (!watched) complain(watched.error().message, cli::kExitFailed);
    }

    Task<void> open() {
        daemon::RiverOptions river{
            .config = config_, .adopted = passed_listeners(real_), .open_files_max = open_files_};
        river.sql = &sql_;
        river.reload = [this] { return reload(); };
        if (!options_.try_directory.empty()) {
            river.observer = daemon::trial_observer(world_, config_->hostname,
                                                    [](std::string_view text) { say(text); });
        }
        auto opened = co_await daemon::River::open(world_, std::move(river));
        if (!opened) {
            exit_code_ = complain(opened.error().message, cli::kExitUnavailable);
            real_.stop();
            co_return;
        }
        river_ = std::move(*opened);
        if (!options_.try_directory.empty()) {
            say(daemon::trial_welcome(*config_, options_.program));
        }
        if (stopping_) world_.executor.spawn(close());
    }

    static void say(std::string_view text) {
        fmt::print("{}", text);
        std::fflush(stdout);
    }

    Task<Status<Error>> reload() {
        auto next = load(options_);
        Status<Error> done;
        if (next) {
            done = co_await river_->reload(*next);
        } else {
            done = std::unexpected(next.error());
        }
        if (!done) log_.write(Event::ReloadFailed, {{"reason", done.error().message}});
        co_return done;
    }
    Task<void> reload_and_forget() { (void)co_await reload(); }

    void stop() {
        if (stopping_) {
            real_.stop();  // asked twice: what is not finished will be found at the next start
            return;
        }
        stopping_ = true;
        if (river_) world_.executor.spawn(close());
    }

    Task<void> close() {
        co_await river_->stop(Deadline::after(world_.clock.now(), kDrainTime));
        real_.stop();
    }

    const ServeOptions& options_;
    std::shared_ptr<const daemon::Config> config_;
    daemon::LogFile& log_;
    std::size_t open_files_;
    world::real::RealWorld real_;
    world::World world_;
    world::real::RealSql sql_;
    std::unique_ptr<daemon::River> river_;
    bool stopping_ = false;
    int exit_code_ = cli::kExitOk;
};

}  // namespace

int serve(const ServeOptions& options) {
    auto config = load(options);
    if (!config) return complain(config.error().message, cli::kExitConfig);
    // A trial is on loopback and below its own folder: whoever starts it may be root.
    std::string user = options.try_directory.empty() ? (*config)->user : "root";
    if (auto became = become_user(user); !became) {
        return complain(became.error().message, cli::kExitConfig);
    }
    umask(077);
    raise_open_files_limit();

    auto file = world::real::LogDescriptor::open((*config)->log.file);
    if (!file) return complain(file.error().message, cli::kExitUnavailable);
    world::real::RealClock clock;
    daemon::LogFile log({.format = (*config)->log.format == daemon::LogConfig::Format::Json
                                       ? daemon::LogFormat::Json
                                       : daemon::LogFormat::Logfmt,
                         .level = (*config)->log.level},
                        {.write = [&](std::string_view lines) { return (*file)->write(lines); },
                         .reopen = [&] { return (*file)->reopen(); }},
                        clock);
    log.write(Event::Starting, {{"version", kVersion},
                                {"config", options.try_directory.empty() ? options.config_path
                                                                         : options.try_directory}});
    int code = Server(options, *config, log).run();
    log.stop();
    return code;
}

}  // namespace postrider
