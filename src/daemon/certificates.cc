#include "daemon/certificates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "mail/trace.h"

namespace postrider::daemon {

namespace {

constexpr std::size_t kFileOctetsMax = 4 * 1024 * 1024;  // a bundle of all roots has 0.3 MiB
constexpr auto kDay = std::chrono::hours(24);
constexpr auto kStopStep = std::chrono::milliseconds(10);

}  // namespace

Task<Status<Error>> Certificates::load(std::shared_ptr<const Config> config) {
    auto read = co_await read_all(config);
    if (!read) co_return std::unexpected(read.error());
    config_ = std::move(config);
    contexts_ = std::move(read->contexts);
    stamps_ = std::move(read->stamps);
    tell_all(Event::CertificateInForce, false);
    tell_all(Event::CertificateExpires, true);
    co_return Status<Error>{};
}

Task<Result<Certificates::Read>> Certificates::read_all(std::shared_ptr<const Config> config) {
    Read read;
    const TlsConfig& tls = config->tls;
    world::TlsServerOptions server{.min_version = tls.min_version,
                                   .client_certificates = tls.client_certificates};
    for (const CertificateConfig& one : config->certificates) {
        auto chain = co_await read_file(one.chain_file, read);
        if (!chain) co_return std::unexpected(chain.error());
        auto key = co_await read_file(one.key_file.empty() ? one.chain_file : one.key_file, read);
        if (!key) co_return std::unexpected(key.error());
        server.certificates.push_back({one.chain_file, std::move(*chain), std::move(*key)});
    }
    world::TlsClientOptions client{.min_version = tls.min_version};
    for (auto [path, into] : {std::pair(&tls.client_roots_file, &server.client_roots_pem),
                              std::pair(&tls.roots_file, &client.roots_pem)}) {
        if (path->empty()) continue;
        auto roots = co_await read_file(*path, read);
        if (!roots) co_return std::unexpected(roots.error());
        *into = std::move(*roots);
    }
    if (!server.certificates.empty()) {
        auto made = world_.tls.server_context(std::move(server));
        if (!made) co_return fail(made.error().message);
        read.contexts.server = std::move(*made);
    }
    auto made = world_.tls.client_context(std::move(client));
    if (!made) co_return fail(made.error().message);
    read.contexts.client = std::move(*made);
    co_return read;
}

Task<Result<std::string>> Certificates::read_file(std::string path, Read& read) {
    auto info = co_await world_.disk.info(path);
    if (!info) co_return fail(info.error().message);
    if (info->size > kFileOctetsMax) co_return fail(path + " is too large");
    auto file = co_await world_.disk.open(path, world::OpenMode::Read);
    if (!file) co_return fail(file.error().message);
    std::string text(info->size, '\0');
    std::size_t octets = 0;
    while (octets < text.size()) {
        auto got = co_await (*file)->read_at(octets, std::span(text).subspan(octets));
        if (!got) co_return fail(got.error().message);
        if (*got == 0) break;
        octets += *got;
    }
    text.resize(octets);
    read.stamps[path] = {info->size, info->modified};
    co_return text;
}

// A file that is gone has changed, too.
Task<bool> Certificates::anything_changed() {
    auto stamps = stamps_;  // a reload may come meanwhile
    for (const auto& [path, stamp] : stamps) {
        auto info = co_await world_.disk.info(path);
        if (!info || Stamp{info->size, info->modified} != stamp) co_return true;
    }
    co_return false;
}

void Certificates::watch(std::function<void()> changed) {
    changed_ = std::move(changed);
    running_ = true;
    world_.executor.spawn(run());
}

Task<void> Certificates::run() {
    Monotonic told = world_.clock.now();
    std::string last_error;
    while (!stopping_) {
        co_await wake_.wait(Deadline::after(world_.clock.now(), kLookTime));
        if (stopping_) break;
        if (world_.clock.now() >= told + kDay) {
            told = world_.clock.now();
            tell_all(Event::CertificateExpires, true);
        }
        if (stamps_.empty() || !co_await anything_changed()) continue;
        auto loaded = co_await load(config_);
        if (loaded) {
            last_error.clear();
            changed_();
        } else if (std::exchange(last_error, loaded.error().message) != last_error) {
            world_.log.write(Event::CertificatesUnusable, {{"reason", last_error}});
        }
    }
    running_ = false;
}

Task<void> Certificates::stop(Deadline deadline) {
    stopping_ = true;
    wake_.notify_all();
    while (running_ && !deadline.reached(world_.clock.now())) {
        co_await world_.clock.sleep_for(kStopStep);
    }
}

void Certificates::tell_all(Event event, bool expiring_only) {
    if (!contexts_.server) return;
    Wall soon = world_.clock.wall() + kExpiryNotice;
    for (const world::TlsCertificateFacts& one : contexts_.server->certificates()) {
        if (expiring_only && one.not_after > soon) continue;
        world_.log.write(event, {{"path", one.name},
                                 {"names", fmt::format("{}", fmt::join(one.names, " "))},
                                 {"until", date_time(one.not_after)}});
    }
}

}  // namespace postrider::daemon
